"""Every generator that ships inside the package: its card, its companion, what it draws."""

import pytest
import torch

from invprob.files import sha256_of
from invprob.latents import find_direction
from invprob.priors import load_generator
from invprob.priors.generator_files import card_of, find_generator
from invprob.priors.stylegan.extras import extras_path, load_extras
from invprob.priors.stylegan.inputs import SynthesisInputs
from invprob.priors.stylegan.synthesis import synthesise
from invprob.registry import register

NAMES = sorted(register.generator)


@pytest.mark.parametrize("name", NAMES)
def test_the_card_says_what_lies_there(name: str) -> None:
    path, card = find_generator(name), card_of(name)
    assert path.stat().st_size <= 16 * 2**20
    assert sha256_of(path) == card["sha256"]
    generator = load_generator(name)
    assert generator.config.to_json() == card["config"]
    assert generator.source == name
    assert (path.parent / card["card"]).is_file()
    assert card["licence"] == "CC0-1.0"
    assert all(isinstance(value, float | int | str) for value in card["figures"].values())


@pytest.mark.parametrize("name", NAMES)
def test_statistics_beside_it_are_those_of_fresh_draws(name: str) -> None:
    generator = load_generator(name)
    statistics = load_extras(name, generator).statistics
    z = torch.randn(20_000, generator.style_width, generator=torch.Generator().manual_seed(7))
    w = generator.mapping(z).double()
    v = torch.where(w < 0, 5 * w, w)
    spread = float(statistics.std_w)
    assert (w.mean(0) - statistics.mean_w).norm() < 0.03 * spread
    assert (w - w.mean(0)).square().sum(1).mean().sqrt() == pytest.approx(spread, rel=0.02)
    assert (generator.mean_w - statistics.mean_w).norm() < 1e-2 * spread
    # A covariance of n Gaussian draws is off by (tr² + ||C||²) / n on average, squared.
    true = statistics.covariance
    off = ((true.trace() ** 2 + true.square().sum()) / len(v)).sqrt()
    assert (torch.cov(v.T) - true).norm() < 1.5 * off


@pytest.mark.parametrize("name", NAMES)
def test_directions_do_what_their_figures_say(name: str) -> None:
    """Brightness of the whole image follows exposure; a turned head shows more of one side."""
    generator = load_generator(name)
    directions = load_extras(name, generator).directions
    expected = {"smile", "age", "sex", "yaw", "pitch", "light_azimuth", "hair_brightness"}
    assert expected <= set(directions)
    for direction in directions.values():
        assert direction.vector.shape == (generator.style_width,)
        assert direction.rows == tuple(range(generator.num_layers))
    z = torch.randn(8, generator.style_width, generator=torch.Generator().manual_seed(3))
    styles = generator.mapping(z)[:, None].expand(-1, generator.num_layers, -1)
    inputs = SynthesisInputs(styles=styles)

    def drawn(name: str, amount: float) -> torch.Tensor:
        direction = find_direction(name, generator)
        moved = direction.move(generator, inputs, torch.full((8,), amount))
        return synthesise(generator, moved).clamp(-1, 1)

    brighter = drawn("exposure", 1.5).mean() - drawn("exposure", -1.5).mean()
    assert brighter > 0.05
    left = (drawn("light_azimuth", 1.5) - drawn("light_azimuth", -1.5))[..., 40:110, 24:104]
    one, other = left[..., :40].mean(), left[..., 40:].mean()
    assert one * other < 0 and (one - other).abs() > 0.1  # light moves from one cheek to the other


@pytest.mark.parametrize("name", NAMES)
def test_samples_are_varied_images(name: str) -> None:
    generator = load_generator(name)
    z = torch.randn(24, generator.style_width, generator=torch.Generator().manual_seed(5))
    images = generator(z)
    assert images.shape == (24, *generator.image_shape)
    assert images.abs().mean() < 1
    assert images.std(0).mean() > 0.2  # no collapsed mode
    assert extras_path(find_generator(name)).exists()
