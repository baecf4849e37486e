"""The stores: the data folder, perhaps a bucket, what they encrypt with, and the cache before the bucket."""

import asyncio
import os
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec

from appliance.assemble.folder import DataFolder
from appliance.blobstore.bucket import Bucket, Login, wants_path_style
from appliance.blobstore.cache import Cache
from appliance.blobstore.files import Files
from appliance.blobstore.forms import PLAIN, Forms
from appliance.blobstore.keyring import mark_of, parse_master
from appliance.blobstore.local import LocalStore
from appliance.blobstore.parts import Journal
from appliance.blobstore.patience import Budget
from appliance.blobstore.proof import Step, prove
from appliance.blobstore.s3 import S3Store
from appliance.blobstore.store import BlobStore
from appliance.blobstore.stores import Stores
from appliance.config import Config
from appliance.db import blobs
from appliance.db.database import Database
from appliance.domain.moment import Timestamp
from appliance.errors import ConfigInvalid, StoreRefused
from appliance.logs import Log
from appliance.services import attic, snapshots
from appliance.services.multiparts import Multiparts
from appliance.services.vault import Vault

_COMMAND_S = 30  # that the command may take which prints the master key
_CREDENTIALS = Path("~/.aws/credentials")


class Storage(msgspec.Struct, frozen=True):
    """What there is. `store` is where everything goes and comes from."""

    store: BlobStore
    forms: Forms
    bucket: S3Store | None
    vault: Vault | None


async def open_storage(
    stack: AsyncExitStack,
    folder: DataFolder,
    config: Config,
    files: Files,
    executor: Executor,
    database: Database,
    clock: Callable[[], Timestamp],
    log: Log,
) -> Storage:
    """Open the stores that `config` names; leaving `stack` closes them.

    Raises ConfigInvalid where blobs lie in a store, or are encrypted with a key, that `config` does not give.
    """
    forms = Forms(encrypts=config.storage.encrypts)
    bucket = None
    if config.storage.s3.bucket:
        journal = Multiparts(database, clock)
        bucket = _open_bucket(folder, config, forms, files, executor, journal)
        stack.callback(bucket.close)
    vault = None
    if (master := find_master(config)) is not None:
        vault = Vault(folder.path / "keys", files, forms, bucket, master, clock, log)
        await vault.open()
    local = LocalStore(folder.path, files, executor, forms)
    for driver, form in await database.read(blobs.list_places):
        _check_place(driver, form, bucket, vault)
    store: BlobStore = local
    if bucket is not None:
        store = Stores(bucket, local) if config.storage.driver == "s3" else Stores(local, bucket)
    return Storage(store, forms, bucket, vault)


def _check_place(driver: str, form: str, bucket: S3Store | None, vault: Vault | None) -> None:
    """Refuse to start where blobs could not be read."""
    if driver == "s3" and bucket is None:
        raise ConfigInvalid("blobs lie in a bucket, and [storage.s3] names none; put its lines back into scr.toml")
    if form != PLAIN and vault is None:
        raise ConfigInvalid("blobs are encrypted, and [storage.key] names no master key; put its line back")


def _open_bucket(
    folder: DataFolder, config: Config, forms: Forms, files: Files, executor: Executor, journal: Journal
) -> S3Store:
    section = config.storage.s3
    cache = None
    if section.cache:
        reserve = config.storage.min_free

        def room() -> int:
            return folder.free_bytes() - reserve.of(folder.size_bytes())

        cache = Cache(folder.path / "cache" / "blobs", section.cache, forms, files, executor, room)
    try:
        return S3Store(bucket_of(config), forms, executor, Budget(section.buffer), journal, cache)
    except StoreRefused as error:
        raise ConfigInvalid(f"[storage.s3]: {error.message}") from error


async def fetch_snapshot(
    folder: DataFolder, config: Config, files: Files, executor: Executor, clock: Callable[[], Timestamp], log: Log
) -> None:
    """Bring the newest snapshot of the database from the bucket into the folder, and the keyring it needs.

    Raises ConfigInvalid, StoreFailed where the bucket does not answer.
    """
    forms = Forms(encrypts=config.storage.encrypts)
    bucket = S3Store(bucket_of(config), forms, executor, Budget(config.storage.s3.buffer), _Unwritten())
    try:
        if (master := find_master(config)) is not None:
            await Vault(folder.path / "keys", files, forms, bucket, master, clock, log).open()
        target = folder.path / snapshots.FOLDER
        await asyncio.get_running_loop().run_in_executor(executor, attic.fetch_newest, bucket, forms, target, files)
    finally:
        bucket.close()


async def check_bucket(config: Config) -> tuple[Step, ...]:
    """Prove that the bucket of `config` can be used; no server is needed. Raises ConfigInvalid."""
    if not config.storage.s3.bucket:
        raise ConfigInvalid("[storage.s3] names no bucket to check")
    with ThreadPoolExecutor(1) as executor:
        try:
            store = S3Store(bucket_of(config), Forms(), executor, Budget(config.storage.s3.buffer), _Unwritten())
        except StoreRefused as error:
            raise ConfigInvalid(f"[storage.s3]: {error.message}") from error
        try:
            return (*await prove(store), *await asyncio.to_thread(_prove_master, config))
        finally:
            store.close()


def _prove_master(config: Config) -> tuple[Step, ...]:
    """Try what the master key comes from, where one is named: a server has it since its start, else nobody has yet."""
    began = time.monotonic()
    try:
        if (master := find_master(config)) is None:
            return ()
        ok, detail = True, mark_of(master)
    except ConfigInvalid as error:
        ok, detail = False, error.message
    return (Step("master key", ok, round((time.monotonic() - began) * 1000, 1), detail),)


class _Unwritten:
    """A Journal where nothing is stored that would have to be found again."""

    async def begin(self, key: str, upload: str) -> None:
        del key, upload

    async def end(self, upload: str) -> None:
        del upload


def bucket_of(config: Config) -> Bucket:
    """Return the bucket that `config` names."""
    section = config.storage.s3
    login = Login(section.credentials, section.credentials_file or _CREDENTIALS, section.profile)
    prefix = section.prefix.strip("/")
    style = section.path_style
    return Bucket(
        endpoint=section.endpoint,
        name=section.bucket,
        prefix=f"{prefix}/" if prefix else "",
        region=section.region,
        path_style=wants_path_style(section.endpoint) if style == "auto" else style == "on",
        login=login,
        authority=section.authority,
        encryption="" if section.server_side_encryption == "off" else section.server_side_encryption,
        kms_key=section.kms_key,
        deadline_s=section.deadline.seconds,
    )


def find_master(config: Config) -> bytes | None:
    """Return the master key that `config` points to, or None (blocking). Raises ConfigInvalid where it is not there."""
    section = config.storage.key
    if section.file is not None:
        return parse_master(_from_file(section.file))
    if section.variable:
        if section.variable not in os.environ:
            raise ConfigInvalid(f"[storage.key] variable: {section.variable} is not set in the environment of scr")
        return parse_master(os.environ[section.variable])
    if section.command:
        return parse_master(_from_command(section.command))
    return None


def _from_file(path: Path) -> str:
    try:
        with path.open(encoding="ascii", errors="replace") as file:
            return file.readline(1024)
    except OSError as error:
        raise ConfigInvalid(
            f"[storage.key] file: {path} cannot be read: {error.strerror}; scr storage key makes one"
        ) from error


def _from_command(command: tuple[str, ...]) -> str:
    try:
        ended = subprocess.run(  # noqa: S603 - the operator's own command, word by word and without a shell
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=_COMMAND_S, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        reason = type(error).__name__ if isinstance(error, subprocess.SubprocessError) else str(error)
        raise ConfigInvalid(f"[storage.key] command: {command[0]} did not print the key: {reason}") from error
    return ended.stdout[:1024].decode("ascii", errors="replace")
