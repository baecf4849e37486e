"""Takes in what documents of others (OpenVEX) say of vulnerabilities: as findings that are accepted, or are not.

All of a document counts from one moment on, instead of all that an older version of it said there. A document is known
by its @id, and one version of it has one text: the same again changes nothing.
"""

import asyncio
import hashlib
from collections.abc import Iterator

import msgspec

from appliance.db import acceptances, activity, vex_documents
from appliance.db.activity import About
from appliance.db.database import Transaction, Values
from appliance.db.vex_documents import VexDocument
from appliance.domain.admission import Caller
from appliance.domain.exclusion import Acceptance, Origin
from appliance.domain.moment import Timestamp
from appliance.errors import Conflict
from appliance.scan import vex
from appliance.scan.vex import Document, Untaken
from appliance.services.accepting import Scope, tell_many
from appliance.services.stock import Stock, new_public_id

LARGEST = vex.LARGEST  # bytes of a document


class Taken(msgspec.Struct, frozen=True):
    """What an import did. `accepted` and `counting` are statements: vulnerabilities that do not count, and that do."""

    document: VexDocument
    is_new: bool
    accepted: int
    counting: int
    untaken: tuple[Untaken, ...]


async def take(stock: Stock, caller: Caller, scope: Scope, text: str, now: Timestamp) -> Taken:
    """Let a document count in `scope`. Raises VexInvalid, Conflict."""
    body = text.encode()
    loop, executor = asyncio.get_running_loop(), stock.uploads.executor
    read = await loop.run_in_executor(executor, vex.read, body)
    made = VexDocument(
        new_public_id(),
        read.id,
        read.version,
        read.author,
        read.issued_at,
        hashlib.sha256(body).hexdigest(),
        scope.registry,
        scope.repository,
        scope.image,
        now,
        str(caller.principal),
    )

    rows, names = await loop.run_in_executor(executor, _rows, made, read)

    def record(tx: Transaction) -> VexDocument:
        known = vex_documents.find_there(tx, read.id, scope.registry, scope.repository, scope.image)
        if known is not None and not _is_newer(made, known):
            return known
        before = set() if known is None else vex_documents.delete(tx, known.public_id)
        vex_documents.insert(tx, made)
        acceptances.insert_rows(tx, rows)
        _note(tx, "vex.imported", caller, made, now)
        tell_many(tx, before | names, now)
        return made

    kept = await stock.db.write(record)
    accepts = sum(one.judgement.accepts for one in read.statements)
    return Taken(kept, kept is made, accepts, len(read.statements) - accepts, read.untaken)


async def withdraw(stock: Stock, caller: Caller, one: VexDocument, now: Timestamp) -> None:
    """Let all that a document said count for nothing."""

    def record(tx: Transaction) -> None:
        said = vex_documents.delete(tx, one.public_id)
        _note(tx, "vex.withdrawn", caller, one, now)
        tell_many(tx, said, now)

    await stock.db.write(record)


def _is_newer(made: VexDocument, known: VexDocument) -> bool:
    """Whether `made` takes the place of `known`; False: it is the same. Raises Conflict."""
    if made.version < known.version:
        raise Conflict(f"version {known.version} of {made.document} is here already, and this is {made.version}")
    if made.version == known.version and made.sha256 != known.sha256:
        raise Conflict(
            f"version {known.version} of {made.document} was imported with another text;"
            " its author has to raise the version, or withdraw that one first"
        )
    return made.version > known.version


def _rows(made: VexDocument, read: Document) -> tuple[list[Values], set[str]]:
    """Return the rows of what a document says, and the vulnerabilities that it says something of."""
    said = list(_acceptances(made, read))
    return [acceptances.row_of(one) for one in said], {one.vulnerability for one in said}


def _acceptances(made: VexDocument, read: Document) -> Iterator[Acceptance]:
    """Yield what a document says, each once: a vulnerability of a product."""
    for statement in read.statements:
        origin = Origin(made.public_id, read.id, read.version, read.author, statement.judgement, statement.said_at)
        for vulnerability in statement.vulnerabilities:
            for product in statement.products:
                yield Acceptance(
                    new_public_id(),
                    vulnerability,
                    "",
                    made.registry,
                    made.repository,
                    made.image,
                    statement.reason,
                    made.imported_at,
                    made.imported_by,
                    None,
                    product,
                    origin,
                )


def _note(tx: Transaction, kind: str, caller: Caller, one: VexDocument, now: Timestamp) -> None:
    about = About(
        registry=one.registry or 0,
        repository=one.repository or 0,
        image=one.image or 0,
        subject=f"vex:{one.public_id}",
    )
    detail: activity.Detail = {"document": one.document, "version": one.version, "author": one.author}
    activity.record(tx, kind, caller, about, detail, now)
