"""An image and its variants along one direction: against one image at a time."""

import json
import math

import pytest
import torch
from networks import random_generator
from torch import Tensor

from invprob.errors import ArgumentError, PriorError
from invprob.priors import Prior, Sphinx, StyleGANPrior
from invprob.priors.parts import FreeContent, FreeNoise, FreeWeights, WPlus, WPlusPlus
from invprob.priors.stylegan.inputs import SynthesisInputs
from invprob.priors.stylegan.synthesis import synthesise
from invprob.priors.traversal import Traversal, TraversalCode, margin_loss, unit_rows
from invprob.testing import check_prior

KINDS = {
    "w-plus": lambda: StyleGANPrior(random_generator()),
    "free": lambda: StyleGANPrior(
        random_generator(), content=FreeContent(), noise=FreeNoise(), weights=FreeWeights()
    ),
    "heads": lambda: Sphinx(random_generator(), d=4),
}


def moved(prior: Traversal, batch: int = 2) -> TraversalCode:
    """Free variables away from their start, different for each image."""
    rng = torch.Generator().manual_seed(4)
    code = prior.start(batch, rng)
    with torch.no_grad():
        for value in code.parameters():
            value += 0.3 * torch.randn(value.shape, generator=rng)
    return code


@pytest.mark.parametrize("kind", KINDS)
def test_it_keeps_the_laws_of_a_prior(kind: str) -> None:
    check_prior(Traversal(KINDS[kind](), 2))


@pytest.mark.parametrize("kind", KINDS)
def test_each_picture_is_drawn_as_it_would_be_alone(kind: str) -> None:
    """G(w* + α_k D / ||D||), by the formula, one picture of one image at a time."""
    prior = Traversal(KINDS[kind](), 2)
    code = moved(prior)
    with torch.no_grad():
        drawn = prior.decode(code, torch.Generator().manual_seed(9)).view(2, 3, 3, 32, 32)
        inputs = code.latents.draw(torch.Generator().manual_seed(9)).to_tensors()
        for image in range(2):
            lengths = code.direction[image].square().sum(1, keepdim=True).sqrt()
            for picture, alpha in enumerate([0.0, *code.scales[image].tolist()]):
                own = {name: one[image : image + 1] for name, one in inputs.items() if len(one) > 1}
                own["styles"] = own["styles"] + alpha * code.direction[image] / lengths
                expected = synthesise(prior.latents.generator, SynthesisInputs.from_tensors(own))
                torch.testing.assert_close(drawn[image, picture], expected[0], rtol=0, atol=2e-5)


def test_a_scale_of_zero_is_the_image_itself() -> None:
    prior = Traversal(StyleGANPrior(random_generator()), 2)
    code = prior.start(1, torch.Generator().manual_seed(0))
    drawn = prior.decode(code, torch.Generator()).view(3, 3, 32, 32)
    torch.testing.assert_close(
        drawn, prior.latents.mean_image().expand(3, -1, -1, -1), rtol=0, atol=2e-5
    )


def test_at_the_start_the_margin_moves_the_last_scale_first() -> None:
    """At α = 0 the gradient of D is 0. That of the margin is 0, -1, ..., -1, -2."""
    prior = Traversal(StyleGANPrior(random_generator(dtype=torch.float64)), 4)
    code = prior.start(1, torch.Generator().manual_seed(0))
    prior.regularisers(code)["margin"].sum().backward()
    assert code.scales.grad is not None
    assert code.scales.grad.tolist() == [[0, -1, -1, -2]]
    prior.decode(code, torch.Generator()).square().mean().backward()
    assert code.direction.grad is not None and not bool(code.direction.grad.any())
    with torch.no_grad():
        code.scales[0, 3] = 0.1
    prior.decode(code, torch.Generator()).square().mean().backward()
    assert bool((code.direction.grad.norm(dim=2) > 0).all())


@pytest.mark.parametrize("variants", [1, 2, 3, 7])
@pytest.mark.parametrize("margin", [2.0, 0.5])
def test_the_margin_of_scales_at_zero(variants: int, margin: float) -> None:
    found = margin_loss(torch.zeros(2, variants), margin)
    assert found.tolist() == pytest.approx([margin * (2 * variants - 1)] * 2)


def test_the_margin_by_hand() -> None:
    def loss(*scales: float) -> float:
        return float(margin_loss(torch.tensor([scales], dtype=torch.float64)))

    assert loss(2, 4, 6) == 0  # exactly at the margin
    assert loss(3, 9, 11.5) == 0
    assert loss(1.5, 4, 6) == pytest.approx(0.5)  # α_1 lies 0.5 below τ
    assert loss(2, 3, 6) == pytest.approx(1)  # α_2 lies 1 nearer to α_1 than τ
    assert loss(4, 2) == pytest.approx(4)  # the wrong way round
    assert loss(-1) == pytest.approx(3)


@pytest.mark.parametrize("seed", range(20))
def test_no_margin_is_left_only_where_scales_ascend_by_it(seed: int) -> None:
    scales = 8 * torch.rand(1, 3, generator=torch.Generator().manual_seed(seed)) - 1
    first, second, third = scales[0].tolist()
    far = first >= 2 and second - first >= 2 and third - second >= 2 and second >= 2 and third >= 2
    assert (float(margin_loss(scales)) == 0) == far


def test_rows_have_length_one() -> None:
    rows = torch.randn(2, 5, 7, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    unit = unit_rows(rows)
    assert unit.norm(dim=2).sub(1).abs().max() < 1e-12
    assert unit.flatten(1).norm(dim=1).tolist() == pytest.approx([math.sqrt(5)] * 2)
    torch.testing.assert_close(unit * rows.norm(dim=2, keepdim=True), rows)


def test_it_is_rebuilt_from_its_spec(tmp_path) -> None:
    from invprob.priors import load_generator, save_generator

    save_generator(random_generator(), tmp_path / "tiny.safetensors")
    prior = Traversal(
        StyleGANPrior(load_generator(tmp_path / "tiny.safetensors")), 2, margin=1.5, scale_rate=3.0
    )
    again = Prior.from_spec(json.loads(json.dumps(prior.spec())))
    assert isinstance(again, Traversal) and again.spec() == prior.spec()
    with torch.no_grad():
        realised = prior.realise(moved(prior), torch.Generator().manual_seed(0))
        assert torch.equal(again.render(realised), prior.render(realised))


def test_it_goes_on_from_another_solution() -> None:
    prior = Traversal(StyleGANPrior(random_generator()), 2)
    with torch.no_grad():
        realised = prior.realise(moved(prior), torch.Generator().manual_seed(0))
    code = prior.start(2, torch.Generator().manual_seed(1))
    prior.adopt_(code, realised)
    with torch.no_grad():
        again = prior.decode(code, torch.Generator())
    torch.testing.assert_close(again, prior.render(realised), rtol=0, atol=2e-5)
    other = Traversal(StyleGANPrior(random_generator()), 3)
    with pytest.raises(PriorError, match=r"scales of shape \(2, 3\) cannot start"):
        other.adopt_(other.start(2, torch.Generator().manual_seed(1)), realised)


def test_what_makes_no_sense_is_refused() -> None:
    inner = StyleGANPrior(random_generator(), style=WPlus())
    with pytest.raises(ArgumentError, match="variants must be at least 1, not 0"):
        Traversal(inner, 0)
    with pytest.raises(ArgumentError, match="margin must be"):
        Traversal(inner, 1, margin=-1.0)
    with pytest.raises(ArgumentError, match="margin_weight must be"):
        Traversal(inner, 1, margin_weight=math.inf)
    with pytest.raises(ArgumentError, match="direction_rate must be"):
        Traversal(inner, 1, direction_rate=0.0)
    with pytest.raises(ArgumentError, match="scale_rate must be"):
        Traversal(inner, 1, scale_rate=-2.0)
    scaled = Traversal(StyleGANPrior(random_generator(), style=WPlusPlus()), 1)
    with pytest.raises(PriorError, match="moves style rows"):
        scaled.decode(scaled.start(1, torch.Generator()), torch.Generator())


def test_the_margin_belongs_to_each_image_by_itself() -> None:
    scales: Tensor = torch.tensor([[2.0, 4.0], [0.0, 0.0]])
    assert margin_loss(scales).tolist() == [0, 6]
