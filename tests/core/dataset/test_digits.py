import numpy as np
import pytest

from morphml_core.dataset.digits import Config, Digits


def test_the_split_is_stratified_and_whole():
    data = Digits(Config()).load()
    assert [len(data.train), len(data.valid), len(data.test)] == [1079, 359, 359]
    for split in (data.train, data.valid, data.test):
        shares = np.bincount(split.targets) / len(split)
        assert np.abs(shares - 0.1).max() < 0.01


def test_all_samples_are_in_one_split_each():
    from sklearn.datasets import load_digits

    data = Digits(Config()).load()
    images, _ = load_digits(return_X_y=True)
    found = np.concatenate([data.train.inputs, data.valid.inputs, data.test.inputs]).reshape(1797, 64)
    levels = np.rint(found * (16 / 255))
    assert sorted(map(tuple, levels)) == sorted(map(tuple, images))


def test_pixels_use_the_whole_range():
    inputs = Digits(Config()).load().train.inputs
    assert (inputs.min(), inputs.max()) == (0, 255)


def test_another_seed_is_another_split():
    first, second = (Digits(Config(seed=seed)).load().test.targets for seed in (0, 1))
    assert first.tolist() != second.tolist()


def test_no_validation_split_where_none_is_wanted():
    data = Digits(Config(valid=0)).load()
    assert data.valid is None
    assert len(data.train) == 1797 - 359


def test_shares_must_leave_something_to_train_on():
    with pytest.raises(ValueError) as caught:
        Config(valid=0.5, test=0.5)
    assert str(caught.value) == "valid and test take 0.5 and 0.5 of the samples, which leaves none to train on"
