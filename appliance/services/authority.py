"""The local certificate authority: one key and certificate in the data folder, which signs the server's.

    <data>/tls/ca.key server.key     0600
    <data>/tls/ca.crt server.crt     clients are given ca.crt

Keys are ECDSA P-256: small handshakes, known to every client. The authority may sign no further authorities.
"""

import contextlib
import ipaddress
import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from appliance.errors import ConfigInvalid, Unavailable

AUTHORITY_DAYS = 3650
SERVER_DAYS = 825  # Apple's systems take no server certificate that lives longer
_EARLY = timedelta(hours=1)  # clocks of clients are a little behind


class Made(msgspec.Struct, frozen=True, rename="camel"):
    """What `init` left in the folder."""

    authority: str  # path of ca.crt
    certificate: str
    key: str
    names: tuple[str, ...]
    ends: str  # RFC 3339, of the server's certificate
    is_new_authority: bool


def init(folder: Path, names: Sequence[str], now: datetime, *, is_forced: bool = False) -> Made:
    """Make the authority, unless there is one, and a server certificate for `names` (hosts and addresses).

    With `is_forced` authority and keys are made anew, and clients must be told again. Raises ConfigInvalid for a file
    there that cannot be read, Unavailable where nothing can be written.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(f"{folder} cannot be made: {error.strerror}") from error
    files = {name: folder / name for name in ("ca.key", "ca.crt", "server.key", "server.crt")}
    has_authority = files["ca.key"].exists() and files["ca.crt"].exists() and not is_forced
    if has_authority:
        authority_key, authority = _read_key(files["ca.key"]), _read_certificate(files["ca.crt"])
    else:
        authority_key = ec.generate_private_key(ec.SECP256R1())
        authority = _sign_authority(authority_key, now)
        _write(files["ca.key"], _private_pem(authority_key), 0o600)
        _write(files["ca.crt"], authority.public_bytes(serialization.Encoding.PEM), 0o644)
    has_key = files["server.key"].exists() and not is_forced
    # the key is kept: a server that runs reads the files one after the other, and they must fit all the time
    key = _read_key(files["server.key"]) if has_key else ec.generate_private_key(ec.SECP256R1())
    certificate = _sign_server(key, names, authority, authority_key, now)
    if not has_key:
        _write(files["server.key"], _private_pem(key), 0o600)
    _write(files["server.crt"], certificate.public_bytes(serialization.Encoding.PEM), 0o644)
    return Made(
        str(files["ca.crt"]),
        str(files["server.crt"]),
        str(files["server.key"]),
        tuple(names),
        certificate.not_valid_after_utc.isoformat().replace("+00:00", "Z"),
        not has_authority,
    )


def covers(certificate: bytes, host: str) -> bool:
    """Whether a certificate (DER) is for the name `host`, by itself or by a wildcard. Spec: RFC 9525, 6.3."""
    try:
        found = x509.load_der_x509_certificate(certificate).extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
    except (ValueError, x509.ExtensionNotFound):
        return False
    names = {name.lower().rstrip(".") for name in found.value.get_values_for_type(x509.DNSName)}
    host = host.lower().rstrip(".")
    _, dot, domain = host.partition(".")
    return host in names or (bool(dot) and f"*.{domain}" in names)


def _sign_authority(key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"scr local authority {now:%Y-%m-%d}")])
    builder = _begin(name, name, key.public_key(), now, AUTHORITY_DAYS)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
    return builder.sign(key, hashes.SHA256())


def _sign_server(
    key: ec.EllipticCurvePrivateKey,
    names: Sequence[str],
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    now: datetime,
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "scr")])
    days = min(SERVER_DAYS, (authority.not_valid_after_utc - now).days)
    builder = _begin(subject, authority.subject, key.public_key(), now, days)
    builder = builder.add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    return builder.add_extension(issuer, critical=False).sign(authority_key, hashes.SHA256())


def _begin(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLY)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _read_key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise ConfigInvalid(f"{path} cannot be read as a key; move it away, or make all anew with --force") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ConfigInvalid(f"{path} is no key that scr made; move it away, or make all anew with --force")
    return key


def _read_certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigInvalid(
            f"{path} cannot be read as a certificate; move it away, or make all anew with --force"
        ) from error


def _write(path: Path, content: bytes, mode: int) -> None:
    """Write a file whole or not at all; a key is never readable by others, not even for a moment."""
    staged = path.with_name(path.name + ".part")
    with contextlib.suppress(FileNotFoundError):
        staged.unlink()
    try:
        descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        staged.rename(path)
    except OSError as error:
        raise Unavailable(f"{path} cannot be written: {error.strerror}") from error
