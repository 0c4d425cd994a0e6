"""`morphml cluster`: look at a running cluster, or make the certificates for one."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

import click

from morphml_core.cli import common
from morphml_distributed.cli import options
from morphml_distributed.cli.init_cluster import init_cluster


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


@command.command("show", short_help="Show workers, queue and leases.")
@click.argument("master", metavar="HOST:PORT", callback=options.address)
@click.option("--watch", is_flag=True, help="Show them again and again, until Ctrl-C.")
@click.option("--every", default=1.0, show_default=True, type=click.FloatRange(0.2, 3600), help="Seconds between two looks, with --watch.")  # fmt: skip
@options.secured
@common.as_json
def show(master: str, watch: bool, every: float, as_json: bool, **rest: Any) -> None:
    """Show the workers, the queue and the leases of the master at HOST:PORT.

    With --json it prints what programs need, with --watch one JSON object a line.
    """
    from morphml_distributed.cli.cluster_view import Screen
    from morphml_distributed.master.viewer import snapshots

    screen = Screen(sys.stdout)
    found = snapshots(master, options.security_of(**rest), every if watch else 0.0)
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


command.add_command(init_cluster)
