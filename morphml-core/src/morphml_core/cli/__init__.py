"""The command line: `morphml COMMAND`.  Each command is a module of its own, imported when it is called; other distributions bring more.

So `morphml --help` starts fast, and a broken or missing optional package hurts only the command that needs it.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any

import click

from morphml_core.cli import installed
from morphml_core.errors import ConfigurationError, MorphMLError
from morphml_core.plugins.hints import distribution_of
from morphml_core.plugins.words import nearest

COMMANDS: Mapping[str, str] = {
    "run": "Search, or go on with a search.",
    "show": "Show where an experiment stands.",
    "trials": "List the trials.",
    "best": "Show the best trial.",
    "export": "Write a trained network to a folder.",
    "report": "Write the HTML report.",
    "retry": "Put failed trials back into the queue.",
    "validate": "Check a configuration.",
    "plugins": "List what is installed.",
    "init": "Write a starter configuration.",
}
"""The commands in the order of the help text, each with its line in it; the module is `morphml_core.cli.<name>`."""


class Commands(click.Group):
    """A group that imports a command when it is called, and prints errors as sentences."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the commands, those of other distributions last."""
        return [*COMMANDS, *(name for name in installed.commands() if name not in COMMANDS)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported now."""
        if cmd_name not in COMMANDS:
            points = installed.commands().get(cmd_name)
            return installed.load(cmd_name, points) if points else None
        found: click.Command = import_module(f"morphml_core.cli.{cmd_name}").command
        found.name = cmd_name
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that was asked for.  Raises `click.UsageError` with the nearest name, or with what to install."""
        name = args[0] if args else ""
        if name and self.get_command(ctx, name) is None and not name.startswith("-"):
            ctx.fail(f"there is no command '{name}'; {_advice(name, self.list_commands(ctx))}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands; our own are not imported for it."""
        others = [(name, installed.summary(name, points)) for name, points in installed.commands().items()]
        with formatter.section("Commands"):
            formatter.write_dl([*COMMANDS.items(), *(row for row in others if row[0] not in COMMANDS)])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command.  This is the one place where an error becomes its sentence and exit code."""
        try:
            return super().invoke(ctx)
        except MorphMLError as error:
            complaints = error.complaints if isinstance(error, ConfigurationError) else [error]
            for complaint in complaints:
                click.echo(f"Error: {complaint}", err=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt as error:
            ctx.exit(128 + (error.args[0] if error.args else signal.SIGINT))
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            with suppress(OSError):
                click.echo("Error: the disk is full; free some space and run this again", err=True)
            _forget_output()
            ctx.exit(2)


def _advice(name: str, names: Sequence[str]) -> str:
    owner = distribution_of("command", name)
    if owner is not None:
        return f"it comes with {owner}: pip install {owner}"
    near = nearest(name, names)
    return f"did you mean '{near}'?" if near else "`morphml --help` lists them"


def _forget_output() -> None:
    """Let what could not be written go: otherwise Python tries once more at its end, and fails with a code of its own."""
    with suppress(OSError, ValueError), open(os.devnull, "w") as nothing:
        os.dup2(nothing.fileno(), sys.stdout.fileno())


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="morphml-core", prog_name="morphml", message="%(prog)s %(version)s")
def main() -> None:
    """MorphML finds neural network architectures.

    A search is described by one configuration file. `morphml init` writes one to begin with, `morphml run` searches,
    and every other command reads what the search has recorded.
    """
