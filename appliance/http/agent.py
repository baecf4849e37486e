"""What a client calls itself: foreign text on its way into records, cut and made printable at the door."""

LONGEST = 200  # characters; the longest of known clients (docker with a kernel and an upstream client) has 190


def agent_of(headers: dict[bytes, bytes]) -> str:
    """Return the User-Agent, "" for none; whatever could move a terminal's cursor or begin a line is a `?`."""
    text = headers.get(b"user-agent", b"")[:LONGEST].decode("latin-1")
    return text if text.isascii() and text.isprintable() else "".join(one if " " <= one <= "~" else "?" for one in text)
