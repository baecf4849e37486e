"""When each registry served: the manual's `status.alive`, moved on once a minute."""

from collections.abc import Iterable

from appliance.db import metric_history
from appliance.db.database import Transaction
from appliance.domain.moment import MINUTE, Timestamp
from appliance.domain.registry import RegistryId
from appliance.services.tally import Taken

PACE = MINUTE  # milliseconds between two looks
_GAP = 5 * MINUTE  # longer than this nobody looked: the machine slept, or its clock was set


class Alive:
    """Which registries serve, and since when without a break."""

    def __init__(self) -> None:
        """Begin with nobody seen."""
        self.registries: frozenset[RegistryId] = frozenset()
        self._since: dict[RegistryId, tuple[Timestamp, Timestamp]] = {}  # from, until
        self._seen_at: Timestamp | None = None
        self._is_new = False

    def is_due(self, now: Timestamp) -> bool:
        """Whether it is time to look again."""
        return self._seen_at is None or abs(now - self._seen_at) >= PACE

    def see(self, registries: Iterable[RegistryId], now: Timestamp) -> None:
        """Note that `registries` serve at `now`, and no others."""
        self.registries = frozenset(registries)
        self._seen_at = now
        was, self._since = self._since, {}
        for registry in self.registries:
            since, until = was.get(registry, (now, now))
            self._since[registry] = (since if 0 <= now - until <= _GAP else now, now)
        self._is_new = True

    def take(self) -> Taken | None:
        """Hand out what was seen."""
        if not self._is_new:
            return None
        self._is_new = False
        seen = dict(self._since)

        def write(tx: Transaction) -> None:
            for registry, (since, until) in seen.items():
                metric_history.see_alive(tx, registry, since, until)

        def give_back() -> None:
            self._is_new = True

        return Taken(write, give_back)
