"""The loop: minimise the loss of operator ∘ prior over the prior's free variables."""

import copy
from collections import defaultdict
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from invprob.callbacks import (
    Callback,
    Iterate,
    Snapshot,
    Stop,
    copied,
    gather_states,
    restore_states,
)
from invprob.errors import ArgumentError, ShapeError
from invprob.losses import BoundTerm, DataMisfit, Term
from invprob.measurements import Measurements
from invprob.operators.base import Operator
from invprob.priors.base import Code, Prior
from invprob.schedules import Schedule, cosine_trapezoid
from invprob.solver.optimisers import Adam, Optimiser, Stepper
from invprob.solver.solution import Outcome, Solution
from invprob.streams import stream
from invprob.types import Images, Measured, PerImage

CHECK_EVERY = 25  # steps between looks at the loss for NaN, each of which waits for the device


def solve(
    measurements: Measurements,
    operator: Operator,
    prior: Prior,
    *,
    terms: Sequence[Term] | None = None,
    optimiser: Optimiser | None = None,
    schedule: Schedule | None = None,
    steps: int,
    seed: int = 0,
    start: Code | None = None,
    callbacks: Sequence[Callback] = (),
    snapshot: Snapshot | None = None,
) -> Solution:
    """Find images of the prior whose measurements are those given, one for each measurement.

    The images of a batch are solved at once and independently, with the same random draws. `terms`
    None means the data term alone, `optimiser` Adam, `schedule` the cosine trapezoid. Step k draws
    from a stream of (seed, k), so a solve that goes on from a `snapshot` ends bit for bit where an
    uninterrupted one does. Operator and prior must be on one device and of one dtype.

    `start` is the code to begin at, and to move, in place of the prior's own; with one there may be
    0 steps, after which the start is the solution.

    Raises `ArgumentError` for fewer steps than that or a snapshot of another solve, `ShapeError`
    where operator and prior differ in image shape, `MeasurementError` where the measurements are
    not the operator's.
    """
    least = 1 if start is None else 0
    if steps < least:
        raise ArgumentError(f"steps must be at least {least}, not {steps}")
    if tuple(operator.image_shape) != tuple(prior.image_shape):
        raise ShapeError(
            f"the operator measures images of shape {tuple(operator.image_shape)}, but the prior "
            f"draws {tuple(prior.image_shape)}; build one for the other's shape"
        )
    measurements.check(operator)
    if start is None:
        start = prior.start(len(measurements.values), stream(seed, "start"))
    state = _State(measurements, operator, prior, start, terms, optimiser, seed, callbacks)
    if snapshot is not None:
        state.restore(snapshot)
    scale = schedule or cosine_trapezoid()
    outcome = _descend(state, scale, steps, callbacks)
    for callback in callbacks:
        callback.on_end()
    state.stepper.settle()  # after callbacks have written what a later run goes on from
    with torch.no_grad():
        code = copy.deepcopy(state.code)  # so that a choice leaves the state alone
        for callback in callbacks:
            callback.choose_(code)
        # A file keeps values, not strides or alignment, with which rounding may change.
        last = stream(seed, "solve", max(state.taken - 1, 0))
        realised = {
            name: value.clone(memory_format=torch.contiguous_format)
            for name, value in prior.realise(code, last).items()
        }
        image = prior.render(realised)
    return Solution(
        image=image,
        realised=realised,
        code=code.state_dict(),
        outcome=outcome,
        trace=state.trace(),
        steps=state.taken,
        seed=seed,
        prior_spec=prior.spec(),
        prior=prior,
    )


def _descend(
    state: "_State", scale: Schedule, steps: int, callbacks: Sequence[Callback]
) -> Outcome:
    stop = first_stop(
        [callback.on_start(state.taken, steps, state.snapshot) for callback in callbacks]
    )
    while state.taken < steps:
        if stop is not None:
            return Outcome.stopped(state.taken, steps, stop.reason)
        iterate = state.step(scale(state.taken / steps), steps)
        stop = first_stop([callback.on_step(iterate) for callback in callbacks])
        last = state.taken == steps
        if (last or state.taken % CHECK_EVERY == 0) and not iterate.total.isfinite().all():
            return Outcome.diverged(state.taken)
    return Outcome.finished(steps)


def first_stop(wishes: Sequence[Stop | None]) -> Stop | None:
    """The first of the callbacks' wishes to end the solve, once all were asked."""
    return next((wish for wish in wishes if wish is not None), None)


class _State:
    """Everything that changes during a solve."""

    def __init__(
        self,
        measurements: Measurements,
        operator: Operator,
        prior: Prior,
        code: Code,
        terms: Sequence[Term] | None,
        optimiser: Optimiser | None,
        seed: int,
        callbacks: Sequence[Callback],
    ) -> None:
        self.callbacks = callbacks
        self.operator, self.prior, self.seed, self.taken = operator, prior, seed, 0
        self.code = code
        example = next(self.code.parameters(), None)
        if example is None:
            raise ArgumentError("the prior has no free variable; choose a style, content or noise")
        target = measurements.values.to(example.device, example.dtype)
        self.terms: list[tuple[Term, BoundTerm]] = [
            (term, term.seeded(seed).bind(target, operator)) for term in (terms or [DataMisfit()])
        ]
        # Terms with a memory are modules: it belongs to the state of the solve.
        self._remembering = nn.ModuleDict(
            {
                str(i): bound
                for i, (_, bound) in enumerate(self.terms)
                if isinstance(bound, nn.Module)
            }
        )
        self.stepper: Stepper = (optimiser or Adam()).start(prior.groups(self.code))
        self._names: list[str] = []
        self._rows: list[Tensor] = []  # one (terms + 1, batch) a step, left on the device

    def step(self, scale: float, steps: int) -> Iterate:
        """Evaluate, descend, project; returns what was evaluated."""
        self.prior.anneal_(self.code, self.taken / steps)
        image = self.prior.decode(self.code, stream(self.seed, "solve", self.taken))
        prediction = self.operator.surrogate(image)
        losses = self._losses(image, prediction)
        total = torch.stack(list(losses.values())).sum(0)
        total.sum().backward()
        self.stepper.step(scale, total.detach())
        self.prior.project_(self.code)
        self.taken += 1
        detached = {name: value.detach() for name, value in losses.items()}
        named = {**detached, "total": total.detach()}
        self._names = self._names or list(named)  # a file gives them back in an order of its own
        self._rows.append(torch.stack([named[name] for name in self._names]))
        return Iterate(
            taken=self.taken,
            steps=steps,
            image=image.detach(),
            prediction=prediction.detach(),
            losses=detached,
            total=total.detach(),
            code=self.code.state_dict(),
            snapshot=self.snapshot,
        )

    def _losses(self, image: Images, prediction: Measured) -> dict[str, PerImage]:
        losses = {term.name: term.weight * bound(image, prediction) for term, bound in self.terms}
        for name, value in self.prior.regularisers(self.code).items():
            losses[name] = value
        return losses

    def trace(self) -> dict[str, Tensor]:
        """Each loss over the steps taken, (steps, batch)."""
        if not self._rows:
            return {}
        table = torch.stack(self._rows, 1).cpu()
        return dict(zip(self._names, table, strict=True))

    def snapshot(self) -> Snapshot:
        """A copy of the state on the CPU."""
        groups: dict[str, Mapping[str, Tensor]] = {
            "code": self.code.state_dict(),
            "optimiser": self.stepper.state(),
            "terms": self._remembering.state_dict(),
            "trace": self.trace(),
            "callbacks": gather_states(self.callbacks),
        }
        copies = {
            f"{group}.{name}": copied(value)
            for group, values in groups.items()
            for name, value in values.items()
        }
        return {"taken": torch.tensor(self.taken), **copies}

    def restore(self, snapshot: Snapshot) -> None:
        """Take back what `snapshot` gave; raises `ArgumentError` where it is another solve's."""
        groups: defaultdict[str, dict[str, Tensor]] = defaultdict(dict)
        for name, value in snapshot.items():
            group, _, key = name.partition(".")
            if key:
                groups[group][key] = value
        expected = self.code.state_dict()
        if {name: value.shape for name, value in expected.items()} != {
            name: value.shape for name, value in groups["code"].items()
        }:
            raise ArgumentError(
                "the snapshot belongs to a solve with other free variables; start anew without it"
            )
        self.code.load_state_dict(groups["code"])
        self.stepper.restore(groups["optimiser"])
        self._remembering.load_state_dict(groups["terms"])
        restore_states(self.callbacks, groups["callbacks"])
        self.taken = int(snapshot["taken"])
        self._names = list(groups["trace"])
        device = next(self.code.parameters()).device
        if groups["trace"]:
            table = torch.stack(list(groups["trace"].values()))
            self._rows = list(table.to(device).unbind(1))
