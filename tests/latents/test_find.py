"""Directions by name: of a generator, of plugins, and in files."""

import importlib.metadata
from pathlib import Path

import networks
import pytest
import torch

from invprob.errors import ArgumentError, FileError, PriorError, ShapeError, UnknownNameError
from invprob.latents import (
    Direction,
    StyleDirection,
    find_direction,
    known_directions,
    save_directions,
)
from invprob.priors import Generator, load_generator, save_generator
from invprob.priors.stylegan.extras import Extras, FactorDirection, extras_path, save_extras
from invprob.priors.stylegan.inputs import SynthesisInputs
from invprob.priors.stylegan.statistics import sample_statistics
from invprob.registry import register


@pytest.fixture
def file(tmp_path: Path) -> Path:
    generator = networks.random_generator()
    path = tmp_path / "small.safetensors"
    save_generator(generator, path)
    statistics = sample_statistics(generator, torch.Generator().manual_seed(0), count=500)
    factors = {
        "smile": FactorDirection("smile", torch.arange(16.0), (2, 3, 7), moved=0.8, others=0.1),
        "age": FactorDirection("age", -torch.ones(16), tuple(range(8)), moved=1.0, others=0.2),
    }
    save_extras(Extras(statistics, factors), generator, extras_path(path))
    return path


@pytest.fixture
def generator(file: Path) -> Generator:
    return load_generator(file)


def test_directions_that_ship_with_a_generator(generator: Generator) -> None:
    found = known_directions(generator)
    assert list(found) == ["smile", "age"]
    smile = find_direction("smile", generator)
    assert smile.unit == "one standard deviation of the factor (measured: 0.80)"
    assert smile.facts == {"moved": 0.8, "others": 0.1}


def test_a_factor_moves_its_rows_alone(generator: Generator) -> None:
    styles = torch.randn(2, 8, 16, generator=torch.Generator().manual_seed(0))
    smile = find_direction("smile", generator)
    moved = smile.move(generator, SynthesisInputs(styles=styles), torch.tensor([-2.0, 0.5]))
    expected = torch.zeros(2, 8, 16)
    expected[0, [2, 3, 7]] = -2 * torch.arange(16.0)
    expected[1, [2, 3, 7]] = 0.5 * torch.arange(16.0)
    assert moved.styles is not None
    torch.testing.assert_close(moved.styles - styles, expected)


def test_a_truncated_generator_has_them_too(generator: Generator) -> None:
    part = generator.truncate(16)
    smile = find_direction("smile", part)
    assert isinstance(smile, StyleDirection)
    assert [bool(row.any()) for row in smile.rows] == [False, False, True, True, False, False]


def test_a_generator_without_a_companion_has_none() -> None:
    generator = networks.random_generator()
    assert dict(known_directions(generator)) == {}
    with pytest.raises(UnknownNameError, match=r"no direction of 'memory' .* Known: none\."):
        find_direction("smile", generator)


def test_an_unknown_name_gets_a_hint_and_the_list(generator: Generator) -> None:
    with pytest.raises(UnknownNameError) as caught:
        find_direction("smiel", generator)
    assert "is named 'smiel'. Did you mean 'smile'? Known: smile, age." in str(caught.value)


# ---------------------------------------------------------------------------------------- plugins


def test_a_registered_function_is_asked_for_its_direction(generator: Generator) -> None:
    @register.direction("brighter")
    def brighter(generator: Generator) -> Direction:
        """More light."""
        return StyleDirection("brighter", torch.ones(generator.num_layers, generator.style_width))

    assert list(known_directions(generator)) == ["smile", "age", "brighter"]
    assert find_direction("brighter", generator).name == "brighter"
    assert "generator: the network whose latents it moves." in (brighter.__doc__ or "")


def test_an_installed_package_offers_directions(
    generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def warmer(generator: Generator) -> Direction:
        """More red."""
        return StyleDirection("warmer", torch.ones(generator.num_layers, generator.style_width))

    class Point:
        name, value, dist = "warmer", "package.module", None

        def load(self) -> object:
            return warmer

    def offered(group: str) -> list[Point]:
        return [Point()] if group == "invprob.directions" else []

    monkeypatch.setattr(register.direction, "_plugins_loaded", False)
    monkeypatch.setattr(importlib.metadata, "entry_points", offered)
    assert find_direction("warmer", generator).name == "warmer"


def test_two_of_one_name_are_an_error(generator: Generator) -> None:
    register.direction("smile")(lambda generator: StyleDirection("smile", torch.ones(8, 16)))
    for look in (lambda: find_direction("smile", generator), lambda: known_directions(generator)):
        with pytest.raises(ArgumentError, match="two directions are named 'smile': one ships"):
            look()
    assert find_direction("age", generator).name == "age"


def test_a_direction_of_other_generators_is_left_out_of_the_list(generator: Generator) -> None:
    @register.direction("elsewhere")
    def elsewhere(generator: Generator) -> Direction:
        raise PriorError("of faces alone")

    register.direction("wide")(lambda generator: StyleDirection("wide", torch.ones(8, 99)))
    with pytest.warns(UserWarning, match="is left out") as told:
        assert list(known_directions(generator)) == ["smile", "age"]
    assert ["'elsewhere'" in str(told[0].message), "'wide'" in str(told[1].message)] == [True, True]
    with pytest.raises(PriorError, match="of faces alone"):
        find_direction("elsewhere", generator)
    with pytest.raises(ShapeError, match="width 99"):
        find_direction("wide", generator)


def test_what_returns_no_direction_is_named(generator: Generator) -> None:
    register.direction("bad")(lambda generator: torch.ones(8, 16))
    with pytest.raises(ArgumentError, match=r"'bad' must be a function .* it returned Tensor"):
        find_direction("bad", generator)


# ------------------------------------------------------------------------------------------ files


def one(name: str) -> StyleDirection:
    return StyleDirection(name, torch.ones(8, 16))


def test_a_file_of_one_direction_needs_no_name(generator: Generator, tmp_path: Path) -> None:
    path = tmp_path / "one.safetensors"
    save_directions([one("x")], generator, path)
    assert find_direction(str(path), generator).name == "x"
    assert find_direction(f"{path}:x", generator).name == "x"


def test_a_file_of_several_needs_one(generator: Generator, tmp_path: Path) -> None:
    path = tmp_path / "two.safetensors"
    save_directions([one("x"), one("a:b")], generator, path)
    assert find_direction(f"{path}:x", generator).name == "x"
    assert find_direction(f"{path}:a:b", generator).name == "a:b"
    with pytest.raises(ArgumentError, match=r"holds 2 directions; name one, FILE:NAME. .* x, a:b"):
        find_direction(str(path), generator)
    with pytest.raises(UnknownNameError, match=r"holds no direction 'xx'\. Did you mean 'x'"):
        find_direction(f"{path}:xx", generator)


def test_a_colon_in_the_name_of_a_file(generator: Generator, tmp_path: Path) -> None:
    path = tmp_path / "a:b.safetensors"
    save_directions([one("x")], generator, path)
    assert find_direction(str(path), generator).name == "x"
    assert find_direction(f"{path}:x", generator).name == "x"


@pytest.mark.parametrize("name", ["none.safetensors", "none.pt:x", "folder/none", "a.npy:b:c"])
def test_a_missing_file_is_named(name: str, generator: Generator) -> None:
    with pytest.raises(FileError, match=f"there is no file of directions '{name}'"):
        find_direction(name, generator)


def test_a_file_of_another_generator_is_refused(generator: Generator, tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_directions([one("x")], networks.random_generator(seed=1), path)
    with pytest.raises(FileError, match="was made for the generator"):
        find_direction(str(path), generator)
