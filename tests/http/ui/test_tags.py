"""The pages of tags: a row a digest, deletion with a preview and its undo, names, locks, history and put back."""

import json
import re
from html import unescape
from urllib.parse import urlencode

import pytest

from tests import make
from tests.http.ui.asking import Answer, ask, send, token, until
from tests.http.ui.test_images import place_of
from tests.make.client import Client
from tests.make.images import Manifest
from tests.make.server import Server


@pytest.fixture(scope="module")
def server_config() -> str:
    return "[defaults.repository.scan]\non_push = false\n"  # what is pushed stays as it is: never scanned


def image(number: int) -> Manifest:
    return make.image([{"etc/motd": b"number %d" % number}])


def select(server: Server, path: str, *digests: str, **fields: str) -> Answer:
    """Return the answer to the form of the list with these digests selected."""
    chosen = [("csrf", token(server)), *(("digest", digest) for digest in digests), *fields.items()]
    return ask(server, path, urlencode(chosen))


def shown_tags(server: Server, place: str, query: str = "") -> list[str]:
    return re.findall(r'class="tag" href="[^"]*">([^<\s]+)', ask(server, f"{place}/tags{query}").text)


def test_a_row_has_all_names_of_a_digest_its_platforms_and_says_that_it_was_never_scanned(
    server: Server, client: Client
) -> None:
    children = [make.image([{"a": b"1"}], platform=name) for name in ("linux/amd64", "linux/arm64/v8")]
    client.push("rows/api", make.index(children), "1", "latest")
    place = place_of(server, "rows/api")

    text = ask(server, f"{place}/tags").text

    assert shown_tags(server, place) == ["1", "latest"]
    assert "linux/arm64/v8" in text
    assert "Never scanned" in text  # none of its platforms was
    assert shown_tags(server, place, "?show=untagged") == []
    assert ask(server, f"{place}/tags?show=untagged").text.count("part of an index") == 2
    assert ask(server, f"{place}/tags?show=all").text.count("Never scanned") == 3


def test_tags_are_found_by_a_part_of_their_name_and_paged(server: Server, client: Client) -> None:
    for number in range(27):
        client.push("many/api", image(number), f"v{number}", f"extra-{number}")
    place = place_of(server, "many/api")

    first = ask(server, f"{place}/tags?name=extra&sort=pushed").text
    onward = re.search(r'rel="next" href="([^"]*)"', first)

    assert onward is not None
    assert ask(server, unescape(onward[1])).text.count("Never scanned") == 2
    assert set(shown_tags(server, place, "?name=v2")) == {
        name for number in (2, *range(20, 27)) for name in (f"v{number}", f"extra-{number}")
    }
    assert "No digest matches" in ask(server, f"{place}/tags?name=nothing").text


def test_what_a_deletion_takes_is_shown_before_it_and_undone_after_it(server: Server, client: Client) -> None:
    kept, going = image(1), image(2)
    client.push("bulk/api", kept, "1")
    client.push("bulk/api", going, "2", "two")
    place = place_of(server, "bulk/api")

    preview = select(server, f"{place}/delete-tags/preview", going.digest)
    before = shown_tags(server, place)
    done = select(server, f"{place}/delete-tags", going.digest)
    after = shown_tags(server, place)
    undo = re.search(r'name="deletion" value="([^"]+)"', ask(server, done.headers["location"]).text)
    assert undo is not None
    back = send(server, f"{place}/undo", deletion=undo[1])

    assert preview.status == 200
    assert re.search(r'fact-value">2</span><span class="fact-name">tags go with them', preview.text)
    assert sorted(before) == ["1", "2", "two"]
    assert (done.status, after, back.status) == (303, ["1"], 303)
    assert sorted(shown_tags(server, place)) == ["1", "2", "two"]


def test_one_digest_has_a_link_to_the_same_preview(server: Server, client: Client) -> None:
    client.push("bulk/one", image(3), "1")
    place = place_of(server, "bulk/one")

    answer = ask(server, f"{place}/delete-tags?digest={image(3).digest}")

    assert answer.status == 200
    assert f'name="digest" value="{image(3).digest}"' in answer.text


def test_what_is_locked_is_refused_with_its_reason_and_the_rest_can_go(server: Server, client: Client) -> None:
    held, free = image(4), image(5)
    client.push("bulk/held", held, "held")
    client.push("bulk/held", free, "free")
    place = place_of(server, "bulk/held")
    locked = select(server, f"{place}/lock-tags", held.digest)

    preview = select(server, f"{place}/delete-tags/preview", held.digest, free.digest)
    refused = select(server, f"{place}/delete-tags", held.digest, free.digest)
    still = sorted(shown_tags(server, place))
    done = select(server, f"{place}/delete-tags", held.digest, free.digest, skip_refused="on")

    assert locked.status == 303
    assert "tag held is locked" in preview.text
    assert 'name="skip_refused" value="on"' in preview.text
    assert refused.status == 409
    assert still == ["free", "held"]
    assert (done.status, shown_tags(server, place)) == (303, ["held"])


def test_more_than_fifty_at_a_time_are_refused(server: Server, client: Client) -> None:
    client.push("bulk/most", image(6), "1")
    place = place_of(server, "bulk/most")

    answer = select(server, f"{place}/delete-tags/preview", *(f"sha256:{number:064x}" for number in range(51)))

    assert answer.status == 400
    assert shown_tags(server, place) == ["1"]


def test_a_row_locks_its_own_tags_whatever_is_selected(server: Server, client: Client) -> None:
    one, other = image(7), image(8)
    client.push("lock/api", one, "a", "b")
    client.push("lock/api", other, "c")
    place = place_of(server, "lock/api")

    select(server, f"{place}/lock-tags", other.digest, only=one.digest)
    locked = ask(server, f"{place}/tags").text
    select(server, f"{place}/unlock-tags", only=one.digest)

    assert locked.count('aria-label="Locked"') == 2
    assert 'aria-label="Locked"' not in ask(server, f"{place}/tags").text


def test_every_tag_of_what_is_selected_is_locked_however_many_there_are(server: Server, client: Client) -> None:
    many, one = image(31), image(32)
    client.push("lock/many", many, *(f"v{number}" for number in range(60)))
    client.push("lock/many", one, "only", "held")
    place = place_of(server, "lock/many")
    select(server, f"{place}/lock-tags", only=one.digest)

    preview = select(server, f"{place}/lock-tags/preview", many.digest, one.digest)
    before = client.get(f"/api/v1{place}/tags?limit=100").body.count(b'"locked":true')
    done = select(server, f"{place}/lock-tags", many.digest, one.digest)
    locked = client.get(f"/api/v1{place}/tags?limit=100").body.count(b'"locked":true')
    undone = select(server, f"{place}/unlock-tags", many.digest)

    assert re.search(r'fact-value">60</span><span class="fact-name">tags to be locked', preview.text)
    assert re.search(r'fact-value">2</span><span class="fact-name">locked already', preview.text)
    assert "+40" in preview.text
    assert (before, done.status, locked) == (2, 303, 62)
    assert "60%20tags%20were%20unlocked" in undone.headers["set-cookie"]
    assert client.get(f"/api/v1{place}/tags?limit=100").body.count(b'"locked":true') == 2


@pytest.mark.parametrize("act", ["lock-tags", "lock-tags/preview", "unlock-tags", "scan-tags"])
def test_more_than_fifty_are_refused_and_none_is_left_out(server: Server, client: Client, act: str) -> None:
    client.push("lock/most", image(33), "1")
    place = place_of(server, "lock/most")
    chosen = [image(33).digest, *(f"sha256:{number:064x}" for number in range(50))]

    answer = select(server, f"{place}/{act}", *chosen)

    assert answer.status == 400
    assert b'"locked":true' not in client.get(f"/api/v1{place}/tags").body


def test_names_are_added_changed_and_taken_away_together(server: Server, client: Client) -> None:
    client.push("names/api", image(9), "1.0", "old", "gone")
    place = place_of(server, "names/api")
    path = f"{place}/manifests/{image(9).digest}/tags"
    was = [("csrf", token(server)), ("was", "1.0"), ("was", "old"), ("was", "gone")]

    form = ask(server, path).text
    wrong = ask(server, path, urlencode([*was, ("name", "1.0"), ("name", "no good"), ("name", "")]))
    saved = ask(server, path, urlencode([*was, ("name", "1.0"), ("name", "new"), ("name", ""), ("name", "added")]))

    assert form.count('name="was"') == 3
    assert wrong.status == 400
    assert 'value="no good"' in wrong.text
    assert saved.status == 303
    assert sorted(shown_tags(server, place)) == ["1.0", "added", "new"]


def test_a_tag_that_was_moved_is_put_back_from_its_history(server: Server, client: Client) -> None:
    first, second = image(10), image(11)
    client.push("moved/api", first, "1")
    client.push("moved/api", second, "1")
    place = place_of(server, "moved/api")

    history = ask(server, f"{place}/tag/1").text
    back = send(server, f"{place}/tag/1", digest=first.digest)

    assert re.findall(r'data-copies="(sha256:[0-9a-f]{64})"', history) == [second.digest, first.digest]
    assert history.count("127.0.0.1</span>") == 2
    assert "moved" in history
    assert back.status == 303
    assert client.get_manifest("moved/api", "1").body == first.body


def test_the_guide_has_the_commands_of_each_client_by_tag_and_by_digest(server: Server, client: Client) -> None:
    client.push("guide/api", image(12), "1")
    client.push("guide/chart", make.chart(), "1.0.0")
    of_image, of_chart = (place_of(server, f"guide/{name}") for name in ("api", "chart"))

    text = ask(server, f"{of_image}/manifests/{image(12).digest}/guide").text
    chart = ask(server, f"{of_chart}/manifests/{make.chart().digest}/guide").text

    assert f"docker pull {server.address}/guide/api:1" in text
    assert f"podman pull --tls-verify=false {server.address}/guide/api@{image(12).digest}" in text
    assert f"image: {server.address}/guide/api:1" in text
    assert f"helm pull oci://{server.address}/guide/chart --version 1.0.0 --plain-http" in chart


@pytest.mark.parametrize("path", ["tags", "tag/1", "delete-tags?digest=sha256:1", "manifests/sha256:0/guide"])
def test_pages_of_what_is_not_there_say_so(server: Server, path: str) -> None:
    assert ask(server, f"/images/nothinghere/{path}").status == 404


def test_an_image_without_tags_says_how_to_push_one(server: Server, client: Client) -> None:
    client.push("bare/api", image(13))
    place = place_of(server, "bare/api")

    text = ask(server, f"{place}/tags").text

    assert f"docker push {server.address}/bare/api:1" in text
    assert "This tag was never here" in ask(server, f"{place}/tag/latest").text


def test_a_scan_is_confirmed_before_it_is_ordered(server: Server, client: Client) -> None:
    client.push("scan/asked", image(15), "1")
    place = place_of(server, "scan/asked")
    pages = (f"{place}/tags", f"{place}/manifests/{image(15).digest}/scan")

    for text in (ask(server, page).text for page in pages):
        outside = re.sub(r'<div class="sheet.*?</div></div>', "", text, flags=re.DOTALL)
        inside = "".join(re.findall(r'<div class="sheet.*?</div></div>', text, re.DOTALL))
        openers = re.findall(r'<button type="button"[^>]*popovertarget="((?:confirm-)?scan[^"]*)"', outside)
        assert "popover role=" in inside
        assert set(re.findall(r'<div class="sheet[^>]* id="([^"]+)"', text)) == set(openers)
        assert inside.count("Confirm</button>") == len(openers) > 0
        assert "scan-tags" not in outside
        assert not re.search(r"<button(?! type=)[^>]*>(?:(?!</button>).)*Vulnerability scan", outside, re.DOTALL)


def test_a_scan_is_ordered_for_what_is_selected_and_its_result_stands_in_the_row(
    server: Server, client: Client
) -> None:
    client.push("scan/api", image(14), "1")
    place = place_of(server, "scan/api")
    before = ask(server, f"{place}/tags").text

    ordered = select(server, f"{place}/scan-tags", image(14).digest)

    assert before.count("Never scanned") == 1
    assert ordered.status == 303
    assert "Vulnerability%20assessment%20will%20be%20performed." in ordered.headers["set-cookie"]
    assert "Never scanned" not in ask(server, f"{place}/tags").text
    assert "Never scanned" not in ask(server, f"{place}/manifests/{image(14).digest}").text
    assert until(lambda: "View results</span>" in ask(server, f"{place}/tags").text)


def test_the_names_of_a_digest_stand_as_people_count(server: Server, client: Client) -> None:
    client.push("count/api", image(41), "1.10", "1.9", "1.2")

    assert shown_tags(server, place_of(server, "count/api")) == ["1.2", "1.9", "1.10"]


def test_digests_stand_in_the_order_of_their_first_tags_as_people_count(server: Server, client: Client) -> None:
    for number, names in enumerate((("2.0", "1.9"), ("1.10",), ("1.2", "9"), ())):
        client.push("order/api", image(50 + number), *names)
    place = place_of(server, "order/api")

    rising = shown_tags(server, place, "?sort=tag")
    falling = shown_tags(server, place, "?sort=-tag&show=all")
    pages: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = json.loads(client.get(f"/api/v1{place}/manifests?sort=tag&limit=1&cursor={cursor}").expect(200).body)
        pages += [one["tags"][0]["name"] for one in page["items"]]
        cursor = page["next"]

    assert rising == ["1.2", "9", "1.9", "2.0", "1.10"]
    assert falling == ["1.10", "1.9", "2.0", "1.2", "9"]
    assert pages == ["1.2", "1.9", "1.10"]
