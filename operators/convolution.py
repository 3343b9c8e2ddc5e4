"""Convolution with a fixed kernel and a choice of borders, by one pair of FFTs each way."""

from abc import ABC
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from invprob.errors import ArgumentError
from invprob.fast.derived import Derived
from invprob.operators.base import LinearOperator
from invprob.operators.checks import pixel_axes
from invprob.operators.frequencies import working
from invprob.operators.units import blocks
from invprob.types import Images, Measured, Shape

# What lies beyond the border: the image again (periodic); the image mirrored about the centres of
# its outer pixels, `dcb|abcd|cba` (reflect); or nothing, so that only those pixels are measured
# whose whole surroundings are known (valid).
Border: TypeAlias = Literal["periodic", "reflect", "valid"]


class Convolved(LinearOperator, ABC):
    """An operator that convolves each channel with one kernel.

        y[i] = Σ_j kernel[j] · x[i + centre - j]

    The centre is pixel (rows // 2, columns // 2) of the kernel. This is a true convolution, so that
    a point becomes the kernel. Measurements have the shape of the image; with the border "valid"
    they have one row and column less than the kernel.
    """

    exact = ("kernel",)

    kernel: Tensor  # (rows, columns) float64

    def __init__(self, image_shape: Shape, kernel: Tensor, border: Border, remedy: str) -> None:
        channels, height, width = pixel_axes(image_shape)
        rows, columns = kernel.shape
        if rows > height or columns > width:
            raise ArgumentError(
                f"{remedy}, or blur larger images than {height} x {width} pixels (height x width)"
            )
        top, left = (rows - 1 - rows // 2, columns - 1 - columns // 2)
        bottom, right = rows // 2, columns // 2
        if border == "reflect":
            self._margins = (left, right, top, bottom)
            self._padded = (height + rows - 1, width + columns - 1)
        else:
            self._margins = (0, 0, 0, 0)
            self._padded = (height, width)
        # Beyond the padded image come zeros; they and what wraps around are cut off again.
        periodic = border == "periodic"
        self._grid = self._padded if periodic else (_fast(self._padded[0]), _fast(self._padded[1]))
        self._shift = (-bottom, -right) if periodic else (1 - rows, 1 - columns)
        shrunk = (height - rows + 1, width - columns + 1)
        size = shrunk if border == "valid" else (height, width)
        super().__init__(image_shape, (channels, *size))
        self.border = border
        self.register_buffer("kernel", kernel.to(torch.float64), persistent=False)
        self._spectra = Derived()

    def units(self) -> Tensor:
        """Blocks of 4 x 4 pixels, because a blurred pixel says much of its neighbours."""
        return blocks(self.measurement_shape, 4)

    def forward(self, image: Images) -> Measured:
        """irfft2(rfft2(extended image) · rfft2(kernel)), cut to the measurement."""
        if len(image) == 0:  # some FFT libraries refuse an empty batch
            return image.new_zeros(0, *self.measurement_shape)
        extended = image.to(working(image.dtype))
        if any(self._margins):
            extended = torch.nn.functional.pad(extended, self._margins, mode="reflect")
        filtered = self._filtered(extended, self._spectrum(extended))
        return _cut(filtered, self.measurement_shape[1:]).to(image.dtype)

    def adjoint(self, measurement: Measured) -> Images:
        """The same with the conjugate spectrum; what lay in the margins is folded back."""
        if len(measurement) == 0:
            return measurement.new_zeros(0, *self.image_shape)
        values = measurement.to(working(measurement.dtype))
        extended = _cut(self._filtered(values, self._spectrum(values).conj()), self._padded)
        left, right, top, bottom = self._margins
        folded = _folded(_folded(extended, 2, top, bottom), 3, left, right)
        return folded.to(measurement.dtype)

    def pinv(
        self, measurement: Measured, *, iterations: int = 200, tolerance: float = 1e-6
    ) -> Images:
        """Division by the spectrum where the border is periodic, else conjugate gradients.

        Frequencies that the kernel weakens to less than `tolerance` times the strongest one are
        left at zero.
        """
        if self.border != "periodic" or len(measurement) == 0:
            return super().pinv(measurement, iterations=iterations, tolerance=tolerance)
        values = measurement.to(working(measurement.dtype))
        spectrum = self._spectrum(values)
        strength = spectrum.abs()
        kept = strength > tolerance * strength.max()
        inverse = torch.where(kept, 1 / torch.where(kept, spectrum, 1.0), 0.0)
        return self._filtered(values, inverse).to(measurement.dtype)

    def norm(self, *, iterations: int = 1000, tolerance: float = 1e-7, seed: int = 0) -> float:
        """The largest modulus of the spectrum where the border is periodic, else by iteration."""
        if self.border == "periodic":
            return float(self._spectrum(self.kernel).abs().max())
        return super().norm(iterations=iterations, tolerance=tolerance, seed=seed)

    def extra_repr(self) -> str:
        """The shapes, the kernel's size and the border."""
        rows, columns = self.kernel.shape
        return f"{super().extra_repr()}, kernel {rows} x {columns}, border={self.border!r}"

    def _filtered(self, values: Tensor, spectrum: Tensor) -> Tensor:
        """Filter on the grid, circularly; smaller images are extended by zeros."""
        product = torch.fft.rfft2(values, s=self._grid).mul_(spectrum)
        filtered: Tensor = torch.fft.irfft2(product, s=self._grid)
        return filtered

    def _spectrum(self, like: Tensor) -> Tensor:
        return self._spectra.of(self.kernel, like, self._transformed)

    def _transformed(self, kernel: Tensor) -> Tensor:
        """The spectrum of the kernel on the grid, moved so that its centre is where it belongs."""
        rows, columns = kernel.shape
        margins = (0, self._grid[1] - columns, 0, self._grid[0] - rows)
        spread = torch.nn.functional.pad(kernel, margins)
        spectrum: Tensor = torch.fft.rfft2(spread.roll(self._shift, (0, 1)))
        return spectrum


def _cut(images: Tensor, size: tuple[int, ...]) -> Tensor:
    return images[..., : size[0], : size[1]]


def _folded(extended: Tensor, axis: int, before: int, after: int) -> Tensor:
    """The transpose of mirroring at both ends of an axis."""
    if before == after == 0:
        return extended
    length = extended.shape[axis] - before - after
    folded = extended.narrow(axis, before, length).clone()
    first = extended.narrow(axis, 0, before).flip(axis)
    last = extended.narrow(axis, before + length, after).flip(axis)
    folded.narrow(axis, 1, before).add_(first)
    folded.narrow(axis, length - 1 - after, after).add_(last)
    return folded


def _fast(length: int) -> int:
    """The next even length without prime factors above 5, for which FFTs are fast."""
    length += length % 2
    while True:
        rest = length
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return length
        length += 2
