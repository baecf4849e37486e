"""The OCI conformance program, every optional setting on: nothing fails, nothing is skipped, nothing is disabled."""

import os
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import pytest

from tests import make
from tests.clients.programs import find
from tests.make.stores import STORES

# what is off by default; all else is on, see the README of the program (packaging/setup/clients.sh pins its version)
EVERYTHING = {
    "OCI_API_BLOBS_DIGEST_HEADER": "true",
    "OCI_API_BLOBS_UPLOAD_CANCEL": "true",
    "OCI_API_MANIFESTS_DIGEST_HEADER": "true",
    "OCI_API_MANIFESTS_TAG_PARAM": "true",
    "OCI_DATA_SPARSE": "true",
}
FEWEST = 1000  # cases; the program has more, and a run that reports fewer did not do its work
SHOWN = 30  # cases in the message of a failure
WITHIN_S = 300


class Results(msgspec.Struct, frozen=True):
    """What `results.yaml` sums up: a verdict for each part of the API and each kind of content."""

    apis: dict[str, str]
    data: dict[str, str]


@pytest.fixture(scope="module", params=STORES)
def store(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def server_config() -> str:
    return "[limits]\nsparse_images = true\n"


@pytest.mark.timeout(WITHIN_S + 60)
@pytest.mark.parametrize("version", ["1.1", "dev"])
def test_every_case_passes(server: make.Server, tmp_path: Path, version: str) -> None:
    program = find("conformance")
    name = version.replace(".", "-")
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(tmp_path),
        "OCI_REGISTRY": server.address,
        "OCI_TLS": "disabled",
        "OCI_REPO1": f"conformance/one-{name}",
        "OCI_REPO2": f"conformance/two-{name}",
        "OCI_VERSION": version,
        "OCI_RESULTS_DIR": str(tmp_path / "results"),
        **EVERYTHING,
    }

    ended = subprocess.run([program], env=environment, cwd=tmp_path, capture_output=True, timeout=WITHIN_S, check=False)

    assert (tmp_path / "results" / "junit.xml").is_file(), ended.stderr.decode()
    total, missed = _cases(tmp_path / "results" / "junit.xml")
    results = msgspec.yaml.decode((tmp_path / "results" / "results.yaml").read_bytes(), type=Results)
    verdicts = {f"{key}: {value}" for key, value in {**results.apis, **results.data}.items() if value != "Pass"}
    assert not missed, (
        f"{len(missed)} of {total} cases (everything is in {tmp_path}/results/report.html):\n"
        + "\n".join(missed[:SHOWN])
    )
    assert verdicts == set()
    assert total >= FEWEST
    assert ended.returncode == 0, ended.stderr.decode()


def _cases(junit: Path) -> tuple[int, list[str]]:
    """Return how many cases there were, and a line for each that did not pass."""
    root = ET.parse(junit).getroot()  # noqa: S314 (written by the program we just ran)
    missed = []
    for case in root.iter("testcase"):
        status = case.get("status")
        if status != "passed":
            reason = " ".join((case.findtext("system-out") or "").split())
            missed.append(f"{status}: {(case.get('name') or '').removeprefix('OCI Conformance Test/')}: {reason[:300]}")
    return int(root.get("tests", "0")), missed
