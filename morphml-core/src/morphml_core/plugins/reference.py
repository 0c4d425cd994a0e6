"""Names of Python objects in configurations: `package.module:name` and `file.py:name`."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from morphml_core.errors import PluginError


def resolve(reference: str) -> Any:
    """The object that `module:name` or `file.py:name` names; `name` may have dots.

    Raises `PluginError` where there is no such module, file or name, or where importing it fails.
    """
    source, _, name = reference.rpartition(":")
    if not source or not name:
        raise PluginError(f"'{reference}' names no Python object; write module:name or file.py:name")
    found: Any = _run(Path(source), reference) if source.endswith(".py") else _import(source, reference)
    for part in name.split("."):
        if not hasattr(found, part):
            raise PluginError(f"'{reference}' cannot be imported: {source} has no '{part}'; there are {_names(found)}")
        found = getattr(found, part)
    return found


def _import(module: str, reference: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except Exception as error:
        raise PluginError(f"'{reference}' cannot be imported: {_describe(error)}") from error


def _run(path: Path, reference: str) -> ModuleType:
    if not path.is_file():
        raise PluginError(f"'{reference}' cannot be imported: there is no file {path.absolute()}")
    name = f"_morphml_file_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up there
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise PluginError(f"'{reference}' cannot be imported: {_describe(error)}") from error
    return module


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _names(found: Any) -> str:
    return ", ".join(sorted(name for name in vars(found) if not name.startswith("_"))) or "no public names"
