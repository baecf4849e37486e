"""Images in a few lines: what pushes, deletions, undo, locks, policies and collection leave, without any database."""

from collections.abc import Iterable, Sequence

from appliance.domain.image_policy import TagDeletion
from appliance.domain.moment import DAY, Timestamp
from appliance.domain.names import Digest, Tag, is_signature
from appliance.domain.retention import Candidate, TagState
from tests import make

RECYCLE = DAY


class Content:
    """What the model has to know of a manifest that can be pushed."""

    def __init__(self, manifest: make.Manifest, subject: make.Manifest | None = None) -> None:
        self.manifest = manifest
        self.digest = Digest(manifest.digest)
        self.children = tuple(Digest(child.digest) for child in manifest.children)
        self.subject = None if subject is None else Digest(subject.digest)


class Entry:
    """A manifest of an image."""

    def __init__(self, content: Content, pushed_at: int) -> None:
        self.content = content
        self.pushed_at = pushed_at
        self.removed_at: int | None = None


class Image:
    """An image: its manifests, removed ones too, and its tags."""

    def __init__(self) -> None:
        self.entries: dict[Digest, Entry] = {}
        self.tags: dict[str, Digest] = {}
        self.locked_tags: set[str] = set()
        self.locked = False
        self.policy = TagDeletion()
        self.removed_at: int | None = None

    @property
    def live(self) -> dict[Digest, Entry]:
        return {digest: entry for digest, entry in self.entries.items() if entry.removed_at is None}

    def tags_of(self, digest: Digest) -> list[str]:
        return [tag for tag, named in self.tags.items() if named == digest]

    def reach(self, digest: Digest) -> set[Digest]:
        """Return the digest and all that it lists, at any depth, as far as it is here."""
        entry = self.live.get(digest)
        if entry is None:
            return set()
        return {digest}.union(*(self.reach(child) for child in entry.content.children))

    def remove(self, digest: Digest, at: int) -> list[tuple[str, Digest]]:
        """Take a manifest and its tags away; return the tags with what they named."""
        gone = [(tag, digest) for tag in self.tags_of(digest)]
        for tag, _ in gone:
            del self.tags[tag]
            self.locked_tags.discard(tag)
        self.entries[digest].removed_at = at
        return gone

    def candidates(self) -> list[Candidate]:
        return [
            Candidate(
                digest,
                Timestamp(entry.pushed_at),
                None,
                tuple(TagState(Tag(tag), tag in self.locked_tags) for tag in self.tags_of(digest)),
                entry.content.children,
                entry.content.subject,
            )
            for digest, entry in self.live.items()
        ]


class Repository:
    """A repository and its images, by name; those that were removed apart."""

    def __init__(self) -> None:
        self.images: dict[str, Image] = {}
        self.gone: list[Image] = []
        self.locked = False
        self.removed_at: int | None = None


class Deletion:
    """What one act took away."""

    def __init__(self, public_id: str, kind: str, path: str, at: int) -> None:
        self.public_id = public_id
        self.kind = kind
        self.path = path
        self.at = at
        self.repository: Repository | None = None
        self.image: Image | None = None
        self.digests: list[Digest] = []
        self.tags: list[tuple[str, Digest]] = []


class Model:
    """All repositories of one registry, live and removed."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.gone: list[Repository] = []
        self.deletions: list[Deletion] = []

    def find(self, path: str) -> tuple[Repository, Image] | None:
        name, _, image = path.partition("/")
        repository = self.repositories.get(name)
        if repository is None or image not in repository.images:
            return None
        return repository, repository.images[image]

    def claim(self, path: str) -> tuple[Repository, Image]:
        name, _, image = path.partition("/")
        repository = self.repositories.setdefault(name, Repository())
        return repository, repository.images.setdefault(image, Image())

    def is_held(self, path: str, tag: str) -> bool:
        """Whether a lock holds a tag that is there."""
        repository, image = self.claim(path)
        return not is_signature(Tag(tag)) and (repository.locked or image.locked or tag in image.locked_tags)

    def holds(self, path: str, digest: Digest) -> bool:
        """Whether a lock holds a manifest."""
        repository, image = self.claim(path)
        if repository.locked or image.locked:
            return True
        return any(digest in image.reach(image.tags[tag]) for tag in image.locked_tags)

    def holds_image(self, path: str) -> bool:
        repository, image = self.claim(path)
        return repository.locked or image.locked or bool(image.locked_tags)

    def push(self, path: str, contents: Sequence[Content], tags: Iterable[str], now: int) -> bool:
        """Push `contents` in their order, the last with `tags`; False: a lock held one of these."""
        _, image = self.claim(path)
        for content in contents[:-1]:
            self._put(image, content, now)
        last = contents[-1]
        if any(image.tags.get(tag, last.digest) != last.digest and self.is_held(path, tag) for tag in tags):
            return False
        self._put(image, last, now)
        image.tags.update(dict.fromkeys(tags, last.digest))
        return True

    def _put(self, image: Image, content: Content, now: int) -> None:
        entry = image.entries.setdefault(content.digest, Entry(content, now))
        entry.removed_at = None

    def collect(self, now: int) -> None:
        """Let go for good what was removed long enough ago."""
        before = now - RECYCLE
        self.gone = [one for one in self.gone if one.removed_at is None or one.removed_at > before]
        for repository in (*self.repositories.values(), *self.gone):
            repository.gone = [one for one in repository.gone if one.removed_at is None or one.removed_at > before]
            for image in (*repository.images.values(), *repository.gone):
                image.entries = {
                    digest: entry
                    for digest, entry in image.entries.items()
                    if entry.removed_at is None or entry.removed_at > before
                }
        self.deletions = [one for one in self.deletions if one.at > before]

    def undo(self, deletion: Deletion) -> bool:
        """Bring back what `deletion` took; False: something stands in the way."""
        name, _, image_name = deletion.path.partition("/")
        repository, image = deletion.repository, deletion.image
        assert repository is not None
        if deletion.kind == "repository":
            if repository not in self.gone or name in self.repositories:
                return False
            self.gone.remove(repository)
            repository.removed_at = None
            self.repositories[name] = repository
        elif deletion.kind == "image":
            if self.repositories.get(name) is not repository or image not in repository.gone:
                return False
            if image_name in repository.images:
                return False
            assert image is not None
            repository.gone.remove(image)
            image.removed_at = None
            repository.images[image_name] = image
        else:
            if self.repositories.get(name) is not repository or repository.images.get(image_name) is not image:
                return False
            assert image is not None
            self._bring_back(image, deletion)
        self.deletions.remove(deletion)
        return True

    def _bring_back(self, image: Image, deletion: Deletion) -> None:
        for digest in deletion.digests:
            if digest in image.entries:
                image.entries[digest].removed_at = None
        for tag, digest in deletion.tags:
            if digest in image.live:
                image.tags.setdefault(tag, digest)
