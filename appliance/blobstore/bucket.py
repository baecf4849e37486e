"""Where an object store is and who we are to it: one value that both clients of it are made from."""

import configparser
import os
import threading
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from appliance.blobstore.signature import Credentials
from appliance.errors import StoreDown

_AWS = ".amazonaws.com"


class Login(msgspec.Struct, frozen=True):
    """Where the access key comes from: variables, or a profile of a file as the vendor's own tools write it."""

    source: Literal["environment", "file"]
    file: Path = Path("~/.aws/credentials")
    profile: str = "default"


class Bucket(msgspec.Struct, frozen=True):
    """A bucket, how it is addressed, and how long it may take. `prefix` is empty or ends with "/"."""

    endpoint: str  # "https://s3.example.com:9000"; "" is AWS itself
    name: str
    prefix: str
    region: str
    path_style: bool
    login: Login
    authority: Path | None  # a PEM file of certificates to trust besides the system's
    encryption: str  # server-side: "", "AES256", "aws:kms"
    kms_key: str
    deadline_s: float  # that one thing may take, all attempts together

    @property
    def base(self) -> str:
        """The address of the bucket, without a "/" at its end."""
        server = self.endpoint or f"https://s3.{self.region}{_AWS}"
        parts = urlsplit(server)
        if self.path_style:
            return f"{server}/{self.name}"
        return f"{parts.scheme}://{self.name}.{parts.netloc}"

    @property
    def server_side_headers(self) -> dict[str, str]:
        """What asks the store to encrypt."""
        if not self.encryption:
            return {}
        headers = {"x-amz-server-side-encryption": self.encryption}
        if self.kms_key:
            headers["x-amz-server-side-encryption-aws-kms-key-id"] = self.kms_key
        return headers


def wants_path_style(endpoint: str) -> bool:
    """Whether the store at `endpoint` is likely to need the bucket in the path: all but AWS."""
    return bool(endpoint) and not (urlsplit(endpoint).hostname or "").endswith(_AWS)


class Wallet:
    """The access key in force. A file is read again when it changes, so that keys can be rotated while scr runs."""

    def __init__(self, login: Login) -> None:
        self._login = login
        self._lock = threading.Lock()
        self._stamp: tuple[int, int] | None = None
        self._held = Credentials("", "")

    def find(self) -> Credentials:
        """Return the access key (blocking, briefly). Raises StoreDown where there is none."""
        if self._login.source == "environment":
            return _from_environment()
        path = self._login.file.expanduser()
        with self._lock:
            try:
                status = path.stat()
                if (stamp := (status.st_mtime_ns, status.st_ino)) != self._stamp:
                    self._held, self._stamp = _from_file(path, self._login.profile), stamp
            except (OSError, configparser.Error, UnicodeDecodeError) as error:
                raise StoreDown(f"the credentials file {path} cannot be read: {type(error).__name__}") from error
            return self._held


def _from_environment() -> Credentials:
    found = Credentials(
        os.environ.get("AWS_ACCESS_KEY_ID", ""),
        os.environ.get("AWS_SECRET_ACCESS_KEY", ""),
        os.environ.get("AWS_SESSION_TOKEN", ""),
    )
    if not found.key_id or not found.secret:
        raise StoreDown("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set; or name a file of credentials")
    return found


def _from_file(path: Path, profile: str) -> Credentials:
    parser = configparser.RawConfigParser()
    parser.read_string(path.read_text(encoding="utf-8"))
    if not parser.has_section(profile):
        raise StoreDown(f"the credentials file {path} has no profile {profile}; it has {', '.join(parser.sections())}")
    section = parser[profile]
    found = Credentials(
        section.get("aws_access_key_id", ""),
        section.get("aws_secret_access_key", ""),
        section.get("aws_session_token", ""),
    )
    if not found.key_id or not found.secret:
        raise StoreDown(f"the profile {profile} in {path} lacks aws_access_key_id or aws_secret_access_key")
    return found
