"""Every configuration in examples/ can be checked, and a shortened search of it runs to the exported network."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from morphml_core.dataset.fashion_mnist import DEBIAN

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(path.name for path in (ROOT / "examples").glob("*.yaml"))


def test_the_examples_are_these():
    assert EXAMPLES == ["digits.yaml", "fashion_mnist.yaml"]


def test_fashion_mnist_searches_and_exports(tmp_path):
    pytest.importorskip("torch")
    if not DEBIAN.exists():
        pytest.skip("Fashion-MNIST is not installed (Debian's package dataset-fashion-mnist)")
    shutil.copy(ROOT / "examples" / "fashion_mnist.yaml", tmp_path)
    small = [
        "space.widths=[8]",
        "space.stages=[2, 2]",
        "space.depth=[1, 1]",
        "space.blocks=[conv]",
        "space.kernels=[3]",
    ]
    options = ["stop.trials=1", "finalists=null", "evaluator.epochs=1", "evaluator.batch_size=512", *small]
    command = [str(Path(sys.executable).with_name("morphml")), "run", "fashion_mnist.yaml", "--json"]
    command += [word for option in options for word in ("--set", option)]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert found["trials"]["finished"] == 1
    assert found["best"]["metrics"]["accuracy"] > 0.2
    assert (tmp_path / "results" / "fashion-mnist" / "export" / "model.py").exists()
