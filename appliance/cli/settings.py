"""The options that say what is configured, shared by every command that reads `scr.toml`."""

import argparse
import os
from pathlib import Path
from urllib.parse import urlsplit

from appliance.cli.parser import Parser
from appliance.config import Config, Loaded, Option, Sources, load

HERE = Path("scr.toml")  # what `scr init` writes


def add(parser: Parser) -> None:
    """Add `--config`, `--data-dir` and `--listen`."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="read FILE (else ./scr.toml, if there is one)")
    parser.add_argument("--data-dir", metavar="DIR", help="keep everything in DIR instead of [storage] data_dir")
    parser.add_argument(
        "--listen", action="append", metavar="HOST:PORT", help="listen here instead of [server] listen; may be repeated"
    )


def sources_of(options: argparse.Namespace) -> Sources:
    """Return what the configuration is made of."""
    path: Path | None = options.config
    if path is None and HERE.exists():
        path = HERE
    found = []
    if options.data_dir is not None:
        found.append(Option(("storage", "data_dir"), "--data-dir", options.data_dir))
    if options.listen is not None:
        found.append(Option(("server", "listen"), "--listen", options.listen))
    return Sources(path, dict(os.environ), tuple(found))


def load_from(options: argparse.Namespace) -> Loaded:
    """Return the configuration in force. Raises ConfigInvalid."""
    return load(sources_of(options))


def address_of(config: Config) -> str:
    """Return the `host:port` that clients most likely call this registry by; the port is left out where it is usual."""
    if config.server.public_url:
        return urlsplit(config.server.public_url).netloc
    listener = config.listeners[0] if config.listeners else None
    port = listener.address.port if listener else 443
    host = config.server.names[0] if config.server.names else "localhost"
    return host if port == (443 if has_tls(config) else 80) else f"{host}:{port}"


def has_tls(config: Config) -> bool:
    """Whether clients call this registry by TLS."""
    if config.server.public_url:
        return config.server.public_url.startswith("https:")
    return any(listener.tls_certificate for listener in config.listeners)


def host_of(address: str) -> str:
    """Return the host of a URL or a `host:port`, without brackets and port."""
    return urlsplit(address if "//" in address else f"//{address}").hostname or ""
