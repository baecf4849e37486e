"""Values as people read them: sizes, counts, digests, times. The filters of the templates."""

from datetime import UTC, datetime

from markupsafe import Markup

NOTHING = "\N{EN DASH}"  # where there is no value
_SPANS = ((365 * 86_400, "y"), (86_400, "d"), (3600, "h"), (60, "min"))  # seconds
_UNITS = ("KiB", "MiB", "GiB", "TiB")


def size_text(size: float | None) -> str:
    """Return bytes in human units: `4.2 MiB`; NOTHING where there is no number."""
    if size is None:
        return NOTHING
    if size < 1024:
        return f"{size:.0f} B"
    amount = float(size)
    for unit in _UNITS:
        amount /= 1024
        if amount < 1024 or unit == _UNITS[-1]:
            break
    return f"{amount:.0f} {unit}" if amount >= 100 else f"{amount:.1f} {unit}"


def count_text(count: int) -> str:
    """Return a whole number with thin spaces between thousands: `12 345`."""
    return f"{count:,}".replace(",", "\u202f")


def digest_text(digest: str) -> str:
    """Return the first characters of a digest, enough to tell two apart: `sha256:0123456789ab`."""
    algorithm, _, hexadecimal = digest.partition(":")
    return f"{algorithm}:{hexadecimal[:12]}"


def exact_text(at: datetime) -> str:
    """Return a time to the second, UTC: what stands there without JavaScript, and in its title with it."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def since_text(at: datetime, now: datetime) -> str:
    """Return how long ago in one unit: `3 h ago`, `in 2 d` for what is to come, `now` within a minute."""
    gone = (now - at).total_seconds()
    for length, unit in _SPANS:
        if abs(gone) >= length:
            count = int(abs(gone) // length)
            return f"{count} {unit} ago" if gone > 0 else f"in {count} {unit}"
    return "now"


def time_tag(at: datetime | None, now: datetime, absent: str = NOTHING) -> Markup:
    """Return a `<time>` element that shows how long ago; scripts turn the exact value into the viewer's own zone."""
    if at is None:
        return Markup("<span>{}</span>").format(absent)
    machine = at.astimezone(UTC).isoformat(timespec="seconds")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(machine, exact_text(at), since_text(at, now))
