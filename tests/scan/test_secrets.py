"""Secrets: every rule against strings made from it, both prefilters, any cutting, and that nothing leaks.

No secret stands in this file: each is made when the test runs.
"""

import base64
import random
import re
import string
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.domain.vulnerability import Secret, Severity
from appliance.errors import ConfigInvalid
from appliance.scan import prefilter, rules
from appliance.scan.rules.rule import Rule, own_rule
from appliance.scan.secrets import Excluded, SecretSearch, default_rules, is_text

CHANCE = random.Random(7)  # noqa: S311  because the tests want the same secrets each time
LETTERS = string.ascii_letters + string.digits
SEARCH = SecretSearch(rules.ALL)
PLAIN = SecretSearch(rules.ALL, build=prefilter.Plain)


def some(length: int, alphabet: str = LETTERS) -> str:
    return "".join(CHANCE.choice(alphabet) for _ in range(length))


def pem(kind: str = "RSA ", length: int = 1600) -> str:
    body = base64.b64encode(CHANCE.randbytes(length)).decode()
    lines = "\n".join(body[at : at + 64] for at in range(0, len(body), 64))
    return f"-----BEGIN {kind}PRIVATE KEY-----\n{lines}\n-----END {kind}PRIVATE KEY-----\n"


def found(text: str, path: str = "app/settings") -> list[tuple[str, int]]:
    return [(secret.rule, secret.line) for secret in SEARCH.search(path, text.encode())]


MANUAL: dict[str, Callable[[], str]] = {
    "aws-access-key-id": lambda: "AKIA" + some(16, string.ascii_uppercase + string.digits),
    "aws-secret-access-key": lambda: 'aws_secret_access_key = "' + some(39) + '/"',
    "github-pat": lambda: "ghp_" + some(36),
    "github-fine-grained-pat": lambda: "github_pat_" + some(22) + "_" + some(59),
    "github-oauth": lambda: "gho_" + some(36),
    "github-app-token": lambda: "ghs_" + some(36),
    "github-refresh-token": lambda: "ghr_" + some(76),
    "gitlab-pat": lambda: "glpat-" + some(20),
    "private-key": pem,
}


@pytest.mark.parametrize("rule", MANUAL)
def test_the_four_kinds_of_the_manual_are_found(rule: str) -> None:
    text = f"first line\ntoken: {MANUAL[rule]()}\nlast line\n" if rule != "private-key" else f"first line\n{pem()}"

    assert found(text) == [(rule, 2)]


def test_the_manual_s_kinds_have_its_names_and_severities() -> None:
    assert {rule.category for rule in rules.MANUAL} == {
        "AWS access key",
        "GitHub personal access token",
        "GitLab personal access token",
        "Asymmetric private key",
    }
    assert {rule.severity for rule in rules.MANUAL if rule.id != "private-key"} == {Severity.CRITICAL}


@pytest.mark.parametrize(
    "line",
    [
        "AWS_SECRET_ACCESS_KEY={}",
        "export AWS_SECRET_KEY='{}'",
        '"SecretAccessKey": "{}",',
        "ENV AWS_SECRET_ACCESS_KEY {}",
        "aws.secret-key: {}",
        "secret_key => {}",
    ],
)
def test_secret_access_keys_are_found_in_every_spelling(line: str) -> None:
    assert [rule for rule, _ in found(line.format(some(38) + "+/"))] == ["aws-secret-access-key"]


@pytest.mark.parametrize(
    "text",
    [
        "aws_secret_access_key = 0123456789abcdef0123456789abcdef01234567\n",
        "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n",
        "AKIAIOSFODNN7EXAMPLE\n",
        "ghp_short\n",
        "glpat-short\n",
        "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----\n",
        "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A\n-----END PUBLIC KEY-----\n",
        "sk_live_xxxxxxxxxxxxxxxxxxxxxxxx\n",
        "postgres://user:password@db/app\n",
        "postgres://user:${PASSWORD}@db/app\n",
    ],
)
def test_examples_and_placeholders_are_no_secrets(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize("kind", ["", "RSA ", "EC ", "DSA ", "OPENSSH ", "ENCRYPTED "])
@pytest.mark.parametrize("length", [48, 1200, 12_700])
def test_private_keys_of_every_kind_and_length_are_found(kind: str, length: int) -> None:
    assert [rule for rule, _ in found("x\n" + pem(kind, length))] == ["private-key"]


def test_private_keys_in_strings_and_with_headers_are_found() -> None:
    in_string = '{"key": "' + pem().replace("\n", "\\n") + '"}'
    with_headers = pem().replace("KEY-----\n", "KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n", 1)
    armoured = (
        pem("PGP ")
        .replace("KEY-----", "KEY BLOCK-----")
        .replace("BLOCK-----\n", "BLOCK-----\nVersion: GnuPG v2\n\n", 1)
    )
    in_base64 = "client-key-data: " + base64.b64encode(pem().encode()).decode()

    for text in (in_string, with_headers, armoured):
        assert [rule for rule, _ in found(text)] == ["private-key"], text
    assert [rule for rule, _ in found(in_base64)] == ["private-key-base64"]


UNIQUE = {rule.id: rule for rule in rules.ALL}


def test_rules_have_ids_of_their_own_and_literals_that_narrow() -> None:
    assert len(UNIQUE) == len(rules.ALL)
    assert all(rule.literals and min(map(len, rule.literals)) >= 2 for rule in rules.ALL)
    assert all(literal == literal.lower() for rule in rules.ALL if rule.is_caseless for literal in rule.literals)
    assert {rule.id for rule in rules.MANUAL} <= set(UNIQUE)


PATHS = {
    "npmrc-auth-token": "root/.npmrc",
    "docker-config-auth": "root/.docker/config.json",
    "netrc-password": "root/.netrc",
    "git-credentials": "root/.git-credentials",
}


@pytest.mark.parametrize("name", UNIQUE)
@settings(max_examples=15, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_whatever_a_rule_matches_holds_a_literal_and_is_found(name: str, data: st.DataObject) -> None:
    rule = UNIQUE[name]
    body = re.sub(r"\(\?<!\[A-Za-z0-9_-\]\)", "", rule.pattern)
    text = b"\n " + data.draw(st.from_regex(re.compile(body.encode()))) + b" \n"
    match = rule.regex.search(text)
    if match is None:
        return
    group = next((name for name in match.re.groupindex if match[name] is not None), 0)

    assert any(literal in (match[0].lower() if rule.is_caseless else match[0]) for literal in rule.literals)
    if not rule.is_placeholder(match[group]):
        spans = SecretSearch([rule]).search(PATHS.get(name, "app/settings"), text)
        assert rule.id in {secret.rule for secret in spans}


def test_a_rule_for_one_kind_of_file_looks_at_no_other() -> None:
    text = '{"auths":{"registry.example":{"auth":"' + base64.b64encode(b"user:" + some(12).encode()).decode() + '"}}}'

    assert [rule for rule, _ in found(text, "root/.docker/config.json")] == ["docker-config-auth"]
    assert found(text, "root/other.json") == []


def test_only_the_place_of_a_secret_is_told_never_the_secret() -> None:
    one, two, three = "AKIA" + some(16, string.ascii_uppercase), some(38) + "+/", some(30)
    text = f"ok\nkey={one} aws_secret_access_key={two} other={three} postgres://app:{three}@db/x\n" + pem()

    secrets = list(SEARCH.search("app/settings", text.encode()))

    assert [(secret.rule, secret.line) for secret in secrets] == [
        ("aws-access-key-id", 2),
        ("aws-secret-access-key", 2),
        ("password-in-address", 2),
        ("private-key", 3),
    ]
    shown = " ".join(secret.match for secret in secrets)
    for secret in (one, two, three):
        assert not any(secret[at : at + 8] in shown for at in range(len(secret) - 7))
    assert secrets[0].match == "key=" + "*" * 20
    assert secrets[1].match == "key=**** aws_secret_access_key=" + "*" * 20
    assert secrets[3].match == "-----BEGIN RSA PRIVATE KEY-----" + "*" * 20


def test_what_is_shown_can_be_printed() -> None:
    (secret,) = SEARCH.search("x", b"\x1b[31m\xff\r key=AKIA" + b"B" * 16 + b"\n")

    assert secret.match.isprintable()


@pytest.mark.parametrize(
    ("path", "is_taken"),
    [
        ("app/config.py", True),
        ("root/.aws/credentials", True),
        ("etc/ssl/private/server.key", True),
        ("usr/share/doc/x", False),
        ("usr/lib/python3/x.py", False),
        ("usr/local/lib/python3.12/site-packages/x.py", False),
        ("app/tests/key.pem", False),
        ("app/vendor/x", False),
        ("app/node_modules/a/index.js", False),
        ("app/README.md", False),
        ("app/package-lock.json", False),
        ("app/x-1.dist-info/METADATA", False),
        ("app/latest/key.pem", True),
    ],
)
def test_paths_that_hold_no_secrets_of_the_image_s_owner_are_left_out(path: str, is_taken: bool) -> None:  # noqa: FBT001
    assert SEARCH.takes(path, 100) is is_taken


def test_exclusions_are_the_operator_s_to_choose() -> None:
    everything = SecretSearch(rules.MANUAL, Excluded(paths=(), names=frozenset()))
    nothing = SecretSearch(rules.MANUAL, Excluded(paths=("",)))

    assert everything.takes("usr/share/doc/x", 100)
    assert not nothing.takes("app/x", 100)
    assert not everything.takes("app/x", 9)


def test_binary_files_are_not_text() -> None:
    assert is_text(b"hello")
    assert not is_text(b"\x7fELF\0")
    assert is_text(b"x" * 8192 + b"\0")


def test_own_rules_are_used_like_the_others() -> None:
    rule = own_rule("acme", "ACME token", r"acme-(?P<secret>[0-9]{8})", ["acme-"], Severity.LOW)

    assert list(SecretSearch([rule]).search("x", b"y acme-12345678 z")) == [
        Secret("acme", "Own rule", Severity.LOW, "x", 1, "y acme-********", title="ACME token")
    ]


@pytest.mark.parametrize(
    ("pattern", "literals", "sentence"),
    [("(", ["acme"], "no regular expression"), ("acme", [], "at least one literal"), ("acme", ["ac"], "3 characters")],
)
def test_own_rules_that_cannot_work_are_refused(pattern: str, literals: list[str], sentence: str) -> None:
    with pytest.raises(ConfigInvalid, match=sentence):
        own_rule("acme", "", pattern, literals, Severity.LOW)


def test_the_full_set_is_on_where_the_fast_prefilter_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_rules() == (rules.ALL if prefilter.has_fast() else rules.MANUAL)

    monkeypatch.setattr(prefilter, "_HAS_FAST", False)

    assert default_rules() == rules.MANUAL
    assert isinstance(prefilter.build([prefilter.Literal(b"abc", is_caseless=False, reach=9)]), prefilter.Plain)


PARTS = st.one_of(
    st.sampled_from([literal for rule in rules.ALL for literal in rule.literals]),
    st.sampled_from([b"\n", b" ", b'"', b"=", b": ", b"AbCd1234+/" * 9, b"-" * 5, b"\xff"]),
    st.sampled_from([make().encode() for make in MANUAL.values()]),
    st.binary(max_size=20),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(PARTS, max_size=12).map(b"".join))
def test_both_prefilters_find_the_same(content: bytes) -> None:
    assert prefilter.has_fast(), "the fast prefilter has to be installed where the tests run"

    assert list(SEARCH.search("app/x", content)) == list(PLAIN.search("app/x", content))


LITERALS = [
    prefilter.Literal(b"aa", is_caseless=False, reach=0),
    prefilter.Literal(b"aab", is_caseless=True, reach=4),
    prefilter.Literal(b"a\0", is_caseless=False, reach=2),
    prefilter.Literal(b"b", is_caseless=True, reach=1),
]


def as_rows(runs: list[prefilter.Run]) -> list[tuple[int, int, int]]:
    return sorted((run.literal, run.first, run.last) for run in runs)


@given(st.lists(st.sampled_from([b"a", b"b", b"A", b"B", b"\0", b"\n"]), max_size=30).map(b"".join))
def test_both_prefilters_find_every_place(content: bytes) -> None:
    found = as_rows(prefilter.Plain(LITERALS).find(content))

    assert found == as_rows(prefilter.Fast(LITERALS).find(content))
    assert [last for literal, _, last in found if literal == 0] == [
        end for end in range(2, len(content) + 1) if content[end - 2 : end] == b"aa"
    ]


@pytest.fixture
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.scan.secrets._SEGMENT", 1 << 10)


@pytest.mark.usefixtures("small_segments")
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    st.lists(st.tuples(st.integers(0, 70_000), st.sampled_from(sorted(MANUAL))), min_size=1, max_size=8),
    st.integers(1, 60_000),
)
def test_a_large_file_gives_the_same_however_it_is_cut(places: list[tuple[int, str]], step: int) -> None:
    content = b"\n".join(
        b"filler of any kind\n" * (gap // 19) + b"x: " + MANUAL[name]().encode() for gap, name in places
    )
    passage = SEARCH.begin("app/x")

    cut: list[Secret] = []
    for at in range(0, len(content), step):
        cut += passage.feed(content[at : at + step])
    cut += passage.end()

    assert [(secret.rule, secret.line) for secret in cut] == [
        (secret.rule, secret.line) for secret in SEARCH.search("app/x", content)
    ]


@given(st.binary(max_size=200))
def test_any_bytes_are_searched_without_an_error(content: bytes) -> None:
    assert all(secret.line >= 1 for secret in SEARCH.search("app/x", content + b"\nghp_" + content))


@pytest.mark.parametrize("rule", rules.ALL, ids=lambda rule: rule.id)
def test_no_rule_takes_longer_than_its_text(rule: Rule) -> None:
    """Text made to please a rule again and again; one that tries all ways would not end before the test's limit."""
    hostile = [literal * 40_000 for literal in rule.literals[:2]]
    hostile += [(rule.literals[0] + b"a0" * 100 + b"\n") * 2000, rule.literals[0] + b"A" * 400_000]
    hostile += [(rule.literals[0] + b"BEGIN PRIVATE KEY-----\nA: b\n" * 9) * 500]

    for content in hostile:
        assert len(list(SecretSearch([rule]).search(PATHS.get(rule.id, "app/x"), content))) <= 20_000
