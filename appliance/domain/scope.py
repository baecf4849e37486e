"""What a token is asked for and may be used for: `repository:pay/api:pull,push`, as clients write it.

A scope only narrows. What cannot be understood of one is left out, never refused: a client that asks for more than
there is gets what there is. Spec: distribution, "Token Scope Documentation".
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec

from appliance.domain.access import Action
from appliance.domain.names import ImagePath, parse_image_path
from appliance.errors import NameInvalid

MAX_BYTES = 24 << 10  # of the scopes of one token; the headers of a request may have 64 KiB
WORDS = {"pull": Action.PULL, "push": Action.PUSH, "delete": Action.DELETE}
_TYPE = re.compile(r"(repository|registry)(?:\([a-z0-9]+\))?")  # a class in brackets says nothing to us
CATALOG = "registry:catalog:*"
MANAGEMENT = "registry:management:*"


class Scopes(msgspec.Struct, frozen=True):
    """Image actions by path, the catalogue, and the management API: "" not at all, "view" to look, "*" all of it."""

    images: Mapping[ImagePath, frozenset[Action]] = {}
    has_catalog: bool = False
    management: str = ""

    def allows(self, action: Action, path: ImagePath) -> bool:
        """Whether the image action is in it."""
        actions = self.images.get(path)
        return actions is not None and action in actions

    def manages(self, action: Action) -> bool:
        """Whether what is done through the management API is in it."""
        return self.management == "*" or (self.management == "view" and action.startswith("View"))

    def __str__(self) -> str:
        """Return the scopes as a client writes them, separated by spaces."""
        return " ".join(self._written())

    def _written(self) -> Iterator[str]:
        for path, actions in self.images.items():
            yield f"repository:{path}:{','.join(word for word, action in WORDS.items() if action in actions)}"
        if self.has_catalog:
            yield CATALOG
        if self.management:
            yield f"registry:management:{self.management}"


def parse_scopes(texts: Iterable[str], *, strict: bool = False) -> Scopes:
    """Return what `texts` ask for, each of them one scope or several with spaces between."""
    images: dict[ImagePath, frozenset[Action]] = {}
    has_catalog = False
    management = ""
    size = 0
    for one in (word for text in texts for word in text.split()):
        kind, name, actions = _split(one)
        if kind == "registry":
            has_catalog = has_catalog or (name == "catalog" and "*" in actions)
            if name == "management" and management != "*":
                management = next((word for word in ("*", "view") if word in actions), management)
        if kind != "repository" or (path := _path(name, strict=strict)) is None:
            continue
        found = frozenset(action for word, action in WORDS.items() if word in actions or "*" in actions)
        size += len(one) + 32
        if found and size <= MAX_BYTES:
            images[path] = images.get(path, frozenset()) | found
    return Scopes(images, has_catalog, management)


def _split(text: str) -> tuple[str, str, frozenset[str]]:
    """Return type, name and actions; the name may have a colon in it, that of a host's port."""
    kind, _, rest = text.partition(":")
    name, _, actions = rest.rpartition(":")
    found = _TYPE.fullmatch(kind)
    return (found[1] if found else ""), name, frozenset(actions.split(","))


def _path(name: str, *, strict: bool) -> ImagePath | None:
    """Return the canonical path of an image, without the host some clients write before it; None for no name."""
    first, slash, rest = name.partition("/")
    try:
        return parse_image_path(rest if slash and ":" in first else name, strict=strict)
    except NameInvalid:
        return None


def narrow(scopes: Scopes, may: Callable[[ImagePath, Action], bool]) -> Scopes:
    """Return `scopes` with those image actions only that `may` be done."""
    kept = {
        path: frozenset(action for action in actions if may(path, action)) for path, actions in scopes.images.items()
    }
    return msgspec.structs.replace(scopes, images={path: actions for path, actions in kept.items() if actions})
