"""Data terms in a solve: surrogates of operators, likelihoods, the stochastic form."""

from typing import Any

import pytest
import torch
from free_pixels import Pixels, images
from torch import Tensor

import invprob
from invprob.callbacks import Callback, Iterate, Snapshot
from invprob.errors import ArgumentError
from invprob.losses import DataMisfit, NegativeLogLikelihood, Stochastic
from invprob.operators import (
    GaussianNoise,
    Identity,
    Operator,
    PartialCirculant,
    PoissonNoise,
    Rotate,
    stack,
)
from invprob.priors import Code
from invprob.registry import register
from invprob.schedules import constant
from invprob.solver.optimisers import Adam
from invprob.streams import stream


class Coarse(Operator):
    """Rounds to steps of an eighth, which has no gradient; the image itself stands in."""

    def __init__(self, image_shape: tuple[int, ...]) -> None:
        super().__init__(image_shape, image_shape)

    def forward(self, image: Tensor) -> Tensor:
        return (8 * image).round() / 8

    def surrogate(self, image: Tensor) -> Tensor:
        return image + (self(image) - image).detach()


@pytest.mark.parametrize("where", ["alone", "outside", "inside", "stacked"])
def test_gradients_pass_through_surrogates(where: str) -> None:
    """Without the surrogate no pixel would move."""
    register.operator("coarse-test")(Coarse)
    shape = (3, 6, 6)
    operator: Operator = {
        "alone": Coarse(shape),
        "outside": Coarse(shape) @ Rotate(shape, 90),
        "inside": Rotate(shape, 90) @ Coarse(shape),
        "stacked": stack([Coarse(shape), Identity(shape)]) @ Rotate(shape, 90),
    }[where].double()
    truth = images(1, *shape)
    solution = invprob.solve(
        invprob.measure(truth, operator),
        operator,
        Pixels(shape),
        optimiser=Adam(0.02),
        schedule=constant(),
        steps=200,
    )
    assert float((solution.image - truth).abs().max()) < 1 / 8


def test_the_likelihood_as_data_term_finds_its_maximum() -> None:
    """Poisson counts of single pixels are best explained by themselves."""
    shape, noise = (3, 6, 6), PoissonNoise(photons=40.0)
    measurements = invprob.measure(images(1, *shape), Identity(shape), noise, seed=2)
    solution = invprob.solve(
        measurements,
        Identity(shape),
        Pixels(shape),
        terms=[NegativeLogLikelihood(noise)],
        optimiser=Adam(0.02),
        steps=600,
    )
    found = solution.image.clamp_min(-1)  # where nothing was counted, less than black is black
    torch.testing.assert_close(found, measurements.values.double(), rtol=0, atol=2e-3)
    assert float(solution.image.min()) > -1.5  # and Adam lets it come to rest
    nats = noise.negative_log_likelihood(solution.image, measurements.values.double())
    assert float(solution.trace["likelihood"][-1]) == pytest.approx(float(nats) / 108, rel=1e-6)


class CopiedPixels(Pixels):
    """Hands out copies, which the next step leaves as they were."""

    def decode(self, code: Code, rng: torch.Generator) -> Tensor:
        return super().decode(code, rng).clone()


class Kept(Callback):
    """Remembers every image and prediction, and a snapshot of one step."""

    def __init__(self) -> None:
        self.seen: list[Iterate] = []
        self.snapshot: Snapshot = {}

    def on_step(self, iterate: Iterate) -> None:
        self.seen.append(iterate)
        if iterate.taken == 3:
            self.snapshot = iterate.snapshot()


def test_the_stochastic_form_draws_afresh_and_clips() -> None:
    shape, noise = (3, 6, 6), GaussianNoise(sigma=0.8)
    measurements = invprob.measure(images(2, *shape), Identity(shape), noise, seed=2)
    assert float(measurements.values.abs().max()) > 1
    kept, again = Kept(), Kept()
    twin = DataMisfit()
    twin.name = "twin"

    def solve(callback: Kept, **more: Any) -> invprob.Solution:
        return invprob.solve(
            measurements,
            Identity(shape),
            CopiedPixels(shape),
            steps=6,
            terms=[Stochastic(DataMisfit(), noise), Stochastic(twin, noise)],
            seed=4,
            callbacks=[callback],
            **more,
        )

    whole = solve(kept)
    target = measurements.values.double().clamp(-1, 1)
    draws = []
    for step, iterate in enumerate(kept.seen):
        draw = torch.randn(shape, generator=stream(4, "renoise", step), dtype=torch.float64)
        draws.append(draw)
        prediction = (iterate.image + 0.8 * draw).clamp(-1, 1)
        misfit = (prediction - target).square().mean((1, 2, 3))
        for name in ("misfit", "twin"):  # all terms see the same draw
            torch.testing.assert_close(iterate.losses[name], misfit, rtol=1e-12, atol=0)
    assert not torch.equal(draws[0], draws[1])
    resumed = solve(again, snapshot=kept.snapshot)
    assert torch.equal(resumed.image, whole.image)


def test_the_stochastic_form_needs_images() -> None:
    shape, noise = (3, 6, 6), GaussianNoise(sigma=0.1)
    operator = PartialCirculant(shape, ratio=0.5)
    measurements = invprob.measure(images(1, *shape), operator, noise)
    with pytest.raises(ArgumentError, match="needs measurements that are images"):
        invprob.solve(
            measurements,
            operator,
            Pixels(shape),
            terms=[Stochastic(DataMisfit(), noise)],
            steps=1,
        )
