"""The pictures that ship with the package."""

import pytest
import torch

from invprob.errors import UnknownNameError
from invprob.run.images import read_image
from invprob.run.samples import DEFAULT, load_sample, sample_path, samples

NAMES = ["face", "astronaut", "retina", "cat"]


def test_the_four_samples_are_there_and_the_default_comes_first() -> None:
    assert list(samples()) == NAMES
    assert NAMES[0] == DEFAULT
    assert torch.equal(load_sample(), load_sample("face"))


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_is_a_small_square_colour_picture(name: str) -> None:
    loaded = read_image(sample_path(name))
    width, height = loaded.size
    assert width == height <= 256
    assert loaded.tensor.shape == (1, 3, height, width)
    assert not loaded.grey
    assert float(loaded.tensor.std()) > 0.2
    assert samples()[name].path.stat().st_size < 150_000


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_is_told_about_in_a_line(name: str) -> None:
    sample = samples()[name]
    assert sample.name == name
    for text in (sample.purpose, sample.licence):
        assert text
        assert "\n" not in text


def test_every_picture_has_its_licence_and_no_other_lies_there() -> None:
    folder = samples()["face"].path.parent
    told = (folder / "LICENSES.md").read_text(encoding="utf-8")
    assert {path.name for path in folder.iterdir()} == {"LICENSES.md"} | {f"{n}.png" for n in NAMES}
    assert all(f"`{name}.png`" in told for name in NAMES)


def test_the_four_differ() -> None:
    pictures = [load_sample(name, size=32) for name in NAMES]
    for one in range(4):
        for other in range(one):
            assert float((pictures[one] - pictures[other]).square().mean()) > 0.05


def test_a_sample_can_be_fitted() -> None:
    assert load_sample("astronaut", size=128).shape == torch.Size((1, 3, 128, 128))


def test_an_unknown_sample_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'astronaut'"):
        load_sample("astronout")
