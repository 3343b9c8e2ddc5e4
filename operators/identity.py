"""The operator that measures the image as it is."""

from invprob.operators.base import LinearOperator
from invprob.registry import register
from invprob.types import Images, Measured, Shape


@register.operator("identity")
class Identity(LinearOperator):
    """Measure the image itself: for denoising, or to invert a photograph.

        A x = x

    Measurements have the shape of the image.
    """

    def __init__(self, image_shape: Shape) -> None:
        super().__init__(image_shape, image_shape)

    def forward(self, image: Images) -> Measured:
        """Return the image."""
        return image

    def adjoint(self, measurement: Measured) -> Images:
        """Return the measurement."""
        return measurement

    def pinv(
        self, measurement: Measured, *, iterations: int = 200, tolerance: float = 1e-6
    ) -> Images:
        """Return the measurement."""
        return measurement

    @classmethod
    def example(cls) -> "Identity":
        """On colour images of 8 x 8."""
        return cls((3, 8, 8))
