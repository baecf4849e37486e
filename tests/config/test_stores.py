"""Settings of stores that would lose data, or keep a secret beside what it protects, are refused with their cure."""

from pathlib import Path

import pytest

from appliance.config import Sources, load
from appliance.errors import ConfigInvalid

S3 = '[storage]\ndriver = "s3"\n[storage.s3]\nbucket = "images"\n'
KEY = '[storage.key]\nvariable = "KEY"\n'


def loaded(tmp_path: Path, text: str) -> None:
    path = tmp_path / "scr.toml"
    path.write_text(text)
    load(Sources(path))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('[storage]\ndriver = "s3"\n', "no bucket is named"),
        (S3, "there is no master key"),
        ('[storage]\nencrypt = "on"\n', "there is no master key"),
        (S3 + KEY + 'command = ["cat", "key"]\n', "variable and command"),
        ('[storage.key]\nfile = "data/keys/master"\n', "lies in the data folder"),
        (S3 + 'redirect = "61s"\n' + KEY, "60s"),
        (S3 + 'kms_key = "k"\n' + KEY, "aws:kms"),
        ('[storage.s3]\nbucket = "a/b"\n', "folders go into prefix"),
        ('[storage.s3]\nbucket = "a"\nprefix = "x//y"\n', "empty part"),
        ("[database]\nwait_for_replica = true\n", "needs replicated"),
    ],
)
def test_it_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(ConfigInvalid, match=reason):
        loaded(tmp_path, text)


@pytest.mark.parametrize(
    "text",
    [
        S3 + KEY,
        S3.replace('driver = "s3"', 'driver = "s3"\nencrypt = "off"'),
        S3.replace('driver = "s3"', 'driver = "local"'),
        '[storage]\nencrypt = "on"\n' + KEY,
        '[storage.key]\nfile = "master.key"\n',
        "[database]\nreplicated = true\nwait_for_replica = true\n",
    ],
)
def test_it_is_taken(tmp_path: Path, text: str) -> None:
    loaded(tmp_path, text)
