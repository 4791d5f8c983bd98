"""List the published lookup tables of others, with the places to download them from."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hwnas.latency_luts import formats
from hwnas.latency_luts.resolutions import ResolutionTables
from hwnas.latency_luts.table import LatencyTable
from hwnas.supernets.assets import Asset, locate
from hwnas.supernets.errors import UnknownNameError


@dataclass(frozen=True)
class PublishedTables:
    """A device's tables, one per input resolution.

    Attributes:
        name: the name in ``lut:table=NAME``.
        summary: one line for listings.
        serves: the super-networks whose blocks were measured.
        assets: by resolution in pixels.
    """

    name: str
    summary: str
    serves: tuple[str, ...]
    assets: dict[int, Asset]

    def open(self) -> ResolutionTables:
        """Return the tables; the file of a resolution is located and read when it is first needed."""
        return ResolutionTables(self.name, tuple(sorted(self.assets)), self.table, self.serves)

    def table(self, resolution: int) -> LatencyTable:
        """Read the table of one resolution; raises ``AssetError`` if its file is missing and cannot be fetched."""
        read = formats.read(locate(self.assets[resolution]))
        return replace(read, name=f"{self.name} at r={resolution}", serves=self.serves)


_OFA = (
    "https://raw.githubusercontent.com/mit-han-lab/once-for-all/698a5c10b434172056a565b340c46ce11df18629"
    "/tutorial/checkpoints/latency_table@note10"
)

_NOTE10_SHA256 = {
    160: "a2671a45e9400542679ed03de946b45d6a35010f9ab21834af3e7ba8341d36d1",
    164: "146c34f116ea2dd6b0a421e3b9b3b1a106ba2817c928e7c66a0b58703946f7ea",
    168: "08c833755d446cb65a6224e0fed7ef71be29709bfd2aa12009d4b645e37b4ce4",
    172: "dead1205668fec983c8d7d8445d2dc3afe30a617917218becc90a8b3b8e72a57",
    176: "34223ae037d5719a5f33261bdfd9341f590a2999edf520f174309605dc06307c",
    180: "a4c43390a41c6affec5c0d2f927cd671a7d99341dbcb0178876794d9683d8ef6",
    184: "94e0b62a291cc8d77a980478edc96d4ab4b6fe9b0209bc87d296bd2812ccd3d3",
    188: "2f33a119bf5d4218fd390b785d3d03fd52b3522c77f58b751ff38f01a249fbd0",
    192: "0ff5ca0649e56ad34a42d6a8a6f20adb5121c8d12d135299397b310472db79e2",
    196: "80217a43dc40c8ce45b54c4cd60d58a79ee091015035f0d4388a09c192074bab",
    200: "4bb6703197777ac01483cbe6340979dc8090ed6471c3f47d4e08749e523d4c53",
    204: "129a4ee3f46f2b732f93c43dc04540c864adcc68e5f495ab0b183dc748fead43",
    208: "41aa63af766a8298354e6aa5ae69d512ac68656a6e7d0a4fa5dc725c8d438633",
    212: "cacb0d9f262e1e029c39a639acb856b16d16cbd7db365056ee7bc55bbb41d417",
    216: "bbb64c0be7b420139d92a79757923e7b4c5d8d61730a90995d1ab51f6f718939",
    220: "75b0954b2fa678b5b2422b3edbc51983609a9a441d77fe4bb68888da8bb8984e",
    224: "c13a9bcb3f4becae844bce4897129c4e42975984c1029cbd5acb48c970136530",
}


def _note10(resolution: int, sha256: str) -> Asset:
    file = f"{resolution}_lookup_table.yaml"
    return Asset(f"ofa/note10/{file}", (f"{_OFA}/{file}",), sha256, "MIT")


_TABLES = (
    PublishedTables(
        "note10",
        "Samsung Note10, once-for-all's measurements (Cai et al., 2020), 160 to 224 px in steps of 4",
        ("ofa-mbv3-w1.2",),
        {resolution: _note10(resolution, sha256) for resolution, sha256 in _NOTE10_SHA256.items()},
    ),
)


def names() -> list[str]:
    """Return the names of the published tables."""
    return sorted(table.name for table in _TABLES)


def get(name: str) -> PublishedTables:
    """Return the published tables ``name``; raises ``UnknownNameError`` with suggestions."""
    for table in _TABLES:
        if table.name == name:
            return table
    raise UnknownNameError("published lookup table", name, names())
