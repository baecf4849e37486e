"""One run of the OCI conformance program, every optional setting on, and what is made of its results."""

import os
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec

from tests import make
from tests.clients.programs import find

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


def check_every_case(server: make.Server, folder: Path, version: str) -> None:
    """Fail unless every case of `version` of the specification passes; the program writes into `folder`."""
    program = find("conformance")
    name = version.replace(".", "-")
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(folder),
        "OCI_REGISTRY": server.address,
        "OCI_TLS": "disabled",
        "OCI_REPO1": f"conformance/one-{name}",
        "OCI_REPO2": f"conformance/two-{name}",
        "OCI_VERSION": version,
        "OCI_RESULTS_DIR": str(folder / "results"),
        **EVERYTHING,
    }

    ended = subprocess.run([program], env=environment, cwd=folder, capture_output=True, timeout=WITHIN_S, check=False)

    assert (folder / "results" / "junit.xml").is_file(), ended.stderr.decode()
    total, missed = _cases(folder / "results" / "junit.xml")
    results = msgspec.yaml.decode((folder / "results" / "results.yaml").read_bytes(), type=Results)
    verdicts = {f"{key}: {value}" for key, value in {**results.apis, **results.data}.items() if value != "Pass"}
    assert not missed, f"{len(missed)} of {total} cases (everything is in {folder}/results/report.html):\n" + "\n".join(
        missed[:SHOWN]
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
