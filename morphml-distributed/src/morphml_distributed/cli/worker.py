"""`morphml worker`: join a master, and run its trials here."""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Sequence
from contextlib import ExitStack, chdir
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from morphml_core.cli import common
from morphml_core.errors import MorphMLError
from morphml_core.plugins.units import size
from morphml_distributed.cli import options

if TYPE_CHECKING:
    from morphml_distributed.dispatch.messages import Capacity
    from morphml_distributed.security.settings import Security

_NAME = 200


def _bytes(ctx: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    if value is None:
        return None
    try:
        return int(size(int(value) if value.isascii() and value.isdigit() else value))
    except ValueError:
        raise click.BadParameter(f"'{value}' is not a size; write 8GiB, 500MB or a number of bytes") from None


def _gpus(ctx: click.Context, parameter: click.Parameter, value: str | None) -> int | list[str] | None:
    if value is None:
        return None
    if value.isascii() and value.isdigit():
        return int(value)
    ids = [part.strip() for part in value.split(",") if part.strip()]
    if not ids or len(set(ids)) < len(ids):
        raise click.BadParameter(
            f"'{value}' names no GPUs; write how many (2), or distinct ids with commas between (0,3)"
        )
    return ids


def _named(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str:
    name = value if value is not None else f"{socket.gethostname()}-{os.getpid()}"
    if not 0 < len(name) <= _NAME or not name.isprintable():
        raise click.BadParameter(f"names are 1 to {_NAME} printable characters")
    return name


def _labels(ctx: click.Context, parameter: click.Parameter, value: Sequence[str]) -> frozenset[str]:
    for label in value:
        if not 0 < len(label) <= _NAME or not label.isprintable():
            raise click.BadParameter(f"labels are 1 to {_NAME} printable characters")
    return frozenset(value)


@click.command(short_help="Join a master, and run its trials on this machine.")
@click.option(
    "--master", required=True, metavar="HOST:PORT", callback=options.address, help="Where the master listens."
)
@click.option("--name", callback=_named, help="Its name, unique in the cluster (default: that of the machine with the process number).")  # fmt: skip
@click.option("--folder", default=".", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Where relative paths and 'python:' references of the configuration are looked for (default: here).")  # fmt: skip
@click.option("--cpus", type=click.FloatRange(0.0, 1e6, min_open=True), help="CPU cores to offer (default: all that it may use).")  # fmt: skip
@click.option("--memory", callback=_bytes, metavar="SIZE", help="Memory to offer: 8GiB (default: all that it may use).")
@click.option("--gpus", callback=_gpus, metavar="N|IDS", help="GPUs to offer: 2, or 0,3 (default: all that nvidia-ml-py finds).")  # fmt: skip
@click.option("--label", "labels", multiple=True, callback=_labels, help="A label that trials can ask for. May be given again.")  # fmt: skip
@click.option("--slots", type=click.IntRange(1, 4096), help="At most so many trials at once (default: what CPUs, memory and GPUs allow).")  # fmt: skip
@click.option("--isolation", type=click.Choice(["processes", "none"]), default="processes", show_default=True, help="Each trial in a process of its own, or all in threads of this one (for quick trials).")  # fmt: skip
@click.option("--deadline", default="30s", show_default=True, callback=options.duration, help="How long trials may go on after SIGTERM.")  # fmt: skip
@click.option("--patience", callback=options.duration, help="Give up after so long without a master (default: never).")
@click.option("--stay/--leave-with-master", default=True, show_default=True, help="Wait for the next master when one has ended, or end too.")  # fmt: skip
@options.secured
@click.option("--log", "log_file", type=options.FILE, help="Append what it prints to this file, with the time.")
@common.as_json
def command(
    master: str, name: str, folder: Path, slots: int | None, deadline: float, log_file: Path | None, as_json: bool,
    **rest: Any,
) -> None:  # fmt: skip
    """Join a master, and run its trials on this machine.

    The master is `morphml run` with `executor: {name: grpc, ...}`; workers may come at any time, and find it again when it was gone.
    SIGTERM or Ctrl-C lets the running trials end, until the deadline; a second one ends at once. Ends with 2 when the master refuses
    this worker for good.
    """
    from morphml_distributed.worker.log import Log
    from morphml_distributed.worker.worker import Settings, Worker

    capacity = _capacity(rest["cpus"], rest["memory"], rest["gpus"], rest["labels"])
    settings = Settings(
        master, name, folder.absolute(), capacity, slots or _slots(capacity), rest["isolation"], deadline, _security(master, **rest),
        rest["patience"], rest["stay"],
    )  # fmt: skip
    with ExitStack() as stack:
        file = stack.enter_context(_opened(log_file)) if log_file else None
        out = stack.enter_context(os.fdopen(os.dup(1), "w", encoding="utf-8"))
        stack.enter_context(common.quiet_stdout())
        stack.enter_context(chdir(settings.folder))
        code = Worker(settings, Log(name, out, as_json, file)).run()
    click.get_current_context().exit(code)


def _capacity(
    cpus: float | None, memory: int | None, gpus: int | Sequence[str] | None, labels: frozenset[str]
) -> Capacity:
    from morphml_distributed import resources
    from morphml_distributed.dispatch.messages import Capacity

    found = resources.gpus(gpus, os.environ.get("CUDA_VISIBLE_DEVICES"))
    return Capacity(cpus or resources.cpu_count(), memory or resources.memory_size(), found, labels)


def _slots(capacity: Capacity) -> int:
    """CPUs, memory and GPUs are the limit; this only bounds trials that need almost nothing."""
    return min(4096, max(64, 10 * math.ceil(capacity.cpus), 10 * len(capacity.gpus)))


def _security(master: str, **rest: Any) -> Security:
    """The security of the options, tried at once: a wrong file is to be told now."""
    from morphml_distributed.security.channels import open_channel
    from morphml_distributed.security.tokens import token_of

    security = options.security_of(**rest)
    token_of(security)
    open_channel(master, security).close()
    return security


def _opened(path: Path) -> IO[str]:
    try:
        return path.open("a", encoding="utf-8")
    except OSError as error:
        raise MorphMLError(f"the log cannot be written to {path}: {error.strerror}") from None
