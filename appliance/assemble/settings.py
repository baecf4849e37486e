"""What each part gets of the configuration, as that part's own value."""

from urllib.parse import urlsplit

from appliance.config import Config
from appliance.http.watch import Limits
from appliance.services.stock import Rules


def names_of(config: Config) -> frozenset[str]:
    """Return the host names that mean the default registry: those listed, the public one, those listened on."""
    public = urlsplit(config.server.public_url).hostname
    listened = (listener.address.host for listener in config.listeners)
    return frozenset((*config.server.names, *filter(None, (public, *listened))))


def rules_of(config: Config) -> Rules:
    """Return what `config` says about what is taken and how long it is kept."""
    storage, limits = config.storage, config.limits
    return Rules(
        manifest_bytes=limits.manifest_bytes,
        sparse_indexes=limits.sparse_indexes,
        sparse_images=limits.sparse_images,
        strict=config.compat.scr_strict,
        create_on_push=config.compat.create_on_push,
        recycle=storage.recycle,
        grace=storage.grace,
        upload_expiry=storage.upload_expiry,
        history_keep=storage.history_keep,
        retention_first=config.retention.first,
        retention_every=config.retention.every,
        restore_window=config.backup.restore_window,
        default_policy=config.defaults.repository,
    )


def limits_of(config: Config) -> Limits:
    """Return what `config` allows clients to take."""
    server = config.server
    return Limits(
        header_timeout_s=server.header_timeout.seconds,
        idle_timeout_s=server.idle_timeout.seconds,
        min_rate=server.min_rate,
    )
