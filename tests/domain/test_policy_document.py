"""Documents of access policies: what is taken, what is refused with which words, and narrowing (manual 2.6)."""

import tomllib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.access import BUILT_IN, AccessPolicy, Action, Statement, srn
from appliance.domain.moment import Timestamp
from appliance.domain.policy_document import (
    Document,
    check_document,
    convert_document,
    decode_document,
    encode_document,
    narrow,
    parse_document,
    single_resources,
)
from appliance.domain.rights import Rights
from appliance.errors import PolicyInvalid


def written(resource: str = "*", action: str = "*", effect: str = "allow", conditions: str = "{}") -> bytes:
    return b'{"statements": [{"effect": "%s", "actions": ["%s"], "resources": ["%s"], "conditions": %s}]}' % tuple(
        part.encode() for part in (effect, action, resource, conditions)
    )


def test_toml_and_json_are_one_model() -> None:
    text = """
    [[statements]]
    effect = "allow"
    actions = ["PullRepositoryImages"]
    resources = ["registry/local/repository/pay"]
    conditions = { appliedAddresses = ["10.0.0.0/8"], notBefore = 2026-01-01T00:00:00Z }
    """
    json = (
        '{"statements": [{"effect": "allow", "actions": ["PullRepositoryImages"], "resources":'
        ' ["srn:scr:a1:registry/local/repository/pay"], "conditions": {"appliedAddresses": ["10.0.0.0/8"],'
        ' "notBefore": "2026-01-01T00:00:00Z"}}]}'
    )

    document = convert_document(tomllib.loads(text), "a1")

    assert document == parse_document(json, "a1")
    assert decode_document(encode_document(document)) == document
    assert single_resources(document, "a1") == ("registry/local/repository/pay",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "cannot be read"),
        (b"{}", "statements"),
        (b'{"statements": []}', "1 to 200 statements"),
        (b'{"statements": [{"effect": "allow", "actions": ["*"], "resources": ["*"], "more": 1}]}', "more"),
        (b'{"statements": [{"effect": "allow", "actions": ["*"], "resources": ["*"]}], "version": 1}', "version"),
        (written(effect="Allow"), '"allow" or "deny"'),
        (written(action="PullRepositoryImage"), "did you mean PullRepositoryImages"),
        (written(action="pull"), "there is no action"),
        (written(action="*Images"), "there is no action"),
        (written(action=""), "there is no action"),
        (written(resource=""), "is no resource"),
        (written(resource="registry/local pay"), "is no resource"),
        (written(resource="srn:scr:other:registry/local"), "of this appliance"),
        (written(resource="srn:aws:a1:registry/local"), "of this appliance"),
        (written(resource="repository/pay"), "names no registry"),
        (written(resource="registry/local/pay"), "write registry/<name>"),
        (written(resource="registry/local/repository/pay/api"), "write registry/<name>"),
        (written(conditions='{"appliedAddresses": ["10.0.0.1/8"]}'), "host bits"),
        (written(conditions='{"excludedAddresses": ["ten"]}'), "no address"),
        (written(conditions='{"notBefore": "2026-01-01T00:00:00"}'), "timezone"),
        (
            written(conditions='{"notBefore": "2026-01-02T00:00:00Z", "notAfter": "2026-01-01T00:00:00Z"}'),
            "must come before",
        ),
        (written(conditions='{"applied": []}'), "applied"),
    ],
)
def test_what_would_not_do_as_it_says_is_refused(text: bytes, said: str) -> None:
    with pytest.raises(PolicyInvalid, match=said):
        parse_document(text, "a1")


@pytest.mark.parametrize(
    ("resource", "kept"),
    [
        ("*", "*"),
        ("registry/*", "srn:scr:a1:registry/*"),
        ("user/ann", "srn:scr:a1:user/ann"),
        ("srn:scr:*:registry/local", "srn:scr:*:registry/local"),
        ("srn:scr:*", "srn:scr:*"),
        ("registry/local/repository/pay/image/a/b", "srn:scr:a1:registry/local/repository/pay/image/a/b"),
    ],
)
def test_a_short_resource_is_written_out(resource: str, kept: str) -> None:
    assert parse_document(written(resource), "a1").statements[0].resources == (kept,)


def check(document: Document, action: Action, registry: str, repository: str = "", image: str = "") -> bool:
    rights = Rights([AccessPolicy("p", check_document(document, "a1").statements)])
    resources = (srn("a1", registry, repository, image), *([srn("a1", registry, repository)] if image else []))
    return rights.evaluate(action, resources, "192.0.2.1", Timestamp(0)).allowed


def test_pulling_from_one_registry_as_the_manual_has_it() -> None:
    document = narrow(BUILT_IN["ScrPullOnlyAccess"], ["local"], [])

    assert check(document, Action.LOGIN, "local")
    assert check(document, Action.PULL, "local", "pay", "api")
    assert check(document, Action.PULL, "local", "web", "site/de")
    assert not check(document, Action.PUSH, "local", "pay", "api")
    assert not check(document, Action.LOGIN, "other")
    assert not check(document, Action.PULL, "other", "pay", "api")
    assert not check(document, Action.PULL, "local2", "pay", "api")


def test_pulling_and_pushing_in_one_repository_as_the_manual_has_it() -> None:
    document = narrow(BUILT_IN["ScrPullPushOnlyAccess"], ["local"], [("local", "pay")])

    assert check(document, Action.LOGIN, "local")
    for action in (Action.PULL, Action.PUSH):
        assert check(document, action, "local", "pay", "api")
        assert check(document, action, "local", "pay", "team/api")
        assert not check(document, action, "local", "pay2", "api")  # the neighbour
        assert not check(document, action, "local", "web", "api")
        assert not check(document, action, "other", "pay", "api")
    assert not check(document, Action.DELETE, "local", "pay", "api")
    assert single_resources(check_document(document, "a1"), "a1") == (
        "registry/local",
        "registry/local/repository/pay",
    )


def test_narrowing_full_access_leaves_accounts_out() -> None:
    document = narrow(BUILT_IN["ScrFullAccess"], ["local"], [])

    assert check(document, Action.MANAGE_REPOSITORY, "local", "pay")
    assert not any("User" in action for one in document.statements for action in one.actions)


def test_narrowing_to_nothing_is_refused() -> None:
    with pytest.raises(PolicyInvalid, match="choose"):
        narrow(BUILT_IN["ScrPullOnlyAccess"], [], [])


TREES = st.recursive(
    st.none() | st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)


@given(TREES)
def test_any_tree_is_a_document_or_refused(tree: object) -> None:
    for wrapped in (tree, {"statements": tree}, {"statements": [{"effect": tree, "actions": [], "resources": []}]}):
        with pytest.raises(PolicyInvalid):
            convert_document(wrapped, "a1")


@given(st.lists(st.text(max_size=20), max_size=3), st.lists(st.text(max_size=30), max_size=3))
def test_whatever_is_taken_stays_as_it_is(actions: list[str], resources: list[str]) -> None:
    document = Document((Statement("allow", tuple(actions), tuple(resources)),))
    try:
        whole = check_document(document, "a1")
    except PolicyInvalid:
        return

    assert check_document(whole, "a1") == whole
    assert msgspec.json.decode(encode_document(whole), type=Document) == whole
