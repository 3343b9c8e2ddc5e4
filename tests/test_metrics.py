"""Metrics against closed formulas, NumPy and scikit-image."""

from typing import Any

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity
from torch import Tensor

import invprob.metrics
from invprob.errors import ShapeError
from invprob.metrics import Metric, mse, psnr, ssim
from invprob.registry import register


def pair(height: int = 40, width: int = 33, channels: int = 3) -> tuple[Tensor, Tensor]:
    """Draw two smooth images that resemble each other; a few values lie outside [-1, 1]."""
    rng = torch.Generator().manual_seed(5)
    rough = torch.randn(2, channels, height, width, generator=rng)
    truth = torch.nn.functional.avg_pool2d(rough, 5, 1, 2) * 3
    return truth + 0.2 * torch.randn(truth.shape, generator=rng), truth


def clipped(image: Tensor) -> np.ndarray:
    return image.double().clamp(-1, 1).numpy()


def test_psnr_of_a_constant_error() -> None:
    truth = torch.zeros(2, 3, 8, 8)
    image = torch.stack((truth[0] + 0.2, truth[1] - 0.02))
    assert psnr(image, truth).tolist() == pytest.approx([20.0, 40.0], abs=1e-5)
    assert mse(image, truth).tolist() == pytest.approx([0.04, 0.0004], rel=1e-6)


def test_psnr_agrees_with_numpy() -> None:
    image, truth = pair()
    errors = ((clipped(image) - clipped(truth)) ** 2).mean((1, 2, 3))
    assert psnr(image, truth).tolist() == pytest.approx((10 * np.log10(4 / errors)).tolist())


def test_values_outside_the_range_count_as_its_ends() -> None:
    assert psnr(torch.full((1, 3, 16, 16), 7.0), torch.ones(1, 3, 16, 16)).tolist() == [np.inf]


def test_equal_images() -> None:
    image, _ = pair()
    assert psnr(image, image).tolist() == [np.inf, np.inf]
    assert ssim(image, image).tolist() == pytest.approx([1.0, 1.0])
    assert mse(image, image).tolist() == [0.0, 0.0]


@pytest.mark.parametrize(("height", "width"), [(40, 33), (11, 11), (64, 12)])
def test_ssim_agrees_with_scikit_image(height: int, width: int) -> None:
    image, truth = pair(height, width)
    expected: list[Any] = [
        structural_similarity(
            one,
            other,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            channel_axis=0,
            data_range=1,
        )
        for one, other in zip((1 + clipped(image)) / 2, (1 + clipped(truth)) / 2, strict=True)
    ]
    assert 0.1 < float(expected[0]) < 0.95
    assert ssim(image, truth).tolist() == pytest.approx(expected, abs=1e-9)


def test_ssim_of_mid_grey_follows_the_formula_on_light_from_0_to_1() -> None:
    """Flat pictures have no structure: (2 a b + c) / (a² + b² + c) is left, with c = 0.01²."""
    grey = torch.ones(1, 3, 16, 16, dtype=torch.float64)
    for a, b in ((0.49, 0.51), (0.5, 0.9), (0.0, 1.0)):
        expected = (2 * a * b + 1e-4) / (a * a + b * b + 1e-4)
        found = float(ssim((2 * a - 1) * grey, (2 * b - 1) * grey))
        assert found == pytest.approx(expected, rel=1e-9)


def test_flat_images_do_not_lose_precision() -> None:
    rng = torch.Generator().manual_seed(1)
    truth = torch.full((1, 3, 20, 20), 0.9)
    image = truth + 1e-4 * torch.randn(truth.shape, generator=rng)
    assert float(ssim(image, truth)) == pytest.approx(1.0, abs=1e-5)


def test_shapes_must_agree() -> None:
    image, truth = pair()
    with pytest.raises(ShapeError, match=r"\(2, 3, 40, 33\) and \(1, 3, 40, 33\)"):
        psnr(image, truth[:1])
    with pytest.raises(ShapeError, match="11 pixels"):
        ssim(image[..., :10], truth[..., :10])


@pytest.mark.parametrize(
    ("name", "unit", "better"),
    [("psnr", "dB", "higher"), ("ssim", "", "higher"), ("mse", "", "lower")],
)
def test_registered_with_unit_and_direction(name: str, unit: str, better: str) -> None:
    metric = register.metric[name]
    assert isinstance(metric, Metric)
    assert metric is getattr(invprob.metrics, name)
    assert (metric.unit, metric.better) == (unit, better)
    assert metric.__doc__


def test_scores_are_taken_without_a_graph() -> None:
    image, truth = pair()
    assert not psnr(image.requires_grad_(), truth).requires_grad
