"""Kills `morphml run` at random moments, again and again, and compares the end with an unbroken run.

    python benchmarks/kills.py --kills 50

The search is reproducible: parallel, in two worker processes, with regularized evolution, reports after each step, failing
evaluations, and finalists.  Every kill is a SIGKILL to the main process at a random moment, and every restart the same command.
Prints a JSON object: how many kills hit a running search, how many trials there are, and whether every trial is there once, with
the same genotype, state, metrics and curve as in the run that was never killed.  Exits 1 where one differs.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

EVALUATOR = """
import time


def evaluate(candidate, task):
    values = candidate.values
    if values["a"] == 3 and values["b"] == 3:
        raise RuntimeError("this corner always fails")
    for step in range(1, 4):
        time.sleep({seconds} / 3)
        score = values["a"] + values["b"] - (values["x"] - 0.5) ** 2 + task.seed / 2**31 / 100 + step / 10
        yield {{"score": score}}
"""

CONFIGURATION = """
experiment: kills
seed: 11
objectives: [score]
space:
  name: parameters
  decisions:
    a: {{choice: [0, 1, 2, 3]}}
    b: {{integer: [0, 3]}}
    x: {{real: [0, 1]}}
evaluator: {{name: function, function: "evaluator.py:evaluate"}}
optimizer: {{name: regularized_evolution, population: 10, sample: 3}}
stopper: {{name: median, warmup_trials: 8}}
executor: {{name: processes, workers: 2}}
reproducible: {{window: 4}}
finalists: {{top: 2, repeats: 2}}
storage: sqlite:///{database}
output: {output}
stop: {{trials: {trials}}}
"""


def write(folder: Path, trials: int, seconds: float) -> Path:
    """The configuration of one run, in a folder of its own."""
    folder.mkdir()
    (folder / "evaluator.py").write_text(EVALUATOR.format(seconds=seconds))
    text = CONFIGURATION.format(database=folder / "kills.db", output=folder / "results", trials=trials)
    (folder / "kills.yaml").write_text(text)
    return folder / "kills.yaml"


def morphml(*arguments: str) -> list[str]:
    """The command line of this Python's environment."""
    return [str(Path(sys.executable).with_name("morphml")), *arguments]


def run_with_kills(config: Path, kills: int, rng: random.Random, shortest: float, longest: float) -> int:
    """Run until the search ends by itself; returns how many kills hit it while it ran."""
    hits = 0
    while True:
        process = subprocess.Popen(
            morphml("run", str(config)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        if hits < kills:
            try:
                process.wait(rng.uniform(shortest, longest))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                hits += 1
                process.communicate()
                continue
        output = process.communicate()
        if process.returncode:
            raise SystemExit(f"morphml run ended with {process.returncode}:\n{output[0]}{output[1]}")
        return hits


def trials_of(config: Path) -> list[dict[str, Any]]:
    """The trials, without what may differ: durations and attempts."""
    printed = subprocess.run(
        morphml("trials", str(config), "--format", "json"), capture_output=True, text=True, check=True
    )
    found = json.loads(printed.stdout)
    return [
        {key: value for key, value in trial.items() if key not in ("duration", "attempt", "message")} for trial in found
    ]


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=0.3, help="how long one evaluation takes")
    parser.add_argument("--shortest", type=float, default=0.3, help="earliest kill, seconds after the start")
    parser.add_argument("--longest", type=float, default=3.0, help="latest kill, seconds after the start")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        unbroken = write(Path(folder) / "unbroken", arguments.trials, 0.0)
        run_with_kills(unbroken, 0, random.Random(0), 0, 0)
        broken = write(Path(folder) / "broken", arguments.trials, arguments.seconds)
        rng = random.Random(arguments.seed)
        hits = run_with_kills(broken, arguments.kills, rng, arguments.shortest, arguments.longest)
        expected, found = trials_of(unbroken), trials_of(broken)
    different = [a["number"] for a, b in zip(expected, found, strict=False) if a != b]
    same = len(expected) == len(found) and not different
    once = [trial["number"] for trial in found] == list(range(arguments.trials))
    print(json.dumps({
        "kills": hits, "trials": len(found), "each_once": once, "equal_to_unbroken": same, "different": different[:10],
        "seconds": round(time.monotonic() - began, 1),
    }))  # fmt: skip
    raise SystemExit(0 if same and once else 1)


if __name__ == "__main__":
    main()
