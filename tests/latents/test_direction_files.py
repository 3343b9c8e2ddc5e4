"""Files of directions: round trip, and refusal of what does not belong."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import networks
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from invprob.errors import ArgumentError, FileError, ShapeError
from invprob.latents import (
    Direction,
    ScaleDirection,
    StyleDirection,
    load_directions,
    save_directions,
    together,
)
from invprob.priors import Generator, load_generator, save_generator

WIDTHS = [12, 12, 12, 10, 10, 10, 8, 8, 8, 6, 6]  # what each modulated convolution takes


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def smile() -> StyleDirection:
    return StyleDirection("smile", numbers(8, 16), "one step", {"moved": 0.8, "by": "hand"})


def glow() -> ScaleDirection:
    return ScaleDirection("glow", [numbers(width, seed=9) for width in WIDTHS])


@pytest.fixture
def generator(tmp_path: Path) -> Generator:
    save_generator(networks.random_generator(), tmp_path / "small.safetensors")
    return load_generator(tmp_path / "small.safetensors")


@pytest.fixture
def file(tmp_path: Path, generator: Generator) -> Path:
    path = tmp_path / "directions.safetensors"
    save_directions([smile(), glow()], generator, path)
    return path


def test_round_trip(file: Path, generator: Generator) -> None:
    found = load_directions(file, generator)
    assert list(found) == ["smile", "glow"]
    styled, scaled = found["smile"], found["glow"]
    assert isinstance(styled, StyleDirection) and isinstance(scaled, ScaleDirection)
    assert torch.equal(styled.rows, smile().rows)
    assert (styled.unit, styled.facts) == ("one step", {"moved": 0.8, "by": "hand"})
    assert all(map(torch.equal, scaled.scales, glow().scales))
    assert (scaled.unit, scaled.facts) == ("the length of the vector", {})


def test_numbers_keep_their_precision(tmp_path: Path, generator: Generator) -> None:
    rows = numbers(8, 16).double() / 3
    save_directions([StyleDirection("x", rows)], generator, tmp_path / "x.safetensors")
    (found,) = load_directions(tmp_path / "x.safetensors", generator).values()
    assert isinstance(found, StyleDirection)
    assert torch.equal(found.rows, rows)


def test_the_file_is_plain(file: Path) -> None:
    """What another program finds in it."""
    with safe_open(file, "pt") as content:
        header = json.loads(content.metadata()["invprob"])
        assert sorted(content.keys())[:2] == ["0.0", "1.0"]
    assert (header["format"], header["version"]) == ("directions", 1)
    assert len(header["generator"]) == 64
    assert [one["kind"] for one in header["directions"]] == ["styles", "scales"]


def test_a_truncated_generator_takes_its_rows(file: Path, generator: Generator) -> None:
    found = load_directions(file, generator.truncate(16))
    styled, scaled = found["smile"], found["glow"]
    assert isinstance(styled, StyleDirection) and isinstance(scaled, ScaleDirection)
    assert torch.equal(styled.rows, smile().rows[:6])
    assert [len(scale) for scale in scaled.scales] == WIDTHS[:8]
    styled.check(generator.truncate(16))
    scaled.check(generator.truncate(16))


def test_what_moves_missing_rows_alone_is_left_out(tmp_path: Path, generator: Generator) -> None:
    path = tmp_path / "fine.safetensors"
    save_directions([smile().within([7]), glow()], generator, path)
    assert list(load_directions(path, generator)) == ["smile", "glow"]
    assert list(load_directions(path, generator.truncate(16))) == ["glow"]


def test_a_whole_generator_takes_nothing_of_its_truncation(
    tmp_path: Path, generator: Generator
) -> None:
    path, part = tmp_path / "part.safetensors", generator.truncate(16)
    save_directions([StyleDirection("x", numbers(6, 16))], part, path)
    assert list(load_directions(path, part)) == ["x"]
    with pytest.raises(FileError, match="was made for the generator"):
        load_directions(path, generator)


@pytest.mark.parametrize("change", [lambda g: g, lambda g: g.truncate(16)])
def test_another_generator_is_refused(file: Path, change: Callable[[Generator], Generator]) -> None:
    other = change(networks.random_generator(seed=1))
    with pytest.raises(FileError, match=r"was made for the generator \w{12}…, not for 'memory'"):
        load_directions(file, other)


@pytest.mark.parametrize(
    ("directions", "complaint"),
    [
        ([], "directions must be one direction or more"),
        ([smile(), smile()], "two directions are named 'smile'"),
        ([together([smile(), glow()])], "'smile . glow' has several parts"),
        ([StyleDirection("x", numbers(8, 16), facts={"x": object()})], "must be JSON values"),
        ([StyleDirection("x", numbers(8, 16), facts={"x": float("nan")})], "must be JSON values"),
    ],
)
def test_what_cannot_be_saved(
    directions: list[Direction], complaint: str, tmp_path: Path, generator: Generator
) -> None:
    with pytest.raises(ArgumentError, match=complaint):
        save_directions(directions, generator, tmp_path / "bad.safetensors")
    assert not (tmp_path / "bad.safetensors").exists()


@pytest.mark.parametrize("rows", [numbers(8, 15), numbers(7, 16)])
def test_a_direction_of_another_size_is_not_saved(
    rows: Tensor, tmp_path: Path, generator: Generator
) -> None:
    with pytest.raises(ShapeError, match="take a direction of this generator"):
        save_directions([StyleDirection("x", rows)], generator, tmp_path / "bad.safetensors")
    assert not (tmp_path / "bad.safetensors").exists()


def test_what_is_no_such_file(file: Path, generator: Generator, tmp_path: Path) -> None:
    with pytest.raises(FileError, match="there is no file"):
        load_directions(tmp_path / "none.safetensors", generator)
    with pytest.raises(FileError, match="holds 'stylegan2', not directions"):
        load_directions(tmp_path / "small.safetensors", generator)
    content = file.read_bytes()
    for damage in (content[:-5], content[:100], b"", b"text"):
        file.write_bytes(damage)
        with pytest.raises(FileError, match="is not a file of directions of this release, or dam"):
            load_directions(file, generator)


def _named_otherwise(header: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    del header["directions"][0]["unit"]


def _of_another_version(header: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    header["version"] = 2


def _of_another_kind(header: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    header["directions"][0]["kind"] = "pixels"


def _without_a_tensor(header: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    del tensors["0.0"]


def _of_one_number(header: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    tensors["0.0"] = torch.tensor(1.0)


def _of_nan(header: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    tensors["0.0"][3, 4] = torch.nan


def _of_whole_numbers(header: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    tensors["0.0"] = torch.ones(8, 16, dtype=torch.int64)


def _of_another_width(header: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    tensors["0.0"] = torch.ones(8, 12)


def _short_of_a_scale(header: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    del tensors["1.10"]


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (_named_otherwise, "damaged: KeyError: 'unit'"),
        (_of_another_version, "has format version '2'; this release reads 1"),
        (_of_another_kind, "a direction of the kind 'pixels'"),
        (_without_a_tensor, "damaged: ValueError"),
        (_of_one_number, "style rows of shape"),
        (_of_nan, "its tensor '0.0' is not of finite numbers"),
        (_of_whole_numbers, "its tensor '0.0' is not of finite numbers"),
        (_of_another_width, "is of 8 style rows of width 12, but the generator"),
        (_short_of_a_scale, "take a direction of this generator"),
    ],
)
def test_damage_is_named(
    damage: Callable[[dict[str, Any], dict[str, Tensor]], None],
    complaint: str,
    file: Path,
    generator: Generator,
) -> None:
    with safe_open(file, "pt") as content:
        header = json.loads(content.metadata()["invprob"])
        tensors = {name: content.get_tensor(name).clone() for name in content.keys()}  # noqa: SIM118
    damage(header, tensors)
    save_file(tensors, file, {"invprob": json.dumps(header)})
    with pytest.raises((FileError, ShapeError), match=complaint):
        load_directions(file, generator)
