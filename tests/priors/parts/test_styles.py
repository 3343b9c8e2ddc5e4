"""Style spaces: what each makes of its variables, what it adopts, what moves."""

import networks
import pytest
import torch
from torch import Tensor

from invprob.errors import PriorError
from invprob.priors.domain import DomainGuided
from invprob.priors.parts import (
    Frozen,
    GaussianZ,
    MappedStyles,
    Part,
    StartedPart,
    W,
    WPlus,
    WPlusPlus,
    Z,
)
from invprob.priors.parts.constraints import Spheres
from invprob.priors.parts.heads import count_parameters
from invprob.priors.parts.w_spaces import StartedWPlus
from invprob.priors.stylegan.generator import Generator, GeneratorConfig
from invprob.priors.stylegan.inputs import LayerInput, SynthesisInputs
from invprob.priors.stylegan.prior import StyleGANPrior
from invprob.priors.stylegan.statistics import sample_statistics
from invprob.testing import check_prior

GENERATOR = networks.random_generator(dtype=torch.float64)
LAYERS, WIDTH = GENERATOR.num_layers, GENERATOR.style_width
STATISTICS = sample_statistics(GENERATOR, torch.Generator().manual_seed(9), count=20_000)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rows(seed: int = 1, batch: int = 2) -> Tensor:
    return torch.randn(batch, LAYERS, WIDTH, generator=rng(seed), dtype=torch.float64)


def styles(part: StartedPart, seed: int = 0) -> Tensor:
    """The style rows of one step."""
    drawn = part.draw(rng(seed)).styles
    assert drawn is not None
    return drawn


SPACES: list[Part] = [
    W(),
    W(jitter=0.3),
    WPlus(begin="uniform"),
    WPlusPlus(),
    Z("one", constraints=(Spheres(),)),
    Z("each"),
    GaussianZ(STATISTICS, constraints=(Spheres(),)),
    GaussianZ(STATISTICS, "one"),
    MappedStyles("own"),
    MappedStyles("new", "one"),
]


@pytest.mark.parametrize("style", SPACES)
def test_every_space_keeps_the_contract(style: Part) -> None:
    check_prior(StyleGANPrior(GENERATOR, style=style))


def test_every_z_goes_through_the_mapping_network_by_itself() -> None:
    """Rows of very unlike length: normalising them together would show."""
    part = Z("each")
    variables = part.start(GENERATOR, 1, rng())
    torch.testing.assert_close(
        variables.tensors[0].norm(dim=-1), torch.full((1, LAYERS), WIDTH**0.5).double()
    )
    z = rows(batch=1) * torch.logspace(-2, 2, LAYERS).view(1, -1, 1)
    variables.move_([z])
    found = styles(variables)
    for layer in range(LAYERS):
        torch.testing.assert_close(found[:, layer], GENERATOR.mapping(z[:, layer]))


def test_one_w_is_shaken_less_and_less() -> None:
    part = W(jitter=2.0)
    variables = part.start(GENERATOR, 1, rng())

    def shift() -> Tensor:
        drawn = styles(variables, 3)
        assert torch.equal(drawn, drawn[:, :1].expand(-1, LAYERS, -1))
        return drawn[0, 0] - GENERATOR.mean_w

    draw = torch.randn(1, 1, WIDTH, generator=rng(3))[0, 0].double()
    for progress, left in ((0.0, 1.0), (0.375, 0.25), (0.75, 0.0), (0.9, 0.0)):
        variables.anneal_(progress)
        torch.testing.assert_close(shift(), 2.0 * left * draw)
    variables.anneal_(0.0)
    settled = variables.settle(rng(3)).styles
    assert settled is not None
    assert torch.equal(settled, GENERATOR.mean_w.expand(1, LAYERS, -1))


def test_the_gaussian_fit_has_the_moments_of_w_and_an_inverse() -> None:
    part = GaussianZ(STATISTICS)
    variables = part.start(GENERATOR, 4000, rng())
    z = torch.randn(4000, LAYERS, WIDTH, generator=rng(2)).double()
    variables.move_([z])
    w = styles(variables)
    v = torch.where(w < 0, 5 * w, w).flatten(0, 1)
    torch.testing.assert_close(v.mean(0), STATISTICS.mean, atol=0.05, rtol=0)
    torch.testing.assert_close(v.std(0), STATISTICS.diagonal, atol=0.05, rtol=0)
    other = part.start(GENERATOR, 4000, rng(5))
    other.adopt_(SynthesisInputs(styles=w))
    torch.testing.assert_close(other.tensors[0].detach(), z)


def test_scales_of_w_plus_plus_are_those_of_a_w_for_each_channel() -> None:
    part = WPlusPlus()
    variables = part.start(GENERATOR, 2, rng())
    variables.adopt_(SynthesisInputs(styles=rows()))
    with torch.no_grad():
        for index, tensor in enumerate(variables.tensors):
            tensor.copy_(torch.randn(tensor.shape, generator=rng(index)))
    drawn = variables.draw(rng()).to_tensors()
    for index, (row, module) in enumerate(GENERATOR.modulations()):
        for channel in range(module.affine.out_features):
            a, b = module.affine.weight[channel], module.affine.bias[channel]
            moved = variables.tensors[index][:, channel] * a / a.norm()
            w = rows()[:, row] + moved
            torch.testing.assert_close(drawn[f"scales.{index}"][:, channel], w @ a + b)
    image = StyleGANPrior(GENERATOR, style=part).render(drawn)
    assert not torch.allclose(image, GENERATOR.synthesis(rows()))
    variables.adopt_(SynthesisInputs(styles=rows()))
    kept = StyleGANPrior(GENERATOR, style=part).render(variables.draw(rng()).to_tensors())
    assert torch.equal(kept, GENERATOR.synthesis(rows()))


def test_the_mapping_head_starts_as_the_network_or_as_a_new_one() -> None:
    z = torch.randn(1, LAYERS, WIDTH, generator=rng(4)).double()
    own = MappedStyles("own")
    drawn = styles(own.start(GENERATOR, 2, rng()), 4)
    assert drawn.shape == (2, LAYERS, WIDTH)
    torch.testing.assert_close(drawn[1], GENERATOR.mapping(z[0]))
    new = MappedStyles("new", "one").start(GENERATOR, 1, rng())
    assert float(new.weights[0].detach().std()) == pytest.approx(100, rel=0.2)  # 1 / 0.01
    assert not any(bias.any() for bias in new.biases)
    x = z / z.square().mean(-1, keepdim=True).sqrt()
    for weight in new.weights:  # N(0, 1) / sqrt(fan-in) when used
        x = torch.nn.functional.leaky_relu(x @ weight[0] / 100 / WIDTH**0.5, 0.2) * 2**0.5
    torch.testing.assert_close(new(z), x)


def test_the_mapping_head_has_the_parameters_of_eight_layers() -> None:
    generator = Generator(GeneratorConfig(8, (2, 2), 512, 8))
    head = MappedStyles("own").start(generator, 2, rng())
    assert count_parameters(head) == 8 * (512 * 512 + 512) == 2_101_248


def test_frozen_inputs_stay() -> None:
    part = Frozen(WPlus())
    variables = part.start(GENERATOR, 2, rng())
    assert not list(variables.parameters()) and not variables.groups()
    assert not any(buffer.requires_grad for buffer in variables.buffers())
    variables.adopt_(SynthesisInputs(styles=rows()))
    assert torch.equal(styles(variables), rows())
    assert torch.equal(variables.state_dict()["styles"], rows())
    with pytest.raises(PriorError, match="styles is to be kept as it is"):
        variables.adopt_(SynthesisInputs(content=LayerInput(rows())))


def test_what_has_no_way_back_says_so() -> None:
    scales = {"scales.0": rows()}
    for part, found, message in (
        (Z("one"), {"styles": rows()}, "no inverse"),
        (MappedStyles("own"), {"styles": rows()}, "use sphinx"),
        (WPlus(), scales, "W\\+\\+"),
        (W(), scales, "W\\+\\+"),
    ):
        variables = part.start(GENERATOR, 2, rng())
        with pytest.raises(PriorError, match=message):
            variables.adopt_(SynthesisInputs.from_tensors(found))


def test_one_w_adopts_the_mean_row() -> None:
    part = W()
    variables = part.start(GENERATOR, 2, rng())
    variables.adopt_(SynthesisInputs(styles=rows()))
    found = styles(variables)
    torch.testing.assert_close(found, rows().mean(1, keepdim=True).expand(-1, LAYERS, -1))


class Halve(torch.nn.Module):
    """An encoder of a kind: style rows that are linear in the image."""

    def forward(self, images: Tensor) -> Tensor:
        flat: Tensor = images.flatten(1)[:, : LAYERS * WIDTH].reshape(-1, LAYERS, WIDTH) / 2
        return flat


def test_the_domain_penalty_is_the_way_through_image_and_encoder() -> None:
    prior = DomainGuided(GENERATOR, Halve(), 3.0)
    check_prior(prior)
    code = prior.start(2, rng())
    style = code.style
    assert isinstance(style, StartedWPlus)
    style.move_([rows()])
    value = prior.regularisers(code)["domain"]
    seen = Halve()(GENERATOR.synthesis(rows()))
    torch.testing.assert_close(value, 3.0 * ((rows() - seen) ** 2).mean((1, 2)))
    (gradient,) = torch.autograd.grad(value.sum(), style.tensors[0])
    step = 1e-6 * torch.randn(gradient.shape, generator=rng(8)).double()
    style.move_([rows() + step])
    ahead = prior.regularisers(code)["domain"].sum()
    style.move_([rows() - step])
    behind = prior.regularisers(code)["domain"].sum()
    torch.testing.assert_close((ahead - behind) / 2, (gradient * step).sum(), rtol=1e-5, atol=0)
