"""A generator cut at a lower resolution: the colour sum of the whole network up to there."""

from pathlib import Path

import networks
import pytest
import reference_stylegan2
import torch

from invprob.errors import ArgumentError
from invprob.priors import GeneratorConfig, StyleGANPrior, load_generator, save_generator
from invprob.priors.base import Prior
from invprob.priors.generator_files import fingerprint
from invprob.priors.stylegan.extras import (
    Extras,
    FactorDirection,
    extras_path,
    load_extras,
    save_extras,
)
from invprob.priors.stylegan.statistics import sample_statistics

CONFIG = GeneratorConfig(64, (7, 6, 5, 4, 3), style_width=8, mapping_layers=2, z_width=5, clamp=2.0)


@pytest.mark.parametrize("size", [8, 16, 32])
def test_images_are_the_lower_colour_sums(size: int) -> None:
    """The reference runs as many blocks as there are style rows for, on the whole network."""
    config = GeneratorConfig(64, (7, 6, 5, 4, 3), style_width=8, mapping_layers=2)
    whole = networks.random_generator(config, dtype=torch.float64)
    part = whole.truncate(size)
    rng = torch.Generator().manual_seed(2)
    styles = torch.randn(2, part.num_layers, 8, generator=rng, dtype=torch.float64)
    content = whole.constant.expand(2, -1, -1, -1)
    maps = whole.noise_maps()
    expected = reference_stylegan2.synthesis(whole.state_dict(), styles, content, maps)
    assert tuple(expected.shape[1:]) == part.image_shape == (3, size, size)
    torch.testing.assert_close(part.synthesis(styles), expected, rtol=1e-9, atol=1e-10)
    assert part.noise_shapes == whole.noise_shapes[: part.num_layers - 1]
    assert torch.equal(part.mean_w, whole.mean_w)
    assert torch.equal(part.mapping(styles[:, 0]), whole.mapping(styles[:, 0]))


def test_the_dropped_layers_are_listed() -> None:
    whole = networks.random_generator(CONFIG)
    part = whole.truncate(16)
    left = [name for name in whole.state_dict() if name not in part.state_dict()]
    assert left and all(name.startswith(tuple(f"{d}." for d in part.dropped)) for name in left)
    assert part.dropped == ("layers.5", "layers.6", "layers.7", "layers.8", "to_rgb.3", "to_rgb.4")
    assert part.options == {"resolution": 16}
    assert part.config.clamp == 2.0 and part.z_width == 5
    assert whole.truncate(64) is whole and whole.dropped == ()
    assert fingerprint(whole.truncate(32).truncate(16)) == fingerprint(part)
    assert set(whole.truncate(32).truncate(16).dropped) == set(part.dropped)
    assert not any(value.requires_grad for value in part.parameters())


@pytest.mark.parametrize("size", [4, 24, 128, 0, -8])
def test_sizes_that_it_does_not_have_are_refused(size: int) -> None:
    whole = networks.random_generator(CONFIG)
    with pytest.raises(ArgumentError, match=rf"from 8 to 64, .* not {size}$"):
        whole.truncate(size)


def test_priors_and_extras_follow(tmp_path: Path) -> None:
    whole = networks.random_generator(CONFIG)
    path = tmp_path / "whole.safetensors"
    save_generator(whole, path)
    rng = torch.Generator().manual_seed(0)
    directions = {
        "low": FactorDirection("low", torch.ones(8), (0, 1, 2), 1.0, 0.0),
        "both": FactorDirection("both", torch.ones(8), (4, 5, 6, 9), 1.0, 0.0),
        "fine": FactorDirection("fine", torch.ones(8), (8, 9), 1.0, 0.0),
    }
    extras = Extras(sample_statistics(whole, rng, count=200), directions)
    save_extras(extras, whole, extras_path(path))
    part = load_generator(path, resolution=16)
    found = load_extras(path, part)
    assert {name: d.rows for name, d in found.directions.items()} == {
        "low": (0, 1, 2),
        "both": (4, 5),
    }
    assert torch.equal(found.statistics.mean, load_extras(path, whole).statistics.mean)
    prior = StyleGANPrior(part)
    again = Prior.from_spec(prior.spec())
    code = prior.start(1, rng)
    realised = prior.realise(code, rng)
    assert torch.equal(again.render(realised), prior.render(realised))
    assert tuple(again.render(realised).shape) == (1, 3, 16, 16)
