"""The part of `scr doctor` that looks whether the host names of registries resolve and are in the certificate."""

import socket
import ssl
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from itertools import islice
from urllib.parse import urlsplit

from appliance.cli.asking import count_text
from appliance.cli.client import Client
from appliance.cli.diagnosis import Finding, problem, skipped, well
from appliance.cli.registry_urls import list_urls
from appliance.services.authority import covers

_TIMEOUT_S = 20
_MOST = 200  # URLs that are looked at: below one domain they are all alike
_NAME = "registry names"


def look_at_names(operator: Client) -> Iterator[Finding]:
    """Yield what is wrong with names of registries; one finding where nothing is."""
    urls = [url for url in islice(list_urls(operator), _MOST) if _is_name(_host(url))]
    if not urls:
        yield skipped(_NAME, "registries have no host names of their own", "[endpoint.private] domain gives them some")
        return
    faults = [*_look_at_places(urls), *_look_at_certificates(urls)]
    yield from faults
    if not faults:
        count = len({_host(url) for url in urls})
        yield well(_NAME, f"{count_text(count, 'name')}: resolving, and covered where there is TLS")


def _look_at_places(urls: Iterable[str]) -> Iterator[Finding]:
    """Yield the domains below which names do not resolve."""
    told = set()
    for host in dict.fromkeys(map(_host, urls)):
        domain = host.partition(".")[2] or host
        if domain not in told and not _resolves(host):
            told.add(domain)
            yield problem(
                _NAME,
                f"{host} does not resolve here",
                f"let *.{domain} in your DNS point at scr, or write the names into /etc/hosts of each client",
            )


def _look_at_certificates(urls: Iterable[str]) -> Iterator[Finding]:
    """Yield the domains that the certificate of their listener does not cover."""
    told = set()
    for url in dict.fromkeys(urls):
        host = _host(url)
        domain = host.partition(".")[2] or host
        if domain in told or urlsplit(url).scheme != "https":
            continue
        shown = _certificate(host, urlsplit(url).port or 443)
        if shown is not None and not covers(shown, host):
            told.add(domain)
            yield problem(
                _NAME,
                f"the certificate at {url} does not cover {host}",
                f"make one that covers *.{domain}: scr tls init makes it from scr.toml",
            )


def _certificate(host: str, port: int) -> bytes | None:
    """Return the certificate that is shown for `host`: where its name leads, else on this machine; None for none."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # whether it is trusted is looked at elsewhere
    for place in (host, "127.0.0.1"):
        try:
            with (
                socket.create_connection((place, port), _TIMEOUT_S) as raw,
                context.wrap_socket(raw, server_hostname=host) as secured,
            ):
                return secured.getpeercert(binary_form=True)
        except OSError:  # TLS that fails is one too
            continue
    return None


def _resolves(host: str) -> bool:
    try:
        return bool(socket.getaddrinfo(host, None))
    except OSError:
        return False


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _is_name(host: str) -> bool:
    if host in ("", "localhost"):
        return False
    try:
        ip_address(host)
    except ValueError:
        return True
    return False
