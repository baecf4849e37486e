"""The part of `scr doctor` that looks, while no server runs, whether one could listen where the configuration says."""

import errno
import socket
from collections.abc import Iterable, Iterator
from contextlib import closing

from appliance.cli.diagnosis import Finding, problem, warning, well
from appliance.config.quantities import Address

_ELSEWHERE = "listen elsewhere ([server] listen)"


def look_at_ports(addresses: Iterable[Address]) -> Iterator[Finding]:
    """Yield what would hinder a server at each of `addresses`; they are opened and closed again at once."""
    for address in dict.fromkeys(addresses):
        name = f"port {address.port}"
        try:
            _open(address)
        except OSError as error:
            yield _fault(name, address, error)
        else:
            yield well(name, f"{address} can be listened on")


def _open(address: Address) -> None:
    """Listen on every address that `address` means, and stop. Raises OSError."""
    places = socket.getaddrinfo(address.host or None, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    for family, place in dict.fromkeys((family, place) for family, _, _, _, place in places):
        with closing(socket.socket(family, socket.SOCK_STREAM)) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind(place)
            probe.listen(1)


def _fault(name: str, address: Address, error: OSError) -> Finding:
    if error.errno == errno.EADDRINUSE:
        return problem(
            name,
            f"somebody listens on {address} already: another program, or scr.socket for scr",
            f"see who, with ss -tlnp, and stop it, or {_ELSEWHERE}",
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return warning(
            name,
            f"who runs this may not open {address}; the service that scr install makes may",
            f"run it as that service, or {_ELSEWHERE} at 1024 or above",
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return problem(name, f"this host has no address {address.host}", f"give it that address, or {_ELSEWHERE}")
    return problem(name, f"{address} cannot be listened on: {error.strerror or error}", _ELSEWHERE)
