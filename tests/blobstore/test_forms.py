from hypothesis import given
from hypothesis import strategies as st

from appliance.blobstore.cipher import E1, PIECE
from appliance.blobstore.forms import PLAIN, form_of, size_in, size_of
from appliance.domain.names import Digest
from tests.blobstore.conftest import forms

DIGEST = Digest("sha256:" + "00" * 32)
CONTENT = bytes(range(256)) * 1024


@given(size=st.integers(0, 40 * PIECE))
def test_the_size_of_a_file_tells_that_of_its_content(size: int) -> None:
    assert [size_in(form, size_of(form, size)) for form in (PLAIN, E1)] == [size, size]


@given(size=st.integers(0, len(CONTENT)))
def test_a_small_file_opens_to_what_it_was_made_of(size: int) -> None:
    for known in (forms(encrypts=False), forms(encrypts=True)):
        raw = known.seal_whole(DIGEST, CONTENT[:size])

        assert len(raw) == size_of(known.new, size)
        assert known.open_whole(known.new, raw) == CONTENT[:size]


def test_the_form_stands_behind_the_name() -> None:
    assert [form_of(suffix) for suffix in ("", ".e1", ".e2", ".")] == [PLAIN, E1, None, None]
