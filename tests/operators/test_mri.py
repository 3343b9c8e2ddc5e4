"""Undersampled Fourier measurements against NumPy's transforms and dense pseudo-inverses."""

import numpy as np
import pytest
import torch

from invprob.errors import ArgumentError
from invprob.operators import MRI, MulticoilMRI, Operator
from invprob.testing import check_operator, dense

SHAPES = [(3, 8, 8), (1, 7, 9), (2, 5, 6), (3, 6, 5), (1, 1, 4)]


def _images(shape: tuple[int, ...]) -> torch.Tensor:
    rng = torch.Generator().manual_seed(5)
    return 2 * torch.rand(2, *shape, generator=rng, dtype=torch.float64) - 1


def _centred(images: np.ndarray) -> np.ndarray:
    """The centred orthonormal transform of the last two axes, as NumPy users write it."""
    moved = np.fft.ifftshift(images, axes=(-2, -1))
    return np.fft.fftshift(np.fft.fft2(moved, norm="ortho"), axes=(-2, -1))


def _complex(measured: torch.Tensor) -> np.ndarray:
    values = measured.numpy()
    return values[..., 0] + 1j * values[..., 1]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("acceleration", [1.0, 2.0])
def test_one_coil_keeps_columns_of_numpys_transform(
    shape: tuple[int, ...], acceleration: float
) -> None:
    operator = MRI(shape, acceleration=acceleration, centre_fraction=0.2, seed=3)
    x = _images(shape)
    expected = _centred(x.numpy())[..., operator.lines.numpy()]
    np.testing.assert_allclose(_complex(operator(x)), expected, atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_several_coils_keep_columns_of_their_own_images(shape: tuple[int, ...]) -> None:
    operator = MulticoilMRI(shape, coils=3, acceleration=2.0, centre_fraction=0.2, seed=3)
    x = _images(shape)
    weights = _complex(operator.sensitivities)[:, None]
    expected = _centred(weights * x.numpy()[:, None])[..., operator.lines.numpy()]
    np.testing.assert_allclose(_complex(operator(x)), expected, atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("seed", range(4))
def test_the_closed_forms_agree_with_the_dense_matrix(shape: tuple[int, ...], seed: int) -> None:
    operator = MRI(shape, acceleration=2.0, centre_fraction=0.0, seed=seed)
    matrix = dense(operator).numpy()
    y = torch.randn(2, *operator.measurement_shape, dtype=torch.float64)
    reference = y.flatten(1).numpy() @ np.linalg.pinv(matrix, rcond=1e-10).T
    np.testing.assert_allclose(operator.pinv(y).flatten(1), reference, atol=1e-10)
    assert operator.norm() == pytest.approx(np.linalg.norm(matrix, 2), rel=1e-9)


def test_a_line_without_its_mirror_image_lowers_the_norm() -> None:
    one = [MRI((1, 4, 9), acceleration=9.0, centre_fraction=0, seed=seed) for seed in range(40)]
    for operator in one:
        middle = operator.lines.tolist() == [4]
        assert operator.norm() == pytest.approx(1.0 if middle else 0.5**0.5)
    assert {operator.norm() for operator in one} >= {1.0}


def test_all_columns_give_the_image_back() -> None:
    x = _images((3, 9, 10))
    operator = MRI((3, 9, 10), acceleration=1.0)
    np.testing.assert_allclose(operator.pinv(operator(x)), x, atol=1e-12)
    np.testing.assert_allclose(operator.adjoint(operator(x)), x, atol=1e-12)


@pytest.mark.parametrize("width", [8, 9, 31, 320])
@pytest.mark.parametrize("acceleration", [1.0, 2.0, 4.0])
def test_the_mask_has_the_stated_lines(width: int, acceleration: float) -> None:
    operator = MRI((1, 2, width), acceleration=acceleration, centre_fraction=0.1, seed=7)
    lines = operator.lines.tolist()
    assert lines == sorted(set(lines))
    assert 0 <= lines[0] <= lines[-1] < width
    assert len(lines) == round(width / acceleration)
    middle = round(0.1 * width)
    around = range(width // 2 - middle // 2, width // 2 - middle // 2 + middle)
    assert set(around) <= set(lines)
    assert middle == 0 or width // 2 in around


def test_seeds_draw_different_lines() -> None:
    drawn = {tuple(MRI((1, 2, 64), seed=seed).lines.tolist()) for seed in range(5)}
    assert len(drawn) == 5


@pytest.mark.parametrize("shape", [(1, 64, 32), (3, 37, 31)], ids=str)
def test_sensitivities_are_normalised_and_smooth(shape: tuple[int, ...]) -> None:
    maps = _complex(MulticoilMRI(shape, coils=6).sensitivities)
    np.testing.assert_allclose((abs(maps) ** 2).sum(0), 1, atol=1e-14)
    assert abs(np.diff(maps, axis=1)).max() < 0.2
    assert abs(np.diff(maps, axis=2)).max() < 0.2
    # Coil s stands at angle 2πs/6 from the right: coil 0 is strongest at the right edge.
    assert abs(maps[0]).argmax() % shape[2] == shape[2] - 1
    assert abs(maps[3]).argmax() % shape[2] == 0


def test_fully_sampled_coils_give_the_image_back() -> None:
    x = _images((2, 6, 7))
    operator = MulticoilMRI((2, 6, 7), coils=4, acceleration=1.0)
    np.testing.assert_allclose(operator.adjoint(operator(x)), x, atol=1e-12)


@pytest.mark.parametrize(
    "operator",
    [
        MRI((3, 19, 17), acceleration=3.0),
        MRI((1, 16, 8), acceleration=1.0),
        MRI((1, 5, 1), acceleration=1.0),
        MulticoilMRI((3, 19, 17), coils=2),
        MulticoilMRI((1, 16, 8), coils=1, acceleration=8.0, centre_fraction=0.0),
    ],
    ids=repr,
)
def test_the_contract_at_other_shapes(operator: Operator) -> None:
    check_operator(operator)


def test_no_digits_are_kept_that_other_machines_compute_otherwise() -> None:
    operator = MulticoilMRI((1, 8, 8), coils=4)
    for buffer in (operator.phases, operator.sensitivities, MRI((1, 8, 6)).phases):
        assert not bool(((buffer != 0) & (buffer.abs() < 1e-13)).any())


def test_casting_loses_nothing() -> None:
    x = _images((1, 9, 7))
    for build in (MRI, MulticoilMRI):
        assert torch.equal(build((1, 9, 7)).float().double()(x), build((1, 9, 7))(x))


def test_half_precision_is_kept() -> None:
    operator = MRI((1, 8, 8), acceleration=2.0).half()
    x = _images((1, 8, 8))
    y = operator(x.half())
    assert y.dtype == torch.float16
    np.testing.assert_allclose(y, MRI((1, 8, 8), acceleration=2.0)(x), atol=5e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"acceleration": 0.5}, "acceleration must be at least 1"),
        ({"acceleration": float("nan")}, "acceleration must be a finite number"),
        ({"acceleration": 100.0}, "leaves none of 8 columns"),
        ({"centre_fraction": -0.1}, "centre_fraction must be from 0 to 1"),
        ({"centre_fraction": 1.5}, "centre_fraction must be from 0 to 1"),
        ({"centre_fraction": 0.9}, "lower one of them"),
        ({"seed": -1}, "seed must be a whole number"),
    ],
)
def test_bad_options_are_named(options: dict[str, float], message: str) -> None:
    for build in (MRI, MulticoilMRI):
        with pytest.raises(ArgumentError, match=message):
            build((1, 8, 8), **options)  # type: ignore[arg-type]


def test_coils_and_axes_are_counted() -> None:
    with pytest.raises(ArgumentError, match="coils must be at least 1, got 0"):
        MulticoilMRI((1, 8, 8), coils=0)
    with pytest.raises(ArgumentError, match="channels, height, width"):
        MRI((8, 8))
