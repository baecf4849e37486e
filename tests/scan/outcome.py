"""What a parser made of bytes: a value or a sentence. Any other error is the test's failure."""

from collections.abc import Callable, Iterator
from typing import TypeVar

from appliance.errors import ScrError
from appliance.scan.detector import Fact
from appliance.scan.limits import Shortcoming

Value = TypeVar("Value")


def outcome(call: Callable[[], Value]) -> Value | str:
    """Return what `call` returns, or the sentence of the program's own error."""
    try:
        return call()
    except (ScrError, Shortcoming) as error:
        return error.message


def gathered(facts: Iterator[Fact]) -> tuple[list[Fact], str]:
    """Return the facts up to the first error, and its sentence; "" if there was none."""
    found: list[Fact] = []
    while True:
        try:
            fact = next(facts, None)
        except (ScrError, Shortcoming) as error:
            return found, error.message
        if fact is None:
            return found, ""
        found.append(fact)
