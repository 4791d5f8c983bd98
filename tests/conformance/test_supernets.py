"""What every registered super-network must do; a new one is tested by being registered."""

from __future__ import annotations

import functools

import pytest
from conforming import every_check, hold

from hwnas import supernets
from hwnas.conformance.supernets import SUITE, SupernetSubject


@functools.cache
def subject(name):
    return SupernetSubject.of(supernets.get(name))


@pytest.mark.parametrize(("name", "check"), every_check(SUITE, supernets.names()))
def test_every_super_network(name, check):
    hold(check, subject(name))
