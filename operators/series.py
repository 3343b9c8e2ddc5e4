"""One operator for each picture of a series, such as an image and its variants."""

from typing import Any

import torch
from torch import Tensor

from invprob.calls import checked
from invprob.errors import ArgumentError, ShapeError
from invprob.operators.base import LinearOperator, Operator
from invprob.operators.structure import Applied, Structure, structure
from invprob.operators.units import NEVER
from invprob.types import Images, Measured, Spec


@structure("series")
class Series(Structure):
    """Measure each picture of a series by the same operator. Made by `series`.

    The pictures of an image lie one behind the other along its first axis, so that n pictures of
    (channels, height, width) are an image of (n·channels, height, width). A measurement has an axis
    for the pictures in front: (n, *measurement_shape).
    """

    def __init__(self, operator: Operator, pictures: int) -> None:
        channels, *rest = operator.image_shape
        super().__init__((pictures * channels, *rest), (pictures, *operator.measurement_shape))
        self.operator, self.pictures = operator, pictures

    def of(self) -> Operator:
        """The operator that measures a picture."""
        assert isinstance(self.operator, Operator)
        return self.operator

    def split(self, image: Images) -> tuple[Images, ...]:
        """The pictures of images.

        Args:
            image: (batch, *image_shape).

        Returns:
            Each picture by itself, (batch, channels, height, width).
        """
        return image.chunk(self.pictures, 1)

    def joined(self, pictures: Tensor) -> Images:
        """The images of pictures (batch, n, channels, height, width): the inverse of `split`.

        Raises:
            ShapeError: the pictures have another shape.
        """
        expected = (self.pictures, *self.of().image_shape)
        if tuple(pictures.shape[1:]) != expected:
            raise ShapeError(
                f"pictures must be (batch, {str(expected)[1:]}, got {tuple(pictures.shape)}"
            )
        return pictures.flatten(1, 2)

    def forward(self, image: Images) -> Measured:
        """Measure each picture."""
        return self._each(lambda part, picture: part(picture), image)

    def surrogate(self, image: Images) -> Measured:
        """Measure each picture by the operator's surrogate."""
        return self._each(lambda part, picture: part.surrogate(picture), image)

    @property
    def smooth(self) -> bool:
        """Whether the operator is smooth."""
        return self.of().smooth

    def observed(self) -> Tensor:
        """What the operator observes of each picture."""
        seen = self.of().observed()[:, None]
        return seen.expand(-1, self.pictures, *self.of().measurement_shape)

    def units(self) -> Tensor | None:
        """Those of the operator, of each picture by itself."""
        labels = self.of().units()
        if labels is None:
            return None
        count = int(labels.max()) + 1
        own = [torch.where(labels == NEVER, NEVER, labels + k * count) for k in self._numbers]
        return torch.stack(own)

    def doubts(self, measurement: Measured) -> tuple[str, ...]:
        """Those of the operator about each picture, equal ones once."""
        said = [doubt for one in measurement.unbind(1) for doubt in self.of().doubts(one)]
        return tuple(dict.fromkeys(said))

    def for_images(self, rows: slice) -> Operator:
        """A series by what the operator is for those images."""
        return series(self.of().for_images(rows), self.pictures)

    def names(self) -> tuple[str, ...]:
        """The names of the operator."""
        return self.of().names()

    def spec(self) -> dict[str, Any]:
        """The spec of the operator, and the number of pictures."""
        return {"type": self.kind, "operator": self.of().spec(), "pictures": self.pictures}

    @classmethod
    def rebuilt(cls, settings: Spec) -> Operator:
        """The series of the operator in the spec."""
        return series(Operator.from_spec(settings.get("operator", {})), settings.get("pictures", 0))

    def describe(self) -> str:
        """The description of the operator, and the number of pictures."""
        return f"{self.kind}({self.pictures} of {self.of().describe()})"

    def extra_repr(self) -> str:
        """The operator, and the number of pictures."""
        return f"{self.pictures} of {self.of()!r}"

    @property
    def _numbers(self) -> range:
        return range(self.pictures)

    def _each(self, apply: Applied, image: Images) -> Measured:
        """Apply the operator to one picture after another, of all images at once."""
        return torch.stack([apply(self.of(), picture) for picture in self.split(image)], 1)


class LinearSeries(Series, LinearOperator):
    """Measure each picture of a series by the same linear operator. Made by `series`."""

    def adjoint(self, measurement: Measured) -> Images:
        """Apply the operator's adjoint to the measurement of each picture."""
        return torch.cat([self._linear.adjoint(one) for one in measurement.unbind(1)], 1)

    def pinv(
        self, measurement: Measured, *, iterations: int = 200, tolerance: float = 1e-6
    ) -> Images:
        """Apply the operator's pseudo-inverse to the measurement of each picture."""
        found = [
            self._linear.pinv(one, iterations=iterations, tolerance=tolerance)
            for one in measurement.unbind(1)
        ]
        return torch.cat(found, 1)

    def norm(self, *, iterations: int = 1000, tolerance: float = 1e-7, seed: int = 0) -> float:
        """That of the operator."""
        return self._linear.norm(iterations=iterations, tolerance=tolerance, seed=seed)

    @property
    def _linear(self) -> LinearOperator:
        assert isinstance(self.operator, LinearOperator)
        return self.operator


@checked
def series(operator: Operator, pictures: int) -> Series:
    """Measure each picture of a series by one operator.

    Args:
        operator: what measures a picture.
        pictures: how many there are, at least 1.

    Returns:
        A `LinearSeries` if the operator is linear.

    Raises:
        ArgumentError: there is no picture.
    """
    if pictures < 1:
        raise ArgumentError(f"pictures must be at least 1, not {pictures}")
    kind = LinearSeries if isinstance(operator, LinearOperator) else Series
    return kind(operator, pictures)
