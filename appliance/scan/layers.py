"""One layer's bytes -> its contents, in one pass: file index, whiteouts, what the detectors found, secrets."""

import hashlib
import io
import itertools
from collections.abc import Iterable, Iterator, Sequence

from appliance.domain.layer import (
    Build,
    ContentSets,
    FileEntry,
    FileKind,
    LayerContents,
    PackageLicences,
    Reading,
    Release,
)
from appliance.domain.names import Digest
from appliance.domain.vulnerability import Package, Secret
from appliance.scan import sparse, tar
from appliance.scan.detector import Detector, Fact, Owned, Router
from appliance.scan.inflate import PIECE, inflate
from appliance.scan.limits import LimitReached, Limits, Unreadable
from appliance.scan.secrets import SecretSearch, is_text
from appliance.scan.stream import Stream

_EMPTY = hashlib.sha256().digest()
_WHITEOUT = ".wh."  # image-spec 1.1.1, layer.md, "Whiteouts"
_OPAQUE = ".wh..wh..opq"
_UNION_FILE_SYSTEM = ".wh..wh."  # other names with this start are a file system's own notes and are never unpacked


def read_layer(
    chunks: Iterable[bytes],
    detectors: Sequence[Detector],
    secrets: SecretSearch | None,
    limits: Limits,
    again: frozenset[str] = frozenset(),
) -> LayerContents:
    """Return the contents of the layer whose stored bytes are `chunks`.

    `secrets` None: do not search for any. `again` holds the `reread` of an earlier reading of the same layer, if it
    had one. Nothing is raised for what the bytes are: whatever was not read is told in `limits`.
    """
    stream = Stream(inflate(chunks, limits))
    gathering = _Gathering(stream, Router(detectors), secrets, limits, again)
    try:
        for member in tar.walk(stream, limits):
            gathering.add(member)
    except (Unreadable, LimitReached) as error:
        gathering.limit(error.message)
    except MemoryError:
        gathering.limit("the memory was too small to read the layer to its end")
    diff_id = None
    try:
        digest = stream.drain()
        diff_id = Digest(f"sha256:{digest}") if digest else None
    except (Unreadable, LimitReached) as error:
        gathering.limit(error.message)
    return gathering.contents(diff_id)


class _Gathering:
    """What is known of a layer while it passes."""

    def __init__(
        self, stream: Stream, router: Router, secrets: SecretSearch | None, limits: Limits, again: frozenset[str]
    ) -> None:
        self._stream = stream
        self._router = router
        self._search = secrets
        self._most = limits
        self._again = again
        self._files: dict[str, FileEntry] = {}
        self._whiteouts: dict[str, None] = {}
        self._opaque: dict[str, None] = {}
        self._readings: dict[str, list[Reading]] = {}
        self._secrets: list[Secret] = []
        self._limits: dict[str, None] = {}
        self._unreadable: dict[str, None] = {}
        self._reread: dict[str, None] = {}
        self._kept: dict[str, bytes] = {}  # bodies of `again`, for the links that follow
        self._members = 0
        self._names = 0
        self._laid_out = 0
        self._packages = 0
        self._read = 0

    def contents(self, diff_id: Digest | None) -> LayerContents:
        return LayerContents(
            diff_id=diff_id,
            size=self._stream.pulled,
            files=tuple(self._files.values()),
            whiteouts=tuple(self._whiteouts),
            opaque=tuple(self._opaque),
            readings=tuple(reading for readings in self._readings.values() for reading in readings),
            secrets=tuple(self._secrets),
            limits=tuple(self._limits),
            unreadable=tuple(self._unreadable),
            reread=tuple(self._reread),
        )

    def limit(self, sentence: str) -> None:
        """Note why the contents are not complete."""
        _note(self._limits, sentence, self._most.sentences)

    def add(self, member: tar.Member) -> None:
        """Take in one member. Raises LimitReached where the walk must end."""
        self._members += 1
        self._names += len(member.path) + len(member.target)
        if self._members > self._most.members:
            raise LimitReached(f"the layer has more than {self._most.members} entries")
        if self._names > self._most.names:
            raise LimitReached(f"the names of the layer are longer than {self._most.names} characters together")
        path = member.path
        if not path:  # the root itself
            return
        name = path[path.rfind("/") + 1 :]
        if name.startswith(_WHITEOUT):
            self._hide(path, name)
            return
        if path in self._files:  # unpacking would replace it; its secrets stay in the blob all the same
            self._readings.pop(path, None)
        if member.kind is FileKind.FILE:
            self._add_file(member)
        elif member.kind is FileKind.HARD_LINK:
            self._add_link(member)
        else:
            self._files[path] = FileEntry(path, member.kind, 0, member.mode, target=member.target)

    def _hide(self, path: str, name: str) -> None:
        folder = path[: -len(name)]
        if name == _OPAQUE:
            self._opaque[folder.removesuffix("/")] = None
        elif not name.startswith(_UNION_FILE_SYSTEM) and name[len(_WHITEOUT) :] not in ("", ".", ".."):
            self._whiteouts[folder + name[len(_WHITEOUT) :]] = None

    def _add_link(self, member: tar.Member) -> None:
        path, target = member.path, member.target
        first = self._files.get(target)
        if first is None:
            self._files[path] = FileEntry(path, FileKind.HARD_LINK, 0, member.mode, target=target)
            if self._router.by_path(path):
                self.limit(f"{path} is a hard link to {target}, which is not in its layer before it")
            return
        target = first.target if first.kind is FileKind.HARD_LINK else target
        self._files[path] = FileEntry(
            path, FileKind.HARD_LINK, first.size, first.mode, first.sha256, target, is_searched=first.is_searched
        )
        # A detector that chose the target by its path or its first bytes has read these bytes already.
        done = {reading.detector for reading in self._readings.get(target, ())}
        missed = [detector for detector in self._router.by_path(path) if detector.name not in done]
        if not missed:
            return
        if target in self._kept:
            self._detect(path, self._kept[target], missed)
        else:
            self._reread[target] = None
            self.limit(f"{path} is a hard link to {target}, which had passed unread: read the layer again")

    def _add_file(self, member: tar.Member) -> None:
        path, size = member.path, member.size
        detectors = self._router.by_path(path)
        if member.laid_out is not None:
            self._add_sparse(member, member.laid_out, detectors)
            return
        if not size:
            self._files[path] = FileEntry(path, FileKind.FILE, 0, member.mode, _EMPTY)
            self._detect(path, b"", detectors)
            return
        first = self._stream.take(min(size, PIECE))
        detectors += [detector for detector in self._router.by_head(first) if detector not in detectors]
        searched = self._search is not None and is_text(first) and self._search.takes(path, size)
        if len(first) == size:
            self._add_body(member, first, detectors, searched=searched)
            return
        self._add_large(member, first, detectors, searched=searched)

    def _add_large(self, member: tar.Member, first: bytes, detectors: list[Detector], *, searched: bool) -> None:
        """Take in a file that is longer than its `first` piece, without holding it unless a detector wants it."""
        path, size = member.path, member.size
        digest = hashlib.sha256()
        keep = self._hold(path, size, detectors)
        passage = self._search.begin(path) if searched and self._search else None
        length = 0
        for portion in itertools.chain((first,), self._stream.portions(size - len(first))):
            digest.update(portion)
            length += len(portion)
            if keep is not None:
                keep.write(portion)
            if passage is not None:
                self._found(passage.feed(portion))
        if length < size:
            raise Unreadable(f"the tar ends inside {path}")
        if passage is not None:
            self._found(passage.end())
        self._files[path] = FileEntry(
            path, FileKind.FILE, size, member.mode, digest.digest(), is_searched=passage is not None
        )
        if keep is not None:
            body = keep.getvalue()
            del keep
            self._keep(path, body)
            self._detect(path, body, detectors)

    def _add_body(self, member: tar.Member, body: bytes, detectors: list[Detector], *, searched: bool) -> None:
        path = member.path
        digest = hashlib.sha256(body).digest()
        self._files[path] = FileEntry(path, FileKind.FILE, len(body), member.mode, digest, is_searched=searched)
        if detectors:
            self._detect(path, body, detectors)
        if searched and self._search is not None:
            self._found(self._search.search(path, body))
        self._keep(path, body)

    def _add_sparse(self, member: tar.Member, laid_out: sparse.Map, detectors: list[Detector]) -> None:
        path = member.path
        if max(laid_out.size, member.size) <= self._most.body and self._laid_out + laid_out.size <= self._most.laid_out:
            self._laid_out += laid_out.size
            body = laid_out.lay_out(self._stream.take(member.size))
            searched = self._search is not None and self._search.takes(path, len(body)) and is_text(body)
            self._add_body(member, body, detectors or self._router.by_head(body), searched=searched)
            return
        self._files[path] = FileEntry(path, FileKind.FILE, laid_out.size, member.mode)
        starts_with_data = bool(laid_out.fragments) and laid_out.fragments[0][0] == 0
        if detectors or (starts_with_data and self._router.by_head(self._stream.take(min(member.size, 64)))):
            self.limit(f"{path} is a sparse file of {laid_out.size} bytes: not read")

    def _hold(self, path: str, size: int, detectors: list[Detector]) -> io.BytesIO | None:
        """Return where to keep a body that some detector wants, None where none does or it is too large."""
        most = self._most.body
        if any(detector.takes_large for detector in detectors) or path in self._again:
            most = self._most.large_body
        elif not detectors:
            return None
        if size > most:
            self.limit(f"{path} has {size} bytes: not read, the limit is {most}")
            return None
        return io.BytesIO()

    def _keep(self, path: str, body: bytes) -> None:
        if path in self._again:
            if sum(map(len, self._kept.values())) + len(body) > self._most.large_body:
                raise LimitReached("the layer has hard links to too many large files")
            self._kept[path] = body

    def _found(self, secrets: Iterable[Secret]) -> None:
        for secret in secrets:
            if len(self._secrets) == self._most.secrets:
                self._search = None
                self.limit(f"the layer has more than {self._most.secrets} secrets: the rest was not searched for any")
                return
            self._secrets.append(secret)

    def _detect(self, path: str, body: bytes, detectors: list[Detector]) -> None:
        for detector in detectors:
            facts: list[Fact] = []
            try:
                for fact in self._counted(detector.read(path, body)):
                    facts.append(fact)  # noqa: PERF402  because what came before an error is kept
            except LimitReached as error:
                self.limit(f"{path}: {error.message}")
            except (Unreadable, RecursionError) as error:
                sentence = f"{path}: {error}"
                if detector.is_essential:
                    self.limit(sentence)
                else:
                    _note(self._unreadable, sentence, self._most.sentences)
            except MemoryError:
                self.limit(f"{path}: the memory was too small to read it")
            self._read += 1
            if self._read > self._most.readings:
                raise LimitReached(f"the layer has more than {self._most.readings} package descriptions")
            self._readings.setdefault(path, []).append(_reading(path, detector, facts))

    def _counted(self, facts: Iterable[Fact]) -> Iterator[Fact]:
        for fact in facts:
            if isinstance(fact, Package):
                self._packages += 1
                if self._packages > self._most.packages:
                    raise LimitReached(f"the layer has more than {self._most.packages} packages")
            yield fact


def _note(sentences: dict[str, None], sentence: str, most: int) -> None:
    if len(sentences) < most:
        sentences[sentence] = None
    elif len(sentences) == most:
        sentences["and more of the kind"] = None


def _reading(path: str, detector: Detector, facts: list[Fact]) -> Reading:
    return Reading(
        path=path,
        detector=detector.name,
        version=detector.version,
        packages=tuple(fact for fact in facts if isinstance(fact, Package)),
        releases=tuple(fact for fact in facts if isinstance(fact, Release)),
        owned=tuple(owned for fact in facts if isinstance(fact, Owned) for owned in fact.paths),
        licences=tuple(fact for fact in facts if isinstance(fact, PackageLicences)),
        content_sets=tuple(fact for fact in facts if isinstance(fact, ContentSets)),
        builds=tuple(fact for fact in facts if isinstance(fact, Build)),
    )
