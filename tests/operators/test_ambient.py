"""Operators and noise are the same whatever a caller has set for all of PyTorch."""

from collections.abc import Iterator

import pytest
import torch
from ambient import AMBIENT
from torch import Tensor

from invprob.operators import LinearOperator, Noise, Operator, hold_out, stack
from invprob.operators.units import depends
from invprob.registry import register


def _results(operator: Operator) -> Iterator[Tensor]:
    """What an operator makes of images, in float32 and on the CPU."""
    rng = torch.Generator("cpu").manual_seed(0)
    shape = (2, *operator.image_shape)
    image = torch.rand(shape, generator=rng, dtype=torch.float32, device="cpu") * 1.8 - 0.9
    measured = operator(image)
    yield measured
    yield operator.surrogate(image)
    if isinstance(operator, LinearOperator):
        yield operator.adjoint(measured)
        yield operator.pinv(measured, iterations=5)
        yield torch.tensor(operator.norm(iterations=3), dtype=torch.float64, device="cpu")
    yield depends(operator)
    units = operator.units()
    if units is not None:
        yield units


def _assert_same(found: Iterator[Tensor], expected: list[Tensor]) -> None:
    results = list(found)
    assert len(results) == len(expected)
    for one, other in zip(results, expected, strict=True):
        assert one.dtype == other.dtype and one.device == other.device
        assert torch.equal(one, other)


@pytest.mark.parametrize("setting", AMBIENT)
@pytest.mark.parametrize("name", register.operator)
def test_operators_are_built_and_applied_alike(name: str, setting: str) -> None:
    plain = register.operator[name].example()
    expected = list(_results(plain))
    with AMBIENT[setting]():
        built = register.operator[name].example()
        _assert_same(_results(built), expected)
        assert built.fingerprint() == plain.fingerprint()
    buffers = dict(plain.named_buffers())
    assert {key: value.dtype for key, value in built.named_buffers()} == {
        key: value.dtype for key, value in buffers.items()
    }
    assert all(torch.equal(value, buffers[key]) for key, value in built.named_buffers())
    # What was kept for later calls serves gradients.
    image = torch.zeros(1, *built.image_shape, requires_grad=True)
    built.surrogate(image).sum().backward()
    if isinstance(built, LinearOperator):
        measurement = torch.zeros(1, *built.measurement_shape, requires_grad=True)
        built.adjoint(measurement).sum().backward()


@pytest.mark.parametrize("setting", AMBIENT)
def test_parts_that_are_left_out_are_the_same(setting: str) -> None:
    def built() -> Operator:
        names = ("ct", "random-mask")
        return stack([hold_out(register.operator[name].example(), 0.2, 3) for name in names])

    expected = list(_results(built()))
    with AMBIENT[setting]():
        _assert_same(_results(built()), expected)


NOISES: dict[str, dict[str, float]] = {
    "gaussian": {"sigma": 0.1},
    "uniform": {"width": 0.1},
    "speckle": {"sigma": 0.1},
    "poisson": {"photons": 20.0},
    "salt-and-pepper": {"share": 0.2},
}


@pytest.mark.parametrize("setting", AMBIENT)
@pytest.mark.parametrize("name", register.noise)
def test_noise_is_drawn_alike(name: str, setting: str) -> None:
    def drawn() -> Iterator[Tensor]:
        noise: Noise = register.noise[name](**NOISES[name])
        rng = torch.Generator("cpu").manual_seed(0)
        clean = torch.zeros(2, 3, 4, dtype=torch.float32, device="cpu")
        noisy = noise(clean, rng)
        yield noisy
        yield noise.surrogate(clean, rng)
        if noise.likelihood != "none":
            yield noise.negative_log_likelihood(clean, noisy)

    expected = list(drawn())
    with AMBIENT[setting]():
        _assert_same(drawn(), expected)


class Careless(Operator):
    """An outsider's operator, whose tensors state neither dtype nor device."""

    scale: Tensor

    def __init__(self) -> None:
        super().__init__((1, 2, 2), (1, 2, 2))
        self.register_buffer("scale", torch.rand(1, generator=torch.Generator().manual_seed(0)))

    def forward(self, image: Tensor) -> Tensor:
        return image * self.scale


@pytest.mark.parametrize("setting", AMBIENT)
def test_operators_of_outsiders_are_the_same(setting: str) -> None:
    expected = list(_results(Careless()))
    with AMBIENT[setting]():
        _assert_same(_results(Careless()), expected)
