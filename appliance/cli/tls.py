"""`scr tls init`: a local certificate authority and a server certificate, without any third party."""

import argparse
import ipaddress
import json
import re
import socket
from collections.abc import Iterator
from datetime import UTC, datetime

from appliance.cli import settings
from appliance.cli.parser import Parser
from appliance.cli.terminal import say, show, show_json
from appliance.config import Config, load
from appliance.errors import NameInvalid
from appliance.services import authority

EXAMPLES = ("scr tls init", "scr tls init --name registry.example.com --name 10.0.0.7")
_HOST = re.compile(r"(\*\.)?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_ALWAYS = ("localhost", "127.0.0.1", "::1")


def add(parser: Parser) -> None:
    """Add the verbs."""
    verbs = parser.add_verbs()
    line = "make the authority (unless there is one) and a certificate for every name of this registry"
    init = verbs.add_parser("init", help=line, examples=EXAMPLES)
    settings.add(init)
    init.add_argument("--name", action="append", default=[], help="one more host name or address; may be repeated")
    init.add_argument("--force", action="store_true", help="make authority and keys anew; clients must trust it again")
    init.add_argument("--json", action="store_true", help="print what was made as JSON")


def run(options: argparse.Namespace) -> int:
    """Make the files and say how they are used."""
    config = load(settings.sources_of(options), is_served=False).config
    names = tuple(dict.fromkeys((*_names_of(config), *map(_name, options.name), *_ALWAYS)))
    now = datetime.now(UTC)
    made = authority.init(config.storage.data_dir / "tls", names, now, is_forced=options.force)
    if options.json:
        show_json(made)
        return 0
    say(f"{'made' if made.is_new_authority else 'kept'} the authority {made.authority}")
    say(f"made the certificate {made.certificate} for {', '.join(made.names)}; it ends on {made.ends[:10]}")
    say("in scr.toml:\n")
    show("[server]")
    show(f"tls_certificate = {json.dumps(made.certificate, ensure_ascii=False)}")
    show(f"tls_key = {json.dumps(made.key, ensure_ascii=False)}")
    address = settings.address_of(config)
    say(
        "\nclients trust it by:\n"
        "  docker      scr trust docker --install\n"
        "  podman      scr trust podman --install\n"
        "  containerd  scr trust containerd --install (k3s and kind likewise)\n"
        f"  helm        helm push chart.tgz oci://{address}/charts --ca-file {made.authority}\n"
        f"  oras        oras push --ca-file {made.authority} {address}/demo/app:1 file\n"
        f"  curl        curl --cacert {made.authority} https://{address}/v2/"
    )
    return 0


def _names_of(config: Config) -> Iterator[str]:
    """Yield the host names and addresses that clients may call this registry by."""
    if config.server.public_url:
        yield settings.host_of(config.server.public_url)
    yield from config.server.names
    for listener in config.listeners:
        host = listener.address.host
        is_every = host in ("", "::") or host == ".".join("0000")
        if not is_every:
            yield host
        elif _HOST.fullmatch(name := socket.gethostname().lower()):
            yield name
    for domain in config.domains:  # registries have names below it
        yield domain
        yield f"*.{domain}"


def _name(text: str) -> str:
    """Return `text` as a certificate names it. Raises NameInvalid."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        if _HOST.fullmatch(text.lower()):
            return text.lower()
    raise NameInvalid(f"{text!r} is no host name or address; write it without a port")
