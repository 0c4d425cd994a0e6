import numpy as np
import pytest

from morphml_core.dataset.npz import Config, Npz
from morphml_core.errors import EvaluationError


def write(folder, **arrays):
    path = folder / "data.npz"
    np.savez(path, **arrays)
    return path


def refusal(config):
    with pytest.raises(EvaluationError) as caught:
        Npz(config).load()
    return str(caught.value)


def test_named_splits_are_used_as_they_are(tmp_path):
    x, y = np.ones((30, 4), np.float32), np.arange(30) % 3
    path = write(tmp_path, x=x, y=y, vx=x[:6], vy=y[:6], tx=x[:9], ty=y[:9])
    config = Config(path, valid_inputs="vx", valid_targets="vy", test_inputs="tx", test_targets="ty")
    data = Npz(config).load()
    assert [len(data.train), len(data.valid), len(data.test)] == [30, 6, 9]


def test_classes_are_numbered_in_sorted_order(tmp_path):
    path = write(tmp_path, x=np.zeros((40, 2)), y=np.array([7, 3] * 20))
    data = Npz(Config(path)).load()
    assert data.classes == ("3", "7")
    assert set(data.train.targets.tolist()) == {0, 1}


def test_grey_images_get_a_channel(tmp_path):
    path = write(tmp_path, x=np.zeros((20, 5, 6), np.uint8), y=np.arange(20) % 2)
    assert Npz(Config(path, layout="hw")).load().signature.shape == (1, 5, 6)


def test_whole_numbers_can_be_regression(tmp_path):
    path = write(tmp_path, x=np.zeros((20, 2)), y=np.arange(20))
    data = Npz(Config(path, regression=True)).load()
    assert data.regression
    assert data.train.targets.shape == (14, 1)


def test_missing_file(tmp_path):
    path = tmp_path / "none.npz"
    assert refusal(Config(path)) == f"the file {path} does not exist; name an .npz file in the option 'path'"


def test_missing_array(tmp_path):
    path = write(tmp_path, images=np.zeros((4, 2)), y=np.zeros(4))
    assert refusal(Config(path)) == f"{path} has no array 'x'; it has images, y"


@pytest.mark.parametrize("content", [b"not a zip file", b"", b"PK\x03\x04 cut off"])
def test_no_npz_file(tmp_path, content):
    path = tmp_path / "data.npz"
    path.write_bytes(content)
    assert refusal(Config(path)) == f"{path} is no .npz file; write one with numpy.savez(path, x=..., y=...)"


def test_arrays_of_objects_are_not_unpickled(tmp_path):
    path = write(tmp_path, x=np.zeros((2, 2)), y=np.array([{}, {}], dtype=object))
    assert refusal(Config(path)) == (
        f"{path} cannot be read as .npz: Object arrays cannot be loaded when allow_pickle=False"
    )


@pytest.mark.parametrize(
    ("arrays", "options", "expected"),
    [
        ({"x": np.zeros((5, 2)), "y": np.arange(4)}, {}, "has 5 inputs but 4 targets; they must be as many"),
        ({"x": np.zeros((0, 2)), "y": np.zeros(0, int)}, {}, "has no samples"),
        (
            {"x": np.zeros(4), "y": np.arange(4)},
            {},
            "has inputs of shape (4,); needed is (samples, ...) with at least two axes",
        ),
    ],
)
def test_arrays_that_do_not_fit(tmp_path, arrays, options, expected):
    path = write(tmp_path, **arrays)
    assert refusal(Config(path, **options)) == f"x and y in {path} {expected}"


def test_values_that_are_not_finite(tmp_path):
    x = np.zeros((4, 2))
    x[2, 1] = np.nan
    path = write(tmp_path, x=x, y=np.arange(4) % 2)
    assert (
        refusal(Config(path))
        == f"the inputs of x and y in {path} have nan at (2, 1); every value must be a finite number"
    )


def test_values_that_are_no_numbers(tmp_path):
    path = write(tmp_path, x=np.array([["a", "b"]] * 4), y=np.arange(4) % 2)
    assert refusal(Config(path)) == f"the inputs of x and y in {path} have the type <U1; needed are numbers"


def test_a_layout_that_does_not_fit(tmp_path):
    path = write(tmp_path, x=np.zeros((4, 2)), y=np.arange(4) % 2)
    assert refusal(Config(path, layout="hwc")) == (
        f"x and y in {path}: the inputs have the shape (4, 2); the layout 'hwc' needs 4 axes"
    )


def test_a_class_that_is_never_trained(tmp_path):
    x, y = np.zeros((4, 2)), np.arange(4) % 2
    path = write(tmp_path, x=x, y=y, tx=x, ty=y + 1)
    assert refusal(Config(path, test_inputs="tx", test_targets="ty")) == (
        f"tx and ty in {path} has the class 2, which the training samples do not have"
    )


def test_splits_of_different_shapes(tmp_path):
    path = write(tmp_path, x=np.zeros((4, 2)), y=np.arange(4) % 2, tx=np.zeros((4, 3)), ty=np.arange(4) % 2)
    assert refusal(Config(path, test_inputs="tx", test_targets="ty")) == (
        f"the test inputs in {path} have the shape (3,), but the training inputs (2,); they must be equal"
    )


def test_class_targets_with_two_axes(tmp_path):
    path = write(tmp_path, x=np.zeros((4, 2)), y=np.zeros((4, 2), int))
    assert refusal(Config(path)) == f"x and y in {path}: the targets have the shape (4, 2); classes need (samples,)"


def test_inputs_and_targets_go_together(tmp_path):
    with pytest.raises(ValueError) as caught:
        Config(tmp_path, test_inputs="x")
    assert str(caught.value) == "test_inputs and test_targets go together, but only one of them is given"
