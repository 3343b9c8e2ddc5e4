"""What the caller has set in torch changes no result, and is as it was when a function returns."""

from pathlib import Path
from typing import Any

import networks
import pytest
import torch
from ambient import AMBIENT
from random_trunks import loaded, random_state, saved
from torch import Tensor

import invprob
from invprob import metrics
from invprob.ambient import own_precision, undisturbed
from invprob.callbacks import Callback, Iterate
from invprob.encoder.plan import Plan
from invprob.encoder.training import EncoderTraining
from invprob.measurements import snr
from invprob.methods import encoded, make
from invprob.operators import GaussianNoise, Identity, PartialCirculant, PoissonNoise, RandomMask
from invprob.perceptual.distance import Absent, PerceptualDistance
from invprob.priors import Pixels, load_generator
from invprob.registry import register
from invprob.run.samples import load_sample
from invprob.solver.optimisers import Adam
from invprob.solver.restarts import solve_restarts
from invprob.solver.stopping import discrepancy

SHAPE = (3, 32, 32)
GENERATOR = networks.random_generator()
METHODS = [name for name in register.method if name not in ("auto", "bdinvert")]

each_setting = pytest.mark.parametrize("setting", AMBIENT)


@pytest.fixture(autouse=True)
def _encoders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoded, "load_encoder", networks.LinearEncoder)


def state() -> tuple[Any, ...]:
    """All that a setting changes, and the generator that draws without being told."""
    return (
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.is_autocast_enabled("cpu"),
        torch.get_autocast_dtype("cpu"),
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.get_rng_state().tolist(),
    )


def truth() -> Tensor:
    return load_sample("face", size=32)


def measured() -> invprob.Measurements:
    return invprob.measure(truth(), PartialCirculant(SHAPE, ratio=0.3), GaussianNoise(sigma=0.01))


@pytest.fixture
def network(tmp_path: Path) -> PerceptualDistance:
    return loaded("alex", saved(random_state("alex"), tmp_path / "alex.pth"))


def usable(tensor: Tensor) -> bool:
    """Whether autograd of the caller takes the tensor."""
    factor = torch.ones((), requires_grad=True)
    (tensor * factor).sum().backward()
    return factor.grad is not None and not tensor.requires_grad and not tensor.is_inference()


@pytest.mark.parametrize(
    ("method", "setting"),
    [*((name, "all at once") for name in METHODS), *(("sphinx-adapted", name) for name in AMBIENT)],
)
def test_restore_finds_the_same_image(method: str, setting: str) -> None:
    measurements = measured()
    plain = invprob.restore(measurements, method, GENERATOR, steps=3)
    with AMBIENT[setting]():
        before = state()
        found = invprob.restore(measurements, method, GENERATOR, steps=3)
        drawn = found.render()
        assert state() == before
    assert torch.equal(found.image, plain.image) and torch.equal(drawn, plain.image)
    assert usable(found.image) and usable(drawn)
    assert all(usable(losses) for losses in found.trace.values())


@each_setting
def test_restore_with_all_that_it_takes(
    setting: str, tmp_path: Path, network: PerceptualDistance
) -> None:
    def whole() -> invprob.Solution:
        """From file to solution: restarts, likelihood, the perceptual term, a file again."""
        operator = RandomMask((3, 128, 128), ratio=0.3)
        noise = PoissonNoise(photons=100.0)
        made = invprob.measure(load_sample("face", size=128), operator, noise)
        made.save(tmp_path / "measured")
        read = invprob.Measurements.load(tmp_path / "measured")
        solution = invprob.restore(
            read, "sphinx", perceptual=network, data_term="likelihood", steps=2, restarts=2
        )
        solution.save(tmp_path / "solution")
        return invprob.Solution.load(tmp_path / "solution")

    plain = whole()
    with AMBIENT[setting]():
        found = whole()
        drawn = found.render()
    assert torch.equal(found.image, plain.image) and torch.equal(drawn, plain.image)
    assert usable(found.image)


@each_setting
def test_measuring_gives_the_same_values(setting: str) -> None:
    def values() -> list[Tensor]:
        operator, noise = PartialCirculant(SHAPE, ratio=0.3), GaussianNoise(sigma=0.1)
        made = invprob.measure(truth(), operator, noise)
        taken = invprob.Measurements.from_array(made.values.tolist(), operator, noise=noise)
        return [made.values, taken.values]

    plain = values()
    with AMBIENT[setting]():
        found = values()
    for one, other in zip(found, plain, strict=True):
        assert torch.equal(one, other) and one.dtype == other.dtype and usable(one)


@each_setting
def test_solve_takes_what_was_made_under_the_setting(setting: str) -> None:
    """Operator, prior, optimiser, rule: everything is built where the setting holds."""

    class Watch(Callback):
        def on_step(self, iterate: Iterate) -> None:
            assert usable(iterate.image)

    def solution() -> invprob.Solution:
        made, operator = measured(), PartialCirculant(SHAPE, ratio=0.3)
        recipe = make("sphinx", GENERATOR, SHAPE, measurement_shape=operator.measurement_shape)
        task = discrepancy(recipe.task(made, operator, steps=3, restarts=2))
        solve_restarts(task, callbacks=[Watch()])
        return invprob.solve(made, operator, Pixels(SHAPE, 0.1), optimiser=Adam(0.1), steps=5)

    plain = solution()
    with AMBIENT[setting]():
        found = solution()
    assert torch.equal(found.image, plain.image) and usable(found.image)


@each_setting
def test_what_was_made_under_the_setting_serves_without_it(setting: str) -> None:
    with AMBIENT[setting]():
        generator = load_generator("faces-128")
        operator = PartialCirculant((3, 128, 128), ratio=0.01)
        made = invprob.measure(load_sample("face", size=128), operator)
        values = torch.zeros(1, *operator.measurement_shape, device="cpu", dtype=torch.float32)
        own = invprob.Measurements(values, (3, 128, 128), operator.spec(), operator.fingerprint())
    assert all(not one.is_inference() for one in [*generator.parameters(), *operator.buffers()])
    for one in (made, own):
        found = invprob.restore(one, "sphinx", generator, steps=2)
        plain = invprob.restore(one, "sphinx", steps=2)
        assert torch.equal(found.image, plain.image)
    image = made.values.clone()
    operator.adjoint(image.requires_grad_()).sum().backward()


@each_setting
def test_scores_are_the_same(setting: str, network: PerceptualDistance) -> None:
    image = truth()
    other = image.flip(3)

    def scores() -> list[Tensor]:
        by_metric = [score(image, other) for score in (metrics.mse, metrics.psnr, metrics.ssim)]
        return [*by_metric, network(image, other), snr(image, other)]

    plain = scores()
    with AMBIENT[setting]():
        found = scores()
    assert all(torch.equal(one, by) for one, by in zip(found, plain, strict=True))


@each_setting
def test_pictures_are_the_same(setting: str, tmp_path: Path) -> None:
    with AMBIENT[setting]():
        invprob.save_image(truth(), tmp_path / "one.png")
        found = invprob.load_image(tmp_path / "one.png", size=24)
    invprob.save_image(truth(), tmp_path / "two.png")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert torch.equal(found, invprob.load_image(tmp_path / "two.png", size=24)) and usable(found)


@each_setting
def test_encoders_learn_the_same(setting: str) -> None:
    plan = Plan("toolkit", steps=2, batch=4, pool=8)

    def losses() -> list[dict[str, float]]:
        training = EncoderTraining(GENERATOR, plan, Absent("none is needed"))
        return [training.step(), training.step()]

    plain = losses()
    with AMBIENT[setting]():
        assert losses() == plain


def test_a_distance_follows_the_caller_s_gradients(network: PerceptualDistance) -> None:
    image = truth().requires_grad_()
    assert network(image, truth()).requires_grad
    with torch.no_grad():
        assert not network(image, truth()).requires_grad


@each_setting
def test_the_setting_returns_after_an_error(setting: str) -> None:
    with AMBIENT[setting]():
        before = state()
        for context in (undisturbed, own_precision):
            with pytest.raises(KeyError), context():
                raise KeyError
        with pytest.raises(invprob.InvprobError):
            invprob.restore(measured(), "sphinx", GENERATOR, restarts=0)
        assert state() == before


def test_identity_is_measured_as_it_is() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(invprob.measure(truth(), Identity(SHAPE)).values, truth())
