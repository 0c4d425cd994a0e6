"""A training step captured once as a CUDA graph, then replayed: no launch of single kernels, no work on the host."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from morphml_core.torch.steps import Pick, Plan

_WARM_UP = 3


class RefusedError(Exception):
    """The step cannot be captured; the message says why."""


class Capture:
    """Runs the steps of epochs as one CUDA graph each.

    The plan of an epoch is copied into buffers that the graph reads; a counter on the device, which the graph itself
    advances, says which step it is.  So a replay needs nothing from the host.
    """

    def __init__(self) -> None:
        self._graph: torch.cuda.CUDAGraph | None = None
        self._plan: Plan | None = None

    def run(self, plan: Plan, step: Callable[[Plan, Pick], None], tensors: Callable[[], list[Tensor]]) -> None:
        """Run every step of the plan.  `tensors` lists all that a step changes.

        Raises `RefusedError` where the step cannot be captured; what a step changes is then as it was.
        """
        if self._graph is None or self._plan is None:
            self._plan = plan
            self._cursor = torch.zeros(1, dtype=torch.int64, device=plan.order.device)
            self._graph = self._captured(lambda: self._advance(plan, step), tensors)
        for buffer, fresh in zip(self._plan.tensors(), plan.tensors(), strict=True):
            if buffer is not fresh:
                buffer.copy_(fresh)
        self._cursor.zero_()
        for _ in range(len(plan.order)):
            self._graph.replay()

    def _advance(self, plan: Plan, step: Callable[[Plan, Pick], None]) -> None:
        step(plan, lambda tensor: tensor.index_select(0, self._cursor).squeeze(0))
        self._cursor.add_(1).remainder_(len(plan.order))

    def _captured(self, advance: Callable[[], None], tensors: Callable[[], list[Tensor]]) -> torch.cuda.CUDAGraph:
        before = {id(tensor): tensor.detach().clone() for tensor in tensors()}
        try:
            self._warm_up(advance)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                advance()
            return graph
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            raise RefusedError(str(error).strip().splitlines()[0]) from error
        finally:
            _restore(tensors(), before)

    @staticmethod
    def _warm_up(advance: Callable[[], None]) -> None:
        """Libraries choose and load their kernels, and the optimizer makes its state, before anything is captured."""
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*capturable=True.*")
            for _ in range(_WARM_UP):
                advance()
        torch.cuda.current_stream().wait_stream(stream)


def _restore(tensors: list[Tensor], before: dict[int, Tensor]) -> None:
    """In place, since the graph knows the addresses.  State that a warm-up step made begins at zero."""
    with torch.no_grad():
        for tensor in tensors:
            saved = before.get(id(tensor))
            tensor.zero_() if saved is None else tensor.copy_(saved)
