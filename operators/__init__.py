"""Forward operators and noise: what measures."""

if __name__ != "invprob.operators":
    raise ImportError(f"import this package as `invprob.operators`, not `{__name__}`")

from invprob.operators.base import LinearOperator, Operator
from invprob.operators.blur import Blur, GaussianBlur, MotionBlur
from invprob.operators.circulant import PartialCirculant
from invprob.operators.coil_maps import estimate_sensitivities, smooth_phase
from invprob.operators.colour import ChannelMix, Luminance
from invprob.operators.composition import compose
from invprob.operators.ct import CT
from invprob.operators.dense import DenseGaussian
from invprob.operators.each import Each, LinearEach, each
from invprob.operators.external import External
from invprob.operators.fan_beam import FanBeam
from invprob.operators.geometry import Crop, Flip, Rotate, Scale, Translate
from invprob.operators.hold_out import HoldOut
from invprob.operators.identity import Identity
from invprob.operators.impulse_noise import SaltAndPepperNoise
from invprob.operators.intensity import Brightness, Clip, Gamma, ImageRange, Quantise, Saturate
from invprob.operators.jpeg import JPEG
from invprob.operators.masks import BoxMask, Mask, RandomMask, StrokeMask
from invprob.operators.missing import ElementMask, without_missing
from invprob.operators.mri import MRI
from invprob.operators.multicoil import MulticoilMRI
from invprob.operators.multicoil_scan import (
    CoilScan,
    Whitened,
    multicoil_from_kspace,
    prewhiten,
)
from invprob.operators.noise import (
    GaussianNoise,
    Noise,
    PoissonNoise,
    SpeckleNoise,
    UniformNoise,
)
from invprob.operators.partial import LinearPartial, Partial, hold_out
from invprob.operators.phase import PhaseRetrieval
from invprob.operators.resampling import AreaDownsample, BicubicDownsample
from invprob.operators.series import LinearSeries, Series, series
from invprob.operators.stack import LinearStack, Stack, stack
from invprob.operators.transforms import SubsampledDCT, SubsampledFourier, SubsampledHadamard
from invprob.operators.transmission import BeerLambert, Transmission, line_integrals
from invprob.operators.warps import Affine, Elastic, Perspective
from invprob.operators.weigh import Weigh
from invprob.operators.whiten import Whiten

__all__ = [
    "CT",
    "JPEG",
    "MRI",
    "Affine",
    "AreaDownsample",
    "BeerLambert",
    "BicubicDownsample",
    "Blur",
    "BoxMask",
    "Brightness",
    "ChannelMix",
    "Clip",
    "CoilScan",
    "Crop",
    "DenseGaussian",
    "Each",
    "Elastic",
    "ElementMask",
    "External",
    "FanBeam",
    "Flip",
    "Gamma",
    "GaussianBlur",
    "GaussianNoise",
    "HoldOut",
    "Identity",
    "ImageRange",
    "LinearEach",
    "LinearOperator",
    "LinearPartial",
    "LinearSeries",
    "LinearStack",
    "Luminance",
    "Mask",
    "MotionBlur",
    "MulticoilMRI",
    "Noise",
    "Operator",
    "Partial",
    "PartialCirculant",
    "Perspective",
    "PhaseRetrieval",
    "PoissonNoise",
    "Quantise",
    "RandomMask",
    "Rotate",
    "SaltAndPepperNoise",
    "Saturate",
    "Scale",
    "Series",
    "SpeckleNoise",
    "Stack",
    "StrokeMask",
    "SubsampledDCT",
    "SubsampledFourier",
    "SubsampledHadamard",
    "Translate",
    "Transmission",
    "UniformNoise",
    "Weigh",
    "Whiten",
    "Whitened",
    "compose",
    "each",
    "estimate_sensitivities",
    "hold_out",
    "line_integrals",
    "multicoil_from_kspace",
    "prewhiten",
    "series",
    "smooth_phase",
    "stack",
    "without_missing",
]
