"""Transforms of long lines against NumPy's."""

import pickle

import numpy as np
import pytest
import torch

from invprob.operators.lines import Line

LENGTHS = [1, 2, 3, 4, 7, 12, 30, 105, 128, 3 * 2**8, 3 * 37 * 31]


def _lines(n: int) -> torch.Tensor:
    return torch.randn(2, n, generator=torch.Generator().manual_seed(4), dtype=torch.float64)


@pytest.mark.parametrize("n", LENGTHS)
def test_every_frequency_lies_where_it_is_said_to(n: int) -> None:
    line, x = Line(n), _lines(n)
    places, mirrored = line.places(torch.arange(n))
    found = line.spectrum(line.grid(x)).flatten(1)[:, places]
    found = torch.where(mirrored, found.conj(), found)
    np.testing.assert_allclose(found, np.fft.fft(x.numpy()), atol=1e-11)


@pytest.mark.parametrize("n", LENGTHS)
def test_the_inverse_gives_the_lines_back(n: int) -> None:
    line, x = Line(n), _lines(n)
    grid = line.inverse(line.spectrum(line.grid(x)))
    np.testing.assert_allclose(line.flat(grid), x, atol=1e-13)
    elements = line.elements(torch.arange(n))
    np.testing.assert_allclose(grid.flatten(1)[:, elements], x, atol=1e-13)


@pytest.mark.parametrize("n", LENGTHS)
def test_the_inverse_counts_each_place_as_often_as_it_says(n: int) -> None:
    line = Line(n)
    for k in range(min(n, 40)):
        place, _ = line.places(torch.tensor([k]))
        one = torch.zeros(1, line.columns * (line.rows // 2 + 1), dtype=torch.complex128)
        one[0, place] = n
        grid = line.inverse(one.view(1, line.columns, -1))
        shares = float(line.shares(torch.tensor([k]))[0])
        wave = shares * np.cos(2 * np.pi * k * np.arange(n) / n)
        np.testing.assert_allclose(line.flat(grid)[0], wave, atol=1e-10)


def test_copies_compute_their_own_factors() -> None:
    line, x = Line(12), _lines(12)
    expected = line.spectrum(line.grid(x))
    copy = pickle.loads(pickle.dumps(line))
    assert not copy._turns
    assert torch.equal(copy.spectrum(copy.grid(x)), expected)
