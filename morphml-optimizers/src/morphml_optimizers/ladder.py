"""The budgets that an optimizer with several of them uses: rungs of growing numbers of epochs."""

from __future__ import annotations

import itertools

import attrs

from morphml_core.errors import Complaint, ConfigurationError
from morphml_core.problem import Budget, Problem, Trial


@attrs.frozen
class Fidelity:
    """How many trials get how many epochs."""

    reduction: int = attrs.field(default=3, validator=attrs.validators.ge(2))
    """One trial in so many gets the next budget, which has so many times the epochs (eta in the papers)."""
    minimum: int | None = attrs.field(default=None, validator=attrs.validators.optional(attrs.validators.ge(1)))
    """No budget is smaller than this; without it, 1.  Epochs."""
    maximum: int | None = attrs.field(default=None, validator=attrs.validators.optional(attrs.validators.ge(1)))
    """The largest budget; without it, what the evaluator calls a full evaluation.  The others are this divided by `reduction`, again and again.
    Epochs."""
    budgets: list[int] = attrs.field(factory=list)
    """All budgets, in place of `minimum` and `maximum`: for evaluators that know only some, as tables do.  Epochs."""


@attrs.frozen
class Ladder:
    """The rungs: their epochs, the smallest first, and the rung that each number of epochs is."""

    epochs: tuple[int, ...]
    reduction: int
    full: Budget
    _rungs: dict[int, int] = attrs.field(init=False, repr=False, eq=False)

    @_rungs.default
    def _by_epochs(self) -> dict[int, int]:
        return {epochs: rung for rung, epochs in enumerate(self.epochs)}

    def __len__(self) -> int:
        return len(self.epochs)

    def budget(self, rung: int) -> Budget:
        """The budget of a rung: its epochs, on as much of the data as a full evaluation uses."""
        return Budget(self.epochs[rung], self.full.fraction)

    def rung(self, trial: Trial) -> int | None:
        """The rung whose budget the trial had, or None."""
        held = trial.budget
        if held.fraction != self.full.fraction:
            return None
        return self._rungs.get(held.epochs if held.epochs is not None else self.full.epochs or 0)


def effort(trial: Trial, problem: Problem) -> float:
    """The budget of a trial as one number: its epochs (of a full evaluation, where it names none) times the fraction of the data."""
    epochs = trial.budget.epochs if trial.budget.epochs is not None else problem.budget.epochs
    return (epochs or 1) * trial.budget.fraction


def ladder(config: Fidelity, problem: Problem, name: str) -> Ladder:
    """The rungs of an optimizer.  Raises `ConfigurationError` where the options do not fit each other or the evaluator's budget."""
    full = problem.budget.epochs
    found = _misnamed(config, full) if config.budgets else _undivided(config, full)
    if found is not None:
        option, message = found
        raise ConfigurationError([Complaint(f"optimizer.{option}", f"optimizer '{name}': {message}")])
    epochs = tuple(config.budgets) or _powers(config.minimum or 1, config.maximum or full or 1, config.reduction)
    return Ladder(epochs, config.reduction, problem.budget)


def _misnamed(config: Fidelity, full: int | None) -> tuple[str, str] | None:
    """What is wrong where 'budgets' names all of them: the option and a sentence."""
    found = config.budgets
    if config.minimum is not None or config.maximum is not None:
        return (
            "budgets",
            "'budgets' names every budget, so 'minimum' and 'maximum' cannot be there too; remove them, or 'budgets'",
        )
    if len(found) < 2 or found[0] < 1 or any(low >= high for low, high in itertools.pairwise(found)):
        return (
            "budgets",
            f"'budgets' must be two or more numbers of epochs, each greater than the one before, but is {found}",
        )
    return _too_long("budgets", found[-1], full)


def _undivided(config: Fidelity, full: int | None) -> tuple[str, str] | None:
    """What is wrong where the largest budget is divided: the option and a sentence."""
    least, most = config.minimum or 1, config.maximum or full
    if most is None:
        unset = "'maximum' is not set, and the evaluator knows no epochs, of which trials could get more or fewer"
        return "maximum", f"{unset}; set the evaluator's option 'epochs', or 'maximum'"
    if least > most:
        return "minimum", f"'minimum' is {least} epochs, but the largest budget is {most}; give less than that"
    if least * config.reduction > most:
        return _one_budget(config, least, most)
    return _too_long("maximum", most, full)


def _one_budget(config: Fidelity, least: int, most: int) -> tuple[str, str]:
    option = "minimum" if config.minimum is not None else "reduction" if config.maximum is None else "maximum"
    largest = f"a full evaluation has {most} epochs" if config.maximum is None else f"'maximum' is {most} epochs"
    next_to_it = f"divided by 'reduction' ({config.reduction}) that is {most / config.reduction:.3g}, less than 'minimum' ({least})"
    return (
        option,
        f"there would be one budget only: {largest}, and {next_to_it}; make one of these two smaller, or give more epochs",
    )


def _powers(least: int, most: int, reduction: int) -> tuple[int, ...]:
    found, divisor = [most], reduction
    while most >= least * divisor:
        found.append(round(most / divisor))
        divisor *= reduction
    return tuple(reversed(found))


def _too_long(option: str, epochs: int, full: int | None) -> tuple[str, str] | None:
    if full is None or epochs <= full:
        return None
    return option, f"'{option}' goes up to {epochs} epochs, but a full evaluation has {full}; give at most that"
