import msgspec
import pytest

from appliance.domain.access import (
    ANONYMOUS,
    BUILT_IN,
    LOCAL,
    AccessPolicy,
    Action,
    Principal,
    PrincipalKind,
    Statement,
    srn,
)
from appliance.domain.admission import (
    FULL_ACCESS,
    Arrival,
    Caller,
    Site,
    admit,
    admit_open,
    admit_registry,
    is_loopback,
    may,
    split_host,
)
from appliance.domain.names import DEFAULT_REGISTRY, parse_image_path
from appliance.domain.registry import RegistryId
from appliance.domain.rights import Rights
from appliance.errors import AccessDenied, Denied, Unauthorized

SITE = Site("a1", RegistryId(1), DEFAULT_REGISTRY)
PAY = parse_image_path("pay/api")
HERE = Arrival("127.0.0.1", "127.0.0.1", 5000, "localhost:5000", "1.1", forwarded=False)


def caller(*policies: AccessPolicy) -> Caller:
    return Caller(Principal(PrincipalKind.USER, "ada"), Rights(policies), "192.0.2.1")


def test_a_grant_names_who_and_what() -> None:
    grant = admit(caller(BUILT_IN["ScrPullPushOnlyAccess"]), SITE, PAY, [Action.PULL, Action.PUSH])

    assert (str(grant.principal), str(grant.path), grant.image.registry) == ("user:ada", "pay/api", 1)


def test_every_action_asked_for_must_be_allowed() -> None:
    with pytest.raises(AccessDenied, match=Action.PUSH):
        admit(caller(BUILT_IN["ScrPullOnlyAccess"]), SITE, PAY, [Action.PULL, Action.PUSH])


def test_an_image_action_without_the_right_to_log_in_is_denied() -> None:
    only_pull = AccessPolicy("pull", (Statement("allow", (Action.PULL,), ("*",)),))

    with pytest.raises(AccessDenied, match=Action.LOGIN):
        admit(caller(only_pull), SITE, PAY, [Action.PULL])


def test_a_right_on_one_image_is_none_on_its_neighbour() -> None:
    narrow = AccessPolicy(
        "narrow",
        (
            Statement("allow", (Action.LOGIN,), (srn("a1", "local"),)),
            Statement("allow", (Action.PULL,), (srn("a1", "local", "pay", "api"),)),
        ),
    )

    assert may(caller(narrow), SITE, PAY, Action.PULL)
    assert not may(caller(narrow), SITE, parse_image_path("pay/api2"), Action.PULL)
    assert not may(caller(narrow), SITE, parse_image_path("pay/api/x"), Action.PULL)
    with pytest.raises(AccessDenied):
        admit(caller(narrow), SITE, parse_image_path("pay/ap"), [Action.PULL])


def test_who_has_no_policy_may_nothing() -> None:
    nobody = Caller(ANONYMOUS, Rights(()), "192.0.2.1")

    assert not any(may(nobody, SITE, PAY, action) for action in Action)
    for action in Action:
        with pytest.raises(Unauthorized):
            admit_registry(nobody, SITE, action)


def test_the_administrator_of_zero_configuration_is_one_value_and_no_policy() -> None:
    alike = Caller(LOCAL, Rights(()), "127.0.0.1")

    assert admit_open(HERE).rights is FULL_ACCESS
    assert not may(alike, SITE, PAY, Action.PULL)


def test_this_machine_is_the_administrator_of_zero_configuration() -> None:
    here = admit_open(HERE)

    assert all(may(here, SITE, PAY, action) for action in Action)
    assert admit(here, SITE, PAY, list(Action)).path == PAY


@pytest.mark.parametrize(
    "changed",
    [
        {"peer": "192.0.2.1"},
        {"peer": ""},
        {"local": "192.0.2.1"},
        {"host": "evil.example"},
        {"host": "evil.example:5000"},
        {"host": "localhost"},  # port 80, and this is port 5000
        {"host": "localhost:5001"},
        {"host": "localhost:5000.evil.example"},
        {"host": "127.0.0.1.evil.example:5000"},
        {"host": ""},
        {"host": "192.0.2.1:5000"},
        {"http_version": "1.0"},
        {"forwarded": True},
    ],
)
def test_whoever_may_come_from_elsewhere_is_refused(changed: dict[str, str | bool]) -> None:
    with pytest.raises(Denied):
        admit_open(msgspec.structs.replace(HERE, **changed))


@pytest.mark.parametrize(
    "host", ["127.0.0.1:5000", "[::1]:5000", "LOCALHOST:5000", "localhost.:5000", "127.1.2.3:5000"]
)
def test_every_spelling_of_this_machine_is_served(host: str) -> None:
    assert admit_open(msgspec.structs.replace(HERE, host=host)).principal.kind is PrincipalKind.LOCAL


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1", True),
        ("127.255.0.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("::ffff:192.0.2.1", False),
        ("192.0.2.1", False),
        ("0.0.0.0", False),  # noqa: S104 - the address, not a bind
        ("::", False),
        ("fe80::1%lo", False),
        ("localhost", False),
        ("0x7f000001", False),
        ("2130706433", False),
        ("127.1", False),
        ("", False),
    ],
)
def test_only_loopback_addresses_are_loopback(address: str, *, expected: bool) -> None:
    assert is_loopback(address) is expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("example.com", ("example.com", None)),
        ("Example.COM.:443", ("example.com", 443)),
        ("[2001:db8::1]:5000", ("2001:db8::1", 5000)),
        ("[2001:db8::1]", ("2001:db8::1", None)),
        ("a:b", ("a", None)),
        ("a:999999", ("a", None)),
        ("a:\u0665", ("a", None)),
        ("", ("", None)),
    ],
)
def test_a_host_is_a_name_and_a_port(host: str, expected: tuple[str, int | None]) -> None:
    assert split_host(host) == expected
