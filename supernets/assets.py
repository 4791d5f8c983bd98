"""Find published files on this machine, or download them into the user's cache, and verify their content.

Tables and checkpoints that others publish are not part of the project. An ``Asset`` says where one is published and
what its content hashes to; ``locate`` finds it on this machine or fetches it.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from hwnas.supernets.contents import content_digest
from hwnas.supernets.errors import AssetError
from hwnas.supernets.files import expanded, is_folder
from hwnas.supernets.writing import write_file

VARIABLE = "HWNAS_ASSETS"

# Seconds without an answer after which an address is given up, so that a user without a network does not wait long.
_TIMEOUT_S = 20


@dataclass(frozen=True)
class Asset:
    """A published file.

    Attributes:
        path: its path in a folder of assets and in the cache ("ofa/acc_predictor.pth").
        urls: where it is published, tried in order.
        sha256: of its content, in hexadecimal; ``None``: it was published without one. The digest is then written
            beside the fetched file, and the cached file must still have it.
        licence: under which it is published.
    """

    path: str
    urls: tuple[str, ...]
    sha256: str | None
    licence: str


def locate(asset: Asset) -> Path:
    """Return the file of ``asset`` on this machine, its content verified.

    Searched in order: the folder named by ``HWNAS_ASSETS``, ``../shared/assets`` beside a checkout, the user's cache.
    If it is in none of them, it is downloaded into the cache.

    Raises:
        AssetError: it is in none of them and cannot be fetched, or a file there is not the published one.
    """
    folders = asset_folders()
    for folder in folders:
        file = folder / asset.path
        if file.is_file():
            return _verified(asset, file)
    cached = cache_folder() / asset.path
    # A damaged file in the cache is fetched again. In a folder that a user filled it is an error.
    if cached.is_file() and _is_whole(asset, cached):
        return cached
    return _fetched(asset, cached, folders)


def asset_folders() -> list[Path]:
    """Return the existing folders of assets, in the order in which they are searched.

    Raises:
        AssetError: ``HWNAS_ASSETS`` does not name a folder.
    """
    folders = []
    named = os.environ.get(VARIABLE)
    if named:
        folder = expanded(named)
        if not is_folder(folder):
            raise AssetError(f"{VARIABLE}={named}: no such folder; name a folder of published files or unset it")
        folders.append(folder)
    beside = _beside_checkout()
    if beside is not None and beside.is_dir():
        folders.append(beside)
    return folders


def cache_folder(what: str = "assets") -> Path:
    """Return a folder in the user's cache; by default that of downloads."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("hwnas", appauthor=False)) / what


def _beside_checkout() -> Path | None:
    """Return ``../shared/assets`` of the checkout that this code, its virtual environment or the caller is in."""
    places = (Path(__file__).resolve(), Path(sys.prefix).resolve() / "python", Path.cwd() / "here")
    roots = (root for place in places for root in place.parents if _is_checkout(root))
    root = next(roots, None)
    return None if root is None else root.parent / "shared" / "assets"


def _is_checkout(folder: Path) -> bool:
    project = folder / "pyproject.toml"
    # A virtual environment may lie in another project's checkout, or a user work in one.
    return project.is_file() and 'name = "hwnas"' in project.read_text(encoding="utf-8", errors="replace")


def digest(file: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal; raises ``AssetError`` if it cannot be read."""
    try:
        return content_digest(file)
    except OSError as error:
        raise AssetError(f"{file}: cannot be read ({error.strerror})") from error


def _verified(asset: Asset, file: Path) -> Path:
    if asset.sha256 is None:
        return file
    found = digest(file)
    if found != asset.sha256:
        raise AssetError(
            f"{file}: is not the published file: its SHA-256 is {found}, expected {asset.sha256}; "
            f"replace it by {asset.urls[0]} or take it away"
        )
    return file


def _fetched(asset: Asset, target: Path, folders: list[Path]) -> Path:
    import pooch

    # Without a hash pooch would take a damaged file for the right one.
    target.unlink(missing_ok=True)
    reasons = []
    for url in asset.urls:
        try:
            # Pooch writes to a temporary file beside the target, verifies it, and only then moves it there.
            fetched = pooch.retrieve(
                url,
                known_hash=f"sha256:{asset.sha256}" if asset.sha256 else None,
                fname=target.name,
                path=target.parent,
                downloader=pooch.HTTPDownloader(timeout=_TIMEOUT_S),
            )
        except (OSError, ValueError) as error:
            reasons.append(f"{url}: {_root(error)}")
        else:
            if asset.sha256 is None:
                write_file(_record(Path(fetched)), f"{digest(Path(fetched))}\n".encode())
            return Path(fetched)
    looked = ", ".join(str(folder) for folder in [*folders, target.parents[len(Path(asset.path).parts) - 1]])
    raise AssetError(
        f"{asset.path}: not in {looked}, and it cannot be fetched ({'; '.join(reasons)}); connect to the network, or "
        f"put the file at {asset.path} in a folder and set {VARIABLE} to that folder"
    )


def _root(error: BaseException) -> str:
    # The HTTP libraries wrap "Name or service not known" in half a screen of text; the first cause is enough.
    while error.__context__ is not None:
        error = error.__context__
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


def _is_whole(asset: Asset, cached: Path) -> bool:
    record = _record(cached)
    recorded = record.read_text(encoding="ascii", errors="replace").strip() if record.is_file() else None
    expected = asset.sha256 or recorded
    return expected is None or digest(cached) == expected


def _record(file: Path) -> Path:
    return file.with_name(f"{file.name}.sha256")
