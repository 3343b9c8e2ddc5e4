"""The window: an affine map that can be undone, and what a user may write for it."""

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_windowing

from invprob.errors import ArgumentError, FileError
from invprob.formats.window import FromFile, Percentiles, Window, choose_window, parse_window

VALUES = np.random.default_rng(0).normal(40, 300, (3, 20, 20))


@pytest.mark.parametrize("inverted", [False, True])
def test_a_window_can_be_undone(inverted: bool) -> None:
    window = Window(-160.0, 240.0, inverted=inverted)
    image = window.to_image(VALUES)
    assert image.dtype == np.float32 and abs(image).max() == 1
    back = window.to_physical(image)
    np.testing.assert_allclose(back, VALUES.clip(-160, 240), atol=400 * 2**-23)
    assert window.to_image(np.array(-160.0)) == (1 if inverted else -1)


def test_a_linear_window_of_dicom_is_that_of_pydicom() -> None:
    about = Dataset()
    about.WindowCenter, about.WindowWidth = 40, 400
    about.PhotometricInterpretation, about.BitsStored, about.PixelRepresentation = (
        "MONOCHROME2",
        16,
        1,
    )
    values = np.arange(-300, 400).astype(np.int16)
    shown = apply_windowing(values, about).astype(float)
    theirs = 2 * (shown - shown.min()) / (shown.max() - shown.min()) - 1
    ours = Window(-160.0, 239.0).to_image(values)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("-160 240", Window(-160, 240)),
        (" -1e3,.5 ", Window(-1000, 0.5)),
        ("file", FromFile()),
        ("percentiles", Percentiles(0.5, 99.5)),
        ("percentiles 2 98", Percentiles(2, 98)),
    ],
)
def test_what_a_user_may_write(text: str, meant: object) -> None:
    assert parse_window(text) == meant


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("240", "two numbers such as"),
        ("", "two numbers such as"),
        ("soft tissue", "two numbers such as"),
        ("240 -160", "from a lower to a higher"),
        ("1 1", "from a lower to a higher"),
        ("0 1e999", "from a lower to a higher"),
        ("percentiles 98 2", "within 0 and 100"),
        ("percentiles 0 101", "within 0 and 100"),
    ],
)
def test_what_a_user_may_not_write(text: str, message: str) -> None:
    with pytest.raises(ArgumentError, match=message) as error:
        parse_window(text)
    assert "\n" not in str(error.value)


def test_without_a_wish_it_is_the_files_or_else_percentiles() -> None:
    proposed = Window(0, 1, "from the file")
    assert choose_window(None, VALUES, proposed, name="a") == proposed
    chosen = choose_window(None, VALUES, None, name="a", units="HU")
    assert (chosen.low, chosen.high) == tuple(np.percentile(VALUES, (0.5, 99.5)))
    assert chosen.units == "HU" and "percentiles 0.5 and 99.5" in chosen.origin
    few = np.zeros(1000)
    few[0] = 7
    chosen = choose_window(None, few, None, name="a")
    assert (chosen.low, chosen.high) == (0, 7) and "largest" in chosen.origin
    with pytest.raises(FileError, match="'a' proposes no window; say --window percentiles"):
        choose_window("file", VALUES, None, name="'a'")
    with pytest.raises(FileError, match="holds the one value 3"):
        choose_window(None, np.full(5, 3.0), None, name="a")
    with pytest.raises(FileError, match="no finite value"):
        choose_window(None, np.empty(0), None, name="a")


def test_the_record_keeps_it() -> None:
    window = Window(-160.5, 240, "given", "HU", inverted=True)
    assert Window.from_json({**window.to_json(), "more": 1}) == window
    said = "window -160.5 to 240 HU, given; black is 240, white is -160.5"
    assert window.describe() == said
