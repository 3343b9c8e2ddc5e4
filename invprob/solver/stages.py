"""Stages: solves one after another, each going on from where the one before it ended."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from invprob.callbacks import Callback, Snapshot
from invprob.errors import ArgumentError
from invprob.losses import Term
from invprob.measurements import Measurements
from invprob.operators.base import Operator
from invprob.priors.base import Prior
from invprob.schedules import Schedule
from invprob.solver.loop import solve
from invprob.solver.optimisers import Optimiser
from invprob.solver.relay import Relay
from invprob.solver.solution import Outcome, Solution
from invprob.streams import derive, stream

Initial: TypeAlias = Callable[[Measurements, Operator], Mapping[str, Tensor]]
Trace: TypeAlias = Mapping[str, Tensor]


@dataclass(frozen=True)
class Stage:
    """One solve of a sequence; `steps` is the method's own number, 0 takes the start as it is.

    One that `continues` takes over the free variables of the stage before (`Code.take_`); others
    begin as near as they can to what that stage found (`Prior.adopt_`).
    """

    prior: Prior
    terms: Sequence[Term]
    optimiser: Optimiser
    schedule: Schedule
    steps: int
    continues: bool = False


def allot(stages: Sequence[Stage], steps: int | None) -> list[int]:
    """Split a budget of steps in the proportions of the stages' own, at least one each.

    None gives each its own number, and stages of 0 steps get none in any case. Raises
    `ArgumentError` where there are fewer steps than stages that take some.
    """
    own = [stage.steps for stage in stages]
    taking = sum(number > 0 for number in own)
    if steps is None or not taking:
        return own
    if steps < taking:
        raise ArgumentError(
            f"steps must be at least {taking}, one for each stage of this method, not {steps}"
        )
    allotted, end, ahead = [], 0, 0
    for number in own:
        if number:
            taking -= 1
            ahead += number
            nearest = round(steps * ahead / sum(own))
            allotted.append(min(max(nearest, end + 1), steps - taking) - end)
            end += allotted[-1]
        else:
            allotted.append(0)
    return allotted


def solve_stages(
    measurements: Measurements,
    operator: Operator,
    stages: Sequence[Stage],
    *,
    initial: Initial | None = None,
    steps: int | None = None,
    seed: int = 0,
    callbacks: Sequence[Callback] = (),
    snapshot: Snapshot | None = None,
) -> Solution:
    """Solve in stages, which to callbacks, trace and snapshots are one run of `allot`ted steps.

    The first stage begins at its prior's start, or as near as that can come to what `initial` makes
    of the measurements; each later one as near to the solution before it, or with its variables.
    Stage i > 0 draws from streams of its own seed, `derive(seed, "stage", i)`; a single stage is
    `solve`, bit for bit. Terms that a stage does not have are NaN in its part of the trace.

    Raises what `solve` and `allot` raise, and `PriorError` for a prior that cannot go on.
    """
    allotted = allot(stages, steps)
    run = _Run(allotted, callbacks)
    inside = None if snapshot is None else run.enter(snapshot)
    realised: Mapping[str, Tensor] = {}
    before: Mapping[str, Tensor] = {}
    if initial is not None and snapshot is None:
        realised = initial(measurements, operator)
    while True:
        stage = stages[run.number]
        own_seed = derive(seed, "stage", run.number) if run.number else seed
        code = stage.prior.start(len(measurements.values), stream(own_seed, "start"))
        if before and stage.continues:
            code.take_(before)
        elif realised:
            stage.prior.adopt_(code, realised)
        solution = solve(
            measurements,
            operator,
            stage.prior,
            terms=stage.terms,
            optimiser=stage.optimiser,
            schedule=stage.schedule,
            steps=allotted[run.number],
            seed=own_seed,
            start=code,
            callbacks=[run],
            snapshot=inside,
        )
        outcome = run.outcome(solution)
        if outcome is not None:
            break
        realised, before, inside = solution.realised, solution.code, None
        run.enter_next(solution)
    for callback in callbacks:
        callback.on_end()
    return dataclasses.replace(
        solution,
        outcome=outcome,
        trace=join_traces(run.trace, solution.trace),
        steps=run.before + solution.steps,
        seed=seed,
    )


class _Run(Relay):
    """What the stages have in common."""

    def __init__(self, allotted: Sequence[int], callbacks: Sequence[Callback]) -> None:
        super().__init__(callbacks)
        self.allotted, self.number = allotted, 0
        self.trace: Trace = {}  # of the stages before this one

    @property
    def before(self) -> int:
        return sum(self.allotted[: self.number])

    @property
    def steps(self) -> int:
        return sum(self.allotted)

    def stage(self, inside: int) -> int:
        return self.number + inside

    def enter_next(self, solution: Solution) -> None:
        """Leave the stage that ended with this solution."""
        self.trace = join_traces(self.trace, solution.trace)
        self.number += 1

    def outcome(self, solution: Solution) -> Outcome | None:
        """How the run ended with this stage's solution; None where it goes on."""
        taken = self.before + solution.steps
        last = self.number == len(self.allotted) - 1
        if solution.outcome.status == "diverged":
            return Outcome.diverged(taken)
        if self.stop is not None and taken < self.steps:
            return Outcome.stopped(taken, self.steps, self.stop.reason)
        return Outcome.finished(taken) if last else None

    def add_to(self, inside: Snapshot) -> Snapshot:
        return {
            **inside,
            "taken": inside["taken"] + self.before,
            "stage": torch.tensor(self.number),
            **{f"earlier.{name}": value.clone() for name, value in self.trace.items()},
        }

    def enter(self, snapshot: Snapshot) -> Snapshot:
        """Go to where `snapshot` was taken; returns the stage's own snapshot."""
        earlier = {
            name.removeprefix("earlier."): value
            for name, value in snapshot.items()
            if name.startswith("earlier.")
        }
        self.number = int(snapshot["stage"])
        taken = snapshot["taken"] - self.before
        rows = len(earlier["total"]) if earlier else 0
        if self.number >= len(self.allotted) or rows != self.before:
            raise ArgumentError(
                "the snapshot belongs to a solve with other stages; start anew without it"
            )
        self.trace = earlier
        inside = {name: value for name, value in snapshot.items() if name[:8] != "earlier."}
        del inside["stage"]
        return {**inside, "taken": taken}


def join_traces(first: Trace, second: Trace) -> Trace:
    """One trace after another; what only one of them has is NaN in the other."""
    if not (first and second):
        return first or second
    names = [*(name for name in {**first, **second} if name != "total"), "total"]
    gaps = [torch.full_like(trace["total"], torch.nan) for trace in (first, second)]
    return {
        name: torch.cat([first.get(name, gaps[0]), second.get(name, gaps[1])]) for name in names
    }
