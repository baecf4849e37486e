"""What commands that ask the server have in common: pages, the yes before something is deleted, sizes in words."""

import argparse
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Generic, TypeVar

import msgspec

from appliance.cli.client import Client, add_options
from appliance.cli.parser import Parser
from appliance.cli.terminal import say, show, show_json, show_table
from appliance.domain.image_policy import ImagePolicy
from appliance.errors import Denied

T = TypeVar("T")

_PAGE = "1000"  # entries asked for at once


class Page(msgspec.Struct, Generic[T]):
    """A page of a list."""

    items: list[T]
    next: str | None


def walk(client: Client, address: str, shape: type[T], /, **query: str) -> Iterator[T]:
    """Yield every entry of the list at `address`, page by page."""
    cursor = ""
    while True:
        page = client.get(address, Page[shape], limit=_PAGE, cursor=cursor, **query)  # type: ignore[valid-type]  # at run time
        yield from page.items
        if page.next is None:
            return
        cursor = page.next


def add_asking(parser: Parser, *, deletes: bool = False) -> None:
    """Add the options of a command that asks the server, and of one that deletes."""
    if deletes:
        parser.add_argument("--yes", action="store_true", help="do not ask; needed where no terminal is")
        parser.add_argument("--dry-run", action="store_true", help="say what would go, and delete nothing")
    parser.add_argument("--json", action="store_true", help="print JSON for programs")
    add_options(parser)


def add_order(parser: Parser) -> None:
    """Add the option that says in which order registries or repositories are listed."""
    parser.add_argument(
        "--sort", choices=("name", "created", "modified"), default="name", help="order; by time the newest first"
    )


def order_of(options: argparse.Namespace) -> str:
    """Return that order as the API takes it."""
    return "name" if options.sort == "name" else f"-{options.sort}"


def show_all(
    client: Client,
    options: argparse.Namespace,
    address: str,
    shape: type[T],
    heads: Sequence[str],
    cells: Callable[[T], Sequence[str]],
    /,
    **query: str,
) -> int:
    """Print the list at `address` as JSON, with all that the API tells, or as a table; return how many there are."""
    if options.json:
        whole = list(walk(client, address, dict[str, object], **query))
        show_json(whole)
        return len(whole)
    found = list(walk(client, address, shape, **query))
    show_table(heads, [cells(one) for one in found])
    return len(found)


def show_list(
    options: argparse.Namespace, heads: Sequence[str], found: Sequence[T], cells: Sequence[Sequence[str]]
) -> None:
    """Print `found` as JSON where it is asked for, else the table of `cells`."""
    if options.json:
        show_json(list(found))
    else:
        show_table(heads, cells)


def show_fields(rows: Mapping[str, str]) -> None:
    """Print what one thing is, a field a line."""
    for name, value in rows.items():
        show(f"{name:<12}{value or '-'}")


def show_policy(policy: ImagePolicy) -> None:
    """Print every field of a policy of images as `--policy` and scr.toml spell it, e.g. `pull_limit.high=1`."""
    for section, fields in msgspec.to_builtins(policy).items():
        for name, value in fields.items():
            show(f"  {field_text(section)}.{field_text(name)} = {value_text(value)}")


def field_text(name: str) -> str:
    """Return how the command line and scr.toml spell a field of the API: `pull_limit`."""
    return re.sub(r"(?=[A-Z])", "_", name).lower()


def value_text(value: object) -> str:
    """Return the value of such a field, "-" for an empty list."""
    if isinstance(value, list | tuple):
        return ",".join(str(one) for one in value) or "-"
    return str(value).lower() if isinstance(value, bool) else str(value)


def confirm(options: argparse.Namespace, what: str, answer: str = "yes") -> None:
    """Ask on the terminal before `what` is done; the person types `answer`.

    Raises Denied where it is not given, or where there is no terminal and no --yes.
    """
    if options.yes:
        return
    if not sys.stdin.isatty():
        raise Denied(f"{what}: nobody can be asked here; add --yes, or see what would go with --dry-run")
    say(f"{what}. Type {answer!r} to go on:")
    if sys.stdin.readline().strip() != answer:
        raise Denied("nothing was deleted")


def time_text(moment: str | None) -> str:
    """Return a time of the API to the second, "never" for none."""
    return "never" if moment is None else moment[:19].replace("T", " ") + " UTC"


def count_text(count: int, one: str, many: str = "") -> str:
    """Return `1 tag`, `2 tags`; `many` where the plural is not made with an s."""
    return f"{count} {one if count == 1 else many or one + 's'}"
