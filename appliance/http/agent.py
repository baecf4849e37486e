"""What a client calls itself."""

from appliance.domain.foreign import parse_agent


def agent_of(headers: dict[bytes, bytes]) -> str:
    """Return the User-Agent as records have it, "" for none."""
    return parse_agent(headers.get(b"user-agent", b""))
