"""Descriptions for captions and names for folders: short, readable, of one line."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from invprob.operators import (
    CT,
    JPEG,
    External,
    Flip,
    GaussianNoise,
    Identity,
    LinearOperator,
    Luminance,
    Mask,
    Operator,
    PartialCirculant,
    Rotate,
    each,
    stack,
)
from invprob.registry import register

SHAPE = (3, 8, 8)


class Doubled(LinearOperator):
    """An operator that nobody registered."""

    def __init__(self, image_shape: tuple[int, ...], times: float, weights: Tensor) -> None:
        super().__init__(image_shape, image_shape)
        self.times = times

    def forward(self, image: Tensor) -> Tensor:
        return self.times * image


class Wrapped(External):
    """An operator around a module of another package."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__(SHAPE, SHAPE)
        self.module = module

    def wrapped(self) -> nn.Module:
        return self.module

    def forward(self, image: Tensor) -> Tensor:
        return self.module(image)


@pytest.mark.parametrize("name", register.operator)
def test_descriptions_of_examples_are_short(name: str) -> None:
    text = register.operator[name].example().describe()
    assert text == name or text.startswith(f"{name}(")
    assert len(text) <= 60 and len(text.splitlines()) == 1 and "array:" not in text
    assert register.operator[name].example().names() == (name,)


def test_options_at_their_defaults_are_left_out() -> None:
    few = PartialCirculant(SHAPE, ratio=0.01, seed=3)
    assert few.describe() == "circulant(ratio=0.01)"
    other = PartialCirculant(SHAPE, ratio=1 / 3, spectrum="unit")
    assert other.describe() == "circulant(ratio=0.333333, spectrum=unit)"
    assert Flip(SHAPE).describe() == "flip"
    assert GaussianNoise(sigma=0.1).describe() == "gaussian(sigma=0.1)"


def test_arrays_and_long_lists_are_shortened(tmp_path: Path) -> None:
    file = tmp_path / "hole.npy"
    np.save(file, np.eye(128))
    mask = Mask((3, 128, 128), mask=str(file))
    assert mask.describe() == "mask(mask=128 x 128 array)"
    assert Operator.from_spec(mask.spec()).describe() == mask.describe()
    few = CT((1, 8, 8), degrees="0 45 90")
    assert few.describe() == 'ct(degrees="0 45 90")'
    many = CT((1, 8, 8), degrees=" ".join(map(str, range(0, 180, 10))))
    assert many.describe() == 'ct(degrees="0 10 20 30 40 50…140 150 160 170")'
    assert len(CT((1, 8, 8), degrees=[math.pi] * 100).describe()) < 60


def test_classes_without_a_name_go_by_that_of_the_class() -> None:
    doubled = Doubled(SHAPE, 2.0, torch.zeros(3))
    assert doubled.describe() == "Doubled(times=2, weights=Tensor)"
    assert doubled.names() == ("Doubled",)


def test_chains_are_written_as_they_are_composed() -> None:
    chain = PartialCirculant(SHAPE, ratio=0.01) @ Rotate(SHAPE, degrees=20)
    assert chain.describe() == "circulant(ratio=0.01) @ rotate(degrees=20)"
    assert chain.names() == ("circulant", "rotate")
    assert chain.H.describe() == "adjoint(circulant(ratio=0.01) @ rotate(degrees=20))"
    assert chain.H.names() == ("adjoint",)


def test_stacks_list_their_parts() -> None:
    both = stack([Flip(SHAPE), Luminance(SHAPE) @ Rotate(SHAPE, degrees=5)])
    assert both.describe() == "stack(flip, luminance @ rotate(degrees=5))"
    assert both.names() == ("stack",)


def test_an_operator_for_each_image_is_named_once() -> None:
    draws = each(PartialCirculant(SHAPE, ratio=0.1, seed=s) for s in range(50))
    assert draws.describe() == "each(50 of circulant(ratio=0.1))"
    assert draws.names() == ("circulant",)
    chains = each(Flip(SHAPE) @ Rotate(SHAPE, degrees=d) for d in range(7))
    assert chains.names() == ("flip", "rotate")
    turns = each(Rotate(SHAPE, degrees=d) for d in range(7))
    assert turns.describe() == (
        "each(rotate(degrees=0), rotate(degrees=1), rotate(degrees=2), rotate(degrees=3), "
        "… (7 in all))"
    )
    mixed = each([Identity(SHAPE), Flip(SHAPE)])
    assert mixed.describe() == "each(identity, flip)" and mixed.names() == ("each",)
    curved = each(JPEG((1, 8, 8), quality=quality) for quality in (30, 30, 60))
    assert curved.describe() == "each(2 of jpeg(quality=30), jpeg(quality=60))"


def test_what_another_package_made_goes_by_its_package_and_class() -> None:
    wrapped = Wrapped(nn.ReLU())
    assert wrapped.describe() == "torch.ReLU" and wrapped.names() == ("ReLU",)
    assert wrapped.spec() == {
        "type": "external",
        "class": "torch.nn.modules.activation.ReLU",
        "image_shape": [3, 8, 8],
    }
