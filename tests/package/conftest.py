"""Tests of the packaged file, named by `make test-package` in $SCR_TEST_PROGRAM; without one there is none to test."""

import os

from tests.clients.conftest import home, podman, rootfs, runtime, skopeo

__all__ = ["home", "podman", "rootfs", "runtime", "skopeo"]

collect_ignore_glob = [] if os.environ.get("SCR_TEST_PROGRAM") else ["test_*.py"]
