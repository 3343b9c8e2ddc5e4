"""Whether a generator can draw what was measured: shares by hand, and the shipped generator."""

import networks
import pytest
import torch
from torch import Tensor

import invprob
from invprob.errors import EncoderError
from invprob.methods import make
from invprob.methods.likeness import FOUND, UNLIKE, Likeness, likeness
from invprob.operators import (
    AreaDownsample,
    Gamma,
    GaussianNoise,
    Identity,
    Operator,
    PartialCirculant,
    PhaseRetrieval,
)
from invprob.priors import Generator, load_generator
from invprob.priors.encoder_files import load_encoder
from invprob.priors.encoders import ToolkitEncoder
from invprob.run.samples import load_sample
from invprob.run.unlike import unlike_notes

SHAPE = (3, 128, 128)


@pytest.fixture(scope="module")
def generator() -> Generator:
    return load_generator("faces-128")


@pytest.fixture(scope="module")
def encoder(generator: Generator) -> ToolkitEncoder:
    found = load_encoder(generator, "toolkit")
    assert isinstance(found, ToolkitEncoder)
    return found


def own_image(generator: Generator) -> Tensor:
    """An image that the generator drew, of another seed than those compared with."""
    z = torch.randn(1, generator.z_width, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        styles = generator.mapping(z)[:, None].expand(-1, generator.num_layers, -1)
        return generator.synthesis(styles.contiguous()).clamp(-1, 1)


@pytest.mark.parametrize("operator", [Identity(SHAPE), AreaDownsample(SHAPE, factor=4)])
def test_a_cat_is_no_face(
    operator: Operator, generator: Generator, encoder: ToolkitEncoder
) -> None:
    images = torch.cat([own_image(generator), load_sample("cat", size=128)])
    found = likeness(invprob.measure(images, operator), operator, generator, encoder)
    assert found.telling and found.own < FOUND
    assert found.left[0] < FOUND < UNLIKE < found.left[1]
    assert found.unlike() == [1]


def test_the_share_is_that_of_the_formula(generator: Generator, encoder: ToolkitEncoder) -> None:
    """With every pixel measured, by hand and in float64."""
    image = load_sample("retina", size=128)
    operator = Identity(SHAPE)
    found = likeness(invprob.measure(image, operator), operator, generator, encoder)
    with torch.no_grad():
        nearest = generator.synthesis(encoder(image)).clamp(-1, 1).double()
        rows = generator.mean_w.expand(1, generator.num_layers, -1).contiguous()
        mean = generator.synthesis(rows).clamp(-1, 1).double()
    expected = (nearest - image).square().sum() / (mean - image).square().sum()
    assert float(found.left) == pytest.approx(float(expected), rel=1e-4)


def test_nothing_is_told_behind_few_random_measurements(
    generator: Generator, encoder: ToolkitEncoder
) -> None:
    operator = PartialCirculant(SHAPE, ratio=0.02, seed=1)
    measurements = invprob.measure(load_sample("cat", size=128), operator)
    found = likeness(measurements, operator, generator, encoder)
    assert not found.telling and found.unlike() == []


def test_what_the_encoder_cannot_look_at_is_refused(
    generator: Generator, encoder: ToolkitEncoder
) -> None:
    operator = PhaseRetrieval(SHAPE)
    measurements = invprob.measure(load_sample("cat", size=128), operator)
    with pytest.raises(EncoderError):
        likeness(measurements, operator, generator, encoder)


def test_a_batch_tells_what_single_images_do(generator: Generator, encoder: ToolkitEncoder) -> None:
    images = torch.cat([load_sample(name, size=128) for name in ("cat", "face")])
    operator, noise = Gamma(SHAPE, exponent=0.5), GaussianNoise(sigma=0.05)
    both = likeness(invprob.measure(images, operator, noise), operator, generator, encoder)
    for index, image in enumerate(images):
        alone = invprob.measure(image[None], operator, noise)
        left = likeness(alone, operator, generator, encoder).left
        assert float(left) == pytest.approx(float(both.left[index]), rel=1e-4)


def test_only_shares_where_the_encoder_finds_its_own_images_count() -> None:
    left = torch.tensor([0.2, 0.5, 1.3])
    assert Likeness(left, own=0.1).unlike() == [1, 2]
    assert Likeness(left, own=0.36).unlike() == []


def test_the_line_says_what_to_do(generator: Generator) -> None:
    operator = Identity(SHAPE)
    measurements = invprob.measure(load_sample("cat", size=128), operator)
    frozen, moving = (make(name, generator, SHAPE) for name in ("w-plus", "sphinx-adapted"))
    (line,) = unlike_notes(measurements, operator, generator, ["cat"], frozen)
    assert line.startswith("cat is unlike what faces-128 draws: ")
    assert line.endswith("such as sphinx-adapted")
    (other,) = unlike_notes(measurements, operator, generator, ["cat"], moving)
    assert other.endswith("; its weights adapt to it")


def test_without_an_encoder_there_is_no_line() -> None:
    small = networks.random_generator()
    operator = Identity((3, 32, 32))
    measurements = invprob.measure(torch.ones(1, 3, 32, 32), operator)
    recipe = make("w-plus", small, (3, 32, 32))
    assert unlike_notes(measurements, operator, small, ["white"], recipe) == []
