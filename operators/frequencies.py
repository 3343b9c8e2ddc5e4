"""Two-dimensional Fourier transforms as instruments see them: parts of them, zero in the middle.

Libraries put frequency zero and the origin of the image at the corner. Moving both to the middle is
a choice of places and a factor of modulus 1 for each, which cost less than moving the data.
"""

import math

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


def uncentred(places: Tensor, length: int) -> Tensor:
    """Where a library's transform of this length has what lies at these places of a centred one."""
    return (places - length // 2) % length


def origin_phases(frequencies: Tensor, length: int) -> Tensor:
    """What moves the origin of a line from its first pixel to pixel length // 2: complex128."""
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


def put(values: Tensor, places: Tensor, height: int, width: int) -> Tensor:
    """The transpose of `pick`: planes of zeros, and the values added at their places."""
    flat = values.new_zeros(*values.shape[:-2], height * width)
    index = places.flatten().expand(*flat.shape[:-1], -1)
    planes: Tensor = flat.scatter_add_(-1, index, values.flatten(-2))
    return planes.view(*values.shape[:-2], height, width)
