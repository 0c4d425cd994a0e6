"""Distributions made of real metadata in a folder of their own, importable like installed ones."""

import sys
from pathlib import Path

import pytest

HILL_CLIMB = """
import attrs
from morphml_core.plugins.component import optimizer

@attrs.frozen
class Config:
    steps: int = 5

class HillClimb:
    def __init__(self, config, problem):
        self.config, self.problem = config, problem

    def ask(self, numbers, pending):
        return []

    def tell(self, trials):
        pass

component = optimizer(Config, HillClimb)
"""


class Site:
    """A folder like site-packages."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def path(self) -> list[str]:
        return [str(self.folder)]

    def install(self, name, points, version="1.0", requires=(), folder=None, core="0.1.0"):
        """Write the metadata of a distribution; `points` are lines by group."""
        info = (folder or self.folder) / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        needs = "".join(f"Requires-Dist: {need}\n" for need in requires)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}")
        groups = [f"[{group}]\n" + "\n".join(lines) + "\n" for group, lines in points.items()]
        (info / "entry_points.txt").write_text("\n".join(groups))
        return info

    def module(self, name, code):
        (self.folder / f"{name}.py").write_text(code)


@pytest.fixture
def site(tmp_path, monkeypatch):
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(tmp_path))
    made = Site(tmp_path)
    made.install("morphml-core", {"morphml.optimizer": ["random = morphml_core.optimizer.random:component"]}, "0.1.0")
    made.module("climb", HILL_CLIMB)
    yield made
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in str(sys.modules[name].__file__):
            del sys.modules[name]
