"""Magnetic resonance imaging with one coil: undersampled Cartesian Fourier measurements."""

import math
from typing import Any

import torch
from torch import Tensor

from invprob.fast.derived import Derived
from invprob.operators.base import LinearOperator
from invprob.operators.checks import pixel_axes
from invprob.operators.frequencies import as_complex, from_lines, pick, put, uncentred, working
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
from invprob.registry import register
from invprob.types import Images, Measured, Shape


@register.operator("mri")
class MRI(LinearOperator):
    """Measure some columns of the image's Fourier transform (single-coil MRI).

        y[c, k, l] = FFT(x[c])[k, lines[l]]

    The transform is orthonormal and two-dimensional. Frequency zero and the origin of the image lie
    in the middle, at row H // 2 and column W // 2. Each channel is a real image of its own. The
    measurement of a (C, H, W) image is (C, H, L, 2); the last axis holds real and imaginary part,
    as `torch.view_as_real` makes it of complex data. It is not rescaled by the acceleration.

    Unless `lines` gives the columns, L = round(W / acceleration) are measured: the
    round(centre_fraction · W) around frequency zero, and others that are drawn without replacement,
    as the first of `torch.randperm` over the rest from `torch.Generator().manual_seed(seed)` on the
    CPU. This is the random Cartesian mask of fastMRI (arXiv:1811.08839) with two differences. The
    number of columns is exact. And where W is odd and the number around frequency zero is even,
    these lie one column lower: of 101 columns 46 to 53, in fastMRI 47 to 54.

    `lines` names columns from 0 to W - 1, as `numpy.fft.fftshift` orders them, so that frequency
    zero is column W // 2. Measurements keep the order of the numbers. A mask of W zeros and ones
    does as well, with axes of length 1 or equal rows. The pseudo-inverse has a closed form.

    Raises:
        ArgumentError: the acceleration is below 1 or leaves no column, the centre has more columns
            than are measured, or the lines are not different whole columns of the image.
    """

    exact = ("phases",)
    added = ("lines",)

    lines: Tensor  # (L,) int64, counted in the centred transform; drawn ones ascend
    places: Tensor  # (H, L) int64 into the flattened half spectrum, W // 2 + 1 columns wide
    phases: Tensor  # (H, L, 2) float64, which put the origin in the middle

    def __init__(
        self,
        image_shape: Shape,
        acceleration: Acceleration = ACCELERATION,
        centre_fraction: CentreFraction = CENTRE_FRACTION,
        seed: int = 0,
        lines: Lines = None,
    ) -> None:
        channels, height, width = pixel_axes(image_shape)
        chosen = chosen_lines(width, lines, acceleration, centre_fraction, seed)
        super().__init__(image_shape, (channels, height, len(chosen), 2))
        self._given = {} if lines is None else {"lines": chosen.tolist()}
        self._words = lines_in_words(lines, acceleration, centre_fraction, seed)
        rows, columns = sample_frequencies(chosen, height, width)
        # A real image has Y[-k, -l] = conj(Y[k, l]): the right half is read off the left one.
        mirrored, half = columns > width // 2, width // 2 + 1
        self.register_buffer("lines", chosen, persistent=False)
        self.register_buffer(
            "places",
            torch.where(mirrored, -rows % height * half + width - columns, rows * half + columns),
            persistent=False,
        )
        self.register_buffer("phases", centring(rows, columns, height, width), persistent=False)
        self._factors, self._back_factors = Derived(), Derived()

    def carried(self) -> dict[str, Any]:
        """The numbers of the lines that were given."""
        return self._given

    def units(self) -> Tensor:
        """Lines with their mirror images, which hold the same; see `line_units`."""
        return line_units(self.measurement_shape, self.lines, self.image_shape[2])

    def forward(self, image: Images) -> Measured:
        """Transform, and keep the lines."""
        if len(image) == 0:
            return image.new_zeros(0, *self.measurement_shape)
        half = torch.fft.rfft2(image.to(working(image.dtype)), norm="ortho")
        factors = self._factors.of(self.phases, half.real, self._turns)
        values = torch.view_as_real(pick(half, self.places).mul_(factors))
        return values.mul_(self._flips(values)).to(image.dtype)

    def adjoint(self, measurement: Measured) -> Images:
        """The real part of the inverse transform of the lines, zeros elsewhere."""
        # The real part has the Hermitian half of the spectrum: (Y[k, l] + conj(Y[-k, -l])) / 2.
        alone, _ = self._sharers()
        return self._fill(measurement, torch.where(alone, 1.0, 0.5))

    def pinv(
        self, measurement: Measured, *, iterations: int = 200, tolerance: float = 1e-6
    ) -> Images:
        """The zero-filled transform; a line whose mirror image is not measured counts for both."""
        _, sharers = self._sharers()
        return self._fill(measurement, 1 / sharers)

    def norm(self, *, iterations: int = 1000, tolerance: float = 1e-7, seed: int = 0) -> float:
        """1, or √½ if every line misses its mirror image."""
        alone, sharers = self._sharers()
        return 1.0 if bool((alone | (sharers == 2)).any()) else math.sqrt(0.5)

    @classmethod
    def example(cls) -> "MRI":
        """Every second column of 8 x 8 colour images."""
        return cls((3, 8, 8), acceleration=2.0, centre_fraction=0.25)

    def extra_repr(self) -> str:
        """The shapes and the options."""
        return f"{super().extra_repr()}, {self._words}"

    def _sharers(self) -> tuple[Tensor, Tensor]:
        """Which lines are their own mirror image, and how many lines share a column with each."""
        width = self.image_shape[2]
        frequency = uncentred(self.lines, width)
        half = torch.minimum(frequency, width - frequency)
        return 2 * frequency % width == 0, torch.bincount(half)[half]

    def _mirrored(self) -> Tensor:
        """Which lines lie in the right half, so that their conjugates are read."""
        width = self.image_shape[2]
        return uncentred(self.lines, width) > width // 2

    def _flips(self, values: Tensor) -> Tensor:
        """Factors (L, 2) of real and imaginary part that conjugate the mirrored lines."""
        real = torch.ones_like(self.lines)
        return torch.stack([real, torch.where(self._mirrored(), -1, 1)], 1).to(values.dtype)

    def _turns(self, phases: Tensor) -> Tensor:
        """The phases as complex numbers, those of mirrored lines conjugated."""
        turns = torch.view_as_complex(phases)
        return torch.where(self._mirrored(), turns.conj(), turns)

    def _fill(self, measurement: Measured, weights: Tensor) -> Images:
        """Put the weighted lines into the half spectrum and transform back."""
        if len(measurement) == 0:
            return measurement.new_zeros(0, *self.image_shape)
        width = self.image_shape[2]
        values = measurement.to(working(measurement.dtype))
        factors = self._back_factors.of(self.phases, values, turned_back)
        lines = from_lines(as_complex(values), factors)
        parts = torch.view_as_real(lines)
        parts.mul_(self._flips(parts) * weights.to(parts).unsqueeze(1))
        frequency = uncentred(self.lines, width)
        half = put(lines, torch.minimum(frequency, width - frequency), width // 2 + 1)
        image: Images = torch.fft.irfft(half, n=width, norm="ortho")
        return image.to(measurement.dtype)
