"""Subsampled orthogonal transforms: a few cosine, Hadamard or Fourier coefficients.

Cosine and Hadamard transforms run along the flattened image, after random signs. The signs make all
rows of the matrix alike: no coefficient is reserved for the mean of the image. The Fourier
transform runs along the two axes of the image, as it does in instruments.
"""

import math
from abc import ABC, abstractmethod
from typing import Annotated

import torch
from torch import Tensor

from invprob.draws import integers, permutation
from invprob.fast.derived import Derived
from invprob.indices import indices
from invprob.operators.base import LinearOperator
from invprob.operators.checks import checked_shape, part_of, pixel_axes, seeded
from invprob.operators.frequencies import working
from invprob.operators.lines import Line
from invprob.operators.units import NEVER, along, numbers
from invprob.registry import register
from invprob.types import Images, Measured, Shape


class _Subsampled(LinearOperator, ABC):
    """A few coefficients of an orthonormal transform of the sign-flipped, flattened image."""

    signs: Tensor  # (n,) int8
    indices: Tensor  # (m,) int64, ascending, below `length`

    def __init__(self, image_shape: Shape, ratio: float, seed: int, length: int) -> None:
        n = math.prod(checked_shape("image_shape", image_shape))
        m = part_of(n, ratio)
        super().__init__(image_shape, (m,))
        self.ratio, self.seed, self.length = ratio, seed, length
        self.scale = math.sqrt(length / m)
        rng = seeded(seed)
        signs = integers(0, 2, (n,), rng) * 2 - 1
        indices = permutation(length, rng)[:m].sort().values
        self.register_buffer("signs", signs.to(torch.int8), persistent=False)
        self.register_buffer("indices", indices, persistent=False)
        self._cast_signs = Derived()

    @abstractmethod
    def chosen(self, flat: Tensor) -> Tensor:
        """The coefficients at `indices` of each row's transform, scaled; signs come first."""

    @abstractmethod
    def spread(self, values: Tensor) -> Tensor:
        """The transpose of `chosen`."""

    def units(self) -> Tensor:
        """Each number by itself."""
        return numbers(self.measurement_shape)

    def forward(self, image: Images) -> Measured:
        """c · T(signs ⊙ x)[indices]."""
        flat = image.flatten(1).to(working(image.dtype))
        values = self.chosen(flat) if len(flat) else _rows(flat, self.indices.numel())
        return values.to(image.dtype)

    def adjoint(self, measurement: Measured) -> Images:
        """c · signs ⊙ T'(measurement at indices, else 0)."""
        values = measurement.to(working(measurement.dtype))
        flat = self.spread(values) if len(values) else _rows(values, self.signs.numel())
        return flat.view(len(flat), *self.image_shape).to(measurement.dtype)

    def pinv(
        self, measurement: Measured, *, iterations: int = 200, tolerance: float = 1e-6
    ) -> Images:
        """A'y / c² where nothing is padded, so that AA' = c² I; else by conjugate gradients."""
        if self.length == self.signs.numel():
            return self.adjoint(measurement) / self.scale**2
        return super().pinv(measurement, iterations=iterations, tolerance=tolerance)

    def norm(self, *, iterations: int = 1000, tolerance: float = 1e-7, seed: int = 0) -> float:
        """The scale c where nothing is padded, else by power iteration."""
        if self.length == self.signs.numel():
            return self.scale
        return super().norm(iterations=iterations, tolerance=tolerance, seed=seed)

    def extra_repr(self) -> str:
        """The shapes and the options."""
        return f"{super().extra_repr()}, ratio={self.ratio}, seed={self.seed}"


@register.operator("dct")
class SubsampledDCT(_Subsampled):
    """Keep a few coefficients of a cosine transform, after random signs (compressed sensing).

        A x = √(n/m) · DCT(signs ⊙ x)[indices]

    x is the image, flattened to n = C·H·W elements. DCT is the orthonormal transform of type II.
    Measurements have the shape (m,), m = round(ratio · n). AA' = (n/m) I, so that E||Ax||² =
    ||x||², and pseudo-inverse and norm have closed forms. Source of the algorithm, one FFT:
    Makhoul, IEEE Trans. ASSP 28(1), 1980.

    Everything is drawn from `torch.Generator().manual_seed(seed)` on the CPU, in this order: the
    signs (`randint` of 0 and 1, for -1 and +1), the indices (the first m of `randperm(n)`, sorted).

    Raises:
        ArgumentError: the ratio is outside (0, 1], or leaves no measurement.
    """

    def __init__(
        self,
        image_shape: Shape,
        ratio: Annotated[float, "number of measurements per image element, in (0, 1]"],
        seed: int = 0,
    ) -> None:
        n = math.prod(checked_shape("image_shape", image_shape))
        super().__init__(image_shape, ratio, seed, length=n)
        self._line = Line(n)
        self._places, self._factors, self._back_factors = Derived(), Derived(), Derived()

    def chosen(self, flat: Tensor) -> Tensor:
        """By a real FFT of the even elements and, backwards, the odd ones: see `cosine_factors`."""
        signed = flat * self._cast_signs.of(self.signs, flat)
        folded = torch.cat([signed[:, ::2], signed[:, 1::2].flip(1)], 1)
        spectrum = self._line.spectrum(self._line.grid(folded)).flatten(1)
        kept = spectrum.index_select(1, self._placed())
        return (kept * self._factors.of(self.indices, flat, self._turns)).real

    def spread(self, values: Tensor) -> Tensor:
        """The same steps backwards."""
        shape = (len(values), self._line.columns, self._line.rows // 2 + 1)
        factors = self._back_factors.of(self.indices, values, self._back_turns)
        weighted = values.to(factors.dtype).mul_(factors)  # faster than when `*` casts
        spectrum = weighted.new_zeros(len(values), shape[1] * shape[2])
        spectrum = spectrum.index_add(1, self._placed(), weighted)
        folded = self._line.flat(self._line.inverse(spectrum.view(shape)))
        flat, middle = torch.empty_like(folded), (self.length + 1) // 2
        flat[:, ::2], flat[:, 1::2] = folded[:, :middle], folded[:, middle:].flip(1)
        return flat.mul_(self._cast_signs.of(self.signs, flat))

    def _placed(self) -> Tensor:
        """Where in the spectrum the coefficients are read."""
        return self._places.of(
            self.indices, self.indices, lambda _: self._line.places(self._frequencies())[0]
        )

    def _turns(self, indices: Tensor) -> Tensor:
        """Factors that turn the spectrum into scaled coefficients."""
        turns = self.scale * cosine_factors(indices, self.length)
        return torch.where(self._line.places(self._frequencies())[1], turns.conj(), turns)

    def _back_turns(self, indices: Tensor) -> Tensor:
        """Those of the transpose: the inverse FFT divides by n, and counts most places twice."""
        shares = self._line.shares(self._frequencies()).double()  # integers divide to float32
        return self._turns(indices).conj() * (self.length / shares)

    def _frequencies(self) -> Tensor:
        return torch.minimum(self.indices, self.length - self.indices)

    @classmethod
    def example(cls) -> "SubsampledDCT":
        """A fifth of the elements of 8 x 8 colour images."""
        return cls((3, 8, 8), ratio=0.2)


@register.operator("hadamard")
class SubsampledHadamard(_Subsampled):
    """Keep a few coefficients of a Hadamard transform, after random signs (compressed sensing).

        A x = √(N/m) · (H P (signs ⊙ x))[indices]

    x is the image, flattened to n = C·H·W elements. P appends zeros up to N, the next power of two.
    H is Sylvester's matrix of ±1/√N, applied in N log N operations. Measurements have the shape
    (m,), m = round(ratio · n), and E||Ax||² = ||x||². Where n is a power of two, AA' = (n/m) I, and
    pseudo-inverse and norm have closed forms.

    Everything is drawn from `torch.Generator().manual_seed(seed)` on the CPU, in this order: the
    signs (`randint` of 0 and 1, for -1 and +1), the indices (the first m of `randperm(N)`, sorted).

    Raises:
        ArgumentError: the ratio is outside (0, 1], or leaves no measurement.
    """

    def __init__(
        self,
        image_shape: Shape,
        ratio: Annotated[float, "number of measurements per image element, in (0, 1]"],
        seed: int = 0,
    ) -> None:
        n = math.prod(checked_shape("image_shape", image_shape))
        super().__init__(image_shape, ratio, seed, length=1 << (n - 1).bit_length())

    def chosen(self, flat: Tensor) -> Tensor:
        """By the transform of each row, zeros appended."""
        signed = flat * self._cast_signs.of(self.signs, flat)
        padded = torch.nn.functional.pad(signed, (0, self.length - flat.shape[1]))
        return self.scale * hadamard_transform(padded).index_select(1, self.indices)

    def spread(self, values: Tensor) -> Tensor:
        """By the same transform: the matrix is symmetric."""
        padded = _rows(values, self.length).index_copy(1, self.indices, self.scale * values)
        flat = hadamard_transform(padded)[:, : self.signs.numel()]
        return flat * self._cast_signs.of(self.signs, flat)

    @classmethod
    def example(cls) -> "SubsampledHadamard":
        """A fifth of the elements of 8 x 8 colour images."""
        return cls((3, 8, 8), ratio=0.2)


@register.operator("fourier")
class SubsampledFourier(LinearOperator):
    """Keep a few frequencies of the Fourier transform of each channel (compressed sensing).

        A x = √(N/m) · w ⊙ F(x)[frequencies]

    F is the orthonormal two-dimensional transform. Of the H·W frequencies of a real image only N =
    ⌊H·W/2⌋ + 1 are free, and one more where both sides are even. Of two frequencies that are each
    other's conjugate one is used, with w = √2; a frequency that is its own conjugate has w = 1. The
    measurement is (C, m, 2), m = round(ratio · N), with the same frequencies in all channels; the
    last axis holds real and imaginary part. E||Ax||² = ||x||². The rows of A are orthogonal, so
    that A⁺y = (m/N) A'y, and the norm is √(N/m).

    Drawn from `torch.Generator().manual_seed(seed)` on the CPU: the first m of `randperm(N)`,
    sorted, where free frequencies are counted row by row.

    Raises:
        ArgumentError: the ratio is outside (0, 1] or leaves no frequency, or images have no height
            and width.
    """

    exact = ("weights",)

    rows: Tensor  # (m,) int64, vertical frequency
    columns: Tensor  # (m,) int64, horizontal frequency, at most width // 2
    weights: Tensor  # (m,) float64, scale included

    def __init__(
        self,
        image_shape: Shape,
        ratio: Annotated[float, "share of the free frequencies that is measured, in (0, 1]"],
        seed: int = 0,
    ) -> None:
        channels, height, width = pixel_axes(image_shape)
        free = _free_frequencies(height, width)
        m = part_of(len(free), ratio, "frequencies")
        super().__init__(image_shape, (channels, m, 2))
        self.ratio, self.seed = ratio, seed
        self.scale = math.sqrt(len(free) / m)
        chosen = free[permutation(len(free), seeded(seed))[:m].sort().values]
        rows, columns = chosen.unbind(1)
        own = (2 * rows % height == 0) & (2 * columns % width == 0)  # real in every image
        weights = self.scale * (2.0 - own.to(torch.float64)).sqrt()
        self.register_buffer("rows", rows.clone(), persistent=False)
        self.register_buffer("columns", columns.clone(), persistent=False)
        self.register_buffer("weights", weights, persistent=False)

    def units(self) -> Tensor:
        """Frequencies, both parts and all channels together; frequency zero is never left out."""
        zero = (self.rows == 0) & (self.columns == 0)
        labels = torch.where(zero, NEVER, indices(len(zero), zero.device))
        return along(self.measurement_shape, 1, labels.cpu())

    def forward(self, image: Images) -> Measured:
        """The weighted coefficients at the chosen frequencies."""
        dtype = working(image.dtype)
        if len(image) == 0:
            return image.new_zeros(0, *self.measurement_shape)
        spectrum = torch.fft.rfft2(image.to(dtype), norm="ortho")
        kept = spectrum[:, :, self.rows, self.columns] * self.weights.to(dtype)
        return torch.view_as_real(kept).to(image.dtype)

    def adjoint(self, measurement: Measured) -> Images:
        """The real part of the inverse transform of the weighted values at their frequencies."""
        dtype = working(measurement.dtype)
        if len(measurement) == 0:
            return measurement.new_zeros(0, *self.image_shape)
        values = measurement.to(dtype) * self.weights.to(dtype)[:, None]
        channels, height, width = pixel_axes(self.image_shape)
        spread = values.new_zeros(len(values), channels, height * width, 2)
        spread = spread.index_copy(2, self.rows * width + self.columns, values)
        spectrum = torch.view_as_complex(spread).unflatten(2, (height, width))
        image: Images = torch.fft.ifft2(spectrum, norm="ortho").real.to(measurement.dtype)
        return image

    def pinv(
        self, measurement: Measured, *, iterations: int = 200, tolerance: float = 1e-6
    ) -> Images:
        """A'y · m/N."""
        return self.adjoint(measurement) / self.scale**2

    def norm(self, *, iterations: int = 1000, tolerance: float = 1e-7, seed: int = 0) -> float:
        """√(N/m)."""
        return self.scale

    @classmethod
    def example(cls) -> "SubsampledFourier":
        """A fifth of the frequencies of 8 x 8 colour images."""
        return cls((3, 8, 8), ratio=0.2)

    def extra_repr(self) -> str:
        """The shapes and the options."""
        return f"{super().extra_repr()}, ratio={self.ratio}, seed={self.seed}"


def cosine_factors(indices: Tensor, n: int) -> Tensor:
    """Factors (complex128), one for each index, that turn a real FFT into cosine coefficients.

    With F the FFT of x[0], x[2], ... followed by the odd elements backwards, coefficient k of the
    orthonormal transform of type II is the real part of length · exp(-iπf/2n) · F[f], f = k, for k
    up to n/2, and that of i times it, f = n - k, above.
    """
    upper = 2 * indices > n
    angles = torch.where(upper, n - indices, indices).double() * (-math.pi / (2 * n))
    angles = torch.where(upper, angles + math.pi / 2, angles)
    lengths = ((2.0 - (indices == 0).double()) / n).sqrt()
    return torch.polar(lengths, angles)


def hadamard_transform(flat: Tensor) -> Tensor:
    """The orthonormal Hadamard transform of each row, in Sylvester's order.

    The length is a power of two, and the matrix a Kronecker product of small ones: each is applied
    to its digits of the index, where they are.
    """
    batch, length = flat.shape
    bits = length.bit_length() - 1
    after = 1
    while bits > 0:
        step = min(bits, 5)
        small = _sylvester(step).to(flat)
        grid = flat.view(-1, 1 << step, after)
        flat = (grid.squeeze(2) @ small if after == 1 else small @ grid).view(batch, length)
        after <<= step
        bits -= step
    return flat


def _sylvester(bits: int) -> Tensor:
    """The orthonormal Hadamard matrix with 2**bits rows."""
    matrix = torch.ones(1, 1, dtype=torch.float64, device="cpu")
    for _ in range(bits):
        matrix = torch.kron(matrix.new_tensor([[1.0, 1.0], [1.0, -1.0]]), matrix)
    return matrix / math.sqrt(len(matrix))


def _free_frequencies(height: int, width: int) -> Tensor:
    """One of each two conjugate frequencies of real images: (N, 2) rows and columns, row by row."""
    rows, columns = torch.meshgrid(indices(height), indices(width // 2 + 1), indexing="ij")
    # In the columns that are their own conjugate, the lower half mirrors the upper one.
    free = (2 * columns % width != 0) | (2 * rows <= height)
    return torch.stack([rows[free], columns[free]], 1)


def _rows(like: Tensor, length: int) -> Tensor:
    return like.new_zeros(len(like), length)
