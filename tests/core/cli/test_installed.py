"""Commands that other distributions bring."""

import sys

import pytest
from click.testing import CliRunner

from morphml_core.cli import main


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Installs a distribution that brings commands: modules by name, entry points by command."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(distribution, modules, points):
        info = tmp_path / f"{distribution.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        lines = [f"{name} = {target}" for name, target in points.items()]
        (info / "entry_points.txt").write_text("\n".join(["[morphml.command]", *lines, ""]))
        for name, text in modules.items():
            (tmp_path / f"{name}.py").write_text(text)
            monkeypatch.delitem(sys.modules, name, raising=False)

    return make


HELLO = '''
import click

@click.command(short_help="Greet somebody.")
@click.argument("name")
def command(name):
    """Greet somebody."""
    click.echo(f"hello {name}")
'''


def run(*arguments):
    return CliRunner().invoke(main, arguments)


def test_a_command_of_another_distribution_runs_and_is_listed(install):
    install("greeter", {"greeter_command": HELLO}, {"greet": "greeter_command:command"})
    found = run("greet", "you")
    assert (found.exit_code, found.output) == (0, "hello you\n")
    assert "  greet     Greet somebody.\n" in run("--help").output


def test_a_broken_one_hurts_only_itself(install):
    install("greeter", {"greeter_broken": "import nothing_of_this_name"}, {"greet": "greeter_broken:command"})
    found = run("greet")
    sentence = (
        "the command 'greet' (greeter_broken:command of greeter) cannot be imported: "
        "ModuleNotFoundError: No module named 'nothing_of_this_name'"
    )
    assert (found.exit_code, found.output) == (2, f"Error: {sentence}\n")
    assert "(cannot be used: the command 'greet'" in " ".join(run("--help").output.split())
    assert run("plugins", "--help").exit_code == 0


def test_one_that_is_no_command(install):
    install("greeter", {"greeter_value": "command = 5"}, {"greet": "greeter_value:command"})
    assert run("greet").output == (
        "Error: the command 'greet' (greeter_value:command of greeter) is a int; it must be a click command\n"
    )


def test_two_that_claim_a_name(install):
    install("greeter", {"greeter_command": HELLO}, {"greet": "greeter_command:command"})
    install("welcomer", {}, {"greet": "greeter_command:command"})
    found = run("greet", "you")
    assert (found.exit_code, found.output) == (
        2, "Error: the command 'greet' comes from greeter and welcomer; uninstall one of them\n",
    )  # fmt: skip


def test_no_command_replaces_one_of_ours(install):
    install("greeter", {"greeter_command": HELLO}, {"show": "greeter_command:command"})
    assert "Show where an experiment stands:" in run("show", "--help").output


@pytest.mark.parametrize(
    ("name", "advice"),
    [("shwo", "did you mean 'show'?"), ("qqqq", "`morphml --help` lists them")],
)
def test_a_name_that_is_not_there(name, advice):
    found = run(name)
    assert found.exit_code == 2
    assert found.output.splitlines()[-1] == f"Error: there is no command '{name}'; {advice}"


def test_a_name_of_a_distribution_that_is_not_installed(monkeypatch):
    monkeypatch.setattr("morphml_core.cli.installed.entry_points", lambda group: ())
    assert run("worker").output.splitlines()[-1] == (
        "Error: there is no command 'worker'; it comes with morphml-distributed: pip install morphml-distributed"
    )
