"""What a form sent: read field by field, each mistake kept beside its field, so that the page shows all of them.

The token against forgery is checked where a form is read: no handler can forget it.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar
from urllib.parse import parse_qs

from appliance.errors import Denied, QueryInvalid, ScrError
from appliance.http.ui.backend import Refused

Value = TypeVar("Value")

MAX_FIELDS = 2000  # of one form: the longest list that can be selected is 50
_TOKEN = "csrf"  # noqa: S105 - the name of the field


class Form:
    """The fields of one form, and what is wrong with them."""

    def __init__(self, values: dict[str, list[str]]) -> None:
        """Hold `values` by field."""
        self._values = values
        self.errors: dict[str, str] = {}

    def text(self, name: str) -> str:
        """Return the field's text, "" where there is none."""
        return self._values.get(name, [""])[0].strip()

    def secret(self, name: str) -> str:
        """Return a field as it was typed, spaces at its ends included."""
        return self._values.get(name, [""])[0]

    def texts(self, name: str) -> list[str]:
        """Return all values of a field that may be there several times, in their order; empty ones left out."""
        return [value.strip() for value in self._values.get(name, []) if value.strip()]

    def switch(self, name: str) -> bool:
        """Whether the checkbox was on."""
        return bool(self.text(name))

    def parsed(self, name: str, parse: Callable[[str], Value], instead: Value) -> Value:
        """Return what `parse` makes of the field; what it raises is kept as the field's error, `instead` returned."""
        try:
            return parse(self.text(name))
        except (ScrError, ValueError) as error:
            self.errors[name] = error.message if isinstance(error, ScrError) else str(error)
            return instead

    def number(self, name: str, low: int, high: int, instead: int) -> int:
        """Return a whole number from `low` to `high`."""

        def parse(text: str) -> int:
            if not (text.isascii() and text.isdigit() and low <= int(text[:19]) <= high):
                raise ValueError(f"a whole number from {low} to {high}")
            return int(text)

        return self.parsed(name, parse, instead)

    def choice(self, name: str, values: Sequence[str], instead: str) -> str:
        """Return one of `values`."""
        found = self.text(name)
        if found not in values:
            self.errors[name] = f"one of {', '.join(values)}"
            return instead
        return found

    def optional_number(self, name: str, low: int, high: int) -> int | None:
        """Return a whole number from `low` to `high`, None for an empty field."""
        return self.number(name, low, high, low) if self.text(name) else None

    def pairs(self, keys: str, values: str, most: int) -> list[tuple[str, str]]:
        """Return the lines of a table of two fields each; lines without a key are left out."""
        told = zip(self._values.get(keys, []), self._values.get(values, []), strict=False)
        return [(key.strip(), value.strip()) for key, value in told if key.strip()][:most]

    def check(self) -> None:
        """Raise Refused, without a word of its own, where a field is wrong."""
        if self.errors:
            raise Refused(422, "", "")

    def refuse(self, error: Refused, fields: Sequence[str] = ()) -> None:
        """Keep what the API said: beside the one of `fields` that its sentence is about, else above the form."""
        if not error.detail:
            return  # the form's own mistakes stand there
        words = error.detail.lower()
        self.errors[next((name for name in fields if name in words), "")] = error.detail


def read_form(body: bytes, media_type: str, is_token: Callable[[str], bool]) -> Form:
    """Return the form in `body`. Raises QueryInvalid for another form of body, Denied without the page's own token."""
    if media_type.partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise QueryInvalid("a form is sent as application/x-www-form-urlencoded; use the page's own form")
    try:
        values = parse_qs(body.decode(), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise QueryInvalid("the form is not well formed, or has too many fields; load the page again") from error
    form = Form(values)
    if not is_token(form.text(_TOKEN)):
        raise Denied("the form was not sent from a page of yours, or the page is too old; load it again")
    return form
