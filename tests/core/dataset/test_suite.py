"""Every built-in dataset passes the suite that third parties use."""

import gzip

import numpy as np
import pytest

from morphml_core.dataset import csv, digits, fashion_mnist, image_folder, npz
from morphml_core.testing import DatasetSuite


def write_idx(path, array):
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, dtype=">u4").tobytes()
    content = header + array.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def small_fashion(folder):
    rng = np.random.default_rng(0)
    for name, count, end in (("train", 120, ".gz"), ("t10k", 40, "")):
        write_idx(folder / f"{name}-images-idx3-ubyte{end}", rng.integers(0, 256, (count, 28, 28), dtype=np.uint8))
        write_idx(folder / f"{name}-labels-idx1-ubyte{end}", np.arange(count, dtype=np.uint8) % 10)


class TestDigits(DatasetSuite):
    @pytest.fixture
    def make(self):
        return lambda: digits.component.create(digits.Config())


class TestFashionMnist(DatasetSuite):
    @pytest.fixture
    def make(self, tmp_path):
        small_fashion(tmp_path)
        return lambda: fashion_mnist.component.create(fashion_mnist.Config(tmp_path))


class TestNpzClasses(DatasetSuite):
    @pytest.fixture
    def make(self, tmp_path):
        rng = np.random.default_rng(0)
        path = tmp_path / "classes.npz"
        np.savez(
            path,
            x=rng.integers(0, 256, (60, 5, 5, 3), dtype=np.uint8),
            y=np.array(["cat", "dog", "eel"])[np.arange(60) % 3],
        )
        return lambda: npz.component.create(npz.Config(path, layout="hwc"))


class TestNpzRegression(DatasetSuite):
    @pytest.fixture
    def make(self, tmp_path):
        rng = np.random.default_rng(0)
        path = tmp_path / "numbers.npz"
        np.savez(path, x=rng.normal(size=(60, 4)), y=rng.normal(size=(60, 2)))
        return lambda: npz.component.create(npz.Config(path))


class TestCsvClasses(DatasetSuite):
    @pytest.fixture
    def make(self, tmp_path):
        path = tmp_path / "classes.csv"
        rows = [f"{i % 7},{'red' if i % 3 else 'blue'},{'yes' if i % 2 else 'no'}" for i in range(80)]
        path.write_text("size,colour,sold\n" + "\n".join(rows) + "\n")
        return lambda: csv.component.create(csv.Config(path, target="sold"))


class TestCsvRegression(DatasetSuite):
    @pytest.fixture
    def make(self, tmp_path):
        path = tmp_path / "numbers.csv"
        path.write_text("\n".join(f"{i};{i * 0.37}" for i in range(80)))
        return lambda: csv.component.create(csv.Config(path, header=False, delimiter=";"))


class TestImageFolder(DatasetSuite):
    @pytest.fixture
    def make(self, tmp_path):
        Image = pytest.importorskip("PIL.Image")  # noqa: N806
        rng = np.random.default_rng(0)
        for name in ("ant", "bee"):
            (tmp_path / name).mkdir()
            for i in range(10):
                Image.fromarray(rng.integers(0, 256, (9, 7, 3), dtype=np.uint8)).save(tmp_path / name / f"{i}.png")
        return lambda: image_folder.component.create(image_folder.Config(tmp_path, size=6))
