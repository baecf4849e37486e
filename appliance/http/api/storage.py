"""`/api/v1/storage`: the stores in use, what lies where, keys and cache; checks, and the change of keys."""

from datetime import datetime

import msgspec
from litestar import get, post
from litestar.params import JSONBody

from appliance.blobstore.cache import CacheState
from appliance.blobstore.forms import PLAIN
from appliance.blobstore.keyring import parse_master
from appliance.blobstore.proof import Step, prove
from appliance.blobstore.s3 import S3Store
from appliance.blobstore.stores import bucket_of
from appliance.db import activity, blobs
from appliance.db.activity import About
from appliance.domain.access import Action, PrincipalKind
from appliance.errors import AccessDenied, ConfigInvalid, QueryInvalid, Unsupported
from appliance.http.api.asking import Asking, InAsking, InStock
from appliance.http.api.page import moment
from appliance.services.stock import Stock
from appliance.services.vault import Keys


class PlaceShown(msgspec.Struct, frozen=True, rename="camel"):
    """What lies in one store in one form. `bytes` is the content's size."""

    driver: str
    form: str
    blobs: int
    bytes: int


class BucketShown(msgspec.Struct, frozen=True, rename="camel"):
    """The bucket. `fault` says why it is down; empty: it is well."""

    endpoint: str
    name: str
    prefix: str
    region: str
    server_side_encryption: str
    fault: str
    cache: CacheState | None


class KeysShown(msgspec.Struct, frozen=True, rename="camel"):
    """Which keys there are; never a key."""

    master: str
    data_keys: int
    active: str
    made_at: datetime
    is_settled: bool


class StorageShown(msgspec.Struct, frozen=True, rename="camel"):
    """The stores. New blobs go to `driver`; `elsewhere` is how many lie in another store or form: a move takes them."""

    driver: str
    is_encrypting: bool
    places: tuple[PlaceShown, ...]
    elsewhere: int
    bucket: BucketShown | None
    keys: KeysShown | None


class CheckShown(msgspec.Struct, frozen=True):
    """What a check of the bucket found."""

    ok: bool
    steps: tuple[Step, ...]


class KeyOrder(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """What to change: wrap the data keys with `new_master` too, or take a new data key for new files."""

    new_master: str = ""
    new_data_key: bool = False


@get("/api/v1/storage", tags=["storage"])
async def show_storage(stock: InStock, asking: InAsking) -> StorageShown:
    """Show the stores in use, what lies where and in which form, the keys, and how the cache does."""
    asking.check(Action.VIEW_REGISTRY)
    forms = stock.uploads.forms
    places = await stock.db.read(blobs.measure_places)
    bucket = bucket_of(stock.store)
    here = (stock.store.driver, forms.new)
    return StorageShown(
        driver=stock.store.driver,
        is_encrypting=forms.new != PLAIN,
        places=tuple(PlaceShown(*place) for place in places),
        elsewhere=sum(place[2] for place in places if place[:2] != here),
        bucket=None if bucket is None else await _bucket(bucket),
        keys=None if stock.vault is None else _keys(stock.vault.keys),
    )


@post("/api/v1/storage/checks", status_code=200, tags=["storage"])
async def check_storage(stock: InStock, asking: InAsking) -> CheckShown:
    """Try everything that is asked of the bucket: access key, clock, write, read, list, parts, delete."""
    asking.check(Action.MANAGE_REGISTRY)
    bucket = bucket_of(stock.store)
    if bucket is None:
        raise Unsupported("there is no bucket to check: [storage.s3] names none")
    steps = await prove(bucket)
    return CheckShown(all(step.ok for step in steps), steps)


@post("/api/v1/storage/keys", status_code=200, tags=["storage"])
async def change_keys(stock: InStock, asking: InAsking, data: JSONBody[KeyOrder]) -> KeysShown:
    """Change the master key, or take a new data key. Only by the control socket: a master key travels no network."""
    asking.check(Action.MANAGE_REGISTRY)
    if asking.caller.principal.kind is not PrincipalKind.OPERATOR:
        raise AccessDenied("keys are changed by the operator on the machine itself: scr storage rekey")
    if stock.vault is None:
        raise Unsupported("nothing is encrypted: [storage.key] names no master key")
    if bool(data.new_master) == data.new_data_key:
        raise QueryInvalid("give either newMaster or newDataKey")
    if data.new_data_key:
        keys = await stock.vault.add_key()
    else:
        keys = await stock.vault.change_master(_master(data.new_master))
    await _record(stock, asking, keys, "data" if data.new_data_key else "master")
    return _keys(keys)


def _master(text: str) -> bytes:
    try:
        return parse_master(text)
    except ConfigInvalid as error:
        raise QueryInvalid(error.message) from error


async def _record(stock: Stock, asking: Asking, keys: Keys, kind: str) -> None:
    now = stock.clock()
    detail: activity.Detail = {"kind": kind, "active": keys.active, "dataKeys": keys.data_keys}
    await stock.db.write(lambda tx: activity.record(tx, "keyring.changed", asking.caller, About(), detail, now))


async def _bucket(bucket: S3Store) -> BucketShown:
    return BucketShown(
        endpoint=bucket.bucket.endpoint,
        name=bucket.bucket.name,
        prefix=bucket.bucket.prefix,
        region=bucket.bucket.region,
        server_side_encryption=bucket.bucket.encryption,
        fault=await bucket.find_fault(),
        cache=None if bucket.cache is None else bucket.cache.state,
    )


def _keys(keys: Keys) -> KeysShown:
    return KeysShown(keys.master, keys.data_keys, keys.active, moment(keys.made_at), keys.is_settled)


STORAGE = (show_storage, check_storage, change_keys)
