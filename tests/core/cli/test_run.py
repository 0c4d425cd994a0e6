import json
import signal
import subprocess

import pytest
from click.testing import CliRunner

from morphml_core.cli import main


def test_a_search_ends_with_the_report_and_says_where(call, folder):
    pytest.importorskip("plotly")
    result = call("run", "quick.yaml")
    assert result.exit_code == 0
    best = json.loads(call("best", "quick.yaml", "--json").stdout)
    assert result.stdout.splitlines() == [
        "Ended: 12 trials are done.",
        f"Best: trial {best['number']}, value {best['metrics']['value']:.4f}, cost {best['metrics']['cost']:.0f}",
        "Report: results/quick/report.html",
    ]
    assert "MorphML report" in (folder / "results/quick/report.html").read_text()


def test_without_plotly_it_says_how_to_install_it(call, monkeypatch):
    from morphml_core.report import page

    monkeypatch.setattr(page, "available", lambda: False)
    lines = call("run", "quick.yaml").stdout.splitlines()
    assert (
        lines[-1]
        == "No report: a report needs plotly and jinja2; install them with: pip install 'morphml-core[report]'"
    )


def test_json_is_all_that_is_on_stdout(shell):
    done = shell("run", "quick.yaml", "--json", "--set", "evaluator.function=my_function.py:chatty")
    assert done.returncode == 0
    summary = json.loads(done.stdout)
    assert summary["experiment"] == "quick"
    assert summary["status"] == "ended"
    assert summary["reason"] == "12 trials are done"
    assert summary["trials"]["finished"] + summary["trials"]["failed"] == 12
    assert summary["export"] is None
    assert "a word from the evaluation" in done.stderr
    assert "Ended: 12 trials are done." in done.stderr


def test_worker_processes_do_not_print_into_the_json(shell):
    done = shell(
        "run",
        "quick.yaml",
        "--json",
        "--set",
        "evaluator.function=my_function.py:chatty",
        "--set",
        "executor=processes",
    )
    assert done.returncode == 0
    assert json.loads(done.stdout)["status"] == "ended"


def test_a_search_without_success_ends_with_one(call):
    result = call("run", "quick.yaml", "--set", "evaluator.function=my_function.py:fail")
    assert result.exit_code == 1
    assert (
        result.stderr.splitlines()[-1]
        == "Error: no trial of 'quick' succeeded; 12 of 12 failures: ValueError: nothing works; "
        "`morphml trials quick.yaml --state failed` says more"
    )


@pytest.mark.parametrize(
    ("space", "said"),
    [
        (
            "{a: {integer: [1, 6]}}",
            "Error: 'x' has no trial: every candidate is refused; one, for example, breaks the constraint size <= 0: size is 1; loosen the constraints, or widen the space",
        ),
        (
            "{a: {integer: [1, 600]}, b: {real: [0, 1]}}",
            "Error: no trial of 'x' succeeded; 9 of 9 failures, for example: breaks the constraint size <= 0: size is 111; `morphml trials x.yaml --state failed` says more",
        ),
    ],
)  # fmt: skip
def test_constraints_that_refuse_everything(call, folder, space, said):
    (folder / "size.py").write_text("def known(candidate):\n    return {'size': float(candidate.values['a'])}\n")
    (folder / "x.yaml").write_text(
        f"experiment: x\nobjectives: [value]\nconstraints: [size <= 0]\nspace: {{name: parameters, decisions: {space}}}\n"
        "evaluator: {name: function, function: 'size.py:known', known: 'size.py:known'}\nstorage: memory\nstop: {trials: 9}\n"
    )
    result = call("run", "x.yaml")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == said


def test_a_search_that_has_ended_goes_on_where_more_is_wanted(ran):
    assert ran("run", "quick.yaml").stdout.splitlines()[0] == "Ended: 12 trials are done."
    assert ran("run", "quick.yaml", "--set", "stop.trials=15").stdout.splitlines()[0] == "Ended: 15 trials are done."
    assert len(json.loads(ran("trials", "quick.yaml", "--json").stdout)) == 15


@pytest.mark.parametrize("name", ["absent.yaml", "."])
def test_a_configuration_that_cannot_be_read(call, name):
    result = call("run", name)
    reason = "Is a directory" if name == "." else "No such file or directory"
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", f"Error: {name}: cannot be read: {reason}\n")


def test_every_complaint_has_a_line_of_its_own(call, folder):
    text = (
        (folder / "quick.yaml")
        .read_text()
        .replace("seed: 3", "seed: three")
        .replace("stop: {trials: 12}", "stop: {trails: 12}")
    )
    (folder / "quick.yaml").write_text(text)
    result = call("run", "quick.yaml")
    assert result.exit_code == 2
    assert sorted(result.stderr.splitlines()) == [
        "Error: quick.yaml:2: section 'seed' must be a whole number, but it is 'three' (a string)",
        "Error: quick.yaml:8: section 'stop' has no option 'trails'; did you mean 'trials'?",
    ]


def started(command, folder, *more):
    """A search that would take hours, as a process of its own, once it has its first results."""
    arguments = [
        "run",
        "quick.yaml",
        "--set",
        "evaluator.function=my_function.py:slow",
        "--set",
        "stop.trials=100000",
        *more,
    ]
    running = subprocess.Popen(
        [*command, *arguments], cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    while "best so far" not in running.stderr.readline():
        assert running.poll() is None
    return running


def test_ctrl_c_says_where_nothing_was_recorded(folder, command):
    running = started(command, folder, "--set", "storage=memory")
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert err.splitlines()[-1] == "Interrupted; nothing was recorded, as the storage is 'memory'."


def test_ctrl_c_ends_with_130_and_the_same_command_goes_on(shell, folder, command):
    running = started(command, folder)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "Traceback" not in err
    assert err.splitlines()[-1] == "Interrupted; nothing is lost. `morphml run quick.yaml` goes on."
    assert out == ""
    same = ["quick.yaml", "--set", "evaluator.function=my_function.py:slow"]
    shown = json.loads(shell("show", *same, "--json").stdout)
    assert shown["status"] == "interrupted"
    over = shown["trials"]["finished"] + shown["trials"]["failed"]
    assert over >= 1
    done = shell("run", *same, "--set", f"stop.trials={over + 5}")
    assert done.returncode == 0
    assert done.stderr.splitlines()[0] == f"quick: going on after {over} trial{'s' if over > 1 else ''}"
    trials = json.loads(shell("trials", *same, "--json").stdout)
    assert [trial["number"] for trial in trials] == list(range(over + 5))
    assert {trial["state"] for trial in trials} <= {"finished", "failed"}


def test_two_at_once_and_one_says_who_holds_it(shell, folder, command):
    running = started(command, folder)
    try:
        second = shell("run", "quick.yaml", "--set", "evaluator.function=my_function.py:slow")
        assert second.returncode == 2
        assert len(second.stderr.splitlines()) == 1
        assert second.stderr.startswith("Error: ")
        assert f"process {running.pid}" in second.stderr
        assert running.poll() is None
    finally:
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=60)


@pytest.mark.parametrize("command", ["run", "validate"])
def test_an_output_that_cannot_be_a_folder(call, folder, command):
    for output in ("quick.yaml", "quick.yaml/inner"):
        result = call(command, "quick.yaml", "--set", f"output={output}")
        assert result.exit_code == 2
        assert result.stderr == (
            f"Error: quick.yaml: section 'output': nothing can be written to {output}, because {folder}/quick.yaml is not a "
            "folder; name another folder\n"
        )


@pytest.mark.parametrize("command", ["run", "validate"])
def test_data_that_are_not_there(call, folder, command):
    (folder / "nets.yaml").write_text(
        "experiment: nets\nobjectives: accuracy\nspace: mlp\nstop: {trials: 1}\n"
        "evaluator: {name: train, dataset: {name: fashion_mnist, folder: nowhere}}\n"
    )
    result = call(command, "nets.yaml")
    assert result.exit_code == 2
    assert result.stderr == (
        f"Error: nets.yaml:5: evaluator 'train': Fashion-MNIST is not in {folder}/nowhere: train-images-idx3-ubyte (or "
        "train-images-idx3-ubyte.gz) is missing; install Debian's package dataset-fashion-mnist, or take the four files from "
        "https://github.com/zalandoresearch/fashion-mnist and name their folder in the option 'folder'\n"
    )


def test_what_cannot_be_text_is_stored_as_a_question_mark(call, folder):
    (folder / "odd.py").write_text("def score(candidate):\n    raise ValueError('\\udcff')\n")
    assert call("run", "quick.yaml", "--set", "evaluator.function=odd.py:score").exit_code == 1
    trials = json.loads(call("trials", "quick.yaml", "--set", "evaluator.function=odd.py:score", "--json").stdout)
    assert {trial["message"].splitlines()[0] for trial in trials} == {"ValueError: ?"}


@pytest.mark.parametrize(
    "arguments", [["validate", "--json"], ["show", "--json"], ["trials", "--format", "csv"], ["best", "--json"]]
)
def test_what_modules_print_when_they_are_imported_stays_off_the_output(shell, folder, arguments):
    path = folder / "my_function.py"
    path.write_text("print('hello')\n" + path.read_text())
    assert shell("run", "quick.yaml", "--set", "stop.trials=5").returncode == 0
    command, *options = arguments
    result = shell(command, "quick.yaml", *options)
    assert "hello" not in result.stdout
    assert result.stderr == "hello\n"


def test_an_export_to_a_file(call, folder):
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    (folder / "nets.yaml").write_text(
        "experiment: nets\nobjectives: accuracy\nspace: mlp\nstop: {trials: 1}\n"
        "evaluator: {name: train, dataset: digits, epochs: 1}\n"
    )
    assert call("run", "nets.yaml").exit_code == 0
    result = call("export", "nets.yaml", "--to", "nets.yaml")
    assert (result.exit_code, result.stderr) == (
        2, "Error: cannot write trial 0 to nets.yaml: File exists; name another folder\n",
    )  # fmt: skip


def test_a_simulation_says_what_workers_would_bring_and_records_nothing(tmp_path):
    (tmp_path / "evaluator.py").write_text("def score(candidate):\n    return candidate.values['a']\n")
    config = tmp_path / "sim.yaml"
    config.write_text(
        f"experiment: sim\nobjectives: [value]\nspace: {{name: parameters, decisions: {{a: {{real: [0, 1]}}}}}}\n"
        f"evaluator: {{name: function, function: '{tmp_path}/evaluator.py:score'}}\nstorage: sqlite:///{tmp_path}/sim.db\n"
        f"output: {tmp_path}/results\nhooks: []\nstop: {{trials: 64}}\n"
    )
    found = CliRunner().invoke(main, ["run", str(config), "--simulate", "workers=32,duration=60"])
    assert found.exit_code == 0, found.output
    assert found.output.splitlines()[:2] == [
        "Ended: 64 trials are done.",
        "Simulated: 32 workers would take 2 min, busy 100% of it.",
    ]
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix) == ["evaluator.py", "sim.yaml"]
    named = ["--set", "executor={name: simulated, workers: 32, duration: 60}", "--json"]
    recorded = CliRunner().invoke(main, ["run", str(config), *named])
    assert recorded.stderr.splitlines()[:2] == found.output.splitlines()[:2]
    assert json.loads(recorded.stdout)["simulated"] == {"workers": 32, "seconds": 120.0, "utilization": 1.0}
    wrong = CliRunner().invoke(main, ["run", str(config), "--simulate", "32"])
    assert wrong.exit_code == 2
    assert "--simulate takes NAME=VALUE,... such as workers=32,failures=0.05, but it is '32'" in wrong.output
    misspelt = CliRunner().invoke(main, ["run", str(config), "--simulate", "worker=32"])
    assert misspelt.exit_code == 2
    assert misspelt.output == (
        "Error: --set executor={name: simulated, worker: 32}: "
        "executor 'simulated' has no option 'worker'; did you mean 'workers'?\n"
    )
