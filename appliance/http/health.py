"""Health: is the process there, and can it serve.

`assemble.py` adds the checks; each is asked anew, with a time of its own, so that one that hangs hides no other.
"""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

READY, DEGRADED, DOWN = "ready", "degraded", "down"
_PATIENCE_S = 5.0  # seconds for one check; probes give up after some ten


class Check(msgspec.Struct, frozen=True):
    """One thing that was looked at; `detail` says what to do where it is not well."""

    name: str
    ok: bool
    detail: str = ""


class Health(msgspec.Struct, frozen=True):
    """The answer of `/health/ready`: ready, degraded (serves, but somebody must look), or down."""

    status: str
    checks: tuple[Check, ...]

    @property
    def code(self) -> int:
        """The HTTP status: a probe that takes a degraded registry away would make things worse."""
        return 503 if self.status == DOWN else 200


LIVE = Health("live", ())

Look = Callable[[], Awaitable[Check]]


class Checks:
    """The things `/health/ready` looks at."""

    def __init__(self) -> None:
        """Begin with none: ready."""
        self._looks: dict[str, tuple[Look, bool]] = {}

    def add(self, name: str, look: Look, *, is_vital: bool = False) -> None:
        """Ask `look` for the check `name`. Without a vital thing the registry is down, without another degraded."""
        self._looks[name] = look, is_vital

    def drop(self, name: str) -> None:
        """Forget a check."""
        self._looks.pop(name, None)

    async def report(self) -> Health:
        """Look at everything at once."""
        looks = list(self._looks.items())
        found = await asyncio.gather(*(_ask(name, look) for name, (look, _) in looks))
        if any(is_vital and not check.ok for (_, (_, is_vital)), check in zip(looks, found, strict=True)):
            status = DOWN
        else:
            status = READY if all(check.ok for check in found) else DEGRADED
        return Health(status, tuple(found))


async def _ask(name: str, look: Look) -> Check:
    """Return the check; one that fails or hangs is not well. The answer is public, so it says no more than that."""
    try:
        async with asyncio.timeout(_PATIENCE_S):
            return await look()
    except TimeoutError:
        return Check(name, ok=False, detail=f"no answer within {_PATIENCE_S:.0f} s")
    except Exception as error:  # noqa: BLE001 - whatever is wrong with the thing, it is not well
        return Check(name, ok=False, detail=f"the check failed: {type(error).__name__}")
