"""Entering the synthesis at a layer: the same image from there on, with the skip or without."""

import networks
import pytest
import torch
from torch import Tensor

from invprob.errors import ArgumentError, PriorError, ShapeError
from invprob.fast.filters import upsample
from invprob.priors.parts import (
    FreeContent,
    FreeFeatures,
    FreeNoise,
    Frozen,
    LearnedConstant,
    Part,
    StoredNoise,
    WPlus,
)
from invprob.priors.parts.constraints import L1Ball
from invprob.priors.parts.penalties import Distance
from invprob.priors.stylegan.inputs import SynthesisInputs
from invprob.priors.stylegan.prior import StyleGANPrior
from invprob.testing import check_prior

GENERATOR = networks.random_generator(dtype=torch.float64)
LAYERS = GENERATOR.num_layers


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=rng(seed), dtype=torch.float64)


def solution() -> dict[str, Tensor]:
    """Rows, content and noise that are none of the generator's own."""
    shapes = enumerate(GENERATOR.noise_shapes)
    return {
        "styles": normal(2, LAYERS, GENERATOR.style_width),
        "content": normal(2, *GENERATOR.content_shape, seed=1),
        **{f"noise.{i}": normal(2, 1, h, w, seed=2 + i) for i, (h, w) in shapes},
    }


@pytest.mark.parametrize("layer", range(LAYERS - 1))
def test_the_synthesis_goes_on_from_any_layer(layer: int) -> None:
    found = solution()
    noise = [found[f"noise.{index}"] for index in range(LAYERS - 1)]
    whole = GENERATOR.synthesis(found["styles"], found["content"], noise)
    scales = GENERATOR.scales(found["styles"])
    features, skip = GENERATOR.partial(0, layer, found["content"], scales, noise)
    assert features.shape[1:] == GENERATOR.feature_shape(layer)
    kept = GENERATOR.synthesis_from(layer, features, scales, noise, skip=skip)
    torch.testing.assert_close(kept, whole, rtol=1e-10, atol=1e-10)
    if skip is None:
        assert layer == 0
        return
    # Images only add up on their way, so what a dropped skip takes away is the skip enlarged.
    dropped = GENERATOR.synthesis_from(layer, features, scales, noise)
    while skip.shape[2] < GENERATOR.resolution:
        skip = upsample(skip)
    torch.testing.assert_close(kept - dropped, skip)


def test_wrong_layers_and_features_are_refused() -> None:
    scales = GENERATOR.scales(solution()["styles"])
    with pytest.raises(ArgumentError, match="from 0 to 6"):
        GENERATOR.feature_shape(7)
    with pytest.raises(ShapeError, match="enter layer 3"):
        GENERATOR.synthesis_from(3, normal(2, 4, 8, 8), scales)
    with pytest.raises(ArgumentError, match="use FreeContent"):
        FreeFeatures(0)


@pytest.mark.parametrize("layer", [1, 2, 4, 5])
def test_features_draw_the_solution_that_they_adopted(layer: int) -> None:
    before = StyleGANPrior(GENERATOR).render(solution())
    prior = StyleGANPrior(GENERATOR, content=FreeFeatures(layer), noise=FreeNoise())
    code = prior.start(2, rng())
    prior.adopt_(code, solution())
    realised = prior.realise(code, rng())
    assert f"features.{layer}" in realised and "content" not in realised
    torch.testing.assert_close(prior.render(realised), before, rtol=1e-10, atol=1e-10)
    higher = StyleGANPrior(GENERATOR, content=FreeFeatures(6), noise=Frozen(FreeNoise()))
    above = higher.start(2, rng())
    higher.adopt_(above, realised)
    torch.testing.assert_close(higher.decode(above, rng()), before, rtol=1e-10, atol=1e-10)
    with pytest.raises(PriorError, match="lies below"):
        prior.adopt_(code, higher.realise(above, rng()))


def test_a_dropped_skip_changes_the_image_and_a_missing_one_is_black() -> None:
    before = StyleGANPrior(GENERATOR).render(solution())
    dropped = StyleGANPrior(GENERATOR, content=FreeFeatures(3, skip="dropped"), noise=FreeNoise())
    code = dropped.start(2, rng())
    dropped.adopt_(code, solution())
    assert not torch.allclose(dropped.decode(code, rng()), before)
    realised = dropped.realise(code, rng())
    kept = StyleGANPrior(GENERATOR, content=FreeFeatures(3), noise=FreeNoise())
    other = kept.start(2, rng())
    kept.adopt_(other, realised)
    torch.testing.assert_close(kept.decode(other, rng()), dropped.decode(code, rng()))


@pytest.mark.parametrize(
    "content",
    [
        FreeFeatures(3, constraints=(L1Ball(1.0),)),
        FreeFeatures(4, skip="dropped", penalties=(Distance(1.0),)),
        FreeContent(begin="normal"),
    ],
)
def test_the_contract(content: Part) -> None:
    check_prior(StyleGANPrior(GENERATOR, content=content))


def test_features_begin_at_the_mean_image() -> None:
    prior = StyleGANPrior(GENERATOR, content=FreeFeatures(5))
    code = prior.start(2, rng())
    mean = prior.mean_image().expand(2, -1, -1, -1)
    torch.testing.assert_close(prior.decode(code, rng()), mean)


def test_losing_what_a_solution_has_is_an_error() -> None:
    features = {"features.3": normal(2, *GENERATOR.feature_shape(3))}
    content = {"content": solution()["content"]}
    cases = [
        (LearnedConstant(), content, "cannot start from other content"),
        (LearnedConstant(), features, "features that enter layer 3"),
        (FreeContent(), features, "features that enter layer 3"),
        (StoredNoise(), {"noise.2": normal(2, 1, 8, 8)}, "stored noise maps cannot start"),
        (WPlus(), {"styles": normal(2, 3, 16)}, "cannot start from one of shape"),
    ]
    for part, realised, message in cases:
        variables = part.start(GENERATOR, 2, rng())
        with pytest.raises(PriorError, match=message):
            variables.adopt_(SynthesisInputs.from_tensors(realised))
    same = {
        "content": GENERATOR.constant.expand(2, -1, -1, -1),
        "noise.0": GENERATOR.noise_maps()[0].expand(2, -1, -1, -1),
    }
    for part in (LearnedConstant(), StoredNoise()):
        part.start(GENERATOR, 2, rng()).adopt_(SynthesisInputs.from_tensors(same))
