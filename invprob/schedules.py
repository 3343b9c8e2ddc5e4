"""Learning-rate schedules: pure functions from progress in [0, 1) to a scale in [0, 1]."""

import math
from collections.abc import Callable
from typing import TypeAlias

from invprob.errors import ArgumentError

Schedule: TypeAlias = Callable[[float], float]


def constant() -> Schedule:
    """Scale 1 throughout."""
    return lambda progress: 1.0


def cosine_trapezoid(ramp_up: float = 0.05, ramp_down: float = 0.25) -> Schedule:
    """Linear from 0 over the first `ramp_up`, cosine to 0 over the last `ramp_down`.

    The schedule of the StyleGAN2 projector and of the published SPHInX code; ILO (ICML 2021) takes
    a `ramp_down` of 0.75. The first step, at progress 0, has scale 0.
    """
    _check(ramp_up, ramp_down)

    def scale(progress: float) -> float:
        fall = min(1.0, (1.0 - progress) / ramp_down) if ramp_down else 1.0
        rise = min(1.0, progress / ramp_up) if ramp_up else 1.0
        return (0.5 - 0.5 * math.cos(math.pi * fall)) * rise

    return scale


def linear_trapezoid(ramp_up: float = 0.05, ramp_down: float = 0.25) -> Schedule:
    """Linear up, flat, linear down: the trapezoid as the SPHInX paper words it."""
    _check(ramp_up, ramp_down)

    def scale(progress: float) -> float:
        fall = min(1.0, (1.0 - progress) / ramp_down) if ramp_down else 1.0
        rise = min(1.0, progress / ramp_up) if ramp_up else 1.0
        return fall * rise

    return scale


def one_cycle_drop() -> Schedule:
    """Linear 0.1 to 1 and back over nine tenths, then down to 0.001: `linear1cycledrop` of PULSE.

    PULSE (CVPR 2020), published code.
    """

    def scale(progress: float) -> float:
        if progress < 0.9:
            return (9 * (1 - abs(progress / 0.9 - 0.5) * 2) + 1) / 10
        return 0.1 + (progress - 0.9) / 0.1 * (0.001 - 0.1)

    return scale


def _check(ramp_up: float, ramp_down: float) -> None:
    if not (ramp_up >= 0 and ramp_down >= 0 and ramp_up + ramp_down <= 1):
        raise ArgumentError(
            "ramp_up and ramp_down are shares of the run, at least 0 and together at most 1, "
            f"not {ramp_up} and {ramp_down}"
        )
