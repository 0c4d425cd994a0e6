from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from morphml_distributed.dispatch.suspicion import Suspicion, deviations_of, phi_of


@given(st.floats(0.5, 250.0))
def test_deviations_are_the_inverse_of_phi(phi: float) -> None:
    assert phi_of(deviations_of(phi)) == pytest.approx(phi, rel=1e-3)


def test_phi_is_that_of_the_normal_distribution() -> None:
    assert phi_of(0.0) == pytest.approx(0.30103, abs=1e-5)
    assert phi_of(1.2815515655) == pytest.approx(1.0, abs=1e-6)
    assert phi_of(3.0902323062) == pytest.approx(3.0, abs=1e-6)


def test_regular_heartbeats_make_silence_suspicious_soon() -> None:
    suspicion = Suspicion(1.0, 0.0)
    for beat in range(1, 60):
        suspicion.beat(float(beat))
    lost = suspicion.until(deviations_of(12.0), 10.0) - 59.0
    assert 2.0 < lost < 3.0


def test_irregular_heartbeats_make_it_suspicious_later() -> None:
    suspicion, now, rng = Suspicion(1.0, 0.0), 0.0, random.Random(1)
    for _ in range(60):
        now += rng.uniform(0.2, 2.5)
        suspicion.beat(now)
    until = suspicion.until(deviations_of(12.0), 10.0) - now
    assert 4.0 < until <= 10.0
    assert suspicion.phi(now + until) == pytest.approx(12.0, rel=0.05)


def test_a_worker_is_lost_at_the_longest_silence_whatever_its_history() -> None:
    suspicion = Suspicion(1.0, 0.0)
    for beat in range(1, 10):
        suspicion.beat(beat * 30.0)
    assert suspicion.until(deviations_of(12.0), 10.0) == 280.0
