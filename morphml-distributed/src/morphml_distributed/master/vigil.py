"""Looks whether there are workers, and tells a person when there are none, when one has come, and which cannot join."""

from __future__ import annotations

from morphml_distributed.master.conductor import Conductor
from morphml_distributed.master.logs import logger

_REPEAT = 300.0
_REMEMBERED = 1000


class Vigil:
    """`look` is called about twice a second.  After `silence` seconds without a worker it says so, and again every five minutes."""

    def __init__(self, conductor: Conductor, silence: float) -> None:
        self._conductor = conductor
        self._silence = silence
        self._since = conductor.clock()
        self._next = self._since + silence
        self._waiting = False
        self._told: dict[tuple[str, str], None] = {}

    def look(self, tasks: int) -> None:
        """`tasks` are those that wait or run."""
        now = self._conductor.clock()
        working = [session for session in self._conductor.sessions.values() if session.state == "ready"]
        if working:
            if self._waiting:
                logger.warning("the worker '%s' has joined", working[0].worker)
            self._waiting, self._since, self._next = False, now, now + self._silence
        elif tasks and now >= self._next:
            unable = [session.worker for session in self._conductor.sessions.values() if session.state == "unable"]
            instead = f" ({len(unable)} connected, unable to work for this search)" if unable else ""
            logger.warning("there has been no worker%s for %.0f s; waiting", instead, now - self._since)
            self._waiting, self._next = True, now + _REPEAT

    def tell(self, worker: str, sentence: str) -> None:
        """Of a worker that is refused or unable: once for each reason, as it tries again and again."""
        if (worker, sentence) in self._told:
            return
        if len(self._told) >= _REMEMBERED:
            del self._told[next(iter(self._told))]
        self._told[worker, sentence] = None
        logger.warning("the worker '%s' is %s", worker, sentence) if worker else logger.info("somebody is %s", sentence)
