"""The page of one digest: an image, an index, a chart, what refers to it, the manifest as JSON; all of it foreign."""

import re
from urllib.parse import quote

import pytest

from tests import make
from tests.http.ui.asking import ask
from tests.http.ui.test_images import place_of
from tests.make.client import Client
from tests.make.images import Manifest
from tests.make.server import Server

EVIL = '"><svg onload=alert(1)>\x1b[31m'
SCRIPT = "javascript:alert(1)"


@pytest.fixture(scope="module")
def server_config() -> str:
    return "[defaults.repository.scan]\non_push = false\n"  # what is pushed stays as it is: never scanned


def page_of(server: Server, path: str, manifest: Manifest, tag: str = "") -> str:
    place = place_of(server, path)
    answer = ask(server, f"{place}/manifests/{manifest.digest}{f'?tag={quote(tag)}' if tag else ''}")
    assert answer.status == 200, answer.text
    return answer.text


def test_an_image_is_shown_with_tag_manifest_build_and_layers(server: Server, client: Client) -> None:
    image = make.image([{"a": b"1"}, {"b": b"2"}], command=["/bin/serve", "--fast"], annotations={"team": "pay"})
    client.push("whole/api", image, "1.0", "latest")

    text = page_of(server, "whole/api", image, "1.0")

    assert "<h1>whole/api:1.0 " in text
    for words in (
        "Tag information",
        "Manifest information",
        "Build history",
        "/bin/serve --fast",
        "team",
        "linux/amd64",
    ):
        assert words in text
    for blob in image.blobs:
        assert f'id="{blob.digest}"' in text
        assert f'<a href="#{blob.digest}">' in text
    assert "Never scanned" in text
    assert text.count('title="Tag history"') == 2


def test_a_tag_that_is_not_one_of_its_names_is_not_shown_as_one(server: Server, client: Client) -> None:
    image = make.image([{"a": b"3"}])
    client.push("whole/named", image, "1.0")

    text = page_of(server, "whole/named", image, EVIL)

    assert "svg onload" not in text
    assert "<h1>whole/named@sha256:" in text


def test_an_index_leads_to_its_platforms_and_its_tree_of_referrers(server: Server, client: Client) -> None:
    children = [make.image([{"a": b"4"}], platform=name) for name in ("linux/amd64", "linux/arm64/v8")]
    index = make.index(children)
    sbom = make.artifact("application/spdx+json", b"{}", subject=index)
    signature = make.artifact("application/vnd.dev.cosign.artifact.sig.v1+json", b"s", subject=sbom)
    for manifest, tags in ((index, ["1"]), (sbom, []), (signature, [])):
        client.push("whole/index", manifest, *tags)
    place = place_of(server, "whole/index")

    text = page_of(server, "whole/index", index)
    below = page_of(server, "whole/index", sbom)

    for child in children:
        address = f"{place}/manifests/{quote(child.digest, safe='')}"
        assert text.count(f'href="{address}"') == 2  # in the table, and in the JSON
    tree = text[text.index('<ul class="tree">') : text.index("Manifest as JSON")]
    assert re.findall(r"badge-outline\">(\w+)", tree) == ["sbom", "signature"]
    assert tree.count('<ul class="tree">') == 2
    assert f'href="{place}/manifests/{quote(index.digest, safe="")}"' in below


def test_a_chart_tells_its_name_version_and_values(server: Server, client: Client) -> None:
    client.push("whole/greeting", make.chart("greeting", "2.1.0"), "2.1.0")

    text = page_of(server, "whole/greeting", make.chart("greeting", "2.1.0"))

    assert "Helm chart" in text
    assert "2.1.0" in text
    assert "Default values" in text


@pytest.mark.parametrize("kind", ["image", "artifact", "index"])
def test_whatever_a_manifest_says_is_text(server: Server, client: Client, kind: str) -> None:
    notes = {EVIL: EVIL, "org.opencontainers.image.url": SCRIPT, "org.opencontainers.image.source": SCRIPT}
    made = {
        "image": make.image([{"a": b"5"}], command=[EVIL], platform="linux/<b>", annotations=notes),
        "artifact": make.artifact("application/x.evil+json", b"{}", media_type="text/html", annotations=notes),
        "index": make.index([make.image([{"a": b"6"}], platform="<i>/<b>")], annotations=notes),
    }[kind]
    client.push(f"evil/{kind}", made, "1")

    texts = [page_of(server, f"evil/{kind}", made, "1"), ask(server, f"{place_of(server, f'evil/{kind}')}/tags").text]

    assert "&lt;svg onload=alert(1)&gt;" in texts[0]
    for text in texts:
        assert "<svg onload" not in text
        assert not re.search(r'(?:href|src)="javascript', text)
        assert "<b>" not in text
        assert "<i>" not in text


def test_a_digest_that_is_not_there_is_a_page_that_says_so(server: Server, client: Client) -> None:
    client.push("whole/there", make.image([{"a": b"7"}]), "1")
    place = place_of(server, "whole/there")

    assert ask(server, f"{place}/manifests/sha256:{'0' * 64}").status == 404
    assert ask(server, f"{place}/manifests/latest").status == 400
