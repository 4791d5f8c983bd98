"""List the published weights of super-networks, with the places to download them from."""

from __future__ import annotations

from dataclasses import dataclass

from hwnas.supernets.assets import Asset
from hwnas.supernets.errors import UnknownNameError


@dataclass(frozen=True)
class PublishedWeights:
    """A checkpoint of a super-network.

    Attributes:
        supernet: the super-network's name.
        summary: one line for listings.
        asset: the file.
    """

    supernet: str
    summary: str
    asset: Asset


# Where once-for-all's own code looks for them, then its authors' pages, the newer before the older.
_FILES = "https://raw.githubusercontent.com/han-cai/files/master/ofa/ofa_nets"
_LARGE_FILES = "https://media.githubusercontent.com/media/han-cai/files/master/ofa/ofa_nets"
_PAGES = ("https://hanlab18.mit.edu/files/OnceForAll/ofa_nets", "https://hanlab.mit.edu/files/OnceForAll/ofa_nets")


def _mobilenet(width: str) -> PublishedWeights:
    file = f"ofa_mbv3_d234_e346_k357_w{width}"
    # No digest of these is published.
    asset = Asset(f"ofa/ofa_nets/{file}", tuple(f"{base}/{file}" for base in (_FILES, *_PAGES)), None, "MIT")
    return PublishedWeights(f"ofa-mbv3-w{width}", "once-for-all's, trained on ImageNet (Cai et al., 2020)", asset)


_RESNET = "ofa_resnet50_d0-1-2_e0.2-0.25-0.35_w0.65-0.8-1.0"

_WEIGHTS = (
    _mobilenet("1.0"),
    _mobilenet("1.2"),
    PublishedWeights(
        "ofa-resnet50",
        "once-for-all's, trained on ImageNet (Cai et al., 2020)",
        Asset(
            f"ofa/ofa_nets/{_RESNET}",
            # The pages spell the same file with other signs.
            (
                f"{_LARGE_FILES}/{_RESNET}",
                *(f"{base}/ofa_resnet50_d=0+1+2_e=0.2+0.25+0.35_w=0.65+0.8+1.0" for base in _PAGES),
            ),
            # Of the pointer that stands for it in the repository.
            "3406a4c852f4573a58e9a01f35406baa4ad3787044ffadc6ea45571ad2b9123a",
            "none stated",
        ),
    ),
)


def names() -> list[str]:
    """Return the super-networks whose weights are published."""
    return sorted(weights.supernet for weights in _WEIGHTS)


def get(supernet: str) -> PublishedWeights:
    """Return the published weights of ``supernet``; raises ``UnknownNameError`` with suggestions."""
    for weights in _WEIGHTS:
        if weights.supernet == supernet:
            return weights
    raise UnknownNameError("super-network with published weights", supernet, names())
