"""A square is laid back into the picture that it was fitted from."""

import pytest
import torch

from invprob.run.images import fit_image
from invprob.run.paste import paste


def picture(height: int, width: int) -> torch.Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.mark.parametrize(("height", "width"), [(7, 12), (12, 7), (9, 9), (8, 13)])
def test_what_was_cropped_or_padded_without_resizing_comes_back_exactly(
    height: int, width: int
) -> None:
    original = picture(height, width)
    for fit, size in (("crop", min(height, width)), ("pad", max(height, width))):
        square = fit_image(original, size, fit)
        assert torch.equal(paste(square, original, fit), original)


def test_only_the_square_is_replaced() -> None:
    original = picture(8, 13)
    pasted = paste(torch.zeros(1, 3, 8, 8), original, "crop")
    expected = original.clone()
    expected[..., 2:10] = 0  # (13 - 8) // 2 columns are left of it
    assert torch.equal(pasted, expected)


@pytest.mark.parametrize("factor", [2.0, 2.5, 4.0])
def test_an_enlarged_picture_holds_the_square_at_the_enlarged_place(factor: float) -> None:
    small = picture(10, 20)
    side = round(10 * factor)
    pasted = paste(torch.full((1, 3, side, side), 0.25), small, "crop", factor)
    assert pasted.shape == (1, 3, side, round(20 * factor))
    inside = (pasted == 0.25).all(1)[0].all(0)
    start = round(5 * factor)
    assert inside[start : start + side].all()
    assert int(inside.sum()) == side
