"""One thread for the linear algebra of small models."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


def one_thread() -> AbstractContextManager[Any]:
    """A context in which BLAS uses one thread.

    Matrices of a few hundred rows gain nothing by more, which would wait for the cores that evaluations use; and
    results are the same to the last bit whatever the number of cores, so that one seed has one trajectory.
    """
    limited: AbstractContextManager[Any] = _controller().limit(limits=1, user_api="blas")
    return limited
