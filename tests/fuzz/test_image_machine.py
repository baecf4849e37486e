"""Any sequence of pushes, deletions, undo, locks, policies, tag deletion, collection, restarts does what a model says.

At the end nothing is lost that anything needs, and nothing is left that nothing needs.
"""

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from appliance.blobstore.files import Files
from appliance.db import deletions, images, retention_facts, usage_check
from appliance.domain import retention
from appliance.domain.image_policy import TagDeletion
from appliance.domain.moment import DAY, HOUR, MINUTE, Timestamp
from appliance.domain.names import Digest, RepositoryName, Tag
from appliance.domain.policy_edit import PolicyEdit, TagDeletionEdit
from appliance.domain.revision import ANY
from appliance.errors import Conflict, ManifestUnknown, TagLocked
from appliance.services import delete, retain, tagging, undo
from appliance.services.amend import ImageEdit, edit_image
from tests import make
from tests.fuzz.conftest import sized
from tests.fuzz.image_model import Content, Deletion, Model
from tests.services.conftest import House

T = TypeVar("T")
LAYERS = [{"a": b"1"}, {"b": b"2"}, {"c": b"3"}]
ONE, TWO, THREE = (make.image([LAYERS[number], LAYERS[(number + 1) % 3]]) for number in range(3))
SIGNATURE = make.artifact("application/vnd.dev.cosign.artifact.sig.v1+json", b"sig", subject=ONE)
SBOM = make.artifact("application/spdx+json", b"sbom", subject=SIGNATURE)
OLD_SIGNATURE = make.artifact("application/vnd.dev.cosign.artifact.sig.v1+json", b"old")
BOTH, ALL = make.index([ONE, TWO]), make.index([THREE, make.index([ONE, TWO])])
PUSHED = {
    "one": ONE,
    "two": TWO,
    "three": THREE,
    "signature": SIGNATURE,
    "sbom": SBOM,
    "old signature": OLD_SIGNATURE,
    "index": BOTH,
    "nested index": ALL,
}
PARTS = {part.digest: part for manifest in PUSHED.values() for part in manifest.walk()}
SUBJECTS = {SIGNATURE.digest: ONE, SBOM.digest: SIGNATURE}
CONTENTS = {digest: Content(part, SUBJECTS.get(digest)) for digest, part in PARTS.items()}
PATHS = st.sampled_from(["pay/api", "pay/api", "pay/web", "shop/x"])
TAG_NAMES = ["a", "b", "c", ONE.digest.replace(":", "-") + ".sig"]
TAGS = st.sampled_from(TAG_NAMES)
TAG_LISTS = st.lists(TAGS, max_size=2, unique=True)
NAMES = st.sampled_from(sorted(PUSHED))
POLICIES = st.sampled_from(
    [
        TagDeletion(),
        TagDeletion(enabled=True, untagged=True, untagged_days=1),
        TagDeletion(enabled=True, old=True, old_days=2),
        TagDeletion(enabled=True, count=True, keep_newest=1, keep_patterns=("b",)),
        TagDeletion(enabled=True, old=True, old_days=5, untagged=True, untagged_days=2, count=True, keep_newest=2),
    ]
)
WAITS = st.sampled_from([0, MINUTE, 2 * HOUR, DAY - 1, DAY, 3 * DAY])


class Managing(RuleBasedStateMachine):
    """Drives one house and the model beside it."""

    @initialize(pushes=st.lists(st.tuples(PATHS, NAMES, TAG_LISTS), min_size=4, max_size=10))
    def begin(self, pushes: list[tuple[str, str, list[str]]]) -> None:
        memory = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
        self.folder = Path(tempfile.mkdtemp(prefix="scr-", dir=memory if memory.is_dir() else None))
        self.executor = ThreadPoolExecutor(max_workers=2)
        self.runner = asyncio.Runner()
        self.model = Model()
        self.house = House(self.folder, self.executor, Files())
        self.do(self.house.open())
        for push in pushes:
            self.push(*push)

    def teardown(self) -> None:
        if not hasattr(self, "house"):
            return
        try:
            self.settle()
        finally:
            self.house.stock.db.close()
            self.runner.close()
            self.executor.shutdown()
            shutil.rmtree(self.folder)

    def do(self, work: Awaitable[T]) -> T:
        async def wait() -> T:
            return await work

        return self.runner.run(wait())

    @property
    def now(self) -> Timestamp:
        return Timestamp(self.house.now)

    @rule(path=PATHS, name=NAMES, tags=TAG_LISTS)
    def push_something(self, path: str, name: str, tags: list[str]) -> None:
        self.push(path, name, tags)

    @rule(path=PATHS, names=st.lists(NAMES, min_size=2, max_size=4), tags=TAG_LISTS)
    def push_several(self, path: str, names: list[str], tags: list[str]) -> None:
        for name in names:
            self.push(path, name, tags)

    def push(self, path: str, name: str, tags: list[str]) -> None:
        manifest = PUSHED[name]
        contents = [CONTENTS[part.digest] for part in manifest.walk()]
        expected = self.model.push(path, contents, tags, self.house.now)
        try:
            self.do(self.house.push(path, manifest, *tags))
        except TagLocked:
            assert not expected
        else:
            assert expected

    @rule(path=PATHS, tag=TAGS, name=NAMES)
    def move_tag(self, path: str, tag: str, name: str) -> None:
        digest = Digest(PUSHED[name].digest)
        found = self.model.find(path)
        if found is None:
            return
        work = tagging.point_tag(self.house.stock, self.house.grant(path), Tag(tag), digest, self.now)
        try:
            self.do(work)
        except ManifestUnknown:
            assert digest not in found[1].live
        except TagLocked:
            assert found[1].tags[tag] != digest
            assert self.model.is_held(path, tag)
        else:
            assert digest in found[1].live
            found[1].tags[tag] = digest

    @rule(path=PATHS, tag=TAGS)
    def delete_tag(self, path: str, tag: str) -> None:
        found = self.model.find(path)
        if found is None:
            return
        _, image = found
        work = delete.delete_tag(self.house.stock, self.house.grant(path), Tag(tag), self.now)
        try:
            self.do(work)
        except ManifestUnknown:
            assert tag not in image.tags
        except TagLocked:
            assert self.model.is_held(path, tag)
        else:
            assert not self.model.is_held(path, tag)
            self.note("tag", path).tags = [(tag, image.tags.pop(tag))]

    @rule(path=PATHS, places=st.lists(st.integers(0, 9), min_size=1, max_size=3, unique=True))
    def delete_some_that_are_there(self, path: str, places: list[int]) -> None:
        if (found := self.model.find(path)) is not None:
            names = [name for name, manifest in PUSHED.items() if manifest.digest in found[1].live]
            self.delete_manifests(path, [name for place, name in enumerate(names) if place in places])

    @rule(path=PATHS, chosen=st.lists(NAMES, min_size=1, max_size=3, unique=True))
    def delete_any(self, path: str, chosen: list[str]) -> None:
        self.delete_manifests(path, chosen)

    def delete_manifests(self, path: str, chosen: list[str]) -> None:
        found = self.model.find(path)
        if found is None or not chosen:
            return
        _, image = found
        digests = [Digest(PUSHED[name].digest) for name in chosen]
        refused = [one for one in digests if one not in image.live or self.model.holds(path, one)]
        work = delete.delete_manifests(self.house.stock, self.house.grant(path), digests, self.now)
        try:
            self.do(work)
        except Conflict:
            assert refused
            return
        assert not refused
        deletion = self.note("manifest", path)
        deletion.digests = digests
        for digest in digests:
            deletion.tags += image.remove(digest, self.house.now)

    @rule(path=PATHS, policy=POLICIES, wait=WAITS)
    def let_a_policy_run(self, path: str, policy: TagDeletion, wait: int) -> None:
        self.edit_policy(path, policy)
        self.retain(path, wait)

    @rule(path=PATHS, purge=st.booleans())
    def delete_image(self, path: str, purge: bool) -> None:  # noqa: FBT001 - hypothesis gives it
        found = self.model.find(path)
        if found is None:
            return
        repository, image = found
        work = delete.delete_image(self.house.stock, self.house.grant(path), self.now, purge=purge)
        try:
            self.do(work)
        except TagLocked:
            assert self.model.holds_image(path)
            return
        assert not self.model.holds_image(path)
        if not purge:
            self.note("image", path)
        image.removed_at = self.house.now - (DAY if purge else 0)
        repository.gone.append(repository.images.pop(path.partition("/")[2]))

    @rule(name=st.sampled_from(["pay", "shop", "none", "nil", "null"]))
    def delete_repository(self, name: str) -> None:
        repository = self.model.repositories.get(name)
        if repository is None:
            return
        held = repository.locked or any(self.model.holds_image(f"{name}/{image}") for image in repository.images)
        grant = self.house.grant(f"{name}/x")
        try:
            self.do(delete.delete_repository(self.house.stock, grant, RepositoryName(name), self.now))
        except TagLocked:
            assert held
            return
        assert not held
        self.note("repository", name)
        repository.removed_at = self.house.now
        self.model.gone.append(self.model.repositories.pop(name))

    @precondition(lambda self: self.model.deletions)
    @rule(number=st.integers(0, 5))
    def undo(self, number: int) -> None:
        chosen = self.model.deletions[-1 - min(number, len(self.model.deletions) - 1)]
        found = deletions.find(self.house.stock.db.reader, chosen.public_id)
        assert found is not None
        caller = self.house.grant("pay/x").caller
        expected = self.model.undo(chosen)
        try:
            self.do(undo.undo(self.house.stock, caller, found, self.now))
        except Conflict:
            assert not expected
        else:
            assert expected

    @rule(path=PATHS, place=st.integers(0, 3), locked=st.sampled_from([True, True, False]))
    def lock_tag(self, path: str, place: int, locked: bool) -> None:  # noqa: FBT001 - hypothesis gives it
        found = self.model.find(path)
        if found is None or not found[1].tags:
            return
        repository, image = found
        tag = sorted(image.tags)[place % len(image.tags)]
        work = tagging.lock_tag(self.house.stock, self.house.grant(path), Tag(tag), self.now, locked=locked)
        try:
            self.do(work)
        except Conflict:
            assert repository.locked or tag.startswith("sha256-")
        else:
            assert not repository.locked
            (image.locked_tags.add if locked else image.locked_tags.discard)(tag)

    @rule(path=PATHS, locked=st.booleans())
    def lock_image(self, path: str, locked: bool) -> None:  # noqa: FBT001 - hypothesis gives it
        found = self.model.find(path)
        if found is None or not self.is_shown(path):
            return
        order = ImageEdit(locked=locked)
        try:
            self.do(edit_image(self.house.stock, self.house.grant(path), order, ANY, self.now))
        except Conflict:
            assert found[0].locked
        else:
            assert not found[0].locked
            found[1].locked = locked

    @rule(name=st.sampled_from(["pay", "shop"]), locked=st.booleans())
    def lock_repository(self, name: str, locked: bool) -> None:  # noqa: FBT001 - hypothesis gives it
        repository = self.model.repositories.get(name)
        if repository is not None:
            sql = "UPDATE repositories SET locked = ? WHERE name = ? AND removed_at IS NULL"
            self.do(self.house.stock.db.write(lambda tx: tx.execute(sql, (locked, name))))
            repository.locked = locked

    def edit_policy(self, path: str, policy: TagDeletion) -> None:
        found = self.model.find(path)
        if found is None:
            return
        fields = {name: getattr(policy, name) for name in policy.__struct_fields__}
        order = ImageEdit(policy=PolicyEdit(tag_deletion=TagDeletionEdit(**fields)))
        self.do(edit_image(self.house.stock, self.house.grant(path), order, ANY, self.now))
        found[1].policy = policy

    @rule(path=PATHS, wait=WAITS)
    def run_again(self, path: str, wait: int) -> None:
        self.retain(path, wait)

    def retain(self, path: str, wait: int) -> None:
        self.house.now += wait
        found = self.model.find(path)
        if found is None or not self.is_shown(path):
            return
        repository, image = found
        held = "its repository" if repository.locked else "the image" if image.locked else None
        plan = retention.plan(image.policy, image.candidates(), self.now, held=held)
        expected = {verdict.digest for verdict in plan.going}
        tested = self.do(retain.preview(self.house.stock, self.house.image(path), None, self.now))
        assert {verdict.digest for verdict in tested.plan.going} == expected

        done = self.do(retain.run(self.house.stock, self.house.image_id(path), self.now))

        if not image.policy.is_on:
            assert done.manifests == 0
            return
        assert done.manifests == len(expected)
        if expected:
            deletion = self.note("retention", path)
            deletion.digests = sorted(expected)
            for digest in deletion.digests:
                deletion.tags += image.remove(digest, self.house.now)

    @rule(wait=WAITS)
    def collect(self, wait: int) -> None:
        self.do(self.house.collect(after=wait))
        self.model.collect(self.house.now)

    @rule()
    def restart(self) -> None:
        self.house.stock.db.close()
        now, self.house = self.house.now, House(self.folder, self.executor, Files())
        self.house.now = now
        self.do(self.house.open())

    @invariant()
    def answers_are_those_of_the_model(self) -> None:
        if not hasattr(self, "house"):
            return
        for path in ("pay/api", "pay/web", "shop/x"):
            found = self.model.find(path)
            if found is None or not found[1].entries:
                assert found is not None or images.find(self.house.stock.db.reader, self.house.image(path)) is None
                continue
            assert self.house.tags(path) == found[1].tags
            facts = retention_facts.load(self.house.stock.db.reader, self.house.image_id(path))
            assert {one.digest for one in facts.candidates} == set(found[1].live)
        assert usage_check.list_wrong(self.house.stock.db.reader) == []
        known = deletions.list_page(self.house.stock.db.reader, self.house.site.registry, 1 << 62, 1000)
        assert [one.public_id for one in known] == [one.public_id for one in reversed(self.model.deletions)]

    def note(self, kind: str, path: str) -> Deletion:
        """Write down the deletion that was just made."""
        newest = deletions.list_page(self.house.stock.db.reader, self.house.site.registry, 1 << 62, 1)[0]
        assert (newest.kind, newest.path) == (kind, path)
        deletion = Deletion(newest.public_id, kind, path, self.house.now)
        name, _, image = path.partition("/")
        deletion.repository = self.model.repositories[name]
        deletion.image = deletion.repository.images.get(image)
        self.model.deletions.append(deletion)
        return deletion

    def is_shown(self, path: str) -> bool:
        return images.find_shown(self.house.stock.db.reader, self.house.image(path)) is not None

    def settle(self) -> None:
        """Let all times pass: everything that is live is whole, and nothing else lies anywhere."""
        for _ in range(3):
            self.do(self.house.collect(after=2 * DAY))
        blobs: set[str] = set()
        copies: list[str] = []
        for name, repository in self.model.repositories.items():
            for image_name, image in repository.images.items():
                for digest in image.live:
                    self.do(self.house.assert_whole(f"{name}/{image_name}", _alone(PARTS[digest])))
                    blobs |= {blob.digest.partition(":")[2] for blob in PARTS[digest].blobs}
                    copies.append(digest.partition(":")[2])
        lying = [path.split("/") for path in self.house.lying()]
        assert {parts[-1].partition(".")[0] for parts in lying if parts[0] == "blobs"} == blobs
        assert sorted(parts[-1].partition(".")[0] for parts in lying if parts[0] == "manifests") == sorted(copies)
        assert [parts for parts in lying if parts[0] not in ("blobs", "manifests")] == []
        assert self.house.count("condemned") == 0
        self.house.assert_sound()


def _alone(manifest: make.Manifest) -> make.Manifest:
    """Return the manifest without what it lists: that may have been deleted by itself."""
    return msgspec.structs.replace(manifest, children=())


def test_images_do_what_the_model_says() -> None:
    run_state_machine_as_test(Managing, settings=sized(30, 600, steps=50))
