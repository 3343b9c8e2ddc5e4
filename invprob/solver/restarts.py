"""Restarts: the same solve from several seeds, of which each image keeps the best."""

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor

from invprob.ambient import undisturbed
from invprob.callbacks import Callback, Snapshot, copied
from invprob.calls import checked
from invprob.errors import ArgumentError
from invprob.losses import Calibrated, DataMisfit
from invprob.operators.observed import Observed
from invprob.solver.relay import Relay
from invprob.solver.solution import Outcome, Solution
from invprob.solver.stages import join_traces, solve_stages
from invprob.solver.task import Task
from invprob.types import PerImage

_GROUPS = ("realised", "code", "past")


@checked
@undisturbed()
def solve_restarts(
    task: Task, *, callbacks: Sequence[Callback] = (), snapshot: Snapshot | None = None
) -> Solution:
    """Solve a task from each of its seeds; each image keeps the solution of least data misfit.

    To callbacks, trace and snapshots the restarts are one solve. A callback that asks to stop ends
    all of it, a rule of the task the restart that it watches. One restart is `solve_stages`, bit
    for bit. The truth plays no part.

    Args:
        task: what to solve. Restart r has the seed of `Task.restart(r)`.
        callbacks: observers, which may ask to stop.
        snapshot: the state to go on from. None: begin.

    Returns:
        The best solution of each image; `Solution.restarts` holds the data misfit that each restart
        ended with.

    Raises:
        ArgumentError: the task has no restart, or the snapshot is of another task.
        PriorError, ShapeError, MeasurementError: as `solve_stages`.
    """
    if task.restarts < 1:
        raise ArgumentError(f"restarts must be at least 1, not {task.restarts}")
    if task.restarts == 1:
        return solve_stages(task, callbacks=callbacks, snapshot=snapshot)
    run = _Run(task, callbacks)
    inside = None if snapshot is None else run.enter(snapshot)
    while True:
        solution = solve_stages(task.restart(run.restart), callbacks=[run], snapshot=inside)
        over = run.stop is not None or run.restart == task.restarts - 1
        if over:
            for callback in callbacks:
                callback.on_end()
        run.leave(solution, _final_misfit(solution, task))
        if over:
            break
        inside = None
    # As in `minimise`: a file keeps values, not strides or alignment, with which rounding may
    # change.
    realised = {
        name: value.clone(memory_format=torch.contiguous_format)
        for name, value in run.best["realised"].items()
    }
    with torch.no_grad():
        image = task.stages[-1].prior.render(realised)
    return dataclasses.replace(
        solution,
        image=image,
        realised=realised,
        code=run.best["code"],
        outcome=run.outcome(solution),
        trace=run.best["past"],
        steps=run.before,
        seed=task.seed,
        restarts=run.misfits,
    )


class _Run(Relay):
    """What is known of the restarts before the one at work, and of all of them in the end."""

    def __init__(self, task: Task, callbacks: Sequence[Callback]) -> None:
        super().__init__(callbacks)
        self._steps, self._stages = task.restarts * task.steps, len(task.stages)
        self.restart = self._before = 0
        self.misfits = torch.empty(0, dtype=torch.float32, device="cpu")  # (restarts done, batch)
        # The best tensors of the restarts that are done, and under "past" the trace of all.
        self.best: dict[str, dict[str, Tensor]] = {group: {} for group in _GROUPS}

    @property
    def before(self) -> int:
        return self._before

    @property
    def steps(self) -> int:
        return self._steps

    def stage(self, inside: int) -> int:
        return self.restart * self._stages + inside

    def leave(self, solution: Solution, misfit: PerImage) -> None:
        """Keep what the restart found where it is the best so far, and go on to the next."""
        known = self.misfits.nan_to_num(torch.inf)
        won = misfit.nan_to_num(torch.inf) < known.amin(0) if self.restart else None
        for group, found in (("realised", solution.realised), ("code", solution.code)):
            self.best[group] = {
                name: value if won is None else _choice(won, value, self.best[group][name])
                for name, value in found.items()
            }
        self.best["past"] = dict(join_traces(self.best["past"], solution.trace))
        self.misfits = torch.cat([self.misfits.view(-1, len(misfit)), misfit[None]])
        self._before += solution.steps
        self.restart += 1

    def outcome(self, last: Solution) -> Outcome:
        """How the solve ended, given the last restart's solution."""
        if self.stop is not None and self.before < self.steps:
            return Outcome.stopped(self.before, self.steps, self.stop.reason)
        sentence = f"the best of {self.restart} restarts by data misfit; the last: {last.outcome}"
        if last.outcome.status == "stopped":
            return Outcome("stopped", sentence)
        ended = bool(self.misfits.isfinite().any(0).all())
        return Outcome("finished" if ended else "diverged", sentence)

    def add_to(self, inside: Snapshot) -> Snapshot:
        best = {
            f"best.{group}.{name}": copied(value)
            for group, values in self.best.items()
            for name, value in values.items()
        }
        return {
            **inside,
            **best,
            "taken": inside["taken"] + self.before,
            "restart": torch.tensor(self.restart, dtype=torch.int64, device="cpu"),
            "misfits": self.misfits.clone(),
            "before": torch.tensor(self.before, dtype=torch.int64, device="cpu"),
        }

    def enter(self, snapshot: Snapshot) -> Snapshot:
        """Go to the restart in which a snapshot was taken; returns the restart's own snapshot."""
        if "restart" not in snapshot:
            raise ArgumentError("the snapshot belongs to a solve without restarts; start anew")
        inside = dict(snapshot)
        self.restart, self._before = int(inside.pop("restart")), int(inside.pop("before"))
        self.misfits = inside.pop("misfits")
        for name in [name for name in inside if name.startswith("best.")]:
            _, group, key = name.split(".", 2)
            self.best[group][key] = inside.pop(name)
        return {**inside, "taken": inside["taken"] - self.before}


def _choice(won: Tensor, new: Tensor, old: Tensor) -> Tensor:
    """The rows of `new` where it won, else those of `old`; one row may stand for all images."""
    old = old.to(new.device)
    if torch.equal(new, old) or not won.any():
        return old
    rows = won.to(new.device).view(-1, *[1] * (new.ndim - 1))
    return torch.where(rows, new, old)


@torch.no_grad()
def _final_misfit(solution: Solution, task: Task) -> PerImage:
    values = task.measurements.values.to(solution.image)
    target = Observed(task.operator).target(values, task.operator)
    misfit = Calibrated(DataMisfit(), task.measurements.units).bind(target, task.operator)
    return misfit(solution.image, task.operator(solution.image)).cpu()
