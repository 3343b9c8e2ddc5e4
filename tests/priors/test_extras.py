"""What lies beside a generator file: round trip, and refusal of what does not belong."""

from pathlib import Path

import networks
import numpy as np
import pytest
import torch

from invprob.errors import FileError, GeneratorFileError
from invprob.priors import load_generator, save_generator
from invprob.priors.extras import Direction, Extras, extras_path, load_extras, save_extras
from invprob.priors.statistics import sample_statistics


@pytest.fixture
def file(tmp_path: Path) -> Path:
    generator = networks.random_generator()
    path = tmp_path / "small.safetensors"
    save_generator(generator, path)
    statistics = sample_statistics(generator, torch.Generator().manual_seed(0), count=500)
    smile = Direction("smile", torch.arange(16.0), (2, 3, 4), moved=0.8, others=0.1)
    save_extras(Extras(statistics, {"smile": smile}), generator, extras_path(path))
    return path


def test_round_trip(file: Path) -> None:
    generator = load_generator(file)
    extras = load_extras(file, generator)
    again = sample_statistics(generator, torch.Generator().manual_seed(0), count=500)
    torch.testing.assert_close(extras.statistics.mean, again.mean, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(extras.statistics.covariance, again.covariance, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(extras.statistics.deviations, again.deviations, rtol=1e-3, atol=1e-6)
    (smile,) = extras.directions.values()
    assert (smile.name, smile.rows, smile.moved, smile.others) == ("smile", (2, 3, 4), 0.8, 0.1)
    torch.testing.assert_close(smile.vector, torch.arange(16.0))


def test_a_direction_moves_its_rows_only(file: Path) -> None:
    smile = load_extras(file, load_generator(file)).directions["smile"]
    styles = torch.randn(2, 8, 16, generator=torch.Generator().manual_seed(0))
    moved = smile.apply(styles, -2.0) - styles
    expected = torch.zeros(2, 8, 16)
    expected[:, 2:5] = -2 * torch.arange(16.0)
    torch.testing.assert_close(moved, expected)


def test_numbers_of_another_generator_are_refused(file: Path, tmp_path: Path) -> None:
    other = networks.random_generator(seed=1)
    with pytest.raises(GeneratorFileError, match="was made for the generator"):
        load_extras(file, other)


def test_what_is_missing_or_damaged_is_named(file: Path, tmp_path: Path) -> None:
    generator = load_generator(file)
    with pytest.raises(FileError, match="no statistics or directions come with"):
        load_extras(tmp_path / "other.safetensors", generator)
    path = extras_path(file)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(GeneratorFileError, match="cannot be read"):
        load_extras(file, generator)
    np.savez(path, about=np.array("[1]"))
    with pytest.raises(GeneratorFileError, match="does not say what it is"):
        load_extras(file, generator)
    np.savez(path, about=np.array([{"version": 1}], dtype=object))
    with pytest.raises(GeneratorFileError, match="cannot be read"):  # a pickle is never opened
        load_extras(file, generator)
