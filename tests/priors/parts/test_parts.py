"""Style, content and noise: what starts where, what is drawn, how heads settle."""

import itertools

import networks
import pytest
import torch
import torch.nn.functional as F

from invprob.errors import ArgumentError, GeneratorFileError
from invprob.priors import Sphinx, StyleGANPrior
from invprob.priors.parts import (
    FreeContent,
    FreeNoise,
    LearnedConstant,
    ProjectedContent,
    ProjectedStyles,
    StoredNoise,
    WPlus,
)
from invprob.priors.parts.heads import HeadShape
from invprob.priors.parts.noise_penalty import noise_autocorrelation, renormalise_
from invprob.testing import check_prior

SHAPE = HeadShape((8, 6, 4), (6, 8, 16), 5)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


PARTS = list(
    itertools.product(
        [WPlus(), ProjectedStyles(SHAPE), ProjectedStyles(SHAPE, around="mean")],
        [LearnedConstant(), FreeContent(), ProjectedContent(SHAPE)],
        [StoredNoise(), FreeNoise(), FreeNoise(regulariser=0.1)],
    )
)


@pytest.mark.parametrize(("style", "content", "noise"), PARTS)
def test_every_combination_keeps_the_contract(style, content, noise) -> None:  # type: ignore[no-untyped-def]
    generator = networks.random_generator(dtype=torch.float64)
    check_prior(StyleGANPrior(generator, style=style, content=content, noise=noise))


def test_baselines_start_at_the_mean_image() -> None:
    generator = networks.random_generator()
    prior = StyleGANPrior(generator, style=WPlus(), content=FreeContent())
    code = prior.start(2, rng())
    torch.testing.assert_close(prior.decode(code, rng()), prior.mean_image().expand(2, -1, -1, -1))


def test_sphinx_draws_afresh_and_learns_from_every_draw() -> None:
    prior = Sphinx(networks.random_generator())
    code = prior.start(1, rng())
    first, second, again = (prior.decode(code, rng(seed)) for seed in (1, 2, 1))
    assert not torch.equal(first, second)
    assert torch.equal(first, again)
    first.sum().backward()
    assert all(value.grad is not None for value in code.parameters())


def test_readouts() -> None:
    generator = networks.random_generator()
    prior = Sphinx(generator, readout="last", preset="official")
    code = prior.start(2, rng())
    settled = {}
    for readout in ("last", "fresh", "zero", "mean_w"):
        other = Sphinx(generator, readout=readout, preset="official")
        settled[readout] = other.realise(other.start(2, rng()), rng(3))["styles"]
    style = code.style
    stream = rng(3)

    def draw() -> torch.Tensor:
        return torch.randn(1, generator.num_layers, generator.style_width, generator=stream)

    draws = [draw() for _ in range(64)]
    torch.testing.assert_close(settled["last"], style(draws[0]))
    torch.testing.assert_close(settled["fresh"], style(draws[1]))
    torch.testing.assert_close(settled["zero"], style(torch.zeros_like(draws[0])))
    mean = torch.stack([style(z) for z in draws]).mean(0)
    torch.testing.assert_close(settled["mean_w"], mean, rtol=1e-4, atol=1e-6)
    with pytest.raises(ArgumentError, match="readout must be one of"):
        Sphinx(generator, readout="best")  # type: ignore[arg-type]


@pytest.mark.parametrize("part", [ProjectedStyles, ProjectedContent])
def test_a_kept_code_is_that_of_every_step_and_of_the_solution(part) -> None:  # type: ignore[no-untyped-def]
    started = part(SHAPE, codes="kept").start(networks.random_generator(), 2, rng())
    first, second = (started.draw(rng(seed)).to_tensors() for seed in (1, 2))
    settled = started.settle(rng(3)).to_tensors()
    for name, value in first.items():
        assert torch.equal(second[name], value) and torch.equal(settled[name], value)
    fresh = part(SHAPE).start(networks.random_generator(), 2, rng())
    (one,), (other,) = (fresh.draw(rng(seed)).to_tensors().values() for seed in (1, 2))
    assert not torch.equal(one, other)


def test_around_mean_adds_the_generators_own() -> None:
    generator = networks.random_generator()
    for part, name, own in (
        (ProjectedStyles, "styles", generator.mean_w.expand(1, generator.num_layers, -1)),
        (ProjectedContent, "content", generator.constant[None]),
    ):
        zero, mean = part(SHAPE), part(SHAPE, around="mean")
        plain, shifted = (
            each.start(generator, 1, rng()).draw(rng(1)).to_tensors()[name] for each in (zero, mean)
        )
        torch.testing.assert_close(shifted, plain + own)


def test_official_schedule_is_a_choice_of_groups() -> None:
    prior = StyleGANPrior(
        networks.random_generator(),
        style=ProjectedStyles(SHAPE),
        content=ProjectedContent(SHAPE, scheduled=False),
        noise=FreeNoise(lr_scale=3.0, scheduled=False),
    )
    groups = prior.groups(prior.start(1, rng()))
    assert [group.scheduled for group in groups] == [True, False, False]
    assert [group.lr_scale for group in groups] == [1.0, 1.0, 3.0]


def test_noise_autocorrelation_against_loops() -> None:
    noise = torch.randn(2, 1, 32, 32, generator=rng(), dtype=torch.float64)
    small = torch.randn(2, 1, 4, 4, generator=rng(), dtype=torch.float64)
    expected = torch.zeros(2, dtype=torch.float64)
    for image in range(2):
        for level in (noise[image, 0], small[image, 0]):
            while True:
                size = level.shape[0]
                for dy, dx in ((1, 0), (0, 1)):
                    total = sum(
                        level[y, x] * level[(y - dy) % size, (x - dx) % size]
                        for y in range(size)
                        for x in range(size)
                    )
                    expected[image] += (total / size**2) ** 2
                if size <= 8:
                    break
                level = F.avg_pool2d(level[None, None], 2)[0, 0]
    torch.testing.assert_close(noise_autocorrelation([noise, small]), expected)


def test_white_noise_is_hardly_penalised_and_smooth_noise_is() -> None:
    white = torch.randn(1, 1, 64, 64, generator=rng())
    smooth = F.avg_pool2d(F.pad(white, (2, 2, 2, 2), mode="circular"), 5, 1)
    renormalise_([smooth])
    assert noise_autocorrelation([smooth]) > 50 * noise_autocorrelation([white])


def test_regularised_maps_return_to_mean_0_and_variance_1_after_a_step() -> None:
    generator = networks.random_generator()
    for regulariser, moved in ((0.0, 2.0), (1e5, 0.0)):
        started = FreeNoise(regulariser=regulariser).start(generator, 2, rng())
        before = [noise.detach().clone() for noise in started.tensors]
        with torch.no_grad():
            for noise in started.tensors:
                noise += 2
        started.project_()
        for noise, old in zip(started.tensors, before, strict=True):
            shift = noise.mean((1, 2, 3)) - (old.mean((1, 2, 3)) if moved else 0)
            torch.testing.assert_close(shift.detach(), torch.full((2,), moved), atol=1e-5, rtol=0)


def test_renormalising() -> None:
    maps = [3 + 2 * torch.randn(2, 1, 8, 8, generator=rng())]
    renormalise_(maps)
    torch.testing.assert_close(maps[0].mean((1, 2, 3)), torch.zeros(2), atol=1e-6, rtol=0)
    torch.testing.assert_close(maps[0].square().mean((1, 2, 3)), torch.ones(2))


def test_bad_numbers_are_refused() -> None:
    with pytest.raises(ArgumentError, match="regulariser must be at least 0"):
        FreeNoise(regulariser=-1.0)
    with pytest.raises(ArgumentError, match="regulariser must be at least 0"):
        FreeNoise(regulariser=float("nan"))
    with pytest.raises(ArgumentError, match="lr_scale must be positive"):
        FreeNoise(lr_scale=0.0)


def test_a_solution_of_an_unsaved_generator_says_so() -> None:
    prior = StyleGANPrior(networks.random_generator())
    with pytest.raises(GeneratorFileError, match="never saved"):
        StyleGANPrior.from_spec(prior.spec())
