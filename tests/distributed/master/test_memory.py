"""What the garbage collector is spared."""

from __future__ import annotations

import gc

from morphml_distributed.master.memory import Attic


class Knot:
    """A cycle."""

    def __init__(self) -> None:
        self.itself = self


def test_what_survives_is_not_looked_at_until_there_is_time() -> None:
    attic = Attic()
    attic.open()
    try:
        knot = Knot()
        gc.collect()
        assert not any(each is knot for each in gc.get_objects())
        attic.store()
        attic.air()
        assert any(each is knot for each in gc.get_objects())
    finally:
        attic.close()
    assert attic._collected not in gc.callbacks
