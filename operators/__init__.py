"""Forward operators and noise: what measures."""

if __name__ != "invprob.operators":
    raise ImportError(f"import this package as `invprob.operators`, not `{__name__}`")

from invprob.operators.base import LinearOperator, Operator, compose
from invprob.operators.blur import Blur, GaussianBlur, MotionBlur
from invprob.operators.circulant import PartialCirculant
from invprob.operators.colour import Luminance
from invprob.operators.dense import DenseGaussian
from invprob.operators.geometry import Rotate, Scale, Translate
from invprob.operators.identity import Identity
from invprob.operators.masks import BoxMask, Mask, RandomMask, StrokeMask
from invprob.operators.noise import GaussianNoise, Noise
from invprob.operators.resampling import AreaDownsample, BicubicDownsample
from invprob.operators.transforms import SubsampledDCT, SubsampledFourier, SubsampledHadamard

__all__ = [
    "AreaDownsample",
    "BicubicDownsample",
    "Blur",
    "BoxMask",
    "DenseGaussian",
    "GaussianBlur",
    "GaussianNoise",
    "Identity",
    "LinearOperator",
    "Luminance",
    "Mask",
    "MotionBlur",
    "Noise",
    "Operator",
    "PartialCirculant",
    "RandomMask",
    "Rotate",
    "Scale",
    "StrokeMask",
    "SubsampledDCT",
    "SubsampledFourier",
    "SubsampledHadamard",
    "Translate",
    "compose",
]
