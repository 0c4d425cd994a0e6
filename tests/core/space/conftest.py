import csv
import gzip
import os
from pathlib import Path

import pytest

from morphml_core.graph.operations import Signature


@pytest.fixture(scope="session")
def cifar():
    return Signature((3, 32, 32), 10)


@pytest.fixture(scope="session")
def rows():
    """Reads a table of published results; skips where there are none."""
    beside = Path(__file__).resolve().parents[4] / "shared" / "data"
    folder = Path(os.environ.get("MORPHML_DATA") or beside)

    def read(name):
        path = folder / name
        if not path.exists():
            pytest.skip(f"{path} is not there; set MORPHML_DATA to a folder with the published tables")
        with gzip.open(path, "rt", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    return read


@pytest.fixture(scope="session")
def counted():
    """The number of trainable parameters of the built network, on the meta device: shapes without memory."""
    torch = pytest.importorskip("torch")
    from morphml_core.torch.build import build

    def count(lowered):
        with torch.device("meta"):
            network = build(lowered)
        return sum(parameter.numel() for parameter in network.parameters())

    return count
