"""The sources of the repository, and the imports that each module makes."""

import ast
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

ROOT = Path(__file__).parents[2]


@attrs.frozen
class Import:
    module: str
    at_load: bool


@attrs.frozen
class Module:
    name: str
    path: Path

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.path.read_text(encoding="utf-8"))

    def imports(self) -> list[Import]:
        return list(_imports(self.tree, True))


def _imports(node: ast.AST, at_load: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, at_load) for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module:
            yield from (Import(f"{child.module}.{alias.name}", at_load) for alias in child.names)
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            yield from _imports(child, False)
        else:
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from _imports(child, at_load and not inside)


def _modules() -> Iterator[Module]:
    for package in sorted(ROOT.glob("morphml-*/src/*")):
        for path in sorted(package.rglob("*.py")):
            if path.stem.endswith(("_pb2", "_pb2_grpc")):
                continue  # generated
            parts = path.relative_to(package.parent).with_suffix("").parts
            yield Module(".".join(parts[:-1] if parts[-1] == "__init__" else parts), path)


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def modules() -> list[Module]:
    return list(_modules())
