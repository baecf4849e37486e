"""The clients of tests/clients, for the examples that use them."""

from tests.clients.conftest import buildah, crane, docker, helm, home, oras, podman, rootfs, runtime, skopeo

__all__ = ["buildah", "crane", "docker", "helm", "home", "oras", "podman", "rootfs", "runtime", "skopeo"]
