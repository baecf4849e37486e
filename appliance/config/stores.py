"""What of the stores' settings does not go together, would lose data, or keep a secret beside what it protects."""

import json

from appliance.config.sections import Config
from appliance.errors import ConfigInvalid

LONGEST_REDIRECT = 60_000  # milliseconds that a presigned address may work

_BUCKET = """\
[storage.s3]
endpoint = "https://s3.example.com"
bucket = "images"
"""
_KEY = """\
[storage.key]
file = "/etc/scr/master.key"  # scr storage key > /etc/scr/master.key
"""
_PLAIN = """\
[storage]
encrypt = "off"
"""


def check(config: Config) -> None:
    """Raise ConfigInvalid with the lines of `scr.toml` that mend it."""
    storage, bucket, key = config.storage, config.storage.s3, config.storage.key
    if storage.driver == "s3" and not bucket.bucket:
        raise ConfigInvalid(
            f'[storage] driver is "s3", and no bucket is named. These lines of scr.toml do:\n\n{_BUCKET}'
        )
    given = [name for name in ("file", "variable", "command") if getattr(key, name)]
    if len(given) > 1:
        raise ConfigInvalid(f"[storage.key] has {' and '.join(given)}; the master key comes from one of them")
    if storage.encrypts and not given:
        where = f"the bucket {bucket.bucket}" if storage.driver == "s3" else "the data folder"
        raise ConfigInvalid(
            f"blobs in {where} are to be encrypted, and there is no master key.\n"
            f"These lines of scr.toml name one:\n\n{_KEY}\nIf nothing shall be encrypted:\n\n{_PLAIN}"
        )
    if key.file is not None and key.file.resolve().is_relative_to(storage.data_dir.resolve()):
        raise ConfigInvalid(
            f"[storage.key] file {key.file} lies in the data folder: who gets the folder has the key, and who loses it"
            " loses both; keep it elsewhere"
        )
    if bucket.bucket and bucket.redirect > LONGEST_REDIRECT:
        raise ConfigInvalid(
            '[storage.s3] redirect: expected "60s" at most; an address that leaks must not work for long'
        )
    if bucket.kms_key and bucket.server_side_encryption != "aws:kms":
        raise ConfigInvalid('[storage.s3] kms_key is for server_side_encryption = "aws:kms"; set that, or take it out')
    _check_names(config)
    if config.database.wait_for_replica and not config.database.replicated:
        raise ConfigInvalid("[database] wait_for_replica needs replicated = true, and Litestream running")


def _check_names(config: Config) -> None:
    bucket = config.storage.s3
    if "/" in bucket.bucket or (bucket.bucket and bucket.bucket != bucket.bucket.strip()):
        raise ConfigInvalid(f"[storage.s3] bucket: {json.dumps(bucket.bucket)} is no name; folders go into prefix")
    parts = bucket.prefix.strip("/").split("/")
    if bucket.prefix and any(part in ("", ".", "..") for part in parts):
        raise ConfigInvalid(f'[storage.s3] prefix: {json.dumps(bucket.prefix)} has an empty part; write it as "scr/"')
