"""The certificate a TLS listener shows: loaded into one SSLContext, and again in place when its files change.

A new file is tried in a context of its own first, from the bytes that are then used, so that a broken or half-written
one, or a key that does not fit, never replaces one that works.
"""

import contextlib
import os
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from appliance.errors import ConfigInvalid
from appliance.http.health import Check
from appliance.logs import Log

SOON_S = 14 * 86_400  # seconds before the end from which it counts as ending soon
_LONGEST = 1 << 20  # bytes of one file
# TLS 1.2: forward secrecy and authenticated encryption only. TLS 1.3 has no others.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


class Certificate:
    """A certificate chain and its key, from PEM files."""

    def __init__(self, chain: Path, key: Path, log: Log) -> None:
        """Load `chain` and `key` (the same file may hold both). Raises ConfigInvalid."""
        self._files = chain, key
        self._log = log
        self.context = _context()
        self._stamp = self._look()
        self._is_refused = False  # the file that lies there now
        self._ends = self._load()

    def reload(self) -> bool:
        """Load again if a file has changed; return whether a new certificate is shown. A fault is logged, not raised.

        Reads two small files; call it every few seconds, or when the watch tells of a change.
        """
        stamp = self._look()
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        try:
            self._ends = self._load()
        except ConfigInvalid as error:
            self._is_refused = True
            self._log.error("tls.certificate_refused", reason=error.message, shown="the one before")
            return False
        self._is_refused = False
        self._log.info("tls.certificate_loaded", file=str(self._files[0]), ends=self._ends.isoformat())
        return True

    async def check(self) -> Check:
        """Say whether it is well: for `/health/ready`."""
        left = self._ends.timestamp() - time.time()
        if self._is_refused:
            return Check("tls certificate", ok=False, detail="a new file was refused: see the log")
        if left < 0:
            return Check("tls certificate", ok=False, detail=f"it ended on {self._ends:%Y-%m-%d}; renew it")
        if left < SOON_S:
            return Check("tls certificate", ok=False, detail=f"it ends on {self._ends:%Y-%m-%d}; renew it")
        return Check("tls certificate", ok=True, detail=f"it ends on {self._ends:%Y-%m-%d}")

    def _look(self) -> tuple[tuple[int, int, int], ...]:
        """Return what changes when a file does; the inode tells a swapped link (a mounted secret) apart."""
        found = []
        for path in self._files:
            try:
                status = path.stat()
                found.append((status.st_ino, status.st_mtime_ns, status.st_size))
            except OSError:  # the load says what is wrong
                found.append((0, 0, 0))
        return tuple(found)

    def _load(self) -> datetime:
        """Put the files into the context; return when the certificate ends. Raises ConfigInvalid."""
        chain, key = (_read(path) for path in self._files)
        ends = _end_of(chain, self._files[0])
        try:
            with _as_path(chain) as chain_path, _as_path(key) as key_path:
                _context().load_cert_chain(chain_path, key_path, _no_password)
                self.context.load_cert_chain(chain_path, key_path, _no_password)
        except (ssl.SSLError, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise ConfigInvalid(
                f"the TLS certificate {self._files[0]} with the key {self._files[1]} cannot be used: {reason};"
                " both have to be PEM, the key without a password and the one the certificate was made for",
            ) from error
        return ends


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    # the client knows whether its processor does AES; Go and most others then choose AES-128, the cheapest here
    context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    return context


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(_LONGEST + 1)
    except OSError as error:
        raise ConfigInvalid(f"cannot read {path}: {error.strerror}; scr tls init makes a certificate") from error
    if len(content) > _LONGEST:
        raise ConfigInvalid(f"{path} has more than {_LONGEST} bytes; it is no certificate or key")
    return content


def _end_of(chain: bytes, path: Path) -> datetime:
    try:
        first = x509.load_pem_x509_certificate(chain)
    except ValueError as error:
        raise ConfigInvalid(f"{path} holds no PEM certificate; scr tls init makes one") from error
    return first.not_valid_after_utc.astimezone(UTC)


@contextlib.contextmanager
def _as_path(content: bytes) -> Iterator[str]:
    """Give `content` a path without a file: OpenSSL reads paths only, and what was checked is what has to be used."""
    descriptor = os.memfd_create("tls", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, content)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _no_password() -> str:
    """Refuse a key with a password, which OpenSSL would ask for on the terminal."""
    raise ValueError("the key has a password")
