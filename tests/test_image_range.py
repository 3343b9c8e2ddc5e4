"""Numbers in other units are doubted, and those of images in [-1, 1] never."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import invprob
from invprob.errors import MeasurementWarning
from invprob.image_range import doubt_images, doubt_measurements, doubt_noise
from invprob.measurements import Measurements, measure
from invprob.operators import (
    GaussianBlur,
    GaussianNoise,
    Identity,
    PartialCirculant,
    PoissonNoise,
    RandomMask,
    SubsampledDCT,
    each,
)
from invprob.registry import register
from invprob.run.samples import load_sample
from invprob.testing import dense

SHAPE = (3, 32, 32)
# What cannot leave the range, whatever comes in.
BOUNDED = ("beer-lambert", "clip", "jpeg", "quantise", "saturate")


def face(size: int = 32) -> Tensor:
    return load_sample("face", size=size)


def images(shape: tuple[int, ...]) -> list[Tensor]:
    """White, black, a ramp, noise of full contrast, and noise around grey."""
    rng = torch.Generator().manual_seed(0)
    noise = torch.rand(1, *shape, generator=rng) * 2 - 1
    ramp = torch.linspace(-1, 1, shape[-1]).expand(1, *shape)
    return [torch.ones(1, *shape), -torch.ones(1, *shape), ramp, noise.sign(), noise, 0.01 * noise]


@pytest.mark.parametrize("name", register.operator)
def test_measurements_of_images_in_the_range_are_not_doubted(name: str) -> None:
    operator = register.operator[name].example()
    rng = torch.Generator().manual_seed(1)
    for image in images(operator.image_shape):
        values = operator(image)
        assert doubt_images(image) is None
        assert doubt_measurements(values, operator) is None
        level = float(values.square().mean().sqrt())
        noisy = values + level * torch.randn(values.shape, generator=rng)  # 0 dB, and not named
        assert doubt_measurements(noisy, operator) is None


@pytest.mark.parametrize("name", register.operator)
def test_measurements_of_pixels_in_eight_bits_are_doubted(name: str) -> None:
    operator = register.operator[name].example()
    rng = torch.Generator().manual_seed(2)
    pixels = torch.randint(0, 256, (1, *operator.image_shape), generator=rng).float()
    doubt = doubt_measurements(operator(pixels), operator)
    assert (doubt is None) == (name in BOUNDED)
    assert doubt is None or ("units" in doubt and len(doubt.splitlines()) == 1)


def test_the_factor_is_that_of_the_nearest_image() -> None:
    """Against a linear program: the least t for which some image in t · [-1, 1] gives y."""
    from scipy.optimize import linprog

    operator = PartialCirculant((1, 4, 4), ratio=0.5, seed=3)
    matrix = dense(operator)
    y = operator(50 * torch.ones(1, 1, 4, 4) + 20 * images((1, 4, 4))[3])
    bounds = [(None, None)] * 16 + [(0, None)]
    box = np.hstack([np.vstack([np.eye(16), -np.eye(16)]), -np.ones((32, 1))])
    least = linprog(
        np.eye(17)[16],
        A_ub=box,
        b_ub=np.zeros(32),
        A_eq=np.hstack([matrix, np.zeros((8, 1))]),
        b_eq=y[0].double().numpy(),
        bounds=bounds,
    ).fun
    doubt = doubt_measurements(y, operator)
    assert doubt is not None
    said = float(doubt.split()[3])
    assert 1 < said <= 1.001 * least < 70.1  # never more than is true


def test_what_is_to_be_written_is_right() -> None:
    operator = PartialCirculant(SHAPE, ratio=0.3)
    elsewhere = operator((face() + 1) * 127.5)
    mended = elsewhere / 127.5 - operator(torch.ones(1, *SHAPE))
    torch.testing.assert_close(mended, operator(face()), atol=1e-5, rtol=1e-5)
    assert doubt_measurements(mended, operator) is None


def test_a_warning_comes_where_measurements_come_in(tmp_path: Path) -> None:
    operator = PartialCirculant(SHAPE, ratio=0.3)
    elsewhere = operator((face() + 1) * 127.5)
    with pytest.warns(MeasurementWarning, match=r"times as large.*range \[-1, 1\].*units") as told:
        made = Measurements.from_array(elsewhere, operator)
    assert [one.filename for one in told] == [__file__]  # the caller's line, not the package's
    made.save(tmp_path / "y.safetensors")
    with pytest.warns(MeasurementWarning, match="y.safetensors.*times as large"):
        Measurements.load(tmp_path / "y.safetensors")
    with pytest.warns(MeasurementWarning, match="reach from .* to 2.*/ 127.5 - 1"):
        measure((face() + 1) * 127.5, operator)


def test_one_image_of_a_batch_in_other_units_is_enough() -> None:
    operator = each([RandomMask(SHAPE, ratio=0.5, seed=seed) for seed in range(3)])
    batch = face().expand(3, *SHAPE).clone()
    assert doubt_measurements(operator(batch), operator) is None
    batch[1] = (batch[1] + 1) * 127.5
    assert doubt_measurements(operator(batch), operator) is not None


@pytest.mark.parametrize("level", [15.0, 24.0, 25.0])
def test_a_noise_level_in_other_units_is_doubted(level: float) -> None:
    """24 decibels below the image, or 25 of 255, where a standard deviation is due."""
    noise, operator = GaussianNoise(sigma=level), PartialCirculant(SHAPE, ratio=0.3)
    with pytest.warns(MeasurementWarning, match=r"sigma=.* times as large.*decibels"):
        measure(face(), operator, noise)
    with pytest.warns(MeasurementWarning, match="noise"):
        Measurements.from_array(operator(face()), operator, noise=noise)
    with pytest.raises(invprob.InvprobError, match=r"got '24 dB' \(sigma: standard deviation, in"):
        GaussianNoise(sigma="24 dB")  # type: ignore[arg-type]


def test_heavy_noise_is_not_doubted() -> None:
    flat = torch.zeros(1, *SHAPE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for noise in (GaussianNoise(sigma=1.0), PoissonNoise(photons=2.0)):
            for operator in (Identity(SHAPE), GaussianBlur(SHAPE, sigma=2.0)):
                for image in (flat, face(), 0.99 * torch.ones(1, *SHAPE)):
                    made = measure(image.clamp(-0.99), operator, noise)
                    Measurements.from_array(made.values, operator)
                    Measurements.from_array(made.values, operator, noise=noise)
        few = SubsampledDCT(SHAPE, ratio=0.01)
        assert doubt_noise(GaussianNoise(sigma=0.5), few(flat), few) is None


def test_what_is_not_observed_is_not_looked_at() -> None:
    operator = RandomMask(SHAPE, ratio=0.01)
    values = operator(face())
    values[..., ~operator.seen] = 100.0
    assert doubt_measurements(values, operator) is None
    assert doubt_noise(GaussianNoise(sigma=1.0), operator(face()), operator) is None
    assert doubt_noise(GaussianNoise(sigma=9.0), operator(face()), operator) is not None
