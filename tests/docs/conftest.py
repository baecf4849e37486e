"""The clients of tests/clients, for the examples that use them."""

from pathlib import Path

import pytest

from tests.clients.conftest import (
    buildah,
    crane,
    daemon_environment,
    docker,
    helm,
    home,
    oras,
    podman,
    rootfs,
    runtime,
    skopeo,
)
from tests.clients.programs import Program

__all__ = [
    "buildah",
    "crane",
    "daemon_environment",
    "docker",
    "helm",
    "home",
    "oras",
    "podman",
    "rootfs",
    "runtime",
    "skopeo",
]


@pytest.fixture(scope="module")
def regctl(home: Path) -> Program:
    """Regctl that knows no registry yet: the examples tell it."""
    return Program("regctl", home / "regctl")
