"""Lines of keys: whatever `tomllib` reads, every key of it has the line it stands on."""

import tomllib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.config.lines import KeyPath, find_lines, line_of


def paths(value: object, path: KeyPath = ()) -> Iterator[KeyPath]:
    """Yield the path of everything in what `tomllib` read."""
    if path:
        yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from paths(inner, (*path, key))
    if isinstance(value, list):
        for number, inner in enumerate(value):
            yield from paths(inner, (*path, number))


HARD = '''\
# [server] in a comment
top = 1
[server]  # "quoted" = 'here'
listen = [ # a comment with ] and "
  "a]b", 'c#d',
  """long
[storage]
x = 3 \\""" end""",
  [1, 2], {x = 1, "y.z" = {w = [3]}},
]
"odd key" . 'part' = """"quotes""""
literal = \'\'\'
[log]
\'\'\'
[[user]]
name = "a"
[[user]]
name = "b"
limits.high = 3
[user.extra]
when = 1979-05-27 07:32:00
[[user.keys]]
id = 1
[[user.keys]]
id = 2
'''


def test_strings_comments_and_nested_values_do_not_hide_or_invent_keys() -> None:
    lines = find_lines(HARD)

    assert set(paths(tomllib.loads(HARD))) <= set(lines)
    assert lines["top",] == 2
    assert lines["server", "listen"] == 4
    assert lines["server", "listen", 2] == 6
    assert lines["server", "listen", 4, "y.z", "w", 0] == 9
    assert lines["server", "odd key", "part"] == 11
    assert lines["user", 0, "name"] == 16
    assert lines["user", 1, "limits", "high"] == 19
    assert lines["user", 1, "extra", "when"] == 21
    assert lines["user", 1, "keys", 1, "id"] == 25


def test_a_path_that_stands_nowhere_has_the_line_of_what_holds_it() -> None:
    lines = find_lines("[server]\n\n[storage]\nrecycle = 1\n")

    assert line_of(lines, ("storage", "grace")) == 3
    assert line_of(lines, ("elsewhere", "x")) == 1


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_both_ends_of_line_count_once(end: str) -> None:
    lines = find_lines(end.join(["a = 1", "", "b = 2", ""]))

    assert lines == {("a",): 1, ("b",): 3}


KEYS = st.text(alphabet="ab-_\"'. ]#[=é", min_size=1, max_size=6)
VALUES = st.recursive(
    st.one_of(st.integers(0, 99), st.booleans(), st.text(alphabet="ab\"'#[]{},=\n\\ ", max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=8,
)


def quoted(text: str) -> str:
    """Return `text` as a basic string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def written(value: object) -> str:
    """Return `value` as TOML; arrays over several lines."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return quoted(value) if "'" in value or "\n" in value else f"'{value}'"
    if isinstance(value, list):
        return "[ # ]\n" + "".join(f"  {written(one)},\n" for one in value) + "]"
    assert isinstance(value, dict)
    return "{" + ", ".join(f"{quoted(key)} = {written(one)}" for key, one in value.items()) + "}"


@given(st.dictionaries(KEYS, VALUES, max_size=4), st.dictionaries(KEYS, VALUES, max_size=4))
def test_every_path_of_any_text_is_found_where_it_stands(first: dict[str, object], second: dict[str, object]) -> None:
    text = "".join(f"[[{quoted('a t')}]]\n" + _pairs(table) for table in (first, second))

    lines = find_lines(text)

    assert set(paths(tomllib.loads(text))) == set(lines)
    rows = text.split("\n")
    for number, table in enumerate((first, second)):
        for key in table:
            assert rows[lines["a t", number, key] - 1].startswith(quoted(key))


def _pairs(table: dict[str, object]) -> str:
    return "".join(f"{quoted(key)} = {written(value)}\n" for key, value in table.items())
