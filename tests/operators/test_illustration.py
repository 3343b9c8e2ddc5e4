"""What a gallery shows of an operator: its effect on a picture, not on its small example."""

import pytest
import torch

from invprob.registry import register

SHAPE = (3, 64, 48)


@pytest.mark.parametrize("name", register.operator)
def test_pictures_are_shown_at_their_own_size(name: str) -> None:
    operator = register.operator[name].illustration(SHAPE)
    size = (3, 32, 32) if name == "dense-gaussian" else SHAPE
    assert operator.image_shape == size
    with torch.no_grad():
        measured = operator(torch.zeros(1, *size))
    assert measured.shape == (1, *operator.measurement_shape)


def test_the_effect_grows_with_the_picture() -> None:
    crop = register.operator["crop"].illustration(SHAPE)
    assert crop.measurement_shape == (3, 32, 24)
    mask = register.operator["mask"].illustration(SHAPE)
    hidden = (mask(torch.ones(1, *SHAPE)) == 0).double().mean()
    assert 0.1 < float(hidden) < 0.5
