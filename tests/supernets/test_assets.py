from __future__ import annotations

import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from hwnas.supernets import assets as module
from hwnas.supernets.assets import Asset, asset_folders, cache_folder, locate
from hwnas.supernets.errors import AssetError

CONTENT = b"published\n"
PATH = "some/table.yaml"


def asset(*urls: str) -> Asset:
    return Asset(PATH, urls, hashlib.sha256(CONTENT).hexdigest(), "MIT")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path):
    """A web server on this machine; gives its address and the folder it serves."""
    folder = tmp_path / "web"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}", folder
        running.shutdown()
        thread.join(5)


@pytest.fixture(autouse=True)
def _alone(tmp_path, monkeypatch):
    """No folder of assets but those that a test makes, no cache but its own, no proxy before the loopback."""
    monkeypatch.delenv(module.VARIABLE, raising=False)
    monkeypatch.setattr(module, "_beside_checkout", lambda: None)
    monkeypatch.setattr(module, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def put(folder, content=CONTENT):
    file = folder / PATH
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


def test_named_folder_comes_before_the_one_beside_the_checkout(tmp_path, monkeypatch):
    named, beside = put(tmp_path / "named"), put(tmp_path / "beside")
    monkeypatch.setattr(module, "_beside_checkout", lambda: tmp_path / "beside")
    assert locate(asset()) == beside
    monkeypatch.setenv(module.VARIABLE, str(tmp_path / "named"))
    assert locate(asset()) == named


def test_what_the_named_folder_lacks_is_looked_for_further_on(tmp_path, monkeypatch):
    (tmp_path / "named").mkdir()
    monkeypatch.setenv(module.VARIABLE, str(tmp_path / "named"))
    cached = put(tmp_path / "cache")
    assert locate(asset()) == cached


def test_a_named_folder_that_is_not_there_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv(module.VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(AssetError, match=r"HWNAS_ASSETS=.*nowhere: no such folder"):
        locate(asset())


def test_another_file_in_a_folder_is_an_error(tmp_path, monkeypatch):
    put(tmp_path / "named", b"tampered")
    monkeypatch.setenv(module.VARIABLE, str(tmp_path / "named"))
    with pytest.raises(AssetError, match=r"not the published file: its SHA-256 is [0-9a-f]{64}, expected"):
        locate(asset("http://127.0.0.1:9/"))


def test_download_goes_to_the_cache_once(server, tmp_path):
    address, folder = server
    (folder / "t.yaml").write_bytes(CONTENT)
    wanted = asset(f"{address}/t.yaml")
    found = locate(wanted)
    assert found == tmp_path / "cache" / PATH
    assert found.read_bytes() == CONTENT
    (folder / "t.yaml").unlink()
    assert locate(wanted) == found


def test_a_damaged_file_in_the_cache_is_fetched_again(server, tmp_path):
    address, folder = server
    (folder / "t.yaml").write_bytes(CONTENT)
    put(tmp_path / "cache", b"half of it")
    assert locate(asset(f"{address}/t.yaml")).read_bytes() == CONTENT


def test_the_second_address_is_tried(server):
    address, folder = server
    (folder / "t.yaml").write_bytes(CONTENT)
    assert locate(asset(f"{address}/gone.yaml", f"{address}/t.yaml")).read_bytes() == CONTENT


def test_a_download_of_other_content_is_refused_and_leaves_nothing(server, tmp_path):
    address, folder = server
    (folder / "t.yaml").write_bytes(b"something else")
    with pytest.raises(AssetError, match="cannot be fetched"):
        locate(asset(f"{address}/t.yaml"))
    assert not (tmp_path / "cache" / PATH).exists()


def test_the_error_says_where_it_looked_and_what_to_do(server, tmp_path, monkeypatch):
    address, _ = server
    (tmp_path / "named").mkdir()
    monkeypatch.setenv(module.VARIABLE, str(tmp_path / "named"))
    with pytest.raises(AssetError) as caught:
        locate(asset(f"{address}/gone.yaml"))
    message = str(caught.value)
    for part in (
        PATH,
        str(tmp_path / "named"),
        str(tmp_path / "cache"),
        f"{address}/gone.yaml",
        "404",
        module.VARIABLE,
    ):
        assert part in message
    assert f"{tmp_path / 'cache'}/some" not in message.partition("cannot")[0]


def test_the_cache_is_the_users(monkeypatch):
    monkeypatch.undo()
    assert cache_folder().name == "assets"
    assert cache_folder().parent.name == "hwnas"


def test_no_folders_where_there_are_none():
    assert asset_folders() == []


def checkout(folder, name="hwnas"):
    folder.mkdir()
    (folder / "pyproject.toml").write_text(f'[project]\nname = "{name}"\n')
    return folder


@pytest.mark.parametrize("where", ["environment", "directory"])
def test_an_installed_package_finds_the_checkout_that_it_is_used_in(where, tmp_path, monkeypatch):
    monkeypatch.undo()
    inside = checkout(tmp_path / "clone") / ".tox" / "env"
    inside.mkdir(parents=True)
    elsewhere = checkout(tmp_path / "other", name="another") / "deep"
    elsewhere.mkdir()
    monkeypatch.setattr(module, "__file__", str(tmp_path / "site-packages" / "supernets" / "assets.py"))
    monkeypatch.setattr(module.sys, "prefix", str(inside if where == "environment" else elsewhere))
    monkeypatch.chdir(inside if where == "directory" else elsewhere)
    assert module._beside_checkout() == tmp_path / "shared" / "assets"


def test_no_checkout_nothing_beside_it(tmp_path, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(module, "__file__", str(tmp_path / "site-packages" / "supernets" / "assets.py"))
    monkeypatch.setattr(module.sys, "prefix", str(tmp_path / "env"))
    monkeypatch.chdir(checkout(tmp_path / "other", name="another"))
    assert module._beside_checkout() is None


def unknown_digest(*urls: str) -> Asset:
    return Asset(PATH, urls, None, "MIT")


def test_without_a_published_digest_the_one_of_what_was_fetched_is_kept(server, tmp_path):
    address, web = server
    put(web)
    found = locate(unknown_digest(f"{address}/{PATH}"))
    assert found.read_bytes() == CONTENT
    record = found.with_name(f"{found.name}.sha256")
    assert record.read_text().strip() == hashlib.sha256(CONTENT).hexdigest() == module.digest(found)
    # Damaged since: fetched again.
    found.write_bytes(b"damaged")
    assert locate(unknown_digest(f"{address}/{PATH}")).read_bytes() == CONTENT


def test_without_a_published_digest_a_users_own_file_is_taken(tmp_path, monkeypatch):
    cached = put(tmp_path / "cache", b"put here by hand")
    assert locate(unknown_digest("http://127.0.0.1:9/none")) == cached
    named = put(tmp_path / "named", b"of the user")
    monkeypatch.setenv(module.VARIABLE, str(tmp_path / "named"))
    assert locate(unknown_digest("http://127.0.0.1:9/none")) == named
