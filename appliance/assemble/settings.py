"""What each part gets of the configuration, as that part's own value."""

from urllib.parse import urlsplit

from appliance.config import Config
from appliance.config.accounts import PolicySection
from appliance.config.declared import RegistrySection, TagText
from appliance.config.sections import VulndbSourceSection
from appliance.domain.access import BUILT_IN
from appliance.domain.accounts import SignIn
from appliance.domain.names import RegistryName, RepositoryName
from appliance.domain.policy_document import Document, narrow
from appliance.domain.registry import RegistrySettings, RepositorySettings
from appliance.http.watch import Limits
from appliance.services.declare import Declaration, DeclaredRegistry, DeclaredRepository
from appliance.services.declare_accounts import (
    DeclaredAccounts,
    DeclaredGroup,
    DeclaredPolicy,
    DeclaredRole,
    DeclaredUser,
)
from appliance.services.declare_keys import DeclaredKey
from appliance.services.feed_fetch import FeedAddress
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
        feeds=tuple(_feed_of(one) for one in config.vulndb_source),
    )


def _feed_of(section: VulndbSourceSection) -> FeedAddress:
    return FeedAddress(
        section.name, section.address, section.user, section.password_file, section.authority, section.unverified
    )


def declaration_of(config: Config) -> Declaration:
    """Return the resources that `config` declares."""
    return Declaration(
        tuple(DeclaredRegistry(_settings_of(one), _tags_of(one.resource_tags)) for one in config.registry),
        tuple(
            DeclaredRepository(
                RegistryName(one.registry),
                RepositorySettings(RepositoryName(one.name), one.description, one.locked, one.policy, managed=True),
                _tags_of(one.resource_tags),
            )
            for one in config.repository
        ),
        _accounts_of(config),
    )


def _accounts_of(config: Config) -> DeclaredAccounts:
    """Return whom `config` declares."""
    return DeclaredAccounts(
        tuple(
            DeclaredUser(
                name=one.name,
                password_hash=one.password_hash,
                policies=one.policies,
                description=one.description,
                sign_in=SignIn(one.sign_in.registry, one.sign_in.api, one.sign_in.console),
            )
            for one in config.user
        ),
        tuple(DeclaredRole(one.name, one.policies, one.description) for one in config.role),
        tuple(DeclaredGroup(one.name, one.members, one.policies, one.description) for one in config.group),
        tuple(DeclaredPolicy(one.name, _document_of(one), one.description) for one in config.policy),
        tuple(DeclaredKey(one.owner, one.name, one.key, one.secret_hash, one.description) for one in config.access_key),
    )


def _document_of(section: PolicySection) -> Document:
    """Return what a policy says: its own statements, or those of the one it loads."""
    if not section.load:
        return Document(section.statements)
    loaded = BUILT_IN[section.load]
    if not (section.registries or section.repositories):
        return Document(loaded.statements)
    places = [(registry, name) for registry, _, name in (place.partition("/") for place in section.repositories)]
    return narrow(loaded, section.registries, places)


def _settings_of(section: RegistrySection) -> RegistrySettings:
    return RegistrySettings(
        name=RegistryName(section.name),
        description=section.description,
        visibility=section.visibility,
        endpoint=section.endpoint,
        private_access_control=section.private_access_control,
        public_access_control=section.public_access_control,
        port=section.port or None,
        quota_bytes=int(section.quota) or None,
        quota_images=section.quota_images or None,
        managed=True,
    )


def _tags_of(texts: tuple[TagText, ...]) -> dict[str, str]:
    return {key: value for key, _, value in (text.partition("=") for text in texts)}


def limits_of(config: Config) -> Limits:
    """Return what `config` allows clients to take."""
    server = config.server
    return Limits(
        header_timeout_s=server.header_timeout.seconds,
        idle_timeout_s=server.idle_timeout.seconds,
        min_rate=server.min_rate,
    )
