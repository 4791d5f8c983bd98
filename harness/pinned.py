"""Platforms whose options name files: what these hold is looked up once, and from then on it is what is meant.

Everything that is measured or looked up on such a platform is known by it, so that a file which is changed under its
name serves nobody with what it held before.
"""

from __future__ import annotations

from dataclasses import replace

from hwnas import backends
from hwnas.backends.backend import Option, Settings
from hwnas.harness.bench import Elsewhere
from hwnas.harness.platform import Platform
from hwnas.harness.worker.int8_images import calibration_digest
from hwnas.supernets.contents import Content, content_digest, identified
from hwnas.supernets.errors import HwnasError
from hwnas.supernets.files import expanded


def pinned(platform: Platform) -> Platform:
    """Return the platform with the digests of what its options name, ``settings.contents``.

    One that is pinned already stays as it is, and so does one of a farm: its files are its workers', who look at them.
    """
    if platform.settings.contents or isinstance(platform, Elsewhere):
        return platform
    return replace(platform, settings=pinned_settings(platform))


def pinned_settings(platform: Platform) -> Settings:
    """Return the platform's settings with those digests."""
    settings = platform.settings
    named = [one for one in backends.get(platform.backend).options if one.holds and one.key in settings.options]
    found = {option.key: _digest(option, settings) for option in named}
    return replace(settings, contents={key: digest for key, digest in found.items() if digest is not None})


def identity(platform: Platform) -> str:
    """Return the platform's string with what files hold in place of their names: equal where values are the same."""
    return identified(str(platform), platform.settings.contents)


def contents(platform: Platform) -> dict[str, Content]:
    """Return what a pinned platform's files hold, by what they are for ("lut file", "openvino calibration")."""
    settings = platform.settings
    return {
        f"{platform.backend} {key}": Content(settings.options[key], digest) for key, digest in settings.contents.items()
    }


def _digest(option: Option, settings: Settings) -> str | None:
    """Return the digest of what an option names; ``None``: it cannot be read, which whoever needs it will say."""
    name = settings.options[option.key]
    try:
        if option.holds == "images":
            return calibration_digest(name, settings.batch)
        return content_digest(expanded(name))
    except (OSError, ValueError, HwnasError):  # ValueError: a name that no file can have
        return None
