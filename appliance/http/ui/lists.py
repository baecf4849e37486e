"""What a list was asked for by the page's own address: filter, order, page size, place. So every list can be linked."""

from typing import Self

import msgspec

from appliance.http.ui.view import View

ACTIVITY_SORTS = ("at", "kind", "principal")
SIZES = (25, 50, 100, 200)
_LONGEST = 255


class Asked(msgspec.Struct, frozen=True):
    """The query of a list page. What makes no sense counts as not asked for: a link may be old."""

    name: str
    sort: str
    size: int
    cursor: str
    more: dict[str, str]  # filters of this list alone

    @classmethod
    def of(cls, view: View, *, sorts: tuple[str, ...] = (), default: str = "", filters: tuple[str, ...] = ()) -> Self:
        """Read it from the address of `view`; `sorts` are the columns that can be ordered by, reversed by a "-"."""
        told = view.request.query_params
        sort = told.get("sort", default)
        size = told.get("size", "")
        return cls(
            name=told.get("name", "")[:_LONGEST],
            sort=sort if sort.removeprefix("-") in sorts else default,
            size=int(size) if size.isascii() and size.isdigit() and int(size) in SIZES else SIZES[0],
            cursor=told.get("cursor", "")[:2000],
            more={name: told.get(name, "")[:_LONGEST] for name in filters if told.get(name)},
        )

    def parameters(self) -> dict[str, object]:
        """Return what the API is asked for."""
        return {"name": self.name, "sort": self.sort, "limit": self.size, "cursor": self.cursor, **self.more}

    def here(self) -> dict[str, object]:
        """Return the page's own parameters, for links to the next page and to another order."""
        size = "" if self.size == SIZES[0] else self.size
        return {"name": self.name, "sort": self.sort, "size": size, "cursor": self.cursor, **self.more}
