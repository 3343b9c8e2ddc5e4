"""Native generator files: exact round trips, and every kind of damage refused by name."""

import json
from pathlib import Path

import networks
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from invprob.errors import ArgumentError, GeneratorFileError, UnknownNameError
from invprob.priors import GeneratorConfig, StyleGANPrior, load_generator, save_generator
from invprob.priors.generator_files import find_generator, fingerprint


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.safetensors"
    save_generator(networks.random_generator(), path)
    return path


def rewrite(path: Path, change: dict[str, Tensor | None], header: dict[str, object]) -> None:
    """Write the file again with tensors replaced (None: removed) and header fields changed."""
    with safe_open(path, "pt") as file:
        metadata = json.loads(file.metadata()["invprob"])
    tensors = load_file(path)
    for name, value in change.items():
        if value is None:
            del tensors[name]
        else:
            tensors[name] = value
    save_file(tensors, path, metadata={"invprob": json.dumps({**metadata, **header})})


def test_float32_files_are_exact(path: Path) -> None:
    generator, loaded = networks.random_generator(), load_generator(path)
    assert loaded.config == generator.config
    assert loaded.source == str(path)
    z = torch.randn(2, generator.style_width)
    assert torch.equal(loaded(z), generator(z))
    assert fingerprint(loaded) == fingerprint(generator)
    assert not any(value.requires_grad for value in loaded.parameters())


def test_half_precision_halves_the_file_and_loads_as_float32(path: Path, tmp_path: Path) -> None:
    generator = networks.random_generator()
    half = tmp_path / "half.safetensors"
    save_generator(generator, half, dtype=torch.float16)
    assert half.stat().st_size < 0.75 * path.stat().st_size
    loaded = load_generator(half)
    z = torch.randn(2, generator.style_width)
    assert loaded(z).dtype == torch.float32
    assert (loaded(z) - generator(z)).norm() / generator(z).norm() < 1e-2


@pytest.mark.parametrize(
    ("change", "header", "message"),
    [
        ({"to_rgb.1.bias": None}, {}, "to_rgb.1.bias is missing"),
        ({"extra": torch.zeros(2)}, {}, "extra is not part of the network"),
        ({"mean_w": torch.zeros(3)}, {}, r"mean_w is \(3,\), not \(16,\)"),
        ({"mean_w": torch.full((16,), torch.nan)}, {}, "NaN or infinite values in mean_w"),
        ({}, {"format": "stylegan9"}, "holds 'stylegan9'"),
        ({}, {"version": 99}, "format version '99'"),
        ({}, {"config": {"resolution": 32}}, "a generator config has the fields"),
        ({}, {"config": {**networks.SMALL.to_json(), "resolution": "32"}}, "whole numbers"),
    ],
)
def test_damage_is_named(
    path: Path, change: dict[str, Tensor | None], header: dict[str, object], message: str
) -> None:
    rewrite(path, change, header)
    with pytest.raises(GeneratorFileError, match=message):
        load_generator(path)


def test_no_more_than_five_problems_are_listed(path: Path) -> None:
    rewrite(path, {f"extra{index}": torch.zeros(1) for index in range(9)}, {})
    with pytest.raises(GeneratorFileError, match="and 4 more"):
        load_generator(path)


def test_other_files_are_refused(path: Path, tmp_path: Path) -> None:
    with pytest.raises(GeneratorFileError, match="there is no generator file"):
        load_generator(tmp_path / "missing.safetensors")
    with pytest.raises(GeneratorFileError, match="a directory, not a generator file"):
        load_generator(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(GeneratorFileError, match="damaged safetensors"):
        load_generator(path)
    path.write_bytes(b"hello")
    with pytest.raises(GeneratorFileError, match="not a generator file"):
        load_generator(path)
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(GeneratorFileError, match="no StyleGAN2 generator is known by"):
        load_generator(path)


def test_unknown_names_are_lookup_errors() -> None:
    with pytest.raises(UnknownNameError, match="no generator is named 'nobody'"):
        load_generator("nobody")


def test_the_fingerprint_follows_the_weights() -> None:
    generator = networks.random_generator()
    before = fingerprint(generator)
    assert fingerprint(generator.double()) == before
    with torch.no_grad():
        generator.synthesis_layers()[2].bias[0] += 1e-3
    assert fingerprint(generator) != before


EXTENDED = GeneratorConfig(
    16,
    (4, 3, 2),
    style_width=6,
    mapping_layers=3,
    z_width=5,
    hidden_width=7,
    labels=3,
    label_width=2,
    clamp=1.5,
)


def version_of(path: Path) -> int:
    with safe_open(path, "pt") as file:
        return int(json.loads(file.metadata()["invprob"])["version"])


def test_what_says_more_is_of_the_second_version(path: Path, tmp_path: Path) -> None:
    """Files that the first version can describe stay of the first, so that old releases read."""
    assert version_of(path) == 1
    generator = networks.random_generator(EXTENDED)
    extended = tmp_path / "extended.safetensors"
    save_generator(generator, extended, origin={"source": "theirs.pkl"})
    assert version_of(extended) == 2
    loaded = load_generator(extended)
    assert loaded.config == EXTENDED
    z, label = torch.randn(2, 5), torch.eye(3)[:2]
    assert torch.equal(loaded.mapping(z, label), generator.mapping(z, label))
    assert fingerprint(loaded) == fingerprint(generator)
    chosen = load_generator(extended, label=1, resolution=8)
    assert chosen.options == {"resolution": 8, "label": 1}
    torch.testing.assert_close(chosen.mapping(z)[1], generator.mapping(z, label)[1])


def test_a_configuration_has_one_spelling() -> None:
    plain = networks.SMALL
    spelt = GeneratorConfig(
        32, plain.channels, 16, 2, z_width=16, hidden_width=16, labels=0, label_width=9
    )
    assert spelt == plain and not spelt.extended
    assert set(spelt.to_json()) == {"resolution", "channels", "style_width", "mapping_layers"}
    assert GeneratorConfig.from_json(EXTENDED.to_json()) == EXTENDED


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"clamp": 0}, "clamp must be positive"),
        ({"clamp": "256"}, "clamp must be a number"),
        ({"labels": -1}, "labels must not be negative"),
        ({"z_width": 2.5}, "whole numbers"),
        ({"z_witdh": 4}, "a generator config has the fields"),
    ],
)
def test_bad_later_fields_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        GeneratorConfig.from_json({**networks.SMALL.to_json(), **change})


def test_the_shipped_file_is_what_it_was() -> None:
    generator = load_generator("faces-128")
    assert version_of(find_generator("faces-128")) == 1
    assert fingerprint(generator).startswith("3253d45baf59d775d71f671f3cb26d1e9a169be8a9b751e4")


def test_a_conditional_generator_without_a_class_is_no_prior() -> None:
    generator = networks.random_generator(EXTENDED)
    with pytest.raises(ArgumentError, match="one of 3 classes: choose one, --label N"):
        StyleGANPrior(generator)
    assert StyleGANPrior(generator.with_label(2)).spec()["label"] == 2
