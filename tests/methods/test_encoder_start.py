"""Where an encoder makes a solve begin: what it sees, what it finds, and methods that take it."""

from pathlib import Path

import networks
import pytest
import torch

import invprob
from invprob.errors import ArgumentError, EncoderError, PriorError
from invprob.methods import make, restore
from invprob.methods.encoder_start import EncoderStart, visible
from invprob.operators import Gamma, Identity, Operator, PartialCirculant, PhaseRetrieval
from invprob.priors import Generator, load_generator, save_generator
from invprob.priors.encoder_files import (
    KINDS,
    Kind,
    Trained,
    build_encoder,
    encoder_path,
    load_encoder,
    save_encoders,
)
from invprob.priors.encoders import BASE_LAYER

SHAPE = (3, 32, 32)


@pytest.fixture
def generator(tmp_path: Path) -> Generator:
    """A small generator with encoders, untrained, beside its file."""
    path = tmp_path / "small.safetensors"
    save_generator(networks.random_generator(), path)
    loaded = load_generator(path)
    torch.manual_seed(1)
    trained: dict[Kind, Trained] = {
        kind: Trained(build_encoder(kind, loaded.config).eval(), {}) for kind in KINDS
    }
    save_encoders(trained, loaded, encoder_path(path))
    return loaded


def _images(batch: int = 2) -> torch.Tensor:
    return torch.rand(batch, *SHAPE, generator=torch.Generator().manual_seed(2)) * 2 - 1


@pytest.mark.parametrize("operator", [Identity(SHAPE), Gamma(SHAPE, exponent=2.0)])
def test_a_measurement_of_the_images_shape_is_seen_itself(operator: Operator) -> None:
    images = _images()
    measured = invprob.measure(images, operator)
    assert torch.equal(visible(measured, operator), operator(images).clamp(-1, 1))


def test_else_the_least_squares_image_is_seen() -> None:
    operator = PartialCirculant(SHAPE, ratio=0.3, seed=0)
    images = _images(1)
    dense = torch.stack(
        [operator(row.view(1, *SHAPE))[0] for row in torch.eye(images.numel())], 1
    ).double()
    measured = invprob.measure(images, operator)
    least = torch.linalg.pinv(dense) @ measured.values[0].double()
    seen = visible(measured, operator)[0].flatten().double()
    torch.testing.assert_close(seen, least.clamp(-1, 1), rtol=1e-3, atol=1e-3)


def test_what_cannot_be_seen_is_an_error() -> None:
    operator = PhaseRetrieval(SHAPE)
    measured = invprob.measure(_images(1), operator)
    with pytest.raises(EncoderError, match=r"not linear.*nothing to look at.*--init default"):
        visible(measured, operator)


def test_a_start_names_what_was_found(generator: Generator) -> None:
    operator = Identity(SHAPE)
    measured = invprob.measure(_images(), operator)
    rows = EncoderStart(load_encoder(generator, "toolkit"))(measured, operator)
    assert {name: tuple(value.shape) for name, value in rows.items()} == {"styles": (2, 8, 16)}
    code = EncoderStart(load_encoder(generator, "base-code"))(measured, operator)
    assert BASE_LAYER == 4
    assert {name: tuple(value.shape) for name, value in code.items()} == {
        "features.4": (2, 8, 16, 16)
    }


def test_a_method_begins_at_what_the_encoder_finds(generator: Generator) -> None:
    """After one step of a tiny rate the rows are those of the encoder, image by image."""
    operator = Identity(SHAPE)
    measured = invprob.measure(_images(), operator)
    solution = restore(
        measured,
        "w-plus",
        generator,
        init="encoder",
        steps=1,
        options={"learning_rate": 1e-9},
    )
    found = load_encoder(generator, "toolkit")(measured.values)
    torch.testing.assert_close(solution.realised["styles"], found, rtol=0, atol=1e-6)
    assert (found[0] - found[1]).abs().max() > 1e-3


@pytest.mark.parametrize("method", ["sphinx", "w-plus-s-b", "i2s", "bdinvert"])
def test_other_methods_take_it_too(generator: Generator, method: str) -> None:
    measured = invprob.measure(_images(1), Identity(SHAPE))
    plain, led = (
        restore(measured, method, generator, init=init, steps=2)  # type: ignore[arg-type]
        for init in ("default", "encoder")
    )
    assert not torch.equal(plain.realised["styles"], led.realised["styles"])
    assert led.outcome.status == "finished"


def test_methods_without_style_rows_refuse_it(generator: Generator) -> None:
    measured = invprob.measure(_images(1), Identity(SHAPE))
    with pytest.raises(PriorError, match="Z cannot start from style rows"):
        restore(measured, "pgd-z", generator, init="encoder", steps=2)
    with pytest.raises(ArgumentError, match=r"'tv' searches no generator.*--init default"):
        make("tv", None, SHAPE, init="encoder")
    with pytest.raises(ArgumentError, match=r"init must be one of .*, got 'encode'"):
        make("w-plus", generator, SHAPE, init="encode")  # type: ignore[arg-type]


def test_without_an_encoder_nothing_starts() -> None:
    with pytest.raises(EncoderError, match="never saved"):
        make("w-plus", networks.random_generator(), SHAPE, init="encoder")
