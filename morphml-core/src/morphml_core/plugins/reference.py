"""Names of Python objects in configurations: `package.module:name` and `file.py:name`."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from morphml_core.errors import PluginError


def resolve(reference: str, folder: Path | None = None) -> Any:
    """The object that `module:name` or `file.py:name` names; `name` may have dots.

    A relative file is below `folder` (None: the working directory), and modules beside it can be imported.  Raises `PluginError` where there is no such module, file or name, or where importing it fails.
    """
    source, _, name = reference.rpartition(":")
    if not source or not name:
        raise PluginError(f"'{reference}' names no Python object; write module:name or file.py:name")
    if source.endswith(".py"):
        found: Any = _run((folder or Path()) / source, reference)
    else:
        with _importable(folder or Path()):
            found = _import(source, reference)
    for part in name.split("."):
        if not hasattr(found, part):
            raise PluginError(f"'{reference}' cannot be imported: {source} has no '{part}'; there are {_names(found)}")
        found = getattr(found, part)
    return found


def _import(module: str, reference: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except (Exception, SystemExit) as error:
        raise PluginError(f"'{reference}' cannot be imported: {_describe(error)}") from error


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Modules of a folder can be imported meanwhile, as when Python runs a script of it."""
    place = str(folder.absolute())
    sys.path.insert(0, place)
    try:
        yield
    finally:
        if place in sys.path:
            sys.path.remove(place)


def _run(path: Path, reference: str) -> ModuleType:
    if not path.is_file():
        raise PluginError(f"'{reference}' cannot be imported: there is no file {path.absolute()}")
    place = str(path.absolute())
    name = f"_morphml_file_{path.stem}_{hashlib.sha256(place.encode()).hexdigest()[:8]}"
    stamp = path.stat().st_mtime_ns
    known = sys.modules.get(name)
    if known is not None and getattr(known, "__morphml_stamp__", None) == stamp:
        return known  # two references to one file share its classes
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up there
    try:
        with _importable(path.parent):
            spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise PluginError(f"'{reference}' cannot be imported: {_describe(error)}{_line(error, path)}") from error
    module.__dict__["__morphml_stamp__"] = stamp
    return module


def _describe(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _line(error: BaseException, path: Path) -> str:
    """Where in the file an error that its code raised comes from; a syntax error says that itself."""
    lines = [line for frame, line in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename == str(path)]
    return f" (line {lines[-1]} of {path.name})" if lines else ""


def _names(found: Any) -> str:
    return ", ".join(sorted(name for name in vars(found) if not name.startswith("_"))) or "no public names"
