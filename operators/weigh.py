"""A factor for each number of a measurement: weights of least squares, gains of detectors."""

import math
from typing import Annotated, Any

import torch
from torch import Tensor

from invprob.arrays import Contents, carry, read_array
from invprob.errors import ArgumentError
from invprob.operators.base import LinearOperator
from invprob.operators.units import NEVER, pixels
from invprob.registry import register
from invprob.types import Images, Measured, Shape


@register.operator("weigh")
class Weigh(LinearOperator):
    """Multiply each number by a factor of its own.

        y[i] = weights[i] · x[i]

    Left of another operator, the square roots of the weights of a least-squares problem turn it
    into one without: `Weigh(A.measurement_shape, root) @ A` measures root · values. Numbers whose
    weight is 0 are not observed. Measurements have the shape of the image.

    Raises:
        ArgumentError: the file is missing or unreadable, the weights have another shape than the
            image, are not real or all zero.
    """

    pointwise = True
    exact = ("weights",)

    weights: Tensor  # (*image_shape) float64

    def __init__(
        self,
        image_shape: Shape,
        weights: Annotated[Contents, "a factor for each number, an array or a .npy file"],
    ) -> None:
        super().__init__(image_shape, image_shape)
        values = read_array("weights", weights)
        if values.ndim == 1 and values.size == math.prod(self.image_shape):
            values = values.reshape(self.image_shape)
        if values.shape != self.image_shape or values.dtype.kind == "c":
            kind = "complex" if values.dtype.kind == "c" else "real"
            raise ArgumentError(
                f"weights must be real numbers of the shape {self.image_shape}, got {kind} ones of "
                f"the shape {values.shape}"
            )
        if not values.any():
            raise ArgumentError("weights are all zero, so nothing would be measured")
        self._carried = carry(values if values.ndim <= 4 else values.reshape(-1))
        self.register_buffer(
            "weights", torch.from_numpy(values.astype("float64")), persistent=False
        )

    def carried(self) -> dict[str, Any]:
        """The weights themselves, so that it can be rebuilt where their file is not."""
        return {"weights": self._carried}

    def observed(self) -> Tensor:
        """Numbers whose weight is not zero."""
        return (self.weights != 0).cpu()[None]

    def units(self) -> Tensor:
        """Pixels, all channels together; a number whose weight is 0 is never left out."""
        return torch.where(self.observed()[0], pixels(self.measurement_shape), NEVER)

    def forward(self, image: Images) -> Measured:
        """The product."""
        return image * self.weights.to(image.dtype)

    def adjoint(self, measurement: Measured) -> Images:
        """The same product."""
        return self(measurement)

    def pinv(
        self, measurement: Measured, *, iterations: int = 200, tolerance: float = 1e-6
    ) -> Images:
        """The quotient, and 0 where the weight is 0."""
        inverse = torch.where(self.weights == 0, 0.0, 1 / self.weights)
        return measurement * inverse.to(measurement.dtype)

    def norm(self, *, iterations: int = 1000, tolerance: float = 1e-7, seed: int = 0) -> float:
        """The largest magnitude."""
        return float(self.weights.abs().max())

    @classmethod
    def illustration(cls, image_shape: Shape) -> "Weigh":
        """Less weight towards the right."""
        ramp = torch.linspace(1.0, 0.0, image_shape[-1], dtype=torch.float64, device="cpu")
        return cls(image_shape, ramp.expand(image_shape))

    @classmethod
    def example(cls) -> "Weigh":
        """Weights from 0 to 7 along the rows of 2 x 2 colour images."""
        return cls((3, 2, 2), weights=[[[0, 1], [2, 3]], [[4, 5], [6, 7]], [[1, 1], [1, 1]]])
