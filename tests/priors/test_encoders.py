"""Encoders: shapes, the layer that a base code enters, files and their refusals, what ships."""

import json
from importlib import resources
from pathlib import Path

import networks
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn

from invprob.encoder.scores import distance_ratio, draw_from_base, held_out, redraw, rows_of
from invprob.errors import ArgumentError, EncoderError
from invprob.priors import Generator, GeneratorConfig, load_generator, save_generator
from invprob.priors.encoder_files import (
    KINDS,
    Kind,
    Trained,
    build_encoder,
    encoder_path,
    load_all,
    load_encoder,
    save_encoders,
)
from invprob.priors.encoders import BASE_LAYER, BASE_SIZE, Encoder, fitted
from invprob.priors.stylegan.fused_layer import Features

SHIPPED = "faces-128"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A generator's file with both encoders, untrained, beside it."""
    path = tmp_path / "small.safetensors"
    save_generator(networks.random_generator(), path)
    generator = load_generator(path)
    trained: dict[Kind, Trained] = {
        kind: Trained(_encoder(kind, generator), {"taken": 3}) for kind in KINDS
    }
    save_encoders(trained, generator, encoder_path(path))
    return path


def _encoder(kind: str, generator: Generator) -> Encoder:
    torch.manual_seed(1)
    encoder = build_encoder(kind, generator.config)  # type: ignore[arg-type]
    return encoder.eval()


@pytest.mark.parametrize("size", [(128, 128), (64, 64), (300, 200), (31, 47)])
def test_images_of_any_size_give_rows_and_base_codes(size: tuple[int, int]) -> None:
    generator = networks.random_generator()
    images = torch.rand(2, 3, *size) * 2 - 1
    rows = _encoder("toolkit", generator)(images)
    assert rows.shape == (2, generator.num_layers, generator.style_width)
    codes = _encoder("base-code", generator)(images)
    assert codes.shape == (2, generator.config.channels[2], BASE_SIZE, BASE_SIZE)


def test_larger_images_are_averaged_and_smaller_ones_interpolated() -> None:
    image = torch.rand(1, 3, 256, 256)
    blocks = image.numpy().reshape(1, 3, 128, 2, 128, 2).mean((3, 5))
    np.testing.assert_allclose(fitted(image), blocks, atol=1e-6)
    small = torch.rand(1, 3, 64, 64)
    assert torch.equal(fitted(small), F.interpolate(small, (128, 128), mode="bilinear"))


@pytest.mark.parametrize("kind", KINDS)
def test_images_of_a_batch_do_not_mix(kind: str) -> None:
    encoder = _encoder(kind, networks.random_generator()).double()
    images = torch.rand(3, 3, 64, 64, dtype=torch.float64)
    torch.testing.assert_close(encoder(images)[1:2], encoder(images[1:2]), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_brightness_reaches_the_output(kind: str) -> None:
    """Normalisation must not hide how bright an image is as a whole."""
    encoder = _encoder(kind, networks.random_generator())
    image = torch.rand(1, 3, 128, 128) - 0.5
    plain, bright = encoder(image), encoder(image + 0.3)
    spread = (plain - plain.mean()).norm()
    assert (bright - plain).norm() > 0.05 * spread


def test_the_base_code_is_what_enters_the_layer_after_the_up_convolution() -> None:
    """BDInvert: the output of synthesis layer 2(log2 S - 2) - 1, S = 16, is replaced."""
    generator = networks.random_generator(dtype=torch.float64)
    replaced = 2 * (int(np.log2(BASE_SIZE)) - 2) - 1
    entered: dict[int, torch.Tensor] = {}

    def note(module: nn.Module, inputs: tuple[Features, ...], output: Features) -> None:
        at = replaced if module is generator.layers[replaced] else BASE_LAYER
        entered[at] = (output if at == replaced else inputs[0]).plain()

    for index in (replaced, BASE_LAYER):
        generator.layers[index].register_forward_hook(note)
    styles = torch.randn(1, generator.num_layers, generator.style_width, dtype=torch.float64)
    generator.synthesis(styles)
    code = entered[replaced]
    assert replaced == 3 and generator.layers[replaced].doubling
    assert torch.equal(code, entered[BASE_LAYER])
    assert code.shape[2:] == (BASE_SIZE, BASE_SIZE)
    # The same image but for the RGB skip from below, which is left out: it enters linearly.
    image = draw_from_base(generator, code, styles)
    skipped = generator.synthesis(styles) - image
    lower = torch.randn_like(styles)
    lower[:, BASE_LAYER + 1 :] = styles[:, BASE_LAYER + 1 :]
    assert torch.equal(draw_from_base(generator, code, lower)[0], image[0]) is False
    lower[:, BASE_LAYER:] = styles[:, BASE_LAYER:]
    assert torch.equal(draw_from_base(generator, code, lower), image)
    assert skipped.abs().max() > 0


@pytest.mark.parametrize("kind", KINDS)
def test_round_trip_in_half_precision(file: Path, kind: str) -> None:
    generator = load_generator(file)
    encoder = load_encoder(generator, kind)  # type: ignore[arg-type]
    assert not encoder.training
    assert not any(value.requires_grad for value in encoder.parameters())
    for name, value in _encoder(kind, generator).state_dict().items():
        found = encoder.state_dict()[name]
        assert found.dtype == value.dtype
        assert torch.equal(found, value.half().to(value) if value.is_floating_point() else value)


def test_the_other_kind_can_be_kept(file: Path) -> None:
    generator = load_generator(file)
    both = load_all(encoder_path(file), generator)
    assert set(both) == set(KINDS)
    assert both["toolkit"].record["taken"] == 3
    assert both["toolkit"].record["architecture"] == "ToolkitEncoder"


def test_an_encoder_of_another_generator_is_refused(file: Path) -> None:
    save_generator(networks.random_generator(seed=1), file)
    with pytest.raises(EncoderError, match=r"was trained for the generator .*train-encoder"):
        load_encoder(load_generator(file), "toolkit")


def test_what_is_missing_says_how_to_train_it(file: Path) -> None:
    generator = load_generator(file)
    both = load_all(encoder_path(file), generator)
    save_encoders({"toolkit": both["toolkit"]}, generator, encoder_path(file))
    with pytest.raises(EncoderError, match=r"no 'base-code' encoder.*--kind base-code"):
        load_encoder(generator, "base-code")
    encoder_path(file).unlink()
    with pytest.raises(EncoderError, match=rf"invprob train-encoder --prior {file}"):
        load_encoder(generator, "toolkit")
    with pytest.raises(EncoderError, match="never saved"):
        load_encoder(networks.random_generator(), "toolkit")
    with pytest.raises(ArgumentError, match="toolkit or base-code"):
        load_encoder(generator, "pixels")  # type: ignore[arg-type]


def test_damage_is_named(file: Path) -> None:
    generator, path = load_generator(file), encoder_path(file)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(EncoderError, match="not an encoder file"):
        load_encoder(generator, "toolkit")
    path.write_bytes(whole)
    size = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + size])["__metadata__"]
    tensors = load_file(path)
    tensors["toolkit.mean_w"][0] = torch.nan
    save_file(tensors, path, header)
    with pytest.raises(EncoderError, match=r"toolkit\.mean_w has NaN"):
        load_encoder(generator, "toolkit")
    del tensors["toolkit.mean_w"]
    save_file(tensors, path, header)
    with pytest.raises(EncoderError, match=r"toolkit\.mean_w is missing"):
        load_encoder(generator, "toolkit")
    save_file(tensors, path)
    with pytest.raises(EncoderError, match="not an encoder file"):
        load_encoder(generator, "toolkit")


def test_small_generators_of_other_shapes_have_encoders() -> None:
    config = GeneratorConfig(64, (6, 6, 6, 6, 6), 8, 2)
    generator = networks.random_generator(config)
    rows = _encoder("toolkit", generator)(torch.zeros(1, 3, 64, 64))
    assert rows.shape == (1, 10, 8)


# ---------------------------------------------------------------------------------------- shipped


def test_the_shipped_encoders_are_small() -> None:
    folder = resources.files("invprob.priors") / "data"
    path = Path(str(folder)) / "faces-128-encoder.safetensors"
    assert path.stat().st_size <= 8 * 2**20


def test_the_shipped_encoder_goes_more_than_half_the_way_to_held_out_w() -> None:
    """Mean ||E(G(w)) - w|| over that of ||mean w - w||, 256 w not trained on; its record: 0.494."""
    generator = load_generator(SHIPPED)
    encoder = load_encoder(generator, "toolkit")
    assert 0.48 < distance_ratio(encoder, generator, held_out(generator, 256)) < 0.5


def test_the_shipped_encoder_draws_the_image_again() -> None:
    """On held-out samples its image is far nearer than the mean image."""
    generator = load_generator(SHIPPED)
    encoder = load_encoder(generator, "toolkit")
    rows = rows_of(generator, held_out(generator, 16, seed=1))
    images = generator.synthesis(rows)
    mean = generator.synthesis(rows_of(generator, generator.mean_w[None])).expand_as(images)
    drawn = redraw(generator, encoder, images, rows)
    assert F.mse_loss(drawn, images) < 0.2 * F.mse_loss(mean, images)


def test_the_shipped_base_codes_draw_the_image() -> None:
    generator = load_generator(SHIPPED)
    encoder = load_encoder(generator, "base-code")
    rows = rows_of(generator, held_out(generator, 8, seed=1))
    images = generator.synthesis(rows)
    drawn = draw_from_base(generator, encoder(images), rows)
    mean = generator.synthesis(rows_of(generator, generator.mean_w[None])).expand_as(images)
    assert F.mse_loss(drawn, images) < 0.1 * F.mse_loss(mean, images)
