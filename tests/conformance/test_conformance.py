"""The OCI conformance program, every optional setting on: nothing fails, nothing is skipped, nothing is disabled."""

from pathlib import Path

import pytest

from tests import make
from tests.conformance.check import WITHIN_S, check_every_case
from tests.make.stores import STORES


@pytest.fixture(scope="module", params=STORES)
def store(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def server_config() -> str:
    return "[limits]\nsparse_images = true\n"


@pytest.mark.timeout(WITHIN_S + 60)
@pytest.mark.parametrize("version", ["1.1", "dev"])
def test_every_case_passes(server: make.Server, tmp_path: Path, version: str) -> None:
    check_every_case(server, tmp_path, version)
