"""Discovery finds a direction that is known, whatever draws the image and measures it."""

import functools

import pytest
import torch
from networks import random_generator
from torch import Tensor

from invprob.errors import ArgumentError, MeasurementError, ShapeError
from invprob.latents import Discovery, Latents, discover, edit, measured_series
from invprob.losses import DataMisfit
from invprob.measurements import measure
from invprob.operators import GaussianNoise, Identity, PartialCirculant, RandomMask, series
from invprob.priors import Generator, GeneratorConfig, Sphinx, StyleGANPrior
from invprob.solver.optimisers import Adam
from invprob.solver.solution import Solution

TINY = GeneratorConfig(resolution=8, channels=(16, 16), style_width=4, mapping_layers=2)
SCALES = (2.5, 5.0, 7.5)


@functools.cache
def tiny() -> Generator:
    return random_generator(TINY)


def truth(seed: int = 3, generator: Generator | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """Random w+ near the mean, a random direction with rows of length one, and the pictures."""
    own = generator or tiny()
    rng = torch.Generator().manual_seed(seed)
    shape = (own.num_layers, own.style_width)
    rows = own.mean_w + 0.5 * torch.randn(shape, generator=rng).to(own.mean_w)
    direction = torch.randn(shape, generator=rng).to(own.mean_w)
    direction = direction / direction.norm(dim=1, keepdim=True)
    with torch.no_grad():
        styles = torch.stack([rows + alpha * direction for alpha in (0.0, *SCALES)])
        return rows, direction, own.synthesis(styles)


def found_in(pictures: Tensor, steps: int = 200, seed: int = 0) -> Discovery:
    prior = StyleGANPrior(tiny())
    return discover(
        *measured_series(pictures, prior),
        prior,
        optimiser=Adam(0.1),
        direction_rate=1.0,
        scale_rate=2.0,
        steps=steps,
        seed=seed,
    )


def cosine(one: Tensor, other: Tensor) -> float:
    return float((one * other).sum() / one.norm() / other.norm())


@functools.cache
def known() -> tuple[Tensor, Discovery]:
    _, direction, pictures = truth()
    return direction, found_in(pictures)


def test_a_known_direction_is_found() -> None:
    direction, discovery = known()
    assert cosine(discovery.directions[0].rows, direction) > 0.99
    rng = torch.Generator().manual_seed(0)
    assert abs(cosine(torch.randn(direction.shape, generator=rng), direction)) < 0.7


def test_its_rows_have_length_one_and_its_scales_ascend() -> None:
    _, discovery = known()
    assert discovery.directions[0].rows.norm(dim=1).tolist() == pytest.approx([1.0] * 4, abs=1e-5)
    scales = discovery.scales[0]
    assert float(scales[0]) == 0
    assert float(scales.diff().min()) > 1.9  # τ = 2, and the loss may give way a little
    assert float(discovery.solution.trace["margin"][0]) == pytest.approx(2 * (2 * 3 - 1))


def test_the_latents_and_the_direction_draw_the_pictures() -> None:
    _, discovery = known()
    strip = edit(discovery.latents, discovery.directions[0], discovery.scales[0].tolist())
    torch.testing.assert_close(strip.images, discovery.pictures[0], rtol=0, atol=2e-5)
    assert float(discovery.psnr(truth()[2].clamp(-1, 1)[None]).min()) > 28


def test_a_scale_of_zero_gives_the_latents_of_the_image_itself(tmp_path) -> None:
    _, discovery = known()
    kept = discovery.latents.solution(discovery.pictures[:, 0], "discovered")
    strip = edit(Latents.of(kept), discovery.directions[0], [0.0])
    for name, own in discovery.latents.tensors().items():
        assert torch.equal(strip.latents.tensors()[name], own)
    torch.testing.assert_close(strip.images, discovery.pictures[:, 0], rtol=0, atol=2e-5)
    kept.save(tmp_path / "own.safetensors")
    assert torch.equal(Solution.load(tmp_path / "own.safetensors").image, kept.image)


def test_the_seed_decides() -> None:
    _, _, pictures = truth()
    first, again, other = (found_in(pictures, 6, seed) for seed in (1, 1, 2))
    assert torch.equal(first.directions[0].rows, again.directions[0].rows)
    assert torch.equal(first.pictures, again.pictures)
    assert not torch.allclose(first.directions[0].rows, other.directions[0].rows)


@pytest.mark.parametrize("latents", ["heads", "w-plus"])
def test_several_images_at_once_are_each_as_alone(latents: str) -> None:
    generator = random_generator(TINY, dtype=torch.float64)
    prior = Sphinx(generator, d=2) if latents == "heads" else StyleGANPrior(generator)
    both = torch.stack([truth(seed, generator)[2] for seed in (3, 4)])
    together = discover(*measured_series(both, prior), prior, steps=20)
    for number in range(2):
        alone = discover(*measured_series(both[number], prior), prior, steps=20)
        for one, other in (
            (together.directions[number].rows, alone.directions[0].rows),
            (together.scales[number], alone.scales[0]),
            (together.pictures[number], alone.pictures[0]),
        ):
            torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-8)
    assert not torch.allclose(together.directions[0].rows, together.directions[1].rows)


def test_heads_share_content_and_noise_maps() -> None:
    generator = random_generator()
    pictures = truth(3, generator)[2]
    prior = Sphinx(generator, d=4)
    discovery = discover(
        *measured_series(pictures, prior),
        prior,
        optimiser=Adam(0.005),
        direction_rate=1.0,
        scale_rate=10.0,
        steps=40,
    )
    names = discovery.latents.inputs.to_tensors()
    assert {"styles", "content", "noise.0", "noise.6"} <= set(names)
    assert all(len(tensor) == 1 for tensor in names.values())
    trace = discovery.solution.trace["misfit"][:, 0]
    assert float(trace[-1]) < float(trace[0])


def test_the_loss_is_the_mean_over_the_pictures() -> None:
    _, _, pictures = truth()
    start = found_in(pictures, 1)
    apart = StyleGANPrior(tiny()).mean_image() - pictures  # a rate of 0 at the first step
    expected = apart.square().mean()
    assert float(start.solution.trace["misfit"][0]) == pytest.approx(float(expected), rel=1e-5)
    total = start.solution.trace["total"][0]
    assert float(total) == pytest.approx(float(expected) + 10, rel=1e-5)


@pytest.mark.parametrize(
    "operator", [RandomMask((3, 8, 8), ratio=0.7, seed=1), PartialCirculant((3, 8, 8), 0.8, seed=1)]
)
def test_a_direction_is_found_from_measurements(operator) -> None:
    _, direction, pictures = truth()
    prior = StyleGANPrior(tiny())
    discovery = discover(
        *measured_series(pictures, prior, operator),
        prior,
        optimiser=Adam(0.1),
        direction_rate=1.0,
        scale_rate=2.0,
        steps=200,
    )
    assert cosine(discovery.directions[0].rows, direction) > 0.95


def test_measurements_of_ones_own_are_taken() -> None:
    _, _, pictures = truth()
    whole = series(Identity((3, 8, 8)), 4)
    measured = measure(whole.joined(pictures[None]), whole, GaussianNoise(sigma=0.1), seed=4)
    options = {"optimiser": Adam(0.1), "steps": 4}
    prior = StyleGANPrior(tiny())
    noisy = discover(measured, whole, prior, **options)
    clean = discover(*measured_series(pictures, prior), prior, terms=[DataMisfit()], **options)
    assert float(noisy.solution.trace["misfit"][0]) > float(clean.solution.trace["misfit"][0])
    with pytest.raises(MeasurementError, match="shape"):
        discover(measured, series(Identity((3, 8, 8)), 3), prior)


def test_what_makes_no_sense_is_refused() -> None:
    prior, pictures = StyleGANPrior(tiny()), torch.zeros(1, 3, 8, 8)
    with pytest.raises(ArgumentError, match="at least one variant"):
        measured_series(pictures, prior)
    with pytest.raises(ArgumentError, match="not one picture"):
        whole = series(Identity((3, 8, 8)), 1)
        discover(measure(pictures, whole), whole, prior, steps=2)
    with pytest.raises(ShapeError, match="draws"):
        discover(*measured_series(torch.zeros(2, 3, 16, 16), prior), prior, steps=2)
    with pytest.raises(ArgumentError, match="margin"):
        seen = measured_series(torch.zeros(2, 3, 8, 8), prior)
        discover(*seen, prior, margin=-1.0, steps=2)
    with pytest.raises(ShapeError, match="truth must be"):
        known()[1].psnr(torch.zeros(1, 2, 3, 8, 8))
