"""Certificates and keys that TLS cannot use are named, with what is wrong with them, before anything is connected."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from hwnas.cli import run
from hwnas.harness.farm.security import Tls
from hwnas.supernets.errors import UsageError

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl to make certificates with")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder with an authority, a certificate of it, its key, another key, and the key with a passphrase."""
    folder = tmp_path_factory.mktemp("pem")
    new = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
    for line in (
        f"req -x509 {new} -days 30 -subj /CN=farm -keyout ca.key -out ca.pem",
        f"req {new} -subj /CN=member -keyout key.pem -out request.pem",
        "x509 -req -days 30 -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -out cert.pem",
        "pkey -in key.pem -aes256 -passout pass:x -out locked.pem",
        "x509 -in cert.pem -outform DER -out cert.der",
    ):
        subprocess.run(["openssl", *line.split()], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture
def files(whole, tmp_path):
    """Copies of them, to be spoilt."""
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    return tmp_path


def tls(folder, ca="ca.pem", cert="cert.pem", key="key.pem"):
    return Tls(*(str(folder / name) for name in (ca, cert, key)))


def test_whole_ones_pass(files):
    assert tls(files).on


def test_line_ends_of_windows_and_both_in_one_file_pass(files):
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (files / name).write_bytes((files / name).read_bytes().replace(b"\n", b"\r\n"))
    assert tls(files).on
    (files / "both.pem").write_bytes((files / "cert.pem").read_bytes() + (files / "key.pem").read_bytes())
    assert tls(files, cert="both.pem", key="both.pem").on


@pytest.mark.parametrize("name", ["ca.pem", "cert.pem", "key.pem"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark(files, name, encoding):
    (files / name).write_text((files / name).read_text(), encoding=encoding)
    with pytest.raises(UsageError, match=rf"{name}.*begins with a byte-order mark"):
        tls(files)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"cert": "key.pem", "key": "cert.pem"}, "got a private key: are --tls-cert and --tls-key swapped"),
        ({"key": "cert.pem"}, "got a certificate: are --tls-cert and --tls-key swapped"),
        ({"ca": "key.pem"}, "expected the authority's certificate, got a private key"),
        ({"key": "locked.pem"}, r"locked\.pem.*has a passphrase.*openssl pkey"),
        ({"key": "ca.key"}, "is the key of another certificate"),
        ({"cert": "cert.der"}, "got no text in PEM"),
        ({"cert": "request.pem"}, "expected the certificate in PEM, got something else"),
        ({"key": "."}, "is a directory"),
        ({"ca": "none.pem"}, "no such file"),
        ({"ca": "x" * 300}, "File name too long"),
        ({"ca": "\0"}, "null"),
    ],
)
def test_files_that_are_others(files, given, said):
    with pytest.raises(UsageError, match=said):
        tls(files, **given)


@pytest.mark.parametrize("name", ["ca.pem", "cert.pem", "key.pem"])
def test_files_that_are_damaged(files, name):
    lines = (files / name).read_text().splitlines()
    (files / name).write_text("\n".join([lines[0], "A" * 40, lines[-1]]))
    with pytest.raises(UsageError, match=rf"TLS: .*{name}.*(no|certificate)"):
        tls(files)
    (files / name).write_text("")
    with pytest.raises(UsageError, match=rf"{name}.*got no text in PEM"):
        tls(files)


def test_the_command_line_says_it_in_one_line(files, capsys):
    options = {"--tls-ca-file": "ca.pem", "--tls-cert": "cert.pem", "--tls-key": "locked.pem"}
    given = [word for option, name in options.items() for word in (option, str(files / name))]
    assert run(["worker", "--scheduler", "tls://127.0.0.1:1", *given]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: TLS: ")
    assert "has a passphrase" in said
    assert len(said.splitlines()) == 1
