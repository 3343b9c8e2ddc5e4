"""Native generator files: exact round trips, and every kind of damage refused by name."""

import json
from pathlib import Path

import networks
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from invprob.errors import GeneratorFileError, UnknownNameError
from invprob.priors import load_generator, save_generator
from invprob.priors.files import fingerprint


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
        ({}, {"version": 99}, "format version 99"),
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
