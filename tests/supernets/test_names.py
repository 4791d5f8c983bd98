"""Names that people give: one line without what steers a terminal, wherever one is given."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

import hwnas
from hwnas import supernets
from hwnas.harness.farm.offer import offer_here
from hwnas.harness.platform import named_platforms, parse
from hwnas.search.study.own import own_objective
from hwnas.supernets.errors import PlatformError, UsageError
from hwnas.supernets.fixed import FixedModel
from hwnas.supernets.names import check_name

NET = supernets.get("ofa-mbv3-w1.0")
ODD = [
    "two\nlines",
    "a\ttab",
    "\x1b[31mred",
    "bell\x07",
    "back\u202ewards",
    "zero\u200bwidth",
    "half\ud800",
    "null\x00",
]


@pytest.mark.parametrize("name", ["first try", "étude-1", "実験", "a/b", "x" * 300, "wide\u3000space"])
def test_what_can_be_a_name(name):
    check_name("study", name)


@pytest.mark.parametrize("name", ["", "  "])
def test_no_name(name):
    with pytest.raises(UsageError, match="expected a name, which is not empty"):
        check_name("study", name)


@pytest.mark.parametrize("name", ODD)
def test_wherever_a_name_is_given_it_is_refused(name, tmp_path):
    """What is said of it is one line itself."""
    file = tmp_path / "hwnas.toml"
    file.write_text(f"[platforms]\n{json.dumps(name)} = 'torch'\n", errors="surrogatepass", encoding="utf-8")
    asked = {"objectives": ["macs", "params"], "evals": 2, "algorithm": "random"}
    ways = [
        lambda: hwnas.search(NET, study=name, **asked),
        lambda: hwnas.create_study(NET, name=name, **asked),
        lambda: hwnas.search(SimpleNamespace(name=name, space=NET.space), **asked),
        lambda: supernets.get(name),
        lambda: parse(name),
        lambda: offer_here([f"{name}=torch"], measure=True),
        lambda: offer_here(name=name, measure=False),
        lambda: FixedModel.of("model.onnx", name),
        lambda: own_objective(f"energy[{name}]:min"),
        *([lambda: named_platforms(file)] if "\ud800" not in name else []),
    ]
    for way in ways:
        with pytest.raises(UsageError) as refused:
            way()
        assert str(refused.value).isprintable()


def test_a_platforms_name_is_a_platform_error():
    with pytest.raises(PlatformError, match=r"platform 'tor\\nch': expected a name in one line, without '\\n'"):
        parse("tor\nch")


def test_a_study_that_has_such_a_name_already_can_be_resumed(tmp_path):
    """Earlier versions have made them."""
    asked = {"objectives": ["macs", "params"], "algorithm": "random", "store": str(tmp_path / "s.db")}
    hwnas.search(NET, study="first", evals=2, **asked)
    from hwnas.harness.store import Store

    with Store.open(asked["store"]) as store:
        table = store._tables["study"]
        store._database.write(lambda connection: connection.execute(table.update().values(name="two\nlines")))
    assert len(hwnas.search(NET, study="two\nlines", resume=True, evals=3, **asked).evaluations) == 3
