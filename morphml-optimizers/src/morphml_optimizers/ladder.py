"""The budgets that an optimizer with several of them uses: rungs of growing numbers of epochs."""

from __future__ import annotations

import itertools
from typing import NoReturn

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


def ladder(config: Fidelity, problem: Problem, name: str) -> Ladder:
    """The rungs of an optimizer.  Raises `ConfigurationError` where the options do not fit each other or the evaluator's budget."""
    epochs = _named(config, problem) if config.budgets else _divided(config, problem, name)
    return Ladder(epochs, config.reduction, problem.budget)


def _named(config: Fidelity, problem: Problem) -> tuple[int, ...]:
    found, full = config.budgets, problem.budget.epochs
    if config.minimum is not None or config.maximum is not None:
        _refuse(
            "budgets",
            "'budgets' names every budget, so 'minimum' and 'maximum' cannot be there too; remove them, or 'budgets'",
        )
    if len(found) < 2 or found[0] < 1 or any(low >= high for low, high in itertools.pairwise(found)):
        _refuse(
            "budgets",
            f"'budgets' must be two or more numbers of epochs, each greater than the one before, but is {found}",
        )
    if full is not None and found[-1] > full:
        _refuse("budgets", _too_long("the last of 'budgets'", found[-1], full))
    return tuple(found)


def _divided(config: Fidelity, problem: Problem, name: str) -> tuple[int, ...]:
    full, least = problem.budget.epochs, config.minimum or 1
    most = config.maximum or full
    if most is None:
        _refuse(
            "maximum",
            f"the optimizer '{name}' gives trials different numbers of epochs, but the evaluator knows no epochs; "
            "set its option 'epochs', or give the largest number here",
        )
    if full is not None and most > full:
        _refuse("maximum", _too_long("'maximum'", most, full))
    if least > most:
        _refuse("minimum", f"'minimum' is {least} epochs, but the largest budget is {most}; give less than that")
    if least * config.reduction > most:
        _refuse(
            "minimum",
            f"there would be one budget only: with 'reduction' {config.reduction} the largest, {most} epochs, is next to "
            f"{most / config.reduction:.3g}, and no budget is below {least}; give a smaller 'minimum' or 'reduction', or more epochs",
        )
    return _powers(least, most, config.reduction)


def _powers(least: int, most: int, reduction: int) -> tuple[int, ...]:
    found, divisor = [most], reduction
    while most >= least * divisor:
        found.append(round(most / divisor))
        divisor *= reduction
    return tuple(reversed(found))


def _too_long(what: str, epochs: int, full: int) -> str:
    return f"{what} is {epochs} epochs, but a full evaluation has {full}; give at most that"


def _refuse(option: str, message: str) -> NoReturn:
    raise ConfigurationError([Complaint(f"optimizer.{option}", message)])
