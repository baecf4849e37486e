"""Allowlists over the API: the file itself is edited, with its comments, and counts before the answer."""

from urllib.parse import quote

import msgspec
import pytest

from tests.http.api.conftest import find, problem
from tests.make.client import Client, Reply
from tests.make.server import Server


class View(msgspec.Struct, frozen=True, rename="camel"):
    """What the tests look at of a list."""

    name: str
    access_control: bool
    state: str
    fault: str
    text: str
    exists: bool
    entries: int
    mistakes: list[dict[str, object]]
    remarks: list[dict[str, object]]
    caller_address: str | None
    admits_caller: bool | None


JSON = {"Content-Type": "application/json"}


class Lists:
    """The allowlist of a new registry's private endpoint."""

    def __init__(self, server: Server, client: Client, name: str, **settings: object) -> None:
        order = {"name": name, "privateAccessControl": True, **settings}
        made = client.request("POST", "/api/v1/registries", msgspec.json.encode(order), JSON).expect(201)
        self.id = made.decode(dict[str, object])["id"]
        self.client = client
        self.path = f"/api/v1/registries/{self.id}/allowlists/private"
        self.file = server.data / "allowlists" / f"{name}.private.txt"

    def show(self) -> View:
        """Return the list."""
        return self.client.get(self.path).expect(200).decode(View)

    def put(self, text: str, *, mark: str = "", query: str = "") -> Reply:
        """Write it."""
        headers = {**JSON, **({"If-Match": mark} if mark else {})}
        return self.client.request("PUT", f"{self.path}{query}", msgspec.json.encode({"text": text}), headers)

    def add(self, entry: str, comment: str = "") -> Reply:
        """Add a line."""
        body = msgspec.json.encode({"entry": entry, "comment": comment})
        return self.client.request("POST", f"{self.path}/entries", body, JSON)

    def remove(self, entry: str, query: str = "") -> Reply:
        """Take a line out."""
        return self.client.request("DELETE", f"{self.path}/entries?entry={quote(entry, safe='')}{query}")


def test_a_list_that_is_not_there_is_empty_and_lets_nobody_in(server: Server, admin: Client) -> None:
    found = Lists(server, admin, "noone").show()

    assert (found.name, found.access_control, found.state) == ("noone.private", True, "closed")
    assert (found.exists, found.text, found.entries, found.admits_caller) == (False, "", 0, False)
    assert found.caller_address == "127.0.0.1"


def test_a_list_is_written_as_a_file_and_counts_at_once(server: Server, admin: Client) -> None:
    lists = Lists(server, admin, "written")
    text = "# the office\n192.0.2.0/24\n\n127.0.0.1  # here\n"

    found = lists.put(text).expect(200).decode(View)

    assert lists.file.read_text() == text
    assert (found.state, found.entries, found.admits_caller, found.text) == ("good", 2, True, text)


def test_a_list_with_a_mistake_is_refused_with_its_lines_and_nothing_changes(server: Server, admin: Client) -> None:
    lists = Lists(server, admin, "mistaken")
    lists.put("192.0.2.7\n").expect(200)

    reply = lists.put("192.0.2.7\n10.0.0.7/24\n@nobody\n").expect(400)

    said = problem(reply.body)
    assert said.type == "urn:scr:problem:allowlist-invalid"
    assert "line 2: 10.0.0.7/24 has bits set behind its mask; write 10.0.0.0/24" in said.detail
    assert "line 3: there is no [[resource_group]] nobody" in said.detail
    assert lists.file.read_text() == "192.0.2.7\n"


def test_a_text_is_judged_without_being_written(server: Server, admin: Client) -> None:
    lists = Lists(server, admin, "judged")
    body = msgspec.json.encode({"text": "127.0.0.0/8\n127.0.0.1\nx\n"})

    found = admin.request("POST", f"{lists.path}/check", body, JSON).expect(200).decode(View)

    assert [one["line"] for one in found.mistakes] == [3]
    assert [one["line"] for one in found.remarks] == [2]
    assert found.admits_caller is False  # a list with a mistake lets nobody in
    assert not lists.file.exists()


def test_lines_come_and_go_and_comments_stay(server: Server, admin: Client) -> None:
    lists = Lists(server, admin, "lines")
    lists.put("# the office\n192.0.2.0/24 # all of it\n").expect(200)

    lists.add("2001:db8::/32", "second line").expect(200)
    lists.add("192.0.2.7").expect(200)  # is in there
    lists.add("2001:DB8::/32").expect(200)
    assert lists.file.read_text() == "# the office\n192.0.2.0/24 # all of it\n2001:db8::/32  # second line\n"

    lists.remove("2001:DB8:0::/32").expect(200)
    gone = lists.remove("192.0.2.7").expect(404)
    assert lists.file.read_text() == "# the office\n192.0.2.0/24 # all of it\n"
    assert "has no line '192.0.2.7'" in problem(gone.body).detail


@pytest.mark.parametrize(
    ("entry", "comment", "said"),
    [
        ("10.0.0.7/24", "", "write 10.0.0.0/24"),
        ("@nobody", "", "there is no [[resource_group]] nobody"),
        ("10.0.0.7\n0.0.0.0/0", "", "are several; write one a line"),
        ("10.0.0.7 # x", "", "is no address"),
        ("10.0.0.7", "one\n0.0.0.0/0", "comment"),
        ("10.0.0.7", "one\u20280.0.0.0/0", "comment"),
        ("", "", "is no address"),
    ],
)
def test_a_line_is_one_line(server: Server, admin: Client, entry: str, comment: str, said: str) -> None:
    name = f"line{abs(hash((entry, comment))) % 10**9}"
    lists = Lists(server, admin, name)

    reply = lists.add(entry, comment).expect(400)

    assert said in problem(reply.body).detail
    assert not lists.file.exists()


def test_an_edit_of_what_somebody_else_has_changed_is_refused(server: Server, admin: Client) -> None:
    lists = Lists(server, admin, "stale")
    mark = admin.get(lists.path).headers["etag"]
    lists.file.write_text("192.0.2.7 # by hand\n")

    lists.put("192.0.2.9\n", mark=mark).expect(412)
    mark = admin.get(lists.path).headers["etag"]
    lists.put("192.0.2.9\n", mark=mark).expect(200)
    lists.put("192.0.2.8\n", mark="*").expect(200)

    assert lists.file.read_text() == "192.0.2.8\n"


def test_nobody_shuts_itself_out_unless_that_is_meant(server: Server, admin: Client) -> None:
    lists = Lists(server, admin, "shutout")
    lists.put("127.0.0.0/8\n192.0.2.7\n").expect(200)

    refused = lists.put("192.0.2.7\n").expect(409)
    lists.remove("127.0.0.0/8").expect(409)
    assert lists.file.read_text() == "127.0.0.0/8\n192.0.2.7\n"
    assert "would not let in 127.0.0.1 any more" in problem(refused.body).detail

    lists.remove("127.0.0.0/8", "&shutOut=true").expect(200)
    lists.put("192.0.2.9\n").expect(200)  # it is out already
    assert lists.file.read_text() == "192.0.2.9\n"


def test_a_file_with_mistakes_is_mended_before_lines_are_added(server: Server, admin: Client) -> None:
    lists = Lists(server, admin, "mended")
    lists.file.write_text("rubbish\n")

    refused = lists.add("192.0.2.7").expect(400)
    shown = lists.show()
    lists.put("192.0.2.7\n").expect(200)

    assert "has mistakes already, mend them first: line 1: rubbish" in problem(refused.body).detail
    assert (shown.text, len(shown.mistakes)) == ("rubbish\n", 1)


def test_a_file_that_something_else_keeps_is_left_alone(server: Server, admin: Client) -> None:
    lists = Lists(server, admin, "linked")
    (server.data / "elsewhere.txt").write_text("192.0.2.7\n")
    lists.file.symlink_to(server.data / "elsewhere.txt")

    lists.put("192.0.2.9\n").expect(409)

    assert lists.show().text == "192.0.2.7\n"


def test_who_could_read_a_file_still_can(server: Server, admin: Client) -> None:
    lists = Lists(server, admin, "modes")
    lists.file.write_text("192.0.2.7\n")
    lists.file.chmod(0o640)

    lists.add("192.0.2.9").expect(200)

    assert lists.file.stat().st_mode & 0o777 == 0o640


def test_an_edit_is_recorded_with_what_came_and_went(server: Server, admin: Client) -> None:
    lists = Lists(server, admin, "recorded")
    lists.put("192.0.2.7\n192.0.2.8\n").expect(200)
    lists.put("192.0.2.8\n192.0.2.9\n").expect(200)
    lists.put("192.0.2.8\n192.0.2.9\n").expect(200)  # no difference, no record

    reply = admin.get("/api/v1/activity?registry=recorded&kind=allowlist.edited").expect(200)
    items = reply.decode(dict[str, object])["items"]
    assert isinstance(items, list)
    assert len(items) == 2
    assert items[0]["principal"] == "user:admin"
    assert items[0]["detail"]["before"] == {"entries": 2, "removed": ["192.0.2.7"]}
    assert items[0]["detail"]["after"] == {"entries": 2, "added": ["192.0.2.9"]}


def test_a_long_list_goes_in_and_out(server: Server, admin: Client) -> None:
    lists = Lists(server, admin, "longlist")
    text = "127.0.0.1\n" + "".join(f"2001:db8:{n >> 16:x}:{n & 0xFFFF:x}::/64\n" for n in range(100_000))

    found = lists.put(text).expect(200).decode(View)

    assert found.entries == 100_001
    assert lists.file.read_text() == text


def test_the_list_of_management_is_for_who_may_manage_every_registry(
    server: Server, admin: Client, viewer: Client, nobody: Client
) -> None:
    path = "/api/v1/allowlists/management"
    body = msgspec.json.encode({"text": "127.0.0.1\n"})

    admin.request("PUT", path, body, JSON).expect(200)
    assert (server.data / "allowlists" / "management.txt").read_text() == "127.0.0.1\n"
    assert viewer.get(path).expect(200).decode(View).state == "good"
    viewer.request("PUT", path, body, JSON).expect(403)
    nobody.get(path).expect(403)
    (server.data / "allowlists" / "management.txt").unlink()


def test_lists_are_listed_with_their_states(server: Server, admin: Client, nobody: Client) -> None:
    lists = Lists(server, admin, "listed", publicAccessControl=True, endpoint="private+public")
    lists.put("127.0.0.1\n").expect(200)

    items = admin.get("/api/v1/allowlists").expect(200).decode(dict[str, list[dict[str, object]] | None])["items"]

    assert items is not None
    found = {one["name"]: (one["accessControl"], one["state"]) for one in items}
    assert (found["listed.private"], found["listed.public"]) == ((True, "good"), (True, "closed"))
    assert nobody.get("/api/v1/allowlists").expect(200).decode(dict[str, object])["items"] == []


def test_lists_go_with_their_registry_and_come_back_with_it(server: Server, admin: Client) -> None:
    lists = Lists(server, admin, "fleeting")
    lists.put("127.0.0.1\n").expect(200)

    admin.request("DELETE", f"/api/v1/registries/{lists.id}?confirm=fleeting").expect(204)
    admin.get(lists.path).expect(404)
    again = Lists(server, admin, "fleeting")
    assert (again.show().exists, again.show().state) == (False, "closed")
    admin.request("DELETE", f"/api/v1/registries/{again.id}?confirm=fleeting").expect(204)
    admin.request("POST", f"/api/v1/registries/{lists.id}/restoration", b"{}", JSON).expect(200)

    assert (lists.show().text, lists.show().state) == ("127.0.0.1\n", "good")


def test_there_is_no_third_endpoint(admin: Client) -> None:
    registry = find(admin, "registries", "local")

    admin.get(f"/api/v1/registries/{registry}/allowlists/management").expect(404)
    admin.get(f"/api/v1/registries/{registry}/allowlists/..").expect(404)
    admin.get("/api/v1/registries/nonesuch/allowlists/private").expect(404)


def test_metrics_tell_how_lists_are(server: Server, admin: Client) -> None:
    lists = Lists(server, admin, "measured")
    lists.put("127.0.0.1\n").expect(200)

    told = admin.get("/metrics").expect(200).body.decode()

    values = {
        line.split()[0]: float(line.split()[1]) for line in told.splitlines() if line.startswith("scr_allowlists")
    }
    assert values['scr_allowlists{state="good"}'] >= 1
    assert set(values) == {f'scr_allowlists{{state="{state}"}}' for state in ("good", "kept", "closed")}
