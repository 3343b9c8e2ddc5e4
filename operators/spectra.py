"""Two-dimensional Fourier transforms as instruments see them: orthonormal, zero in the middle."""

import torch
from torch import Tensor

from invprob.types import Measured


def as_complex(measurement: Measured) -> Tensor:
    """Read the last axis as real and imaginary part."""
    return torch.view_as_complex(measurement.contiguous())


def as_real(values: Tensor) -> Measured:
    """Write real and imaginary part as a last axis."""
    return torch.view_as_real(values.resolve_conj()).contiguous()


def working(dtype: torch.dtype) -> torch.dtype:
    """Half precisions have no FFT on every device, so they work in float32."""
    return torch.promote_types(dtype, torch.float32)


def along_rows(image: Tensor, columns: Tensor) -> Tensor:
    """The transform along the last axis, only these of its columns, zero in front.

    The origin is pixel (H // 2, W // 2); `along_columns` comes next. Real images
    give the columns 0 to W // 2, complex ones all.
    """
    moved = torch.fft.ifftshift(image, dim=(-2, -1))
    transform = torch.fft.fft if image.is_complex() else torch.fft.rfft
    return transform(moved, norm="ortho").index_select(-1, columns)


def along_columns(lines: Tensor) -> Tensor:
    """The transform along the second to last axis, zero in the middle."""
    return torch.fft.fftshift(torch.fft.fft(lines, dim=-2, norm="ortho"), dim=-2)


def back_along_columns(lines: Tensor) -> Tensor:
    """The inverse, and transpose, of `along_columns`."""
    return torch.fft.ifft(torch.fft.ifftshift(lines, dim=-2), dim=-2, norm="ortho")


def back_along_rows(spectrum: Tensor) -> Tensor:
    """The inverse of `along_rows` for all columns of a complex image."""
    return torch.fft.fftshift(torch.fft.ifft(spectrum, norm="ortho"), dim=(-2, -1))


def back_along_real_rows(half: Tensor, width: int) -> Tensor:
    """The inverse of `along_rows` for all columns of a real image."""
    return torch.fft.fftshift(torch.fft.irfft(half, n=width, norm="ortho"), dim=(-2, -1))
