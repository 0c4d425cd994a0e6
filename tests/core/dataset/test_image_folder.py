import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image")

from morphml_core.dataset.image_folder import SUFFIXES, Config, ImageFolder
from morphml_core.errors import EvaluationError


def fill(folder, count=4, colour=(255, 0, 0), size=(6, 6)):
    folder.mkdir(parents=True)
    for i in range(count):
        Image.new("RGB", size, colour).save(folder / f"{i}.png")


def refusal(folder, **options):
    with pytest.raises(EvaluationError) as caught:
        ImageFolder(Config(folder, **options)).load()
    return str(caught.value)


def test_channels_come_first(tmp_path):
    fill(tmp_path / "a")
    fill(tmp_path / "b", colour=(0, 0, 255))
    data = ImageFolder(Config(tmp_path, size=3, valid=0, test=0)).load()
    assert data.classes == ("a", "b")
    assert data.train.inputs.shape == (8, 3, 3, 3)
    assert data.train.inputs[0, :, 0, 0].tolist() == [255, 0, 0]
    assert data.train.inputs[7, :, 0, 0].tolist() == [0, 0, 255]


def test_grey_pictures_have_one_channel(tmp_path):
    fill(tmp_path / "a")
    fill(tmp_path / "b")
    data = ImageFolder(Config(tmp_path, size=3, colour="grey")).load()
    assert data.signature.shape == (1, 3, 3)
    assert np.unique(data.train.inputs).tolist() == [76]


def test_folders_of_splits_are_used(tmp_path):
    for split, count in (("train", 10), ("test", 3)):
        for name in ("a", "b"):
            fill(tmp_path / split / name, count)
    data = ImageFolder(Config(tmp_path, size=2, valid=0.2)).load()
    assert [len(data.train), len(data.valid), len(data.test)] == [16, 4, 6]


def test_the_signature_needs_no_picture(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    assert ImageFolder(Config(tmp_path, size=5)).signature.outputs == 2


def test_missing_folder(tmp_path):
    folder = tmp_path / "none"
    assert refusal(folder) == f"the folder {folder} does not exist; name a folder of pictures in the option 'folder'"


def test_one_class_is_too_few(tmp_path):
    fill(tmp_path / "a")
    assert refusal(tmp_path) == (
        f"{tmp_path} has 1 folders of pictures; needed is one for each class, and at least two classes"
    )


def test_a_class_without_pictures(tmp_path):
    fill(tmp_path / "a")
    (tmp_path / "b").mkdir()
    assert refusal(tmp_path) == (
        f"{tmp_path / 'b'} has no pictures; known are files that end in {', '.join(sorted(SUFFIXES))}"
    )


def test_a_file_that_is_no_picture(tmp_path):
    fill(tmp_path / "a")
    fill(tmp_path / "b")
    broken = tmp_path / "b" / "x.png"
    broken.write_bytes(b"nothing")
    assert refusal(tmp_path) == f"{broken} cannot be read as a picture: cannot identify image file '{broken}'"
