"""What several commands share: addresses, durations, and what secures a connection."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from morphml_core.plugins.units import seconds

if TYPE_CHECKING:
    from morphml_distributed.security.settings import Security

F = TypeVar("F", bound=Callable[..., Any])

FILE = click.Path(dir_okay=False, path_type=Path)


def address(ctx: click.Context, parameter: click.Parameter, value: str) -> str:
    """HOST:PORT of a master.  Raises `click.BadParameter`."""
    from morphml_distributed.security.settings import port_of

    if not port_of(value):  # none, or 0, where nobody listens
        raise click.BadParameter(f"'{value}' is not an address; write HOST:PORT, such as 10.0.0.1:4567")
    return value


def duration(ctx: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    """Seconds of 90, 30s, 10m or 1h.  Raises `click.BadParameter`."""
    if value is None:
        return None
    try:
        return float(seconds(float(value) if re.fullmatch(r"\d+(\.\d+)?", value) else value))
    except ValueError:
        raise click.BadParameter(f"'{value}' is not a duration; write 30s, 10m or 1h") from None


def secured(command: F) -> F:
    """Give a command the options that secure its connection to the master; `security_of` reads them."""
    for option in (
        click.option("--insecure", is_flag=True, help="Allow a connection without TLS to another machine."),
        click.option("--token-file", type=FILE, help="The file with the cluster's token."),
        click.option("--key", type=FILE, help="The key of that certificate (worker.key)."),
        click.option("--certificate", type=FILE, help="A certificate of that authority (worker.pem)."),
        click.option("--authority", type=FILE, help="The certificate of the cluster's authority (ca.pem)."),
    ):
        command = option(command)
    return command


def security_of(
    authority: Path | None, certificate: Path | None, key: Path | None, token_file: Path | None, insecure: bool, **rest: Any
) -> Security:  # fmt: skip
    """What these options say, with full paths.  Raises `SecurityError`."""
    from morphml_distributed.security.settings import Security

    return Security(_full(authority), _full(certificate), _full(key), _full(token_file), insecure)


def _full(path: Path | None) -> Path | None:
    return None if path is None else path.absolute()
