"""Sizes as people read them."""


def size_text(size: int | None) -> str:
    """Return a number of bytes in words a person reads: `4.2 MiB`; None is no limit."""
    if size is None:
        return "no limit"
    amount = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"
