"""What every kind of declared resource has in common: the file as the one who acts, and which table a refusal is of."""

from collections.abc import Iterator
from contextlib import contextmanager

from appliance.domain.access import Principal, PrincipalKind
from appliance.domain.admission import FULL_ACCESS, Caller
from appliance.errors import ConfigInvalid, ScrError

FILE = Caller(Principal(PrincipalKind.OPERATOR, "scr.toml"), FULL_ACCESS, "local")


@contextmanager
def naming(table: str) -> Iterator[None]:
    """Say of whatever is refused which table of the file it is about."""
    try:
        yield
    except ScrError as error:
        raise ConfigInvalid(f"{table}: {error.message}") from error
