"""The settings that say in which units something was measured, and how good each number is."""

from functools import partial
from typing import Annotated, TypeAlias

from invprob.run.settings import Setting
from invprob.run.together import MEASURED

_measured = partial(Setting, heading=MEASURED, scope="run")

ImageRange: TypeAlias = Annotated[
    str | None,
    _measured(
        'What black and white are in the units of the measured image, such as "0 255".',
        metavar="LOW HIGH",
        unset="-1 1",
    ),
]
Gain: TypeAlias = Annotated[
    str | None,
    _measured(
        "What the detector multiplied the measurements by. auto: it is estimated with the image.",
        metavar="auto|NUMBER",
        unset="1",
    ),
]
Offset: TypeAlias = Annotated[
    str | None,
    _measured(
        "What the detector added to them. auto: it is estimated with the image.",
        metavar="auto|NUMBER",
        unset="0",
    ),
]
DataWeights: TypeAlias = Annotated[
    str | None,
    _measured(
        "How much each measurement counts, such as 1 / variance: an array (.npy) of the "
        "measurement's shape, or one number for each view, line or other unit.",
        metavar="FILE",
        file=True,
    ),
]
NoiseCovariance: TypeAlias = Annotated[
    str | None,
    _measured(
        "The covariance of the noise along one axis, such as that of the coils, as an array "
        "(.npy).",
        metavar="FILE",
        file=True,
    ),
]
