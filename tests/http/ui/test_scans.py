"""The pages of a scan: what each view shows, what is never taken for clean, findings accepted; all of it foreign."""

import json
import re
from urllib.parse import quote

import pytest

from appliance.cli.main import main
from tests import make
from tests.browser.screens import change
from tests.http.ui.asking import ask, send, until
from tests.http.ui.test_images import place_of
from tests.make.client import Client
from tests.make.images import Manifest
from tests.make.server import Server
from tests.make.shelf import write_shelf
from tests.scan.expected import FIXTURES
from tests.scan.test_vex import document, statement
from tests.services.scanned import image_of

EVIL = '"><svg onload=alert(1)>'
KEY = b"aws = AKIA" + b"QWERTYUIOPASDFGH" + b"\n"
DEBIAN = image_of(FIXTURES / "recon/oci/debian-buster.tar.gz")
FEDORA = image_of(FIXTURES / "recon/oci/fedora-35.tar.gz")


@pytest.fixture(scope="module")
def data(server: Server, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Let the server have vulnerability data."""
    shelf = write_shelf(tmp_path_factory.mktemp("shelf"))
    assert main(["vulndb", "import", str(shelf), "--data-dir", str(server.data)]) == 0


def results_of(server: Server, path: str, manifest: Manifest) -> str:
    """Return the address of the results, once the scan has ended."""
    place = f"{place_of(server, path)}/manifests/{quote(manifest.digest, safe='')}/scan"
    assert until(lambda: "data-follows" not in ask(server, place).text and "Inspected" in ask(server, place).text)
    return place


@pytest.mark.usefixtures("data")
def test_vulnerabilities_are_listed_worst_first_with_what_the_manual_names(server: Server, client: Client) -> None:
    client.push("seen/debian", DEBIAN, "10")
    place = results_of(server, "seen/debian", DEBIAN)

    text = ask(server, place).text

    for head in ("CVE", "Severity", "CVSS", "Category", "OS/Language", "Package", "Current version", "Fixed version"):
        assert head in text, head
    assert "Debian GNU/Linux 10" in text
    assert re.search(r'</details><a href="https://[^"]+" rel="noreferrer noopener" target="_blank"', text)
    rows = re.findall(r'<td><span class="severity severity-(\w+)"', text)
    assert len(rows) == 25
    assert set(rows) == {"critical"}
    assert 'rel="next"' in text
    assert "https://" in text


@pytest.mark.usefixtures("data")
def test_filters_are_in_the_address_and_narrow_the_list(server: Server, client: Client) -> None:
    client.push("seen/filtered", DEBIAN, "10")
    place = results_of(server, "seen/filtered", DEBIAN)

    by_name = ask(server, f"{place}?text=gzip&size=100").text
    none = ask(server, f"{place}?text=no-such-package").text
    strange = ask(server, f"{place}?fixable=perhaps&sort=nonsense").status

    assert set(re.findall(r'<td class="mono"><bdi>([a-z0-9.+-]*gzip[a-z0-9.+-]*)</bdi></td>', by_name)) == {"gzip"}
    assert "No vulnerability matches" in none
    assert strange == 200


@pytest.mark.usefixtures("data")
def test_packages_tell_what_cures_them_and_which_have_nothing(server: Server, client: Client) -> None:
    client.push("seen/packages", DEBIAN, "10")
    place = results_of(server, "seen/packages", DEBIAN) + "/packages"

    affected, clean = ask(server, f"{place}?affected=true").text, ask(server, f"{place}?affected=false").text

    assert re.search(r"upgrade to \S+ fixes [1-9]", affected)
    assert "86 with vulnerabilities, 5 without" in affected
    assert "OS package · debian" in affected
    assert "upgrade to" not in clean
    assert '<span class="text-secondary">none</span>' in clean


def test_secrets_are_hidden_and_clean_files_are_listed_apart(server: Server, client: Client) -> None:
    image = make.image([{"srv/.env": KEY, "srv/clean.txt": b"nothing to see here\n"}])
    client.push("seen/secrets", image, "1")
    place = results_of(server, "seen/secrets", image) + "/secrets"

    both, found, clean = (ask(server, f"{place}{query}").text for query in ("", "?clean=false", "?clean=true"))

    for head in ("File", "Category", "Severity", "Match"):
        assert f">{head}</th>" in found
    assert both.index("srv/.env") < both.index("srv/clean.txt")
    assert "no secret found" in both
    for text in (both, found, clean):
        assert re.findall(r'class="fact-value">(\d+)<', text) == ["1", "1", "1"]
    assert "srv/clean.txt" not in found
    assert "srv/.env" in found
    assert "QWERTY" not in found
    assert "srv/clean.txt" in clean
    assert "srv/.env" not in clean


@pytest.mark.usefixtures("data")
def test_what_the_data_do_not_know_is_not_called_clean(server: Server, client: Client) -> None:
    client.push("seen/fedora", FEDORA, "35")

    text = ask(server, results_of(server, "seen/fedora", FEDORA)).text

    assert "hold nothing about fedora 35" in text
    assert "No known vulnerability" not in text
    assert "That does not mean that there is none" in text


def test_an_index_tells_of_each_platform(server: Server, client: Client) -> None:
    children = [make.image([{"a": b"1"}], platform="linux/amd64"), make.image([{"a": b"2"}], platform="linux/arm64")]
    index = make.index(children)
    client.push("seen/many", index, "1")

    text = ask(server, f"{place_of(server, 'seen/many')}/manifests/{quote(index.digest, safe='')}/scan").text

    assert "linux/arm64" in text
    for child in children:
        assert f"{quote(child.digest, safe='')}/scan" in text


def test_a_chart_has_nothing_to_scan(server: Server, client: Client) -> None:
    chart = make.chart()
    client.push("seen/chart", chart, "1")

    text = ask(server, f"{place_of(server, 'seen/chart')}/manifests/{quote(chart.digest, safe='')}/scan").text

    assert "There is nothing to scan in it" in text


@pytest.mark.usefixtures("data")
def test_a_finding_is_accepted_and_counts_again(server: Server, client: Client) -> None:
    client.push("seen/accepted", DEBIAN, "10")
    place = results_of(server, "seen/accepted", DEBIAN)
    found = re.search(r'<span class="mono">(CVE-[0-9-]+)</span>', ask(server, place).text)
    assert found is not None
    fields = {"vulnerability": found[1], "where": "image"}

    wrong = send(server, f"{place}/accept", **fields, reason="", until="tomorrow")
    done = send(server, f"{place}/accept", **fields, reason=EVIL, until="2099-01-01")
    shown = ask(server, f"{place}?text={found[1]}").text
    listed = ask(server, "/accepted-findings").text

    assert (wrong.status, done.status) == (422, 303)
    assert "write a day as" in wrong.text
    assert re.search(r'<textarea [^>]*name="reason"[^>]* required', wrong.text)
    assert "&lt;svg onload=alert(1)&gt;" in shown
    assert "Let it count again" in shown
    for text in (shown, listed):
        assert "<svg onload" not in text
    acceptance = re.search(r'name="acceptance" value="(\w+)"', shown)
    assert acceptance is not None
    assert send(server, f"{place}/reopen", acceptance=acceptance[1], vulnerability=found[1]).status == 303
    assert "Let it count again" not in ask(server, f"{place}?text={found[1]}").text


@pytest.mark.usefixtures("data")
@pytest.mark.parametrize(
    ("where", "number", "told"),
    [
        ("image", "CVE-2019-1", "placed/app"),
        ("repository", "CVE-2019-2", "placed"),
        ("registry", "CVE-2019-3", "local"),
        ("everywhere", "CVE-2019-4", "everywhere"),
    ],
)
def test_an_acceptance_lands_where_the_form_says(
    server: Server, client: Client, where: str, number: str, told: str
) -> None:
    client.push("placed/app", DEBIAN, "10")
    place = results_of(server, "placed/app", DEBIAN)

    done = send(server, f"{place}/accept", vulnerability=number, where=where, reason="seen", until="")

    assert done.status == 303
    lists = [
        json.loads(client.get(f"/api/v1/accepted-findings{which}").expect(200).body) for which in ("", "?registry=*")
    ]
    assert [one["where"] for found in lists for one in found["items"] if one["vulnerability"] == number] == [told]


@pytest.mark.usefixtures("data")
def test_a_document_is_imported_and_withdrawn(server: Server, client: Client) -> None:
    client.push("seen/judged", DEBIAN, "10")
    place = results_of(server, "seen/judged", DEBIAN)
    found = re.search(r'<span class="mono">(CVE-[0-9-]+)</span>', ask(server, place).text)
    assert found is not None
    said = statement(
        vulnerability={"name": found[1]},
        products=[{"@id": f"pkg:oci/judged@{DEBIAN.digest}"}],
        impact_statement=EVIL,
    )
    page = "/accepted-findings/documents"
    fields = {"document": document(said, author=EVIL).decode(), "where": "image"}

    wrong = send(server, page, **{**fields, "document": "{}", "place": "nowhere/app"})
    worse = send(server, page, **{**fields, "document": "{}", "place": "seen/judged"})
    done = send(server, page, **fields, place="seen/judged")
    shown = ask(server, f"{place}?text={found[1]}").text
    listed, documents = ask(server, "/accepted-findings").text, ask(server, page).text
    again = send(server, page, **fields, place="seen/judged")

    assert (wrong.status, worse.status, done.status, again.status) == (422, 400, 303, 303)
    assert "There is nothing of that path here." in wrong.text
    assert "this is no OpenVEX document" in worse.text
    for text in (shown, listed):
        assert "&lt;svg onload=alert(1)&gt;" in text
        assert "https://example.com/vex/1" in text
    assert "Let it count again" in shown
    for text in (shown, listed, documents):
        assert "<svg onload" not in text
    assert "nothing%20has%20changed" in again.headers["set-cookie"]
    imported = re.search(rf"{page}/(\w+)/withdraw", documents)
    assert imported is not None
    assert send(server, f"{page}/{imported[1]}/withdraw").status == 303
    assert "Let it count again" not in ask(server, f"{place}?text={found[1]}").text
    assert "No document was imported" in ask(server, page).text


@pytest.mark.usefixtures("data")
def test_found_excluded_and_accepted_are_counted_apart_wherever_counts_stand(server: Server, client: Client) -> None:
    client.push("seen/apart", DEBIAN, "10")
    place = results_of(server, "seen/apart", DEBIAN)
    address = f"/api/v1{place.partition('/manifests')[0]}"
    before = json.loads(client.get(f"/api/v1{place}").expect(200).body)
    worst = json.loads(client.get(f"/api/v1{place}/vulnerabilities?limit=1").expect(200).body)["items"][0]
    send(server, f"{place}/accept", vulnerability=worst["id"], where="image", reason="harmless", until="")
    accepted = json.loads(client.get(f"/api/v1{place}/vulnerabilities?text={worst['id']}").expect(200).body)["items"]
    change(client, address, {"policy": {"scan": {"excludeSeverity": "medium"}}})

    scan = json.loads(client.get(f"/api/v1{place}").expect(200).body)

    def listed() -> object:
        return json.loads(client.get(f"{address}/manifests").expect(200).body)["items"][0]["scan"]["counts"]

    followed = until(lambda: listed() == scan["counts"])  # what lists tell of acceptances follows within moments
    found = {one["severity"]: one["found"] for one in before["counts"]}
    told = {one["severity"]: (one["excluded"], one["accepted"], one["counted"]) for one in scan["counts"]}
    excluded = found["medium"] + found["low"]
    texts = [ask(server, page).text for page in (place, place.partition("/manifests")[0] + "/tags")]
    package = ask(server, f"{place}/packages?text={worst['package']}").text

    assert told == {
        "critical": (0, len(accepted), found["critical"] - len(accepted)),
        "high": (0, 0, found["high"]),
        "medium": (found["medium"], 0, 0),
        "low": (found["low"], 0, 0),
    }
    assert (scan["found"], scan["excluded"], scan["accepted"]) == (sum(found.values()), excluded, len(accepted))
    assert scan["counted"] == found["critical"] + found["high"] - len(accepted)
    assert followed
    for text in texts:
        assert f"{excluded} excluded, {len(accepted)} accepted" in text
    assert re.search(r"\d+ accepted", package)
    assert client.request("DELETE", f"/api/v1/accepted-findings/{accepted[0]['acceptance']['id']}").status == 204


@pytest.mark.usefixtures("data")
def test_an_image_of_which_nothing_counts_is_not_called_clean(server: Server, client: Client) -> None:
    client.push("seen/nothing", DEBIAN, "10")
    place = results_of(server, "seen/nothing", DEBIAN)
    image = place.partition("/manifests")[0]
    change(client, f"/api/v1{image}", {"policy": {"scan": {"excludeSeverity": "critical"}}})

    text = ask(server, f"{image}/tags").text

    assert "Nothing that counts" in text
    assert "Nothing found" not in text
    assert re.search(r"[1-9]\d* excluded", text)


@pytest.mark.usefixtures("data")
def test_an_index_is_told_by_its_worst_platform(server: Server, client: Client) -> None:
    clean = make.image([{"a": b"1"}], platform="linux/arm64")
    attested = make.image([{"in-toto": b"{}"}], platform="unknown/unknown")
    index = make.index([clean, DEBIAN, attested])
    client.push("seen/platforms", index, "1")
    worst = results_of(server, "seen/platforms", DEBIAN)
    results_of(server, "seen/platforms", clean)
    image = worst.partition("/manifests")[0]

    def brief(manifest: Manifest) -> dict[str, object]:
        found = json.loads(client.get(f"/api/v1{image}/manifests/{manifest.digest}").expect(200).body)["scan"]
        assert isinstance(found, dict)
        return found

    of_index, of_worst = brief(index), brief(DEBIAN)
    tags = ask(server, f"{image}/tags").text

    assert (of_index["state"], of_index["platforms"]) == ("complete", 2)
    assert of_index["counts"] == of_worst["counts"]
    assert "worst of 2 platforms" in tags
    assert "severity-critical" in tags


def test_an_index_with_a_platform_that_was_not_read_is_not_called_clean(server: Server, client: Client) -> None:
    known, unknown = (make.image([{"n": b"%d" % n}], platform=f"linux/{n}") for n in range(2))
    client.push("seen/half", known, "known")
    place = results_of(server, "seen/half", known)
    image = place.partition("/manifests")[0]
    change(client, f"/api/v1{image}", {"policy": {"scan": {"onPush": False}}})
    client.push("seen/half", make.index([known, unknown]), "1")
    client.push("seen/half", make.index([unknown]), "2")

    tags = ask(server, f"{image}/tags").text

    assert "Partly scanned" in tags
    assert "Never scanned" in tags


@pytest.mark.usefixtures("data")
def test_what_blocks_the_pull_is_listed_one_by_one(server: Server, client: Client) -> None:
    client.push("seen/blocked", DEBIAN, "10")
    place = results_of(server, "seen/blocked", DEBIAN)
    free = ask(server, place).text
    change(client, f"/api/v1{place.partition('/manifests')[0]}", {"policy": {"pullLimit": {"refuseCritical": True}}})

    text = ask(server, place).text
    blocking, others = (ask(server, f"{place}?blocks={flag}&size=200").text for flag in ("true", "false"))
    refused = client.get_manifest("seen/blocked", "10").expect(403)
    told = json.loads(client.get(f"/api/v1{place}").expect(200).body)

    assert "blocks=true" not in free
    assert (told["blockingCount"], len(told["blocking"])) == (44, 44)
    assert {one["severity"] for one in told["blocking"]} == {"critical"}
    assert "These block the pull: 44" in text
    assert set(re.findall(r'<td><span class="severity severity-(\w+)"', blocking)) == {"critical"}
    assert blocking.count("blocks the pull</span>") == 44
    assert "severity-critical" not in others.partition("<tbody>")[2]
    assert f"{told['blocking'][0]['id']} ({told['blocking'][0]['package']} " in refused.body.decode()
    assert "and 41 more" in refused.body.decode()


def test_a_scan_is_ordered_with_the_words_of_the_manual(server: Server, client: Client) -> None:
    image = make.image([{"again": b"1"}])
    client.push("seen/again", image, "1")
    place = results_of(server, "seen/again", image)

    answer = send(server, place)
    text = ask(server, answer.headers["location"], Cookie=answer.headers["set-cookie"].partition(";")[0]).text

    assert answer.status == 303
    assert "Vulnerability assessment will be performed." in text


def test_what_hides_or_turns_the_text_round_is_seen_and_what_is_long_is_folded(server: Server, client: Client) -> None:
    apk = f"P:abc\u202egnp\nV:1\x1b[31m\nA:x86_64\nL:{'MIT ' * 100}\n\nP:{'n' * 300}\nV:{'1.' * 400}1\nA:x\n\n".encode()
    release = 'ID=alpine\nVERSION_ID=3.10.2\nPRETTY_NAME="Alp\u202eine"\n'.encode()
    image = make.image([{"srv/\u200bx.env": KEY, "lib/apk/db/installed": apk, "etc/os-release": release}])
    client.push("seen/hiding", image, "1")
    place = results_of(server, "seen/hiding", image)

    packages, secrets = ask(server, f"{place}/packages").text, ask(server, f"{place}/secrets").text

    assert "abc&lt;U+202E&gt;gnp" in packages
    assert "1\u241b[31m" in packages
    assert "Alp&lt;U+202E&gt;ine" in packages
    assert "srv/&lt;U+200B&gt;x.env" in secrets
    for text in (packages, secrets):
        assert not re.search("[\u202e\u200b\x1b]", text)
    assert '<details class="folded">' in packages
    assert re.search(r"<summary[^>]*>n{40} … n{20}</summary>", packages)


def test_paths_and_packages_of_an_image_are_text(server: Server, client: Client) -> None:
    apk = f"P:<b>musl</b>\nV:1.2.4-r0\nA:x86_64\nL:{EVIL}\n\n".encode()
    release = b'ID=alpine\nVERSION_ID=3.10.2\nPRETTY_NAME="<svg onload=alert(1)>"\n'
    image = make.image([{f"srv/{EVIL}.env": KEY, "lib/apk/db/installed": apk, "etc/os-release": release}])
    client.push("seen/evil", image, "1")
    place = results_of(server, "seen/evil", image)

    for page in (place, f"{place}/packages", f"{place}/secrets"):
        text = ask(server, page).text
        assert "<svg onload" not in text
        assert "<b>musl" not in text


def test_what_an_import_says_is_told_whatever_letters_it_has(server: Server, client: Client) -> None:
    client.push("seen/letters", make.image([{"letters": b"1"}]), "1")
    said = [statement(products=["\U0001d11e" * 400 + str(number)]) for number in range(4)]
    fields = {"document": document(*said).decode(), "where": "image", "place": "seen/letters"}

    done = send(server, "/accepted-findings/documents", **fields)

    assert done.status == 303
    cookie = done.headers["set-cookie"].partition(";")[0]
    assert len(cookie) < 4096  # browsers keep no longer one
    assert "0 statements are accepted" in ask(server, done.headers["location"], Cookie=cookie).text
