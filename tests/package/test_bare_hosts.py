"""The packaged file on hosts that have nothing: Debian 11, 12 and 13 without Python, and less than that."""

from pathlib import Path

import msgspec
import pytest

from tests import make
from tests.clients.programs import Program
from tests.conformance.check import check_every_case
from tests.make.layout import assert_layout_holds, write_layout
from tests.package.hosts import NOBODY, RELEASES, Host, bare, is_fallback, memory_limit

MEMORY = 256 << 20  # bytes
IMAGE = make.image([{"app": bytes(range(256)) * 8192}, {"etc/motd": b"hello\n"}])


@pytest.fixture(scope="module", params=RELEASES)
def host(request: pytest.FixtureRequest) -> Host:
    """A bare host of each release."""
    return bare(str(request.param))


def push_and_pull(server: make.Server, name: str = "pay/api") -> None:
    """Push an image of some megabytes by hand and read it back."""
    with server.client() as client:
        client.push(name, IMAGE, "1")
        client.assert_holds(name, "1", IMAGE)


def left_behind(host: Host, server: make.Server) -> list[str]:
    """Return what lies in the places for temporary files that the server sees, and was not in the tree before."""
    seen = Path(f"/proc/{server.pid}/root")
    places = [seen / place for place in ("tmp", "var/tmp", "dev/shm", "run", "root")]
    mine = {Path("tmp/scr"), server.folder.relative_to("/")}
    found = (path.relative_to(seen) for place in places if place.is_dir() for path in place.iterdir())
    new = [path for path in found if not (host.tree / path).exists()]
    if is_fallback():  # what it unpacks; a kill -9 leaves it there
        new = [path for path in new if not path.name.startswith("_MEI")]
    return [str(path) for path in new if not any(one.is_relative_to(path) for one in mine)]


def test_it_tells_what_it_is(host: Host, tmp_path: Path) -> None:
    told = host.run(tmp_path, "version", "--json")

    assert told.returncode == 0, told.stderr
    facts = msgspec.json.decode(told.stdout)
    assert facts["build"]["tool"] in ("pyoxidizer", "pyinstaller")
    assert facts["libraries"]["cpython"]


def test_it_serves_and_takes_a_push_from_skopeo(host: Host, tmp_path: Path, skopeo: Program) -> None:
    with host.server(tmp_path / "server") as server:
        remote = f"docker://{server.address}/pay/api:1"
        layout = write_layout(tmp_path / "in", IMAGE, "1")
        skopeo.run("copy", "--preserve-digests", "--dest-tls-verify=false", f"oci:{layout}:1", remote)
        skopeo.run("copy", "--preserve-digests", "--src-tls-verify=false", remote, f"oci:{tmp_path / 'out'}:1")

        assert_layout_holds(tmp_path / "out", IMAGE)
        assert "pay/api" in host.run(server.folder, "image", "list", "--data-dir", str(server.data)).stdout


@pytest.mark.timeout(600)
def test_it_passes_the_conformance_program(host: Host, tmp_path: Path) -> None:
    with host.server(tmp_path / "server", "[limits]\nsparse_images = true\n") as server:
        check_every_case(server, tmp_path, "1.1")


@pytest.mark.parametrize(
    ("case", "changes"),
    [
        ("nobody", {"user": NOBODY}),
        ("read-only root", {"is_read_only": True}),
        ("nobody on a read-only root", {"user": NOBODY, "is_read_only": True}),
        ("data on noexec", {"mount": "noexec"}),
    ],
)
def test_it_serves_whoever_it_is_and_whatever_it_may(
    host: Host, tmp_path: Path, case: str, changes: dict[str, object]
) -> None:
    poor = msgspec.structs.replace(host, **changes)

    with poor.server(tmp_path / "server") as server:
        push_and_pull(server)
        assert left_behind(poor, server) == [], case

    expected = case == "data on noexec" and not is_fallback()
    assert any("compiled modules stay in memory" in line for line in server.log) == expected


def test_it_serves_in_256_megabytes(tmp_path: Path) -> None:
    with memory_limit(MEMORY) as group, bare("bookworm").server(tmp_path / "server") as server:
        group.write_text(str(server.pid))
        for number in range(8):
            push_and_pull(server, f"pay/api-{number}")


@pytest.mark.skipif(is_fallback(), reason="killed, PyInstaller's parent leaves its child serving: docs/packaging.md")
def test_killed_at_once_it_leaves_nothing_behind(host: Host, tmp_path: Path) -> None:
    server = host.server(tmp_path / "server").start()
    push_and_pull(server)
    before = left_behind(host, server)

    server.kill()

    with server as again:
        assert before == left_behind(host, again) == []
        kept = [path.name for path in server.data.glob("lib/*")]
        assert kept == ([] if is_fallback() else [_build(host, tmp_path)])


def _build(host: Host, folder: Path) -> str:
    return str(msgspec.json.decode(host.run(folder, "version", "--json").stdout)["build"]["id"])
