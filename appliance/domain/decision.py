"""The decisions a request goes through, in their order, each with its reason: what `scr explain` prints."""

import enum

import msgspec


class Stage(enum.StrEnum):
    """What is decided, in this order (DESIGN 4)."""

    LISTENER = "listener"
    REGISTRY = "registry"
    ENDPOINT_TYPE = "endpoint type"
    ALLOWLIST = "allowlist"
    AUTHENTICATION = "authentication"
    ACCESS_POLICY = "access policy"
    PULL_LIMIT = "pull limit"
    LOCK = "quota and lock"


class Step(msgspec.Struct, frozen=True):
    """One decision. The reason is for whoever may see the registry: it may say what a caller must not hear."""

    stage: Stage
    allowed: bool
    reason: str
