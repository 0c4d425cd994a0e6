"""Runs the command line with a wall clock that somebody else steps: `python -m morphml_distributed.chaos.clock FILE ARGUMENT...`.

The file holds the seconds by which `time.time` is off; it is read at each call.  The monotonic clock stays as it is, as it does where
an administrator, or the time service, steps the clock of a real machine.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path


def step(file: Path) -> None:
    """Let `time.time` follow the file."""
    true = time.time

    def stepped() -> float:
        try:
            return true() + float(file.read_text() or 0)
        except (OSError, ValueError):
            return true()

    time.time = stepped


if __name__ == "__main__":
    step(Path(sys.argv[1]))
    from morphml_core.cli import main

    sys.argv = ["morphml", *sys.argv[2:]]
    main()
