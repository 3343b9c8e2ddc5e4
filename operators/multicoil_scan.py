"""From k-space as a scanner gives it to measurements of a real image: noise, maps, phase, scale."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from invprob.ambient import undisturbed
from invprob.calls import checked
from invprob.errors import ArgumentError
from invprob.kinds import shown
from invprob.operators.coil_maps import (
    CALIBRATION,
    estimate_sensitivities,
    measured_columns,
    read_kspace,
    smooth_phase,
)
from invprob.operators.multicoil import MulticoilMRI
from invprob.types import Measured

_STEPS = 10  # of the least-squares image whose brightness sets the scale
_BRIGHT = 0.999  # share of the pixels that are darker than white
_GAPS = 0.05  # share of missing samples in measured columns from which on the mask is no columns


class Whitened(NamedTuple):
    """K-space whose noise is white, and how it came about.

    Args:
        kspace: complex128, of the shape that it had.
        matrix: complex128 (coils, coils), by which the coils were multiplied. Maps of the coils as
            they were are multiplied by it, too.
    """

    kspace: Tensor
    matrix: Tensor


class CoilScan(NamedTuple):
    """A scan that can be restored.

    Args:
        values: what `operator` measures of the image in [-1, 1], float64 (coils, 1, height, lines,
            2).
        operator: reads images with one channel.
        scale: what white is in the units of the scan; black is 0.
    """

    values: Measured
    operator: MulticoilMRI
    scale: float


@checked
@undisturbed()
def prewhiten(kspace: Tensor | ArrayLike, noise: Tensor | ArrayLike) -> Whitened:
    """Combine coils so that their noise is independent and equally strong.

    With the covariance Ψ = L Lᴴ of the noise, the data become L⁻¹ y. The noise of each complex
    number then has the variance 1, its real and imaginary part ½ each. Source: Pruessmann et al.,
    Magnetic Resonance in Medicine 46, 2001, doi 10.1002/mrm.1241, appendix A.

    Args:
        kspace: complex, coils first, (coils, ...).
        noise: complex, of a scan without a signal, (coils, ...) with more samples than coils.

    Returns:
        The data and the matrix L⁻¹.

    Raises:
        ArgumentError: the arrays are not complex, differ in the number of coils, or the noise has
            too few samples.
    """
    data, silence = _complex("kspace", kspace), _complex("noise", noise)
    coils, samples = len(silence), silence[0].numel()
    if coils != len(data) or samples <= coils:
        raise ArgumentError(
            f"noise must be (coils, samples) of the {len(data)} coils of kspace, with more samples "
            f"than coils, got {tuple(silence.shape)}"
        )
    factor, failed = torch.linalg.cholesky_ex(torch.cov(silence.flatten(1)))
    if int(failed):
        raise ArgumentError(
            "the covariance of noise is singular: a coil is silent, or the sum of others; leave it "
            "out of kspace and noise"
        )
    identity = torch.eye(coils, dtype=factor.dtype, device="cpu")
    matrix = torch.linalg.solve_triangular(factor, identity, upper=False)
    return Whitened(torch.einsum("ab,b...->a...", matrix, data), matrix)


@checked
@undisturbed()
@torch.no_grad()
def multicoil_from_kspace(
    kspace: Tensor | ArrayLike,
    sensitivities: Tensor | ArrayLike | None = None,
    noise: Tensor | ArrayLike | None = None,
    calibration: int = CALIBRATION,
    scale: float | None = None,
) -> CoilScan:
    """Bring the k-space of a scan into the form of `multicoil-mri`.

    The noise is made white, coil maps and the phase of the image are estimated from the middle of
    k-space, and the data become those of an image in [-1, 1], where black is no signal.

    Args:
        kspace: complex, (coils, height, width), of the centred and orthonormal transform. Columns
            that were not measured are zero.
        sensitivities: complex maps of the coils, (coils, height, width), whose phase may be any;
            None estimates them (`estimate_sensitivities`, of all pixels).
        noise: of a scan without a signal, (coils, ...); None leaves the noise as it is.
        calibration: rows and columns of the middle that are used.
        scale: the brightness of white; None takes a value that 99.9 % of the pixels of the
            least-squares image do not exceed.

    Returns:
        Measurements, operator and scale. A colour generator sees it through `Luminance`:
        `scan.operator @ Luminance((3, height, width))`.

    Raises:
        ArgumentError: an array has another shape, the samples that were measured are no whole
            columns, frequency zero is not among them, or the scale is not above 0.
    """
    data = read_kspace(kspace)
    maps = None if sensitivities is None else read_kspace(sensitivities, "sensitivities")
    if noise is not None:
        data, matrix = prewhiten(data, noise)
        maps = None if maps is None else torch.einsum("ab,b...->a...", matrix, maps)
    columns = measured_columns(data)
    gaps = float((data[..., columns] == 0).all(0).double().mean()) if columns.any() else 1.0
    if gaps > _GAPS:
        raise ArgumentError(
            f"kspace is zero in {gaps:.0%} of the samples of its measured columns, but "
            "multicoil-mri measures whole ones; where the lines of a scan are rows, transpose the "
            "last two axes"
        )
    if maps is None:
        maps = estimate_sensitivities(data, calibration=calibration, crop=0.0)
    phase = smooth_phase(data, maps, calibration=calibration)
    operator = MulticoilMRI(
        (1, *data.shape[1:]),
        lines=columns,
        sensitivities=maps * torch.polar(torch.ones_like(phase), phase),
    )
    values = torch.view_as_real(data[:, None, :, columns]).contiguous()
    if scale is None:
        image = operator.pinv(values[None], iterations=_STEPS)
        scale = float(image.quantile(_BRIGHT))
    if not 0 < scale < float("inf"):
        raise ArgumentError(f"scale must be above 0, got {scale:g}; it is the brightness of white")
    black = operator(values.new_full((1, *operator.image_shape), -1.0))[0]
    return CoilScan(2 / scale * values + black, operator, scale)


def _complex(name: str, source: Tensor | ArrayLike) -> Tensor:
    values = source.numpy(force=True) if isinstance(source, Tensor) else np.asarray(source)
    if values.dtype.kind != "c" or values.ndim < 2 or values.size == 0:
        raise ArgumentError(f"{name} must be complex, (coils, ...), got {shown(source)}")
    if not np.isfinite(values).all():
        raise ArgumentError(f"{name} holds values that are not finite")
    return torch.from_numpy(values.astype(np.complex128))
