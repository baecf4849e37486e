"""Private keys, in the forms in which programs write them."""

from appliance.domain.vulnerability import Severity
from appliance.scan.rules.rule import Rule

_KIND = r"(?:[A-Z0-9_-]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)?"
# Headers of RFC 1421 and OpenPGP may come first. Line ends may be written as \n inside a string.
_HEADERS = r"(?:\s{0,4}[A-Za-z-]{1,40}: [^\r\n\\]{0,200}(?:\\r|\\n|\s){1,4}){0,6}"

ASYMMETRIC = (
    Rule(
        "private-key",
        "Asymmetric private key",
        "Asymmetric private key",
        Severity.HIGH,
        (b"PRIVATE KEY",),
        rf"-----\s?BEGIN {_KIND}\s?-----(?P<secret>{_HEADERS}[A-Za-z0-9+/=\\\s]{{10,}})-----\s?END {_KIND}\s?-----",
        before=256,
        after=32768,  # RSA with 16 384 bits takes 12 900 bytes, twice that in UTF-16-like spacings
        distinct=1,
    ),
)

OTHERS = (
    Rule(
        "private-key-base64",
        "Asymmetric private key",
        "Private key in base64, as in a kubeconfig",
        Severity.HIGH,
        (b"LS0tLS1CRUdJTi",),
        # "-----BEGIN [RSA |EC |OPENSSH |ENCRYPTED |DSA ]PRIVATE" in base64.
        r"(?<![A-Za-z0-9+/])(?P<secret>LS0tLS1CRUdJTi(?:BQUklWQVRF|BSU0EgUFJJVkFUR|BFQyBQUklWQVRF|BPUEVOU1NIIFBSSVZBVE"
        r"|BFTkNSWVBURUQgUFJJVkFUR|BEU0EgUFJJVkFUR)[A-Za-z0-9+/]{40,}={0,2})",
        after=32768,
    ),
    Rule(
        "putty-private-key",
        "Asymmetric private key",
        "PuTTY private key",
        Severity.HIGH,
        (b"PuTTY-User-Key-File-",),
        r"PuTTY-User-Key-File-[23]: [^\r\n]{1,80}(?:\r?\n[^\r\n]{0,1000}){1,200}?\r?\nPrivate-Lines: [0-9]{1,4}\r?\n"
        r"(?P<secret>(?:[A-Za-z0-9+/=]{1,80}\r?\n){1,400})",
        after=32768,
    ),
    Rule(
        "age-secret-key",
        "Asymmetric private key",
        "age secret key",
        Severity.HIGH,
        (b"AGE-SECRET-KEY-1",),
        r"(?P<secret>AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58})(?![A-Za-z0-9])",
    ),
    Rule(
        "minisign-secret-key",
        "Asymmetric private key",
        "minisign secret key",
        Severity.HIGH,
        (b"minisign encrypted secret key", b"minisign secret key"),
        r"minisign (?:encrypted )?secret key\r?\n(?P<secret>[A-Za-z0-9+/]{200,220}={0,2})",
    ),
    Rule(
        "wireguard-private-key",
        "WireGuard",
        "WireGuard private key",
        Severity.HIGH,
        (b"PrivateKey",),
        r"(?m)^PrivateKey\s{0,4}=\s{0,4}(?P<secret>[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=)\s{0,4}$",
    ),
)
