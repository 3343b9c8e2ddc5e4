"""Colour mixing against NumPy."""

import math

import numpy as np
import pytest
import torch

from invprob.errors import ArgumentError
from invprob.operators import ChannelMix, Luminance, Operator
from invprob.testing import check_operator, dense


def _images(shape: tuple[int, ...]) -> torch.Tensor:
    rng = torch.Generator().manual_seed(5)
    return 2 * torch.rand(2, *shape, generator=rng, dtype=torch.float64) - 1


@pytest.mark.parametrize(("rows", "channels"), [(3, 3), (1, 3), (5, 2), (2, 7)])
def test_mixing_is_a_matrix_product_in_each_pixel(rows: int, channels: int) -> None:
    matrix = np.random.default_rng(3).normal(size=(rows, channels))
    operator = ChannelMix((channels, 5, 4), matrix=matrix.tolist())
    x = _images((channels, 5, 4))
    assert operator.measurement_shape == (rows, 5, 4)
    np.testing.assert_allclose(
        operator(x), np.moveaxis(matrix @ np.moveaxis(x.numpy(), 1, 2), 2, 1)
    )
    np.testing.assert_allclose(dense(operator), np.kron(matrix, np.eye(20)), atol=1e-15)
    check_operator(operator)


def test_luminance_is_one_of_them() -> None:
    x = _images((3, 6, 5))
    mixed = ChannelMix((3, 6, 5), matrix="0.299 0.587 0.114")(x)
    np.testing.assert_allclose(mixed, Luminance((3, 6, 5))(x), atol=1e-15)


def test_words_and_lists_are_the_same_matrix() -> None:
    x = _images((3, 4, 4))
    swapped = ChannelMix((3, 4, 4), matrix=" 0 0 1;0 1 0; 1 0 0 ")(x)
    assert torch.equal(swapped, x.flip(1))
    assert torch.equal(ChannelMix((3, 4, 4), matrix=[[0, 0, 1], [0, 1, 0], [1, 0, 0]])(x), swapped)


def test_it_comes_back_from_its_spec() -> None:
    operator = ChannelMix((3, 4, 4), matrix=((0.1, 0.2, 0.3),))
    again = Operator.from_spec(operator.spec())
    assert again.spec()["matrix"] == [[0.1, 0.2, 0.3]]
    assert again.fingerprint() == operator.fingerprint()


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ("1 0; 0 1", "matrix must have 3 numbers in each row"),
        ("1 0 0; 0 1", "matrix must have rows of equal length"),
        ("", "matrix must hold at least one number"),
        ("1 0 0;", "matrix must hold at least one number"),
        ("1 0 x", "matrix must hold finite numbers only, got 'x'"),
        ([[1.0, 0.0, math.nan]], "matrix must hold finite numbers only, got nan"),
        ([[1.0, 0.0, math.inf]], "matrix must hold finite numbers only, got inf"),
        ([["1", None, 0]], "matrix must hold finite numbers only, got None"),
        (7, "matrix must be a word"),
    ],
)
def test_bad_matrices_are_named(matrix: object, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        ChannelMix((3, 8, 8), matrix=matrix)  # type: ignore[arg-type]
