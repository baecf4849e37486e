import os
from pathlib import Path

import msgspec
import pytest

from appliance.blobstore.bucket import Bucket, Login, Wallet, wants_path_style
from appliance.blobstore.signature import Credentials
from appliance.errors import StoreDown

BUCKET = Bucket("", "images", "", "eu-west-1", False, Login("environment"), None, "", "", 30.0)  # noqa: FBT003 - a field
PROFILES = """
[default]
aws_access_key_id = AKIDEXAMPLE
aws_secret_access_key = secret
[ci]
aws_access_key_id = CI
aws_secret_access_key = other
aws_session_token = token
[broken]
aws_access_key_id = X
"""


@pytest.mark.parametrize(
    ("endpoint", "path_style", "base"),
    [
        ("", False, "https://images.s3.eu-west-1.amazonaws.com"),
        ("", True, "https://s3.eu-west-1.amazonaws.com/images"),
        ("https://minio.example.com:9000", True, "https://minio.example.com:9000/images"),
        ("http://ceph.example.com", False, "http://images.ceph.example.com"),
    ],
)
def test_the_bucket_stands_in_the_path_or_in_the_host(endpoint: str, path_style: bool, base: str) -> None:  # noqa: FBT001
    assert msgspec.structs.replace(BUCKET, endpoint=endpoint, path_style=path_style).base == base


def test_only_aws_gets_it_in_the_host_by_itself() -> None:
    assert not wants_path_style("")
    assert not wants_path_style("https://s3.eu-west-1.amazonaws.com")
    assert wants_path_style("https://minio.example.com:9000")
    assert wants_path_style("https://amazonaws.com.example.com")


def test_the_store_is_asked_to_encrypt_by_headers() -> None:
    assert BUCKET.server_side_headers == {}
    asked = msgspec.structs.replace(BUCKET, encryption="aws:kms", kms_key="key")
    assert asked.server_side_headers == {
        "x-amz-server-side-encryption": "aws:kms",
        "x-amz-server-side-encryption-aws-kms-key-id": "key",
    }


def test_an_access_key_comes_from_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "c")

    assert Wallet(Login("environment")).find() == Credentials("a", "b", "c")

    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(StoreDown, match="are not set"):
        Wallet(Login("environment")).find()


def test_an_access_key_comes_from_a_profile_and_follows_its_file(tmp_path: Path) -> None:
    path = tmp_path / "credentials"
    path.write_text(PROFILES)

    assert Wallet(Login("file", path)).find() == Credentials("AKIDEXAMPLE", "secret")
    wallet = Wallet(Login("file", path, "ci"))
    assert wallet.find() == Credentials("CI", "other", "token")
    path.write_text(PROFILES.replace("other", "rotated"))
    os.utime(path, (1, 1))
    assert wallet.find().secret == "rotated"  # noqa: S105 - an example


@pytest.mark.parametrize(("profile", "reason"), [("nobody", "has no profile"), ("broken", "lacks")])
def test_a_profile_that_cannot_be_used_is_named(tmp_path: Path, profile: str, reason: str) -> None:
    path = tmp_path / "credentials"
    path.write_text(PROFILES)

    with pytest.raises(StoreDown, match=reason):
        Wallet(Login("file", path, profile)).find()
    with pytest.raises(StoreDown, match="cannot be read"):
        Wallet(Login("file", tmp_path / "missing", profile)).find()
