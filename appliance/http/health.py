"""Health: is the process there, and can it serve."""

import msgspec


class Check(msgspec.Struct, frozen=True):
    """One thing that was looked at; `detail` says what to do where it is not well."""

    name: str
    ok: bool
    detail: str = ""


class Health(msgspec.Struct, frozen=True):
    """The answer of `/health/ready`: ready, degraded (serves, but somebody must look), or down."""

    status: str
    checks: tuple[Check, ...]
