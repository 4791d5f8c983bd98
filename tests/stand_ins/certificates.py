"""Certificates of an authority of a test's own, as docs/farm.md has openssl make them, and who is let in by them."""

from __future__ import annotations

import datetime as dt
import socket
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from hwnas.harness.farm.security import Tls


def make(folder):
    """Write an authority's certificate, and a member's with its key that the authority signed; return them."""
    authority, member = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    files = {
        "ca.pem": _certificate("farm", authority, "farm", authority, is_authority=True),
        "cert.pem": _certificate("member", member, "farm", authority, is_authority=False),
        "key.pem": member.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    }
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return Tls(*(str(folder / name) for name in files))


def _certificate(subject, key, issuer, issuers_key, *, is_authority):
    now = dt.datetime.now(tz=dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .sign(issuers_key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )


def _name(name):
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def greets(port, tls=None):
    """Tell whether a listener of Dask's speaks to whoever shows the certificate of ``tls``, or none."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if tls is not None:
        context.load_cert_chain(tls.cert, tls.key)
    with socket.create_connection(("127.0.0.1", port), timeout=20) as plain:
        try:
            with context.wrap_socket(plain) as connection:
                return bool(connection.recv(1))
        except (ssl.SSLError, ConnectionError):
            return False
