"""Planes of numbers: what is carried as text comes back to the last bit."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from invprob.arrays import carry, read_plane
from invprob.errors import ArgumentError

SHAPES = arrays.array_shapes(min_dims=2, max_dims=2, max_side=9)
FINITE = st.floats(allow_nan=False, allow_infinity=False)


@settings(deadline=None, derandomize=True)
@given(arrays.arrays(np.float64, SHAPES, elements=FINITE))
def test_numbers_come_back_exactly(plane: np.ndarray) -> None:
    text = carry(plane)
    np.testing.assert_array_equal(read_plane("kernel", text), plane)
    assert carry(read_plane("kernel", text)) == text


@settings(deadline=None, derandomize=True)
@given(arrays.arrays(np.bool_, SHAPES))
def test_zeros_and_ones_take_one_bit_each(plane: np.ndarray) -> None:
    text = carry(plane.astype(float))
    np.testing.assert_array_equal(read_plane("mask", text), plane)
    assert len(text.rpartition(":")[2]) == 4 * math.ceil(math.ceil(plane.size / 8) / 3)


def test_the_form_of_the_text() -> None:
    # A measurement file keeps this text: what it says today must be read for ever.
    assert carry(np.array([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]])) == "array:bits:2x3:pA=="
    assert carry(np.array([[0.5, -2.0]])) == "array:float64:1x2:AAAAAAAA4D8AAAAAAAAAwA=="


@pytest.mark.parametrize("text", ["array:bits:2x3:pA=", "array:bits:2x9:pA==", "array:bits:2x3:"])
def test_text_that_is_damaged(text: str) -> None:
    with pytest.raises(ArgumentError, match="mask carries a damaged array"):
        read_plane("mask", text)
