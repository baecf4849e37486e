"""What `scr doctor` writes down: one finding a thing it looked at."""

import enum

import msgspec


class State(enum.StrEnum):
    """How a thing is."""

    OK = "ok"
    WARNING = "warning"  # it works, and somebody should look
    PROBLEM = "problem"
    SKIPPED = "skipped"


class Finding(msgspec.Struct, frozen=True):
    """What was looked at, how it is, what was seen, and what to do about it."""

    name: str
    state: State
    detail: str
    cure: str = ""


def well(name: str, detail: str) -> Finding:
    """Return that a thing is as it should be."""
    return Finding(name, State.OK, detail)


def warning(name: str, detail: str, cure: str) -> Finding:
    """Return that somebody should look."""
    return Finding(name, State.WARNING, detail, cure)


def problem(name: str, detail: str, cure: str) -> Finding:
    """Return that a thing is broken."""
    return Finding(name, State.PROBLEM, detail, cure)


def skipped(name: str, detail: str, cure: str = "") -> Finding:
    """Return that a thing could not be looked at."""
    return Finding(name, State.SKIPPED, detail, cure)
