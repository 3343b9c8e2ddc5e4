"""Measurements that are no images, as pictures of their numbers."""

import math

import numpy as np
import pytest
import torch

from invprob.measurements import measure
from invprob.operators import GaussianNoise, Identity, PhaseRetrieval, RandomMask
from invprob.perceptual.distance import Absent
from invprob.run.measured_view import picture_of_numbers
from invprob.run.results import panels
from invprob.run.score import Grading, score, view


def test_lines_of_k_space_are_magnitudes_on_a_logarithmic_scale() -> None:
    image = np.random.default_rng(0).random((3, 32, 32))
    lines = np.fft.fftshift(np.fft.fft2(image), axes=(1, 2))
    values = torch.view_as_real(torch.from_numpy(lines))
    title, shown = picture_of_numbers(values)
    assert title == "measurement y: magnitudes, means of the channels, logarithmic"
    assert shown.shape == (1, 32, 32) and shown.dtype == torch.float32
    magnitudes = np.abs(lines).mean(0)
    median = np.sort(magnitudes.flatten())[(magnitudes.size - 1) // 2]
    expected = np.log1p(magnitudes / median)
    assert shown[0].numpy() == pytest.approx(2 * expected / expected.max() - 1, abs=1e-5)


def test_random_sums_are_laid_out_row_by_row_about_grey() -> None:
    values = torch.tensor([-2.0, 1.0, 0.5, 0.0, 2.0, -1.0, 1.5])
    title, shown = picture_of_numbers(values)
    assert title == "measurement y: numbers row by row, from -2 to 2"
    assert shown.flatten().tolist() == [*(values / 2).tolist(), 0.0, 0.0]


@pytest.mark.parametrize("shape", [(1,), (3, 2), (0,), (2, 3, 2), (5, 7)])
def test_every_measurement_becomes_a_picture(shape: tuple[int, ...]) -> None:
    for values in (torch.zeros(shape), torch.full(shape, math.nan), torch.ones(shape)):
        _, shown = picture_of_numbers(values)
        assert shown.ndim == 3 and shown.numel() > 0
        assert shown.isfinite().all() and shown.abs().max() <= 1


def test_powers_of_frequencies_are_drawn_by_their_logarithms() -> None:
    image = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    operator = PhaseRetrieval((3, 16, 16))
    shown = panels(view(measure(image, operator), operator, None), Grading((False,)))
    assert list(shown) == ["measurement y, logarithmic"]
    assert shown["measurement y, logarithmic"].std() > 0.1


def test_the_misfit_of_the_noise_is_about_that_of_the_true_image() -> None:
    image = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    for operator in (Identity((3, 64, 64)), RandomMask((3, 64, 64), ratio=0.3)):
        taken = measure(image, operator, GaussianNoise(sigma=0.1))
        views, grading = view(taken, operator, None), Grading((False, False))
        rows = score(image, image, views, taken, operator, Absent("none"), grading)
        for row in rows:
            assert row["data_misfit"] == pytest.approx(row["noise_misfit"], rel=0.05)
        (row, _) = score(
            image, image, views, measure(image, operator), operator, Absent("none"), grading
        )
        assert row["noise_misfit"] is None
