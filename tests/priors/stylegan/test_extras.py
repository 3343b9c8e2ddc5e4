"""What lies beside a generator file: round trip, and refusal of what does not belong."""

import functools
from pathlib import Path

import networks
import numpy as np
import pytest
import torch

from invprob.errors import FileError, GeneratorFileError
from invprob.priors import load_generator, save_generator
from invprob.priors.generator_files import fingerprint
from invprob.priors.stylegan.extras import (
    Extras,
    FactorDirection,
    extras_path,
    load_extras,
    read_extras,
    save_extras,
    statistics_for,
)
from invprob.priors.stylegan.statistics import sample_statistics


@pytest.fixture
def file(tmp_path: Path) -> Path:
    generator = networks.random_generator()
    path = tmp_path / "small.safetensors"
    save_generator(generator, path)
    statistics = sample_statistics(generator, torch.Generator().manual_seed(0), count=500)
    smile = FactorDirection("smile", torch.arange(16.0), (2, 3, 4), moved=0.8, others=0.1)
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


# ------------------------------------------------------------------------------------------- cache


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where statistics are kept, and no time spent on a hundred thousand draws."""
    monkeypatch.setenv("INVPROB_HOME", str(tmp_path / "cache"))
    drawn = functools.partial(sample_statistics, count=400, batch=150)
    monkeypatch.setattr("invprob.priors.stylegan.extras.sample_statistics", drawn)
    return tmp_path / "cache" / "statistics"


def test_the_companion_of_a_generator_is_used(file: Path, cache: Path) -> None:
    generator = load_generator(file)
    found = statistics_for(generator)
    assert torch.equal(found.covariance, load_extras(file, generator).statistics.covariance)
    assert not cache.exists()


def test_statistics_are_drawn_once_and_read_again(cache: Path) -> None:
    generator = networks.random_generator()
    told: list[tuple[int, int]] = []
    first = statistics_for(generator, progress=lambda done, count: told.append((done, count)))
    assert told == [(150, 400), (300, 400), (400, 400)]
    again = statistics_for(generator, progress=lambda done, count: told.append((done, count)))
    assert len(told) == 3
    for name in ("count", "mean_w", "std_w", "mean", "covariance", "components", "deviations"):
        assert torch.equal(*(torch.as_tensor(getattr(each, name)) for each in (first, again)))
    assert first.count == 400 and again.covariance.dtype == torch.float64
    assert [path.name for path in cache.iterdir()] == [f"{fingerprint(generator)}.npz"]


def test_another_generator_gets_others(cache: Path) -> None:
    first = statistics_for(networks.random_generator())
    other = statistics_for(networks.random_generator(seed=1))
    assert not torch.equal(first.covariance, other.covariance)
    assert len(list(cache.iterdir())) == 2


@pytest.mark.parametrize("damage", ["cut", "foreign"])
def test_a_damaged_file_in_the_cache_is_made_again(cache: Path, damage: str) -> None:
    generator = networks.random_generator()
    first = statistics_for(generator)
    (path,) = cache.iterdir()
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:500])
    else:
        save_extras(Extras(first), networks.random_generator(seed=1), path)
    with pytest.warns(UserWarning, match="made again"):
        again = statistics_for(generator)
    assert torch.equal(again.covariance, first.covariance)
    kept = read_extras(path, generator, [fingerprint(generator)]).statistics
    assert torch.equal(kept.covariance, first.covariance)


def test_a_cache_that_cannot_be_written_stops_nothing(cache: Path) -> None:
    cache.parent.parent.mkdir(exist_ok=True)
    cache.parent.write_text("a file where the folder should be")
    with pytest.warns(UserWarning, match="are not kept"):
        assert statistics_for(networks.random_generator()).count == 400
