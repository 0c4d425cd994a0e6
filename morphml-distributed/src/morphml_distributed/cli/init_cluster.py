"""`morphml cluster init`: certificates and a token for a cluster."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from morphml_distributed.security.files import Written

_ADVICE = Template("""\
Written to $folder, valid until $until: ca.pem, ca.key, master.pem, master.key, worker.pem, worker.key, token.

On the machine of the search keep ca.pem, master.pem, master.key and token, and write in the configuration:

    executor:
      name: grpc
      listen: 0.0.0.0:4567
      authority: $authority
      certificate: $certificate
      key: $key
      token_file: $token_file

To each worker copy ca.pem, worker.pem, worker.key and token:

    scp $files WORKER:$name/

and start it there:

    morphml worker --master $address --authority $name/ca.pem --certificate $name/worker.pem --key $name/worker.key --token-file $name/token

Who has these files is let in, so give them to nobody else.  ca.key signs further certificates: no machine needs it to run; keep it apart, or delete it.
""")


@click.command("init", short_help="Make certificates and a token for a cluster.")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--host", "hosts", multiple=True, required=True, metavar="NAME_OR_IP",
    help="A name or an address by which workers reach the master; may be given again.",
)  # fmt: skip
@click.option(
    "--days", default=365, show_default=True, type=click.IntRange(1, 36500), help="How long the certificates are valid."
)
def init_cluster(folder: Path, hosts: tuple[str, ...], days: int) -> None:
    """Make a certificate authority for a cluster, a certificate for its master and one for its workers, and a token.

    The files go to DIR, readable by you alone; nothing is overwritten.  What to copy where, and what to write in the configuration, is printed.
    """
    from morphml_distributed.security.files import write_cluster

    click.echo(_advice(write_cluster(folder, hosts, days), hosts[0]), nl=False)


def _advice(written: Written, host: str) -> str:
    from morphml_distributed.security.files import FOR_WORKERS

    folder = written.folder
    name = shlex.quote(folder.resolve().name)
    return _ADVICE.substitute(
        folder=folder,
        until=f"{written.until:%Y-%m-%d}",
        authority=_yaml(folder / "ca.pem"),
        certificate=_yaml(folder / "master.pem"),
        key=_yaml(folder / "master.key"),
        token_file=_yaml(folder / "token"),
        files=" ".join(shlex.quote(str(folder / each)) for each in FOR_WORKERS),
        name=name,
        address=shlex.quote(f"[{host}]:4567" if ":" in host else f"{host}:4567"),
    )


def _yaml(path: Path) -> str:
    # In full, as a configuration is read from its own folder.
    text = str(path.resolve())
    return text if re.fullmatch(r"[\w/.-]+", text) else json.dumps(text, ensure_ascii=False)
