"""How objects show themselves: one line in messages, a card in a notebook, a line of progress."""

import base64
import html.parser
import io
import re
from typing import Any

import networks
import numpy as np
import pytest
import torch
from PIL import Image

import invprob
from invprob.cards import card
from invprob.errors import FileError, ShapeError
from invprob.operators import Blur, GaussianBlur, Luminance, Mask, PartialCirculant
from invprob.png import png
from invprob.solver.solution import Solution

GENERATOR = networks.random_generator()
TRUTH = torch.linspace(-1, 1, 3 * 32 * 32).reshape(1, 3, 32, 32)


@pytest.fixture(scope="module")
def solution() -> Solution:
    operator = GaussianBlur((3, 32, 32), sigma=1.0)
    return invprob.restore(invprob.measure(TRUTH, operator), "w-plus", GENERATOR, steps=3)


def test_a_line_for_everything_that_a_user_holds(solution: Solution) -> None:
    operator = Mask((3, 32, 32), torch.ones(32, 32)) @ Blur((3, 32, 32), [[0.5, 0.5]])
    measurements = invprob.measure(TRUTH, operator)
    recipe = invprob.methods.make("sphinx-adapted", GENERATOR, (3, 32, 32))
    auto = invprob.methods.make("auto", GENERATOR, (3, 32, 32))
    for one in (GENERATOR, operator, measurements, solution, solution.prior, recipe, auto):
        text = repr(one)
        assert len(text) < 300 and "\n" not in text and " object at 0x" not in text
    for stage in recipe.stages:
        assert len(repr(stage)) < 500 and " at 0x" not in repr(stage)


class Tags(html.parser.HTMLParser):
    """The tags that are open, and the images."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.images.append(dict(attrs))
        else:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize(
    "one",
    [
        PartialCirculant((3, 32, 32), ratio=0.1),
        Luminance((3, 32, 32)),
        invprob.measure(TRUTH, GaussianBlur((3, 32, 32), sigma=1.0)),
        invprob.measure(TRUTH, PartialCirculant((3, 32, 32), ratio=0.1)),
        invprob.methods.make("sphinx-adapted", GENERATOR, (3, 32, 32)),
    ],
    ids=lambda one: type(one).__name__,
)
def test_a_card_is_whole_and_loads_nothing(one: Any) -> None:
    found = Tags(one._repr_html_())
    assert found.open == []
    for image in found.images:
        assert image["alt"] and str(image["src"]).startswith("data:image/png;base64,")


def test_a_card_escapes_what_it_is_given() -> None:
    text = card("<b>", {"a & b": "<script>"}, png=b"x", about="'\"<", lines=["<i>"])
    assert "<script>" not in text and "<i>" not in text and "a &amp; b" in text
    assert Tags(text).images[0]["alt"] == "'\"<"


def test_the_picture_of_a_solution_is_its_image(solution: Solution) -> None:
    picture = np.asarray(Image.open(io.BytesIO(solution._repr_png_())))
    assert picture.shape == (256, 256, 3)  # each pixel as a block of 8 x 8
    grey = (solution.image[0].clamp(-1, 1) + 1) * 127.5
    assert np.array_equal(picture[::8, ::8], grey.round().permute(1, 2, 0).byte().numpy())
    assert base64.b64encode(solution._repr_png_()).decode() in solution._repr_html_()


def test_measurements_are_drawn_from_their_least_to_their_largest() -> None:
    measurements = invprob.Measurements.from_array(
        3 * TRUTH, invprob.operators.Brightness((3, 32, 32), factor=3.0)
    )
    drawn = re.findall(r"base64,([A-Za-z0-9+/=]*)", measurements._repr_html_())[0]
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(drawn))))
    assert picture.min() == 0 and picture.max() == 255
    assert "black is -3, white 3" in measurements._repr_html_()


def test_many_images_are_shown_in_a_row() -> None:
    picture = Image.open(io.BytesIO(png(torch.zeros(20, 1, 32, 32))))
    assert picture.size == (8 * 160 + 7 * 8, 160)


def test_a_comparison_has_what_the_run_folder_has(solution: Solution) -> None:
    measurements = invprob.measure(TRUTH, GaussianBlur((3, 32, 32), sigma=1.0))
    whole = invprob.compare(solution, measurements, TRUTH)
    alone = invprob.compare(solution, measurements)
    assert whole.width > alone.width > 500  # truth and error are two more columns
    with pytest.raises(ShapeError):
        invprob.compare(solution, measurements, torch.zeros(1, 3, 16, 16))


def test_show_says_where_there_is_no_viewer(
    solution: Solution, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(FileError, match=r"no picture viewer.*save_image"):
        solution.show()


def test_progress_is_a_line_for_each_tenth_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("invprob.progress.OFTEN", 0.0)
    measurements = invprob.measure(TRUTH, GaussianBlur((3, 32, 32), sigma=1.0))
    quiet = invprob.restore(measurements, "w-plus", GENERATOR, steps=20)
    assert capsys.readouterr().err == ""
    told = invprob.restore(measurements, "w-plus", GENERATOR, steps=20, progress=True)
    lines = capsys.readouterr().err.splitlines()
    assert torch.equal(quiet.image, told.image)
    assert len(lines) == 11 and lines[-1].startswith("step 20/20 · loss ")
    assert re.fullmatch(r"step 10/20 · loss \S+ · \d+ s left", lines[5])


def test_progress_of_auto_names_what_it_tries(capsys: pytest.CaptureFixture[str]) -> None:
    measurements = invprob.measure(TRUTH, PartialCirculant((3, 32, 32), ratio=0.3))
    invprob.restore(measurements, "auto", GENERATOR, steps=2, progress=True)
    lines = capsys.readouterr().err.splitlines()
    assert any(line.startswith("trying sphinx-adapted · step 2/2") for line in lines)
    assert any(line.startswith("step 2/2") for line in lines)
