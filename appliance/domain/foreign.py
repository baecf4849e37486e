"""Foreign text on its way into records: cut, and made harmless to whoever reads it."""

AGENT_LENGTH = 200  # characters; the longest of known clients (docker with a kernel and an upstream client) has 190


def printable(text: str) -> str:
    """Return `text` with a `?` for all that could move a cursor, begin a line or look like another letter."""
    return text if text.isascii() and text.isprintable() else "".join(one if " " <= one <= "~" else "?" for one in text)


def parse_agent(sent: bytes) -> str:
    """Return what a client calls itself (RFC 9110, 10.1.5) as records have it."""
    return printable(sent[:AGENT_LENGTH].decode("latin-1"))
