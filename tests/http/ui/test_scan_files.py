"""The pages of what is in images: files of an image and of its layers, images compared, images found by content."""

import json
import re
from urllib.parse import quote

from tests import make
from tests.http.ui.asking import ask
from tests.http.ui.test_images import place_of
from tests.http.ui.test_scans import results_of
from tests.make.client import Client
from tests.make.images import Manifest
from tests.make.server import Server

EVIL = '"><svg onload=alert(1)>'
APK = b"P:musl\nV:1.2.4-r%d\nA:x86_64\no:musl\n\n"
BASE = {"etc/os-release": b"ID=alpine\nVERSION_ID=3.10.2\n", "lib/apk/db/installed": APK % 0}
OLD = make.image([BASE, {"srv/app": b"one", "srv/gone": b"1", "etc/motd": b"hello"}])
NEW = make.image([BASE, {"lib/apk/db/installed": APK % 1, "srv/app": b"other", "srv/more": b"2", "srv/.wh.x": b""}])


def pushed(server: Server, client: Client, path: str, manifest: Manifest, tag: str = "1") -> str:
    """Push it; return the address of its digest once its scan has ended."""
    client.push(path, manifest, tag)
    return results_of(server, path, manifest).removesuffix("/scan")


def test_folders_open_by_links_in_the_whole_image_and_in_a_layer(server: Server, client: Client) -> None:
    place = pushed(server, client, "files/tree", OLD)

    root, srv = ask(server, f"{place}/files").text, ask(server, f"{place}/files?folder=srv").text
    upper = ask(server, f"{place}/files?layer={quote(OLD.blobs[2].digest)}").text

    assert set(re.findall(r"folder=([a-z]+)\">[a-z]+/", root)) == {"etc", "lib", "srv"}
    assert "app" in srv
    assert "gone" in srv
    assert "lib/</a>" not in upper
    assert "srv/</a>" in upper


def test_a_layer_shows_what_it_changed_and_removed(server: Server, client: Client) -> None:
    image = make.image([{"srv/a": b"1", "srv/b": b"2"}, {"srv/a": b"3", "srv/.wh.b": b""}])
    place = pushed(server, client, "files/changed", image)
    lower, upper = (quote(blob.digest) for blob in image.blobs[1:3])

    above = ask(server, f"{place}/files?folder=srv&layer={upper}").text
    below = ask(server, f"{place}/files?folder=srv&layer={lower}").text
    whole = ask(server, f"{place}/files?folder=srv").text

    assert "changed" in above
    assert "removed" in above
    assert below.count("hidden by a layer above") == 2
    assert "b\n" not in whole
    assert "wasted" in whole


def test_the_search_marks_files_that_a_layer_above_hides(server: Server, client: Client) -> None:
    base = {"srv/hidden.key": b"one", "srv/kept.key": b"two"}
    whole, cut = make.image([base]), make.image([base, {"srv/.wh.hidden.key": b""}])
    place = pushed(server, client, "files/whole", whole)
    hiding = pushed(server, client, "files/cut", cut)
    query = "/search/contents?what=files&q=/srv/hidden.key"

    hits = json.loads(client.get("/api/v1/search/files?q=*.key*").expect(200).body)["items"]
    page = ask(server, query).text

    told = {hit["path"]: [(one["path"], one["isHidden"]) for one in hit["images"]] for hit in hits}
    assert told["srv/hidden.key"] == [("files/whole", False), ("files/cut", True)]
    assert dict(told["srv/kept.key"]) == {"files/whole": False, "files/cut": False}
    assert page.count("hidden by a layer above") == 1
    layer = quote(cut.blobs[1].digest, safe="")
    assert f'href="{place}/files?folder=srv"' in page
    assert f'href="{hiding}/files?folder=srv&amp;layer={layer}"' in page
    assert "hidden.key" in ask(server, f"{hiding}/files?folder=srv&layer={layer}").text


def test_a_secret_in_a_file_that_a_layer_above_removed_is_told_and_marked(server: Server, client: Client) -> None:
    key = (
        b"-----BEGIN RSA PRIVATE KEY-----\n"
        + b"MIIEowIBAAKCAQEA0Z3VS5JJcds3xfn" * 20
        + b"\n-----END RSA PRIVATE KEY-----\n"
    )
    image = make.image([{"srv/gone.key": key, "srv/kept.key": key}, {"srv/.wh.gone.key": b""}])
    place = pushed(server, client, "files/secret", image)

    found = json.loads(client.get(f"/api/v1{place}/scan/secrets").expect(200).body)["items"]
    page = ask(server, f"{place}/scan/secrets?clean=false").text
    read = re.findall(r'href="([^"]+/files/view[^"]+gone[^"]+)"', page)

    assert {one["file"]: one["isHidden"] for one in found} == {"srv/gone.key": True, "srv/kept.key": False}
    assert page.count("hidden by a layer above") == 1
    assert page.count("Asymmetric private key") == 2  # once a row: its rule is called as its category is
    assert "BEGIN RSA" in ask(server, read[0].replace("&amp;", "&")).text


def test_the_list_of_tags_says_which_pulls_are_refused(server: Server, client: Client) -> None:
    image = make.image([{"a": b"never scanned"}])
    client.push("files/limited", make.image([{"a": b"1"}]), "1")
    place = place_of(server, "files/limited")
    policy = b'{"policy": {"pullLimit": {"refuseUnscanned": true}, "scan": {"onPush": false}}}'
    client.request("PATCH", f"/api/v1{place}", policy, {"Content-Type": "application/json"}).expect(200)
    client.push("files/limited", image, "2")
    client.push("files/limited", make.index([image]), "all")

    listed = json.loads(client.get(f"/api/v1{place}/manifests").expect(200).body)["items"]
    told = {name["name"]: one["scan"]["isRefused"] for one in listed for name in one["tags"]}
    page = ask(server, f"{place}/tags?name=2").text

    assert told | {"1": None} == {"1": None, "2": True, "all": True}  # the first is scanned by now, or not yet
    assert page.count("pulls are refused") == 1


def test_a_digest_that_was_never_scanned_says_how_to_scan_it(server: Server, client: Client) -> None:
    chart = make.chart()
    client.push("files/chart", chart, "1")
    place = f"{place_of(server, 'files/chart')}/manifests/{quote(chart.digest, safe='')}"

    for page in ("files", "compare"):
        answer = ask(server, f"{place}/{page}")
        assert answer.status == 200
        assert "There is nothing to scan in it" in answer.text


def test_two_digests_are_compared_in_one_image_and_across_images(server: Server, client: Client) -> None:
    pushed(server, client, "files/pair", OLD, "1")
    place = pushed(server, client, "files/pair", NEW, "2")
    pushed(server, client, "files/other", OLD, "1")

    empty = ask(server, f"{place}/compare").text
    beside = ask(server, f"{place}/compare?with={quote(OLD.digest)}").text
    across = ask(server, f"{place}/compare?image=files/other&with={quote(OLD.digest)}").text
    nowhere = ask(server, f"{place}/compare?image=files/nothing&with={quote(OLD.digest)}")

    assert f'value="{OLD.digest}"' in empty
    for text in (beside, across):
        assert "1.2.4-r0" in text
        assert "1.2.4-r1" in text
        assert "/srv/app" in text
        assert "/srv/gone" in text
        assert "/srv/more" in text
    assert nowhere.status == 404
    assert "there is no image files/nothing that you may see" in nowhere.text


def test_the_configs_of_two_digests_stand_side_by_side(server: Server, client: Client) -> None:
    run = {"Env": ["DB_PASSWORD=hunter2", f"MODE={EVIL}"], "Entrypoint": ["/app"], "Labels": {EVIL: "1"}}
    pushed(server, client, "files/config", OLD, "1")
    place = pushed(server, client, "files/config", make.configured(OLD, run, ["RUN make TOKEN=hunter3"]), "2")

    text = ask(server, f"{place}/compare?with={quote(OLD.digest)}").text
    same = ask(server, f"{place}/compare?image=files/config&with={place.rpartition('/')[2]}").text

    assert "Config and build" in text
    assert "DB_PASSWORD" in text
    assert "RUN make TOKEN=****" in text
    assert "hunter" not in text
    assert "/app" in text
    assert "<svg onload" not in text
    assert "&lt;svg onload=alert(1)&gt;" in text
    assert "Both have the same config" in same


def test_images_are_found_by_package_vulnerability_and_file(server: Server, client: Client) -> None:
    pushed(server, client, "files/found", OLD)

    packages = ask(server, "/search/contents?q=musl").text
    exact = ask(server, "/search/contents?q=musl&version=9").text
    paths = ask(server, "/search/contents?what=files&q=/srv/go*").text
    content = re.search(r"what=files&amp;q=([0-9a-f]{64})", paths)

    assert "files/found:1" in packages
    assert 'href="/images/' in packages
    assert '/scan/packages?text=musl"' in packages
    assert "No image has it" in exact
    assert "/srv/gone" in paths
    assert content is not None
    assert "files/found:1" in ask(server, f"/search/contents?what=files&q={content[1]}").text
    assert "No image has it" in ask(server, "/search/contents?what=vulnerabilities&q=CVE-1999-0001").text


def test_paths_and_what_was_typed_are_text(server: Server, client: Client) -> None:
    place = pushed(server, client, "files/evil", make.image([{f"srv/{EVIL}/x": b"1", f"srv/{EVIL}.txt": b"2"}]))
    typed = quote(EVIL)

    for page in (
        f"{place}/files?folder=srv",
        f"{place}/files?folder=srv/{typed}",
        f"{place}/compare?image={typed}&with={typed}",
        f"/search/contents?what=files&q={typed}*",
        f"/search/contents?what={typed}&q={typed}&version={typed}",
    ):
        assert "<svg onload" not in ask(server, page).text


def test_names_that_hide_or_turn_the_text_round_are_seen(server: Server, client: Client) -> None:
    name = "abc\u202egnp.exe\u200b\x1b[31m\nline"
    deep = "/".join("d" * 200 for _ in range(19)) + "/" + "f" * 200
    run = {"Env": [f"MODE={name}"], "Labels": {name: "x" * 3000}}
    pushed(server, client, "files/hiding", OLD, "1")
    hiding = make.configured(make.image([BASE, {f"srv/{name}": b"hidden", deep: b"1"}]), run)
    place = pushed(server, client, "files/hiding", hiding, "2")
    shown = "abc&lt;U+202E&gt;gnp.exe&lt;U+200B&gt;\u241b[31m\u240aline"

    for page in (
        f"{place}/files?folder=srv",
        f"{place}/files/view?path={quote(f'srv/{name}', safe='')}",
        f"{place}/compare?with={quote(OLD.digest)}",
        "/search/contents?what=files&q=/srv/abc*",
    ):
        text = ask(server, page).text
        assert shown in text, page
        assert not re.search("[\u202e\u200b\x1b]", text), page
    for page in (
        f"{place}/files?folder={deep.rpartition('/')[0]}",
        f"{place}/files/view?path={deep}",
        "/search/contents?what=files&q=/ddd*",
    ):
        answer = ask(server, page)
        assert answer.status == 200, page
        assert " … " in answer.text, page


def test_a_file_is_shown_as_text_or_as_bytes_and_can_be_taken(server: Server, client: Client) -> None:
    hidden = f"one\u202etwo\x1b[31m\n{EVIL}\n".encode()
    image = make.image(
        [{"srv/text": hidden, "srv/bytes": bytes(range(256)), "srv/empty": b"", "srv/long": b"x\n" * 9000}]
    )
    place = pushed(server, client, "files/shown", image)

    listed = ask(server, f"{place}/files?folder=srv").text
    text, content = (
        ask(server, f"{place}/files/view?path=srv/text").text,
        ask(server, f"{place}/files/view?path=srv/bytes"),
    )
    back = re.search(r'name="back" value="([^"]+)"', text)  # where a switch of the language leads
    taken = re.search(r'href="(/api/v1/[^"]+/scan/file[?][^"]+)"', text)

    assert f"{place}/files/view?path=srv%2Ftext" in listed
    assert "one&lt;U+202E&gt;two\u241b[31m" in text
    assert "<svg onload" not in text
    assert "000000f0  f0 f1 f2" in content.text
    assert "The file is empty" in ask(server, f"{place}/files/view?path=srv/empty").text
    assert "Only the beginning is shown" in ask(server, f"{place}/files/view?path=srv/long").text
    assert ask(server, f"{place}/files/view?path=srv/nothing").status == 404
    assert back is not None
    assert back[1].startswith("/images/")
    assert taken is not None
    assert ask(server, taken[1].replace("&amp;", "&")).content == hidden
