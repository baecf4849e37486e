"""The pull limit at work: which manifests of an image are not handed out now, and why.

Only images whose policy limits pulls come here; the point read of a pull says which they are. It judges manifests with
file-system layers: charts, signatures, SBOMs and caches have nothing to scan. An index is refused when all of its
children that are here are; each child's own GET decides for itself.
"""

from functools import lru_cache

from appliance.db import images, manifests, scan_summaries
from appliance.db.database import Reader
from appliance.domain import image_policy
from appliance.domain.image_policy import ImagePolicy, broken_limits, pull_refusal
from appliance.domain.manifest import INDEXES, shape_of
from appliance.domain.names import Digest
from appliance.domain.registry import FoundManifest, ImageId, ManifestId

_INLINE = 64 << 10  # bytes; a larger manifest takes too long to read on the loop
_WORK = 2000  # manifests (large ones count more) judged for one answer; what lies behind is judged by its own GET
_DEPTH = 8  # indexes within indexes; the same
_HOLDERS = 100  # manifests that are asked whether they let a blob be mounted

_policy_of = lru_cache(maxsize=256)(image_policy.from_json)  # by its text: images share few policies


def is_heavy(found: FoundManifest) -> bool:
    """Whether judging a manifest may take too long for the loop: an index has others read, any number of them."""
    return found.media_type in INDEXES or len(found.body) > _INLINE


def find_refusal(reader: Reader, image: ImageId, manifest: ManifestId, body: bytes) -> str | None:
    """Return why the manifest may not be pulled, as a clause, or None."""
    policy = _policy_of(images.policy_of(reader, image))
    return _Judge(reader, image, policy).judge(manifest, body)


def list_blocking(reader: Reader, image: ImageId, manifest: ManifestId) -> tuple[str, ...]:
    """Return the first of the vulnerabilities for which the limits refuse the manifest itself, by name."""
    scanned = scan_summaries.find(reader, manifest)
    if scanned is None or scanned.summary is None:
        return ()
    broken = broken_limits(_policy_of(images.policy_of(reader, image)), scanned.summary)
    return tuple(name for one in broken for name in one.names)


def blocks_mount(reader: Reader, image: ImageId, digest: Digest) -> bool:
    """Whether all manifests of the limited `image` that need the blob are refused: then it is no source of a mount.

    It may read many manifests: for a worker thread.
    """
    judge = _Judge(reader, image, _policy_of(images.policy_of(reader, image)))
    holders = manifests.list_holders(reader, image, digest, _HOLDERS)
    return bool(holders) and all(judge.judge_row(holder) is not None for holder in holders)


class _Judge:
    """Judges manifests of one image by its policy, as long as the work lasts that it may do."""

    def __init__(self, reader: Reader, image: ImageId, policy: ImagePolicy) -> None:
        self._reader = reader
        self._image = image
        self._policy = policy
        self._work = _WORK

    def judge(self, manifest: ManifestId, body: bytes, depth: int = _DEPTH) -> str | None:
        """Return why the manifest is refused, or None."""
        self._work -= 1 + len(body) // _INLINE
        shape = shape_of(body)
        if shape.has_files:
            return pull_refusal(self._policy, scan_summaries.find(self._reader, manifest))
        refusal = None
        for digest in shape.children if depth else ():
            if self._work <= 0:
                return None
            child = manifests.find_content(self._reader, self._image, digest)
            if child is None:
                continue
            refusal = self.judge(*child, depth - 1)
            if refusal is None:
                return None
        return refusal and f"all its platforms are refused, the last because {refusal}"

    def judge_row(self, manifest: ManifestId) -> str | None:
        """Return why the manifest is refused, or None."""
        loaded = manifests.load(self._reader, manifest) if self._work > 0 else None
        return None if loaded is None else self.judge(manifest, loaded[4], 0)
