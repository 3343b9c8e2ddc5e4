"""Pictures and masks of their size are fitted alike, and it is said how."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from invprob.errors import ArgumentError
from invprob.operators import Mask
from invprob.run.config import Named, RunConfig
from invprob.run.fitted import brief, fit_masks, fit_notes
from invprob.run.inputs import measure_inputs

HEIGHT, WIDTH, SIDE = 48, 64, 16


def hole(*, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """White, with a black box whose edges do not fall on the coarse pixels' ones."""
    mask = np.full((height, width), 255, np.uint8)
    mask[9:30, 20:39] = 0
    return mask


def saved(path: Path, pixels: np.ndarray) -> str:
    Image.fromarray(pixels).save(path)
    return str(path)


@pytest.mark.parametrize(
    ("size", "fit", "words"),
    [
        ((4000, 3000), "crop", "cropped from 4000 x 3000 to its central 3000 x 3000 pixels and"),
        ((200, 128), "crop", "cropped from 200 x 128 to its central 128 x 128 pixels (--fit crop)"),
        ((128, 200), "pad", "padded from 128 x 200 to 200 x 200 pixels and resized to 128 x 128"),
        ((100, 128), "pad", "padded from 100 x 128 to 128 x 128 pixels (--fit pad)"),
        ((10, 20), "stretch", "stretched from 10 x 20 to 128 x 128 pixels (--fit stretch)"),
        ((32, 32), "crop", "resized from 32 x 32 to 128 x 128 pixels"),
    ],
)
def test_it_is_said_how_a_picture_was_fitted(size: tuple[int, int], fit: str, words: str) -> None:
    (note,) = fit_notes([Path("folder/a.jpg")], [size], 128, fit)
    assert note.startswith(f"a.jpg is {words}")


def test_nothing_is_said_where_nothing_was_changed_and_little_of_many() -> None:
    paths = [Path(name) for name in ("a.png", "b.png", "c.png")]
    assert fit_notes(paths, [(8, 8)] * 3, 8, "crop") == []
    (note,) = fit_notes(paths, [(8, 8), (9, 9), (9, 8)], 8, "crop")
    assert note == "b.png is resized from 9 x 9 to 8 x 8 pixels; 1 more likewise"
    assert brief([]) == []


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_a_mask_of_the_pictures_size_goes_the_same_way(fit: str, tmp_path: Path) -> None:
    mask = saved(tmp_path / "hole.png", hole())
    photo = saved(tmp_path / "photo.png", hole())  # the photo shows the mask itself
    config = RunConfig(images=(photo,), operators=(Named("mask", {"mask": mask}),))
    config = dataclasses.replace(config, **{"fit": fit})
    measurements, inputs = measure_inputs(config, SIDE)
    operator = measurements.operator()
    assert isinstance(operator, Mask)
    assert torch.equal(operator.seen, inputs.images[0, 0] >= 0)
    hidden = 100 * float((~operator.seen).double().mean())
    whole = 100 * 21 * 19 / (HEIGHT * WIDTH)
    fitted, masked = inputs.notes
    assert fitted.startswith("simulating a measurement of photo.png, ")
    assert masked == (
        f"hole.png is fitted like the picture; it hides {hidden:.3g} % of the pixels "
        f"({whole:.3g} % in the file)"
    )


def test_a_fitted_mask_is_that_of_pillow(tmp_path: Path) -> None:
    """An independent way: crop and resize with Pillow, then a threshold at half."""
    mask = saved(tmp_path / "hole.png", hole())
    ((named,), _) = fit_masks([Named("mask", {"mask": mask})], [(WIDTH, HEIGHT)], SIDE, "crop")
    left = (WIDTH - HEIGHT) // 2
    square = Image.fromarray(hole().astype(np.float32)).crop((left, 0, left + HEIGHT, HEIGHT))
    small = np.asarray(square.resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    seen = Mask((3, SIDE, SIDE), named.settings["mask"]).seen
    np.testing.assert_array_equal(seen.numpy(), small >= 127.5)


def test_masks_of_other_sizes_and_for_measurements_stay_as_they_are(tmp_path: Path) -> None:
    ready = Named("mask", {"mask": saved(tmp_path / "a.png", hole()[16:32, 16:32])})
    of_photo = Named("mask", {"mask": saved(tmp_path / "b.png", hole())})
    coarse = Named("area-downsample", {"factor": 4})
    sizes = [(WIDTH, HEIGHT)]
    for chain in ([ready], [of_photo, coarse], [Named("random-mask", {"ratio": 0.5})]):
        assert fit_masks(chain, sizes, SIDE, "crop") == (tuple(chain), [])
    assert fit_masks([of_photo], [*sizes, (9, 9)], SIDE, "crop") == ((of_photo,), [])
    two, notes = fit_masks([of_photo, Named("identity"), of_photo], sizes, SIDE, "crop")
    assert [one.settings != of_photo.settings for one in two] == [True, True, True]
    assert len(notes) == 2


def test_a_mask_is_checked_before_it_is_fitted(tmp_path: Path) -> None:
    np.save(tmp_path / "hole.npy", hole())
    for name, source in (("npy", tmp_path / "hole.npy"), ("png", tmp_path / "hole.png")):
        saved(tmp_path / "hole.png", hole() // 255)
        words = {"npy": "from 0 .*divide it", "png": r"values end at 0\.00392.*make white"}[name]
        with pytest.raises(ArgumentError, match=words):
            fit_masks([Named("mask", {"mask": str(source)})], [(WIDTH, HEIGHT)], SIDE, "crop")


def test_what_is_odd_about_values_is_said_once_for_many(tmp_path: Path) -> None:
    deep = np.linspace(0, 4095, 256).astype(np.uint16).reshape(16, 16)
    paths = tuple(saved(tmp_path / f"{name}.png", deep) for name in "abc")
    config = RunConfig(images=paths, operators=(Named("identity"),))
    _, inputs = measure_inputs(config, 16)
    simulated, note = inputs.notes
    assert simulated == "simulating a measurement of a.png; 2 more likewise"
    assert note.startswith("a.png uses 4095 of 65535 and is nearly black (12 bits?)")
    assert note.endswith("; 2 more likewise")
    told = RunConfig(images=paths, operators=(Named("identity"),), white=4095.0)
    _, inputs = measure_inputs(told, 16)
    assert inputs.notes == (simulated,)
    expected = torch.from_numpy(deep / 2047.5 - 1).float()
    torch.testing.assert_close(inputs.images[0, 0], expected, rtol=0, atol=1e-6)


def test_samples_are_fitted_and_measured_without_a_word() -> None:
    """Nobody takes them for measurements, and the first command of the README stays short."""
    _, inputs = measure_inputs(RunConfig(samples=("face",), operators=(Named("identity"),)), 16)
    assert inputs.notes == ()
