"""A face is found where Pillow put it, brought to its place, and laid back."""

from pathlib import Path

import networks
import numpy as np
import pytest
import torch
from PIL import Image

from invprob.errors import ArgumentError
from invprob.metrics import psnr
from invprob.priors import Generator, load_generator
from invprob.run.align import Alignment, Face, align, face_of, find_face
from invprob.run.config import Named, RunConfig
from invprob.run.images import load_image, save_image
from invprob.run.inputs import load_truth, measure_inputs
from invprob.run.paste import pasted
from invprob.run.samples import load_sample

pytest.importorskip("skimage", reason="the face detector is scikit-image's")
SIDE = 128


@pytest.fixture(scope="module")
def generator() -> Generator:
    return load_generator("faces-128")


def photograph(degrees: float, side: int, left: int, top: int) -> Image.Image:
    """The sample face, turned counter-clockwise and laid onto a plain wall by Pillow."""
    levels = ((load_sample("face", size=SIDE)[0] + 1) * 127.5).round().byte()
    face = Image.fromarray(levels.permute(1, 2, 0).numpy()).resize((side, side))
    wall = Image.new("RGB", (480, 400), (110, 120, 105))
    whole = face.convert("RGBA").rotate(degrees, Image.Resampling.BICUBIC, expand=True)
    middle = (left + side / 2, top + side / 2)
    corner = (round(middle[0] - whole.width / 2), round(middle[1] - whole.height / 2))
    wall.paste(whole.convert("RGB"), corner, whole.getchannel("A"))
    return wall


def as_tensor(picture: Image.Image) -> torch.Tensor:
    values = torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1)[None]
    return values.float() / 127.5 - 1


@pytest.mark.parametrize(
    ("degrees", "side", "left", "top"),
    [(0, 200, 60, 90), (18, 180, 230, 110), (-22, 240, 120, 60)],
)
def test_a_face_is_brought_to_its_place(
    degrees: float, side: int, left: int, top: int, generator: Generator
) -> None:
    """The alignment moves as the face does, from that of the sample as it ships."""
    truth = load_sample("face", size=SIDE)
    own = align("face.png", truth, generator)
    picture = as_tensor(photograph(degrees, side, left, top))
    found = align("wall.png", picture, generator)
    scale, turn = side / SIDE, np.deg2rad(degrees)
    right, below = (scale * (at - SIDE / 2) for at in own.centre)
    middle = (
        left + side / 2 + np.cos(turn) * right + np.sin(turn) * below,
        top + side / 2 - np.sin(turn) * right + np.cos(turn) * below,
    )
    assert abs(found.tilt - degrees) <= 5
    assert found.side == pytest.approx(scale * own.side, rel=0.08)
    assert found.centre == pytest.approx(middle, abs=0.06 * side)
    aligned = found.taken(picture, SIDE)
    central = torch.nn.functional.interpolate(picture[..., :, 40:440], SIDE, mode="area")
    upright = own.taken(truth, SIDE)
    assert float(psnr(aligned, upright)) > float(psnr(central, upright)) + 3


def test_an_alignment_is_the_similarity_that_it_says() -> None:
    """Of a picture that is linear in its coordinates; PyTorch's cubic is off by 0.04 pixels."""
    y, x = torch.meshgrid(torch.arange(60) + 0.5, torch.arange(80) + 0.5, indexing="ij")
    picture = torch.stack([x, y, x + y])[None] / 200
    square = Alignment((41.0, 32.0), 16.0, 30.0).taken(picture, 16)
    cos, sin = np.cos(np.pi / 6), np.sin(np.pi / 6)
    for row, column in ((3, 5), (12, 9)):
        right, below = column + 0.5 - 8, row + 0.5 - 8
        expected = (41 + cos * right + sin * below, 32 - sin * right + cos * below)
        assert square[0, 0, row, column] * 200 == pytest.approx(expected[0], abs=0.05)
        assert square[0, 1, row, column] * 200 == pytest.approx(expected[1], abs=0.05)


@pytest.mark.parametrize("tilt", [0.0, 25.0])
def test_what_was_taken_comes_back_and_the_rest_stays(tilt: float) -> None:
    y, x = torch.meshgrid(torch.linspace(-1, 1, 90), torch.linspace(-1, 1, 120), indexing="ij")
    picture = torch.stack([torch.sin(3 * x), torch.cos(2 * y), x * y])[None]
    found = Alignment((55.0, 47.0), 40.0, tilt)
    back = found.laid_back(found.taken(picture, 128), picture)
    assert float((back - picture).abs().max()) < 0.02
    white = found.laid_back(torch.ones(1, 3, 128, 128), picture)
    changed = (white != picture).any(1)[0]
    assert float(changed.sum()) == pytest.approx(40**2, rel=0.05)
    assert not changed[:10].any() and changed[47, 55]


def test_how_much_lies_beyond_the_picture() -> None:
    assert Alignment((50.0, 50.0), 40.0, 0.0).outside(100, 100) == 0
    assert Alignment((0.0, 50.0), 40.0, 0.0).outside(100, 100) == pytest.approx(0.5, abs=0.01)
    words = Alignment((0.0, 50.0), 40.0, 12.0).in_words("me.jpg", 100, 100)
    assert "turned by -12 degrees" in words and "beyond the picture" in words


def test_place_and_scale_follow_the_generator() -> None:
    found = Alignment.of(Face(100, 80, 50, 0), Face(70, 60, 25, 0), 128)
    assert found.side == 256
    assert found.centre == (100 + 2 * (64 - 70), 80 + 2 * (64 - 60))


def test_a_cat_and_a_generator_without_faces_are_refused(generator: Generator) -> None:
    assert find_face(load_sample("cat", size=256)) is None
    with pytest.raises(ArgumentError, match=r"no face in cat\.png"):
        align("cat.png", load_sample("cat", size=256), generator)
    with pytest.raises(ArgumentError, match="draws no faces"):
        face_of(networks.random_generator())


def test_a_run_is_aligned_and_laid_back(tmp_path: Path) -> None:
    path = tmp_path / "wall.png"
    photograph(18, 180, 230, 110).save(path)
    config = RunConfig(
        images=(str(path),), operators=(Named("identity"),), align="face", paste=True
    )
    measurements, inputs = measure_inputs(config, SIDE)
    assert inputs.images.shape == (1, 3, SIDE, SIDE)
    assert any("a square of" in note and "degrees" in note for note in inputs.notes)
    assert torch.equal(load_truth(config, SIDE).images, inputs.images)
    whole = pasted(inputs.images, config, measurements.operator(), 0)
    assert whole.shape == (1, 3, 400, 480)
    assert float(psnr(whole, load_image(path))) > 35


def test_what_cannot_be_aligned_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="would be spoilt by turning it"):
        RunConfig(measured=("me.png",), operators=(Named("identity"),), align="face")
    path = tmp_path / "clear.png"
    picture = photograph(0, 200, 60, 90).convert("RGBA")
    picture.putpixel((0, 0), (0, 0, 0, 0))
    picture.save(path)
    config = RunConfig(images=(str(path),), operators=(Named("identity"),), align="face")
    with pytest.raises(ArgumentError, match="transparent in places"):
        load_truth(config, SIDE)
    save_image(load_sample("retina", size=256), tmp_path / "retina.png")
    none = RunConfig(
        images=(str(tmp_path / "retina.png"),), operators=(Named("identity"),), align="face"
    )
    with pytest.raises(ArgumentError, match=r"no face in retina\.png"):
        load_truth(none, SIDE)
