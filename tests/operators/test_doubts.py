"""Measurements that look wrong are warned of: a sinogram whose axes are exchanged."""

import warnings

import numpy as np
import pytest
import torch

from invprob import Measurements
from invprob.errors import MeasurementWarning
from invprob.operators import CT, Identity, Luminance, Operator, each, stack
from invprob.run.samples import load_sample

SIZE = 40


def _angles(kind: str, count: int) -> list[float]:
    drawn = np.random.default_rng(0).random(count)
    degrees = {
        "even": np.arange(count) * 180 / count,
        "full turn": np.arange(count) * 360 / count,
        "a third": np.linspace(0, 60, count),
        "drawn": np.sort(drawn) * 180,
    }
    return [float(angle) for angle in degrees[kind]]


def _images() -> dict[str, torch.Tensor]:
    samples = {name: load_sample(name, size=SIZE) for name in ("cat", "retina")}
    y, x = torch.meshgrid(*[torch.arange(SIZE, dtype=torch.float32)] * 2, indexing="ij")
    blob = torch.exp(-((x - 12) ** 2 + (y - 25) ** 2) / 20)[None, None]
    rng = torch.Generator(device="cpu").manual_seed(0)
    noise = torch.rand(1, 1, SIZE, SIZE, generator=rng)
    return {**samples, "blob": 2 * blob - 1, "noise": noise}


def _doubted(values: torch.Tensor, operator: Operator) -> bool:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        Measurements.from_array(values, operator)
    assert all(one.category is MeasurementWarning for one in said)
    assert all(one.filename == __file__ for one in said)
    return bool(said)


@pytest.mark.parametrize("angles", ["even", "full turn", "a third", "drawn"])
@pytest.mark.parametrize("cells", [SIZE, 57])
def test_a_transposed_square_sinogram_is_doubted_and_the_right_one_is_not(
    angles: str, cells: int
) -> None:
    for name, image in _images().items():
        shape = (image.shape[1], SIZE, SIZE)
        operator = CT(shape, degrees=_angles(angles, cells), detectors=cells)
        values = operator(image)
        assert not _doubted(values, operator), name
        assert _doubted(values.mT.contiguous(), operator), name


@pytest.mark.parametrize("axis", [0.5, -15.0])
def test_neither_noise_nor_the_place_of_the_axis_raises_doubts(axis: float) -> None:
    rng = torch.Generator(device="cpu").manual_seed(1)
    operator = CT((3, SIZE, SIZE), views=SIZE, detectors=SIZE, axis=axis)
    values = operator(load_sample("cat", size=SIZE))
    for strength in (0.1, 0.5, 3.0):
        noise = strength * values.std() * torch.randn(values.shape, generator=rng)
        assert not _doubted(values + noise, operator)
    assert _doubted((values + 0.1 * noise / 3).mT, operator)


def test_what_holds_no_information_is_not_doubted() -> None:
    operator = CT((1, 8, 8), views=12)
    assert operator.measurement_shape == (1, 12, 12)
    assert not _doubted(torch.zeros(operator.measurement_shape), operator)
    rng = torch.Generator(device="cpu").manual_seed(2)
    for _ in range(20):
        assert not _doubted(torch.randn(operator.measurement_shape, generator=rng), operator)
    tiny = CT((1, 1, 1), views=2)
    assert not _doubted(torch.ones(tiny.measurement_shape), tiny)


def test_structures_pass_the_doubts_of_their_parts_on() -> None:
    image = load_sample("face", size=SIZE)
    ct = CT((1, SIZE, SIZE), views=SIZE, detectors=SIZE)
    chain = ct @ Luminance((3, SIZE, SIZE))
    right, wrong = chain(image), chain(image).mT
    assert not _doubted(right, chain)
    assert _doubted(wrong, chain)
    both = stack([Identity((3, SIZE, SIZE)), chain])
    assert not _doubted(both(image), both)
    assert _doubted(torch.cat([image.flatten(1), wrong.flatten(1)], 1), both)
    pair = each([chain, chain])
    assert not _doubted(torch.cat([right, right]), pair)
    assert _doubted(torch.cat([right, wrong]), pair)


def test_the_message_says_what_to_do() -> None:
    operator = CT((3, SIZE, SIZE), views=SIZE, detectors=SIZE)
    values = operator(load_sample("cat", size=SIZE)).numpy()[0]
    with pytest.warns(MeasurementWarning, match=r"looks transposed.*values\.swapaxes\(-1, -2\)"):
        Measurements.from_array(values.swapaxes(-1, -2), operator)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Measurements.from_array(values, operator)
