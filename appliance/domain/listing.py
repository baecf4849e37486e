"""What a list is asked for: in which order, from where on, and which entries."""

import msgspec

from appliance.domain.resource_tags import TagFilter


class Order(msgspec.Struct, frozen=True):
    """By which column a list is sorted: `name`, or a time with the row's id behind it."""

    by: str = "name"
    descending: bool = False


NEWEST_REMOVED = Order("removed", descending=True)


class Listing(msgspec.Struct, frozen=True):
    """A list of registries or repositories: their order, and which of them."""

    order: Order = Order()
    contains: str = ""  # in the name
    tag: TagFilter | None = None
    removed: bool = False  # those in recycle, the newest first, instead of the live ones

    @property
    def effective(self) -> Order:
        """The order it is in: what is in recycle is shown by its removal."""
        return NEWEST_REMOVED if self.removed else self.order


class ImageListing(msgspec.Struct, frozen=True):
    """A list of images: their order (`path`, `-pushed`, ...), and which of them."""

    order: str = "path"
    repository: str | None = None
    contains: str = ""  # in the path
    tag: TagFilter | None = None


def parse_order(text: str) -> Order:
    """Return what `name` or `-created` asks for."""
    return Order(text.removeprefix("-"), text.startswith("-"))
