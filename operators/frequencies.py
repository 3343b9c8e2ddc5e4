"""Two-dimensional Fourier transforms as instruments see them: parts of them, zero in the middle.

Libraries put frequency zero and the origin of the image at the corner. Moving both to the middle is
a choice of places and a factor of modulus 1 for each, which cost less than moving the data.
"""

import math

import torch
from torch import Tensor

from invprob.indices import indices
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


def uncentred(places: Tensor, length: int) -> Tensor:
    """The places in a library's transform of frequencies at these places of a centred one."""
    return (places - length // 2) % length


def origin_phases(frequencies: Tensor, length: int) -> Tensor:
    """Factors (complex128) that move the origin of a line from pixel 0 to pixel length // 2."""
    turns = (frequencies * (length // 2) % length).double() / length
    phases = torch.view_as_real(torch.polar(torch.ones_like(turns), 2 * math.pi * turns))
    return torch.view_as_complex(settled(phases))


def settled(values: Tensor) -> Tensor:
    """Without the last digits, which differ between machines and would show in fingerprints."""
    return values.round(decimals=14)


def pick(spectrum: Tensor, places: Tensor) -> Tensor:
    """The values at these places (H, L) of each flattened plane: (..., H, L)."""
    flat = spectrum.flatten(-2)
    index = places.flatten().expand(*flat.shape[:-1], -1)
    values: Tensor = flat.gather(-1, index).unflatten(-1, places.shape)
    return values


def put(lines: Tensor, columns: Tensor, width: int) -> Tensor:
    """Planes of zeros (..., H, width), and the lines (..., H, L) added at their columns."""
    planes = lines.new_zeros(*lines.shape[:-1], width)
    return planes.index_add_(-1, columns, lines)


def from_lines(lines: Tensor, turned_factors: Tensor) -> Tensor:
    """The inverse transform along the columns (..., H, L), whose frequency zero is in the middle,
    of lines times factors, which are (L, H).

    Columns that were not measured are zero and need none. Turned explicitly, because a transform
    along another axis than the last leaves its result turned, which slows down what follows; and
    moved to the middle by a factor, which is cheaper than by moving.
    """
    height = lines.shape[-2]
    turned = torch.fft.ifft(turned_factors * lines.transpose(-1, -2), norm="ortho")
    columns: Tensor = turned.transpose(-1, -2).contiguous()
    shift = origin_phases(indices(height, lines.device), height).conj()
    return columns.mul_(shift.to(lines.dtype).unsqueeze(-1))
