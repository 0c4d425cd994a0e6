"""`morphml run`: search, or go on with a search."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from morphml_core.cli import common, export
from morphml_core.errors import MorphMLError
from morphml_core.problem import Trial, TrialState
from morphml_core.protocols import Exporter, Simulated
from morphml_core.report.format import counted, duration, first_line, metrics, number

if TYPE_CHECKING:
    from morphml_core.session import Experiment

Say = Callable[[str], None]

_NUMBER = re.compile(r"\d[\d.e+-]*")


@click.command(short_help="Search, or go on with a search.")
@common.configuration
@common.overrides
@common.as_json
@click.option(
    "--take-over", is_flag=True, help="Run it although another process seems to hold it (that process must be dead)."
)
@click.option(
    "--simulate",
    metavar="OPTIONS",
    help="Search on a virtual clock instead, and record nothing: --simulate workers=32,failures=0.05 says what 32 workers would bring.",
)
def command(config: str, overrides: Sequence[str], as_json: bool, take_over: bool, simulate: str | None) -> None:
    """Search until a stop condition is met; a search that was interrupted goes on.

    At the end the report and the best network are in the output folder. Ends with 0 when a stop condition was met, 1 when
    no trial succeeded, 2 for an error in the configuration or the storage, 130 after Ctrl-C, 143 after SIGTERM and 129 after SIGHUP.
    """
    from morphml_core.session import open_experiment

    run = _search
    if simulate is not None:
        overrides, run = [*overrides, *simulation(simulate)], _simulate
    with common.quiet_stdout(as_json):
        experiment = open_experiment(config, overrides, take_over=take_over)
        try:
            summary = run(experiment, config, lambda line: click.echo(line, err=as_json))
        finally:
            experiment.close()
    if as_json:
        common.print_json(summary)
    if summary["best"] is None:
        raise common.NoResultError(_failure(experiment, config))


def _failure(experiment: Experiment, config: str) -> str:
    """Why there is no best trial: what most failed of, or what refuses every genotype."""
    name = experiment.name
    if experiment.state.trials:
        more = f"`morphml trials {shlex.quote(config)} --state failed` says more"
        return f"no trial of '{name}' succeeded{_reason(experiment.state.trials.values())}; {more}"
    problem = experiment.problem
    refusal = problem.refusal(problem.decisions.sample(problem.rng(0, stream=2)))
    if not refusal:
        return f"'{name}' has no trial: the optimizer proposed none"
    return f"'{name}' has no trial: every candidate is refused; one, for example, {refusal}; loosen the constraints, or widen the space"


def _reason(trials: Iterable[Trial]) -> str:
    """What most trials failed of, or "" where none failed.  Messages that differ in numbers only count as one."""
    messages = [first_line(trial.message) for trial in trials if trial.state is TrialState.FAILED]
    if not messages:
        return ""
    kinds = Counter(_NUMBER.sub("0", message) for message in messages)
    ((kind, count),) = kinds.most_common(1)
    alike = {message: None for message in messages if _NUMBER.sub("0", message) == kind}
    example = ", for example" if len(alike) > 1 else ""
    return f"; {number(count)} of {number(len(messages))} failures{example}: {next(iter(alike))}"


def simulation(options: str) -> list[str]:
    """The overrides that make a run a simulation.  Raises `click.UsageError` for options that are not NAME=VALUE."""
    pairs = [option.partition("=") for option in options.split(",")]
    if not all(name.strip() and sign and value.strip() for name, sign, value in pairs):
        raise click.UsageError(
            f"--simulate takes NAME=VALUE,... such as workers=32,failures=0.05, but it is '{options}'"
        )
    written = ", ".join(f"{name.strip()}: {value.strip()}" for name, _, value in pairs)
    return [f"executor={{name: simulated, {written}}}", "storage=memory"]


def _simulate(experiment: Experiment, config: str, say: Say) -> dict[str, Any]:
    """Run on a virtual clock; nothing is recorded, exported or reported.  The summary gets the key simulated."""
    reason = experiment.run()
    say(f"Ended: {reason}.")
    simulated = _say_simulated(experiment, say)
    _say_best(experiment, say)
    return {**experiment.summary(), "reason": reason, **simulated}


def _search(experiment: Experiment, config: str, say: Say) -> dict[str, Any]:
    """Run to the end, then hand over what was found.  Returns the summary with the keys reason, report and export added."""
    try:
        reason = experiment.run()
    except KeyboardInterrupt:
        kept = f"nothing is lost. `morphml run {shlex.quote(config)}` goes on."
        if experiment.resolved.storage.ref.name == "memory":
            kept = "nothing was recorded, as the storage is 'memory'."
        with suppress(OSError):  # the terminal may be gone
            click.echo(f"Interrupted; {kept}", err=True)
        raise
    say(f"Ended: {reason}.")
    simulated = _say_simulated(experiment, say)
    _say_best(experiment, say)
    exported = _export(experiment, say)
    handed = {"report": _report(experiment, say), "export": exported}
    return {**experiment.summary(), "reason": reason, **handed, **simulated}


def _say_simulated(experiment: Experiment, say: Say) -> dict[str, Any]:
    """What the workers would take, where they were simulated ones: for the summary, the key simulated; else nothing."""
    executor = experiment.executor
    if not isinstance(executor, Simulated):
        return {}
    workers, seconds, busy = executor.workers, experiment.state.elapsed(), executor.utilization
    say(f"Simulated: {counted(workers, 'worker')} would take {duration(seconds)}, busy {busy:.0%} of it.")
    return {"simulated": {"workers": workers, "seconds": seconds, "utilization": busy}}


def _say_best(experiment: Experiment, say: Say) -> None:
    best = experiment.best()
    if best is not None:
        names = tuple(objective.name for objective in experiment.problem.objectives)
        say(f"Best: trial {best.number}, {metrics(best.metrics, names)}")


def _export(experiment: Experiment, say: Say) -> dict[str, Any] | None:
    """Write the best network into the output folder, where the evaluator can."""
    best = experiment.best()
    if best is None or not isinstance(experiment.evaluator, Exporter):
        return None
    folder: Path = experiment.output / "export"
    try:
        written = experiment.export(best, folder)
    except MorphMLError as error:
        click.echo(f"Warning: the best network was not exported: {error}", err=True)
        return None
    for line in export.lines(best, folder, written):
        say(line)
    return {"trial": best.number, "folder": str(folder), **written}


def _report(experiment: Experiment, say: Say) -> str | None:
    """Write the report into the output folder, or say what it needs."""
    from morphml_core.report.page import HINT, available

    if not available():
        say(f"No report: {HINT}")
        return None
    try:
        path = experiment.report(experiment.output / "report.html")
    except MorphMLError as error:
        click.echo(f"Warning: the report was not written: {error}", err=True)
        return None
    say(f"Report: {path}")
    return str(path)
