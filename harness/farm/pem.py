"""Check certificate and key files before connecting, for the errors of TLS itself are cryptic ("no start line")."""

from __future__ import annotations

import ssl
from pathlib import Path

from hwnas.supernets.errors import UsageError

_BEGIN, _CERTIFICATE, _KEY = b"-----BEGIN ", b"-----BEGIN CERTIFICATE-----", b"PRIVATE KEY-----"
_MARK = b"\xef\xbb\xbf"
# A key takes 3 kB, a certificate with all that signed it 10; authorities of a whole system 250.
_LONGEST = 1 << 22


def check(ca_file: str, cert: str, key: str) -> None:
    """Raise ``UsageError`` unless the files are an authority's certificate, a certificate and its key, in PEM."""
    for what, file in (("the authority's certificate", ca_file), ("the certificate", cert), ("the key", key)):
        _check_content(what, file, _content(file))
    _check_together(ca_file, cert, key)


def _content(file: str) -> bytes:
    try:
        if Path(file).is_dir():
            raise UsageError(f"TLS: {file!r}: is a directory, expected a file")
        with Path(file).open("rb") as stream:
            return stream.read(_LONGEST)
    except FileNotFoundError:
        raise UsageError(f"TLS: {file!r}: no such file") from None
    except (OSError, ValueError) as error:  # ValueError: a null in the name
        raise UsageError(f"TLS: {file!r}: {getattr(error, 'strerror', None) or error}") from None


def _check_content(what: str, file: str, content: bytes) -> None:
    """Raise ``UsageError`` that says what a file holds instead of what it should."""
    wanted, other = (_KEY, _CERTIFICATE) if what == "the key" else (_CERTIFICATE, _KEY)
    if content.startswith((_MARK, b"\xff\xfe", b"\xfe\xff")):
        raise UsageError(f"TLS: {file!r}: begins with a byte-order mark, which TLS does not read: save it without one")
    if wanted in content:
        return
    if other in content:
        found = "a certificate" if what == "the key" else "a private key"
        raise UsageError(f"TLS: {file!r}: expected {what}, got {found}: are --tls-cert and --tls-key swapped?")
    found = "something else" if _BEGIN in content else "no text in PEM (-----BEGIN ...)"
    raise UsageError(f"TLS: {file!r}: expected {what} in PEM, got {found}")


def _check_together(ca_file: str, cert: str, key: str) -> None:
    def refuse() -> str:
        # Without a password OpenSSL asks on the terminal, and a worker has none.
        raise UsageError(
            f"TLS: {key!r}: has a passphrase, which nobody is there to type; write the key without: "
            "openssl pkey -in KEY -out PLAIN"
        )

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(ca_file)
    except (ssl.SSLError, OSError) as error:
        raise UsageError(f"TLS: {ca_file!r}: is no certificate ({_reason(error)})") from None
    try:
        context.load_cert_chain(cert, key, password=refuse)
    except (ssl.SSLError, OSError) as error:
        if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
            raise UsageError(f"TLS: {key!r}: is the key of another certificate than {cert!r}") from None
        raise UsageError(f"TLS: {cert!r} and {key!r}: are no certificate with its key ({_reason(error)})") from None


def _reason(error: OSError) -> str:
    return str(getattr(error, "reason", None) or error).lower().replace("_", " ")
