"""The pages of registries: what is made, changed and deleted by their forms."""

import re
import socket

import pytest

from tests.http.ui.asking import ask, send
from tests.make.server import Server


def make_registry(server: Server, name: str, **fields: str) -> str:
    """Return the address of a registry that is made by the form."""
    made = send(server, "/registries", name=name, visibility="private", endpoint="private", **fields)
    assert made.status == 303, made.text
    return made.headers["location"]


def test_a_registry_is_made_shown_and_listed(server: Server) -> None:
    place = make_registry(server, "payments", description="of the <b>payments</b> team", key="team", value="pay")

    shown, listed, tags = (ask(server, path).text for path in (place, "/registries", f"{place}/tags"))
    assert "<h1>payments" in shown
    assert place in listed
    assert "of the &lt;b&gt;payments&lt;/b&gt; team" in listed
    assert re.search(r'name="key" value="team"', tags)


@pytest.mark.parametrize("name", ["", "Pay", "9lives", "a-b", "x" * 26, "local"])
def test_a_name_that_cannot_be_is_said_in_the_form_which_keeps_what_was_typed(server: Server, name: str) -> None:
    answer = send(server, "/registries", name=name, visibility="private", endpoint="private", description="kept words")

    assert answer.status in (400, 409)
    assert 'role="alert"' in answer.text
    assert "kept words" in answer.text


def test_every_field_that_is_wrong_is_marked_at_once(server: Server) -> None:
    wrong = {"visibility": "open", "endpoint": "none", "port": "70000", "quota_gib": "-1", "quota_images": "many"}

    answer = send(server, "/registries", name="wrong", **wrong)

    assert answer.status == 422
    assert answer.text.count('aria-invalid="true"') == 3
    assert answer.text.count("is-invalid") == 5


def test_an_edit_of_what_was_changed_meanwhile_is_not_saved(server: Server) -> None:
    place = make_registry(server, "edited")
    etag = re.search(r'name="etag" value="([^"]*)"', ask(server, place).text)
    assert etag is not None
    fields = {"visibility": "private", "endpoint": "private", "etag": etag[1].replace("&#34;", '"')}

    first, second = (send(server, place, description=text, **fields) for text in ("first", "second"))

    assert (first.status, second.status) == (303, 412)
    assert "first" in ask(server, place).text


def test_a_registry_goes_only_by_its_name_and_comes_back(server: Server) -> None:
    place = make_registry(server, "shortlived")

    refused = send(server, f"{place}/delete", confirm="shortlives")
    gone = send(server, f"{place}/delete", confirm="shortlived")
    listed = ask(server, "/registries").text
    removed = ask(server, "/registries?removed=true").text
    back = send(server, f"{place}/restore")

    assert refused.status == 400
    assert gone.status == 303
    assert "/registries%3Fremoved%3Dtrue%26name%3Dshortlived" in gone.headers["set-cookie"]  # where it is put back
    assert f'href="{place}"' not in listed
    assert f'href="{place}"' in removed
    assert back.status == 303
    assert f'href="{place}"' in ask(server, "/registries").text


def test_what_was_done_stands_on_the_page_of_activity(server: Server) -> None:
    place = make_registry(server, "busy")

    assert "registry.created" in ask(server, f"{place}/activity").text


def test_no_such_registry_is_a_page_that_says_so(server: Server) -> None:
    answer = ask(server, "/registries/nothinghere")

    assert answer.status == 404
    assert "<h1" in answer.text


def test_a_registry_begins_with_the_lists_that_were_typed(server: Server) -> None:
    make_registry(server, "listed", private_allowlist="127.0.0.1 # here\r\n10.0.0.0/8", public_allowlist="192.0.2.1")

    lists = server.data / "allowlists"
    assert (lists / "listed.private.txt").read_text() == "127.0.0.1 # here\n10.0.0.0/8\n"
    assert (lists / "listed.public.txt").read_text() == "192.0.2.1\n"
    assert "10.0.0.0/8" in ask(server, "/allowlists/listed.private").text


@pytest.mark.parametrize(
    ("field", "typed", "said"),
    [
        ("name", "9lives", "9lives"),
        ("name", "local", "there is a registry local already"),
        ("port", "70000", "a whole number from 1 to 65535"),
        ("quota_gib", "much", "a whole number from 1 to"),
        ("private_allowlist", "10.0.0.0/8\n10.0.0.0/33", "line 2: "),
        ("public_allowlist", "@nobody", "there is no [[resource_group]] nobody"),
    ],
)
def test_what_is_being_typed_is_judged_beside_its_field_and_nothing_is_made(
    server: Server, field: str, typed: str, said: str
) -> None:
    fields = {"visibility": "private", "endpoint": "private", field: typed}

    shown = send(server, "/registries", preview="on", **fields)
    sent = send(server, "/registries", **{"name": "judged", **fields})

    for answer, status in ((shown, {200}), (sent, {400, 409, 422})):
        assert answer.status in status, answer.text
        beside = re.search(rf'<div id="h-{field}"[^>]*>(.*?)</div></div>|<div id="h-{field}"[^>]*>(.*)', answer.text)
        assert beside is not None
        assert said in (beside[1] or beside[2]).replace("&#39;", "'")
        assert "<!doctype html>" in answer.text
    assert "judged<" not in ask(server, "/registries").text


def test_what_is_not_typed_yet_is_not_judged(server: Server) -> None:
    answer = send(server, "/registries", preview="on", name="", visibility="private", endpoint="private")

    assert answer.status == 200
    assert "is-invalid" not in answer.text
    assert 'class="alert' not in answer.text


def test_a_port_of_another_registry_is_said_as_it_is_typed(server: Server) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    make_registry(server, "ported", port=str(port))

    answer = send(server, "/registries", preview="on", port=str(port), visibility="private", endpoint="private")

    assert f"registry ported has port {port}; choose another one" in answer.text


def test_what_a_deletion_would_take_is_named_on_its_page(server: Server) -> None:
    place = make_registry(server, "holding")
    with server.client() as client:
        for number in range(12):
            order = b'{"name": "held%02d", "registry": "holding"}' % number
            client.request("POST", "/api/v1/repositories", order, {"Content-Type": "application/json"}).expect(201)

    text = ask(server, f"{place}/delete").text

    assert re.findall(r">(held\d\d)</a>", text) == [f"held{number:02}" for number in range(10)]
    assert "and 2 more" in text
    assert 'name="force"' in text


def test_the_default_registry_offers_no_deletion(server: Server) -> None:
    registry = re.search(r'href="(/registries/[a-z0-9]+)">local<', ask(server, "/registries").text)
    assert registry is not None

    assert f"{registry[1]}/delete" not in ask(server, registry[1]).text


def test_the_summary_says_how_the_registry_would_be_called_or_that_nobody_could(server: Server) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    fields = {"preview": "on", "name": "shop", "visibility": "private"}

    empty = ask(server, "/registries/new").text
    own = send(server, "/registries", port=str(port), endpoint="private", **fields).text
    both = send(server, "/registries", port=str(port), endpoint="private+public", **fields).text

    assert "No client could call it there: give it a port of its own" in empty
    assert f'<div class="mono">http://127.0.0.1:{port}</div>' in own
    assert "No client could" not in own
    assert "No client could call it there: set endpoint.public.domain" in both


def test_no_command_leads_to_another_registry_where_one_has_no_address(server: Server) -> None:
    place = make_registry(server, "addressless")
    with server.client() as client:
        order = b'{"name": "unreached", "registry": "addressless"}'
        kind = {"Content-Type": "application/json"}
        made = client.request("POST", "/api/v1/repositories", order, kind).expect(201)
    repository = re.search(rb'"id":"([a-z0-9]+)"', made.body)
    assert repository is not None

    paths = (place, f"/repositories/{repository[1].decode()}", "/images?registry=addressless")
    for text in (ask(server, path).text for path in paths):
        assert "No client can call this registry" in text
        assert "docker push" not in text
    assert f"docker push {server.address}/hello" in ask(server, "/images?registry=local").text


def test_a_deletion_is_confirmed_by_a_box_and_the_name(server: Server) -> None:
    text = ask(server, f"{make_registry(server, 'confirmed')}/delete").text

    assert re.search(r'<input[^>]*type="checkbox" name="understood"[^>]* required', text)
    assert re.search(r'name="confirm"[^>]* required', text)
