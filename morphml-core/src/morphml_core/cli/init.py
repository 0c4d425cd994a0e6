"""`morphml init`: a starter configuration with comments."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from string import Template

import click

from morphml_core.errors import MorphMLError

_TEMPLATE = Template("""\
# A search with MorphML.  Check it with `morphml validate $file`, start it with `morphml run $file`;
# after an interruption the same command goes on.  docs/configuration.md tells of every setting.

experiment: $name
seed: 7

# What is wanted, the most important first.  Constraints that are known before training are checked before it.
objectives:
  - accuracy
  # - {name: parameters, goal: minimize}
constraints:
  - parameters <= 200000

# What is searched: `morphml plugins space` lists what is installed.
$space

# How a candidate is measured: trained on handwritten digits (8 x 8 pixels, part of scikit-learn).
# Other data: {name: npz, path: my_data.npz}, {name: csv, ...}, {name: image_folder, ...}; `morphml plugins dataset` lists them.
evaluator:
  name: train
  dataset: digits
  epochs: 8
  batch_size: 32

# How candidates are proposed: the default of what is installed, unless you name one; `morphml plugins optimizer` lists them.
# optimizer: random

# Where candidates are trained: two at a time, each in a process of its own (inline: one at a time, in this process).
executor: {name: processes, workers: 2}
trial:
  timeout: 10m

# The search ends at the first of these.
stop:
  trials: 12
  time: 10m

# The record, and where the report and the best network go.
storage: sqlite:///$name.db
output: results/$name
""")

_CHAIN = """\
space:
  name: chain
  layers:
    - conv: {channels: {choice: [16, 32]}, kernel: {choice: [3, 5]}, name: stem}
    - batch_norm
    - relu
    - repeat:
        count: {integer: [1, 3]}
        block:
          - conv: {channels: {choice: [16, 32]}}
          - batch_norm
          - choice: [relu, gelu]
    - max_pool: {kernel: 2, stride: 2}
    - optional: [dropout: {rate: {real: [0.1, 0.4]}}]
  hyperparameters:
    learning_rate: {real: [1.0e-3, 1.0e-2], log: true}"""

_SMALL = "# These options make the published network small enough for the digits; without them it has millions of parameters.\n"

SPACES: Mapping[str, str] = {
    "cnn": "space: cnn",
    "mlp": "space: mlp",
    "chain": _CHAIN,
    "nasbench201": "space: nasbench201",
    "nasbench_macro": _SMALL + "space: {name: nasbench_macro, channels: 8, head: 128}",
    "darts": _SMALL + "space: {name: darts, channels: 8, cells: 5, stem_multiplier: 1}",
}
"""The section `space` of the starter file, by name."""


@click.command(short_help="Write a starter configuration.")
@click.argument("file", type=click.Path(path_type=Path), default=Path("morphml.yaml"))
@click.option("--space", default="cnn", show_default=True, type=click.Choice(list(SPACES)), help="What to search.")
def command(file: Path, space: str) -> None:
    """Write a commented starter configuration to FILE (default: morphml.yaml).  An existing file is never overwritten."""
    name = (
        "".join(letter if (letter.isascii() and letter.isalnum()) or letter in "._-" else "-" for letter in file.stem)
        or "search"
    )
    text = _TEMPLATE.substitute(file=shlex.quote(str(file)), name=name, space=SPACES[space])
    if file.suffix.lower() == ".toml":
        raise MorphMLError(
            f"{file} would be read as TOML, and the starter file is YAML; name it {file.with_suffix('.yaml')}"
        )
    _make_folder(file)
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise MorphMLError(f"{file} exists already; name another file, or remove it first") from None
    except OSError as error:
        raise MorphMLError(f"cannot write {file}: {error.strerror}; name another file") from error
    click.echo(f"Wrote {file}.  Next: morphml run {shlex.quote(str(file))}")


def _make_folder(file: Path) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MorphMLError(f"cannot make the folder {file.parent}: {error.strerror}; name another file") from error
