"""Pictures of results: sizes, labels, colours."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from invprob.report.comparison import draw_comparison, write_comparison
from invprob.report.drawing import heat, tile, width_of
from invprob.run.results import Comparison, Panel

SCORES = {
    "psnr": 20.0,
    "ssim": 0.5,
    "lpips": 0.25,
    "lpips_network": "LPIPS-squeeze",
    "psnr_pinv": 10.0,
    "psnr_mean": None,
    "data_misfit": 0.001,
}
NOTHING = dict.fromkeys(SCORES) | {"data_misfit": 0.001}


def comparison(size: int = 32, *, truth: bool = True) -> Comparison:
    image = torch.zeros(3, size, size)
    return Comparison(
        name="face",
        truth=image if truth else None,
        measured=[Panel("measurement y", image)],
        result=image + 0.5,
        scores=SCORES if truth else NOTHING,
        caption="rotate(degrees=10) · 100 % of 3,072 values measured · sphinx",
    )


def test_small_pictures_grow_by_whole_factors() -> None:
    image = torch.rand(3, 32, 32) * 2 - 1
    grown = np.asarray(tile(image, 256))
    assert grown.shape == (256, 256, 3)
    levels = ((image + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
    assert (grown[::8, ::8] == levels).all() and (grown[7::8, 7::8] == levels).all()


@pytest.mark.parametrize("size", [8, 32, 100, 128, 256, 600])
def test_pictures_come_out_at_about_one_size(size: int) -> None:
    picture = tile(torch.zeros(1, size, size), 256)
    assert 150 <= picture.width <= 256 and picture.mode == "RGB"


def test_heat_is_black_to_pale_and_ever_lighter() -> None:
    colours = heat(torch.linspace(0, 1, 64).view(1, -1))[:, 0]
    light = (colours * torch.tensor([0.299, 0.587, 0.114]).view(3, 1)).sum(0)
    assert (light.diff() > 0).all()
    assert colours[:, 0].max() < -0.9 and light[-1] > 0.8
    assert torch.equal(heat(torch.full((1, 1), 7.0)), heat(torch.ones(1, 1)))


def test_the_error_is_drawn_at_its_stated_scale() -> None:
    """An error of 0.5 everywhere is drawn in the brightest colour, none at all in black."""
    drawn = np.asarray(draw_comparison(comparison()))
    brightest = np.array([252, 255, 164])
    assert (np.abs(drawn.astype(int) - brightest).max(-1) <= 1).sum() >= 256 * 256


def test_without_the_truth_there_are_two_pictures() -> None:
    assert draw_comparison(comparison(truth=False)).width < 700
    assert draw_comparison(comparison()).width > 1000


def test_the_background_is_light_and_the_file_is_a_picture(tmp_path: Path) -> None:
    write_comparison(comparison(), tmp_path / "c.png")
    with Image.open(tmp_path / "c.png") as picture:
        assert picture.format == "PNG"
        assert picture.convert("RGB").getpixel((2, 2)) == (255, 255, 255)
    assert [path.name for path in tmp_path.iterdir()] == ["c.png"]


def test_foreign_letters_do_not_stop_a_picture() -> None:
    draw_comparison(Comparison("脸", None, [], torch.zeros(3, 8, 8), NOTHING, "→ ⁺"))


def test_letters_that_the_font_lacks_are_written_with_those_that_it_has() -> None:
    assert width_of("12 × 8 cafés") == width_of("12 x 8 cafes")
    assert width_of("日") == width_of("?")
    assert width_of("20° · a") != width_of("20? ? a")
