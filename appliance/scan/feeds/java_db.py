"""Trivy's Java database (SQLite, schema 1): which artifact an archive is, by its SHA-1.

Its tables are `artifacts(id, group_id, artifact_id)` and `indices(artifact_id, version, sha1, archive_type)`. It is
attached as it is, and whoever attaches it answers the lookup; here is what to make of the answers.
"""

from collections import Counter
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Protocol

import msgspec

from appliance.domain.vulnerability import Inventory, Package
from appliance.errors import FeedInvalid
from appliance.scan import purl
from appliance.scan.feeds.unreadable import UNREADABLE

SCHEMA = 1


class Metadata(msgspec.Struct, frozen=True, rename="pascal"):
    """The file beside the database."""

    version: int
    updated_at: datetime


class JavaArchive(msgspec.Struct, frozen=True):
    """A published archive; `sha1` is hex, lower case."""

    group: str
    artifact: str
    version: str
    sha1: str


class JavaLookup(Protocol):
    """The Java database. Sets go in whole, so that each question is one query."""

    def by_sha1(self, sums: Collection[str]) -> Iterable[JavaArchive]:
        """Return the archives with these SHA-1 sums (hex, lower case)."""

    def by_artifact(self, artifacts: Collection[str]) -> Iterable[JavaArchive]:
        """Return all archives of type jar whose artifact has one of these names, whatever their group."""


_decode_metadata = msgspec.json.Decoder(Metadata).decode


def read_metadata(body: bytes) -> Metadata:
    """Return what `metadata.json` says. Raises FeedInvalid: not such a file, or a schema that is unknown here."""
    try:
        metadata = _decode_metadata(body)
    except UNREADABLE as error:
        raise FeedInvalid(f"metadata.json of the Java database cannot be read: {error}") from error
    if metadata.version != SCHEMA:
        raise FeedInvalid(
            f"the Java database has schema {metadata.version}; this program reads schema {SCHEMA}: "
            "fetch one of that schema, or a newer program"
        )
    return metadata


def resolve(inventory: Inventory, lookup: JavaLookup) -> Inventory:
    """Return `inventory` with the coordinates that `lookup` knows in place of those that a detector guessed.

    An archive whose sum is unknown but whose name and version are published gets the group that published it most
    often; other guesses stay as they are.
    """
    unsure = [package for package in inventory.packages if package.sha1]
    if not unsure:
        return inventory
    known = {archive.sha1: archive for archive in lookup.by_sha1({package.sha1 for package in unsure})}
    nameless = {package.name for package in unsure if package.sha1 not in known and ":" not in package.name}
    groups: dict[tuple[str, str], Counter[str]] = {}
    for archive in lookup.by_artifact(nameless) if nameless else ():
        groups.setdefault((archive.artifact, archive.version), Counter())[archive.group] += 1

    def settle(package: Package) -> Package:
        if archive := known.get(package.sha1):
            name, version = f"{archive.group}:{archive.artifact}", archive.version
        elif candidates := groups.get((package.name, package.version)):
            group = min(candidates, key=lambda one: (-candidates[one], one))
            name, version = f"{group}:{package.name}", package.version
        else:
            return package
        settled = msgspec.structs.replace(package, name=name, version=version)
        return msgspec.structs.replace(settled, purl=purl.build(settled, inventory.distribution))

    return msgspec.structs.replace(
        inventory, packages=tuple(settle(package) if package.sha1 else package for package in inventory.packages)
    )
