"""How an image was measured and restored, in one line under its picture."""

import math

from invprob.measurements import Measurements
from invprob.operators.base import Operator


def measured_by(measurements: Measurements, operator: Operator) -> str:
    """What measured the images of a run, and how much of them.

    Args:
        measurements: of the images.
        operator: what measured them.
    """
    noise, count = measurements.noise(), math.prod(operator.image_shape)
    added = "" if noise is None else f" + {noise.describe()} noise"
    share = 100 * operator.measured / count
    return f"{operator.describe()}{added} · {share:.3g} % of {count:,} values measured"


def restored_by(method: str, steps: int, seconds: float) -> str:
    """What restored the images of a run, and how long it took."""
    return f"{method} · {steps} steps · {seconds:.1f} s"
