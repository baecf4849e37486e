"""Every principal, with every credential, at every endpoint of every sort of registry, for every action.

The answers of the real server are compared with a model that fits on one page and shares nothing with it: who may what
is written down per principal as a plain function, what a registry lets in as four plain facts.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from appliance.domain.access import Holder
from appliance.domain.accounts import SignIn
from appliance.domain.names import RegistryName
from appliance.domain.registry import EndpointType, RegistrySettings, Visibility
from tests import make
from tests.http.houses import furnish, url_of
from tests.make.accounts import Key, Member, TokenReply, bearer, make_accounts, token_reply
from tests.make.client import Client, Reply, basic
from tests.make.server import Server

IMAGE = make.image([{"etc/motd": b"hello"}])
ALL = ["*"]
LOGIN, PULL, PUSH, DELETE = (
    "LoginContainerRegistry",
    "PullRepositoryImages",
    "PushRepositoryImages",
    "DeleteRepositoryImages",
)
IMAGE_ACTIONS = (PULL, PUSH, DELETE)
NAMED = "pubboffoff"  # the registry of the manual's example: public, with both endpoints and no allowlist


def allow(actions: Sequence[str], resources: Sequence[str] = ALL, **conditions: object) -> dict[str, object]:
    return {"effect": "allow", "actions": actions, "resources": resources, "conditions": conditions}


def deny(actions: Sequence[str], resources: Sequence[str] = ALL) -> dict[str, object]:
    return {"effect": "deny", "actions": actions, "resources": resources}


class Asked(msgspec.Struct, frozen=True):
    """An action on a registry, or on a repository of it."""

    registry: str
    repository: str
    action: str


Rule = Callable[[Asked], bool]
NEVER: Rule = lambda asked: False  # noqa: E731, ARG005 - a rule like the others


class Person(msgspec.Struct, frozen=True):
    """Somebody, what the server is told of it, and what the model says: what it may, and what it must not."""

    member: Member
    may: Rule
    must_not: Rule = NEVER
    gets_in: bool = True


def only(*actions: str) -> Rule:
    return lambda asked: asked.action in actions


ALWAYS = only(LOGIN, *IMAGE_ACTIONS)
PEOPLE = {
    person.member.name: person
    for person in (
        Person(Member("full", ["ScrFullAccess"]), ALWAYS),
        Person(Member("puller", ["ScrPullOnlyAccess"], kind=Holder.ROLE), only(LOGIN, PULL)),
        Person(Member("pusher", ["ScrPullPushOnlyAccess"]), only(LOGIN, PULL, PUSH)),
        Person(Member("viewer", ["ScrViewOnlyAccess"]), NEVER),
        Person(Member("nobody"), NEVER),
        Person(Member("no-login", statements=[allow([PULL, PUSH])]), only(PULL, PUSH)),
        Person(Member("login-only", statements=[allow([LOGIN])]), only(LOGIN)),
        Person(
            Member(
                "manual",  # 2.6: pull and push in one repository of one registry
                statements=[
                    allow([LOGIN], [f"registry/{NAMED}"]),
                    allow([PULL, PUSH], [f"registry/{NAMED}/repository/pay"]),
                ],
            ),
            lambda asked: (
                asked.registry == NAMED
                and (asked.action == LOGIN or (asked.action in (PULL, PUSH) and asked.repository == "pay"))
            ),
        ),
        Person(
            Member("denied-pay", ["ScrFullAccess"], statements=[deny(["*"], ["registry/*/repository/pay"])]),
            ALWAYS,
            lambda asked: asked.repository == "pay",
        ),
        Person(
            Member("denied-login", ["ScrFullAccess"], statements=[deny([LOGIN])]),
            ALWAYS,
            lambda asked: asked.action == LOGIN,
        ),
        Person(Member("from-here", statements=[allow(ALL, appliedAddresses=["127.0.0.0/8"])]), ALWAYS),
        Person(Member("from-elsewhere", statements=[allow(ALL, appliedAddresses=["10.0.0.0/8"])]), NEVER),
        Person(
            Member("not-from-here", ["ScrFullAccess"], statements=[allow(ALL, excludedAddresses=["127.0.0.1"])]), ALWAYS
        ),
        Person(Member("once", statements=[allow(ALL, notAfter="2020-01-01T00:00:00Z")]), NEVER),
        Person(Member("some-day", statements=[allow(ALL, notBefore="2120-01-01T00:00:00Z")]), NEVER),
        Person(Member("no-keys", ["ScrFullAccess"], sign_in=SignIn((), (), ())), ALWAYS, gets_in=False),
    )
}
ANONYMOUS = "anonymous"


class Facts(msgspec.Struct, frozen=True):
    """A registry: whether it is public, which endpoints it has, and what each one's allowlist says of us."""

    is_public: bool
    has_both: bool
    private: str  # "off", "in", "out"
    public: str

    @property
    def name(self) -> str:
        """Three letters for each fact."""
        both = "b" if self.has_both else "p"
        return f"{'pub' if self.is_public else 'pri'}{both}{self.private}{self.public if self.has_both else ''}"


REGISTRIES = [
    Facts(is_public=is_public, has_both=False, private=private, public="off")
    for is_public, private in itertools.product((True, False), ("off", "in", "out"))
] + [
    Facts(is_public=is_public, has_both=True, private=private, public=public)
    for is_public, private, public in itertools.product((True, False), ("off", "in", "out"), ("off", "in", "out"))
]
ENDPOINTS = ("private", "public")


class Request(msgspec.Struct, frozen=True):
    """A request, what it needs, and what it is answered with where that is there."""

    method: str
    path: str
    needs: tuple[str, ...]
    scope: str
    repository: str = "pay"
    done: int = 404  # where it may be done: what it asks for is absent
    is_stocked: bool = False  # it asks for what only some registries hold


REQUESTS = {
    "ping": Request("GET", "/v2/", (), "", done=200),
    "catalogue": Request("GET", "/v2/_catalog", (), "registry:catalog:*", done=200),
    "pull": Request("GET", "/v2/pay/api/manifests/1", (PULL,), "repository:pay/api:pull", done=200, is_stocked=True),
    "pull of nothing": Request("GET", "/v2/pay/none/manifests/1", (PULL,), "repository:pay/none:pull"),
    "pull next door": Request("HEAD", "/v2/web/none/manifests/1", (PULL,), "repository:web/none:pull", "web"),
    "tags": Request("GET", "/v2/pay/none/tags/list", (PULL,), "repository:pay/none:pull"),
    "referrers": Request(
        "GET", f"/v2/pay/none/referrers/{IMAGE.digest}", (PULL,), "repository:pay/none:pull", done=200
    ),
    "push": Request("POST", "/v2/pay/api/blobs/uploads/", (PUSH,), "repository:pay/api:push", done=202),
    "push next door": Request("POST", "/v2/web/api/blobs/uploads/", (PUSH,), "repository:web/api:push", "web", 202),
    "delete": Request("DELETE", "/v2/pay/none/manifests/1", (DELETE,), "repository:pay/none:delete"),
}
CREDENTIALS = ("basic", "token", "short token")


def model(  # noqa: PLR0911 - a decision a line, in the order of the design
    facts: Facts, endpoint: str, person: str, credential: str, request: Request, *, is_there: bool
) -> int:
    """Return the status that the design asks for."""
    known = PEOPLE.get(person)
    if endpoint == "public" and not facts.has_both:
        return 421
    if (facts.private if endpoint == "private" else facts.public) == "out":
        return 403
    if known is not None and not known.gets_in:
        return 401
    if credential == "none" and request.path == "/v2/":
        return 401
    asked = [Asked(facts.name, request.repository if need != LOGIN else "", need) for need in (LOGIN, *request.needs)]
    if not all(is_allowed(facts, known, one) for one in asked):
        return 403 if known is not None else 401
    if credential == "short token" and request.scope:
        return 401
    return 404 if request.is_stocked and not is_there else request.done


def is_allowed(facts: Facts, known: Person | None, asked: Asked) -> bool:
    """Whether the one may do it: no deny, and an allow, or a registry that everybody may pull from."""
    if known is not None and known.must_not(asked):
        return False
    return (known is not None and known.may(asked)) or (facts.is_public and asked.action in (LOGIN, PULL))


@pytest.fixture(scope="module")
def keys() -> dict[str, Key]:
    return {}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, keys: dict[str, Key]) -> Iterator[Server]:
    config = (
        '[endpoint.private]\ndomain = "in.example"\n'
        '[endpoint.public]\nlisten = ["127.0.0.1:0"]\ndomain = "out.example"\n'
    )
    running = Server(tmp_path_factory.mktemp("server"), config)
    furnish(running, *map(_settings, REGISTRIES))
    keys.update(make_accounts(running.data, [person.member for person in PEOPLE.values()]))
    for facts in REGISTRIES:
        for endpoint, state in (("private", facts.private), ("public", facts.public)):
            _list(running.data, f"{facts.name}.{endpoint}", state)
    running.start()
    try:
        yield running
    finally:
        running.stop()


def _settings(facts: Facts) -> RegistrySettings:
    return RegistrySettings(
        RegistryName(facts.name),
        visibility=Visibility.PUBLIC if facts.is_public else Visibility.PRIVATE,
        endpoint=EndpointType.BOTH if facts.has_both else EndpointType.PRIVATE,
        private_access_control=facts.private != "off",
        public_access_control=facts.public != "off",
    )


def _list(data: Path, name: str, state: str) -> None:
    if state != "off":
        (data / "allowlists" / f"{name}.txt").write_text("127.0.0.1\n" if state == "in" else "10.0.0.0/8\n")


class Doors:
    """Clients of both endpoints: the Host of each request says which registry it means."""

    def __init__(self, server: Server, keys: dict[str, Key]) -> None:
        self._keys = keys
        urls = {"private": server.url, "public": url_of(server, 'registry "local", public endpoint')}
        self._clients = {endpoint: Client(url) for endpoint, url in urls.items()}
        self._tokens: dict[tuple[str, str, str, str], str] = {}

    def host(self, facts: Facts, endpoint: str) -> dict[str, str]:
        return {"Host": f"{facts.name}-{facts.name}1.{'in' if endpoint == 'private' else 'out'}.example"}

    def basic(self, person: str) -> dict[str, str]:
        key = self._keys.get(person)
        return basic(key.access_key, key.secret_key) if key else {}

    def ask(self, facts: Facts, endpoint: str, person: str, credential: str, request: Request) -> Reply:
        shown = self.basic(person) if credential == "basic" else {}
        if credential in ("token", "short token"):
            scope = request.scope if credential == "token" else "repository:other/image:pull"
            shown = bearer(self._token(facts, endpoint, person, scope))
        body = b"" if request.method == "POST" else None
        headers = {**self.host(facts, endpoint), **shown}
        return self._clients[endpoint].request(request.method, request.path, body, headers)

    def _token(self, facts: Facts, endpoint: str, person: str, scope: str) -> str:
        """Return a token; where none can be had the entrance refuses anyway, or nobody gets in."""
        key = (facts.name, endpoint, person, scope)
        if key not in self._tokens:
            headers = {**self.host(facts, endpoint), **self.basic(person)}
            reply = token_reply(self._clients[endpoint], scope, headers=headers)
            self._tokens[key] = reply.decode(TokenReply).token if reply.status == 200 else "scr1.none"
        return self._tokens[key]

    def close(self) -> None:
        for client in self._clients.values():
            client.close()


@pytest.fixture(scope="module")
def doors(server: Server, keys: dict[str, Key]) -> Iterator[Doors]:
    opened = Doors(server, keys)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def stocked(server: Server, doors: Doors) -> set[str]:
    """The registries that hold the image: those whose private endpoint lets us in."""
    found = set()
    for facts in REGISTRIES:
        if facts.private != "out":
            headers = {**doors.host(facts, "private"), **doors.basic("full")}
            with Client(server.url, headers=headers) as client:
                client.push("pay/api", IMAGE, "1")
            found.add(facts.name)
    return found


def test_the_matrix_has_thousands_of_cells() -> None:
    assert len(REGISTRIES) * len(ENDPOINTS) * len(PEOPLE) * len(CREDENTIALS) * len(REQUESTS) > 10_000
    assert NAMED in {facts.name for facts in REGISTRIES}


@pytest.mark.parametrize("facts", REGISTRIES, ids=lambda facts: facts.name)
def test_every_answer_is_the_models(doors: Doors, stocked: set[str], facts: Facts) -> None:
    wrong = []
    people = [(person, credential) for person in PEOPLE for credential in CREDENTIALS]
    people += [(ANONYMOUS, "none"), (ANONYMOUS, "token"), (ANONYMOUS, "short token")]
    for endpoint, (person, credential), (name, request) in itertools.product(ENDPOINTS, people, REQUESTS.items()):
        expected = model(facts, endpoint, person, credential, request, is_there=facts.name in stocked)
        reply = doors.ask(facts, endpoint, person, credential, request)
        if reply.status != expected:
            wrong.append((endpoint, person, credential, name, expected, reply.status, reply.body[:200]))

    assert wrong == []


class Explained(msgspec.Struct, frozen=True):
    """What explain answers, as far as the test looks."""

    allowed: bool


@pytest.mark.parametrize("facts", REGISTRIES, ids=lambda facts: facts.name)
def test_explain_says_of_every_cell_what_the_request_is_answered(
    server: Server, keys: dict[str, Key], stocked: set[str], facts: Facts
) -> None:
    wrong = []
    words = {"pull": "pull", "push": "push", "delete": "delete", "push next door": "push"}
    key = keys["full"]
    with server.client(user=key.access_key, password=key.secret_key) as admin:
        for endpoint, person, (name, word) in itertools.product(ENDPOINTS, [*PEOPLE, ANONYMOUS], words.items()):
            request = REQUESTS[name]
            image = request.path.removeprefix("/v2/").partition("/manifests")[0].partition("/blobs")[0]
            asked = {
                "as": keys[person].access_key if person in keys else ANONYMOUS,
                "from": "127.0.0.1",
                "action": word,
                "name": image,
                "registry": facts.name,
                "endpoint": endpoint,
            }
            body = msgspec.json.encode(asked)
            reply = admin.request("POST", "/api/v1/explain", body, {"Content-Type": "application/json"}).expect(200)
            credential = "none" if person == ANONYMOUS else "basic"
            expected = model(facts, endpoint, person, credential, request, is_there=facts.name in stocked)
            if reply.decode(Explained).allowed is not (expected in (200, 202, 404)):
                wrong.append((endpoint, person, name, expected, reply.body))

    assert wrong == []
