"""`scr.toml` -> Config."""

from pathlib import Path

import msgspec

from appliance.domain.image_policy import ImagePolicy


class ServerSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[server]`: where it listens and how it is called."""

    listen: tuple[str, ...] = ("127.0.0.1:5000",)
    names: tuple[str, ...] = ()
    public_url: str = ""
    tls_certificate: str = ""
    tls_key: str = ""
    allow_plain: bool = False
    allow_insecure: bool = False
    trusted_proxies: tuple[str, ...] = ()
    shutdown_grace: str = "30s"
    header_timeout: str = "20s"
    idle_timeout: str = "75s"
    min_rate: str = "1KiB"


class StorageSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[storage]`: where the data lies and when it goes."""

    data_dir: str = "data"
    min_free: str = "5%"
    recycle: str = "24h"
    grace: str = "1h"
    upload_expiry: str = "24h"
    history_keep: str = "400d"
    collect_every: str = "10m"


class LimitsSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[limits]`: what is taken."""

    manifest_bytes: str = "4MiB"
    sparse_indexes: bool = True
    sparse_images: bool = False


class CompatSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[compat]`: the manual to the letter."""

    scr_strict: bool = False
    create_on_push: bool = True


class LogSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[log]`."""

    level: str = "info"
    format: str = "human"


class UserSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[[user]]`."""

    name: str
    password_hash: str = ""
    password_file: str = ""
    policies: tuple[str, ...] = ("ScrPullPushOnlyAccess",)


class DefaultsSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[defaults]`: what a repository made by a push is born with."""

    repository: ImagePolicy = ImagePolicy()


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole configuration."""

    server: ServerSection = ServerSection()
    storage: StorageSection = StorageSection()
    limits: LimitsSection = LimitsSection()
    compat: CompatSection = CompatSection()
    log: LogSection = LogSection()
    defaults: DefaultsSection = DefaultsSection()
    user: tuple[UserSection, ...] = ()


def load(path: Path | None) -> Config:
    """Read `path`."""
    if path is None:
        return Config()
    return msgspec.toml.decode(path.read_bytes(), type=Config)
