"""What every dataset promises: `DatasetSuite`."""

from __future__ import annotations

from collections.abc import Callable

import cloudpickle
import numpy as np
import pytest

from morphml_core.protocols import Data, Dataset, Signed, Split

Make = Callable[[], Dataset]


class DatasetSuite:
    """Subclass it, and give the fixture `make`: a function that returns the dataset, whose files exist."""

    @pytest.fixture
    def make(self) -> Make:
        """A function that returns the dataset."""
        raise NotImplementedError("a DatasetSuite needs the fixture 'make'")

    def test_has_samples_and_targets_of_equal_length(self, make: Make) -> None:
        """Of each split, and more than none."""
        for split in _splits(make().load()):
            assert len(split.inputs) == len(split.targets) > 0

    def test_samples_have_the_shape_of_the_signature(self, make: Make) -> None:
        """In each split."""
        data = make().load()
        for split in _splits(data):
            assert tuple(split.inputs.shape[1:]) == data.signature.shape

    def test_inputs_are_bytes_or_finite_floats(self, make: Make) -> None:
        """uint8 or float32, without NaN or infinity."""
        for split in _splits(make().load()):
            assert split.inputs.dtype in (np.uint8, np.float32)
            assert np.isfinite(split.inputs).all()

    def test_targets_fit_the_signature(self, make: Make) -> None:
        """Classes from 0 to below `outputs`, or finite numbers of shape (n, outputs)."""
        data = make().load()
        for split in _splits(data):
            if data.regression:
                assert split.targets.dtype == np.float32
                assert split.targets.shape == (len(split), data.signature.outputs)
                assert np.isfinite(split.targets).all()
            else:
                assert split.targets.dtype == np.int64
                assert split.targets.shape == (len(split),)
                assert split.targets.min() >= 0
                assert split.targets.max() < data.signature.outputs

    def test_every_class_is_trained(self, make: Make) -> None:
        """And classes have one name each, where they have names."""
        data = make().load()
        if data.regression:
            assert data.classes == ()
            return
        assert set(np.unique(data.train.targets).tolist()) == set(range(data.signature.outputs))
        assert len(data.classes) in (0, data.signature.outputs)

    def test_loads_the_same_twice(self, make: Make) -> None:
        """The split is fixed: another instance has the same samples in the same order."""
        for first, second in zip(_splits(make().load()), _splits(make().load()), strict=True):
            np.testing.assert_array_equal(first.inputs, second.inputs)
            np.testing.assert_array_equal(first.targets, second.targets)

    def test_tells_its_signature_before_loading(self, make: Make) -> None:
        """Where it tells one at all, it is that of the data."""
        dataset = make()
        if not isinstance(dataset, Signed):
            pytest.skip("this dataset has no `signature` of its own, which is optional")
        told = dataset.signature
        assert told == make().load().signature

    def test_leaves_global_random_numbers_alone(self, make: Make) -> None:
        """NumPy's global generator is where it was."""
        before = np.random.get_state()[1].tolist()  # type: ignore[index]  # noqa: NPY002
        make().load()
        assert np.random.get_state()[1].tolist() == before  # type: ignore[index]  # noqa: NPY002

    def test_travels_to_another_process(self, make: Make) -> None:
        """It can be pickled, and then loads the same."""
        dataset = make()
        copy: Dataset = cloudpickle.loads(cloudpickle.dumps(dataset))
        np.testing.assert_array_equal(copy.load().train.targets, dataset.load().train.targets)


def _splits(data: Data) -> list[Split]:
    return [split for split in (data.train, data.valid, data.test) if split is not None]
