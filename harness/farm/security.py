"""Require TLS for farms that other machines can reach: whoever reaches a scheduler can run code on its workers."""

from __future__ import annotations

import ipaddress
from dataclasses import asdict, dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit

from hwnas.harness.farm.engine import distributed
from hwnas.supernets.errors import UsageError

# What certificates and keys begin with.
_CONTENT = "-----BEGIN "


@dataclass(frozen=True)
class Tls:
    """The files of TLS, or their contents; all three, or none.

    Attributes:
        ca_file: the certificate of the authority that signed everybody's.
        cert: this side's certificate.
        key: its private key.

    Raises:
        UsageError: only some are given, or a file is not what it should be.
    """

    ca_file: str | None = None
    cert: str | None = None
    key: str | None = field(default=None, repr=False)

    @classmethod
    def temporary(cls) -> Self:
        """Make an authority and a certificate in memory: only processes that are given it can join.

        Raises:
            UsageError: the package that makes it is not installed; names the command.
        """
        try:
            made = distributed().Security.temporary()
        except ImportError:
            raise UsageError(
                "a local cluster needs the package cryptography, to keep this machine's other users out of it: "
                "pip install 'hwnas[farm]'"
            ) from None
        return cls(made.tls_ca_file, made.tls_client_cert, made.tls_client_key)

    def __post_init__(self) -> None:
        given = asdict(self)
        missing = [name for name, value in given.items() if value is None]
        if missing and len(missing) < len(given):
            spelled = ", ".join(f"--tls-{name.replace('_', '-')}" for name in missing)
            raise UsageError(f"TLS: expected the authority's file, a certificate and its key; missing: {spelled}")
        if self.ca_file and self.cert and self.key and not self.ca_file.startswith(_CONTENT):
            from hwnas.harness.farm.pem import check

            check(self.ca_file, self.cert, self.key)

    @property
    def on(self) -> bool:
        """Whether TLS is used."""
        return self.ca_file is not None

    def security(self) -> Any:
        """Return Dask's security settings."""
        if not self.on:
            return distributed().Security()
        sides = {
            f"tls_{side}_{what}": getattr(self, what)
            for side in ("client", "scheduler", "worker")
            for what in ("cert", "key")
        }
        return distributed().Security(tls_ca_file=self.ca_file, require_encryption=True, **sides)


def checked(address: str, tls: Tls) -> str:
    """Return a scheduler's address, tcp://HOST:PORT or tls://HOST:PORT.

    Raises:
        UsageError: the text is not an address, or other machines could reach it without TLS.
    """
    scheme, host, port = _parts(address if "://" in address else f"{'tls' if tls.on else 'tcp'}://{address}")
    if scheme not in {"tcp", "tls"} or not host or not port:
        raise UsageError(f"scheduler {address!r}: expected tls://HOST:PORT, or tcp://127.0.0.1:PORT on one machine")
    if (scheme == "tls") != tls.on:
        expected = "--tls-ca-file, --tls-cert and --tls-key" if scheme == "tls" else "tls://, for TLS files are given"
        raise UsageError(f"scheduler {address!r}: expected {expected}")
    if not tls.on and not loopback(host):
        raise UsageError(
            f"scheduler {address!r}: other machines reach it, and whoever reaches it can run code on every worker: "
            "use tls:// with --tls-ca-file, --tls-cert and --tls-key (docs/farm.md says how they are made), "
            "or stay on 127.0.0.1"
        )
    spelled = f"[{host}]" if ":" in host else host
    return f"{scheme}://{spelled}:{port}"


def _parts(url: str) -> tuple[str, str | None, int | None]:
    """Return scheme, host and port; empty if the text is not a URL."""
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname, parts.port
    except ValueError:
        return "", None, None


def loopback(host: str) -> bool:
    """Return whether only this machine reaches a host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
