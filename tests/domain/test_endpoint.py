"""Names of registries at an endpoint, and of their allowlists."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.config.kinds import LONGEST_DOMAIN
from appliance.domain.endpoint import MANAGEMENT_LIST, Endpoint, ListName, host_of, read_host, read_list_name
from appliance.domain.names import RegistryName
from appliance.services.stock import new_public_id

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
NAMES = st.from_regex(r"[a-z][a-z0-9]{2,24}", fullmatch=True)


@given(NAMES)
def test_every_registry_has_a_host_name_that_is_one_and_is_read_back(name: str) -> None:
    public_id = new_public_id()

    host = host_of(RegistryName(name), public_id, "registry.example.com")

    assert all(_LABEL.fullmatch(label) for label in host.split("."))
    found = read_host(host, "registry.example.com")
    assert found is not None
    assert (found.name, found.public_id) == (name, public_id)


def test_the_longest_domain_leaves_room_for_the_longest_name() -> None:
    domain = ".".join(["d" * 63] * 4)[-LONGEST_DOMAIN:].lstrip(".")

    assert len(host_of(RegistryName("r" * 25), new_public_id(), domain)) <= 253


@pytest.mark.parametrize(
    "host", ["pay-p1", "pay-p1.other.example", "pay.example.com", "-p1.example.com", "pay-.example.com", "example.com"]
)
def test_any_other_host_names_no_registry(host: str) -> None:
    assert read_host(host, "example.com") is None
    assert read_host(host, "") is None


@given(NAMES, st.sampled_from([Endpoint.PRIVATE, Endpoint.PUBLIC]))
def test_a_list_is_read_back_from_its_name(name: str, endpoint: Endpoint) -> None:
    found = ListName(endpoint, name)

    assert read_list_name(str(found)) == found
    assert found.file == f"{name}.{endpoint}.txt"
    assert read_list_name("management") == MANAGEMENT_LIST


@pytest.mark.parametrize(
    "text", ["", "local", "local.", "local.management", "../local.private", "LOCAL.private", "a.private"]
)
def test_what_names_no_list_is_none(text: str) -> None:
    assert read_list_name(text) is None
