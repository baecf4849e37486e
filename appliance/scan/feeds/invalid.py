"""The error of all feeds."""

from appliance.errors import Invalid


class FeedInvalid(Invalid):
    """Vulnerability data that cannot be imported: not the form it claims, a version unknown here, or broken."""
