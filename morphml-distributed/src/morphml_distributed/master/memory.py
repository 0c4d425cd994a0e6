"""Python's garbage collector, in a process whose objects are many and stay.

A queue of a hundred thousand tasks is a million objects, none of which is garbage until it is dropped, and then reference counts free it.
The collector looks at all of them whenever a quarter more have come, which stops the master for half a second each time.
"""

from __future__ import annotations

import gc
from collections.abc import Mapping
from typing import Any


class Attic:
    """From `open` to `close`, what has survived a full collection is not looked at in the next one (`gc.freeze`).

    Cycles among such objects are found only when these have doubled since all were looked at: then, when there is time (`air`), the next
    collection looks at all again.  So what is kept in vain does not become more than what is not, unless there never is time.  It holds for the whole process; several may be open at once.
    """

    def __init__(self) -> None:
        self._known = 0
        self._doubled = self._whole = False

    def open(self) -> None:
        """Begin: all that there is now is taken to stay."""
        gc.freeze()
        self._known = gc.get_freeze_count()
        gc.callbacks.append(self._collected)

    def store(self) -> None:
        """There is no time for a full collection: all that there is now is taken to stay, until the next `air`."""
        gc.freeze()
        self._doubled = True

    def air(self) -> None:
        """There is time to look at everything, where that is due."""
        if self._doubled:
            gc.unfreeze()
            self._doubled, self._whole = False, True

    def close(self) -> None:
        """End: the collector looks at everything again."""
        if self._collected in gc.callbacks:
            gc.callbacks.remove(self._collected)
            gc.unfreeze()

    def _collected(self, phase: str, info: Mapping[str, Any]) -> None:
        if phase != "stop" or info["generation"] < 2:
            return
        gc.freeze()
        count = gc.get_freeze_count()
        if self._whole:
            self._known, self._whole = count, False
        self._doubled = self._doubled or count > 2 * self._known
