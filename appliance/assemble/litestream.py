"""The configuration of Litestream that fits `scr.toml`: it replicates the database beside the blobs."""

import json

from appliance.assemble.storage import bucket_of
from appliance.config import Config
from appliance.errors import ConfigInvalid

FOLDER = "litestream"  # of the replica, below the prefix of the bucket

_TEXT = """\
# Litestream replicates scr.sqlite; made by: scr storage litestream
# scr.toml needs [database] replicated = true, so that Litestream alone makes checkpoints.
socket:
  enabled: true
  path: {socket}
dbs:
  - path: {database}
    replica:
      type: s3
      bucket: {bucket}
      path: {path}
      region: {region}{endpoint}
      sync-interval: 1s
"""


def configuration(config: Config) -> str:
    """Return the YAML file. The access key is not in it: Litestream reads the same variables, or the same profile.

    Raises ConfigInvalid where there is no bucket, or the database is not to be replicated.
    """
    if not config.storage.s3.bucket:
        raise ConfigInvalid("[storage.s3] names no bucket that the database could be replicated to")
    if not config.database.replicated:
        raise ConfigInvalid("set [database] replicated = true first: scr would make checkpoints that Litestream misses")
    bucket = bucket_of(config)
    endpoint = ""
    if bucket.endpoint:
        style = json.dumps(bucket.path_style)
        endpoint = f"\n      endpoint: {json.dumps(bucket.endpoint)}\n      force-path-style: {style}"
    return _TEXT.format(
        socket=json.dumps(str(config.database.replica_socket)),
        database=json.dumps(str(config.storage.data_dir / "scr.sqlite")),
        bucket=json.dumps(bucket.name),
        path=json.dumps(f"{bucket.prefix}{FOLDER}"),
        region=json.dumps(bucket.region),
        endpoint=endpoint,
    )
