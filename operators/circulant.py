"""Compressed sensing with a partial circulant matrix: signs, a random filter, few samples."""

import math
from typing import Annotated, Literal

import torch
from torch import Tensor

from invprob.draws import integers, normal, permutation
from invprob.fast.derived import Derived
from invprob.operators.base import LinearOperator
from invprob.operators.checks import checked_shape, part_of, seeded
from invprob.operators.frequencies import working
from invprob.operators.lines import Line
from invprob.operators.units import numbers
from invprob.registry import register
from invprob.types import Images, Measured, Shape


@register.operator("circulant")
class PartialCirculant(LinearOperator):
    """Keep a few samples of a random convolution of the image (compressed sensing).

        A x = c · (kernel ⊛ (signs ⊙ x))[indices]

    x is the image, flattened to n = C·H·W elements; ⊛ is the circular convolution, and ⊙ multiplies
    element by element. Measurements have the shape (m,), m = round(ratio · n). The scale c makes
    E||Ax||² = ||x||².

    `spectrum` chooses the kernel:

    - "gaussian": kernel ~ N(0, 1), c = 1/√m. ILO (arXiv:2102.07364) and SPHInX (ICML 2022) measure
      with it, up to the scale.
    - "sign": the signs of the Gaussian kernel, +1 or -1, c = 1/√m. All entries of A have the same
      modulus. Source: Rauhut, Romberg and Tropp, Appl. Comput. Harmon. Anal. 32(2), 2012.
    - "unit": the Gaussian kernel with each Fourier coefficient divided by its modulus, c = √(n/m).
      AA' = (n/m) I, so that pseudo-inverse and norm have closed forms. Source: Romberg, SIAM J.
      Imaging Sciences 2(4), 2009.

    Everything is drawn from `torch.Generator().manual_seed(seed)` on the CPU, in this order: the
    kernel (`randn`, float64), the signs (`randint` of 0 and 1, for -1 and +1), the indices (the
    first m of `randperm(n)`, sorted).

    Raises:
        ArgumentError: the ratio is outside (0, 1], or leaves no measurement.
    """

    exact = ("signs", "kernel")

    signs: Tensor
    kernel: Tensor
    indices: Tensor

    def __init__(
        self,
        image_shape: Shape,
        ratio: Annotated[float, "number of measurements per image element, in (0, 1]"],
        seed: int = 0,
        spectrum: Annotated[
            Literal["gaussian", "unit", "sign"],
            "the kernel: normal values, all frequencies equally strong, or values of +1 and -1",
        ] = "gaussian",
    ) -> None:
        n = math.prod(checked_shape("image_shape", image_shape))
        m = part_of(n, ratio)
        super().__init__(image_shape, (m,))
        self.ratio, self.seed, self.spectrum = ratio, seed, spectrum
        self.scale = math.sqrt(n / m) if spectrum == "unit" else 1 / math.sqrt(m)

        rng = seeded(seed)
        kernel = normal((n,), rng, torch.float64)
        signs = integers(0, 2, (n,), rng).to(torch.float64) * 2 - 1
        indices = permutation(n, rng)[:m].sort().values
        if spectrum == "unit":
            coefficients = torch.fft.rfft(kernel)
            kernel = torch.fft.irfft(coefficients / coefficients.abs(), n=n)
        elif spectrum == "sign":
            kernel = torch.where(kernel < 0, -1.0, 1.0).to(torch.float64)
        # Not persistent: a checkpoint holds spec and fingerprint, from which these follow.
        self.register_buffer("signs", signs, persistent=False)
        self.register_buffer("kernel", kernel, persistent=False)
        self.register_buffer("indices", indices, persistent=False)
        self._line = Line(n)
        self._spectra, self._back_spectra = Derived(), Derived()
        self._cast_signs, self._places = Derived(), Derived()

    def units(self) -> Tensor:
        """Each number by itself."""
        return numbers(self.measurement_shape)

    def forward(self, image: Images) -> Measured:
        """(irfft(rfft(signs ⊙ x) · c rfft(kernel)))[indices]."""
        flat = image.flatten(1).to(working(image.dtype))
        signed = flat * self._cast_signs.of(self.signs, flat)
        spectrum = self._spectra.of(self.kernel, flat, self._transformed)
        filtered = self._convolved(self._line.grid(signed), spectrum)
        return filtered.flatten(1).index_select(1, self._placed()).to(image.dtype)

    def adjoint(self, measurement: Measured) -> Images:
        """signs ⊙ irfft(rfft(measurement at indices, else 0) · c conj(rfft(kernel)))."""
        values = measurement.to(working(measurement.dtype))
        spread = values.new_zeros(len(values), self.kernel.numel())
        spread = spread.index_copy(1, self._placed(), values)
        grid = spread.view(-1, self._line.columns, self._line.rows)
        filtered = self._convolved(
            grid, self._back_spectra.of(self.kernel, values, self._conjugated)
        )
        flat = self._line.flat(filtered) * self._cast_signs.of(self.signs, values)
        return flat.view(len(flat), *self.image_shape).to(measurement.dtype)

    def pinv(
        self, measurement: Measured, *, iterations: int = 200, tolerance: float = 1e-6
    ) -> Images:
        """A'y · m/n for the unit spectrum, conjugate gradients for the others."""
        if self.spectrum == "unit":
            return self.adjoint(measurement) / self.scale**2
        return super().pinv(measurement, iterations=iterations, tolerance=tolerance)

    def norm(self, *, iterations: int = 1000, tolerance: float = 1e-7, seed: int = 0) -> float:
        """√(n/m) for the unit spectrum, power iteration for the others."""
        if self.spectrum == "unit":
            return self.scale
        return super().norm(iterations=iterations, tolerance=tolerance, seed=seed)

    @classmethod
    def example(cls) -> "PartialCirculant":
        """A fifth of the elements of 8 x 8 colour images."""
        return cls((3, 8, 8), ratio=0.2)

    def extra_repr(self) -> str:
        """The shapes and the options."""
        options = f"ratio={self.ratio}, seed={self.seed}, spectrum={self.spectrum!r}"
        return f"{super().extra_repr()}, {options}"

    def _transformed(self, kernel: Tensor) -> Tensor:
        """The spectrum of the scaled kernel."""
        return self._line.spectrum(self._line.grid(self.scale * kernel))

    def _conjugated(self, kernel: Tensor) -> Tensor:
        """Its conjugate."""
        return self._transformed(kernel).conj().resolve_conj()

    def _placed(self) -> Tensor:
        """Where in the line's grid the samples are."""
        return self._places.of(self.indices, self.indices, self._line.elements)

    def _convolved(self, grid: Tensor, spectrum: Tensor) -> Tensor:
        """Convolve each line with the kernel that has this spectrum, circularly."""
        if len(grid) == 0:
            return grid  # some FFT libraries refuse an empty batch
        return self._line.inverse(self._line.spectrum(grid).mul_(spectrum))
