"""The operator that measures the image as it is."""

from torch import Tensor

from invprob.operators.base import LinearOperator
from invprob.operators.units import pixels
from invprob.registry import register
from invprob.types import Images, Measured, Shape


@register.operator("identity")
class Identity(LinearOperator):
    """Measure the image itself: for denoising, or to invert a photograph.

        A x = x

    Measurements have the shape of the image.
    """

    pointwise = True

    def __init__(self, image_shape: Shape) -> None:
        super().__init__(image_shape, image_shape)

    def forward(self, image: Images) -> Measured:
        """A copy of the image."""
        return image.clone()

    def adjoint(self, measurement: Measured) -> Images:
        """A copy of the measurement."""
        return measurement.clone()

    def pinv(
        self, measurement: Measured, *, iterations: int = 200, tolerance: float = 1e-6
    ) -> Images:
        """A copy of the measurement."""
        return measurement.clone()

    def units(self) -> Tensor:
        """Pixels, all channels together."""
        return pixels(self.measurement_shape)

    @classmethod
    def example(cls) -> "Identity":
        """On colour images of 8 x 8."""
        return cls((3, 8, 8))
