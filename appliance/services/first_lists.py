"""The allowlists that a registry begins with: written before its row, and recorded in the transaction that makes it.

So no registry is ever there without the lists it was made with. A crash in between leaves a file that nobody asks yet.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from appliance.db.activity import Detail
from appliance.domain.allowlist import Groups
from appliance.domain.endpoint import ListName
from appliance.domain.registry import Registry
from appliance.services.allowlists import Changed, Shelf, difference


class FirstLists:
    """The lists of one registry; a text with nothing in it is no list. No mistake may be in them any more."""

    def __init__(
        self,
        shelf: Shelf,
        groups: Groups,
        texts: Mapping[ListName, str],
        refresh: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Begin a registry with `texts`; `refresh` puts into force what lies there."""
        self._shelf = shelf
        self._groups = groups
        self._texts = {name: text for name, text in texts.items() if text.strip()}
        self._changed: Changed = {}
        self._refresh = refresh

    async def lay(
        self, check: Callable[[], None], begin: Callable[[Mapping[ListName, Detail]], Awaitable[Registry]]
    ) -> Registry:
        """Write the lists, then let `begin` make the registry and record what it is told of each that changed.

        `check` is asked first, and raises where it cannot be made: the lists of a registry that is there already are in
        force, and must not be others for a moment. Where `begin` fails they are as they were. Raises what these two do,
        and what `Shelf.lay` does.
        """

        async def record(changed: Changed) -> Registry:
            self._changed = changed
            return await begin(await self._shelf.run(partial(_tell, changed, self._groups)))

        return await self._shelf.lay(self._texts, check, record)

    async def take_back(self) -> None:
        """Let the lists be as they were before: the registry did not come to be.

        They may be in force already, and would go on to be for the next registry of that name, for which a list that is
        gone counts as lost.
        """
        await self._shelf.put_back(self._changed)
        if self._refresh is not None:
            await self._refresh()


def _tell(changed: Changed, groups: Groups) -> dict[ListName, Detail]:
    return {name: difference(name, before, after, groups) for name, (before, after) in changed.items()}
