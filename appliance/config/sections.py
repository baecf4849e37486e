"""The sections of `scr.toml` as values: every field is a key, every default is the key's default.

All of it is parsed: sizes are bytes, times milliseconds, addresses and networks values of their own. Nothing behind
`config` parses or checks a setting a second time.
"""

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal, NewType

import msgspec

from appliance.config.accounts import AccessKeySection, GroupSection, PolicySection, RoleSection, UserSection
from appliance.config.declared import RegistrySection, RepositorySection
from appliance.config.quantities import (
    Address,
    Duration,
    Interval,
    Reserve,
    Size,
    parse_address,
    parse_duration,
    parse_interval,
    parse_reserve,
    parse_size,
    parse_when,
)
from appliance.domain.endpoint import Endpoint
from appliance.domain.image_policy import ImagePolicy
from appliance.domain.ranges import Span
from appliance.domain.schedule import When
from appliance.domain.vulnerability import Severity

HostName = NewType("HostName", str)  # lower case, without a port
Domain = NewType("Domain", str)  # the same, below which registries have names of their own; "" for none
FeedName = NewType("FeedName", str)  # of a source of vulnerability data
FeedUrl = NewType("FeedUrl", str)  # https, oci (an artifact of a registry) or scr (one of a registry here)
GroupName = NewType("GroupName", str)  # of a resource group, as an allowlist names it behind its @
OwnRegistry = NewType("OwnRegistry", str)  # the name of a registry; "" for none
Url = NewType("Url", str)  # http or https, host and perhaps port, nothing behind it; "" for none
Pattern = NewType("Pattern", str)  # a regular expression
SecretLiteral = NewType("SecretLiteral", str)  # a part of every secret of a kind, long enough to be searched for
Network = IPv4Network | IPv6Network


class ServerSection(msgspec.Struct, frozen=True):
    """`[server]`: where it listens and how it is called."""

    listen: tuple[Address, ...] = (parse_address("127.0.0.1:5000"),)
    names: tuple[HostName, ...] = ()
    public_url: Url = Url("")
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    allow_plain: bool = False
    allow_insecure: bool = False
    trusted_proxies: tuple[Network, ...] = ()
    shutdown_grace: Duration = parse_duration("30s")
    header_timeout: Interval = parse_interval("20s")
    idle_timeout: Interval = parse_interval("75s")
    min_rate: Size = parse_size("1KiB")


class PrivateSection(msgspec.Struct, frozen=True):
    """`[endpoint.private]`: how registries are called there; it listens where `[server]` says."""

    domain: Domain = Domain("")


class PublicSection(msgspec.Struct, frozen=True):
    """`[endpoint.public]`: where the public endpoint listens, and how registries are called there."""

    listen: tuple[Address, ...] = ()
    domain: Domain = Domain("")
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    allow_plain: bool = False


class ManagementSection(msgspec.Struct, frozen=True):
    """`[endpoint.management]`: where console, API and metrics are, if not at the private endpoint, and for whom."""

    listen: tuple[Address, ...] = ()
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    allow_plain: bool = False
    access_control: bool = False


class EndpointSection(msgspec.Struct, frozen=True):
    """`[endpoint.*]`: the three sorts of doors."""

    private: PrivateSection = PrivateSection()
    public: PublicSection = PublicSection()
    management: ManagementSection = ManagementSection()


class ListenerSection(msgspec.Struct, frozen=True):
    """`[[listener]]`: one more address, with settings of its own."""

    address: Address
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    allow_plain: bool = False
    endpoint: Endpoint = Endpoint.PRIVATE
    registry: OwnRegistry = OwnRegistry("")


class KeySection(msgspec.Struct, frozen=True):
    """`[storage.key]`: where the master key comes from; one of the three, or none."""

    file: Path | None = None
    variable: str = ""
    command: tuple[str, ...] = ()


class S3Section(msgspec.Struct, frozen=True):
    """`[storage.s3]`: the bucket; with `bucket` empty there is none."""

    endpoint: Url = Url("")
    bucket: str = ""
    prefix: str = ""
    region: str = "us-east-1"
    path_style: Literal["auto", "on", "off"] = "auto"
    authority: Path | None = None
    credentials: Literal["environment", "file"] = "environment"
    credentials_file: Path | None = None
    profile: str = "default"
    server_side_encryption: Literal["off", "AES256", "aws:kms"] = "off"
    kms_key: str = ""
    deadline: Interval = parse_interval("30s")
    buffer: Size = parse_size("64MiB")
    cache: Size = parse_size("10GiB")
    redirect: Duration = parse_duration("0")


class StorageSection(msgspec.Struct, frozen=True):
    """`[storage]`: where the data lies and when it goes."""

    data_dir: Path = Path("data")
    driver: Literal["local", "s3"] = "local"
    encrypt: Literal["auto", "on", "off"] = "auto"
    min_free: Reserve = parse_reserve("5%")
    recycle: Duration = parse_duration("24h")
    grace: Duration = parse_duration("1h")
    upload_expiry: Duration = parse_duration("24h")
    history_keep: Duration = parse_duration("400d")
    scrub_rate: Size = parse_size("16MiB")
    key: KeySection = KeySection()
    s3: S3Section = S3Section()

    @property
    def encrypts(self) -> bool:
        """Whether new blobs are encrypted: in a bucket unless it is said otherwise, in a folder if it is said."""
        return self.encrypt == "on" or (self.encrypt == "auto" and self.driver == "s3")


class DatabaseSection(msgspec.Struct, frozen=True):
    """`[database]`: whether another program replicates it."""

    replicated: bool = False
    wait_for_replica: bool = False
    replica_socket: Path = Path("/var/run/litestream.sock")


class ScheduleSection(msgspec.Struct, frozen=True):
    """`[schedule]`: when it does what by itself; each key is a kind of job."""

    gc: When = parse_when("10m")
    upload_expiry: When = parse_when("1h")
    sweep: When = parse_when("24h")
    scrub: When = parse_when("30d")
    check: When = parse_when("7d")
    backup: When = parse_when("6h")
    roll_up: When = parse_when("1h")
    measure: When = parse_when("1h")
    retention: When = parse_when("10m")
    vulndb_fetch: When = parse_when("")
    scan: When = parse_when("24h")


class RetentionSection(msgspec.Struct, frozen=True):
    """`[retention]`: tag deletion of images whose policy enables it."""

    first: Duration = parse_duration("48h")
    every: Interval = parse_interval("24h")


class VulndbSection(msgspec.Struct, frozen=True):
    """`[vulndb]`: the vulnerability data that scans are matched with."""

    max_age: Duration = parse_duration("14d")


class VulndbSourceSection(msgspec.Struct, frozen=True):
    """`[[vulndb_source]]`: where vulnerability data may be fetched from."""

    name: FeedName
    address: FeedUrl
    user: str = ""
    password_file: Path | None = None
    authority: Path | None = None
    unverified: bool = False


class BackupSection(msgspec.Struct, frozen=True):
    """`[backup]`: snapshots of the database."""

    keep: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 8
    restore_window: Duration = parse_duration("0")


class JobsSection(msgspec.Struct, frozen=True):
    """`[jobs]`: work in the background."""

    parallel: Annotated[int, msgspec.Meta(ge=1, le=64)] = 4
    keep: Duration = parse_duration("30d")


class ScanSection(msgspec.Struct, frozen=True):
    """`[scan]`: how images are looked into, and what that may take."""

    secrets: Literal["auto", "all", "manual", "off"] = "auto"
    secret_exclude: tuple[Pattern, ...] = ()
    lock_files: bool = False
    memory: Size = parse_size("1GiB")
    cpu_time: Interval = parse_interval("10m")
    timeout: Interval = parse_interval("2h")


class SecretRuleSection(msgspec.Struct, frozen=True):
    """`[[secret_rule]]`: one more kind of secret to look for."""

    id: str
    pattern: Pattern
    literals: tuple[SecretLiteral, ...]
    title: str = ""
    severity: Severity = Severity.HIGH


class LimitsSection(msgspec.Struct, frozen=True):
    """`[limits]`: what is taken."""

    manifest_bytes: Size = parse_size("4MiB")
    sparse_indexes: bool = True
    sparse_images: bool = False


class CompatSection(msgspec.Struct, frozen=True):
    """`[compat]`: how names and first pushes are treated."""

    scr_strict: bool = False
    create_on_push: bool = True


class LogSection(msgspec.Struct, frozen=True):
    """`[log]`: what is said on stderr, and how long it is kept who did what."""

    level: Literal["debug", "info", "warn", "error"] = "info"
    format: Literal["human", "json"] = "human"
    activity_keep: Duration = parse_duration("400d")
    activity_size: Size = parse_size("512MiB")
    traffic_keep: Duration = parse_duration("30d")
    traffic_size: Size = parse_size("256MiB")


class DefaultsSection(msgspec.Struct, frozen=True):
    """`[defaults]`: what new things are born with."""

    repository: ImagePolicy = ImagePolicy()


class ResourceGroupSection(msgspec.Struct, frozen=True):
    """`[[resource_group]]`: machines that an allowlist lets in by one name."""

    name: GroupName
    kind: Literal["vm", "gpu-cluster", "vpc-endpoint", "other"] = "other"
    addresses: tuple[Span, ...] = ()


class Config(msgspec.Struct, frozen=True):
    """The whole of `scr.toml`."""

    server: ServerSection = ServerSection()
    storage: StorageSection = StorageSection()
    schedule: ScheduleSection = ScheduleSection()
    retention: RetentionSection = RetentionSection()
    jobs: JobsSection = JobsSection()
    backup: BackupSection = BackupSection()
    vulndb: VulndbSection = VulndbSection()
    database: DatabaseSection = DatabaseSection()
    scan: ScanSection = ScanSection()
    limits: LimitsSection = LimitsSection()
    compat: CompatSection = CompatSection()
    log: LogSection = LogSection()
    defaults: DefaultsSection = DefaultsSection()
    endpoint: EndpointSection = EndpointSection()
    listener: tuple[ListenerSection, ...] = ()
    resource_group: tuple[ResourceGroupSection, ...] = ()
    registry: tuple[RegistrySection, ...] = ()
    repository: tuple[RepositorySection, ...] = ()
    secret_rule: tuple[SecretRuleSection, ...] = ()
    policy: tuple[PolicySection, ...] = ()
    vulndb_source: tuple[VulndbSourceSection, ...] = ()
    user: tuple[UserSection, ...] = ()
    role: tuple[RoleSection, ...] = ()
    access_key: tuple[AccessKeySection, ...] = ()
    group: tuple[GroupSection, ...] = ()

    @property
    def listeners(self) -> tuple[ListenerSection, ...]:
        """Every address to listen on: those of `[server]` and of `[endpoint.*]`, then the `[[listener]]` tables."""
        server, public, management = self.server, self.endpoint.public, self.endpoint.management
        sections: tuple[tuple[Endpoint, ServerSection | PublicSection | ManagementSection], ...] = (
            (Endpoint.PRIVATE, server),
            (Endpoint.PUBLIC, public),
            (Endpoint.MANAGEMENT, management),
        )
        first = (
            self._listener(address, endpoint, section) for endpoint, section in sections for address in section.listen
        )
        return (*first, *self.listener)

    @property
    def domains(self) -> tuple[Domain, ...]:
        """The domains of the endpoints, those that have one."""
        found = (self.endpoint.private.domain, self.endpoint.public.domain)
        return tuple(dict.fromkeys(domain for domain in found if domain))

    @property
    def has_management(self) -> bool:
        """Whether console, API and metrics have a listener of their own, and so are nowhere else."""
        return any(listener.endpoint is Endpoint.MANAGEMENT for listener in self.listeners)

    @property
    def is_open(self) -> bool:
        """Whether this machine is served without asking who calls: it alone can call, no user or proxy is declared."""
        return not (self.user or self.server.trusted_proxies or self.is_exposed)

    @property
    def is_exposed(self) -> bool:
        """Whether other machines reach any address that is listened on."""
        return any(not listener.address.is_loopback for listener in self.listeners)

    def _listener(
        self, address: Address, endpoint: Endpoint, section: ServerSection | PublicSection | ManagementSection
    ) -> ListenerSection:
        """Return one address of a section; without a certificate of its own it has that of `[server]`."""
        tls = section if section.tls_certificate is not None else self.server
        return ListenerSection(address, tls.tls_certificate, tls.tls_key, section.allow_plain, endpoint)
