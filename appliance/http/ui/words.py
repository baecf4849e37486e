"""Values as people read them: sizes, counts, digests, times. The filters of the templates."""

from datetime import UTC, datetime

from markupsafe import Markup

from appliance.domain.moment import DAY, HOUR, MINUTE, SECOND, Timestamp

NOTHING = "\N{EN DASH}"  # where there is no value
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


def exact_text(at: Timestamp) -> str:
    """Return a time to the second, UTC: what stands there without JavaScript, and in its title with it."""
    return datetime.fromtimestamp(at / SECOND, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def since_text(at: Timestamp, now: Timestamp) -> str:
    """Return how long ago in one unit: `3 h ago`, `in 2 d` for what is to come, `now` within a minute."""
    gone = now - at
    for length, unit in ((365 * DAY, "y"), (DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if abs(gone) >= length:
            count = abs(gone) // length
            return f"{count} {unit} ago" if gone > 0 else f"in {count} {unit}"
    return "now"


def time_tag(at: Timestamp | None, now: Timestamp, absent: str = NOTHING) -> Markup:
    """Return a `<time>` element that shows how long ago; scripts turn the exact value into the viewer's own zone."""
    if at is None:
        return Markup("<span>{}</span>").format(absent)
    exact = exact_text(at)
    machine = datetime.fromtimestamp(at / SECOND, UTC).isoformat(timespec="seconds")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(machine, exact, since_text(at, now))
