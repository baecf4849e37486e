"""Certificates made on the spot: an authority, and what it signs for this machine."""

import socket
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.http.raw import PATIENCE_S, Raw
from tests.make.server import Server

NOW = datetime.now(UTC)


class Authority:
    """A certificate authority of one test."""

    def __init__(self, folder: Path) -> None:
        """Make it; `file` is its certificate."""
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a test's authority")])
        made = (
            x509.CertificateBuilder()
            .subject_name(self._name)
            .issuer_name(self._name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - timedelta(days=1))
            .not_valid_after(NOW + timedelta(days=400))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        self.file = folder / "authority.crt"
        self.file.write_bytes(made.public_bytes(serialization.Encoding.PEM))

    @property
    def chain(self) -> Path:
        """The server's certificate."""
        return self.folder / "server.crt"

    @property
    def key(self) -> Path:
        """Its key."""
        return self.folder / "server.key"

    def sign(self, *, days: int = 90) -> Self:
        """Write a new server certificate and key, each swapped whole."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
        made = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]))
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - timedelta(days=1))
            .not_valid_after(NOW + timedelta(days=days))
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        _swap(self.chain, made.public_bytes(serialization.Encoding.PEM))
        _swap(
            self.key,
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
        )
        return self

    def connect(
        self, server: Server, *, over: socket.socket | None = None, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
    ) -> Raw:
        """Return a connection under TLS that trusts this authority only; `over` a connected socket."""
        context = ssl.create_default_context(cafile=str(self.file))
        context.maximum_version = newest
        place = ("127.0.0.1", int(server.address.rpartition(":")[2]))
        plain = over or socket.create_connection(place, PATIENCE_S)
        return Raw(server, context.wrap_socket(plain, server_hostname="localhost"))


def _swap(path: Path, content: bytes) -> None:
    beside = path.with_suffix(".new")
    beside.write_bytes(content)
    beside.rename(path)
