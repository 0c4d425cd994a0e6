import pytest
from hypothesis import given
from hypothesis import strategies as st

from morphml_core.torch.schedule import rates, scaled


def curve(kind, warmup, total, steps=10):
    return [rate for epoch in range(1, total + 1) for rate in rates(1.0, kind, warmup, total, epoch, steps)]


def test_cosine_falls_to_zero():
    found = curve("cosine", 0, 4)
    assert found == sorted(found, reverse=True)
    assert found[0] > 0.999
    assert found[-1] < 0.001
    assert found[19] == pytest.approx(0.5, abs=0.03)


def test_constant_stays():
    assert curve("constant", 0, 3) == [1.0] * 30


def test_warm_up_rises_linearly():
    found = curve("constant", 2, 4)
    assert found[:20] == pytest.approx([(i + 0.5) / 20 for i in range(20)])
    assert found[20:] == [1.0] * 20


def test_warm_up_takes_half_of_the_epochs_at_most():
    assert curve("constant", 100, 2)[10:] == [1.0] * 10


def test_after_the_end_of_a_shorter_schedule_nothing_is_learned():
    assert rates(1.0, "cosine", 0, 4, 6, 2) == [0.0, 0.0]


@given(st.sampled_from(["cosine", "constant"]), st.floats(0, 5), st.integers(1, 8), st.integers(1, 9))
def test_rates_stay_between_zero_and_the_peak(kind, warmup, total, steps):
    assert all(0 <= rate <= 1 for rate in curve(kind, warmup, total, steps))


def test_a_smaller_batch_learns_more_slowly():
    assert scaled(0.1, "sgd", 32, 128) == pytest.approx(0.025)
    assert scaled(0.1, "adamw", 32, 128) == pytest.approx(0.05)
    assert scaled(0.1, "adamw", 128, 128) == 0.1
