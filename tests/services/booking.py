"""Books over the stock of a test, with clocks that the test holds."""

from concurrent.futures import Executor

from appliance.db.side_file import SideFile
from appliance.domain.moment import DAY
from appliance.services.books import Books, Bounds
from tests.services.conftest import House

BOUNDS = Bounds(activity_keep=400 * DAY, activity_size=1 << 30, traffic_keep=30 * DAY, traffic_size=1 << 30)


class Steady:
    """A clock of seconds that goes on when it is told to."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def open_books(house: House, executor: Executor, clock: Steady | None = None) -> Books:
    """Return books of the house's stock, not begun yet; whoever opens them closes `file`."""
    file = SideFile(house.folder / "logs.sqlite", executor, house.stock.log)
    return Books(house.stock, file, BOUNDS, clock or Steady())
