"""Several clients that push, move and delete at once, and write down what they were answered.

What each wrote down lies outside of the server's process, so it can be held against the server after a crash.
"""

import random
import threading
from collections.abc import Callable
from http.client import HTTPException

import msgspec

from tests.crash.faults import Plan
from tests.crash.server import CrashingServer
from tests.make import images
from tests.make.client import Client
from tests.make.images import Blob, Manifest
from tests.make.server import Server

SHARED = Blob(b"a layer that everybody pushes" * 300)
_GONE = (ConnectionError, HTTPException)


class Claim(msgspec.Struct):
    """What a reference was set to: acknowledged last, and since then only asked for. "" is: taken away."""

    path: str
    reference: str
    acknowledged: str = ""
    asked: str | None = None

    @property
    def allowed(self) -> set[str]:
        return {self.acknowledged} | (set() if self.asked is None else {self.asked})


class Member:
    """One client with an image of its own; it also pushes the shared tag."""

    def __init__(self, crowd: "Crowd", number: int) -> None:
        self.claims: dict[str, Claim] = {}
        self.shared: set[str] = set()  # digests it ever gave the shared tag
        self.known: dict[str, Manifest] = {}
        self._crowd = crowd
        self._path = f"{crowd.name}/member{number}"
        self._chance = random.Random(f"{crowd.name} {number}")  # noqa: S311 - the same story every time
        self._count = 0

    def work(self, client: Client) -> None:
        """Do one thing after another until the server is gone or the crowd is told to end."""
        try:
            while not self._crowd.is_over:
                action = self._chance.choice([self._push, self._push, self._push_again, self._untag, self._delete])
                action(client)
                self._crowd.note()
        except _GONE:
            return

    def _image(self) -> Manifest:
        self._count += 1
        text = f"{self._path} {self._count}".encode()
        image = images.image([{"etc/motd": text * self._chance.randrange(1, 2000)}])
        return msgspec.structs.replace(_with_layer(image, SHARED), blobs=(*image.blobs, SHARED))

    def _push(self, client: Client) -> None:
        """Push a new image under one of a few tags, and sometimes under the tag that all move."""
        image = self._image()
        self.known[image.digest] = image
        for blob in image.blobs:
            self._push_blob(client, self._path, blob)
        tag = f"t{self._chance.randrange(4)}"
        self._put(client, image, image.digest, tag)
        if not self._chance.randrange(3):
            path = f"{self._crowd.name}/shared"
            for blob in image.blobs:
                self._push_blob(client, path, blob)
            self.shared.add(image.digest)
            client.put_manifest(path, "same", image).expect(201)

    def _push_blob(self, client: Client, path: str, blob: Blob) -> None:
        location = client.start_upload(path)
        if self._chance.randrange(2):
            half = len(blob.data) // 2
            client.request("PATCH", location, blob.data[:half]).expect(202)
            client.request("PUT", f"{location}?digest={blob.digest}", blob.data[half:]).expect(201)
        else:
            client.request("PUT", f"{location}?digest={blob.digest}", blob.data).expect(201)

    def _push_again(self, client: Client) -> None:
        """Push an image that was pushed before and may be there, deleted or condemned."""
        if not self.known:
            return
        image = self.known[self._chance.choice(list(self.known))]
        for blob in image.blobs:
            self._push_blob(client, self._path, blob)
        self._put(client, image, image.digest, f"t{self._chance.randrange(4)}")

    def _put(self, client: Client, image: Manifest, *references: str) -> None:
        claims = [self._ask(reference, image.digest) for reference in references]
        client.put_manifest(self._path, references[-1], image).expect(201)
        _acknowledge(claims)

    def _untag(self, client: Client) -> None:
        tags = [claim for claim in self.claims.values() if claim.acknowledged and ":" not in claim.reference]
        if tags:
            claim = self._ask(self._chance.choice(tags).reference, "")
            client.delete(f"/v2/{self._path}/manifests/{claim.reference}").expect(202)
            _acknowledge([claim])

    def _delete(self, client: Client) -> None:
        """Delete a manifest with all its tags."""
        whole = [claim for claim in self.claims.values() if claim.acknowledged and ":" in claim.reference]
        if whole:
            digest = self._chance.choice(whole).reference
            held = [claim.reference for claim in self.claims.values() if claim.acknowledged == digest]
            claims = [self._ask(reference, "") for reference in held]
            client.delete(f"/v2/{self._path}/manifests/{digest}").expect(202)
            _acknowledge(claims)

    def _ask(self, reference: str, value: str) -> Claim:
        claim = self.claims.setdefault(reference, Claim(self._path, reference))
        claim.asked = value
        return claim


class Crowd:
    """Members at work in threads of their own, and a collector that runs all the time."""

    def __init__(self, server: Server, name: str, size: int = 3) -> None:
        """Let `size` members work on repository `name`."""
        self.name = name
        self.is_over = False
        self._server = server
        self.members = [Member(self, number) for number in range(size)]
        self._done = 0
        self._changed = threading.Condition()
        self._failures: list[BaseException] = []
        self._threads = [threading.Thread(target=self._run, args=(member.work,)) for member in self.members]
        self._threads.append(threading.Thread(target=self._run, args=(self._collect,)))

    def start(self) -> None:
        """Set all to work."""
        for thread in self._threads:
            thread.start()

    def note(self) -> None:
        """One more thing was done."""
        with self._changed:
            self._done += 1
            self._changed.notify_all()

    def wait_for(self, count: int) -> None:
        """Wait until `count` things were done, or nobody is left to do them."""
        with self._changed:
            while self._done < count and any(thread.is_alive() for thread in self._threads[:-1]):
                self._changed.wait(0.1)

    def join(self) -> None:
        """Wait until all have ended. Raises what went wrong with any but for the server's end."""
        for thread in self._threads[:-1]:
            thread.join()
        self.is_over = True
        self._threads[-1].join()
        if self._failures:
            raise self._failures[0]

    def check(self, client: Client) -> None:
        """Fail unless everything that was acknowledged is there, whole, and the rest whole or not at all."""
        known = {digest: image for member in self.members for digest, image in member.known.items()}
        for member in self.members:
            for claim in member.claims.values():
                found = _find(client, claim.path, claim.reference)
                assert found in claim.allowed, f"{claim} is {found!r}"
                if found:
                    client.assert_holds(claim.path, claim.reference, known[found])
        shared = _find(client, f"{self.name}/shared", "same")
        if shared:
            assert any(shared in member.shared for member in self.members)
            client.assert_holds(f"{self.name}/shared", "same", known[shared])

    def _run(self, work: Callable[[Client], None]) -> None:
        try:
            with self._server.client() as client:
                work(client)
        except BaseException as error:  # noqa: BLE001 - told to the test by `join`
            self._failures.append(error)
        finally:
            with self._changed:
                self._changed.notify_all()

    def _collect(self, client: Client) -> None:
        try:
            while not self.is_over:
                headers = {"Content-Type": "application/json"}
                client.request("POST", "/api/v1/collections", b"{}", headers).expect(200, 409)
        except _GONE:
            return


def crash(server: CrashingServer, crowd: Crowd, plan: Plan | None, after: int) -> None:
    """Let the crowd work until `plan` kills the server, or until it did `after` things and is killed from outside."""
    if plan is not None:
        server.plan(plan)
    crowd.start()
    crowd.wait_for(after)
    server.kill()
    crowd.join()
    server.plan(Plan()).start()


def _acknowledge(claims: list[Claim]) -> None:
    for claim in claims:
        if claim.asked is not None:
            claim.acknowledged, claim.asked = claim.asked, None


def _find(client: Client, path: str, reference: str) -> str:
    """Return the digest that `reference` names now, or ""."""
    reply = client.get_manifest(path, reference).expect(200, 404)
    return reply.headers["docker-content-digest"] if reply.status == 200 else ""


def _with_layer(image: Manifest, layer: Blob) -> Manifest:
    """Return `image` with one more layer."""
    content = msgspec.json.decode(image.body, type=dict[str, object])
    layers = content["layers"]
    assert isinstance(layers, list)
    return image.variant(layers=[*layers, layer.descriptor(images.OCI_LAYER)])
