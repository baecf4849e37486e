import base64

import pytest

from appliance.blobstore.cipher import FileCipher
from appliance.blobstore.keyring import Keyring, parse_master
from appliance.domain.moment import Timestamp
from appliance.domain.names import Digest
from appliance.errors import BlobBroken, ConfigInvalid, StoreFailed
from tests.blobstore.conftest import MASTER

OTHER = bytes(reversed(MASTER))
NOW = Timestamp(1)
DIGEST = Digest("sha256:" + "00" * 32)


def sealed_by(ring: Keyring) -> tuple[bytes, bytes]:
    """Return header and chunk of a small file."""
    cipher = ring.new()
    chunk = bytearray(5 + 16)
    cipher.seal(b"hello", 0, memoryview(chunk), is_last=True)
    return cipher.header(DIGEST, 5), bytes(chunk)


def opened_by(ring: Keyring, file: tuple[bytes, bytes]) -> bytes:
    return bytes(ring.of(file[0]).open_range([file[1]], 5, 0))


@pytest.mark.parametrize("text", [MASTER.hex(), MASTER.hex().upper() + "\n", base64.b64encode(MASTER).decode()])
def test_a_master_key_is_read_in_both_ways_of_writing_it(text: str) -> None:
    assert parse_master(text) == MASTER


@pytest.mark.parametrize("text", ["", "secret", MASTER.hex()[:-1], MASTER.hex() + "00", "AAAA"])
def test_anything_else_is_no_master_key(text: str) -> None:
    with pytest.raises(ConfigInvalid, match="32 bytes"):
        parse_master(text)


def test_a_ring_tells_nothing_without_its_master_key() -> None:
    content = Keyring.make(MASTER, NOW).encode()

    with pytest.raises(ConfigInvalid, match="does not open"):
        Keyring.decode(content, OTHER)


def test_a_ring_that_was_written_opens_what_it_sealed() -> None:
    ring = Keyring.make(MASTER, NOW)
    file = sealed_by(ring)

    assert opened_by(Keyring.decode(ring.encode(), MASTER), file) == b"hello"


def test_a_new_master_key_changes_the_ring_only_and_both_open_it_until_it_is_settled() -> None:
    ring = Keyring.make(MASTER, NOW)
    file = sealed_by(ring)

    both = ring.with_master(OTHER, MASTER)
    settled = both.settled(OTHER)

    assert [opened_by(Keyring.decode(both.encode(), key), file) for key in (MASTER, OTHER)] == [b"hello"] * 2
    assert opened_by(Keyring.decode(settled.encode(), OTHER), file) == b"hello"
    assert (ring.is_settled, both.is_settled, settled.is_settled) == (True, False, True)
    assert (both.is_newest, Keyring.decode(both.encode(), MASTER).is_newest) == (True, False)
    with pytest.raises(ConfigInvalid, match="does not open"):
        Keyring.decode(settled.encode(), MASTER)


def test_a_new_data_key_is_for_new_files_and_the_old_ones_stay_readable() -> None:
    ring = Keyring.make(MASTER, NOW)
    old = sealed_by(ring)

    newer = ring.with_new_key(MASTER, NOW)

    assert newer.new().key_id != ring.new().key_id
    assert opened_by(newer, old) == opened_by(newer, sealed_by(newer)) == b"hello"
    with pytest.raises(StoreFailed, match="not in the keyring"):
        ring.of(sealed_by(newer)[0])


def test_a_ring_that_was_changed_is_not_believed() -> None:
    ring = Keyring.make(MASTER, NOW)
    wrap = ring.ring.keys[0].wraps[0]
    content = ring.encode()
    changed = bytes([wrap.sealed[0] ^ 1]) + wrap.sealed[1:]

    with pytest.raises(ConfigInvalid, match="was changed"):
        Keyring.decode(content.replace(base64.b64encode(wrap.sealed), base64.b64encode(changed)), MASTER)
    with pytest.raises(ConfigInvalid, match="cannot be read"):
        Keyring.decode(content[:-5], MASTER)


def test_a_header_made_with_another_key_is_refused() -> None:
    ring = Keyring.make(MASTER, NOW)
    header = FileCipher(OTHER, ring.ring.active).header(DIGEST, 5)

    with pytest.raises(BlobBroken, match="header"):
        ring.of(header).check(header)
