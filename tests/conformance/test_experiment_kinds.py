"""What every kind of experiment must hold, whoever wrote it."""

from __future__ import annotations

import dataclasses
import inspect

import pytest

from hwnas import experiments
from hwnas.experiments import kinds

NAMES = kinds.registry.names()
TAKES = {
    "check": ["settings", "where"],
    "stand_ins": ["settings", "environ"],
    "run": ["experiment", "bench"],
    "verdicts": ["settings", "data"],
    "sections": ["experiment", "data", "published"],
    "table": ["data"],
    "gist": ["data"],
}


@pytest.mark.parametrize("name", NAMES)
def test_a_kind_has_settings_and_its_functions(name):
    kind = kinds.registry.provider(name)
    assert "\n" not in kind.SUMMARY
    assert dataclasses.is_dataclass(kind.Settings)
    assert kind.Settings.__dataclass_params__.frozen
    for function, arguments in TAKES.items():
        given = [argument.strip("_") for argument in inspect.signature(getattr(kind, function)).parameters]
        assert given == arguments, function


@pytest.mark.parametrize("name", NAMES)
def test_every_key_of_a_kind_is_described(name):
    kind = kinds.registry.provider(name)
    described = inspect.getdoc(kind.Settings)
    for field in dataclasses.fields(kind.Settings):
        assert f"{field.name}: " in described


@pytest.mark.parametrize("name", NAMES)
def test_a_kind_is_used_by_a_shipped_experiment(name):
    assert any(experiments.shipped(one).head.kind == name for one in experiments.names())
