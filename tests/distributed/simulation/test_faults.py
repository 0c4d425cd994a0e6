"""How often things go wrong."""

import itertools
import random

import pytest

from morphml_distributed.simulation.faults import Fault, Faults, poison, strikes


def test_faults_come_as_often_and_last_as_long_as_was_said():
    coming = strikes(Faults(stalls=Fault(2.0, 40.0)), "stalls", 10, random.Random(1))
    found = list(itertools.takewhile(lambda strike: strike.at < 3600.0 * 50, coming))
    assert len(found) == pytest.approx(2 * 10 * 50, rel=0.1)
    assert sum(strike.length for strike in found) / len(found) == pytest.approx(40.0, rel=0.05)
    assert all(20.0 <= strike.length <= 60.0 for strike in found)
    assert {strike.worker for strike in found} == set(range(10))
    assert found == sorted(found)


def test_the_master_restarts_as_often_with_any_number_of_workers():
    coming = strikes(Faults(restarts=Fault(2.0)), "restarts", 500, random.Random(1))
    assert len(list(itertools.takewhile(lambda strike: strike.at < 3600.0 * 200, coming))) == pytest.approx(
        400, rel=0.1
    )


def test_no_rate_no_fault():
    assert list(strikes(Faults(), "deaths", 10, random.Random(1))) == []
    assert poison(0.0, 1, 1) is None


def test_the_same_trials_are_poisonous_each_time():
    found = [poison(0.1, 3, number) for number in range(2000)]
    assert sum(share is not None for share in found) == pytest.approx(200, rel=0.2)
    assert found == [poison(0.1, 3, number) for number in range(2000)]
    assert all(0.0 <= share < 1.0 for share in found if share is not None)
