"""An optimizer for MorphML: mutate the best network so far."""

import attrs

from morphml_core.optimizer.fresh import Fresh
from morphml_core.plugins.component import optimizer


@attrs.frozen
class Config:
    mutations: int = 1


class HillClimb:
    def __init__(self, config, problem):
        self.config, self.problem, self.fresh, self.best = config, problem, Fresh(problem), None

    def ask(self, numbers, pending):
        return self.fresh.propose(numbers, pending, self.child, "hill climb")

    def child(self, rng):
        space = self.problem.decisions
        return space.mutate(self.best.genotype, rng, self.config.mutations) if self.best else space.sample(rng)

    def tell(self, trials):
        self.fresh.tell(trials)
        self.best = min([self.best, *trials] if self.best else trials, key=self.problem.rank_key, default=None)


component = optimizer(Config, HillClimb)
