"""Learning-rate schedules: the scale of the learning rate, in [0, 1], at a progress in [0, 1).

The loop asks at each step; `progress` is the share of the stage's steps that are taken.
"""

import math
from collections.abc import Callable
from typing import TypeAlias

from invprob.calls import checked
from invprob.errors import ArgumentError

Schedule: TypeAlias = Callable[[float], float]


@checked
def constant() -> Schedule:
    """The full learning rate throughout.

    Returns:
        The schedule.
    """
    return lambda progress: 1.0


@checked
def cosine_trapezoid(ramp_up: float = 0.05, ramp_down: float = 0.25) -> Schedule:
    """Linear up from 0, flat, and down to 0 along a cosine.

    The schedule of the StyleGAN2 projector (Karras et al., CVPR 2020) and of the published SPHInX
    code. ILO (Daras et al., ICML 2021) has a `ramp_down` of 0.75. The first step has a scale of 0.

    Args:
        ramp_up: the share of the steps over which the rate rises.
        ramp_down: the share of the steps over which it falls.

    Returns:
        The schedule.

    Raises:
        ArgumentError: the shares are negative, or more than 1 together.
    """
    _check(ramp_up, ramp_down)

    def scale(progress: float) -> float:
        fall = min(1.0, (1.0 - progress) / ramp_down) if ramp_down else 1.0
        rise = min(1.0, progress / ramp_up) if ramp_up else 1.0
        return (0.5 - 0.5 * math.cos(math.pi * fall)) * rise

    return scale


@checked
def linear_trapezoid(ramp_up: float = 0.05, ramp_down: float = 0.25) -> Schedule:
    """Linear up from 0, flat, and linear down to 0: the trapezoid as the SPHInX paper has it.

    Args:
        ramp_up: the share of the steps over which the rate rises.
        ramp_down: the share of the steps over which it falls.

    Returns:
        The schedule.

    Raises:
        ArgumentError: the shares are negative, or more than 1 together.
    """
    _check(ramp_up, ramp_down)

    def scale(progress: float) -> float:
        fall = min(1.0, (1.0 - progress) / ramp_down) if ramp_down else 1.0
        rise = min(1.0, progress / ramp_up) if ramp_up else 1.0
        return fall * rise

    return scale


@checked
def one_cycle_drop() -> Schedule:
    """Linear from 0.1 to 1 and back over nine tenths of the steps, then down to 0.001.

    `linear1cycledrop` of the published code of PULSE (Menon et al., CVPR 2020).

    Returns:
        The schedule.
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
