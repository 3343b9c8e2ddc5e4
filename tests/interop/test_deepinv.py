"""deepinv both ways, against the real package where it is installed."""

import copy
import warnings
from collections.abc import Callable
from typing import Any, cast

import pytest
import torch
from torch import Tensor

import invprob
from invprob.errors import ArgumentError, MeasurementError
from invprob.losses import DataMisfit
from invprob.measurements import measure
from invprob.operators import (
    GaussianNoise,
    Identity,
    LinearOperator,
    Luminance,
    Operator,
    PartialCirculant,
    Quantise,
    RandomMask,
    Rotate,
)
from invprob.registry import register
from invprob.testing import check_operator, dense

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    deepinv: Any = pytest.importorskip("deepinv")
from invprob.interop.deepinv import from_deepinv, to_deepinv

pytestmark = pytest.mark.filterwarnings("ignore")  # theirs are not ours to mend

SHAPE = (3, 16, 16)


def _images(batch: int = 2, shape: tuple[int, ...] = SHAPE) -> Tensor:
    rng = torch.Generator().manual_seed(5)
    return 2 * torch.rand(batch, *shape, generator=rng) - 1


def _rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _coils() -> Any:
    maps = torch.randn(1, 3, 16, 16, dtype=torch.complex64, generator=_rng())
    mask = (torch.rand(1, 1, 1, 16, generator=_rng()) < 0.5).float()
    physics = deepinv.physics.MultiCoilMRI(mask=mask, coil_maps=maps, img_size=(2, 16, 16))
    return from_deepinv(physics, (2, 16, 16))


def _mri() -> Any:
    mask = (torch.rand(1, 1, 1, 16, generator=_rng()) < 0.5).float()
    return from_deepinv(deepinv.physics.MRI(mask=mask, img_size=(2, 16, 16)), (2, 16, 16))


def _gaussian() -> Tensor:
    kernel: Tensor = deepinv.physics.blur.gaussian_blur(sigma=(1.0, 1.0))
    return kernel


THEIRS: dict[str, Callable[[], Any]] = {
    "inpainting": lambda: from_deepinv(
        deepinv.physics.Inpainting(SHAPE, mask=0.5, rng=_rng()), SHAPE
    ),
    "blur": lambda: from_deepinv(
        deepinv.physics.Blur(filter=_gaussian(), padding="circular"), SHAPE
    ),
    "blur by FFT": lambda: from_deepinv(deepinv.physics.BlurFFT(SHAPE, filter=_gaussian())),
    "downsampling": lambda: from_deepinv(
        deepinv.physics.Downsampling(img_size=SHAPE, filter="bicubic", factor=2), SHAPE
    ),
    "structured random": lambda: from_deepinv(
        deepinv.physics.StructuredRandom(SHAPE, (3, 8, 16), rng=_rng()), SHAPE
    ),
    "decolorize": lambda: from_deepinv(deepinv.physics.Decolorize(), SHAPE),
    "mri": _mri,
    "multicoil mri": _coils,
    "tomography": lambda: from_deepinv(
        deepinv.physics.Tomography(angles=12, img_width=16, circle=False), (1, 16, 16)
    ),
}


@pytest.mark.parametrize("name", THEIRS)
def test_their_physics_keep_our_contract(name: str) -> None:
    operator = THEIRS[name]()
    assert isinstance(operator, LinearOperator)
    x = _images(2, operator.image_shape)
    physics: Any = operator.physics
    measured = physics.A(x)
    expected = torch.view_as_real(measured) if measured.is_complex() else measured
    assert torch.equal(operator(x), expected)
    check_operator(operator)


def test_the_noise_of_a_physics_is_left_out() -> None:
    noisy = deepinv.physics.Inpainting(SHAPE, mask=0.5, rng=_rng())
    noisy.noise_model = deepinv.physics.GaussianNoise(0.5)
    operator = from_deepinv(noisy, SHAPE)
    assert torch.equal(operator(_images()), operator(_images()))
    assert float(operator(_images()).abs().max()) <= 1


def test_their_physics_compose_stack_and_are_solved() -> None:
    blurred = THEIRS["blur"]()
    chain = PartialCirculant(SHAPE, 0.5) @ blurred @ Rotate(SHAPE, 20)
    check_operator(chain)
    truth = _images(1)
    measurements = invprob.measure(truth, chain)
    estimate = chain.pinv(measurements.values)
    assert float(DataMisfit().bind(measurements.values, chain)(estimate, chain(estimate))) < 1e-6
    with pytest.raises(MeasurementError, match="no file can rebuild"):
        measurements.operator()
    measurements.check(chain)


def test_fingerprints_tell_options_apart_that_are_in_no_buffer() -> None:
    circular = THEIRS["blur"]()
    again = THEIRS["blur"]()
    other = from_deepinv(deepinv.physics.Blur(filter=_gaussian(), padding="reflect"), SHAPE)
    assert circular.fingerprint() == again.fingerprint() != other.fingerprint()
    assert copy.deepcopy(circular).double().fingerprint() == circular.fingerprint()


def test_a_physics_that_is_not_linear() -> None:
    haze = deepinv.physics.Physics(A=lambda x, **_: torch.sin(2 * x))
    operator = from_deepinv(haze, SHAPE)
    assert not operator.linear and not (operator @ Rotate(SHAPE, 20)).linear
    verdict_image = _images()
    assert torch.equal(operator(verdict_image), torch.sin(2 * verdict_image))


def test_what_cannot_be_wrapped() -> None:
    with pytest.raises(ArgumentError, match="give image_shape"):
        from_deepinv(deepinv.physics.Blur(filter=_gaussian(), padding="circular"))
    both = deepinv.physics.stack(
        deepinv.physics.Inpainting(SHAPE, mask=0.5), deepinv.physics.Decolorize()
    )
    with pytest.raises(ArgumentError, match="wrap its parts"):
        from_deepinv(both, SHAPE)


def _ours() -> list[Operator]:
    return [
        Identity(SHAPE),
        PartialCirculant(SHAPE, 0.3, spectrum="unit"),
        PartialCirculant(SHAPE, 0.3),
        Rotate(SHAPE, 20),
        PartialCirculant((1, 16, 16), 0.5) @ Luminance(SHAPE),
    ]


@pytest.mark.parametrize("operator", _ours(), ids=repr)
def test_our_operators_pass_their_tests(operator: LinearOperator) -> None:
    physics: Any = to_deepinv(operator)
    x = _images(1)
    assert isinstance(physics, deepinv.physics.LinearPhysics)
    physics = cast(Any, physics)
    assert torch.equal(physics(x), operator(x)) and torch.equal(physics.A(x), operator(x))
    assert abs(float(physics.adjointness_test(x))) < 1e-3
    norm = float(physics.compute_sqnorm(x, max_iter=1000, tol=1e-6))
    assert norm == pytest.approx(float(torch.linalg.matrix_norm(dense(operator), 2)) ** 2, rel=1e-2)
    reference = physics.A_adjoint(physics.A(x))
    again = physics.A_dagger(physics.A(reference))
    assert float((again - reference).norm() / reference.norm()) < 0.05
    assert copy.deepcopy(physics).double()(x.double()).dtype == torch.float64


def test_every_registered_operator_becomes_a_physics() -> None:
    for name in register.operator:
        example = register.operator[name].example()
        physics = to_deepinv(example)
        image = 0.9 * _images(2, example.image_shape)
        assert torch.equal(physics(image), example(image))
        assert isinstance(physics, deepinv.physics.LinearPhysics) is example.linear


def test_their_noise_and_their_gradients() -> None:
    noisy = to_deepinv(Identity(SHAPE), deepinv.physics.GaussianNoise(0.5))
    quiet = to_deepinv(Identity(SHAPE))
    assert float((noisy(_images()) - _images()).std()) == pytest.approx(0.5, rel=0.1)
    assert torch.equal(quiet(_images()), _images())


class Coarse(Operator):
    """Rounds; the image stands in."""

    def __init__(self) -> None:
        super().__init__(SHAPE, SHAPE)

    def forward(self, image: Tensor) -> Tensor:
        return (8 * image).round() / 8

    def surrogate(self, image: Tensor) -> Tensor:
        return image + (self(image) - image).detach()


def test_gradients_pass_through_surrogates() -> None:
    physics = to_deepinv(Coarse())
    assert not isinstance(physics, deepinv.physics.LinearPhysics)
    assert torch.equal(physics.A_vjp(_images(), _images()), _images())


def test_their_solver_runs_on_our_operator() -> None:
    """Two rectangles from 30 % random convolutions, by their proximal gradient with their TV."""
    shape = (1, 32, 32)
    truth = torch.zeros(1, *shape)
    truth[..., 6:20, 8:16], truth[..., 14:28, 18:27] = 1.0, 0.5
    operator = PartialCirculant(shape, 0.3, spectrum="unit")
    physics, y = to_deepinv(operator), operator(truth)
    fidelity, prior = deepinv.optim.L2(), deepinv.optim.TVPrior(n_it_max=50)
    step, x = 1 / operator.norm() ** 2, operator.adjoint(y)
    begin = float((x - truth).square().mean())
    for _ in range(150):
        x = x - step * fidelity.grad(x, y, physics)
        x = prior.prox(x, gamma=step * 0.1)
    end = float((x - truth).square().mean())
    assert begin / end > 100  # 20 dB


def test_noise_spares_what_a_mask_hides() -> None:
    """In both directions, as deepinv's own mask has it."""
    mask, image = RandomMask((3, 16, 16), ratio=0.3), torch.rand(1, 3, 16, 16)
    curved = Quantise((3, 16, 16), levels=5) @ mask
    for operator in (mask, curved):
        noisy = to_deepinv(operator, deepinv.physics.GaussianNoise(0.5))(image)
        clean = operator(image)
        assert torch.equal(noisy[..., ~mask.seen], clean[..., ~mask.seen])
        assert bool((noisy != clean)[..., mask.seen].all())
    theirs = from_deepinv(deepinv.physics.Inpainting((3, 16, 16), mask=mask.seen.float()[None]))
    assert torch.equal(theirs.observed(), mask.observed())
    ours = measure(image, theirs, GaussianNoise(sigma=0.1)).values
    assert not ours[..., ~mask.seen].any() and bool(ours[..., mask.seen].all())
