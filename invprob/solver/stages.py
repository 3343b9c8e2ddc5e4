"""Stages: descents one after another, each going on from where the one before it ended."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from invprob.ambient import undisturbed
from invprob.callbacks import Callback, Snapshot
from invprob.calls import checked
from invprob.errors import ArgumentError
from invprob.solver.loop import minimise
from invprob.solver.relay import Relay
from invprob.solver.solution import Outcome, Solution
from invprob.solver.task import Task
from invprob.streams import stream

Trace: TypeAlias = Mapping[str, Tensor]


@checked
@undisturbed()
def solve_stages(
    task: Task, *, callbacks: Sequence[Callback] = (), snapshot: Snapshot | None = None
) -> Solution:
    """Solve the stages of a task, which to callbacks, trace and snapshots are one solve.

    Stage i > 0 draws from streams of its own seed, `Task.stage_seed(i)`. A single stage is `solve`,
    bit for bit.

    Args:
        task: what to solve; its rules watch as well, before the callbacks.
        callbacks: observers, which may ask to stop.
        snapshot: the state to go on from. None: begin.

    Returns:
        The last stage's solution. The trace is that of all stages; a loss term that a stage does
        not have is NaN in the stage's part of it.

    Raises:
        ArgumentError: the snapshot is of another task.
        PriorError: a prior cannot go on from the solution before it.
        ShapeError, MeasurementError: as `solve`.
    """
    callbacks = [*task.rules(), *callbacks]
    run = _Run([stage.steps for stage in task.stages], callbacks)
    inside = None if snapshot is None else run.enter(snapshot)
    previous: Solution | None = None
    while True:
        stage = task.stages[run.number]
        code = stage.prior.start(task.batch, stream(task.stage_seed(run.number), "start"))
        if previous is not None and stage.continues:
            code.load_smaller_(previous.code)
        elif previous is not None:
            stage.prior.adopt_(code, previous.realised)
        elif task.initial is not None and snapshot is None:
            found = task.initial(task.measurements, task.operator)
            if found:  # empty: there is nothing better than the prior's own start
                stage.prior.adopt_(code, found)
        solution = minimise(task, run.number, start=code, callbacks=[run], snapshot=inside)
        outcome = run.outcome(solution)
        if outcome is not None:
            break
        previous, inside = solution, None
        run.enter_next(solution)
    for callback in callbacks:
        callback.on_end()
    return dataclasses.replace(
        solution,
        outcome=outcome,
        trace=join_traces(run.trace, solution.trace),
        steps=run.before + solution.steps,
        seed=task.seed,
    )


class _Run(Relay):
    """What is known of the stages before the one at work."""

    def __init__(self, allotted: Sequence[int], callbacks: Sequence[Callback]) -> None:
        super().__init__(callbacks)
        self.allotted, self.number = allotted, 0  # steps of each stage; the stage at work
        self.trace: Trace = {}  # of the stages before it

    @property
    def before(self) -> int:
        return sum(self.allotted[: self.number])

    @property
    def steps(self) -> int:
        return sum(self.allotted)

    def stage(self, inside: int) -> int:
        return self.number + inside

    def enter_next(self, solution: Solution) -> None:
        """Leave the stage that ended with this solution for the next one."""
        self.trace = join_traces(self.trace, solution.trace)
        self.number += 1

    def outcome(self, solution: Solution) -> Outcome | None:
        """How the solve ended with this stage's solution; None where it goes on."""
        taken = self.before + solution.steps
        last = self.number == len(self.allotted) - 1
        if solution.outcome.status == "diverged":
            return Outcome.diverged(taken)
        if self.stop is not None and taken < self.steps:
            return Outcome.stopped(taken, self.steps, self.stop.reason)
        if last and taken < self.steps:
            return Outcome.converged(taken, self.steps)
        return Outcome.finished(taken) if last else None

    def add_to(self, inside: Snapshot) -> Snapshot:
        return {
            **inside,
            "taken": inside["taken"] + self.before,
            "stage": torch.tensor(self.number, dtype=torch.int64, device="cpu"),
            **{f"earlier.{name}": value.clone() for name, value in self.trace.items()},
        }

    def enter(self, snapshot: Snapshot) -> Snapshot:
        """Go to the stage in which a snapshot was taken; returns the stage's own snapshot."""
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
    """One trace after another; a term that only one of them has is NaN in the other's steps."""
    if not (first and second):
        return first or second
    names = [*(name for name in {**first, **second} if name != "total"), "total"]
    gaps = [torch.full_like(trace["total"], torch.nan) for trace in (first, second)]
    return {
        name: torch.cat([first.get(name, gaps[0]), second.get(name, gaps[1])]) for name in names
    }
