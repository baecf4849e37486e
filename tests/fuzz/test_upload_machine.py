"""Any sequence of upload requests, cut off or whole, gives the answers of a model that is a few lines long."""

import hashlib
import socket

from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    rule,
    run_state_machine_as_test,
)

from tests import make
from tests.fuzz.conftest import sized
from tests.http.raw import Raw
from tests.make.client import Reply

_DATA = st.binary(max_size=40) | st.integers(0, 3_000_000).map(bytes)
_ALGORITHM = st.sampled_from(["sha256", "sha512"])
_NAMES = ["machine/a", "machine/b"]


class Session:
    """What the model knows of one upload: its bytes so far; `is_gone` once it is closed, cancelled or spoilt."""

    def __init__(self, location: str) -> None:
        self.location = location
        self.data = b""
        self.is_gone = False


class Uploading(RuleBasedStateMachine):
    """Drives one server; every example begins sessions of its own."""

    server: make.Server
    sessions = Bundle("sessions")

    def __init__(self) -> None:
        super().__init__()
        self.client = self.server.client()
        self.pushed: list[tuple[str, make.Blob]] = []

    def teardown(self) -> None:
        self.client.close()

    @rule(target=sessions, name=st.sampled_from(_NAMES), algorithm=_ALGORITHM)
    def begin(self, name: str, algorithm: str) -> Session:
        return Session(self.client.start_upload(name, f"?digest-algorithm={algorithm}"))

    @rule(session=sessions, data=_DATA, is_chunked=st.booleans())
    def append(self, session: Session, data: bytes, is_chunked: bool) -> None:  # noqa: FBT001 - hypothesis gives it
        body = iter([data[:7], data[7:]]) if is_chunked and len(data) > 7 else data
        self.expect_appended(self.client.request("PATCH", session.location, body), session, data)

    @rule(session=sessions, data=_DATA.filter(len))
    def append_in_order(self, session: Session, data: bytes) -> None:
        start = len(session.data)
        headers = {"Content-Range": f"{start}-{start + len(data) - 1}"}
        self.expect_appended(self.client.request("PATCH", session.location, data, headers), session, data)

    @rule(session=sessions, data=_DATA.filter(len), off=st.integers(-50, 50).filter(bool))
    def append_out_of_order(self, session: Session, data: bytes, off: int) -> None:
        start = len(session.data) + off
        if start < 0:
            return
        headers = {"Content-Range": f"{start}-{start + len(data) - 1}"}
        reply = self.client.request("PATCH", session.location, data, headers)
        if session.is_gone:
            reply.expect(404)
        else:
            reply.expect(416)
            assert reply.headers["range"] == self.range_of(session)

    @rule(session=sessions, data=st.binary(min_size=2, max_size=5000), cut=st.integers(0, 4999))
    def append_and_leave(self, session: Session, data: bytes, cut: int) -> None:
        with Raw(self.server) as raw:
            head = f"PATCH {session.location} HTTP/1.1\r\nHost: {raw.host}\r\nContent-Length: {len(data)}\r\n\r\n"
            raw.send(head.encode())
            raw.socket.sendall(data[: min(cut, len(data) - 1)])
            raw.socket.shutdown(socket.SHUT_WR)
            raw.is_ended()  # so the server has begun with it and seen it leave
        if session.is_gone:
            return
        while self.client.request("PATCH", session.location, b"").status == 409:  # what had come is still written
            continue
        offset = int(self.client.get(session.location).expect(204).headers["scr-upload-offset"])
        arrived = offset - len(session.data)
        assert 0 <= arrived <= min(cut, len(data) - 1)
        session.data += data[:arrived]

    @rule(session=sessions)
    def ask(self, session: Session) -> None:
        reply = self.client.get(session.location)
        if session.is_gone:
            assert reply.expect(404).codes == ["BLOB_UPLOAD_UNKNOWN"]
        else:
            assert reply.expect(204).headers["range"] == self.range_of(session)
            assert reply.headers["scr-upload-offset"] == str(len(session.data))

    @rule(target=sessions, session=consumes(sessions), last=_DATA, algorithm=_ALGORITHM)
    def close(self, session: Session, last: bytes, algorithm: str) -> Session:
        blob = make.Blob(session.data + last, algorithm)
        reply = self.client.request("PUT", f"{session.location}?digest={blob.digest}", last)
        if session.is_gone:
            reply.expect(404)
            return session
        assert reply.expect(201).headers["docker-content-digest"] == blob.digest
        session.is_gone = True
        self.pushed.append((session.location.partition("/blobs/uploads/")[0], blob))
        return session

    @rule(session=sessions, last=_DATA)
    def close_with_a_wrong_digest(self, session: Session, last: bytes) -> None:
        wrong = "sha256:" + hashlib.sha256(session.data + last + b"!").hexdigest()
        reply = self.client.request("PUT", f"{session.location}?digest={wrong}", last)
        if session.is_gone:
            reply.expect(404)
        else:
            assert reply.expect(400).codes == ["DIGEST_INVALID"]
            session.is_gone = True

    @rule(session=sessions)
    def cancel(self, session: Session) -> None:
        self.client.delete(session.location).expect(404 if session.is_gone else 204)
        session.is_gone = True

    @rule()
    def read_what_was_pushed(self) -> None:
        for name, blob in self.pushed:
            assert self.client.get(f"{name}/blobs/{blob.digest}").expect(200).body == blob.data

    def expect_appended(self, reply: Reply, session: Session, data: bytes) -> None:
        if session.is_gone:
            reply.expect(404)
            return
        session.data += data
        assert reply.expect(202).headers["range"] == self.range_of(session)

    def range_of(self, session: Session) -> str:
        return f"0-{max(len(session.data) - 1, 0)}"


def test_uploads_do_what_the_model_says(server: make.Server) -> None:
    class Machine(Uploading):
        pass

    Machine.server = server
    run_state_machine_as_test(Machine, settings=sized(25, 1500, steps=30))
