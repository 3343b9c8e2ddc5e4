"""Total variation of all channels together, by loops."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from invprob.errors import ArgumentError
from invprob.losses.variation import ColourVariation
from invprob.operators import Identity


def by_loops(image: np.ndarray, smoothing: float) -> float:
    channels, height, width = image.shape
    total = 0.0
    for row in range(height):
        for column in range(width):
            here = image[:, row, column]
            down = image[:, row + 1, column] - here if row + 1 < height else 0 * here
            right = image[:, row, column + 1] - here if column + 1 < width else 0 * here
            squares = (down**2).sum() + (right**2).sum()
            total += math.sqrt(squares + smoothing**2) - smoothing
    return total / (channels * height * width)


def variation(images: Tensor, term: ColourVariation) -> Tensor:
    found: Tensor = term.bind(images[:, :1], Identity(images.shape[1:]))(images, images[:, :1])
    return found


@pytest.mark.parametrize("smoothing", [1e-6, 0.01, 0.5])
def test_it_is_the_sum_over_pixels(smoothing: float) -> None:
    rng = torch.Generator().manual_seed(0)
    images = torch.rand(2, 3, 7, 5, generator=rng, dtype=torch.float64) * 2 - 1
    found = variation(images, ColourVariation(smoothing=smoothing))
    expected = [by_loops(image.numpy(), smoothing) for image in images]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_flat_image_costs_nothing_and_has_a_gradient_of_0() -> None:
    image = torch.full((1, 3, 6, 6), 0.3, requires_grad=True)
    found = variation(image, ColourVariation())
    (gradient,) = torch.autograd.grad(found.sum(), image)
    assert float(found.detach()) == 0 and not gradient.any()


def test_what_cannot_be_is_refused() -> None:
    assert (ColourVariation(0.4).name, ColourVariation(0.4).weight) == ("variation", 0.4)
    for smoothing in (0.0, -1.0, math.nan):
        with pytest.raises(ArgumentError, match="smoothing must be above 0"):
            ColourVariation(smoothing=smoothing)
    with pytest.raises(ArgumentError, match="weight of 'variation' must be finite and >= 0"):
        ColourVariation(-1.0)
