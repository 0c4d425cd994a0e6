"""Checkpoints and models in the store of artifacts: plain tensors, numbers and strings, loaded without running any code."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from morphml_core.errors import EvaluationError
from morphml_core.protocols import Artifacts


def checkpoint_name(number: int) -> str:
    """The artifact of a trial's last checkpoint."""
    return f"{number}/checkpoint.pt"


def model_name(number: int) -> str:
    """The artifact of a trial's trained network."""
    return f"{number}/model.pt"


def save(artifacts: Artifacts, name: str, content: Mapping[str, Any]) -> None:
    """Store tensors, numbers, strings, lists and dictionaries under a name."""
    with tempfile.TemporaryDirectory(prefix="morphml-") as folder:
        path = Path(folder) / "content.pt"
        write(content, path)
        artifacts.put(name, path)


def write(content: Mapping[str, Any], path: Path) -> None:
    """Write tensors and plain values to a file.  Raises `OSError` where that fails."""
    held = io.BytesIO()  # on a full disk, torch's own writer ends the whole process
    torch.save(dict(content), held)
    path.write_bytes(held.getbuffer())


def load(artifacts: Artifacts, name: str) -> dict[str, Any] | None:
    """What was stored under a name, on the CPU, or None.  Raises `EvaluationError` where it is no such file."""
    with tempfile.TemporaryDirectory(prefix="morphml-") as folder:
        path = Path(folder) / "content.pt"
        if not artifacts.get(name, path):
            return None
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # bytes that are no checkpoint make torch fail in many ways
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise EvaluationError(
                "error", f"the artifact {name} cannot be read: {reason}; delete it to start afresh"
            ) from error
    if not isinstance(content, dict):
        raise EvaluationError("error", f"the artifact {name} is no checkpoint; delete it to start afresh")
    return content


def on_cpu(value: Any) -> Any:
    """A copy with every tensor on the CPU, unshared."""
    if isinstance(value, torch.Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, Mapping):
        return {key: on_cpu(item) for key, item in value.items()}
    return value
