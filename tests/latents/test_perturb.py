"""Noise on latents has the signal-to-noise ratio that was asked for."""

import math

import pytest
import torch
from solved import KINDS, solved

from invprob.errors import ArgumentError, ShapeError
from invprob.latents import Latents
from invprob.latents.distance import Distance
from invprob.latents.perturb import perturb, robustness
from invprob.streams import stream


def ratio(clean: torch.Tensor, noisy: torch.Tensor) -> float:
    power, noise = clean.double().square().sum(), (noisy - clean).double().square().sum()
    return 10 * math.log10(float(power / noise))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("snr", [40.0, 10.0, -3.0])
def test_the_ratio_is_the_one_asked_for(kind: str, snr: float) -> None:
    latents = Latents.of(solved(kind, batch=2))
    style = perturb(latents, snr, stream(0, "test"))
    everything = perturb(latents, snr, stream(0, "test"), which="all")
    for name, own in latents.tensors().items():
        styled = name.startswith(("styles", "scales"))
        drawn = name.startswith(("content", "features", "noise"))
        for number in range(2):
            if styled:
                assert ratio(own[number], style.tensors()[name][number]) == pytest.approx(
                    snr, abs=0.01
                )
            else:
                assert torch.equal(style.tensors()[name], own)
            if styled or drawn:
                assert ratio(own[number], everything.tensors()[name][number]) == pytest.approx(
                    snr, abs=0.01
                )
            else:
                assert torch.equal(everything.tensors()[name], own)


def test_the_noise_is_white_and_follows_its_generator() -> None:
    latents = Latents.of(solved("w-plus"))
    own = latents.tensors()["styles"]
    draws = torch.cat(
        [perturb(latents, 20, stream(1, "n", at)).tensors()["styles"] - own for at in range(400)]
    ).flatten(1)
    expected = float(own.square().mean()) * 10**-2
    covariance = draws.T @ draws / len(draws)
    assert float(covariance.diagonal().mean()) == pytest.approx(expected, rel=1e-4)
    off = covariance - torch.diag(covariance.diagonal())
    assert float(off.square().mean().sqrt()) < 0.1 * expected
    again = perturb(latents, 20, stream(1, "n", 0)).tensors()["styles"]
    assert torch.equal(again - own, draws[0].view_as(own))


def test_robustness_compares_draws_with_the_solution_and_the_truth() -> None:
    solution = solved("w-plus-s-b")
    truth = torch.zeros_like(solution.image)
    found = robustness(
        Latents.of(solution), solution.image, [60, 20, 0], Distance(), draws=5, truth=truth
    )
    own_rms = float(solution.realised["styles"].double().square().mean().sqrt())
    assert found.rms == {"styles": pytest.approx(own_rms)}
    assert found.distance.shape == found.psnr.shape == (3, 5) and found.truth is not None
    medians = found.distance.median(1).values
    assert medians[0] < medians[1] < medians[2]
    clipped = found.examples.clamp(-1, 1)
    own = solution.image.clamp(-1, 1)
    for index in range(3):
        gap = (clipped[index] - own[0]).double().square().mean()
        assert float(found.distance[index, 0]) == pytest.approx(float(gap.sqrt()), rel=1e-4)
        assert float(found.psnr[index, 0]) == pytest.approx(10 * math.log10(4 / gap), abs=1e-3)
        far = clipped[index].double().square().mean()
        assert float(found.truth[index, 0]) == pytest.approx(10 * math.log10(4 / far), abs=1e-3)


def test_what_makes_no_sense_is_refused() -> None:
    solution = solved("w-plus")
    latents = Latents.of(solution)
    for snr in (math.inf, math.nan, 1e5, -1e5):
        with pytest.raises(ArgumentError, match="snr must be from -200 to 200 dB"):
            perturb(latents, snr, stream(0, "test"))
    two = solved("w-plus", batch=2)
    with pytest.raises(ShapeError, match="those of one image, not of 2"):
        robustness(Latents.of(two), two.image, [10], Distance())
    with pytest.raises(ShapeError, match=r"images must be \(1, 3, 32, 32\)"):
        robustness(latents, two.image, [10], Distance())
    with pytest.raises(ArgumentError, match="snr must be one ratio"):
        robustness(latents, solution.image, [], Distance())
    with pytest.raises(ArgumentError, match="draws must be at least 1, not 0"):
        robustness(latents, solution.image, [10], Distance(), draws=0)
