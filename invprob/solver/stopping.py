"""When to stop: before the solve fits the noise of the data, or when steps gain nothing any more.

A prior that can draw anything first draws the image, and then the noise upon it. A rule is a
callback that looks at each image of a batch by itself, keeps the iterate that it would have stopped
at, and ends the solve once all images are done. `register.stop` names functions that put a rule on
a task, which may change what the solver sees: `--stop NAME` on the command line.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Annotated, TypeAlias

import torch
from torch import Tensor, nn

from invprob.callbacks import Callback, Iterate, Snapshot, Stop
from invprob.errors import ArgumentError
from invprob.measurements import Measurements
from invprob.operators.base import Operator
from invprob.operators.hold_out import HoldOut
from invprob.operators.noise import GaussianNoise
from invprob.registry import register
from invprob.solver.task import Task
from invprob.streams import derive, stream
from invprob.types import Images, PerImage

Verdict: TypeAlias = tuple[Tensor, Tensor]  # (batch,) bool: keep this iterate; this image is done


class Rule(Callback, ABC):
    """A callback that keeps for each image the iterate to return, and stops once all are done.

    An author writes `judge` and `reason`, and `begin`, `state` and `restore` where the rule
    remembers something. The rule judges the image that a step evaluated, and keeps the free
    variables that drew it. At the first step of a later stage it keeps those after the step. An
    image that is done before the last stage is returned as the last stage begins with it.

    Args:
        measurements: what is restored, as the rule sees it.
    """

    def __init__(self, measurements: Measurements) -> None:
        batch = len(measurements.values)
        self._done = torch.zeros(batch, dtype=torch.bool)
        self._has = torch.zeros(batch, dtype=torch.bool)  # whether something is kept of an image
        self._kept: dict[str, Tensor] = {}  # the code to return, by name
        self._drew: dict[str, Tensor] = {}  # the code that the next image is drawn from
        self._stage = 0

    @abstractmethod
    def judge(self, image: Images) -> Verdict:
        """Look at the images of a step.

        Args:
            image: what the step evaluated, (batch, *image_shape).

        Returns:
            For each image whether to keep this iterate in place of the one kept before, and whether
            the image is done; both (batch,) bool. What is said of images that are done already is
            passed over.
        """

    def begin(self) -> None:
        """Forget what belongs to the stage that is over; by default nothing."""

    @property
    @abstractmethod
    def reason(self) -> str:
        """Why the solve is stopped, in a few words."""

    def on_start(self, taken: int, steps: int, snapshot: Callable[[], Snapshot]) -> Stop | None:
        """Note the free variables that the first step evaluates."""
        del taken, steps
        state = snapshot()
        self._drew = {
            name.removeprefix("code."): value
            for name, value in state.items()
            if name.startswith("code.")
        }
        self._stage = int(state.get("stage", torch.tensor(0)))
        return self._wish()

    @torch.no_grad()
    def on_step(self, iterate: Iterate) -> Stop | None:
        """Judge the images, and ask to stop once all are done."""
        entered = iterate.stage != self._stage
        if entered:
            self._stage, self._drew, self._kept = iterate.stage, {}, {}
            self._has.zero_()
            self.begin()
        keep, done = (verdict.cpu() for verdict in self.judge(iterate.image))
        keep = torch.where(self._done, torch.tensor(entered), keep)
        self._done |= done
        if keep.any():
            self._keep(keep, self._drew or iterate.code, iterate.code)
        self._drew = {name: value.detach().clone() for name, value in iterate.code.items()}
        return self._wish()

    def choose_(self, code: nn.Module) -> None:
        """Return to the iterates that were kept."""
        for name, value in code.state_dict().items():
            if name in self._kept and self._has.any():
                rows = self._has.to(value.device)
                value[rows] = self._kept[name].to(value.device)[rows]

    def state(self) -> dict[str, Tensor]:
        """What is kept, and which images are done."""
        kept = {f"kept.{name}": value for name, value in self._kept.items()}
        return {"done": self._done, "has": self._has, **kept}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Return to an earlier state."""
        self._done, self._has = state["done"].clone(), state["has"].clone()
        self._kept = {
            name.removeprefix("kept."): value.clone()
            for name, value in state.items()
            if name.startswith("kept.")
        }

    def _keep(self, keep: Tensor, drew: Mapping[str, Tensor], like: Mapping[str, Tensor]) -> None:
        for name, value in drew.items():
            if value.ndim and len(value) == len(keep):  # else all images share it
                value = value.to(like[name].device)
                rows = keep.to(value.device)
                if name not in self._kept:
                    self._kept[name] = value.clone()
                kept = self._kept[name] = self._kept[name].to(value.device)
                kept[rows] = value[rows]
        self._has |= keep

    def _wish(self) -> Stop | None:
        return Stop(self.reason) if self._done.all() else None


class DiscrepancyPrinciple(Rule):
    """Stop at the first iterate with ||A x - y||² / m <= (tau · sigma)² (Morozov, 1966).

    Args:
        measurements: y, m numbers of each image.
        operator: A.
        levels: the standard deviation sigma of the noise of each image, (batch,).
        tau: how many times the noise the residual may be.
    """

    def __init__(
        self, measurements: Measurements, operator: Operator, levels: PerImage, tau: float = 1.0
    ) -> None:
        super().__init__(measurements)
        self._values, self._operator = measurements.values, operator
        self._bound, self._tau = (tau * levels).square(), tau

    def judge(self, image: Images) -> Verdict:
        """Keep the iterate that reaches the bound, and be done."""
        reached = misfit(self._operator, image, self._values) <= self._bound.to(image)
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
        self._values, self._operator = measurements.values, operator
        self._window, self._drop = window, drop
        self.begin()

    def begin(self) -> None:
        """Forget the misfits."""
        self._last = torch.zeros(0, len(self._values), dtype=torch.float64)

    def judge(self, image: Images) -> Verdict:
        """Keep the iterate at the end of the flat window, and be done."""
        now = misfit(self._operator, image, self._values).double().cpu()
        self._last = torch.cat([self._last, now[None]])[-2 * self._window :]
        if len(self._last) < 2 * self._window:
            flat = torch.zeros(len(now), dtype=torch.bool)
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
        measurements: y, the hidden ones included.
        operator: A, which predicts the hidden ones as well.
        hidden: which measurements the solver does not see, bool of the measurement shape.
        patience: how many steps without a better prediction end the solve.
    """

    def __init__(
        self, measurements: Measurements, operator: Operator, hidden: Tensor, patience: int = 30
    ) -> None:
        super().__init__(measurements)
        self._values, self._operator, self._hidden = measurements.values, operator, hidden
        self._patience = patience
        self.begin()

    def begin(self) -> None:
        """Forget the best prediction."""
        batch = len(self._values)
        self._best = torch.full((batch,), torch.inf, dtype=torch.float64)
        self._stale = torch.zeros(batch, dtype=torch.int64)

    def judge(self, image: Images) -> Verdict:
        """Keep the best prediction; be done when none was better for a while."""
        error = (self._operator(image) - self._values.to(image)) * self._hidden.to(image)
        misfit = error.square().flatten(1).sum(1).double().cpu() / self._hidden.sum().cpu()
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
def discrepancy(
    task: Task,
    *,
    tau: Annotated[float, "how many times the noise the residual may be, above 0"] = 1.0,
    level: Annotated[
        float | None, "standard deviation of the noise; default: that of the named noise"
    ] = None,
) -> Task:
    """Stop once the data are fitted to their noise: ||A x - y||² / m <= (tau · sigma)².

    The discrepancy principle (Morozov, 1966).

    Raises:
        ArgumentError: tau or the level is not positive and finite, or there is no level and the
            measurements name no noise.
    """
    if not 0 < tau < float("inf"):
        raise ArgumentError(f"tau must be positive and finite, not {tau}")
    if level is None:
        levels = noise_levels(task.measurements, task.seed)
    elif 0 < level < float("inf"):
        levels = torch.full((task.batch,), level)
    else:
        raise ArgumentError(f"level must be positive and finite, not {level}")
    return task.with_rule(
        lambda: DiscrepancyPrinciple(task.measurements, task.operator, levels, tau)
    )


@register.stop("plateau")
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

    Raises:
        ArgumentError: `hidden` is no share in (0, 1), or the patience is below 1.
    """
    if not 0 < hidden < 1:
        raise ArgumentError(f"hidden must be a share in (0, 1), not {hidden}")
    if patience < 1:
        raise ArgumentError(f"patience must be at least 1, not {patience}")
    measurements, operator = task.measurements, task.operator
    own_seed = derive(task.seed, "held-out")
    window = HoldOut(operator.measurement_shape, share=hidden, seed=own_seed)
    seen = window @ operator
    values = window(measurements.values)
    return replace(
        task.with_rule(lambda: HeldOutMisfit(measurements, operator, ~window.seen, patience)),
        measurements=Measurements.from_array(values, seen, noise=measurements.noise()),
        operator=seen,
    )


def misfit(operator: Operator, image: Images, values: Tensor) -> PerImage:
    """The mean square of A x - y of each image, (batch,)."""
    return (operator(image) - values.to(image)).square().flatten(1).mean(1)


def noise_levels(measurements: Measurements, seed: int = 0) -> PerImage:
    """The standard deviation of the noise that the measurements name, for each image.

    Exact for Gaussian noise. Any other noise is drawn once more, upon the noisy values.

    Args:
        measurements: what was measured.
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
        return torch.full((len(values),), noise.sigma)
    drawn = noise(values, stream(seed, "noise-level")) - values
    return drawn.square().flatten(1).mean(1).sqrt()
