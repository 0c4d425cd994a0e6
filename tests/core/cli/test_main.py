import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import click
import pytest

from morphml_core.cli import COMMANDS, Commands, main
from morphml_core.errors import Complaint, ConfigurationError, StorageError

HELP = """\
Usage: morphml [OPTIONS] COMMAND [ARGS]...

  MorphML finds neural network architectures.

  A search is described by one configuration file. `morphml init` writes one
  to begin with, `morphml run` searches, and every other command reads what
  the search has recorded.

Options:
  --version   Show the version and exit.
  -h, --help  Show this message and exit.

Commands:
  run       Search, or go on with a search.
  show      Show where an experiment stands.
  trials    List the trials.
  best      Show the best trial.
  export    Write a trained network to a folder.
  report    Write the HTML report.
  retry     Put failed trials back into the queue.
  validate  Check a configuration.
  plugins   List what is installed.
  init      Write a starter configuration.
"""


def test_help(shell):
    done = shell("--help")
    assert (done.returncode, done.stdout[: len(HELP)], done.stderr) == (0, HELP, "")
    others = [line.split()[0] for line in done.stdout[len(HELP) :].splitlines()]
    assert others == sorted({point.name for point in entry_points(group="morphml.command")})


def test_version(shell):
    from importlib.metadata import version

    assert shell("--version").stdout == f"morphml {version('morphml-core')}\n"


def test_help_imports_nothing_heavy():
    code = """
import sys
from importlib.metadata import entry_points
from morphml_core.cli import main
try:
    main(["--help"])
except SystemExit:
    pass
heavy = {"numpy", "torch", "sqlalchemy", "rich", "sklearn", "plotly", "jinja2", "pebble", "PIL", "yaml"}
print(sorted(heavy & set(sys.modules)), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == "[]\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_exists_and_says_the_same_of_itself(name, call):
    found = main.get_command(click.Context(main), name)
    assert found.get_short_help_str(60) == COMMANDS[name]
    assert call(name, "--help").exit_code == 0


def test_an_unknown_command(call):
    result = call("runn")
    assert result.exit_code == 2
    assert "Error: there is no command 'runn'; did you mean 'run'?" in result.stderr


def failing(error):
    @click.command()
    def command():
        raise error

    group = Commands(name="morphml")
    group.get_command = lambda ctx, name: command
    return group


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (StorageError("the disk is full"), 2, "Error: the disk is full\n"),
        (ConfigurationError([Complaint("a.yaml:3", "one thing"), Complaint("", "another")]), 2, "Error: a.yaml:3: one thing\nError: another\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)  # fmt: skip
def test_errors_become_sentences(error, code, text):
    from click.testing import CliRunner

    result = CliRunner().invoke(failing(error), ["anything"])
    assert (result.exit_code, result.stdout, result.stderr) == (code, "", text)


def test_a_reader_that_leaves_early_is_no_error(shell, folder, command):
    assert shell("run", "quick.yaml", "--set", "stop.trials=400", "--set", "storage=sqlite:///big.db").returncode == 0
    line = f"{command[0]} trials quick.yaml --set storage=sqlite:///big.db --format json | head -1"
    done = subprocess.run(["bash", "-c", line], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("[\n", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_an_output_that_is_full(shell, command, unbuffered):
    assert shell("run", "quick.yaml", "--set", "stop.trials=2").returncode == 0
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*command, "show", "quick.yaml"], stdout=full, stderr=subprocess.PIPE, text=True, check=False,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (2, "Error: the disk is full; free some space and run this again\n")
