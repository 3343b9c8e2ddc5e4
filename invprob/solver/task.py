"""What stays the same during a solve: the data, the stages and the seed."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import torch
from torch import Tensor

from invprob.callbacks import Callback
from invprob.calls import checked
from invprob.kinds import remedy
from invprob.losses import Term, calibrated
from invprob.measurements import Measurements
from invprob.operators.base import Operator
from invprob.priors.base import Prior
from invprob.schedules import Schedule
from invprob.solver.optimisers import Optimiser
from invprob.streams import derive, whole_seed

Initial: TypeAlias = Callable[[Measurements, Operator], Mapping[str, Tensor]]


@checked
@dataclass(frozen=True)
class Stage:
    """One descent of a task, which has one or more of them.

    Args:
        prior: the prior whose free variables move.
        terms: the terms of the objective; each has a name of its own.
        optimiser: what moves the variables.
        schedule: the learning rate's scale at a progress in [0, 1).
        steps: how many steps to take; a stage of 0 steps takes its start for its solution.
        continues: whether the stage takes over the free variables of the stage before it
            (`Code.load_smaller_`). Otherwise it starts as near as its prior can come to the images
            and maps that the stage before it found (`Prior.adopt_`).
    """

    prior: Prior
    terms: Sequence[Term]
    optimiser: Optimiser
    schedule: Schedule = field(repr=False)  # a function shows its address only
    steps: int
    continues: bool = False


@remedy("recipe.task(measurements, operator)")
@checked
@dataclass(frozen=True)
class Task:
    """Everything about a solve that stays the same while it runs.

    Args:
        measurements: what was measured of each image of the batch.
        operator: what measured it.
        stages: the descents to make, one after another.
        seed: what every random draw of the solve is derived from.
        initial: finds, from measurements and operator, a point for the first stage to start near:
            tensors by name, as `Prior.adopt_` takes them. None: the prior's own start.
        restarts: from how many seeds to solve; each image keeps the best solution.
        rules: makes the callbacks that may end one restart, anew for each.

    Raises:
        ArgumentError: gain or offset is not known, and a term has no room to estimate it.
    """

    measurements: Measurements
    operator: Operator
    stages: Sequence[Stage]
    seed: int = 0
    initial: Initial | None = None
    restarts: int = 1
    rules: Callable[[], Sequence[Callback]] = tuple

    def __post_init__(self) -> None:
        object.__setattr__(self, "seed", whole_seed(self.seed))
        for stage in self.stages:
            self.terms(stage)  # raises where a term cannot be calibrated

    @property
    def batch(self) -> int:
        """How many images are solved at once."""
        return len(self.measurements.values)

    @property
    def steps(self) -> int:
        """The steps of all stages of one restart."""
        return sum(stage.steps for stage in self.stages)

    def terms(self, stage: Stage) -> list[Term]:
        """The terms of a stage, which see gain and offset estimated where they are not known."""
        return calibrated(stage.terms, self.measurements.units)

    @checked
    def stage_seed(self, number: int) -> int:
        """The seed of stage `number`, counted from 0; the first stage has the task's own."""
        return derive(self.seed, "stage", number) if number else self.seed

    @checked
    def restart(self, number: int) -> "Task":
        """The task of restart `number`, counted from 0; the first one is the task itself."""
        if number == 0:
            return self
        return dataclasses.replace(self, seed=derive(self.seed, "restart", number))

    @checked
    def with_rule(self, rule: Callable[[], Callback]) -> "Task":
        """The same task, of which each restart is also watched by what `rule` makes for it."""
        return dataclasses.replace(self, rules=lambda: [*self.rules(), rule()])

    def to(self, device: torch.device) -> "Task":
        """Move operator and priors, in place, to a device."""
        self.operator.to(device)
        for stage in self.stages:
            stage.prior.to(device)
        return self


@checked
def allot(stages: Sequence[Stage], steps: int | None) -> tuple[Stage, ...]:
    """Split a budget of steps over stages, in the proportions of the stages' own numbers.

    Args:
        stages: the stages with their own numbers of steps.
        steps: the budget; None leaves every stage its own number.

    Returns:
        The stages with the steps allotted to them. A stage of 0 steps stays at 0; any other gets
        at least 1. Where there are fewer steps than stages, the first ones get 1 each, and the
        others 0.
    """
    own = [stage.steps for stage in stages]
    taking = sum(number > 0 for number in own)
    if steps is None or not taking:
        return tuple(stages)
    allotted, end, ahead = [], 0, 0
    for stage in stages:
        if stage.steps:
            taking -= 1
            ahead += stage.steps
            nearest = round(steps * ahead / sum(own))
            number = min(max(nearest, end + 1), max(steps - taking, end + 1), steps) - end
            end += number
            stage = dataclasses.replace(stage, steps=number)
        allotted.append(stage)
    return tuple(allotted)
