"""Magnetic resonance imaging with several coils, whose sensitivities are simulated or given."""

import math
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from invprob.arrays import Contents, carry, read_array
from invprob.errors import ArgumentError
from invprob.fast.derived import Derived
from invprob.operators.base import LinearOperator
from invprob.operators.checks import pixel_axes
from invprob.operators.frequencies import (
    as_complex,
    as_real,
    from_lines,
    pick,
    put,
    settled,
    uncentred,
    working,
)
from invprob.operators.kspace import (
    ACCELERATION,
    CENTRE_FRACTION,
    Acceleration,
    CentreFraction,
    Lines,
    centring,
    chosen_lines,
    line_units,
    lines_in_words,
    sample_frequencies,
    turned_back,
)
from invprob.operators.sampling import centred
from invprob.registry import register
from invprob.types import Images, Measured, Shape

COILS = 8  # that are simulated, unless another number is asked for
LARGEST = 2**26  # bytes of sensitivities that a file of measurements holds


@register.operator("multicoil-mri")
class MulticoilMRI(LinearOperator):
    """Measure some columns of the Fourier transform, as several coils receive it (MRI).

        y[s, c, k, l] = FFT(sensitivities[s] · x[c])[k, lines[l]]

    Transform and columns are those of `mri`. The measurement of a (C, H, W) image is (coils, C, H,
    L, 2); the last axis holds real and imaginary part, as `torch.view_as_real` makes it of complex
    data.

    Unless they are given, sensitivities are simulated. Coils stand evenly on a circle of radius 1.5
    around an image that reaches from -1 to 1. The sensitivity of coil s at z = x + iy is 1/(z - 1.5
    exp(2πi s/coils)), the transverse field of a straight wire (Biot-Savart): as in a birdcage
    array, the magnitude falls with the distance from the coil, and the phase turns around it. All
    are divided by the root of their sum of squares, so that Σ |sensitivities|² = 1 in every pixel.

    `sensitivities` gives the maps of an array of coils, complex (coils, H, W), or (coils, H, W, 2)
    with real and imaginary part. They are taken as they are, not normalised. The image is real: a
    scan's own phase belongs into the maps.

    Raises:
        ArgumentError: there is no coil, the acceleration is below 1 or leaves no column, the centre
            has more columns than are measured, the lines are not different whole columns of the
            image, or the sensitivities do not fit the image, are all zero or too many.
    """

    exact = ("phases", "sensitivities")
    added = ("lines", "sensitivities")

    lines: Tensor  # (L,) int64, counted in the centred transform; drawn ones ascend
    places: Tensor  # (H, L) int64 into the flattened transform
    phases: Tensor  # (H, L, 2) float64, which put the origin in the middle
    sensitivities: Tensor  # (coils, H, W, 2) float64

    def __init__(
        self,
        image_shape: Shape,
        coils: Annotated[int, "number of receiver coils around the image, at least 1"] = COILS,
        acceleration: Acceleration = ACCELERATION,
        centre_fraction: CentreFraction = CENTRE_FRACTION,
        seed: int = 0,
        lines: Lines = None,
        sensitivities: Annotated[
            Contents | None,
            "the coils' complex maps (coils, H, W) in place of simulated ones, an array or a .npy "
            "file",
        ] = None,
    ) -> None:
        channels, height, width = pixel_axes(image_shape)
        chosen = chosen_lines(width, lines, acceleration, centre_fraction, seed)
        self._given: dict[str, Any] = {} if lines is None else {"lines": chosen.tolist()}
        if sensitivities is None:
            if coils < 1:
                raise ArgumentError(f"coils must be at least 1, got {coils}")
            maps = birdcage(coils, height, width)
        else:
            read = read_maps(height, width, sensitivities)
            maps = torch.from_numpy(read.astype(np.float64))
            if coils not in (COILS, len(maps)):
                raise ArgumentError(f"coils is {coils}, but sensitivities has {len(maps)} maps")
            self._given |= {"coils": len(maps), "sensitivities": carry(read)}
        super().__init__(image_shape, (len(maps), channels, height, len(chosen), 2))
        self._words = lines_in_words(lines, acceleration, centre_fraction, seed)
        rows, columns = sample_frequencies(chosen, height, width)
        self.register_buffer("lines", chosen, persistent=False)
        self.register_buffer("places", rows * width + columns, persistent=False)
        self.register_buffer("phases", centring(rows, columns, height, width), persistent=False)
        self.register_buffer("sensitivities", maps, persistent=False)
        self._factors, self._back_factors, self._weights = Derived(), Derived(), Derived()

    def carried(self) -> dict[str, Any]:
        """The lines and the sensitivities that were given."""
        return self._given

    def units(self) -> Tensor:
        """Lines with their mirror images, all coils together; see `line_units`."""
        return line_units(self.measurement_shape, self.lines, self.image_shape[2])

    def forward(self, image: Images) -> Measured:
        """Weigh, transform, and keep the lines."""
        if len(image) == 0:
            return image.new_zeros(0, *self.measurement_shape)
        real = image.to(working(image.dtype))
        factors = self._factors.of(self.phases, real, torch.view_as_complex)
        # One coil after the other, so that the memory stays in the cache.
        values = [
            pick(torch.fft.fft2(_weighed(real, coil), norm="ortho"), self.places).mul_(factors)
            for coil in self._weights.of(self.sensitivities, real, torch.view_as_complex)
        ]
        return as_real(torch.stack(values, 1)).to(image.dtype)

    def adjoint(self, measurement: Measured) -> Images:
        """The real part of Σ conj(sensitivity) · inverse transform of the zero-filled lines."""
        values = measurement.to(working(measurement.dtype))
        image = values.new_zeros(len(values), *self.image_shape)
        if len(values) == 0:
            return image.to(measurement.dtype)
        factors = self._back_factors.of(self.phases, values, turned_back)
        weights = self._weights.of(self.sensitivities, values, torch.view_as_complex)
        columns = uncentred(self.lines, self.image_shape[2])
        for lines, weight in zip(as_complex(values).unbind(1), weights, strict=True):
            rows = put(from_lines(lines, factors), columns, self.image_shape[2])
            coil = torch.fft.ifft(rows, norm="ortho")
            image = image.addcmul(coil.real, weight.real).addcmul(coil.imag, weight.imag)
        return image.to(measurement.dtype)

    @classmethod
    def example(cls) -> "MulticoilMRI":
        """Three coils, every second column of 8 x 8 colour images."""
        return cls((3, 8, 8), coils=3, acceleration=2.0, centre_fraction=0.25)

    def extra_repr(self) -> str:
        """The shapes and the options."""
        return f"{super().extra_repr()}, {self._words}"


def read_maps(height: int, width: int, source: Contents) -> NDArray[Any]:
    """Coil sensitivities, (coils, H, W, 2), float32 where they are no more precise, else float64.

    Raises `ArgumentError` where they do not fit the image, are all zero or too many.
    """
    values = read_array("sensitivities", source)
    shape, kind = values.shape, "complex" if values.dtype.kind == "c" else "real"
    single = values.dtype in (np.complex64, np.float32)
    if kind == "complex":
        values = np.stack([np.real(values), np.imag(values)], -1)
    elif values.ndim == 3:
        values = np.stack([values, np.zeros_like(values)], -1)
    if values.ndim != 4 or values.shape[1:] != (height, width, 2):
        raise ArgumentError(
            f"sensitivities must be complex (coils, {height}, {width}), or (coils, {height}, "
            f"{width}, 2) with real and imaginary part, got {kind} {shape}; move the axis of the "
            "coils to the front, and resize the maps to the image"
        )
    if not values.any():
        raise ArgumentError("sensitivities are all zero, so nothing would be measured")
    values = values.astype(np.float32 if single else np.float64)
    if values.nbytes > LARGEST:
        raise ArgumentError(
            f"sensitivities take {values.nbytes / 2**20:.0f} MiB, at most {LARGEST >> 20} fit into "
            "a file of measurements; give complex64, or combine coils"
        )
    return values


def birdcage(coils: int, height: int, width: int) -> Tensor:
    """Simulated coil sensitivities, (coils, H, W, 2) float64; see `MulticoilMRI`."""
    y, x = torch.meshgrid(
        centred(height) / (height / 2), centred(width) / (width / 2), indexing="ij"
    )
    turns = torch.arange(coils, dtype=torch.float64, device="cpu") * (2 * math.pi / coils)
    places = torch.polar(torch.full_like(turns, 1.5), turns).view(-1, 1, 1)
    fields = 1 / (torch.complex(x, y) - places)
    fields = fields / fields.abs().square().sum(0).sqrt()
    return settled(torch.view_as_real(fields))


def _weighed(real: Tensor, weights: Tensor) -> Tensor:
    """Real images times complex weights, several times as fast as when `*` casts them."""
    return real.to(weights.dtype).mul_(weights)
