"""`scr trust`: what a client must be told to talk to this registry, as the exact file it reads.

With TLS by the local authority that is the authority's certificate; with plain HTTP the client's exception for it. A
server that runs here is asked how its registries are called, so that each of them is trusted.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from appliance.cli import settings
from appliance.cli.client import connect
from appliance.cli.parser import Parser
from appliance.cli.registry_urls import list_urls
from appliance.cli.terminal import BOLD, paint, say, show
from appliance.config import Config, load
from appliance.domain.admission import is_loopback
from appliance.errors import ConfigInvalid, Conflict, ScrError, Unavailable

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


Registries = tuple[Registry, ...]


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
    told = CLIENTS[options.verb](_registries(options), options.root)
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


def _registries(options: argparse.Namespace) -> Registries:
    """Return what the client must be told about, the address that most call first. Raises ConfigInvalid."""
    config = load(settings.sources_of(options), is_served=False).config
    address: str = options.registry or settings.address_of(config)
    if address.endswith(":0"):
        raise ConfigInvalid("the port is chosen at each start; name host and port with --registry")
    has_tls = not options.plain and bool(options.ca or settings.has_tls(config))
    found = {address: has_tls}
    for url in () if options.registry else _list_others(options, config):
        parts = urlsplit(url)
        found.setdefault(parts.netloc, parts.scheme == "https")
    path: Path = options.ca or config.storage.data_dir / "tls" / "ca.crt"
    authority = _read_authority(path) if any(found.values()) else ""
    return tuple(Registry(one, authority if is_tls else "") for one, is_tls in found.items())


def _list_others(options: argparse.Namespace, config: Config) -> list[str]:
    """Return the URLs by which registries of the running server have names of their own, or ports."""
    try:
        with connect(argparse.Namespace(**{**vars(options), "server": None})) as operator:
            return [url for url in list_urls(operator) if not is_loopback(settings.host_of(url))]
    except ScrError as error:
        if config.domains:
            say(f"names of registries are left out ({error.message}); name each with --registry")
        return []


def _read_authority(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, ValueError) as error:
        raise ConfigInvalid(
            f"{path} cannot be read; make a local authority with scr tls init, name one with --ca, or do nothing"
            " where the certificate is from an authority that every client knows"
        ) from error


def _docker(registries: Registries, root: Path) -> Told:
    files = [(f"/etc/docker/certs.d/{one.address}/ca.crt", one.authority) for one in registries if one.authority]
    plain = [one.address for one in registries if not one.authority]
    away = [one for one in plain if settings.host_of(one) not in ("localhost", "127.0.0.1")]
    then = []
    if files:
        then.append(f"docker reads it at the next pull: docker pull {registries[0].address}/…")
    if away:
        path = "/etc/docker/daemon.json"
        known = _json_object(root / path.removeprefix("/"))
        listed = known.get("insecure-registries", [])
        others = [one for one in listed if one not in away] if isinstance(listed, list) else []
        content = json.dumps({**known, "insecure-registries": [*others, *away]}, indent=2)
        files.append((path, content + "\n"))
        then.append("then: systemctl reload docker")
    if len(away) < len(plain):
        then.append("docker takes plain HTTP from this machine without being told")
    return Told(tuple(files), "\n".join(then))


def _podman(registries: Registries, root: Path) -> Told:
    del root
    files = []
    for one in registries:
        if one.authority:
            files.append((f"/etc/containers/certs.d/{one.address}/ca.crt", one.authority))
            continue
        name = one.address.replace(":", "-").replace("[", "").replace("]", "")
        content = f'[[registry]]\nlocation = "{one.address}"\ninsecure = true\n'
        files.append((f"/etc/containers/registries.conf.d/scr-{name}.conf", content))
    return Told(tuple(files), "podman, buildah and skopeo read it at the next command")


def _containerd(registries: Registries, root: Path) -> Told:
    del root
    then = (
        "containerd reads it at the next pull, where its config.toml has\n"
        '  [plugins."io.containerd.grpc.v1.cri".registry]\n'
        '    config_path = "/etc/containerd/certs.d"'
    )
    files = (file for one in registries for file in _hosts(one, f"/etc/containerd/certs.d/{one.address}"))
    return Told(tuple(files), then)


def _kind(registries: Registries, root: Path) -> Told:
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
    files = [("/etc/kind-scr/cluster.yaml", content)]
    for one in registries:
        files += _hosts(one, f"/etc/kind-scr/certs.d/{one.address}", "/etc/containerd/certs.d")
    then = (
        f"then: kind create cluster --config {root / 'etc/kind-scr/cluster.yaml'}; {registries[0].address} must be an"
    )
    return Told(tuple(files), f"{then} address that the nodes reach (localhost is the node itself)")


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


def _k3s(registries: Registries, root: Path) -> Told:
    del root
    mirrors, configs, files = "mirrors:\n", "", []
    for one in registries:
        name = json.dumps(one.address)
        mirrors += f"  {name}:\n    endpoint:\n      - {json.dumps(one.url)}\n"
        if one.authority:
            path = f"/etc/rancher/k3s/scr-{settings.host_of(one.address)}.crt"
            configs += f"  {name}:\n    tls:\n      ca_file: {json.dumps(path)}\n"
            files.append((path, one.authority))
    content = mirrors + (f"configs:\n{configs}" if configs else "")
    files = [("/etc/rancher/k3s/registries.yaml", content), *dict.fromkeys(files)]
    return Told(tuple(files), "then: systemctl restart k3s (on agents k3s-agent)")


CLIENTS: dict[str, Callable[[Registries, Path], Told]] = {
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
