"""How good a result is. The truth is used here and for the progress display, and nowhere else."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from invprob.arrays import REC_601
from invprob.errors import ShapeError
from invprob.losses import Calibrated, DataMisfit, estimate
from invprob.measurements import Measurements
from invprob.metrics import psnr, ssim
from invprob.operators.base import LinearOperator, Operator
from invprob.operators.noise import GaussianNoise
from invprob.operators.observed import Observed
from invprob.perceptual.distance import Absent, PerceptualDistance
from invprob.types import Images, PerImage, Spec

Scores = dict[str, Any]  # JSON values only
OF_IMAGES = (0.5, 2.0)  # magnitudes of a white image's measurement that looks like an image
DETECTOR = ("gain", "gain_error", "offset", "offset_error")
AGAINST_TRUTH = ("psnr", "ssim", "lpips", "psnr_pinv", "psnr_mean")


@dataclass(frozen=True)
class Grading:
    """Which images of a batch are scored as grey ones, and how three channels become one.

    The channels of a grey file are averaged, because they are three copies of one. After `--grey`
    the luminance is all that was measured, so that is what is scored.

    Args:
        grey: whether an image is scored as a grey one, for each image.
        weights: what red, green and blue are weighed by.
    """

    grey: tuple[bool, ...]
    weights: tuple[float, float, float] = (1 / 3, 1 / 3, 1 / 3)

    @classmethod
    def of(cls, measurements: Measurements) -> "Grading":
        """What the record of measurements says; without one all images are in colour."""
        batch = len(measurements.values)
        record = measurements.record
        if record.get("weighed") == "luminance":
            return cls((True,) * batch, REC_601)
        flags = record.get("grey") or [False] * batch
        return cls(tuple(map(bool, flags)))

    def __call__(self, images: Images) -> Images:
        """Make the grey ones grey, in three equal channels, so that every metric applies."""
        if not any(self.grey):
            return images
        weights = images.new_tensor(self.weights).view(3, 1, 1)
        grey = (images * weights).sum(1, keepdim=True).expand_as(images)
        chosen = torch.tensor(self.grey, dtype=torch.bool, device=images.device).view(-1, 1, 1, 1)
        return torch.where(chosen, grey, images)

    def fidelity(self, truth: Images) -> Callable[[Images], PerImage]:
        """A function of images: their PSNR against a truth, in dB."""
        graded = self(truth)
        return lambda images: psnr(self(images), graded)


@dataclass(frozen=True)
class Views:
    """What to compare a result with, each (batch, channel, height, width).

    Args:
        pinv: A⁺y. None: the operator is not linear.
        mean: what the prior draws without any measurement. None: it has no such image.
        measured: the measurement. None: it is no image.
        white: the largest magnitude in the measurement of a white image; 0 where it is no image.
    """

    pinv: Images | None
    mean: Images | None
    measured: Images | None
    white: float

    @property
    def like_image(self) -> bool:
        """Whether the measurement is an image with about the range of images."""
        return OF_IMAGES[0] <= self.white <= OF_IMAGES[1]


def view(measurements: Measurements, operator: Operator, mean: Images | None) -> Views:
    """Compute A⁺y where operator and detector allow it, and see whether y is an image."""
    values = measurements.values
    pinv = None
    if isinstance(operator, LinearOperator) and not measurements.units.unknown:
        pinv = operator.pinv(values)
    shape = operator.measurement_shape
    looks = len(shape) == 3 and shape[0] in (1, 3) and min(shape[1:]) >= 8
    if mean is not None:
        mean = mean.cpu().expand(len(values), -1, -1, -1)
    if not looks:
        return Views(pinv, mean, None, 0.0)
    white = values.new_ones(len(values), *operator.image_shape)
    return Views(pinv, mean, values, float(operator(white).abs().max()))


def score(
    image: Images,
    truth: Images | None,
    views: Views,
    measurements: Measurements,
    operator: Operator,
    network: PerceptualDistance | Absent,
    grading: Grading,
) -> list[Scores]:
    """Score each image of a batch, on the CPU.

    Args:
        image: the results, (batch, channel, height, width).
        truth: the true images. None: they are not known, and neither are scores against them.
        views: what else is compared with the truth.
        measurements: what was measured.
        operator: what measured it.
        network: the perceptual network, or why there is none.
        grading: which images are scored as grey ones.

    Returns:
        The scores of each image by name; None for a score that there is not.
    """
    target = Observed(operator).target(measurements.values, operator)
    units = measurements.units
    misfit = Calibrated(DataMisfit(), units).bind(target, operator)(image, operator(image))
    lpips, reason = _lpips(grading(image), truth, network, grading)
    columns: dict[str, PerImage | None] = {
        "psnr": _against(truth, image, grading),
        "ssim": None if truth is None else _ssim(grading(image), grading(truth)),
        "lpips": lpips,
        "psnr_pinv": _against(truth, views.pinv, grading),
        "psnr_mean": _against(truth, views.mean, grading),
        "data_misfit": misfit,
        "noise_misfit": _of_noise(measurements, operator),
    }
    if units.unknown:
        columns.update(vars(estimate(units, target, operator, image)))
    rows: list[Scores] = []
    for index in range(len(image)):
        row: Scores = {name: _number(column, index) for name, column in columns.items()}
        if reason is not None:
            row["lpips_reason"] = reason
        if isinstance(network, PerceptualDistance):
            row["lpips_network"] = network.label
        if not units.usual:
            row["image_range"] = [units.low, units.high]
        rows.append(row)
    return rows


def mean_scores(rows: Sequence[Mapping[str, Any]]) -> Scores:
    """The mean scores of several images; None for a score that one of them lacks."""
    means: Scores = dict(rows[0])
    for name in (*AGAINST_TRUTH, "data_misfit", "noise_misfit", *DETECTOR):
        if name not in rows[0]:
            continue
        values = [row[name] for row in rows]
        known = None not in values
        means[name] = sum(values) / len(values) if known else None
    return means


def grading_record(grey: Sequence[bool], *, luminance: bool) -> Spec:
    """The part of a record of measurements that `Grading.of` reads."""
    return {"grey": list(grey), "weighed": "luminance" if luminance else "mean"}


def _ssim(image: Images, truth: Images) -> PerImage | None:
    """SSIM; None where the images have no room for its windows."""
    try:
        return ssim(image, truth)
    except ShapeError:
        return None


def _against(truth: Images | None, image: Images | None, grading: Grading) -> PerImage | None:
    if truth is None or image is None or image.shape != truth.shape:
        return None
    return psnr(grading(image), grading(truth))


def _lpips(
    image: Images,
    truth: Images | None,
    network: PerceptualDistance | Absent,
    grading: Grading,
) -> tuple[PerImage | None, str | None]:
    if truth is None:
        return None, "the truth is not known"
    if isinstance(network, Absent):
        return None, str(network)
    try:
        # One at a time, because hundreds of images in one pass would fill the memory.
        pairs = zip(image.split(1), grading(truth).split(1), strict=True)
        with torch.no_grad():
            return torch.cat([network(one, other) for one, other in pairs]), None
    except ShapeError as error:
        return None, str(error)


def _of_noise(measurements: Measurements, operator: Operator) -> PerImage | None:
    """The data misfit that the true image has by its noise, σ² m / n; None if that is not known."""
    noise = measurements.noise()
    if not isinstance(noise, GaussianNoise):
        return None
    share = Observed(operator).counts / math.prod(operator.image_shape)
    return (noise.sigma**2 * share).expand(len(measurements.values))


def _number(column: Tensor | None, index: int) -> float | None:
    value = math.nan if column is None else float(column[index])
    return value if math.isfinite(value) else None
