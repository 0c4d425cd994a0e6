"""Training without a trace: random numbers, threads and backend flags are set for a while, then put back."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from morphml_core.errors import EvaluationError


def seed_of(seed: int, stream: int) -> int:
    """A seed below 2**63 of its own for one stream of a trial: the initial weights (0), or an epoch (from 1)."""
    return int(np.random.SeedSequence([seed, stream]).generate_state(1, np.uint64)[0] >> 1)


@contextmanager
def isolated(seed: int, device: torch.device, threads: int, deterministic: bool) -> Iterator[None]:
    """Torch's own generators begin at `seed` here, `threads` threads compute, and all is as before afterwards."""
    before = torch.get_num_threads()
    with (
        torch.random.fork_rng([torch.cuda.current_device()] if device.type == "cuda" else []),
        _backend(device, deterministic),
    ):
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            torch.cuda.manual_seed(seed)
        torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)


@contextmanager
def _backend(device: torch.device, deterministic: bool) -> Iterator[None]:
    """On CUDA: deterministic kernels where there are some.  On the CPU every kernel that is used is deterministic."""
    if device.type != "cuda":
        yield
        return
    mode, warn = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    memory: Any = torch.utils.deterministic
    fill = memory.fill_uninitialized_memory
    with (
        torch.backends.cudnn.flags(
            enabled=True, benchmark=not deterministic, deterministic=deterministic, allow_tf32=False
        ),
        warnings.catch_warnings(),
    ):
        # An operation that has no deterministic kernel still runs: a search must not fail for the last bit.
        warnings.filterwarnings("ignore", message=".*does not have a deterministic implementation.*")
        warnings.filterwarnings("ignore", message=".*deterministic.*CuBLAS.*")
        memory.fill_uninitialized_memory = False
        torch.use_deterministic_algorithms(deterministic, warn_only=True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(mode, warn_only=warn)
            memory.fill_uninitialized_memory = fill


def device_of(name: str) -> torch.device:
    """The device of the option `device`.  Raises `EvaluationError` where CUDA is asked for and there is none."""
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise EvaluationError("error", "device: cuda was asked for, but torch finds no CUDA device; use auto or cpu")
    return torch.device("cuda" if name != "cpu" and available else "cpu")
