"""docs/configuration.md's list of every key: from the code's sections and the sentences of scr.toml."""

import re
from collections.abc import Iterator

import msgspec

from appliance.assemble.reload import RESTART
from appliance.config import Sources, list_keys, load
from appliance.config.keys import TABLES
from tests.docs.pages import ROOT

_KEY = re.compile(r"#([a-z0-9_]+) = (.*)")
_TABLE = re.compile(r"#?(\[+[a-z0-9_.]+\]+)$")


class Described(msgspec.Struct, frozen=True):
    """A key as scr.toml has it: table, name, value, and the sentence above it."""

    table: str
    name: str
    value: str
    sentence: str


def render() -> str:
    """Return a table of keys for each table of scr.toml."""
    defaults = {one.key: one.value for one in load(Sources()).settings}
    lines: list[str] = []
    table, seen = "", set()
    for one in _described((ROOT / "scr.toml").read_text()):
        if one.table != table:
            table = one.table
            lines += ["", f"### `{table}`", "", "| key | default | while running | meaning |", "|---|---|---|---|"]
        path = f"{table.strip('[]')}.{one.name}"
        seen.add(tuple(path.split(".")))
        default = one.value if one.table.strip("[]").partition(".")[0] in TABLES else _shown(path, defaults[path])
        when = "restart" if path.startswith(RESTART) else "changes"
        lines.append(f"| `{one.name}` | `{default}` | {when} | {one.sentence} |")
    assert seen == set(list_keys()), "scr.toml and the code have different keys"
    return "\n".join(lines).strip() + "\n"


def _shown(path: str, value: str) -> str:
    return '"data"' if path == "storage.data_dir" else value  # the code shows it from the root


def _described(text: str) -> Iterator[Described]:
    table, sentences = "", []
    for line in text.splitlines():
        if found := _TABLE.fullmatch(line):
            table = found[1]
        elif line.startswith("# "):
            sentences.append(line[2:])
        elif found := _KEY.fullmatch(line):
            yield Described(
                table, found[1], found[2], " ".join(sentences).replace("|", "\\|").replace(" (restart)", "")
            )
        elif not line:
            sentences = []
