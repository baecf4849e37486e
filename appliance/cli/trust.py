"""`scr trust`: what a client must be told to talk to this registry, as the exact file it reads.

With TLS by the local authority that is the authority's certificate; with plain HTTP the client's exception for it.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import msgspec

from appliance.cli import settings
from appliance.cli.parser import Parser
from appliance.cli.terminal import BOLD, paint, say, show
from appliance.config import load
from appliance.errors import ConfigInvalid, Conflict, Unavailable

EXAMPLES = ("scr trust docker", "scr trust podman --install --registry registry.example.com:5000")


class Told(msgspec.Struct, frozen=True):
    """What a client is told: the files it reads (path from the root, content), and what else is to be done."""

    files: tuple[tuple[str, str], ...]
    then: str


class Registry(msgspec.Struct, frozen=True):
    """The registry as a client sees it; `authority` is the PEM text of the local authority, "" for plain HTTP."""

    address: str
    authority: str

    @property
    def url(self) -> str:
        """Where its API begins."""
        return f"{'https' if self.authority else 'http'}://{self.address}"


def add(parser: Parser) -> None:
    """Add the clients as verbs."""
    verbs = parser.add_verbs()
    for client in CLIENTS:
        line = f"print the file that {client} reads, or write it"
        verb = verbs.add_parser(client, help=line, examples=(f"scr trust {client}", f"scr trust {client} --install"))
        settings.add(verb)
        verb.add_argument("--registry", metavar="HOST:PORT", help="what clients call it, instead of what scr.toml says")
        verb.add_argument("--ca", type=Path, metavar="FILE", help="the authority's certificate (else the local one)")
        verb.add_argument("--plain", action="store_true", help="it is served by plain HTTP")
        verb.add_argument("--install", action="store_true", help="write the file")
        verb.add_argument("--root", type=Path, default=Path("/"), metavar="DIR", help="write below DIR instead of /")
        verb.add_argument("--force", action="store_true", help="write over a file that says something else")


def run(options: argparse.Namespace) -> int:
    """Print or write the files of one client."""
    registry = _registry(options)
    told = CLIENTS[options.verb](registry, options.root)
    for path, content in told.files:
        target = options.root / path.removeprefix("/")
        if options.install:
            _install(target, content, is_forced=options.force)
            say(f"wrote {target}")
        else:
            show(paint(f"# {target}", BOLD))
            show(content.rstrip("\n"))
    say(told.then)
    return 0


def _registry(options: argparse.Namespace) -> Registry:
    """Return what the client must be told about. Raises ConfigInvalid."""
    config = load(settings.sources_of(options), is_served=False).config
    address: str = options.registry or settings.address_of(config)
    if address.endswith(":0"):
        raise ConfigInvalid("the port is chosen at each start; name host and port with --registry")
    if options.plain or not (options.ca or settings.has_tls(config)):
        return Registry(address, "")
    path: Path = options.ca or config.storage.data_dir / "tls" / "ca.crt"
    try:
        return Registry(address, path.read_text())
    except (OSError, ValueError) as error:
        raise ConfigInvalid(
            f"{path} cannot be read; make a local authority with scr tls init, name one with --ca, or do nothing"
            " where the certificate is from an authority that every client knows"
        ) from error


def _docker(registry: Registry, root: Path) -> Told:
    if registry.authority:
        path = f"/etc/docker/certs.d/{registry.address}/ca.crt"
        return Told(
            ((path, registry.authority),), f"docker reads it at the next pull: docker pull {registry.address}/…"
        )
    if settings.host_of(registry.address) in ("localhost", "127.0.0.1"):
        return Told((), "docker takes plain HTTP from this machine without being told")
    path = "/etc/docker/daemon.json"
    known = _json_object(root / path.removeprefix("/"))
    listed = known.get("insecure-registries", [])
    others = [one for one in listed if one != registry.address] if isinstance(listed, list) else []
    content = json.dumps({**known, "insecure-registries": [*others, registry.address]}, indent=2)
    return Told(((path, content + "\n"),), "then: systemctl reload docker")


def _podman(registry: Registry, root: Path) -> Told:
    del root
    if registry.authority:
        path = f"/etc/containers/certs.d/{registry.address}/ca.crt"
        return Told(((path, registry.authority),), "podman, buildah and skopeo read it at the next command")
    name = registry.address.replace(":", "-").replace("[", "").replace("]", "")
    content = f'[[registry]]\nlocation = "{registry.address}"\ninsecure = true\n'
    path = f"/etc/containers/registries.conf.d/scr-{name}.conf"
    return Told(((path, content),), "podman, buildah and skopeo read it at the next command")


def _containerd(registry: Registry, root: Path) -> Told:
    del root
    folder = f"/etc/containerd/certs.d/{registry.address}"
    then = (
        "containerd reads it at the next pull, where its config.toml has\n"
        '  [plugins."io.containerd.grpc.v1.cri".registry]\n'
        '    config_path = "/etc/containerd/certs.d"'
    )
    return Told(_hosts(registry, folder), then)


def _kind(registry: Registry, root: Path) -> Told:
    folder = f"/etc/kind-scr/certs.d/{registry.address}"
    mounted = root / "etc/kind-scr/certs.d"
    content = f"""\
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
containerdConfigPatches:
  - |-
    [plugins."io.containerd.grpc.v1.cri".registry]
      config_path = "/etc/containerd/certs.d"
nodes:
  - role: control-plane
    extraMounts:
      - hostPath: {json.dumps(str(mounted))}
        containerPath: /etc/containerd/certs.d
"""
    files = (("/etc/kind-scr/cluster.yaml", content), *_hosts(registry, folder, "/etc/containerd/certs.d"))
    then = f"then: kind create cluster --config {root / 'etc/kind-scr/cluster.yaml'}; {registry.address} must be an"
    return Told(files, f"{then} address that the nodes reach (localhost is the node itself)")


def _hosts(registry: Registry, folder: str, seen_in: str = "") -> tuple[tuple[str, str], ...]:
    """Return hosts.toml, and the authority's certificate beside it; the client sees `folder` below `seen_in`."""
    lines = [
        f'server = "{registry.url}"',
        "",
        f'[host."{registry.url}"]',
        '  capabilities = ["pull", "resolve", "push"]',
    ]
    if not registry.authority:
        return ((f"{folder}/hosts.toml", "\n".join(lines) + "\n"),)
    place = f"{seen_in}/{registry.address}" if seen_in else folder
    lines.append(f'  ca = "{place}/ca.crt"')
    return ((f"{folder}/hosts.toml", "\n".join(lines) + "\n"), (f"{folder}/ca.crt", registry.authority))


def _k3s(registry: Registry, root: Path) -> Told:
    del root
    name, url = json.dumps(registry.address), json.dumps(registry.url)
    content = f"mirrors:\n  {name}:\n    endpoint:\n      - {url}\n"
    files = [("/etc/rancher/k3s/registries.yaml", content)]
    if registry.authority:
        path = f"/etc/rancher/k3s/scr-{settings.host_of(registry.address)}.crt"
        content += f"configs:\n  {name}:\n    tls:\n      ca_file: {json.dumps(path)}\n"
        files = [("/etc/rancher/k3s/registries.yaml", content), (path, registry.authority)]
    return Told(tuple(files), "then: systemctl restart k3s (on agents k3s-agent)")


CLIENTS: dict[str, Callable[[Registry, Path], Told]] = {
    "docker": _docker,
    "podman": _podman,
    "containerd": _containerd,
    "k3s": _k3s,
    "kind": _kind,
}


def _json_object(path: Path) -> dict[str, object]:
    """Return the JSON object in `path`, empty where there is none. Raises ConfigInvalid."""
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigInvalid(f"{path} cannot be read as JSON; mend it first") from error
    if not isinstance(found, dict):
        raise ConfigInvalid(f"{path} holds no JSON object; mend it first")
    return found


def _install(path: Path, content: str, *, is_forced: bool) -> None:
    """Write `content`. Raises Conflict for a file of somebody else, Unavailable where nothing can be written."""
    is_merged = path.name == "daemon.json"  # what it said before is in `content`
    try:
        if path.exists() and path.read_text() != content and not (is_forced or is_merged):
            raise Conflict(f"{path} is there and says something else; add the lines by hand, or write with --force")
        path.parent.mkdir(parents=True, exist_ok=True)
        staged = path.with_name(path.name + ".part")
        staged.write_text(content)
        staged.rename(path)
    except OSError as error:
        raise Unavailable(f"{path} cannot be written: {error.strerror}; run it as root, or print and copy") from error
