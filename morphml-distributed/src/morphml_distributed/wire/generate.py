"""Generates the code of the protocol from morphml.proto: `python -m morphml_distributed.wire.generate`.

The code is committed, so that who installs the package needs no compiler.  A test says when it is not what this would write with the
installed grpcio-tools and mypy-protobuf.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

SOURCE = "morphml_distributed/wire/morphml.proto"
FILES = ("morphml_pb2.py", "morphml_pb2.pyi", "morphml_pb2_grpc.py", "morphml_pb2_grpc.pyi")
_TYPED = "# ruff: noqa\n# fmt: off\n"


def generated() -> dict[str, str]:
    """The text of each generated file.  Raises `RuntimeError` with what the compiler said, where it fails."""
    root = Path(__file__).parents[2]
    with tempfile.TemporaryDirectory() as folder:
        ended = subprocess.run(_command(root, folder), capture_output=True, text=True, check=False)
        if ended.returncode:
            raise RuntimeError(f"{SOURCE} cannot be compiled: {ended.stderr.strip()}")
        texts = {name: (Path(folder) / SOURCE).with_name(name).read_text(encoding="utf-8") for name in FILES}
    return {name: _TYPED + text if name.endswith(".pyi") else text for name, text in texts.items()}


def _command(root: Path, folder: str) -> list[str]:
    tools = Path(sys.executable).parent
    command = [
        sys.executable,
        "-m",
        "grpc_tools.protoc",
        f"-I{root}",
        f"--python_out={folder}",
        f"--grpc_python_out={folder}",
    ]
    for plugin in ("mypy", "mypy_grpc"):
        command += [f"--plugin=protoc-gen-{plugin}={tools / f'protoc-gen-{plugin}'}", f"--{plugin}_out={folder}"]
    return [*command, SOURCE]


def main() -> None:
    """Write the files beside this module."""
    for name, text in generated().items():
        Path(__file__).with_name(name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
