"""Forward operators and noise: what measures."""

if __name__ != "invprob.operators":
    raise ImportError(f"import this package as `invprob.operators`, not `{__name__}`")

from invprob.operators.base import LinearOperator, Operator
from invprob.operators.circulant import PartialCirculant
from invprob.operators.colour import Luminance
from invprob.operators.composition import compose
from invprob.operators.geometry import Rotate, Scale, Translate
from invprob.operators.identity import Identity
from invprob.operators.noise import (
    GaussianNoise,
    Noise,
    PoissonNoise,
    SaltAndPepperNoise,
    SpeckleNoise,
    UniformNoise,
)
from invprob.operators.stack import LinearStack, Stack, stack

__all__ = [
    "GaussianNoise",
    "Identity",
    "LinearOperator",
    "LinearStack",
    "Luminance",
    "Noise",
    "Operator",
    "PartialCirculant",
    "PoissonNoise",
    "Rotate",
    "SaltAndPepperNoise",
    "Scale",
    "SpeckleNoise",
    "Stack",
    "Translate",
    "UniformNoise",
    "compose",
    "stack",
]
