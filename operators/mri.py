"""Magnetic resonance imaging: undersampled Cartesian Fourier measurements, one coil or several."""

import math
from typing import Annotated

import torch
from torch import Tensor

from invprob.draws import permutation
from invprob.errors import ArgumentError
from invprob.fast.derived import Derived
from invprob.indices import indices
from invprob.operators.base import LinearOperator
from invprob.operators.checks import finite, pixel_axes, seeded
from invprob.operators.frequencies import (
    as_complex,
    as_real,
    from_lines,
    origin_phases,
    pick,
    put,
    settled,
    uncentred,
    working,
)
from invprob.operators.sampling import centred
from invprob.operators.units import NEVER, along
from invprob.registry import register
from invprob.types import Images, Measured, Shape


@register.operator("mri")
class MRI(LinearOperator):
    """Measure some columns of the image's Fourier transform (single-coil MRI).

        y[c, k, l] = FFT(x[c])[k, lines[l]]

    The transform is orthonormal and two-dimensional. Frequency zero and the origin of the image lie
    in the middle, at row H // 2 and column W // 2. Each channel is a real image of its own. The
    measurement of a (C, H, W) image is (C, H, L, 2); the last axis holds real and imaginary part.
    It is not rescaled by the acceleration.

    L = round(W / acceleration) columns are measured: the round(centre_fraction · W) around
    frequency zero, and others that are drawn without replacement, as the first of `torch.randperm`
    over the rest from `torch.Generator().manual_seed(seed)` on the CPU. The pseudo-inverse has a
    closed form. Source: the random Cartesian mask of fastMRI, arXiv:1811.08839, here with an exact
    count.

    Raises:
        ArgumentError: the acceleration is below 1 or leaves no column, or the centre has more
            columns than are measured.
    """

    exact = ("phases",)

    lines: Tensor  # (L,) int64, ascending, counted in the centred transform
    places: Tensor  # (H, L) int64 into the flattened half spectrum, W // 2 + 1 columns wide
    phases: Tensor  # (H, L, 2) float64, which put the origin in the middle

    def __init__(
        self,
        image_shape: Shape,
        acceleration: Annotated[
            float, "number of columns per column that is measured, at least 1"
        ] = 4.0,
        centre_fraction: Annotated[
            float, "share of all columns that is measured around frequency zero, from 0 to 1"
        ] = 0.08,
        seed: int = 0,
    ) -> None:
        channels, height, width = pixel_axes(image_shape)
        lines = cartesian_lines(width, acceleration, centre_fraction, seed)
        super().__init__(image_shape, (channels, height, len(lines), 2))
        self.acceleration, self.centre_fraction, self.seed = acceleration, centre_fraction, seed
        rows, columns = _frequencies(lines, height, width)
        # A real image has Y[-k, -l] = conj(Y[k, l]): the right half is read off the left one.
        mirrored, half = columns > width // 2, width // 2 + 1
        self.register_buffer("lines", lines, persistent=False)
        self.register_buffer(
            "places",
            torch.where(mirrored, -rows % height * half + width - columns, rows * half + columns),
            persistent=False,
        )
        self.register_buffer("phases", _phases(rows, columns, height, width), persistent=False)
        self._factors, self._back_factors = Derived(), Derived()

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
        options = f"acceleration={self.acceleration}, centre_fraction={self.centre_fraction}"
        return f"{super().extra_repr()}, {options}, seed={self.seed}"

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
        self.check_measurement(measurement)
        if len(measurement) == 0:
            return measurement.new_zeros(0, *self.image_shape)
        width = self.image_shape[2]
        values = measurement.to(working(measurement.dtype))
        factors = self._back_factors.of(self.phases, values, _turned_back)
        lines = from_lines(as_complex(values), factors)
        parts = torch.view_as_real(lines)
        parts.mul_(self._flips(parts) * weights.to(parts).unsqueeze(1))
        frequency = uncentred(self.lines, width)
        half = put(lines, torch.minimum(frequency, width - frequency), width // 2 + 1)
        image: Images = torch.fft.irfft(half, n=width, norm="ortho")
        return image.to(measurement.dtype)


@register.operator("multicoil-mri")
class MulticoilMRI(LinearOperator):
    """Measure some columns of the Fourier transform, as several coils receive it (MRI).

        y[s, c, k, l] = FFT(sensitivities[s] · x[c])[k, lines[l]]

    Transform and columns are those of `mri`. The measurement of a (C, H, W) image is (coils, C, H,
    L, 2); the last axis holds real and imaginary part.

    Sensitivities are simulated. Coils stand evenly on a circle of radius 1.5 around an image that
    reaches from -1 to 1. The sensitivity of coil s at z = x + iy is 1/(z - 1.5 exp(2πi s/coils)),
    the transverse field of a straight wire (Biot-Savart): as in a birdcage array, the magnitude
    falls with the distance from the coil, and the phase turns around it. All are divided by the
    root of their sum of squares, so that Σ |sensitivities|² = 1 in every pixel.

    Raises:
        ArgumentError: there is no coil, the acceleration is below 1 or leaves no column, or the
            centre has more columns than are measured.
    """

    exact = ("phases", "sensitivities")

    lines: Tensor  # (L,) int64, ascending, counted in the centred transform
    places: Tensor  # (H, L) int64 into the flattened transform
    phases: Tensor  # (H, L, 2) float64, which put the origin in the middle
    sensitivities: Tensor  # (coils, H, W, 2) float64

    def __init__(
        self,
        image_shape: Shape,
        coils: Annotated[int, "number of receiver coils around the image, at least 1"] = 8,
        acceleration: Annotated[
            float, "number of columns per column that is measured, at least 1"
        ] = 4.0,
        centre_fraction: Annotated[
            float, "share of all columns that is measured around frequency zero, from 0 to 1"
        ] = 0.08,
        seed: int = 0,
    ) -> None:
        channels, height, width = pixel_axes(image_shape)
        if coils < 1:
            raise ArgumentError(f"coils must be at least 1, got {coils}")
        lines = cartesian_lines(width, acceleration, centre_fraction, seed)
        super().__init__(image_shape, (coils, channels, height, len(lines), 2))
        self.coils, self.seed = coils, seed
        self.acceleration, self.centre_fraction = acceleration, centre_fraction
        rows, columns = _frequencies(lines, height, width)
        self.register_buffer("lines", lines, persistent=False)
        self.register_buffer("places", rows * width + columns, persistent=False)
        self.register_buffer("phases", _phases(rows, columns, height, width), persistent=False)
        self.register_buffer("sensitivities", birdcage(coils, height, width), persistent=False)
        self._factors, self._back_factors, self._weights = Derived(), Derived(), Derived()

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
        self.check_measurement(measurement)
        values = measurement.to(working(measurement.dtype))
        image = values.new_zeros(len(values), *self.image_shape)
        if len(values) == 0:
            return image.to(measurement.dtype)
        factors = self._back_factors.of(self.phases, values, _turned_back)
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
        options = f"acceleration={self.acceleration}, centre_fraction={self.centre_fraction}"
        return f"{super().extra_repr()}, {options}, seed={self.seed}"


def cartesian_lines(width: int, acceleration: float, centre_fraction: float, seed: int) -> Tensor:
    """The columns of a centred transform that are measured, ascending; see `MRI`."""
    if finite("acceleration", acceleration) < 1:
        raise ArgumentError(
            f"acceleration must be at least 1, got {acceleration}; 1 measures every column"
        )
    if not 0 <= finite("centre_fraction", centre_fraction) <= 1:
        raise ArgumentError(f"centre_fraction must be from 0 to 1, got {centre_fraction}")
    total, middle = round(width / acceleration), round(width * centre_fraction)
    if total == 0:
        raise ArgumentError(
            f"acceleration {acceleration} leaves none of {width} columns; take {width} or less"
        )
    if middle > total:
        raise ArgumentError(
            f"centre_fraction {centre_fraction} alone asks for {middle} of {width} columns, but "
            f"acceleration {acceleration} measures {total}; lower one of them"
        )
    order = permutation(width - middle, seeded(seed))[: total - middle]
    first = width // 2 - middle // 2
    before, centre, after = indices(width).split([first, middle, width - first - middle])
    chosen = torch.cat([centre, torch.cat([before, after])[order]])
    return chosen.sort().values


def line_units(measured: Shape, lines: Tensor, width: int) -> Tensor:
    """Label measured lines (..., lines, 2), all coils and channels together.

    The image is real, so that a line and its mirror image hold nearly the same: they share a label.
    The line through frequency zero is never left out, because the brightness hangs on it.
    """
    frequency = uncentred(lines.cpu(), width)
    half = torch.minimum(frequency, width - frequency)
    return along(measured, len(measured) - 2, torch.where(half == 0, NEVER, half))


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


def _turned_back(parts: Tensor) -> Tensor:
    """The conjugates (L, H) of factors that are given by their parts (H, L, 2)."""
    return torch.view_as_complex(parts).conj().resolve_conj().T.contiguous()


def _frequencies(lines: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Row (H, 1) and column (L,) of each sample in a library's transform."""
    rows = uncentred(indices(height), height).unsqueeze(1)
    return rows, uncentred(lines, width)


def _phases(rows: Tensor, columns: Tensor, height: int, width: int) -> Tensor:
    """Factors (H, L, 2), in float64, that move the origin of the image to its middle."""
    phases = origin_phases(rows, height) * origin_phases(columns, width)
    return torch.view_as_real(phases).contiguous()
