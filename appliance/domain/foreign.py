"""Foreign text on its way into records and before eyes: cut, and made harmless to whoever reads it."""

import re

AGENT_LENGTH = 200  # characters; the longest of known clients (docker with a kernel and an upstream client) has 190

# controls, and what turns the direction of text round or hides in it ("Trojan Source", CVE-2021-42574)
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\ufff9-\ufffb]"
)
_CUT = " … "


def seen(text: str) -> str:
    """Return `text` with what cannot be seen made visible: as a picture of the control character, or as `<U+202E>`."""
    return _UNSEEN.sub(_name, text)


def brief(text: str, most: int) -> str:
    """Return `text` as `seen` makes it, its middle left out where it has more than `most` characters."""
    if len(text) <= most:
        return seen(text)
    end = most // 3
    return seen(text[: most - end]) + _CUT + seen(text[-end:])


def _name(found: re.Match[str]) -> str:
    code = ord(found[0])
    return chr(0x2400 + code) if code < 0x20 else f"<U+{code:04X}>"


def printable(text: str) -> str:
    """Return `text` with a `?` for all that could move a cursor, begin a line or look like another letter."""
    return text if text.isascii() and text.isprintable() else "".join(one if " " <= one <= "~" else "?" for one in text)


def parse_agent(sent: bytes) -> str:
    """Return what a client calls itself (RFC 9110, 10.1.5) as records have it."""
    return printable(sent[:AGENT_LENGTH].decode("latin-1"))
