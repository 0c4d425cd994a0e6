"""Runs one suite against one implementation, without pytest around it, and says which of its tests fail."""

from __future__ import annotations

import inspect
import itertools
from pathlib import Path

import pytest


def failing(suite, make, tmp_path: Path, among=()) -> set[str]:
    """The names of the suite's tests (`among` these, if given) that an implementation fails for some parameters."""
    found = set()
    folders = itertools.count()
    for name, test in inspect.getmembers(suite, inspect.isfunction):
        short = name.removeprefix("test_")
        if not name.startswith("test_") or (among and short not in among):
            continue
        if not all(_passes(suite, test, given, make, tmp_path / str(next(folders))) for given in _grid(test)):
            found.add(short)
    return found


def _grid(test):
    marks = [mark for mark in getattr(test, "pytestmark", []) if mark.name == "parametrize"]
    axes = [[(mark.args[0], value) for value in mark.args[1]] for mark in marks]
    return [dict(values) for values in itertools.product(*axes)]


def _passes(suite, test, given, make, folder: Path) -> bool:
    folder.mkdir()
    instance = suite()
    arguments = {"make": make, "tmp_path": folder, **given}
    wanted = inspect.signature(test).parameters
    if "workbench" in wanted:
        arguments["workbench"] = suite.workbench.__wrapped__(instance, folder)
    try:
        test(instance, **{name: value for name, value in arguments.items() if name in wanted})
    except pytest.skip.Exception:
        return True
    except (Exception, pytest.fail.Exception):
        return False
    return True
