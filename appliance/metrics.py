"""Every metric name, what it means, and the text form that Prometheus reads.

Two sets of names for the same counts: `scr_...` for Prometheus, and those of the manual (1.1, 1.2) for the history. A
label takes its values from a closed set: the registries there are, the routes, the kinds of a thing; never a digest, a
path or an address, for each value is a series that somebody's Prometheus keeps.
"""

import enum
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)  # seconds


class Metric(msgspec.Struct, frozen=True):
    """A family of series. `meaning` is one sentence; `labels` are the names of the labels of every series."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    meaning: str
    labels: tuple[str, ...] = ()


class Sample(msgspec.Struct, frozen=True):
    """One value of a family, with the values of its labels in their order."""

    value: float
    labels: tuple[str, ...] = ()


class Counter(enum.IntEnum):
    """What the manual counts for each registry; the value is the place in a `Counts`."""

    PULLS = 0
    PULLS_DENIED = 1
    PUSHES = 2
    PUSHES_DENIED = 3
    SCANS = 4
    SCANS_DENIED = 5
    TAGS_DELETED = 6
    IMAGES_CREATED = 7
    IMAGES_DELETED = 8
    LOGINS = 9
    LOGINS_DENIED = 10
    REPOSITORIES_CREATED = 11
    REPOSITORIES_DELETED = 12


Counts = list[int]  # by Counter
ALLOWED, DENIED = "allowed", "denied"


class Named(msgspec.Struct, frozen=True):
    """A performance item of the manual: its name and unit (1.1), its title (1.2; 1.1 has no title for the status)."""

    name: str
    title: str
    unit: str


ALIVE = Named("container.registry.status.alive", "Registry Status", "status")
_STATICS = "containerregistry.statics"
NAMED: Mapping[Counter, Named] = {
    Counter.PULLS: Named(f"{_STATICS}.image.pull.count", "Image Pull Count [Allowed]", "cnt"),
    Counter.PULLS_DENIED: Named(f"{_STATICS}.image.denied_pull.count", "Image Pull Count [Denied]", "cnt"),
    Counter.PUSHES: Named(f"{_STATICS}.image.push.count", "Image Push Count [Allowed]", "cnt"),
    Counter.PUSHES_DENIED: Named(f"{_STATICS}.image.denied_push.count", "Image Push Count [Denied]", "cnt"),
    Counter.SCANS: Named(f"{_STATICS}.image.scan.count", "Image Scan Count [Allowed]", "cnt"),
    Counter.SCANS_DENIED: Named(f"{_STATICS}.image.denied_scan.count", "Image Scan Count [Denied]", "cnt"),
    Counter.TAGS_DELETED: Named(f"{_STATICS}.tag.deleted.count", "Image Tag Count [Deleted]", "cnt"),
    Counter.IMAGES_CREATED: Named(f"{_STATICS}.image.created.count", "Image Count [Created]", "cnt"),
    Counter.IMAGES_DELETED: Named(f"{_STATICS}.image.deleted.count", "Image Count [Deleted]", "cnt"),
    Counter.LOGINS: Named(f"{_STATICS}.login.count", "Registry Login Count [Allowed]", "cnt"),
    Counter.LOGINS_DENIED: Named(f"{_STATICS}.denied_login.count", "Registry Login Count [Denied]", "cnt"),
    Counter.REPOSITORIES_CREATED: Named(f"{_STATICS}.repository.created.count", "Repository Count [Created]", "cnt"),
    Counter.REPOSITORIES_DELETED: Named(f"{_STATICS}.repository.deleted.count", "Repository Count [Deleted]", "cnt"),
}

# the manual's
IMAGE_PULLS = Metric("scr_image_pulls_total", "counter", "Pulls of images.", ("registry", "outcome"))
IMAGE_PUSHES = Metric("scr_image_pushes_total", "counter", "Pushes of images.", ("registry", "outcome"))
IMAGE_SCANS = Metric("scr_image_scans_total", "counter", "Scans that were asked for.", ("registry", "outcome"))
LOGINS = Metric("scr_logins_total", "counter", "Sign-ins.", ("registry", "outcome"))
TAGS_DELETED = Metric("scr_tags_deleted_total", "counter", "Tags deleted, by people and by retention.", ("registry",))
IMAGES_CREATED = Metric("scr_images_created_total", "counter", "Images created.", ("registry",))
IMAGES_DELETED = Metric("scr_images_deleted_total", "counter", "Images deleted.", ("registry",))
REPOSITORIES_CREATED = Metric("scr_repositories_created_total", "counter", "Repositories created.", ("registry",))
REPOSITORIES_DELETED = Metric("scr_repositories_deleted_total", "counter", "Repositories deleted.", ("registry",))
REGISTRY_ALIVE = Metric("scr_registry_alive", "gauge", "1 while the registry serves, else 0.", ("registry",))

COUNTED: Sequence[tuple[Metric, Sequence[tuple[Counter, tuple[str, ...]]]]] = (
    (IMAGE_PULLS, ((Counter.PULLS, (ALLOWED,)), (Counter.PULLS_DENIED, (DENIED,)))),
    (IMAGE_PUSHES, ((Counter.PUSHES, (ALLOWED,)), (Counter.PUSHES_DENIED, (DENIED,)))),
    (IMAGE_SCANS, ((Counter.SCANS, (ALLOWED,)), (Counter.SCANS_DENIED, (DENIED,)))),
    (LOGINS, ((Counter.LOGINS, (ALLOWED,)), (Counter.LOGINS_DENIED, (DENIED,)))),
    (TAGS_DELETED, ((Counter.TAGS_DELETED, ()),)),
    (IMAGES_CREATED, ((Counter.IMAGES_CREATED, ()),)),
    (IMAGES_DELETED, ((Counter.IMAGES_DELETED, ()),)),
    (REPOSITORIES_CREATED, ((Counter.REPOSITORIES_CREATED, ()),)),
    (REPOSITORIES_DELETED, ((Counter.REPOSITORIES_DELETED, ()),)),
)

# requests
REQUESTS = Metric(
    "scr_requests_total", "counter", "Requests by the class of their status.", ("route", "method", "status")
)
REQUEST_SECONDS = Metric("scr_request_seconds", "histogram", "Seconds from head to last byte.", ("route", "method"))
RECEIVED = Metric("scr_received_bytes_total", "counter", "Bytes of bodies that clients sent.", ("route",))
SENT = Metric("scr_sent_bytes_total", "counter", "Bytes of bodies that clients were sent.", ("route",))
CONNECTIONS = Metric("scr_connections", "gauge", "Connections that are open.")
REFUSALS = Metric("scr_refusals_total", "counter", "Requests that a rule refused, by the kind of rule.", ("rule",))

# what is kept
REPOSITORIES = Metric("scr_repositories", "gauge", "Repositories there are.", ("registry",))
IMAGES = Metric("scr_images", "gauge", "Images there are.", ("registry",))
STORAGE_FREE = Metric("scr_storage_free_bytes", "gauge", "Bytes the store can still take.")
DATABASE = Metric("scr_database_bytes", "gauge", "Bytes of the database's file.")
WAL = Metric("scr_database_wal_bytes", "gauge", "Bytes of the database's write-ahead log.")
COMMITS = Metric("scr_database_commits_total", "counter", "Commits of the database.")

STORAGE_USED = Metric(
    "scr_registry_storage_bytes", "gauge", "Bytes of the blobs and manifests of a registry, each once.", ("registry",)
)

# what waits
JOBS = Metric("scr_jobs", "gauge", "Jobs that wait or run.", ("kind", "state"))
JOB_FAILURES = Metric("scr_job_failures_total", "counter", "Jobs that were given up.", ("kind",))
WRITES_WAITING = Metric("scr_database_writes_waiting", "gauge", "Changes that wait for the database's writer.")
WORK_WAITING = Metric("scr_workers_waiting", "gauge", "Pieces of work that wait for a worker thread.")
LOGS = Metric("scr_logs_bytes", "gauge", "Bytes of the file of traffic and refusals.")
TRAFFIC_WAITING = Metric("scr_traffic_waiting", "gauge", "Lines of the traffic log that are not written yet.")
TRAFFIC_LOST = Metric("scr_traffic_lost_total", "counter", "Lines of the traffic log that found no room.")

# how it is
CHECK = Metric("scr_check_ok", "gauge", "1 while a check of /health/ready is well, else 0.", ("check",))
ALLOWLISTS = Metric(
    "scr_allowlists",
    "gauge",
    "Allowlists that decide about somebody: good; kept (a change was refused); closed (none: nobody gets in).",
    ("state",),
)
DATA_BUILT = Metric(
    "scr_vulnerability_data_built_seconds",
    "gauge",
    "When the vulnerability data were made, seconds since 1970; no value where there are none.",
    ("form",),
)
ADVISORIES = Metric("scr_advisories", "gauge", "Advisories in the vulnerability data; 0: there are none.")
BUILD = Metric("scr_build_info", "gauge", "Always 1; which program this is.", ("version",))
STARTED = Metric("process_start_time_seconds", "gauge", "When the process started, seconds since 1970.")
CPU = Metric("process_cpu_seconds_total", "counter", "Seconds of processor time, user and system.")
RESIDENT = Metric("process_resident_memory_bytes", "gauge", "Bytes of memory in use.")
FILES = Metric("process_open_fds", "gauge", "File descriptors that are open.")

METRICS: tuple[Metric, ...] = tuple(value for value in tuple(globals().values()) if isinstance(value, Metric))


class Histogram:
    """How long things took: one series of a histogram. Counting is a search in 16 bounds and two additions."""

    __slots__ = ("_counts", "_sum")

    def __init__(self) -> None:
        """Begin with nothing seen."""
        self._counts = [0] * (len(BOUNDS) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """Count one that took `seconds`."""
        self._sum += seconds
        self._counts[bisect_left(BOUNDS, seconds)] += 1

    def lines(self, name: str, labels: str) -> Iterable[str]:
        """Yield the series' lines; `labels` is what stands between the braces."""
        count = 0
        comma = "," if labels else ""
        for bound, seen in zip((*map(_number, BOUNDS), "+Inf"), self._counts, strict=True):
            count += seen
            yield f'{name}_bucket{{{labels}{comma}le="{bound}"}} {count}'
        braced = f"{{{labels}}}" if labels else ""
        yield f"{name}_sum{braced} {self._sum!r}"
        yield f"{name}_count{braced} {count}"


class Family(msgspec.Struct, frozen=True):
    """A metric with all its values: samples, or for a histogram one `Histogram` for each set of labels."""

    metric: Metric
    samples: Sequence[Sample] = ()
    histograms: Mapping[tuple[str, ...], Histogram] = {}


def render(families: Iterable[Family]) -> bytes:
    """Return the text form. Spec: Prometheus exposition formats, "Text-based format"."""
    lines: list[str] = []
    for family in families:
        name, names = family.metric.name, family.metric.labels
        lines += (f"# HELP {name} {family.metric.meaning}", f"# TYPE {name} {family.metric.kind}")
        for sample in family.samples:
            labels = _labels(names, sample.labels)
            lines.append(f"{name}{{{labels}}} {_number(sample.value)}" if labels else f"{name} {_number(sample.value)}")
        for values, histogram in family.histograms.items():
            lines += histogram.lines(name, _labels(names, values))
    lines.append("")
    return "\n".join(lines).encode()


def _labels(names: Sequence[str], values: Sequence[str]) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in zip(names, values, strict=True))


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
