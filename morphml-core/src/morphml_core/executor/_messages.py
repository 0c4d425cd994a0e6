"""What the executor `processes` and its worker processes say to each other, and how a worker ends."""

from __future__ import annotations

import attrs

EXIT_MEMORY = 86
"""Exit code of a worker that ended itself because its task passed the memory limit."""

EXIT_ORPHAN = 87
"""Exit code of a worker whose parent is gone."""


@attrs.frozen
class Ready:
    """Up: the workload is built; tasks may come."""


@attrs.frozen
class Broken:
    """Up: the workload cannot be built in this process."""

    message: str


@attrs.frozen
class Cancel:
    """Down: end this attempt at this trial at its next step."""

    number: int
    attempt: int


@attrs.frozen
class Leave:
    """Down: end the process."""
