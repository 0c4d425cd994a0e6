"""The live view: what the tally says, drawn with rich."""

from __future__ import annotations

from rich.console import Console, Group, RenderableType
from rich.constrain import Constrain
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from morphml_core.cli.tally import Tally, sparkline, speed
from morphml_core.problem import Trial, TrialState
from morphml_core.report.format import duration, first_line, metrics, number

_STYLES = {
    TrialState.FINISHED: "green", TrialState.FAILED: "red", TrialState.STOPPED: "yellow", TrialState.RUNNING: "cyan", TrialState.PENDING: "dim",
}  # fmt: skip
_SHOWN = 3
_SPARE = 4


class LiveView:
    """Draws a tally four times a second, in a thread of its own, until it is stopped."""

    def __init__(self, tally: Tally, console: Console | None = None) -> None:
        self._tally = tally
        self._console = console or Console(stderr=True)
        self._live = Live(
            get_renderable=self.render, console=self._console, refresh_per_second=4, vertical_overflow="crop"
        )

    def start(self) -> None:
        """Begin to draw."""
        self._live.start()

    def stop(self) -> None:
        """Draw a last time and give the terminal back."""
        self._live.stop()

    def render(self) -> RenderableType:
        """The view as it is now."""
        self._tally.sample()
        body = Table.grid(padding=(0, 2), expand=True)
        body.add_column(style="dim", no_wrap=True)
        body.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        for name, cell in self._rows():
            body.add_row(name, cell)
        # A terminal echoes ^C where the cursor is: a full last line would wrap, and every later frame would be a line off.
        return Constrain(Group(self._head(), body), self._console.width - _SPARE)

    def _head(self) -> RenderableType:
        tally, share = self._tally, self._tally.share()
        head = Table.grid(padding=(0, 2), expand=True)
        head.add_column(no_wrap=True)
        head.add_column(ratio=1)
        head.add_column(justify="right", no_wrap=True)
        bar: RenderableType = ProgressBar(total=1.0, completed=share, width=None) if share is not None else ""
        left = tally.left()
        times = duration(tally.elapsed()) + (f", about {duration(left)} left" if left is not None else "")
        head.add_row(Text(tally.context.experiment, style="bold"), bar, times)
        return head

    def _rows(self) -> list[tuple[str, RenderableType]]:
        tally = self._tally
        rate = tally.rate()
        rows: list[tuple[str, RenderableType]] = [
            ("trials", Text(tally.wanted() + (f", {speed(rate)}" if rate else "")))
        ]
        rows.append(("", self._states()))
        best = tally.best
        if best is not None:
            shown = tally.shown(best)
            rest = {name: held for name, held in best.metrics.items() if name not in shown}
            text = Text(metrics(shown), style="bold green").append(f"   trial {best.number}", style="not bold default")
            rows.append(("best", text.append(f"   {metrics(rest)}" if rest else "", style="not bold dim")))
        line = sparkline(list(tally.bests))
        if line:
            rows.append((f"best {tally.objectives[0]}", Text(line, style="green")))
        running = [self._progress(trial) for trial in list(tally.running.values())[:_SHOWN]]
        failed = [
            Text(f"{number(count)} {cause}: {tally.messages.get(cause, '')}", style="red")
            for cause, count in tally.causes.most_common(_SHOWN)
        ]
        recent = [self._trial(trial) for trial in reversed(list(tally.recent))]
        return rows + _block("running", running) + _block("failed", failed) + _block("latest", recent)

    def _progress(self, trial: Trial) -> Text:
        step, measured = trial.curve[-1]
        return Text(f"{trial.number:>5} ").append(f"step {step:<4}", style="cyan").append(f" {metrics(measured)}")

    def _states(self) -> Text:
        text = Text()
        for name, count in self._tally.counts().items():
            style = _STYLES[TrialState(name)] if name != "duplicates" else "dim"
            if count:
                text.append(f"{number(count)} {name}   ", style=style)
        return text

    def _trial(self, trial: Trial) -> Text:
        text = Text(f"{trial.number:>5} ").append(f"{trial.state.value:<9}", style=_STYLES[trial.state])
        said = metrics(self._tally.shown(trial)) or first_line(trial.message)
        return text.append(f" {said}").append(f"   {duration(trial.duration)}" if trial.duration else "", style="dim")


def _block(name: str, rows: list[Text]) -> list[tuple[str, RenderableType]]:
    """Rows under one name."""
    return [(name if index == 0 else "", row) for index, row in enumerate(rows)]
