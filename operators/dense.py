"""Compressed sensing with a dense Gaussian matrix: the textbook's operator, for small images."""

import math
from typing import Annotated

from torch import Tensor

from invprob.draws import normal
from invprob.errors import ArgumentError
from invprob.operators.base import LinearOperator
from invprob.operators.checks import checked_shape, part_of, pixel_axes, seeded
from invprob.operators.units import numbers
from invprob.registry import register
from invprob.types import Images, Measured, Shape

LARGEST = 2**26  # entries of the matrix: 256 MiB in float32


@register.operator("dense-gaussian")
class DenseGaussian(LinearOperator):
    """Multiply the image by a dense matrix of normal entries (compressed sensing).

        A x = G x / √m,   G[k, i] ~ N(0, 1)

    x is the image, flattened to n = C·H·W elements. Measurements have the shape (m,), m =
    round(ratio · n), and E||Ax||² = ||x||². Time and memory grow with m · n: take this operator for
    small images, and `circulant` for larger ones. Sources: Candès and Tao, IEEE Trans. Inf. Theory
    52(12), 2006; Bora et al. (CSGM), ICML 2017.

    G is drawn from `torch.Generator().manual_seed(seed)` on the CPU (`randn` of (m, n), float32),
    and stays float32 whatever `.to(dtype)` says.

    Raises:
        ArgumentError: the ratio is outside (0, 1] or leaves no measurement, or the matrix would
            have more than 67,108,864 entries.
    """

    exact = ("matrix",)

    matrix: Tensor  # (m, n) float32

    def __init__(
        self,
        image_shape: Shape,
        ratio: Annotated[float, "number of measurements per image element, in (0, 1]"],
        seed: int = 0,
    ) -> None:
        n = math.prod(checked_shape("image_shape", image_shape))
        m = part_of(n, ratio)
        if m * n > LARGEST:
            raise ArgumentError(
                f"ratio {ratio} of {n} image elements needs a dense matrix of {m * n:,} entries, "
                f"more than {LARGEST:,}; use circulant, dct or hadamard, whose memory grows with "
                f"the image only, or a ratio of at most {LARGEST / n**2:.2g}"
            )
        super().__init__(image_shape, (m,))
        self.ratio, self.seed, self.scale = ratio, seed, 1 / math.sqrt(m)
        matrix = normal((m, n), seeded(seed))
        self.register_buffer("matrix", matrix, persistent=False)

    def units(self) -> Tensor:
        """Each number by itself."""
        return numbers(self.measurement_shape)

    def forward(self, image: Images) -> Measured:
        """G x / √m."""
        return self.scale * (image.flatten(1) @ self.matrix.to(image.dtype).T)

    def adjoint(self, measurement: Measured) -> Images:
        """G' y / √m."""
        flat = self.scale * (measurement @ self.matrix.to(measurement.dtype))
        return flat.view(len(flat), *self.image_shape)

    @classmethod
    def illustration(cls, image_shape: Shape) -> "DenseGaussian":
        """A fifth of the elements of images of at most 32 x 32, as larger ones have no room."""
        channels, height, width = pixel_axes(image_shape)
        return cls((channels, min(height, 32), min(width, 32)), ratio=0.2)

    @classmethod
    def example(cls) -> "DenseGaussian":
        """A fifth of the elements of 8 x 8 colour images."""
        return cls((3, 8, 8), ratio=0.2)

    def extra_repr(self) -> str:
        """The shapes and the options."""
        return f"{super().extra_repr()}, ratio={self.ratio}, seed={self.seed}"
