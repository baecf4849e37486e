"""The stores that a server can be started with, by name: its variables say which, whatever its scr.toml holds."""

import itertools
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import obstore

from tests.make.object_store import BUCKET, KEY, SECRET, ObjectStore, client_of

STORES = ("folder", "folder-encrypted", "s3", "s3-encrypted")
MASTER = bytes(range(32)).hex()
_PREFIXES = itertools.count()


def variables(name: str, object_store: Callable[[], ObjectStore]) -> dict[str, str]:
    """Return the variables for the store `name`; `object_store` is asked for only where there is a bucket."""
    found = {"SCR_STORAGE__ENCRYPT": "off"}
    if name.endswith("-encrypted"):
        found = {
            "SCR_STORAGE__ENCRYPT": "on",
            "SCR_STORAGE__KEY__VARIABLE": "TEST_MASTER_KEY",
            "TEST_MASTER_KEY": MASTER,
        }
    if name.startswith("s3"):
        found |= bucket_variables(object_store().endpoint)
    return found


def no_bucket() -> ObjectStore:
    """Stand for the object store where there is none."""
    raise AssertionError("a folder needs no object store")


def bucket_variables(endpoint: str) -> dict[str, str]:
    """Return the variables for a prefix of the bucket that nobody else has."""
    return {
        "SCR_STORAGE__DRIVER": "s3",
        "SCR_STORAGE__S3__ENDPOINT": endpoint,
        "SCR_STORAGE__S3__BUCKET": BUCKET,
        "SCR_STORAGE__S3__PREFIX": f"server{os.getpid()}-{next(_PREFIXES)}",
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
    }


def names_in(data: Path, given: Mapping[str, str], kind: str = "blobs") -> list[str]:
    """Return the names of all that lies in the store of the server over `data` that got `given` as variables."""
    if "SCR_STORAGE__S3__PREFIX" not in given:
        return [path.name for path in (data / kind).rglob("*") if path.is_file()]
    prefix = given["SCR_STORAGE__S3__PREFIX"]
    listed = obstore.list(client_of(given["SCR_STORAGE__S3__ENDPOINT"]), f"{prefix}/{kind}").collect()
    return [one["path"].rpartition("/")[2] for one in listed]
