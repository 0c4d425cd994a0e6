import numpy as np
import pytest

torch = pytest.importorskip("torch")

from morphml_core.graph.operations import Signature
from morphml_core.protocols import Data, Split
from morphml_core.torch.data import complete, prepare, scale_of

CPU = torch.device("cpu")


def classes(count=40, shape=(3, 4, 4), **more):
    rng = np.random.default_rng(0)
    split = Split(rng.integers(0, 256, (count, *shape), dtype=np.uint8), np.arange(count) % 4)
    return Data(split, None, None, Signature(shape, 4), **more)


@pytest.mark.parametrize(("shape", "axes"), [((3, 4, 4), (0, 2, 3)), ((5,), (0,)), ((6, 5), (0, 1))])
def test_standardized_inputs_have_mean_zero_and_deviation_one(shape, axes):
    values = np.random.default_rng(0).normal(7, 3, (5000, *shape)).astype(np.float32)
    scaled = scale_of(values).apply(torch.tensor(values)).numpy()
    np.testing.assert_allclose(scaled.mean(axis=axes), 0, atol=1e-4)
    np.testing.assert_allclose(scaled.std(axis=axes), 1, atol=1e-4)


def test_a_constant_feature_stays_finite():
    values = np.full((10, 2), 3.3, dtype=np.float32)
    scaled = scale_of(values).apply(torch.tensor(values))
    assert torch.isfinite(scaled).all()
    assert scaled.abs().max() < 1e-6


def test_inversion_gives_the_values_back():
    values = np.random.default_rng(0).normal(7, 3, (50, 2)).astype(np.float32)
    scale = scale_of(values)
    np.testing.assert_allclose(scale.invert(scale.apply(torch.tensor(values))).numpy(), values, rtol=1e-5, atol=1e-5)


def test_missing_splits_are_held_out():
    data = complete(classes(), 0.25)
    assert [len(data.train), len(data.valid), len(data.test)] == [20, 10, 10]
    assert np.bincount(data.train.targets).tolist() == [5] * 4


def test_splits_that_exist_are_kept():
    given = classes()
    whole = Data(given.train, given.train, given.train, given.signature)
    assert complete(whole, 0.25) is whole


def test_without_standardizing_bytes_go_from_zero_to_one():
    prepared = prepare(classes(), 0.25, False, CPU)
    values = prepared.inputs.apply(prepared.train.inputs)
    assert 0 <= values.min() < 0.1
    assert 0.9 < values.max() <= 1


def test_inputs_stay_bytes():
    assert prepare(classes(), 0.25, True, CPU).train.inputs.dtype == torch.uint8


def test_subsets_are_stratified_and_nested():
    prepared = prepare(classes(), 0.25, True, CPU)
    small, large = prepared.subset(0.4), prepared.subset(0.8)
    assert prepared.subset(1.0) is None
    assert [len(small), len(large)] == [8, 16]
    assert set(small.tolist()) <= set(large.tolist())
    assert torch.bincount(prepared.train.targets[small]).tolist() == [2] * 4


def test_regression_targets_are_standardized_by_the_training_split():
    rng = np.random.default_rng(0)
    split = Split(rng.normal(size=(60, 3)).astype(np.float32), rng.normal(50, 9, (60, 2)).astype(np.float32))
    prepared = prepare(Data(split, None, None, Signature((3,), 2), regression=True), 0.2, True, CPU)
    assert prepared.train.targets.mean(0).abs().max() < 1e-5
    assert (prepared.train.targets.std(0, correction=0) - 1).abs().max() < 1e-5
