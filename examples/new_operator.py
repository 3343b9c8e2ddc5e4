"""
An operator of your own
=======================

State the two shapes, write `forward`, and offer a small example. The adjoint, the pseudo-inverse,
the norm, the composition with `@` and the command-line options follow from these.
"""

import torch

import invprob
from invprob.run.samples import load_sample
from invprob.testing import check_operator


@invprob.register.operator("column-means")
class ColumnMeans(invprob.LinearOperator):
    """Average each column of each channel, as a line sensor that is held still would."""

    def __init__(self, image_shape: tuple[int, ...]) -> None:
        super().__init__(image_shape, (image_shape[0], image_shape[2]))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image.mean(2)

    @classmethod
    def example(cls) -> "ColumnMeans":
        return cls((3, 8, 6))


# %%
# `check_operator` examines the laws that every operator has to keep, for instance that the adjoint
# belongs to `forward`. `invprob check column-means --plugin FILE` does the same.

if __name__ == "__main__":
    check_operator(ColumnMeans.example())
    image = load_sample("face", size=128)
    means = ColumnMeans((3, 128, 128))(image)
    seen = means[:, :, None].expand_as(image)  # each column in its mean colour
    invprob.save_image(torch.cat([image, seen], 3), "column_means.png")
    print("column-means keeps every law; try it:")
    print("  invprob solve --plugin examples/new_operator.py --operator column-means")
