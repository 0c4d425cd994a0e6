"""Optimizer `reinforce`: policy gradient over the decisions (Williams, 1992; Zoph and Le, 2017)."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import attrs
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from morphml_core.optimizer.fresh import Fresh
from morphml_core.plugins.component import optimizer
from morphml_core.problem import Problem, Proposal, Trial
from morphml_core.space.decisions import Genotype
from morphml_optimizers.asking import proposed
from morphml_optimizers.policy import Policy
from morphml_optimizers.ranking import standing
from morphml_optimizers.single import single_objective

Array = NDArray[np.float64]

_ORIGIN = "policy"
_RECENT = 200  # trials that a trial is compared with
_EVENER = 0.05  # the share of numbers drawn evenly grows by so much with each draw that was known


@attrs.frozen
class Config:
    """How the policy learns."""

    learning_rate: float = attrs.field(default=0.15, validator=[attrs.validators.gt(0.0), attrs.validators.le(10.0)])
    """How far a logit goes in one update, about (the step of Adam)."""
    batch: int = attrs.field(default=2, validator=attrs.validators.ge(1))
    """After how many trials the policy is updated."""
    baseline: float = attrs.field(default=0.9, validator=[attrs.validators.ge(0.0), attrs.validators.lt(1.0)])
    """How much of the moving average of rewards, and of their spread, a trial leaves as it was."""
    entropy: float = attrs.field(default=0.1, validator=[attrs.validators.ge(0.0), attrs.validators.le(10.0)])
    """The weight of the entropy bonus: larger ones keep the policy from settling early."""
    bins: int = attrs.field(default=10, validator=attrs.validators.ge(2))
    """Into how many parts a real, and an integer with more values, is divided on its own scale."""


class Reinforce:
    """REINFORCE (Williams, 1992) as in "Neural Architecture Search with Reinforcement Learning" (Zoph and Le, ICLR 2017).

    The policy is a product of categorical distributions, one a decision (numbers in bins), of which those count that are active: tables of logits
    instead of a recurrent network, which a few hundred trials cannot train.  Each batch of told trials moves the logits along advantage * gradient of the
    log-likelihood, plus that of the entropy, with Adam (Kingma and Ba, 2015).

    The reward is -log(share of the last 200 trials that are better), so that neither unit nor scale of the objective matters; the advantage is
    the reward less its moving average, divided by a moving standard deviation.  Trials are ranked by constraint violation, then by the
    objective; failed ones and those without the objective are the worst of all, stopped ones count with what they reported.  Trials of others (a warm
    start) teach too, weighted as truncated importance sampling would if they had been drawn evenly: by how much likelier than even draws they
    are under the policy, at most 1.  Pending trials are not proposed again, and count when they are told, whatever the policy is by then.  A draw that is known,
    pending or refused is followed by others, with more and more of their numbers drawn evenly.  One objective.
    """

    def __init__(self, config: Config, problem: Problem) -> None:
        single_objective(problem, "reinforce")
        self._config = config
        self._problem = problem
        self._fresh = Fresh(problem)
        self._policy = Policy(problem.decisions, config.bins)
        self._adam = _Adam(len(self._policy.probabilities), config.learning_rate)
        self._rewards = _Rewards()
        self._average = _Average(1.0 - config.baseline)
        self._batch: list[tuple[list[int], float]] = []

    def ask(self, numbers: Sequence[int], pending: Sequence[Trial]) -> list[Proposal]:
        """Genotypes drawn from the policy.  Takes as long whatever the number of trials told."""
        return proposed(self._problem, self._fresh, numbers, pending, self._plan)

    def _plan(self, pending: int, rng: Generator) -> tuple[Callable[[], Genotype], str]:
        return partial(next, self._drawn(rng)), _ORIGIN

    def _drawn(self, rng: Generator) -> Iterator[Genotype]:
        share = 0.0
        while True:
            yield self._policy.draw(rng, share)
            share = min(1.0, share + _EVENER)

    def tell(self, trials: Sequence[Trial]) -> None:
        """Learn from each trial, in their order."""
        self._fresh.tell(trials)
        for trial in trials:
            self._learn(trial)

    def _learn(self, trial: Trial) -> None:
        categories = self._policy.categories(trial.genotype)
        weight = 1.0 if trial.origin == _ORIGIN else self._policy.ratio(categories)
        mine = standing(self._problem, trial)
        reward = self._rewards.of((math.inf, 0.0) if mine.failed else (mine.violation, mine.losses[0]))
        self._batch.append((categories, weight * self._average.advantage(reward, weight)))
        if len(self._batch) == self._config.batch:
            self._policy.change(self._adam.step(self._policy.gradient(self._batch, self._config.entropy)))
            self._batch.clear()


class _Rewards:
    """Rewards by rank among the recent trials."""

    def __init__(self) -> None:
        self._recent: deque[tuple[float, float]] = deque()
        self._ranked: list[tuple[float, float]] = []

    def of(self, key: tuple[float, float]) -> float:
        """-log(share of the recent trials, this one included, that are better, equal ones counting half).  Smaller keys are better."""
        insort(self._ranked, key)
        self._recent.append(key)
        better = (bisect_left(self._ranked, key) + bisect_right(self._ranked, key)) / 2
        reward = -math.log(better / len(self._ranked))
        if len(self._recent) > _RECENT:
            del self._ranked[bisect_left(self._ranked, self._recent.popleft())]
        return reward


class _Average:
    """Moving averages of rewards and of how far they are from it: a `rate` of each new one, more of the first ones."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._mean = self._square = self._total = 0.0

    def advantage(self, reward: float, weight: float) -> float:
        """How much better than the average a reward is, in standard deviations; then it has its part in both, by its weight."""
        self._total += weight
        rate = weight * max(self._rate, 1.0 / max(self._total, 1.0))
        above = reward - self._mean if self._total > weight else 0.0
        self._mean += rate * (reward - self._mean)
        self._square += rate * (above * above - self._square)
        return above / math.sqrt(self._square) if self._square > 0.0 else 0.0


class _Adam:
    """Adam (Kingma and Ba, 2015), uphill."""

    def __init__(self, width: int, rate: float, first: float = 0.9, second: float = 0.99) -> None:
        self._rate, self._decays = rate, (first, second)
        self._mean, self._square = np.zeros(width), np.zeros(width)
        self._left = [1.0, 1.0]

    def step(self, gradient: Array) -> Array:
        """How to move along a gradient."""
        first, second = self._decays
        self._mean += (1.0 - first) * (gradient - self._mean)
        self._square += (1.0 - second) * (gradient * gradient - self._square)
        self._left = [self._left[0] * first, self._left[1] * second]
        mean, square = self._mean / (1.0 - self._left[0]), self._square / (1.0 - self._left[1])
        found: Array = self._rate * mean / (np.sqrt(square) + 1e-8)
        return found


component = optimizer(Config, Reinforce)
