"""How good a result is: the truth is looked at here, by a progress display, and nowhere else."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from invprob.errors import ShapeError
from invprob.losses import DataMisfit
from invprob.measurements import Measurements
from invprob.metrics import psnr, ssim
from invprob.operators.base import LinearOperator, Operator
from invprob.operators.colour import REC_601
from invprob.perceptual.distance import Absent, PerceptualDistance
from invprob.types import Images, PerImage, Spec

Scores = dict[str, Any]  # JSON values only
AGAINST_TRUTH = ("psnr", "ssim", "lpips", "psnr_pinv", "psnr_mean")


@dataclass(frozen=True)
class Grading:
    """Which images of a batch count as grey, and how three channels are weighed into one.

    A grey file was replicated to three channels, so its channels are averaged; after `--grey` the
    luminance is all that was measured.
    """

    grey: tuple[bool, ...]
    weights: tuple[float, float, float] = (1 / 3, 1 / 3, 1 / 3)

    @classmethod
    def of(cls, measurements: Measurements) -> "Grading":
        """Read what the record of the measurements says; without a record all are in colour."""
        batch = len(measurements.values)
        record = measurements.record
        if record.get("weighed") == "luminance":
            return cls((True,) * batch, REC_601)
        flags = record.get("grey") or [False] * batch
        return cls(tuple(map(bool, flags)))

    def __call__(self, images: Images) -> Images:
        """Make the grey ones grey, still in three channels, which changes no metric's meaning."""
        if not any(self.grey):
            return images
        weights = images.new_tensor(self.weights).view(3, 1, 1)
        grey = (images * weights).sum(1, keepdim=True).expand_as(images)
        chosen = torch.tensor(self.grey, device=images.device).view(-1, 1, 1, 1)
        return torch.where(chosen, grey, images)

    def fidelity(self, truth: Images) -> Callable[[Images], PerImage]:
        """PSNR against a truth, in dB, for displays."""
        graded = self(truth)
        return lambda images: psnr(self(images), graded)


@dataclass(frozen=True)
class Views:
    """Images to compare with a result, (batch, C, H, W): None where there is no such thing."""

    pinv: Images | None
    mean: Images | None
    measured: Images | None  # the measurement itself, where it is an image


def view(measurements: Measurements, operator: Operator, mean: Images | None) -> Views:
    """Compute A⁺y of a linear operator, and see whether the measurement can be looked at."""
    values = measurements.values
    pinv = operator.pinv(values) if isinstance(operator, LinearOperator) else None
    shape = operator.measurement_shape
    looks = len(shape) == 3 and shape[0] in (1, 3) and min(shape[1:]) >= 8
    if mean is not None:
        mean = mean.cpu().expand(len(values), -1, -1, -1)
    return Views(pinv, mean, values if looks else None)


def score(
    image: Images,
    truth: Images | None,
    views: Views,
    measurements: Measurements,
    operator: Operator,
    network: PerceptualDistance | Absent,
    grading: Grading,
) -> list[Scores]:
    """Score each image of a batch, all on the CPU; what needs the truth is None without it."""
    misfit = DataMisfit().bind(measurements.values, operator)(image, operator(image))
    lpips, reason = _lpips(grading(image), truth, network, grading)
    columns: dict[str, PerImage | None] = {
        "psnr": _against(truth, image, grading),
        "ssim": None if truth is None else _ssim(grading(image), grading(truth)),
        "lpips": lpips,
        "psnr_pinv": _against(truth, views.pinv, grading),
        "psnr_mean": _against(truth, views.mean, grading),
        "data_misfit": misfit,
    }
    rows: list[Scores] = []
    for index in range(len(image)):
        row: Scores = {name: _number(column, index) for name, column in columns.items()}
        if reason is not None:
            row["lpips_reason"] = reason
        if isinstance(network, PerceptualDistance):
            row["lpips_network"] = network.label
        rows.append(row)
    return rows


def mean_scores(rows: Sequence[Mapping[str, Any]]) -> Scores:
    """Average the numbers of several images; what one of them lacks is None."""
    means: Scores = dict(rows[0])
    for name in (*AGAINST_TRUTH, "data_misfit"):
        values = [row[name] for row in rows]
        known = None not in values
        means[name] = sum(values) / len(values) if known else None
    return means


def grading_record(grey: Sequence[bool], *, luminance: bool) -> Spec:
    """What `Grading.of` reads."""
    return {"grey": list(grey), "weighed": "luminance" if luminance else "mean"}


def _ssim(image: Images, truth: Images) -> PerImage | None:
    """The similarity, or nothing where images of 8 pixels have no room for its windows."""
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
        # One at a time: hundreds of images in one pass through a large network fill the memory.
        pairs = zip(image.split(1), grading(truth).split(1), strict=True)
        with torch.no_grad():
            return torch.cat([network(one, other) for one, other in pairs]), None
    except ShapeError as error:
        return None, str(error)


def _number(column: Tensor | None, index: int) -> float | None:
    value = math.nan if column is None else float(column[index])
    return value if math.isfinite(value) else None
