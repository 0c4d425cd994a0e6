import gzip

import numpy as np
import pytest

from morphml_core.dataset.fashion_mnist import DEBIAN, Config, FashionMnist, read_idx
from morphml_core.errors import EvaluationError


def idx(array):
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, dtype=">u4").tobytes() + array.tobytes()


def test_reads_plain_and_compressed_files(tmp_path):
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    (tmp_path / "plain").write_bytes(idx(array))
    (tmp_path / "packed.gz").write_bytes(gzip.compress(idx(array)))
    np.testing.assert_array_equal(read_idx(tmp_path / "plain"), array)
    np.testing.assert_array_equal(read_idx(tmp_path / "packed.gz"), array)


def test_missing_files_say_where_to_get_them(tmp_path):
    with pytest.raises(EvaluationError) as caught:
        FashionMnist(Config(tmp_path)).load()
    with pytest.raises(EvaluationError) as checked:
        FashionMnist(Config(tmp_path)).check_data()
    assert str(checked.value) == str(caught.value)
    assert str(caught.value) == (
        f"Fashion-MNIST is not in {tmp_path}: train-images-idx3-ubyte (or train-images-idx3-ubyte.gz) is missing; install "
        "Debian's package dataset-fashion-mnist, or take the four files from "
        "https://github.com/zalandoresearch/fashion-mnist and name their folder in the option 'folder'"
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it does not begin with the bytes 0, 0, 8"),
        (b"PK\x03\x04", "it does not begin with the bytes 0, 0, 8"),
        (idx(np.zeros((2, 3), np.uint8))[:-1], "cannot reshape array of size 5 into shape (2,3)"),
        (b"\0\0\x08", "index out of range"),
        (b"\0\0\x08\x03\0", "buffer is smaller than requested size"),
    ],
)
def test_broken_files_are_named(tmp_path, content, reason):
    path = tmp_path / "broken"
    path.write_bytes(content)
    with pytest.raises(EvaluationError) as caught:
        read_idx(path)
    assert str(caught.value) == f"{path} is not a whole IDX file of bytes: {reason}; fetch it again"


def test_a_cut_off_gzip_file_is_named(tmp_path):
    path = tmp_path / "broken.gz"
    path.write_bytes(gzip.compress(idx(np.zeros((20, 30), np.uint8)))[:-9])
    with pytest.raises(EvaluationError, match=r"broken\.gz is not a whole IDX file of bytes: .*; fetch it again"):
        read_idx(path)


def test_images_of_another_size_are_refused(tmp_path):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(np.zeros((4, 5, 5), np.uint8)))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros(4, np.uint8)))
    with pytest.raises(EvaluationError) as caught:
        FashionMnist(Config(tmp_path)).load()
    assert str(caught.value) == (
        f"the files train-* in {tmp_path} hold images of shape (5, 5) and labels up to 0; Fashion-MNIST has (28, 28) and 9"
    )


@pytest.mark.skipif(not DEBIAN.is_dir(), reason="Debian's package dataset-fashion-mnist is not installed")
def test_the_published_files():
    data = FashionMnist(Config()).load()
    assert [len(data.train), len(data.valid), len(data.test)] == [50_000, 10_000, 10_000]
    assert np.bincount(data.valid.targets).tolist() == [1000] * 10
