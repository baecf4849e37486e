"""What is refused at start because it would let strangers in (DESIGN 4, "Zero configuration").

An address that other machines reach needs TLS; a refusal names the lines of `scr.toml` that give it. `allow_insecure`
is the operator's word that the network around is trusted. Whoever calls such an address has to sign in: where nobody
can yet, the start prints a link for the first administrator.
"""

import json

from appliance.config.sections import Config
from appliance.errors import ConfigInvalid

_TLS = """\
[server]
tls_certificate = {folder}/tls/server.crt"  # scr tls init makes both
tls_key = {folder}/tls/server.key"
"""
_INSECURE = """\
[server]
allow_insecure = true
"""


def check(config: Config) -> None:
    """Raise ConfigInvalid where an address that is not loopback lacks TLS."""
    if config.server.allow_insecure:
        return
    for listener in config.listeners:
        if listener.address.is_loopback:
            continue
        lacks, cure = [], []
        if listener.tls_certificate is None:
            lacks.append("without TLS")
            folder = json.dumps(str(config.storage.data_dir), ensure_ascii=False).removesuffix('"')
            cure.append(_TLS.format(folder=folder))
        elif listener.allow_plain:
            lacks.append("with plain HTTP beside TLS (allow_plain)")
        if lacks:
            raise ConfigInvalid(_refusal(str(listener.address), " and ".join(lacks), cure))


def _refusal(address: str, lacks: str, cure: list[str]) -> str:
    sure = f"If every machine that reaches this address may do so:\n\n{_INSECURE}"
    start = f"{address} is reached by other machines, and it would be served {lacks}.\n"
    if not cure:
        return f"{start}Take allow_plain out of scr.toml. {sure}"
    return f"{start}These lines of scr.toml cure it:\n\n{chr(10).join(cure)}\n{sure}"
