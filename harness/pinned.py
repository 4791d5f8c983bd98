"""Pin the files that a platform's options name: digest their content once, and identify the platform by the digests.

Measurements and stored values are identified by these digests, so that nothing stored for the old content of a file is
used after the file has changed under the same name.
"""

from __future__ import annotations

from dataclasses import replace

from hwnas import backends
from hwnas.backends.backend import Option, Settings
from hwnas.harness.bench.bench import Elsewhere
from hwnas.harness.platform import Platform
from hwnas.harness.worker.int8_images import calibration_digest
from hwnas.latency_luts.folders import folder_digest
from hwnas.supernets.contents import Content, content_digest, identified
from hwnas.supernets.errors import HwnasError
from hwnas.supernets.files import expanded


def pinned(platform: Platform) -> Platform:
    """Return the platform with the digests of the files that its options name, in ``settings.contents``.

    A pinned platform is returned as it is. So is a platform of a farm: its files are on the workers, which pin them.
    """
    if platform.settings.contents or isinstance(platform, Elsewhere):
        return platform
    return replace(platform, settings=pinned_settings(platform))


def pinned_settings(platform: Platform) -> Settings:
    """Return the platform's settings with these digests."""
    settings = platform.settings
    named = [one for one in backends.get(platform.backend).options if one.holds and one.key in settings.options]
    found = {option.key: _digest(option, settings) for option in named}
    return replace(settings, contents={key: digest for key, digest in found.items() if digest is not None})


def identity(platform: Platform) -> str:
    """Return the platform's string with digests in place of file names: equal strings have equal latencies."""
    return identified(str(platform), platform.settings.contents)


def contents(platform: Platform) -> dict[str, Content]:
    """Return the contents of a pinned platform's files, by their role ("lut file", "openvino calibration")."""
    settings = platform.settings
    return {
        f"{platform.backend} {key}": Content(settings.options[key], digest) for key, digest in settings.contents.items()
    }


def _digest(option: Option, settings: Settings) -> str | None:
    """Return the digest of what an option names; ``None`` if it cannot be read, which its reader reports later."""
    name = settings.options[option.key]
    try:
        if option.holds == "images":
            return calibration_digest(name, settings.batch)
        if option.holds == "tables":
            return folder_digest(name)
        return content_digest(expanded(name))
    except (OSError, ValueError, HwnasError):  # ValueError: a name that no file can have
        return None
