"""`scr repository|image|tag`: list, show, delete."""

import io
import json
import sys

import pytest

from appliance.cli.main import main
from tests.cli.conftest import Scr
from tests.make import images
from tests.make.client import Client
from tests.make.server import Server

IMAGE = images.image([{"etc/motd": b"hello"}])


def test_lists_are_tables_for_people_and_json_for_programs(scr: Scr, client: Client) -> None:
    client.push("lists/api", IMAGE, "1", "2-rc")

    table = scr("image", "list", "--repository", "lists").expect(0).out.splitlines()
    tags = json.loads(scr("tag", "list", "lists/api", "--json").expect(0).out)
    repositories = json.loads(scr("repository", "list", "--name", "lists", "--json").expect(0).out)

    assert table[0].split() == ["IMAGE", "TAGS", "SIZE", "PULLS", "LOCK", "PUSHED"]
    assert table[1].split()[:2] == ["lists/api", "2"]
    assert [(tag["name"], tag["digest"]) for tag in tags] == [("1", IMAGE.digest), ("2-rc", IMAGE.digest)]
    assert [(one["name"], one["images"]) for one in repositories] == [("lists", 1)]
    assert scr("tag", "list", "lists/api", "--name", "rc").out.splitlines()[1].startswith("2-rc ")


def test_a_list_longer_than_a_page_comes_whole(scr: Scr, client: Client) -> None:
    names = [f"{number:04}" for number in range(1003)]
    client.push("long/api", IMAGE)
    for start in range(0, len(names), 50):
        query = "&".join(f"tag={name}" for name in names[start : start + 50])
        client.put_manifest("long/api", IMAGE.digest, IMAGE, f"?{query}").expect(201)

    found = json.loads(scr("tag", "list", "long/api", "--json").expect(0).out)

    assert [tag["name"] for tag in found] == names


def test_show_says_what_a_thing_is(scr: Scr, client: Client) -> None:
    client.push("shown/api", IMAGE, "1")

    assert "shown/api" in scr("image", "show", "shown/api").expect(0).out
    assert IMAGE.digest in scr("tag", "show", "shown/api:1").expect(0).out
    assert json.loads(scr("repository", "show", "shown", "--json").expect(0).out)["images"] == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("image", "show", "none/none"), "no image none/none; see: scr image list"),
        (("repository", "show", "none"), "no repository 'none'; see: scr repository list"),
        (("tag", "show", "none/none:1"), "no tag none/none:1; see: scr tag list none/none"),
        (("tag", "show", "none/none"), "names no tag; write none/none:<tag>"),
        (("tag", "list", "none/none"), "no image none/none"),
        (("image", "show", "NONE"), "is not a name"),
    ],
)
def test_what_is_not_there_is_said_in_one_line_with_the_next_step(scr: Scr, words: tuple[str, ...], said: str) -> None:
    ran = scr(*words).expect(1)

    assert said in ran.talk
    assert ran.talk.startswith("scr: ")
    assert ran.talk.count("\n") == 1
    assert ran.out == ""


@pytest.mark.parametrize("kind", ["repository", "image", "tag"])
def test_nothing_is_deleted_without_a_yes_where_nobody_can_be_asked(scr: Scr, client: Client, kind: str) -> None:
    client.push("kept/api", IMAGE, "1")
    name = {"repository": "kept", "image": "kept/api", "tag": "kept/api:1"}[kind]

    refused = scr(kind, "delete", name).expect(1)
    dry = scr(kind, "delete", name, "--dry-run").expect(0)

    assert "add --yes" in refused.talk
    assert "nothing was deleted" in dry.talk
    client.get_manifest("kept/api", "1").expect(200)


def test_a_yes_deletes(scr: Scr, client: Client) -> None:
    client.push("gone/api", IMAGE, "1", "2")
    client.push("gone/web", IMAGE, "1")

    scr("tag", "delete", "gone/api:1", "--yes").expect(0)
    assert client.list_tags("gone/api") == ["2"]
    scr("image", "delete", "gone/api", "--yes").expect(0)
    client.get_manifest("gone/api", IMAGE.digest).expect(404)
    scr("repository", "delete", "gone", "--yes").expect(0)
    client.get_manifest("gone/web", "1").expect(404)


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("typed", "code"), [("asked/api\n", 0), ("yes\n", 1), ("\n", 1), ("", 1)])
def test_on_a_terminal_the_name_is_typed_before_an_image_goes(
    scr: Scr, client: Client, monkeypatch: pytest.MonkeyPatch, typed: str, code: int
) -> None:
    client.push("asked/api", IMAGE, "1")
    monkeypatch.setattr(sys, "stdin", _Terminal(typed))

    scr("image", "delete", "asked/api").expect(code)

    assert client.get_manifest("asked/api", "1").status == (404 if code == 0 else 200)


def test_without_a_server_the_message_says_how_to_start_one(scr: Scr, tmp_path: str) -> None:
    for words in (("status",), ("image", "list"), ("gc",)):
        ran = scr(*words, data_dir=str(tmp_path)).expect(1)

        assert ran.talk == f"scr: no server runs for {tmp_path}; start it with: scr serve\n"


def test_a_folder_of_any_length_has_a_control_socket(scr: Scr, tmp_path: str) -> None:
    deep = f"{tmp_path}/{'x' * 120}"

    assert "start it with: scr serve" in scr("status", data_dir=deep).expect(1).talk


def test_the_server_can_be_asked_by_its_address(
    server: Server, capsys: pytest.CaptureFixture[str], client: Client
) -> None:
    client.push("address/api", IMAGE, "1")

    code = main(["image", "list", "--json", "--server", server.url])

    assert code == 0
    assert "address/api" in [one["path"] for one in json.loads(capsys.readouterr().out)]


@pytest.mark.parametrize("url", ["ftp://x", "localhost:5000", "http://", "http://user:secret@host", "http://host/path"])
def test_an_address_of_another_shape_is_refused(capsys: pytest.CaptureFixture[str], url: str) -> None:
    assert main(["status", "--server", url]) == 1
    assert "is no address of a server" in capsys.readouterr().err


def test_status_shows_what_there_is_and_gc_and_scrub_say_what_they_did(scr: Scr, client: Client) -> None:
    client.push("status/api", IMAGE, "1")

    shown = scr("status").expect(0).out
    assert "health      ready" in shown
    assert json.loads(scr("status", "--json").expect(0).out)["usage"]["blobs"] >= 2
    assert "would be freed" in scr("gc", "--dry-run").expect(0).talk
    assert set(json.loads(scr("gc", "--json").expect(0).out)) >= {"blobs", "bytes"}
    assert ": 0 broken" in scr("scrub").expect(0).out


@pytest.mark.parametrize(
    "command", ["status", "repository", "image", "tag", "gc", "scrub", "image export", "image import", "tag delete"]
)
def test_help_begins_with_two_examples(capsys: pytest.CaptureFixture[str], command: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*command.split(), "--help"])

    lines = capsys.readouterr().out.splitlines()
    assert ended.value.code == 0
    assert lines[0] == "examples:"
    assert lines[1].startswith(f"  scr {command}")
    assert lines[2].startswith(f"  scr {command.split(maxsplit=1)[0]}")


def test_wrong_usage_ends_with_2(scr: Scr) -> None:
    scr("image", "lst").expect(2)
    scr("tag", "show").expect(2)
    scr("gc", "--dryrun").expect(2)
