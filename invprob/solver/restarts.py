"""Restarts: the same solve from several seeds, of which each image keeps the best."""

import dataclasses
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from invprob.callbacks import Callback, Snapshot, copied
from invprob.errors import ArgumentError
from invprob.losses import DataMisfit
from invprob.measurements import Measurements
from invprob.operators.base import Operator
from invprob.solver.relay import Relay
from invprob.solver.solution import Outcome, Solution
from invprob.solver.stages import Initial, Stage, allot, join_traces, solve_stages
from invprob.streams import derive
from invprob.types import PerImage

_GROUPS = ("realised", "code", "past")


def solve_restarts(
    measurements: Measurements,
    operator: Operator,
    stages: Sequence[Stage],
    *,
    restarts: int,
    initial: Initial | None = None,
    steps: int | None = None,
    seed: int = 0,
    rules: Callable[[], Sequence[Callback]] = tuple,
    callbacks: Sequence[Callback] = (),
    snapshot: Snapshot | None = None,
) -> Solution:
    """Solve in stages from several seeds; each image keeps the solution of least data misfit.

    The first restart has the seed itself, restart r > 0 `derive(seed, "restart", r)`; each takes
    `steps`. To `callbacks`, trace and snapshots they are one run, which a callback's wish to stop
    ends; what `rules` makes anew for each restart ends that restart only. One restart is
    `solve_stages`, bit for bit. The truth plays no part. Raises `ArgumentError` for restarts < 1,
    and what `solve_stages` raises.
    """
    if restarts < 1:
        raise ArgumentError(f"restarts must be at least 1, not {restarts}")
    if restarts == 1:
        return solve_stages(
            measurements,
            operator,
            stages,
            initial=initial,
            steps=steps,
            seed=seed,
            callbacks=[*rules(), *callbacks],
            snapshot=snapshot,
        )
    run = _Run(restarts, sum(allot(stages, steps)), len(stages), callbacks)
    inside = None if snapshot is None else run.enter(snapshot)
    while True:
        solution = solve_stages(
            measurements,
            operator,
            stages,
            initial=initial,
            steps=steps,
            seed=derive(seed, "restart", run.restart) if run.restart else seed,
            callbacks=[*rules(), run],
            snapshot=inside,
        )
        over = run.stop is not None or run.restart == restarts - 1
        if over:
            for callback in callbacks:
                callback.on_end()
        run.leave(solution, _final_misfit(solution, measurements, operator))
        if over:
            break
        inside = None
    # As in `solve`: a file keeps values, not strides or alignment, with which rounding may change.
    realised = {
        name: value.clone(memory_format=torch.contiguous_format)
        for name, value in run.best["realised"].items()
    }
    with torch.no_grad():
        image = stages[-1].prior.render(realised)
    return dataclasses.replace(
        solution,
        image=image,
        realised=realised,
        code=run.best["code"],
        outcome=run.outcome(solution),
        trace=run.best["past"],
        steps=run.before,
        seed=seed,
        restarts=run.misfits,
    )


class _Run(Relay):
    """What the restarts have in common."""

    def __init__(
        self, restarts: int, steps: int, stages: int, callbacks: Sequence[Callback]
    ) -> None:
        super().__init__(callbacks)
        self._steps, self._stages = restarts * steps, stages
        self.restart = self._before = 0
        self.misfits = torch.empty(0)  # (restarts done, batch)
        # Of the restarts that are done: the winners' tensors, and the trace of all.
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
        """Take the end of a restart into account."""
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
        """How it all ended, with the last restart's solution."""
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
            "restart": torch.tensor(self.restart),
            "misfits": self.misfits.clone(),
            "before": torch.tensor(self.before),
        }

    def enter(self, snapshot: Snapshot) -> Snapshot:
        """Go to where `snapshot` was taken; returns the restart's own snapshot."""
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
    """The rows of `new` where it won, else those of `old`; 1 row may stand for the batch."""
    old = old.to(new.device)
    if torch.equal(new, old) or not won.any():
        return old
    rows = won.to(new.device).view(-1, *[1] * (new.ndim - 1))
    return torch.where(rows, new, old)


def _final_misfit(solution: Solution, measurements: Measurements, operator: Operator) -> PerImage:
    with torch.no_grad():
        target = measurements.values.to(solution.image)
        bound = DataMisfit().bind(target, operator)
        return bound(solution.image, operator(solution.image)).cpu()
