"""What a client calls itself: foreign text on its way into records, cut and made printable at the door."""

LONGEST = 200  # characters; the longest of known clients (docker with a kernel and an upstream client) has 190


def agent_of(headers: dict[bytes, bytes]) -> str:
    """Return the User-Agent, "" for none."""
    return printable(headers.get(b"user-agent", b"")[:LONGEST].decode("latin-1"))


def printable(text: str) -> str:
    """Return `text` with a `?` for all that could move a cursor, begin a line or look like another letter."""
    return text if text.isascii() and text.isprintable() else "".join(one if " " <= one <= "~" else "?" for one in text)
