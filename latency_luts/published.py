"""List the published lookup tables of others, with the places to download them from."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hwnas.latency_luts import formats
from hwnas.latency_luts.resolutions import ResolutionTables
from hwnas.latency_luts.table import LatencyTable
from hwnas.supernets.assets import Asset, locate
from hwnas.supernets.errors import TableError, UnknownNameError


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
        """Read the table of one resolution.

        Raises:
            TableError: there is none for this resolution.
            AssetError: its file is missing and cannot be fetched.
        """
        if resolution not in self.assets:
            known = ", ".join(map(str, self.assets))
            raise TableError(f"{self.name}: has no table at r={resolution}; there is one at each of {known}")
        read = formats.read(locate(self.assets[resolution]))
        return replace(read, name=f"{self.name} at r={resolution}", serves=self.serves)


@dataclass(frozen=True)
class _Folder:
    """A published folder of tables.

    Attributes:
        path: of the folder among the assets.
        url: of the folder.
        suffix: of its files, behind the resolution.
        licence: under which they are published.
    """

    path: str
    url: str
    suffix: str
    licence: str

    def assets(self, digests: dict[int, str]) -> dict[int, Asset]:
        """Return the files by their resolution; given are the SHA-256 of each."""
        names = {resolution: f"{resolution}{self.suffix}" for resolution in digests}
        return {
            resolution: Asset(f"{self.path}/{name}", (f"{self.url}/{name}",), digests[resolution], self.licence)
            for resolution, name in names.items()
        }


_RAW = "https://raw.githubusercontent.com"
_OFA = f"{_RAW}/mit-han-lab/once-for-all/698a5c10b434172056a565b340c46ce11df18629/tutorial/checkpoints"
_DYNAMIC_OFA = f"{_RAW}/UoS-EEC/DynamicOFA/349461f4d41444531fe9c4d589c498635304c73e/optimal_search/latency/checkpoints"
_NONE_STATED = "none stated"

_NOTE10 = _Folder("ofa/note10", f"{_OFA}/latency_table@note10", "_lookup_table.yaml", "MIT")
_JETSON_CPU = _Folder("jetson/jetson", f"{_DYNAMIC_OFA}/latency_table@jetson", "_lookup_table.json", _NONE_STATED)
_JETSON_GPU = _Folder(
    "jetson/jetson_GPU", f"{_DYNAMIC_OFA}/latency_table@jetson_GPU", "_lookup_table.json", _NONE_STATED
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

_JETSON_CPU_SHA256 = {
    160: "5f9f405ac46d6cc3157ecb798e44795b402a1e26df3fbbe8d036eabcf2c708cc",
    164: "20be8a7f28adad2a0d2ce8dda8fb7cdd848e13034f0efa442cc334870ff23da6",
    168: "3f04e6035610e924ad6a24d9fdfd646bb4f7d086fe9fb8384fb9f92a5b68afe9",
    172: "901c7469749f2889f4e130d036b38a03b2e3346d7485ddc8c723682e27d62dcc",
    176: "0e1b15b13e4d3a4edcb9f4fd839f9c3b5d82d258538824fbe2f5fd603d533e37",
    180: "ee2ff043ab8e9f4bca72fc7c538eb81779c9353ca8b3b265c09f5b69ddd508c5",
    184: "70f092bf96d006722779de82566e5d7fc33fa01f7dc6b9dba490342e47edf93d",
    188: "b2b3bc32929f96fcf2bfccf8f7be8ad7245656c3619b4bad51fbcd5796f1097b",
    192: "4f73c27aaf33949a088b55e64e78b04735564780e2b9aa4d69b34320d7dd38fc",
    196: "e98998ebe74f3eaf40766ce082e6c5c94980c12955d2e298f9db6bbbafca4e24",
    200: "a9ec2c72d9c3b730371827793f188ae85b3f9d48232b90c2698d353c30f964b5",
    204: "a2c8a01838e4024946ff7c0d00c915424ca24d05725a3caf39963037a5cd2d39",
    208: "8488908c4b82c2def0655947b086191da4404ec28bd2b796330cd6ffac1d97dd",
    212: "131a170364e4e48cff49a2559885be77f61bfd40a6ad77ec506077414752ce15",
    216: "93894b605a8ec86a5560d9c114a67846c6803adf3f7c4eb8e03104107e568cbd",
    220: "472e3e7891be4b1247922381c52b7f1e9d7f8667016c88b9ff112c81e994af60",
    224: "abd65341a394beb7eb0e87f8c24b31ba613d49bdd2e1cedd92d62e8874ae3a82",
}

_JETSON_GPU_SHA256 = {
    160: "04467b6e646fd3f8a0aabde23cd1b1d00ae69198362456a271768ad2ec13db9d",
    164: "1b086e4a1e5f501ce7de40e936127d4cacbf33848783d784c46a586dcbecbfcd",
    168: "89c92b23f76214875afb1022178115f2fa6e7c676ca06b2553c4f09267d54e3e",
    172: "5022debcddcde2d2520b40f0e031718d45753eaa1a48f3d7a3d4841b78538003",
    176: "36fe4b88cfd16d29a1962471ab730c153d1d9fe27f4aabe6b0aa91136ce3ade3",
    180: "b69e887632f9c39afe462335b5b2dc5e62dcf3ab9013b2eb2039417c3752c0ba",
    184: "cd230bcc57aa959b806086c1f43ab8a084e3d9a2330d07063f7da6ad27b5f806",
    188: "97434922b913b6ff642fdf81de0f1f33a6d9f8bf22bf53f228d5a0b3293e5929",
    192: "b0c3267842fd57ef5f221b3893a9e5f0d1e5283e05a90e994617b8c3df4798c5",
    196: "dc1493db6a10ed3cf58e29285c84190015ec4ee40f393711c9d9606f0f8ef197",
    200: "0bd1726b9931ad0e4463358234f9a45377176d9768e0eb6e25cb83209fefe259",
    204: "47afddeb1a6c4efd38bb2bcf20b883ebae23d87d11c87c5afe790ee022240568",
    208: "c8aa823f4f4e8aeb06136baf3002edd7f2df1c20592c1bfaecd008a5bda0a0be",
    212: "28acd61b09573b45481b217ef48d12e6d6804eec6b4b8cd02ab2a6ea814a7c0f",
    216: "fcdd407788da635a58212ee376bb421f6a0c6d4fd85dc496b45f4e85ee4d3ef4",
    220: "34609112f4b42f97f061b29b34c396511be02ca2e222a6558b97586480dd7770",
    224: "a168a68faf45c52f24caea1e1eed92a917d1534b8b36246c175fdd25272c75f6",
}

_OF_OFA = ("ofa-mbv3-w1.2",)
_TABLES = (
    PublishedTables(
        "note10",
        "Samsung Note10, once-for-all's measurements (Cai et al., 2020), 160 to 224 px in steps of 4",
        _OF_OFA,
        _NOTE10.assets(_NOTE10_SHA256),
    ),
    PublishedTables(
        "jetson-cpu",
        "CPU of an NVIDIA Jetson, measurements of Dynamic-OFA (Lou et al., 2021), 160 to 224 px in steps of 4",
        _OF_OFA,
        _JETSON_CPU.assets(_JETSON_CPU_SHA256),
    ),
    PublishedTables(
        "jetson-gpu",
        "GPU of an NVIDIA Jetson, measurements of Dynamic-OFA (Lou et al., 2021), 160 to 224 px in steps of 4",
        _OF_OFA,
        _JETSON_GPU.assets(_JETSON_GPU_SHA256),
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
