"""`/api/v1/allowlists` and `/api/v1/registries/<id>/allowlists/<endpoint>`: the files, read and edited.

What is written is the file itself, comments and all; it is in force before the answer.
"""

from collections.abc import Callable
from itertools import islice
from typing import Annotated

import msgspec
from litestar import Controller, Response, delete, get, post, put
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, HeaderParameter, JSONBody, QueryParameter, SkipValidation

from appliance.db import registries
from appliance.domain.access import Action
from appliance.domain.allowlist import (
    MAX_BYTES,
    Entry,
    Groups,
    Parsed,
    explain,
    parse,
    read_entry,
    with_entry,
    without_entry,
)
from appliance.domain.endpoint import MANAGEMENT_LIST, Endpoint, ListName
from appliance.domain.names import RegistryName
from appliance.domain.ranges import Ranges, place_of
from appliance.errors import AllowlistInvalid, EntryUnknown, PageUnknown, RegistryUnknown, ShutsOut
from appliance.http.allowlist import Allowlists, State
from appliance.http.api.asking import Asking, InAsking, InRunning, InStock
from appliance.http.api.page import Page
from appliance.http.api.registries import find_registry
from appliance.http.api.viewing import NOWHERE, everywhere, may_view, may_view_all
from appliance.http.running import Running
from appliance.services import allowlists as files
from appliance.services.allowlists import Edit, mark_of
from appliance.services.stock import Stock

_KEPT = 500  # lines of the last good list that are shown
_MAX_BODY = 2 * MAX_BYTES  # bytes; a list as a JSON string
Mark = Annotated[
    str | None,
    HeaderParameter(name="If-Match", max_length=100, description="`ETag` of the list: 412 if it changed since"),
]
EntryParameter = Annotated[str, QueryParameter(name="entry", max_length=200, description="the line, without comment")]
ShutOut = Annotated[bool, QueryParameter(name="shutOut", description="do it although it refuses your own address")]


class Remark(msgspec.Struct, frozen=True):
    """What is to say about a line; 0 for the whole list."""

    line: int
    text: str


class AllowlistRow(msgspec.Struct, frozen=True, rename="camel"):
    """A line of the list of allowlists: whether what lies there is in force."""

    name: str  # "local.private" or "management"
    registry: str | None
    endpoint: Endpoint
    access_control: bool  # whether the list decides about anybody
    state: State  # good; kept: the last good one is in force; closed: nobody gets in
    fault: str  # why what is written is not in force


class AllowlistView(AllowlistRow, frozen=True, rename="camel"):
    """A list as its file has it."""

    text: str
    exists: bool
    entries: int
    mistakes: list[Remark]
    remarks: list[Remark]
    caller_address: str | None  # yours; null through the operator's door
    admits_caller: bool | None  # whether what is written has it
    in_force: list[str]  # where the state is kept: the last good list, in its shortest form, the first of it


class AllowlistOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole list."""

    text: str


class EntryOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A line to be added at the end: an address, a network or @group, and perhaps why."""

    entry: Annotated[str, msgspec.Meta(max_length=200)]
    comment: Annotated[str, msgspec.Meta(max_length=500, pattern=r"^[^\x00-\x1f\x7f\u2028\u2029]*$")] = ""


class Desk:
    """What the handlers do with one list, once the caller may."""

    def __init__(self, stock: Stock, running: Running, asking: Asking, name: ListName) -> None:
        """Work on the list `name` for who is `asking`, in the registry that it is of."""
        self.check = asking.check
        self._stock = stock
        self._lists = running.allowlists()
        self._groups = self._lists.groups
        self._caller = asking.caller
        self._name = name
        self._registry = asking.site.registry
        self._address = asking.caller.address if place_of(asking.caller.address) else None

    async def show(self) -> Response[AllowlistView]:
        """Answer with the list as it lies there."""
        text = await self._lists.shelf.read(self._name)
        return Response(await self.judge(text), headers={"ETag": f'"{mark_of(text)}"'})

    async def judge(self, text: str | None) -> AllowlistView:
        """Return what the list is with that text."""
        found, ranges = await self._lists.shelf.run(lambda: _parse(text or "", self._groups))
        row = show_row(self._lists, self._name, self._lists.wanted())
        return AllowlistView(
            **msgspec.structs.asdict(row),
            text=text or "",
            exists=text is not None,
            entries=len(found.entries),
            mistakes=[Remark(one.line, one.text) for one in found.mistakes],
            remarks=[Remark(one.line, one.text) for one in found.remarks],
            caller_address=self._address,
            admits_caller=ranges.has(self._address) if self._address is not None else None,
            in_force=list(islice(self._lists.guard(self._name).lines(), _KEPT)) if row.state is State.KEPT else [],
        )

    async def save(self, text: str, mark: str | None, *, may_shut_out: bool) -> Response[AllowlistView]:
        """Write the list, put it into force, and answer with it."""
        expected = None if mark is None or mark.strip() == "*" else mark.strip().strip('"')

        def make(before: str | None) -> str:
            files.check_mark(self._name, before, expected)
            return text

        return await self._edit(make, may_shut_out=may_shut_out)

    async def add(self, order: EntryOrder) -> Response[AllowlistView]:
        """Add a line, unless the list has its addresses already."""
        entry = self._entry(order.entry)

        def make(before: str | None) -> str:
            found = self._good(before or "")
            is_there = any((one.span, one.group) == (entry.span, entry.group) for one in found.entries)
            if is_there or (entry.span is not None and found.ranges(self._groups).covers(entry.span)):
                return before or ""
            return with_entry(before or "", order.entry, order.comment.strip())

        return await self._edit(make, may_shut_out=True)  # a line more shuts nobody out

    async def remove(self, text: str, *, may_shut_out: bool) -> Response[AllowlistView]:
        """Take a line out."""
        entry = self._entry(text)

        def make(before: str | None) -> str:
            self._good(before or "")
            after, gone = without_entry(before or "", entry)
            if not gone:
                raise EntryUnknown(f"the allowlist {self._name} has no line {text[:100]!r}; see scr allowlist show")
            return after

        return await self._edit(make, may_shut_out=may_shut_out)

    async def _edit(self, make: Callable[[str | None], str], *, may_shut_out: bool) -> Response[AllowlistView]:
        """Raises AllowlistInvalid, ShutsOut, and what `make` does."""
        address = self._address
        is_in = (
            address is not None and self._name in self._lists.wanted() and self._lists.guard(self._name).has(address)
        )

        def accept(ranges: Ranges) -> None:
            if address is not None and is_in and not may_shut_out and not ranges.has(address):
                raise ShutsOut(
                    f"{self._name} would not let in {address} any more, and that is your own address; add it, or say"
                    " that it is meant (shutOut=true)"
                )

        wanted = Edit(self._caller, self._registry, self._name, make, accept)
        await files.edit(self._stock, self._lists.shelf, wanted, self._groups, self._stock.clock())
        await self._lists.refresh()
        return await self.show()

    def _entry(self, text: str) -> Entry:
        entry = read_entry(text)
        if entry is None or (entry.group and entry.group not in self._groups):
            raise AllowlistInvalid(explain(text, self._groups))
        return entry

    def _good(self, text: str) -> Parsed:
        """Return the list that `text` is. Raises AllowlistInvalid for one with mistakes: they come first."""
        try:
            return files.check(text, self._groups)
        except AllowlistInvalid as error:
            raise AllowlistInvalid(f"{self._name} has mistakes already, mend them first: {error.message}") from error


InDesk = NamedDependency[SkipValidation[Desk]]


class _OneAllowlist(Controller):
    """One list: show, write, check a text for it, add and take out a line."""

    tags = ["allowlists"]  # noqa: RUF012 - Litestar's way

    @get()
    async def show(self, desk: InDesk) -> Response[AllowlistView]:
        """Show a list."""
        desk.check(Action.VIEW_REGISTRY)
        return await desk.show()

    @put(request_max_body_size=_MAX_BODY)
    async def save(
        self, desk: InDesk, data: JSONBody[AllowlistOrder], if_match: Mark = None, *, shut_out: ShutOut = False
    ) -> Response[AllowlistView]:
        """Write a whole list."""
        desk.check(Action.MANAGE_REGISTRY)
        return await desk.save(data.text, if_match, may_shut_out=shut_out)

    @post("/check", status_code=200, request_max_body_size=_MAX_BODY)
    async def check(self, desk: InDesk, data: JSONBody[AllowlistOrder]) -> AllowlistView:
        """Show what the list would be with that text: its mistakes, and whether it would let you in."""
        desk.check(Action.MANAGE_REGISTRY)
        return await desk.judge(data.text)

    @post("/entries", status_code=200)
    async def add(self, desk: InDesk, data: JSONBody[EntryOrder]) -> Response[AllowlistView]:
        """Add a line, unless the list has its addresses already."""
        desk.check(Action.MANAGE_REGISTRY)
        return await desk.add(data)

    @delete("/entries", status_code=200)
    async def remove(self, desk: InDesk, line: EntryParameter, *, shut_out: ShutOut = False) -> Response[AllowlistView]:
        """Take a line out."""
        desk.check(Action.MANAGE_REGISTRY)
        return await desk.remove(line, may_shut_out=shut_out)


def _provide_registry_desk(
    stock: InStock, running: InRunning, asking: InAsking, registry_id: FromPath[str], endpoint: FromPath[str]
) -> Desk:
    """Return the desk of a registry's list. Raises RegistryUnknown, AccessDenied, PageUnknown."""
    registry = find_registry(stock, asking, registry_id, Action.VIEW_REGISTRY)
    if registry.removed_at is not None:
        raise RegistryUnknown(f"registry {registry.name} was deleted, its allowlists with it; restore it first")
    if endpoint not in (Endpoint.PRIVATE, Endpoint.PUBLIC):
        raise PageUnknown(f"a registry has no endpoint {endpoint[:40]!r}; it has private and public")
    there = asking.at(registry.id, registry.name)
    return Desk(stock, running, there, ListName(Endpoint(endpoint), registry.name))


def _provide_management_desk(stock: InStock, running: InRunning, asking: InAsking) -> Desk:
    """Return the desk of management's list, for whoever may look at or change every registry."""
    return Desk(stock, running, everywhere(asking), MANAGEMENT_LIST)


class RegistryAllowlists(_OneAllowlist):
    """The lists of a registry's endpoints (`private`, `public`)."""

    path = "/api/v1/registries/{registry_id:str}/allowlists/{endpoint:str}"
    dependencies = {"desk": Provide(_provide_registry_desk, sync_to_thread=False)}  # noqa: RUF012 - Litestar's way


class ManagementAllowlist(_OneAllowlist):
    """The list of who may use console, API and metrics."""

    path = "/api/v1/allowlists/management"
    dependencies = {"desk": Provide(_provide_management_desk, sync_to_thread=False)}  # noqa: RUF012 - Litestar's way


@get("/api/v1/allowlists", tags=["allowlists"])
async def list_allowlists(stock: InStock, running: InRunning, asking: InAsking) -> Page[AllowlistRow]:
    """List the allowlists that decide about somebody or have a file, with their states."""
    lists = running.allowlists()
    wanted = lists.wanted()
    names = wanted | set(await lists.shelf.run(lambda: files.list_names(lists.shelf.folder)[0]))
    shown = [show_row(lists, name, wanted) for name in sorted(names, key=str) if _may_view(stock, asking, name)]
    return Page(shown, None)


def _may_view(stock: Stock, asking: Asking, name: ListName) -> bool:
    if not name.registry:
        return may_view_all(asking)
    registry = RegistryName(name.registry)
    found = registries.find(stock.db.reader, registry)
    return may_view(asking.at(found.id if found else NOWHERE, registry))


def show_row(lists: Allowlists, name: ListName, wanted: frozenset[ListName]) -> AllowlistRow:
    """Return how a list is; `wanted` are those that decide about somebody."""
    guard = lists.guard(name)
    return AllowlistRow(str(name), name.registry or None, name.endpoint, name in wanted, guard.state, guard.fault)


def _parse(text: str, groups: Groups) -> tuple[Parsed, Ranges]:
    """Return a list, and the addresses that it lets in: none where it has mistakes (blocking)."""
    found = parse(text, groups)
    return found, Ranges() if found.mistakes else found.ranges(groups)
