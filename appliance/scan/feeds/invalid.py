"""The error of all feeds, and what decoding a hostile record may raise."""

import msgspec

from appliance.errors import Invalid

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, OverflowError)


class FeedInvalid(Invalid):
    """Vulnerability data that cannot be imported: not the form it claims, a version unknown here, or broken."""
