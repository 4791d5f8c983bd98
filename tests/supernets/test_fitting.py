"""What keeps an object from being what a Protocol describes."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Protocol

import pytest

from hwnas import backends, supernets
from hwnas.backends.backend import Backend
from hwnas.experiments import kinds
from hwnas.latency_luts import formats
from hwnas.supernets.fitting import misfit, misfit_of_all
from hwnas.supernets.supernet import SuperNetwork


class Animal(Protocol):
    """Has a name, sounds and legs, of which there may be none."""

    name: str
    sounds: tuple[str, ...]
    legs: int | None

    @property
    def tame(self) -> bool: ...

    def feed(self, food: str, times: int = 1) -> None:
        """Give it so much."""
        ...


class Dog:
    name, sounds, legs, tame = "Rex", ("woof",), 4, True

    def feed(self, food, times=1):
        return None


def dog(**changes):
    return type("Changed", (Dog,), changes)()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"sounds": ["woof", "grr"]},
        {"sounds": ()},
        {"legs": None},
        {"feed": lambda self, food, *, times=1: None},
        {"feed": lambda self, *anything, **more: None},
        {"feed": lambda self, meal, times=1, quickly=True: None},
    ],
)
def test_what_fits(changes):
    assert misfit(dog(**changes), Animal) is None


def raises(self):
    raise OSError("asleep")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"name": None}, "its name is None, expected str"),
        ({"name": property(lambda self: 3)}, "its name is of type int, expected str"),
        ({"name": property(raises)}, "its name cannot be read: OSError: asleep"),
        ({"sounds": "woof"}, "its sounds is of type str, expected tuple of str"),
        ({"sounds": (1,)}, "its sounds is of type tuple, expected tuple of str"),
        ({"sounds": 3}, "its sounds is of type int, expected tuple of str"),
        ({"legs": True}, "its legs is of type bool, expected int or None"),
        ({"legs": 4.0}, "its legs is of type float, expected int or None"),
        ({"tame": "yes"}, "its tame is of type str, expected bool"),
        ({"tame": str}, "its tame is the class str, expected bool"),
        ({"feed": 3}, "its feed is of type int, expected a method"),
        ({"feed": lambda self: None}, r"its feed cannot be called as feed\(food, times\): "),
        ({"feed": lambda self, food: None}, r"its feed cannot be called as feed\(food, times\): "),
        ({"feed": lambda self, food, times, more: None}, "missing a required argument: 'more'"),
    ],
)
def test_what_does_not(changes, reason):
    found = misfit(dog(**changes), Animal)
    assert found is not None
    assert re.search(reason, found), found


def test_a_missing_attribute_is_named():
    assert misfit(SimpleNamespace(name="Rex"), Animal) == "it has no sounds"
    assert misfit(None, Animal) == "it has no name"


def test_the_class_of_an_object_is_not_the_object():
    assert misfit_of_all(Dog, (Animal,)) == "it is the class Dog, expected an object of it"


def test_one_of_several_is_enough():
    class Stone(Protocol):
        weight: int

    assert misfit_of_all(Dog(), (Stone, Animal)) is None
    assert misfit_of_all(object(), (Stone, Animal)) == "it has no weight and it has no name"
    assert misfit_of_all(object(), ()) is None


def test_all_of_ours_fit():
    assert {name: misfit(backends.get(name), Backend) for name in backends.names()} == dict.fromkeys(backends.names())
    assert {misfit(supernets.get(name), SuperNetwork) for name in supernets.names()} == {None}
    assert {misfit(kinds.registry.provider(name), kinds.ExperimentKind) for name in kinds.registry.names()} == {None}
    assert {misfit(formats.registry.provider(name), formats.TableLayout) for name in formats.names()} == {None}
