"""When to stop: before the solve fits the noise of the data, or when steps gain nothing any more.

A prior that can draw anything first draws the image, and then the noise upon it. A rule is a
callback that looks at each image of a batch by itself, keeps the iterate that it would have stopped
at, and ends the solve once all images are done. `register.stop` names functions that put a rule on
a task, which may change what the solver sees: `--stop NAME` on the command line.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated

import torch
from torch import Tensor

from invprob.ambient import undisturbed
from invprob.calls import checked
from invprob.contracts import Contract
from invprob.errors import ArgumentError
from invprob.losses import Detector
from invprob.measurements import Measurements
from invprob.operators.base import Operator
from invprob.operators.noise import GaussianNoise
from invprob.operators.observed import Observed
from invprob.registry import register
from invprob.solver.rule import Rule, Verdict
from invprob.solver.split import Split
from invprob.solver.task import Task
from invprob.streams import derive, stream
from invprob.types import Images, PerImage


class DiscrepancyPrinciple(Rule):
    """Stop at the first iterate with ||A x - y||² / m <= (tau · sigma)² (Morozov, 1966).

    Args:
        measurements: y, of which m numbers are observed of an image.
        operator: A.
        levels: the standard deviation sigma of the noise of each image, (batch,).
        tau: how many times the noise the residual may be.
    """

    def __init__(
        self, measurements: Measurements, operator: Operator, levels: PerImage, tau: float = 1.0
    ) -> None:
        super().__init__(measurements)
        self._misfit = Misfit(measurements, operator)
        self._bound, self._tau = (tau * levels).square(), tau

    def judge(self, image: Images) -> Verdict:
        """Keep the iterate that reaches the bound, and be done."""
        reached = self._misfit(image) <= self._bound.to(image)
        return reached, reached

    @property
    def reason(self) -> str:
        """The bound, in a few words."""
        return f"the data are fitted to {self._tau:g} times their noise (discrepancy principle)"


class Plateau(Rule):
    """Stop once the mean misfit over a window of steps is hardly below that of the window before.

    Means are compared because some methods, such as SPHInX, draw anew at each step.

    Args:
        measurements: y.
        operator: A.
        window: how many steps a window has.
        drop: the share by which the mean must fall from one window to the next.
    """

    def __init__(
        self, measurements: Measurements, operator: Operator, window: int, drop: float
    ) -> None:
        super().__init__(measurements)
        self._misfit, self._batch = Misfit(measurements, operator), len(measurements.values)
        self._window, self._drop = window, drop
        self.begin()

    def begin(self) -> None:
        """Forget the misfits."""
        self._last = torch.zeros(0, self._batch, dtype=torch.float64, device="cpu")

    def judge(self, image: Images) -> Verdict:
        """Keep the iterate at the end of the flat window, and be done."""
        now = self._misfit(image).double().cpu()
        self._last = torch.cat([self._last, now[None]])[-2 * self._window :]
        if len(self._last) < 2 * self._window:
            flat = torch.zeros(len(now), dtype=torch.bool, device="cpu")
        else:
            before, after = self._last.unflatten(0, (2, -1)).mean(1)
            flat = after > (1 - self._drop) * before
        return flat, flat

    def state(self) -> dict[str, Tensor]:
        """The misfits of the last two windows besides."""
        return {**super().state(), "last": self._last}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Return to an earlier state."""
        super().restore(state)
        self._last = state["last"].clone()

    @property
    def reason(self) -> str:
        """The bound, in a few words."""
        return (
            f"the misfit fell by less than {100 * self._drop:g} % from {self._window} steps to the "
            f"next {self._window}"
        )


class HeldOutMisfit(Rule):
    """Keep the iterate that predicts hidden measurements best; stop when none is better for long.

    Args:
        split: the measurements, in what the solver sees and what is hidden.
        patience: how many steps without a better prediction end the solve.
    """

    def __init__(self, split: Split, patience: int = 30) -> None:
        super().__init__(split.measurements)
        self._split, self._patience = split, patience
        self.begin()

    def begin(self) -> None:
        """Forget the best prediction."""
        batch = len(self._split.measurements.values)
        self._best = torch.full((batch,), torch.inf, dtype=torch.float64, device="cpu")
        self._stale = torch.zeros(batch, dtype=torch.int64, device="cpu")

    def judge(self, image: Images) -> Verdict:
        """Keep the best prediction; be done when none was better for a while."""
        misfit = self._split.misfit(image)
        better = misfit < self._best
        self._best = torch.where(better, misfit, self._best)
        self._stale = torch.where(better, 0, self._stale + 1)
        return better, self._stale >= self._patience

    def state(self) -> dict[str, Tensor]:
        """The least misfit of the hidden measurements besides, and its age in steps."""
        return {**super().state(), "best": self._best, "stale": self._stale}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Return to an earlier state."""
        super().restore(state)
        self._best, self._stale = state["best"].clone(), state["stale"].clone()

    @property
    def reason(self) -> str:
        """The patience, in a few words."""
        return (
            f"the misfit of the held-out measurements has not fallen for {self._patience} steps; "
            "the best of them is returned"
        )


@register.stop("discrepancy")
@checked
def discrepancy(
    task: Task,
    *,
    tau: Annotated[float, "how many times the noise the residual may be, above 0"] = 1.0,
    level: Annotated[
        float | None, "standard deviation of the noise; default: that of the named noise"
    ] = None,
) -> Task:
    """Stop once the data are fitted to their noise: ||A x - y||² / m <= (tau · sigma)².

    The discrepancy principle (Morozov, 1966). m counts the numbers that are observed, so that what
    a mask hides plays no part.

    Raises:
        ArgumentError: tau or the level is not positive and finite, or there is no level and the
            measurements name no noise.
    """
    if not 0 < tau < float("inf"):
        raise ArgumentError(f"tau must be positive and finite, not {tau}")
    if level is None:
        levels = noise_levels(task.measurements, task.operator, task.seed)
    elif 0 < level < float("inf"):
        levels = torch.full((task.batch,), level, dtype=torch.float32, device="cpu")
    else:
        raise ArgumentError(f"level must be positive and finite, not {level}")
    return task.with_rule(
        lambda: DiscrepancyPrinciple(task.measurements, task.operator, levels, tau)
    )


@register.stop("plateau")
@checked
def plateau(
    task: Task,
    *,
    window: Annotated[int, "steps over which the misfit is averaged, at least 1"] = 25,
    drop: Annotated[
        float, "share by which the mean must fall from one window to the next, in (0, 1)"
    ] = 0.01,
) -> Task:
    """Stop once the data misfit hardly falls any more, and return the last iterate.

    Raises:
        ArgumentError: the window is below 1, or the drop is no share in (0, 1).
    """
    if window < 1:
        raise ArgumentError(f"window must be at least 1, not {window}")
    if not 0 < drop < 1:
        raise ArgumentError(f"drop must be a share in (0, 1), not {drop}")
    return task.with_rule(lambda: Plateau(task.measurements, task.operator, window, drop))


@register.stop("held-out")
@checked
def held_out(
    task: Task,
    *,
    hidden: Annotated[
        float, "share of the measurements that the solver does not see, in (0, 1)"
    ] = 0.05,
    patience: Annotated[
        int, "steps without a better prediction after which to stop, at least 1"
    ] = 30,
) -> Task:
    """Hide some measurements from the solver, and return the iterate that predicts them best.

    What is hidden are whole pixels, views, lines or whatever the operator offers
    (`Operator.units`), and single numbers where it offers nothing.

    Raises:
        ArgumentError: `hidden` is no share in (0, 1), or the patience is below 1.
    """
    if not 0 < hidden < 1:
        raise ArgumentError(f"hidden must be a share in (0, 1), not {hidden}")
    if patience < 1:
        raise ArgumentError(f"patience must be at least 1, not {patience}")
    split = Split.of(task.measurements, task.operator, hidden, derive(task.seed, "held-out"))
    return replace(
        task.with_rule(lambda: HeldOutMisfit(split, patience)),
        measurements=split.seen,
        operator=split.seen_operator,
    )


class Misfit(Contract):
    """The mean square of A x - y over what is observed of each image, after its detector.

    Args:
        measurements: y.
        operator: A.
    """

    def __init__(self, measurements: Measurements, operator: Operator) -> None:
        self._units = measurements.units
        self._detector: Detector | None = None
        self._values, self._operator = measurements.values, operator
        self._observed = Observed(operator)

    def __call__(self, image: Images) -> PerImage:
        """The misfit of x, (batch,)."""
        values = self._values.to(image)
        if self._detector is None:
            self._detector = Detector(self._units, values, self._operator)
        seen = self._detector(self._operator(image))
        return self._observed.mean((seen - values).square())


@checked
@undisturbed()
def noise_levels(measurements: Measurements, operator: Operator, seed: int = 0) -> PerImage:
    """The standard deviation of the noise that the measurements name, for each image.

    Exact for Gaussian noise. Any other noise is drawn once more, upon the noisy values, and counts
    where something is observed.

    Args:
        measurements: what was measured.
        operator: what measured it.
        seed: what the draw is derived from.

    Returns:
        The standard deviations, (batch,).

    Raises:
        ArgumentError: the measurements name no noise.
    """
    noise = measurements.noise()
    if noise is None:
        raise ArgumentError(
            "the discrepancy principle needs the noise's level, and these measurements name no "
            "noise; give it (--stop discrepancy --level 0.1), or use --stop held-out"
        )
    values = measurements.values
    if isinstance(noise, GaussianNoise):
        return torch.full((len(values),), noise.sigma, dtype=torch.float32, device="cpu")
    drawn = noise(values, stream(seed, "noise-level")) - values
    return Observed(operator).mean(drawn.square()).sqrt()
