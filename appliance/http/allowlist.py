"""Allowlists in force: one object a list, asked on every request; its addresses are swapped whole.

    <data>/allowlists/<registry>.private.txt  <registry>.public.txt  management.txt

A change that has a mistake keeps the last good list and shouts. A list that was never good lets nobody in.
"""

import asyncio
import enum
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from appliance.domain.allowlist import Groups, Remark, parse
from appliance.domain.decision import Stage, Step
from appliance.domain.endpoint import Endpoint, ListName
from appliance.domain.ranges import Ranges
from appliance.domain.registry import Registry
from appliance.errors import ScrError
from appliance.http.health import Check
from appliance.logs import Log
from appliance.services import allowlists as files
from appliance.services.allowlists import Shelf

_TOLD = 3  # mistakes of a list in one line of the log

Wanted = Callable[[], frozenset[ListName]]


class State(enum.StrEnum):
    """How a list is."""

    GOOD = "good"  # what lies there is in force
    KEPT = "kept"  # what lies there is wrong or gone, and the last good list is in force
    CLOSED = "closed"  # there was never a good one: nobody gets in


class Guard:
    """Who may use one endpoint of one registry, or management."""

    def __init__(self, name: ListName) -> None:
        """Let nobody in, until `take`."""
        self.name = name
        self.fault = ""  # why what lies there is not in force
        self.is_known = False  # a good list was read
        self._own = self._grouped = Ranges()
        self._named: tuple[str, ...] = ()

    @property
    def state(self) -> State:
        """How it is."""
        if not self.is_known:
            return State.CLOSED
        return State.KEPT if self.fault else State.GOOD

    def has(self, address: str) -> bool:
        """Whether `address` may come in. Hot: two binary searches, whatever the list's length."""
        return self._own.has(address) or self._grouped.has(address)

    def judge(self, address: str) -> Step:
        """Say whether `address` may come in, and why."""
        is_in = self.has(address)
        said = f"{address} is {'' if is_in else 'not '}on the allowlist {self.name}"
        if not is_in and self.state is State.CLOSED:
            said = f"the allowlist {self.name} is missing or cannot be read, so nobody gets in"
        return Step(Stage.ALLOWLIST, is_in, said)

    def lines(self) -> Iterator[str]:
        """Yield what is in force in its shortest form: groups by name, then networks."""
        yield from (f"@{name}" for name in self._named)
        for span in self._own.spans():
            yield from map(str, span.networks())

    def take(self, own: Ranges, named: tuple[str, ...], groups: Groups) -> None:
        """Put a list without mistakes into force: addresses of its own, and groups by name."""
        self._own, self._named = own, named
        self.is_known, self.fault = True, ""
        self.regroup(groups)

    def regroup(self, groups: Groups) -> None:
        """Follow the resource groups; one that is gone lets nobody in."""
        self._grouped = Ranges(span for name in self._named if name in groups for span in groups[name].spans())

    def close(self) -> None:
        """Let nobody in any more."""
        self._own = self._grouped = Ranges()
        self._named = ()
        self.is_known = False


class _Look(msgspec.Struct, frozen=True):
    """What was found of one list: with a fault it is none."""

    name: ListName
    stamp: files.Stamp
    fault: str = ""
    own: Ranges = Ranges()
    named: tuple[str, ...] = ()
    entries: int = 0
    remarks: str = ""


class Allowlists:
    """All lists of the folder."""

    def __init__(self, shelf: Shelf, groups: Groups, wanted: Wanted, log: Log) -> None:
        """Keep the lists of `shelf`; `wanted` returns those that decide about somebody. Nothing is read yet."""
        self.shelf = shelf
        self.groups = groups
        self.wanted = wanted
        self._log = log
        self._guards: dict[ListName, Guard] = {}
        self._stamps: dict[ListName, files.Stamp] = {}
        self._strays: frozenset[str] = frozenset()
        self._said: frozenset[ListName] = frozenset()  # of which it was said that they are missing
        self._turn = asyncio.Lock()  # one look at a time

    def guard(self, name: ListName) -> Guard:
        """Return the guard of a list: one that lets nobody in where there is no good one."""
        found = self._guards.get(name)
        if found is None:
            found = self._guards[name] = Guard(name)
        return found

    async def equip(self, registry: Registry) -> None:
        """Follow a registry that was made, edited, deleted or restored: a deleted one takes its lists with it."""
        if registry.removed_at is None:
            await self.shelf.take_back(registry)
        else:
            for endpoint in (Endpoint.PRIVATE, Endpoint.PUBLIC):  # another one may get its name, whatever the disk says
                if found := self._guards.pop(ListName(endpoint, registry.name), None):
                    found.close()  # whoever still holds it
            await self.shelf.put_aside(registry)
        await self.refresh()

    def paths(self) -> tuple[Path, ...]:
        """Return the files that lie there."""
        return tuple(self.shelf.folder / name.file for name in files.list_names(self.shelf.folder)[0])

    def regroup(self, groups: Groups) -> None:
        """Put other resource groups into force; every file is judged anew at the next `refresh`."""
        self.groups = groups
        self._stamps.clear()
        for guard in self._guards.values():
            guard.regroup(groups)

    async def refresh(self) -> None:
        """Look at all files, and put what changed into force."""
        async with self._turn:
            while True:
                groups, stamps = self.groups, dict(self._stamps)
                looks, present, strays = await self.shelf.run(lambda: self._look(stamps, groups))  # noqa: B023 - awaited
                if groups is self.groups:
                    break
            for look in looks:
                self._apply(look)
            self._drop(present)
            self._say_strays(strays)
            self.follow()

    def follow(self) -> None:
        """Say of each list that is wanted and missing that nobody gets in by it, once."""
        wanted = self.wanted()
        missing = frozenset(name for name in wanted if not self.guard(name).is_known)
        for name in sorted(missing - self._said, key=str):
            fault = self.guard(name).fault
            if not fault:
                self._log.error(
                    "allowlist.missing",
                    list=str(name),
                    in_force="nobody gets in",
                    cure=f"write {name.file} into the allowlists folder, or: scr allowlist add {name} ADDRESS",
                )
        self._said = missing

    def states(self) -> dict[ListName, State]:
        """Return how each list is that decides about somebody."""
        return {name: self.guard(name).state for name in self.wanted()}

    async def check(self) -> Check:
        """Say whether every list that decides about somebody is in force as it lies there."""
        worse = sum(state is not State.GOOD for state in self.states().values())
        detail = f"{worse} allowlist{'s are' if worse > 1 else ' is'} not in force as written: see the log"
        return Check("allowlists", ok=not worse, detail=detail if worse else "")

    def _look(
        self, stamps: dict[ListName, files.Stamp], groups: Groups
    ) -> tuple[list[_Look], frozenset[ListName], frozenset[str]]:
        """Read and parse every file that changed (blocking)."""
        looks = []
        folder = self.shelf.folder
        names, strays = files.list_names(folder)
        for name in names:
            stamp = files.stamp_of(folder / name.file)
            if stamp != stamps.get(name):
                looks.append(_read(folder, name, stamp, groups))
        return looks, frozenset(names), frozenset(strays)

    def _apply(self, look: _Look) -> None:
        guard = self.guard(look.name)
        self._stamps[look.name] = look.stamp
        if look.fault:
            guard.fault = look.fault
            self._refuse(guard)
            return
        guard.take(look.own, look.named, self.groups)
        self._log.info("allowlist.loaded", list=str(look.name), entries=look.entries)
        if look.remarks:
            self._log.warn("allowlist.remarks", list=str(look.name), remarks=look.remarks)

    def _refuse(self, guard: Guard) -> None:
        kept = "the last good list" if guard.is_known else "nobody gets in"
        is_wanted = guard.name in self.wanted()
        say = self._log.error if is_wanted else self._log.warn
        say(
            "allowlist.refused",
            list=str(guard.name),
            reason=guard.fault,
            in_force=kept if is_wanted else "nothing: access control is off",
            cure="mend the file",
        )

    def _drop(self, present: frozenset[ListName]) -> None:
        """Judge what is no longer there: a list that nobody wants goes, one that decides stays and shouts."""
        wanted = self.wanted()
        for name in self._stamps.keys() - present:
            del self._stamps[name]
            guard = self.guard(name)
            if name not in wanted:
                self._guards.pop(name)
                guard.close()
            elif guard.is_known:
                guard.fault = f"{name.file} is gone"
                self._refuse(guard)
            else:
                guard.fault = ""
                self._said -= {name}  # what is wrong with it is another thing now

    def _say_strays(self, strays: frozenset[str]) -> None:
        for name in sorted(strays - self._strays):
            self._log.warn(
                "allowlist.stray_file", file=name, cure="lists are called <registry>.private.txt or management.txt"
            )
        self._strays = strays


def _read(folder: Path, name: ListName, stamp: files.Stamp, groups: Groups) -> _Look:
    """Return what lies in the file of a list (blocking)."""
    try:
        parsed = parse(files.read(folder, name) or "", groups)
    except ScrError as error:
        return _Look(name, stamp, error.message)
    if parsed.mistakes:
        return _Look(name, stamp, _told(name, parsed.mistakes))
    named = tuple(dict.fromkeys(entry.group for entry in parsed.entries if entry.group))
    return _Look(name, stamp, "", parsed.own, named, len(parsed.entries), _told(name, parsed.remarks))


def _told(name: ListName, remarks: Sequence[Remark]) -> str:
    """Return the first of `remarks` for a line of the log."""
    said = "; ".join(map(str, remarks[:_TOLD]))
    return f"{said}; see scr allowlist check {name}" if len(remarks) > _TOLD else said
