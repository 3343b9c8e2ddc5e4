"""JPEG against Pillow's encoder and decoder, and its parts against SciPy."""

import io
from typing import Any

import numpy as np
import PIL.Image
import pytest
import scipy.fft
import torch

from invprob.errors import ArgumentError
from invprob.operators import JPEG
from invprob.operators.jpeg import cosine_matrix, half_away, scaled_tables, smooth_round
from invprob.testing import check_operator

SUBSAMPLINGS = ["4:4:4", "4:2:2", "4:2:0"]


def _photograph(height: int, width: int, channels: int) -> np.ndarray:
    """Something like a photograph: smooth shading, an edge, some texture; (H, W, C) bytes."""
    rng = np.random.default_rng(4)
    y, x = np.mgrid[:height, :width] / 40
    layers = []
    for c in range(channels):
        shade = 0.5 + 0.3 * np.sin(1.3 * x + 0.7 * y + c) + 0.2 * np.cos(2.1 * y - 0.4 * x * c)
        shade += 0.25 * ((x - 1.5) ** 2 + (y - 1.2) ** 2 < 0.5) - 0.1 * c * (x > 2)
        layers.append(shade + 0.03 * rng.normal(size=shade.shape))
    return (np.stack(layers, 2).clip(0, 1) * 255).round().astype(np.uint8)


def _by_pillow(levels: np.ndarray, quality: int, subsampling: str) -> np.ndarray:
    file = io.BytesIO()
    image = PIL.Image.fromarray(levels.squeeze())
    if levels.shape[2] == 3:
        image.save(file, "JPEG", quality=quality, subsampling=subsampling)
    else:
        image.save(file, "JPEG", quality=quality)
    return np.asarray(PIL.Image.open(file)).reshape(levels.shape).astype(float)


def _images(levels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(levels).permute(2, 0, 1)[None].double() / 127.5 - 1


def _levels(images: torch.Tensor) -> np.ndarray:
    return ((images[0] + 1) * 127.5).permute(1, 2, 0).numpy()


@pytest.mark.parametrize("size", [(96, 112), (75, 101), (76, 99)], ids=str)
@pytest.mark.parametrize("subsampling", SUBSAMPLINGS)
@pytest.mark.parametrize("quality", [5, 30, 50, 75, 95, 100])
def test_colour_agrees_with_pillow(size: tuple[int, int], quality: int, subsampling: str) -> None:
    levels = _photograph(*size, 3)
    operator = JPEG((3, *size), quality=quality, subsampling=subsampling)  # type: ignore[arg-type]
    ours, theirs = _levels(operator(_images(levels))), _by_pillow(levels, quality, subsampling)
    error = abs(ours - theirs)
    assert error.mean() < 0.4
    assert (error > 1.5).mean() < 0.1
    assert error[-16:].mean() < 0.6  # the last blocks, filled up beyond the image
    assert error[:, -16:].mean() < 0.6
    assert error.mean() < 0.35 * abs(theirs - levels).mean()  # it is not just "nearly the image"


@pytest.mark.parametrize("quality", [5, 30, 50, 75, 95, 100])
def test_grey_agrees_with_pillow(quality: int) -> None:
    levels = _photograph(75, 101, 1)
    ours = _levels(JPEG((1, 75, 101), quality=quality)(_images(levels)))
    error = abs(ours - _by_pillow(levels, quality, "4:4:4"))
    assert error.mean() < 0.15
    assert (error > 1.5).mean() < 0.03


def test_precision_hardly_matters() -> None:
    levels = _photograph(48, 64, 3)
    operator, x = JPEG((3, 48, 64), quality=40), _images(levels)
    assert abs(_levels(operator(x.float())) - _levels(operator(x))).mean() < 0.01


def test_the_result_is_bytes() -> None:
    levels = _levels(JPEG((3, 40, 24), quality=20)(1.5 * _images(_photograph(40, 24, 3))))
    np.testing.assert_allclose(levels, levels.round(), atol=1e-9)
    assert (levels.min() >= -1e-9, levels.max() <= 255 + 1e-9) == (True, True)


def test_the_tables_are_pillows() -> None:
    for quality in (1, 10, 49, 50, 51, 90, 100):
        file = io.BytesIO()
        PIL.Image.new("RGB", (8, 8)).save(file, "JPEG", quality=quality)
        with PIL.Image.open(file) as image:
            tables = image.quantization  # type: ignore[attr-defined]
        expected = [np.reshape(tables[k], (8, 8)) for k in (0, 1)]
        np.testing.assert_array_equal(scaled_tables(quality), expected)


def test_the_cosine_transform_is_scipys() -> None:
    blocks = np.random.default_rng(1).normal(size=(8, 8))
    matrix = cosine_matrix().numpy()
    expected: Any = scipy.fft.dctn(blocks, norm="ortho")  # annotated as a tuple in SciPy
    np.testing.assert_allclose(matrix @ blocks @ matrix.T, expected)


def test_roundings() -> None:
    values = torch.tensor([-2.5, -0.5, -0.4, 0.5, 1.4, 2.5], dtype=torch.float64)
    assert half_away(values).tolist() == [-3, -1, 0, 1, 1, 3]
    x = torch.linspace(-2, 2, 101, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(smooth_round(x).sum(), x)
    np.testing.assert_allclose(gradient, 3 * (x - x.round()).detach() ** 2, atol=1e-12)
    assert float((smooth_round(x) - x.round()).detach().abs().max()) <= 0.125


def test_the_surrogate_is_near_and_can_be_climbed_down() -> None:
    """A few gradient steps bring a flat image's file nearer to that of a photograph."""
    x = _images(_photograph(32, 40, 3))
    operator = JPEG((3, 32, 40), quality=50)
    y = operator(x)
    assert float((operator.surrogate(x) - y).abs().mean()) < 0.5 * float((x - y).abs().mean())
    image = torch.zeros_like(x, requires_grad=True)
    start = float((operator(image) - y).detach().square().mean())
    for _ in range(60):
        loss = (operator.surrogate(image) - y).square().sum()
        (gradient,) = torch.autograd.grad(loss, image)
        image = (image - 0.1 * gradient).detach().requires_grad_()
    assert float((operator(image) - y).detach().square().mean()) < 0.2 * start


@pytest.mark.parametrize("subsampling", SUBSAMPLINGS)
@pytest.mark.parametrize("shape", [(3, 19, 17), (1, 16, 8), (3, 1, 1), (3, 9, 17)], ids=str)
def test_the_contract_at_other_shapes(shape: tuple[int, ...], subsampling: str) -> None:
    check_operator(JPEG(shape, quality=30, subsampling=subsampling))  # type: ignore[arg-type]


def test_bad_options_are_named() -> None:
    for quality in (0, 101, -5):
        with pytest.raises(ArgumentError, match="quality must be from 1 to 100"):
            JPEG((3, 8, 8), quality=quality)
    with pytest.raises(ArgumentError, match="jpeg needs images of 1 or 3 channels"):
        JPEG((2, 8, 8))
    with pytest.raises(ArgumentError, match="subsampling must be one of"):
        JPEG((3, 8, 8), subsampling="4:1:1")  # type: ignore[arg-type]
