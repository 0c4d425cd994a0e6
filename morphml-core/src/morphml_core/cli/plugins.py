"""`morphml plugins`: what is installed, by kind."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import attrs
import click

from morphml_core.cli import common
from morphml_core.errors import MorphMLError
from morphml_core.plugins.catalogue import Catalogue, Entry
from morphml_core.plugins.component import HOOK, KINDS
from morphml_core.plugins.words import suggestion

if TYPE_CHECKING:
    from morphml_core.plugins.loader import Loader


@attrs.frozen
class Row:
    """One entry, and what checking it said: "ok", a sentence, or nothing where it was not checked."""

    entry: Entry
    check: str = ""

    @property
    def cells(self) -> list[str]:
        """The row of a table."""
        cells = [self.entry.kind, self.entry.name, self.entry.distribution, self.entry.version]
        return [*cells, self.check] if self.check else cells


@click.command(short_help="List what is installed.")
@click.argument("kind", required=False)
@click.option("--check", is_flag=True, help="Import each one, and say what is wrong with it.")
@common.as_json
def command(kind: str | None, check: bool, as_json: bool) -> None:
    """List the components that are installed: kind, name, distribution and version.

    Nothing is imported for it, unless with --check, which ends with 2 where one cannot be used.
    """
    if kind is not None and kind not in (*KINDS, HOOK):
        raise MorphMLError(f"there is no kind '{kind}'; {suggestion(kind, (*KINDS, HOOK))}")
    catalogue = Catalogue.installed()
    entries = [entry for entry in catalogue if kind in (None, entry.kind)]
    rows = _checked(catalogue, entries) if check else [Row(entry) for entry in entries]
    if as_json:
        common.print_json([_plain(row) for row in rows])
    else:
        _print(rows)
    for note in catalogue.notes:
        click.echo(f"Note: {note}", err=True)
    if any(row.check not in ("", "ok") for row in rows):
        raise click.exceptions.Exit(2)


def _checked(catalogue: Catalogue, entries: Sequence[Entry]) -> list[Row]:
    from morphml_core.plugins.loader import Loader

    loader = Loader(catalogue)
    return [Row(entry, _verdict(loader, entry)) for entry in entries]


def _verdict(loader: Loader, entry: Entry) -> str:
    try:
        loader.entry(entry.kind, entry.name)
        loader.import_entry(entry)
    except MorphMLError as error:
        return str(error)
    return "ok"


def _plain(row: Row) -> dict[str, str]:
    entry = row.entry
    found = {
        "kind": entry.kind,
        "name": entry.name,
        "distribution": entry.distribution,
        "version": entry.version,
        "target": entry.target,
    }
    return found | ({"check": row.check} if row.check else {})


def _print(rows: Sequence[Row]) -> None:
    if not rows:
        click.echo("nothing is installed")
        return
    head = ["kind", "name", "distribution", "version", "check"][: len(rows[0].cells)]
    if sys.stdout.isatty():
        _print_table(head, rows)
    else:
        click.echo("\n".join(common.grid(head, [row.cells for row in rows], [False] * len(head))))


def _print_table(head: Sequence[str], rows: Sequence[Row]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*head, box=SIMPLE_HEAD)
    before = ""
    for row in rows:
        kind, *cells = row.cells
        table.add_row("" if kind == before else kind, *(Text(cell) for cell in cells))
        before = kind
    Console().print(table)
