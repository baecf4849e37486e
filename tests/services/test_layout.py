"""Reading OCI layouts and archives of `docker save`: whole ones are understood, anything else is refused before use."""

import gzip
import io
import json
import tarfile
from pathlib import Path

import pytest

from appliance.domain.manifest import Descriptor
from appliance.domain.names import Digest
from appliance.errors import LayoutInvalid
from appliance.services.layout import Carried, inspect
from appliance.services.layout_source import open_source
from appliance.services.layout_writer import add_blob, add_index, open_writer
from tests.make import images
from tests.make.images import OCI_INDEX, Blob, Manifest, encode
from tests.make.layout import blob_path, write_layout

IMAGE = images.image([{"etc/motd": b"hello"}], platform="linux/amd64")
OTHER = images.image([{"etc/motd": b"other"}], platform="linux/arm64")
INDEX = images.index([IMAGE, OTHER])


def read(path: Path, *, sparse: bool = False) -> Carried:
    return inspect(open_source(path), sparse=sparse)


def pack(path: Path, members: dict[str, bytes], links: dict[str, str] | None = None, *, hard: bool = False) -> Path:
    """Write an archive of `members` and links, names as they are."""
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type = tarfile.LNKTYPE if hard else tarfile.SYMTYPE
            member.linkname = target
            archive.addfile(member)
    return path


def members_of(manifest: Manifest) -> dict[str, bytes]:
    """Return the members of a layout of `manifest`."""
    parts = [blob for part in manifest.walk() for blob in (*part.blobs, Blob(part.body, part.algorithm))]
    listed = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [manifest.descriptor()]}
    return {f"blobs/{blob.digest.replace(':', '/')}": blob.data for blob in parts} | {"index.json": encode(listed)}


def archive(folder: Path, manifest: Manifest, suffix: str) -> Path:
    path = pack(folder / "layout.tar", members_of(manifest))
    if suffix != ".tar":
        packed = folder / f"layout{suffix}"
        packed.write_bytes(gzip.compress(path.read_bytes()))
        return packed
    return path


@pytest.mark.parametrize("kind", ["folder", ".tar", ".tar.gz"])
def test_a_layout_is_read_from_a_folder_and_from_archives(tmp_path: Path, kind: str) -> None:
    path = write_layout(tmp_path / "layout", INDEX, "1") if kind == "folder" else archive(tmp_path, INDEX, kind)

    carried = read(path)

    assert [entry.digest for entry in carried.entries] == [INDEX.digest]
    assert {digest: manifest.body for digest, manifest in carried.manifests.items()} == {
        part.digest: part.body for part in INDEX.walk()
    }
    assert list(carried.manifests)[-1] == INDEX.digest  # whoever lists others comes behind them
    assert carried.blobs == {blob.digest: len(blob.data) for part in INDEX.walk() for blob in part.blobs}


def test_the_order_of_an_archive_does_not_matter(tmp_path: Path) -> None:
    members = members_of(INDEX)

    last = read(pack(tmp_path / "a.tar", members))
    first = read(pack(tmp_path / "b.tar", dict(reversed(members.items()))))

    assert (first.entries, first.manifests, first.blobs) == (last.entries, last.manifests, last.blobs)


def test_names_may_begin_with_a_dot_and_slash(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.tar", {f"./{name}": content for name, content in members_of(IMAGE).items()})

    assert list(read(path).manifests) == [IMAGE.digest]


@pytest.mark.parametrize("name", sorted(members_of(INDEX)))
def test_a_layout_without_one_of_its_files_is_refused(tmp_path: Path, name: str) -> None:
    members = members_of(INDEX)
    del members[name]

    with pytest.raises(LayoutInvalid, match=r"not there|no index\.json"):
        read(pack(tmp_path / "a.tar", members))


@pytest.mark.parametrize("name", sorted(members_of(INDEX)))
@pytest.mark.parametrize("kind", ["folder", ".tar"])
def test_a_layout_with_a_changed_byte_is_refused(tmp_path: Path, name: str, kind: str) -> None:
    members = members_of(INDEX)
    content = members[name]
    members[name] = content[:-1] + bytes([content[-1] ^ 1])
    if kind == "folder":
        path = write_layout(tmp_path / "layout", INDEX, "1")
        (path / name).write_bytes(members[name])
    else:
        path = pack(tmp_path / "a.tar", members)

    with pytest.raises(LayoutInvalid, match=r"were changed|is no index"):
        read(path)


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz"])
def test_an_archive_cut_anywhere_is_refused(tmp_path: Path, suffix: str) -> None:
    path = archive(tmp_path, IMAGE, suffix)
    whole = path.read_bytes()
    content = len(whole) - 20 * 512 if suffix == ".tar" else len(whole) - 1  # a tar ends in up to 20 blocks of zeros
    for size in [0, 1, 511, 512, *range(513, content, 331), content]:
        path.write_bytes(whole[:size])

        with pytest.raises(LayoutInvalid):
            read(path)


def test_a_compressed_archive_with_a_wrong_check_sum_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path, IMAGE, ".tar.gz")
    whole = path.read_bytes()
    path.write_bytes(whole[:-8] + bytes(4) + whole[-4:])

    with pytest.raises(LayoutInvalid, match="cut or broken"):
        read(path)


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "blobs/sha256/../../../x",
        f"blobs/sha256/{'a' * 64}/../x",
        "blobs/sha256/",
        "blobs\\sha256\\x",
        "a" * 4000,
        "x\x01\x1b[2Jy",
    ],
)
def test_members_with_hostile_names_lead_nowhere(tmp_path: Path, name: str) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    path = pack(inside / "a.tar", {name: b"{}", **members_of(IMAGE)})

    carried = read(path)

    assert list(carried.manifests) == [IMAGE.digest]
    assert [found.name for found in tmp_path.rglob("*")] == ["inside", "a.tar"]


def test_links_and_devices_are_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(IMAGE.body)
    members = members_of(IMAGE)
    name = f"blobs/{IMAGE.digest.replace(':', '/')}"
    del members[name]

    with pytest.raises(LayoutInvalid, match="not there"):
        read(pack(tmp_path / "a.tar", members, {name: str(secret)}))
    folder = write_layout(tmp_path / "layout", IMAGE, "1")
    blob_path(folder, IMAGE.digest).unlink()
    blob_path(folder, IMAGE.digest).symlink_to(secret)
    with pytest.raises(LayoutInvalid, match="not there"):
        read(folder)


def test_a_sparse_index_is_taken_only_when_asked_for(tmp_path: Path) -> None:
    members = members_of(INDEX)
    for blob in (*OTHER.blobs, Blob(OTHER.body)):
        members.pop(f"blobs/{blob.digest.replace(':', '/')}", None)
    path = pack(tmp_path / "a.tar", members)

    with pytest.raises(LayoutInvalid, match="--sparse"):
        read(path)
    assert list(read(path, sparse=True).manifests) == [IMAGE.digest, INDEX.digest]


def test_a_descriptor_with_another_size_is_refused(tmp_path: Path) -> None:
    members = members_of(IMAGE)
    listed = {"schemaVersion": 2, "manifests": [{**IMAGE.descriptor(), "size": 7}]}
    members["index.json"] = encode(listed)

    with pytest.raises(LayoutInvalid, match="says that"):
        read(pack(tmp_path / "a.tar", members))


def test_an_index_that_lists_itself_ends(tmp_path: Path) -> None:
    # no hash can be made to hold itself, but two entries may name the same index
    members = members_of(INDEX)
    members["index.json"] = encode({"schemaVersion": 2, "manifests": [INDEX.descriptor(), INDEX.descriptor()]})

    carried = read(pack(tmp_path / "a.tar", members))

    assert len(carried.entries) == 2
    assert len(carried.manifests) == 3


@pytest.mark.parametrize("path", ["nothing", "."])
def test_what_is_no_layout_is_said(tmp_path: Path, path: str) -> None:
    with pytest.raises(LayoutInvalid, match=r"no file or folder|no index\.json"):
        read(tmp_path / path)


def test_what_the_writer_writes_the_reader_reads(tmp_path: Path) -> None:
    for name in ("folder", "a.tar", "a.tar.gz", "a.tgz"):
        path = tmp_path / name
        writer = open_writer(path)
        entry = Descriptor(IMAGE.digest, len(IMAGE.body), IMAGE.media_type)

        with writer:
            add_index(writer, [entry])
            for blob in (*IMAGE.blobs, Blob(IMAGE.body)):
                add_blob(writer, Digest(blob.digest), len(blob.data), [blob.data[:5], b"", blob.data[5:]])

        assert list(read(path).manifests) == [IMAGE.digest]
        assert list(tmp_path.glob("*.part")) == []
        with pytest.raises(LayoutInvalid, match="there already"):
            open_writer(path)


@pytest.mark.parametrize("name", ["folder", "a.tar", "a.tar.gz"])
@pytest.mark.parametrize("content", [[b"hell"], [b"hellO"], [b"hello", b"!"], []])
def test_the_writer_leaves_nothing_of_what_arrived_wrong(tmp_path: Path, name: str, content: list[bytes]) -> None:
    digest = Digest(Blob(b"hello").digest)
    writer = open_writer(tmp_path / name)

    def write() -> None:
        with writer:
            add_index(writer, [])
            add_blob(writer, digest, 5, content)

    with pytest.raises(LayoutInvalid):
        write()

    assert list(tmp_path.iterdir()) == []


class Saved:
    """An archive of `docker save` from before Docker wrote OCI layouts."""

    layers = (b"first layer" * 100, b"second layer")

    def __init__(self) -> None:
        digests = [Blob(layer).digest for layer in self.layers]
        self.config = encode({"os": "linux", "rootfs": {"type": "layers", "diff_ids": digests}})
        saved = [
            {"Config": "abc.json", "RepoTags": ["pay/api:1", "pay/api:2"], "Layers": ["1/layer.tar", "2/layer.tar"]}
        ]
        self.members = {
            "1/layer.tar": self.layers[0],
            "2/layer.tar": self.layers[1],
            "abc.json": self.config,
            "manifest.json": json.dumps(saved).encode(),
            "repositories": b"{}",
        }


def test_an_archive_of_docker_save_becomes_a_manifest_of_its_own_bytes(tmp_path: Path) -> None:
    carried = read(pack(tmp_path / "a.tar", Saved().members))

    assert [entry.name for entry in carried.entries] == ["pay/api:1", "pay/api:2"]
    (manifest,) = carried.manifests.values()
    assert [blob.digest for blob in manifest.blobs] == [
        Blob(content).digest for content in (Saved().config, *Saved.layers)
    ]


@pytest.mark.parametrize("hard", [False, True])
def test_a_layer_of_docker_save_may_be_a_link_inside_the_archive(tmp_path: Path, *, hard: bool) -> None:
    members = Saved().members
    members["0/layer.tar"] = members.pop("1/layer.tar")
    target = "0/layer.tar" if hard else "../0/layer.tar"

    carried = read(pack(tmp_path / "a.tar", members, {"1/layer.tar": target}, hard=hard))

    assert len(carried.blobs) == 3


@pytest.mark.parametrize("target", ["1/layer.tar", "/etc/passwd", "../../../etc/passwd", "layer.tar"])
def test_a_link_of_docker_save_that_leads_elsewhere_is_refused(tmp_path: Path, target: str) -> None:
    members = Saved().members
    del members["1/layer.tar"]

    with pytest.raises(LayoutInvalid, match="not there"):
        read(pack(tmp_path / "a.tar", members, {"1/layer.tar": target}))


def test_a_changed_layer_of_docker_save_is_refused(tmp_path: Path) -> None:
    members = Saved().members
    members["2/layer.tar"] = b"another layer"

    with pytest.raises(LayoutInvalid, match="were changed"):
        read(pack(tmp_path / "a.tar", members))
