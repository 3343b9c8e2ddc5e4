"""An operator of your own: shapes, `forward`, an example; the rest is derived and checked."""

import torch

import invprob
from invprob.testing import check_operator


@invprob.register.operator("column-sums")
class ColumnSums(invprob.LinearOperator):
    """Add up each column of each channel, as a line sensor held still would."""

    def __init__(self, image_shape: tuple[int, ...]) -> None:
        super().__init__(image_shape, (image_shape[0], image_shape[2]))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image.mean(2)

    @classmethod
    def example(cls) -> "ColumnSums":
        return cls((3, 8, 6))


if __name__ == "__main__":
    check_operator(ColumnSums.example())
    print("column-sums keeps every law; try it:")
    print("  invprob solve --plugin examples/new_operator.py --operator column-sums")
