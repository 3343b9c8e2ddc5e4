"""Coil maps and the image's phase, estimated from the lines around frequency zero (MRI)."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from invprob.ambient import undisturbed
from invprob.calls import checked
from invprob.errors import ArgumentError
from invprob.indices import indices
from invprob.kinds import shown

CALIBRATION, KERNEL, THRESHOLD, CROP = 24, 6, 0.02, 0.8


@checked
@undisturbed()
@torch.no_grad()
def estimate_sensitivities(
    kspace: Tensor | ArrayLike,
    calibration: int = CALIBRATION,
    kernel: int = KERNEL,
    threshold: float = THRESHOLD,
    crop: float = CROP,
) -> Tensor:
    """Estimate the sensitivities of coils from the middle of k-space (ESPIRiT).

    Patches of the middle of k-space lie in a space of few dimensions. At each pixel r the map s(r)
    is the vector that, put into a patch as s(r) exp(-2πi d·r) at place d, lies in that space: the
    eigenvector with eigenvalue 1 of the matrix M(r) of equation 23. Source: Uecker et al., Magnetic
    Resonance in Medicine 71, 2014, doi 10.1002/mrm.24751, section "Theory".

    Args:
        kspace: complex, (coils, height, width), of the centred transform. Columns that were not
            measured are zero.
        calibration: rows and columns of the middle that are used, fewer where fewer columns were
            measured.
        kernel: side of a patch.
        threshold: singular values below this share of the largest are noise.
        crop: maps are 0 where the eigenvalue is below, from 0 to 1: there is no tissue. 0 keeps
            all.

    Returns:
        The maps, complex128 (coils, height, width). The sum of their squared magnitudes is 1, and
        the first coil has the phase 0: see `smooth_phase`.

    Raises:
        ArgumentError: k-space has another shape, or fewer columns were measured around frequency
            zero than a patch has.
    """
    data = read_kspace(kspace)
    block = middle(data, calibration)
    if min(block.values.shape[1:]) < kernel or kernel < 2:
        rows, columns = block.values.shape[1:]
        raise ArgumentError(
            f"the middle of k-space is {rows} x {columns} samples without gaps, and coil maps need "
            f"at least {max(kernel, 2)} x {max(kernel, 2)}; give the maps, or a scan with more "
            "lines around frequency zero"
        )
    coils, height, width = data.shape
    coefficients = _coefficients(_patches(block.values, kernel), coils, kernel, threshold)
    down, across = _waves(height, kernel), _waves(width, kernel)
    maps = torch.zeros_like(data)
    for row in range(height):  # one by one, so that memory grows with the width
        matrices = torch.einsum("abij,i,wj->wab", coefficients, down[row], across)
        values, vectors = torch.linalg.eigh(matrices)
        largest = vectors[..., -1].T
        turn = largest[0].sgn().conj()
        maps[:, row] = largest * torch.where(turn == 0, 1, turn) * (values[:, -1] >= crop)
    return maps


@checked
@undisturbed()
@torch.no_grad()
def smooth_phase(
    kspace: Tensor | ArrayLike,
    sensitivities: Tensor | ArrayLike,
    calibration: int = CALIBRATION,
) -> Tensor:
    """The phase of the image of low resolution, by which maps of a real image are multiplied.

    The middle of k-space, weighed by a Hann window, makes an image of each coil. The coils are
    combined by the conjugate maps, so that what is left is the phase of the image itself and of the
    maps' reference. The image that the maps times exp(i · phase) lead to is real, and positive
    where its phase is smooth. Source of the idea: Noll, Nishimura and Macovski, IEEE Trans. Medical
    Imaging 10(2), 1991.

    Args:
        kspace: see `estimate_sensitivities`.
        sensitivities: complex maps, (coils, height, width).
        calibration: see `estimate_sensitivities`.

    Returns:
        The phase in radians, float64 (height, width).

    Raises:
        ArgumentError: k-space and maps differ in shape, or frequency zero was not measured.
    """
    data, maps = read_kspace(kspace), read_kspace(sensitivities, "sensitivities")
    if maps.shape != data.shape:
        raise ArgumentError(
            f"sensitivities must have the shape of kspace, {tuple(data.shape)}, got "
            f"{tuple(maps.shape)}"
        )
    block = middle(data, calibration)
    smooth = torch.zeros_like(data)
    smooth[:, block.rows, block.columns] = block.values
    for axis in (1, 2):
        length, place = data.shape[axis], (block.rows, block.columns)[axis - 1]
        centre = length // 2
        reach = min(centre - place.start, place.stop - 1 - centre) + 1  # zero from there on
        offset = (indices(length) - centre).double().abs().clamp(max=reach)
        window = (1 + torch.cos(torch.pi * offset / reach)) / 2
        smooth = smooth * window.view([-1, 1] if axis == 1 else [-1])
    combined = (maps.conj() * images_of(smooth)).sum(0)
    return combined.angle()


class Middle(NamedTuple):
    """The samples around frequency zero, without gaps.

    Args:
        values: complex (coils, rows, columns).
        rows: where they are.
        columns: likewise.
    """

    values: Tensor
    rows: slice
    columns: slice


def read_kspace(source: Tensor | ArrayLike, name: str = "kspace") -> Tensor:
    """Complex numbers (coils, height, width) as complex128 on the CPU.

    Raises `ArgumentError` for other shapes, real numbers, or values that are not finite.
    """
    values = source.numpy(force=True) if isinstance(source, Tensor) else np.asarray(source)
    if values.dtype.kind != "c" or values.ndim != 3 or values.size == 0:
        raise ArgumentError(
            f"{name} must be complex, of shape (coils, height, width), got {shown(source)}; parts "
            "in a last axis of 2 become complex by y[..., 0] + 1j * y[..., 1]"
        )
    if not np.isfinite(values).all():
        raise ArgumentError(f"{name} holds values that are not finite")
    return torch.from_numpy(values.astype(np.complex128))


def measured_columns(kspace: Tensor) -> Tensor:
    """Which columns of (coils, height, width) hold anything: bool (width,)."""
    return (kspace != 0).flatten(0, 1).any(0)


def middle(kspace: Tensor, most: int) -> Middle:
    """At most `most` rows, and columns that were measured without a gap, around frequency zero.

    Raises `ArgumentError` where the column of frequency zero was not measured.
    """
    _, height, width = kspace.shape
    seen = measured_columns(kspace).tolist()
    centre = width // 2
    if not seen[centre]:
        raise ArgumentError(
            f"kspace is zero in column {centre}, where frequency zero is expected; move it to the "
            "middle by fftshift, or give the maps"
        )
    first = next((at + 1 for at in range(centre, -1, -1) if not seen[at]), 0)
    stop = next((at for at in range(centre, width) if not seen[at]), width)
    half = max(most, 1) // 2
    rows = slice(max(0, height // 2 - half), min(height, height // 2 - half + max(most, 1)))
    columns = slice(max(first, centre - half), min(stop, centre - half + max(most, 1)))
    return Middle(kspace[:, rows, columns], rows, columns)


def images_of(kspace: Tensor) -> Tensor:
    """The images of coils, by the centred and orthonormal inverse transform."""
    axes = (-2, -1)
    moved = torch.fft.ifft2(torch.fft.ifftshift(kspace, axes), norm="ortho")
    images: Tensor = torch.fft.fftshift(moved, axes)
    return images


def _patches(block: Tensor, kernel: int) -> Tensor:
    """All kernel x kernel patches of a block, (patches, coils · kernel · kernel)."""
    windows = block.unfold(1, kernel, 1).unfold(2, kernel, 1)  # (coils, rows, columns, k, k)
    patches: Tensor = windows.permute(1, 2, 0, 3, 4).flatten(2).flatten(0, 1)
    return patches


def _coefficients(patches: Tensor, coils: int, kernel: int, threshold: float) -> Tensor:
    """Those of M(r) = Σ_δ exp(2πi δ·r) c(δ): (coils, coils, 2k-1, 2k-1), for δ from 1-k to k-1.

    P = Σ w w' projects onto the space of the patches, and c(δ) = Σ P[d, d']/k² over all places d
    and d' of a patch with d - d' = δ. This is equation 23 without an image for each w.
    """
    _, values, rows = torch.linalg.svd(patches, full_matrices=False)
    basis = rows[values > threshold * values[0]]
    projector = (basis.T @ basis.conj()).view(coils, kernel, kernel, coils, kernel, kernel)
    side = 2 * kernel - 1
    total = basis.new_zeros(coils, coils, side, side)
    for i in range(kernel):
        for j in range(kernel):
            total[:, :, i : i + kernel, j : j + kernel] += projector[:, i, j].flip(-2, -1)
    coefficients: Tensor = total / kernel**2
    return coefficients


def _waves(length: int, kernel: int) -> Tensor:
    """exp(2πi δ r / length) for each pixel r, counted from the middle, and δ from 1-k to k-1."""
    places = (indices(length) - length // 2).double().unsqueeze(1)
    offsets = (indices(2 * kernel - 1) - (kernel - 1)).double()
    turns = places * offsets * (2 * torch.pi / length)
    return torch.polar(torch.ones_like(turns), turns)
