"""`morphml cluster`: look at a running cluster, or make the certificates for one."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from morphml_core.cli import common
from morphml_distributed.cli.init_cluster import init_cluster

if TYPE_CHECKING:
    from morphml_distributed.security.settings import Security

_FILE = click.Path(dir_okay=False, path_type=Path)


class _Group(click.Group):
    """`morphml cluster HOST:PORT` is `morphml cluster show HOST:PORT`."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first word names, or `show`."""
        if args and args[0] not in self.commands and ":" in args[0]:
            args = ["show", *args]
        return super().resolve_command(ctx, args)


@click.group(cls=_Group, short_help="Look at a running cluster, or make certificates for one.")
def command() -> None:
    """Look at a running cluster (`morphml cluster HOST:PORT`), or make the certificates for one (`morphml cluster init`)."""


def _address(ctx: click.Context, parameter: click.Parameter, value: str) -> str:
    host, _, port = value.rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise click.BadParameter(f"'{value}' is not an address; write HOST:PORT, such as 10.0.0.1:4567")
    return value


@command.command("show", short_help="Show workers, queue and leases.")
@click.argument("master", metavar="HOST:PORT", callback=_address)
@click.option("--watch", is_flag=True, help="Show them again and again, until Ctrl-C.")
@click.option("--every", default=1.0, show_default=True, type=click.FloatRange(0.2, 3600), help="Seconds between two looks, with --watch.")  # fmt: skip
@click.option("--authority", type=_FILE, help="The certificate of the cluster's authority (ca.pem).")
@click.option("--certificate", type=_FILE, help="A certificate of the authority (worker.pem).")
@click.option("--key", type=_FILE, help="Its key (worker.key).")
@click.option("--token-file", type=_FILE, help="The file with the cluster's token.")
@click.option("--insecure", is_flag=True, help="Allow a connection without TLS to another machine.")
@common.as_json
def show(master: str, watch: bool, every: float, as_json: bool, **rest: Any) -> None:
    """Show the workers, the queue and the leases of the master at HOST:PORT.

    With --json it prints what programs need, with --watch one JSON object a line.
    """
    from morphml_distributed.cli.cluster_view import Screen
    from morphml_distributed.master.viewer import snapshots

    screen = Screen(sys.stdout)
    found = snapshots(master, _security(**rest), every if watch else 0.0)
    try:
        with screen.live(watch and not as_json):
            for snapshot in found:
                if as_json:
                    _print(snapshot, watch)
                else:
                    screen.show(snapshot)
    except KeyboardInterrupt:
        if not watch:
            raise
    finally:
        found.close()


def _print(snapshot: Mapping[str, Any], line: bool) -> None:
    click.echo(json.dumps(snapshot, indent=None if line else 2, ensure_ascii=False))


def _security(
    authority: Path | None, certificate: Path | None, key: Path | None, token_file: Path | None, insecure: bool
) -> Security:
    from morphml_distributed.security.settings import Security

    return Security(authority, certificate, key, token_file, insecure)


command.add_command(init_cluster)
