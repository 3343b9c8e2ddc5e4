"""The loop: minimise the loss of operator ∘ prior over the prior's free variables.

`solve` is the public front of one descent. Tasks of several stages and restarts (`stages.py`,
`restarts.py`) come to `minimise` as well, once for each stage.
"""

import copy
from collections.abc import Sequence

import torch

from invprob.ambient import undisturbed
from invprob.callbacks import Callback, Iterate, Snapshot, first_stop
from invprob.calls import checked
from invprob.errors import ArgumentError
from invprob.losses import DataMisfit, Term
from invprob.measurements import Measurements
from invprob.operators.base import Operator
from invprob.priors.base import Code, Prior
from invprob.schedules import Schedule, cosine_trapezoid
from invprob.solver.fit import check_image_shapes
from invprob.solver.optimisers import Adam, Optimiser
from invprob.solver.solution import Outcome, Solution
from invprob.solver.state import State
from invprob.solver.task import Stage, Task
from invprob.streams import stream

CHECK_EVERY = 25  # steps between looks at the loss for NaN, each of which waits for the device


@checked
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

    The images of a batch are solved at once and independently, with the same random draws. Step k
    draws from a stream of (seed, k), so a solve that goes on from a snapshot ends bit for bit where
    an uninterrupted one does.

    Args:
        measurements: what was measured, of one or more images.
        operator: what measured it; on the device, and of the dtype, of the prior.
        prior: the model of images that is searched.
        terms: the terms of the objective. None: the data misfit alone.
        optimiser: what moves the free variables. None: Adam.
        schedule: the learning rate's scale over the solve. None: `cosine_trapezoid()`.
        steps: how many steps to take, at least 1, or at least 0 where a start is given.
        seed: what every random draw is derived from.
        start: the free variables to begin at, which the solve moves. None: the prior's own start.
        callbacks: observers, which may ask to stop.
        snapshot: the state to go on from, as `Iterate.snapshot` gave it. None: begin.

    Returns:
        The images and what draws them again; after 0 steps, those of the start.

    Raises:
        ArgumentError: there are too few steps, or the snapshot is of another solve.
        ShapeError: operator and prior differ in the shape of images.
        MeasurementError: the measurements are not the operator's.
    """
    least = 1 if start is None else 0
    if steps < least:
        raise ArgumentError(f"steps must be at least {least}, not {steps}")
    stage = Stage(
        prior,
        terms or [DataMisfit()],
        optimiser or Adam(),
        schedule or cosine_trapezoid(),
        steps,
    )
    task = Task(measurements, operator, [stage], seed)
    return minimise(task, 0, start=start, callbacks=callbacks, snapshot=snapshot)


@checked
@undisturbed()
def minimise(
    task: Task,
    number: int,
    *,
    start: Code | None = None,
    callbacks: Sequence[Callback] = (),
    snapshot: Snapshot | None = None,
) -> Solution:
    """Take the steps of one stage of a task.

    Args:
        task: what to solve.
        number: which of its stages, counted from 0.
        start: the free variables to begin at, which move. None: the prior's own start.
        callbacks: observers, which may ask to stop.
        snapshot: the state to go on from. None: begin.

    Returns:
        The solution of the stage.

    Raises:
        ArgumentError: the snapshot is of another solve.
        ShapeError: operator and prior differ in the shape of images.
        MeasurementError: the measurements are not the operator's.
    """
    _check_fit(task, number)
    stage, seed = task.stages[number], task.stage_seed(number)
    code = stage.prior.start(task.batch, stream(seed, "start")) if start is None else start
    state = State(task, number, code, callbacks)
    if snapshot is not None:
        state.restore(snapshot)
    outcome = Outcome.finished(stage.steps)
    stop = first_stop(
        [callback.on_start(state.taken, stage.steps, state.snapshot) for callback in callbacks]
    )
    while state.taken < stage.steps:
        if stop is not None:
            outcome = Outcome.stopped(state.taken, stage.steps, stop.reason)
            break
        iterate = step(state)
        stop = first_stop([callback.on_step(iterate) for callback in callbacks])
        look = state.taken % CHECK_EVERY == 0 or state.taken == stage.steps
        if look and not iterate.total.isfinite().all():
            outcome = Outcome.diverged(state.taken)
            break
        # Only the last stage may end early: a resumed solve counts the steps of those before it.
        if look and stage is task.stages[-1] and state.stepper.converged():
            outcome = Outcome.converged(state.taken, stage.steps)
            break
    for callback in callbacks:
        callback.on_end()
    return _solution(state, outcome)


def step(state: State) -> Iterate:
    """Evaluate the objective, move the free variables and restore the prior's constraints.

    With free variables c, prior G, operator A and measurements y the objective of an image is
    Σ weight · term(G(c), A G(c), y) + Σ regulariser(c).
    """
    stage, prior, code = state.stage, state.stage.prior, state.code
    prior.anneal_(code, state.progress)
    image = prior.decode(code, stream(state.seed, "solve", state.taken))
    prediction = state.operator.surrogate(image)
    losses = {term.name: term.weight * bound(image, prediction) for term, bound in state.terms}
    losses.update(prior.regularisers(code))
    total = torch.stack(list(losses.values())).sum(0)
    total.sum().backward()
    state.stepper.step(stage.schedule(state.progress), total.detach())
    prior.project_(code)
    evaluated = {name: value.detach() for name, value in losses.items()}
    state.advance(evaluated, total.detach())
    return Iterate(
        taken=state.taken,
        steps=stage.steps,
        image=image.detach(),
        prediction=prediction.detach(),
        losses=evaluated,
        total=total.detach(),
        code=code.state_dict(),
        snapshot=state.snapshot,
    )


@torch.no_grad()
def _solution(state: State, outcome: Outcome) -> Solution:
    """Read the solution from where the descent ended; the state is of no further use."""
    prior = state.stage.prior
    state.stepper.settle()  # after callbacks have written what a later run goes on from
    code = copy.deepcopy(state.code)  # so that a callback's choice leaves the caller's start alone
    for callback in state.callbacks:
        callback.choose_(code)
    # A file keeps values, not strides or alignment, with which rounding may change.
    last = stream(state.seed, "solve", max(state.taken - 1, 0))
    realised = {
        name: value.clone(memory_format=torch.contiguous_format)
        for name, value in prior.realise(code, last).items()
    }
    return Solution(
        image=prior.render(realised),
        realised=realised,
        code=code.state_dict(),
        outcome=outcome,
        trace=state.trace(),
        steps=state.taken,
        seed=state.seed,
        prior_spec=prior.spec(),
        prior=prior,
    )


def _check_fit(task: Task, number: int) -> None:
    """Raise `ShapeError` or `MeasurementError` unless operator, prior and measurements fit."""
    operator, prior = task.operator, task.stages[number].prior
    check_image_shapes(tuple(prior.image_shape), tuple(operator.image_shape), "prior")
    task.measurements.check(operator)
