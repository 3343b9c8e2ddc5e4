"""Total variation of the image as a term that any prior can be guided by."""

from typing import Annotated

from invprob.errors import ArgumentError
from invprob.losses.base import BoundTerm, Term, Weight
from invprob.losses.duals import differences
from invprob.operators.base import Operator
from invprob.registry import register
from invprob.types import Images, Measured, PerImage


@register.loss("variation")
class ColourVariation(Term):
    """Σ sqrt(Σ_c |∇x_c|² + ε²) / n with n image elements: edges of all channels are one edge.

    The total variation of Blomgren & Chan (IEEE Trans. Image Process. 1998), smoothed so that it
    has a gradient everywhere.

    Raises:
        ArgumentError: ε is not positive.
    """

    def __init__(
        self,
        weight: Weight = 0.1,
        smoothing: Annotated[float, "ε, a small edge in units of [-1, 1], above 0"] = 0.01,
    ) -> None:
        super().__init__("variation", weight)
        if not smoothing > 0:
            raise ArgumentError(f"smoothing must be above 0, not {smoothing}")
        self.smoothing = smoothing

    def bind(self, target: Measured, operator: Operator) -> BoundTerm:
        """Bind nothing: the measurements play no part."""
        del target, operator

        def variation(image: Images, prediction: Measured) -> PerImage:
            del prediction
            squares = differences(image).square().sum((1, 2))
            lengths = (squares + self.smoothing**2).sqrt() - self.smoothing
            return lengths.flatten(1).sum(1) / image[0].numel()

        return variation
