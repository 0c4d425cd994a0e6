"""`morphml cluster init`: the files, and the advice, which can be followed to the letter."""

import re
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from morphml_core.errors import MorphMLError
from morphml_distributed.cli.init_cluster import init_cluster
from morphml_distributed.cli.worker import command as worker
from morphml_distributed.security import channels
from morphml_distributed.security.settings import Security


def run(*arguments):
    return CliRunner().invoke(init_cluster, [str(argument) for argument in arguments], catch_exceptions=False)


def test_the_advice(tmp_path):
    folder = tmp_path / "cluster"
    done = run(folder, "--host", "10.0.0.1", "--host", "desk", "--days", "90")
    until = datetime.now(UTC) + timedelta(days=90)
    assert done.exit_code == 0
    assert (
        done.output
        == f"""\
Written to {folder}, valid until {until:%Y-%m-%d}: ca.pem, ca.key, master.pem, master.key, worker.pem, worker.key, token.

On the machine of the search keep ca.pem, master.pem, master.key and token, and write in the configuration:

    executor:
      name: grpc
      listen: 0.0.0.0:4567
      authority: {folder}/ca.pem
      certificate: {folder}/master.pem
      key: {folder}/master.key
      token_file: {folder}/token

To each worker copy ca.pem, worker.pem, worker.key and token:

    scp {folder}/ca.pem {folder}/worker.pem {folder}/worker.key {folder}/token WORKER:cluster/

and start it there:

    morphml worker --master 10.0.0.1:4567 --authority cluster/ca.pem --certificate cluster/worker.pem --key cluster/worker.key --token-file cluster/token

Who has these files is let in, so give them to nobody else.  ca.key signs further certificates: no machine needs it to run; keep it apart, or delete it.
"""
    )


@pytest.mark.parametrize("name", ["cluster", "my cluster: #1", "o'clock"])
def test_the_advice_can_be_followed(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    output = run(name, "--host", "::1").output
    block = re.search(r"( +executor:\n(?: .+\n)+)", output)
    options = yaml.safe_load(block[1])["executor"]
    files = ("authority", "certificate", "key", "token_file")
    security = Security(**{option: Path(options[option]) for option in files})
    assert channels.server_credentials(security) is not None
    assert all(Path(options[option]).is_absolute() for option in files)
    assert "--master '[::1]:4567'" in output


def test_the_command_for_workers_is_one(tmp_path):
    output = run(tmp_path / "cluster", "--host", "10.0.0.1").output
    words = shlex.split(next(line for line in output.splitlines() if "morphml worker" in line))
    context = worker.make_context("worker", words[2:], resilient_parsing=False)
    assert context.params["master"] == "10.0.0.1:4567"
    options = ("authority", "certificate", "key", "token_file")
    assert [str(context.params[option]) for option in options] == [
        "cluster/ca.pem", "cluster/worker.pem", "cluster/worker.key", "cluster/token"
    ]  # fmt: skip


def test_what_is_there_stays(tmp_path):
    run(tmp_path, "--host", "desk")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(
        MorphMLError,
        match=r" already has ca.pem, master.pem, master.key, token, worker.pem, worker.key, ca.key; name another folder",
    ):
        run(tmp_path, "--host", "desk")
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Missing option '--host'"),
        (["--host", "desk", "--days", "0"], "Invalid value for '--days': 0 is not in the range 1<=x<=36500."),
    ],
)
def test_what_is_missing_or_wrong_is_said(tmp_path, arguments, said):
    done = run(tmp_path / "cluster", *arguments)
    assert done.exit_code == 2
    assert said in done.output
    assert not (tmp_path / "cluster").exists()
