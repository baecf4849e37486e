import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.foreign import AGENT_LENGTH
from appliance.http.agent import agent_of


@given(st.binary(max_size=2 * AGENT_LENGTH))
def test_whatever_a_client_calls_itself_is_short_printable_ascii(sent: bytes) -> None:
    text = agent_of({b"user-agent": sent})

    assert len(text) <= AGENT_LENGTH
    assert all(" " <= letter <= "~" for letter in text)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (b"docker/27.0 go/go1.22 UpstreamClient(Docker-Client/27.0 \\(linux\\))",) * 2,
        (b"\x1b[2Jgone\x07", b"?[2Jgone?"),
        ("skopeo/1.0 \u202etxt".encode(), b"skopeo/1.0 ???txt"),
        (b"", b""),
    ],
)
def test_a_user_agent_keeps_what_is_harmless(sent: bytes, kept: bytes) -> None:
    assert agent_of({b"user-agent": sent}) == kept.decode()
    assert agent_of({}) == ""
