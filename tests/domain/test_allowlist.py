"""Lists of addresses: what a line means, what is wrong with it, and what was meant."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.allowlist import parse, read_entry, with_entry, without_entry
from appliance.domain.ranges import Ranges, read_span


def _ranges(*texts: str) -> Ranges:
    return Ranges(span for text in texts if (span := read_span(text)) is not None)


GROUPS = {"build": _ranges("10.9.0.0/16"), "gpu-cluster": _ranges("2001:db8:9::/48")}
LIST = """\
# the office
192.0.2.7
198.51.100.0/24   # second floor

2001:db8::/32
\t@build # machines that push
"""


def test_a_list_has_an_address_a_network_or_a_group_a_line() -> None:
    found = parse(LIST, GROUPS)

    assert [(one.line, one.text) for one in found.entries] == [
        (2, "192.0.2.7"),
        (3, "198.51.100.0/24"),
        (5, "2001:db8::/32"),
        (6, "@build"),
    ]
    assert (found.mistakes, found.remarks) == ((), ())
    ranges = found.ranges(GROUPS)
    assert [ranges.has(one) for one in ("192.0.2.7", "198.51.100.255", "2001:db8:1::1", "10.9.255.1")] == [True] * 4
    assert [ranges.has(one) for one in ("192.0.2.8", "198.51.101.0", "2001:db9::", "10.8.0.1", "::1")] == [False] * 5


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing yet\n", "\ufeff# by a Windows editor\r\n"])
def test_an_empty_list_is_a_list_and_lets_nobody_in(text: str) -> None:
    found = parse(text, GROUPS)

    assert (found.entries, found.mistakes) == ((), ())
    assert not found.ranges(GROUPS).has("10.9.0.1")


def test_lines_may_end_as_on_windows() -> None:
    assert [one.text for one in parse("\ufeff192.0.2.7\r\n@build\r\n", GROUPS).entries] == ["192.0.2.7", "@build"]


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("10.0.0.7/24", "write 10.0.0.0/24 for the network, or 10.0.0.7 for the one address"),
        ("2001:db8::1/32", "write 2001:db8::/32 for the network, or 2001:db8::1 for"),
        ("10.0.0.1, 10.0.0.2", "several; write one a line"),
        ("10.0.0.1 10.0.0.2", "several; write one a line"),
        ("10.0.0.0/24;2001:db8::/32", "several; write one a line"),
        ("10.0.0.1-10.0.0.4", "10.0.0.1/32, 10.0.0.2/31, 10.0.0.4/32"),
        ("10.0.0.0 - 3", "one a line: 10.0.0.0/30"),
        ("10.0.0.4-10.0.0.1", "is no range"),
        ("10.0.0.0/255.255.255.0", "write the mask as a length: 10.0.0.0/24"),
        ("10.0.0.0/0.0.0.255", "write the mask as a length: 10.0.0.0/24"),
        ("10.0.0.0/024", "write the mask as a length: 10.0.0.0/24"),
        ("10.0.0.0/33", "a number from 0 to 32"),
        ("10.0.0.0/-1", "a number from 0 to 32"),
        ("10.0.0.0/", "a number from 0 to 32"),
        ("::1/129", "a number from 0 to 128"),
        ("[::1]", "write ::1 alone"),
        ("[2001:db8::1]:5000", "write 2001:db8::1 alone"),
        ("10.0.0.7:5000", "has a port; write 10.0.0.7 alone"),
        ("https://10.0.0.7/v2/", "write 10.0.0.7 alone"),
        ('"10.0.0.7"', "write 10.0.0.7"),
        ("10.0.0.7,", "write 10.0.0.7"),
        ("fe80::1%eth0", "has a zone id, which means something on one machine only; write fe80::1"),
        ("::ffff:10.0.0.7", "counts as such; write 10.0.0.7"),
        ("::ffff:10.0.0.0/120", "counts as such; write 10.0.0.0/24"),
        ("::10.0.0.7", "nobody uses any more; write 10.0.0.7"),
        ("10.0.0", "four parts; write 10.0.0.0/24"),
        ("10.0/16", "four parts; write 10.0.0.0/16"),
        ("10.0.*.*", "write 10.0.0.0/16"),
        ("10.*", "10.* is no address"),
        ("010.0.0.1", "octal; write 10.0.0.1"),
        ("10.0.0.256", "256 is more than 255"),
        ("1.2.3.4.5", "1.2.3.4.5 is no address"),
        ("build.example.com", "is a name, and names may come to mean other machines"),
        ("localhost", "is a name"),
        ("224.0.0.1", "224.0.0.1: it is for multicast"),
        ("239.0.0.0/8", "multicast"),
        ("ff02::1", "multicast"),
        ("255.255.255.255", "reserved or broadcast"),
        ("240.0.0.0/8", "reserved or broadcast"),
        (".".join("0000"), "no address of any machine; 0.0.0.0/0 would be every one"),
        ("0.1.0.0/16", "no address of any machine"),
        ("::", "no address of any machine"),
        ("@bild", "there is no [[resource_group]] bild in scr.toml; did you mean build?"),
        ("@", "names no group"),
        ("@Build", "names no group"),
        ("@build @gpu-cluster", "names no group"),
        ("rm -rf / $(x)", "is no address; write one like 10.0.0.7"),
        ("10.0.0.1 allow", "is no address"),
        ("\u202e7.0.0.01", "\\u202e7.0.0.01 is no address"),
        ("\x1b[31m10.0.0.1", "\\x1b[31m10.0.0.1 is no address"),
        ("10.0.0.\u0661", "is no address"),
        ("x" * 1000, "..."),
    ],
)
def test_a_mistake_is_named_with_its_line_and_what_was_meant(line: str, meant: str) -> None:
    found = parse(f"# first\n192.0.2.7\n{line}\n", GROUPS)

    assert [one.line for one in found.mistakes] == [3]
    said = str(found.mistakes[0])
    assert said.startswith("line 3: ")
    assert meant in said
    assert len(said) < 250
    assert said.isprintable()


@pytest.mark.parametrize("line", ["127.0.0.1", "::1", "169.254.7.1", "fe80::/64", "10.0.0.0/31", "192.0.0.0/2", "::/1"])
def test_unusual_addresses_that_clients_may_have_are_taken(line: str) -> None:
    assert parse(line, {}).mistakes == ()


@pytest.mark.parametrize(
    ("text", "remarks"),
    [
        ("10.0.0.7\n10.0.0.7\n", ["line 2: 10.0.0.7 stands in line 1 already"]),
        ("2001:db8::1\n2001:DB8:0::1\n", ["line 2: 2001:DB8:0::1 stands in line 1 already"]),
        ("10.0.0.7\n10.0.0.7/32\n", ["line 2: 10.0.0.7/32 stands in line 1 already"]),
        ("10.0.0.7\n10.0.0.0/24\n", ["line 1: 10.0.0.7 is part of 10.0.0.0/24 in line 2; one of the two is enough"]),
        ("@build\n@gpu-cluster\n@build", ["line 3: @build stands in line 1 already"]),
        ("@build\n10.9.0.0/24", ["line 2: 10.9.0.0/24 is part of @build in line 1; one of the two is enough"]),
        ("0.0.0.0/0\n", ["line 1: 0.0.0.0/0 is every IPv4 address; turn access control off if that is meant"]),
        ("::/0\n", ["line 1: ::/0 is every IPv6 address; turn access control off if that is meant"]),
        ("10.0.0.0/25\n10.0.0.128/25\n10.0.1.0/24", []),  # neighbours
    ],
)
def test_what_is_said_twice_counts_and_is_remarked(text: str, remarks: list[str]) -> None:
    found = parse(text, GROUPS)

    assert found.mistakes == ()
    assert [str(one) for one in found.remarks] == remarks


def test_a_file_of_rubbish_is_told_in_a_few_words() -> None:
    found = parse("<html>\n" * 1_000_000, GROUPS)

    assert len(found.mistakes) == 51
    assert str(found.mistakes[-1]) == "and 999950 more mistakes"


def test_a_group_that_is_gone_lets_nobody_in() -> None:
    found = parse("@build\n192.0.2.7\n", GROUPS)

    ranges = found.ranges({})

    assert ranges.has("192.0.2.7")
    assert not ranges.has("10.9.0.1")


@given(st.lists(st.ip_addresses() | st.from_regex(r"@[a-z]{1,9}", fullmatch=True), max_size=20), st.ip_addresses())
def test_whoever_is_let_in_is_in_the_list(listed: list[object], address: object) -> None:
    found = parse("\n".join(map(str, listed)), GROUPS)

    plain = ip_address(str(address))
    plain = getattr(plain, "ipv4_mapped", None) or plain
    listed_in = any(plain == one for one in listed) or ("@build" in listed and plain in ip_network("10.9.0.0/16"))
    listed_in = listed_in or ("@gpu-cluster" in listed and plain in ip_network("2001:db8:9::/48"))
    assert found.ranges(GROUPS).has(str(address)) <= listed_in


@given(st.text(alphabet="10.:/#@ab\n\r \t\ufeff\x0b\u2028", max_size=60))
def test_any_text_is_a_list_or_has_mistakes_with_lines(text: str) -> None:
    found = parse(text, GROUPS)

    count = text.count("\n") + 1
    lines = [one.line for one in found.entries] + [one.line for one in (*found.mistakes, *found.remarks)]
    assert all(1 <= line <= count for line in lines)


def test_a_line_is_added_at_the_end_and_nothing_else_changes() -> None:
    assert with_entry(LIST, "203.0.113.9", "on call") == LIST + "203.0.113.9  # on call\n"
    assert with_entry("", "203.0.113.9") == "203.0.113.9\n"
    assert with_entry("# no end", "203.0.113.9") == "# no end\n203.0.113.9\n"
    assert with_entry("192.0.2.7\r\n", "203.0.113.9") == "192.0.2.7\r\n203.0.113.9\r\n"


@pytest.mark.parametrize(
    ("entry", "left", "gone"),
    [
        ("192.0.2.7/32", LIST.replace("192.0.2.7\n", ""), 1),
        ("198.51.100.0/24", LIST.replace("198.51.100.0/24   # second floor\n", ""), 1),
        ("2001:DB8:0::/32", LIST.replace("2001:db8::/32\n", ""), 1),
        ("@build", LIST.replace("\t@build # machines that push\n", ""), 1),
        ("198.51.100.7", LIST, 0),
    ],
)
def test_a_line_is_taken_out_however_it_is_written_and_comments_stay(entry: str, left: str, gone: int) -> None:
    found = read_entry(entry)
    assert found is not None

    assert without_entry(LIST, found) == (left, gone)


@given(st.text(alphabet="10.:/#@ab\n\r \x0b\u2028", max_size=60))
def test_what_is_not_taken_out_stays_byte_for_byte(text: str) -> None:
    found = read_entry("203.0.113.9")
    assert found is not None

    assert without_entry(text, found) == (text, 0)
    assert without_entry(with_entry(text, "203.0.113.9"), found)[0].rstrip("\r\n") == text.rstrip("\r\n")
