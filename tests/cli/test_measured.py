"""A picture that is the measurement itself: `--measured`, `import-measurements`, `--paste`."""

import filecmp
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import invprob
from invprob.measurements import Measurements
from invprob.operators import AreaDownsample, Luminance
from invprob.run.config import RunConfig
from invprob.run.samples import load_sample

SIDE = 32
SMALLER = ("--operator", "area-downsample", "--factor", 4)
QUICK = ("--method", "tv", "--steps", 30)


def image_of(run: str) -> torch.Tensor:
    return load_file(f"{run}/solution.safetensors")["image"]


def noise_picture(width: int, height: int, channels: int = 3) -> np.ndarray:
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)


def save(name: str, levels: np.ndarray) -> str:
    Image.fromarray(levels).save(name)
    return name


@pytest.mark.parametrize(
    "operator",
    [
        SMALLER,
        ("--operator", "gaussian-blur", "--sigma", 1),
        ("--operator", "random-mask", "--ratio", 0.5, "--operator-seed", 3),
        (*SMALLER, "--operator", "gaussian-blur", "--sigma", 1),
    ],
)
def test_a_saved_measurement_is_restored_like_the_file_of_measurements(
    call, place: Path, operator: tuple[object, ...]
) -> None:
    size = ("--size", SIDE)
    assert call("measure", "--sample", "cat", *operator, *size, "--out", "y.st").status == 0
    values = Measurements.load("y.st").values
    invprob.save_image(values[0], "y.png")
    assert call("solve", "--measurements", "y.st", *QUICK, "--out", "file").status == 0
    done = call("solve", "--measured", "y.png", *operator, *QUICK, "--out", "picture")
    assert done.status == 0 and "PSNR" not in done.out and "simulating" not in done.err
    read = Measurements.load("picture/measurements.safetensors").values
    assert float((read - values).abs().max()) <= 1 / 255 + 1e-6  # half a level of 8 bits
    # The restored images differ by what rounding changed, well below a level on the average.
    assert float((image_of("file") - image_of("picture")).abs().mean()) < 2 / 255
    scores = json.loads(Path("picture/scores.json").read_text())
    assert scores["psnr"] is None and scores["psnr_pinv"] is None
    other = json.loads(Path("file/scores.json").read_text())["data_misfit"]
    assert scores["data_misfit"] == pytest.approx(other, rel=0.3, abs=1e-5)


def test_it_is_recorded_repeated_and_resumed(call, place: Path) -> None:
    save("low.png", noise_picture(8, 8))
    words = ("--measured", "low.png", *SMALLER, "--paste", "--steps", 3)
    assert call("solve", *words, "--out", "run").status == 0
    config = RunConfig.load(Path("run/config.toml"))
    assert config.measured == (str(Path("low.png").resolve()),) and config.paste
    assert not config.images and not config.samples and not config.simulated
    again = call("solve", "--config", "run/config.toml", "--out", "again")
    assert again.status == 0
    for name in ("scores.json", "solution.safetensors", "image.png", "pasted.png"):
        Path("again", name).unlink()
    assert call("resume", "again").status == 0
    for name in ("solution.safetensors", "image.png", "pasted.png", "measurements.safetensors"):
        assert filecmp.cmp(Path("run", name), Path("again", name), shallow=False), name
    other = call("solve", "--config", "run/config.toml", "--sample", "cat", "--out", "cat")
    assert other.status == 0 and RunConfig.load(Path("cat/config.toml")).measured == ()


def test_a_crop_that_does_not_resize_keeps_every_pixel(call, place: Path) -> None:
    levels = noise_picture(10, 8)
    save("wide.png", levels)
    done = call("solve", "--measured", "wide.png", *SMALLER, *QUICK, "--out", "run")
    assert "wide.png is cropped from 10 x 8 to its central 8 x 8 pixels (--fit crop)" in done.err
    values = Measurements.load("run/measurements.safetensors").values
    expected = torch.from_numpy(levels[:, 1:9].copy()).permute(2, 0, 1)[None] / 127.5 - 1
    torch.testing.assert_close(values, expected.float(), rtol=0, atol=1e-6)


def test_a_larger_picture_is_made_smaller_and_it_is_said_what_that_changes(
    call, place: Path
) -> None:
    save("large.png", noise_picture(24, 16))
    words = ("--noise", "gaussian:sigma=0.1", "--operator", "gaussian-blur:sigma=1")
    done = call("import-measurements", "large.png", *SMALLER, *words, "--size", 32, "--out", "y.st")
    assert done.status == 0, done
    assert "cropped from 24 x 16 to its central 16 x 16 pixels and resized to 8 x 8" in done.err
    assert "options of gaussian-blur and gaussian noise are those after resizing" in done.err
    assert "--factor 2 measures 16 x 16" in done.err
    read = Measurements.load("y.st")
    torch.testing.assert_close(read.values, invprob.load_image("large.png", size=8))
    assert read.noise() is not None


def test_what_would_be_made_up_or_misplaced_is_refused(call, refuse, place: Path) -> None:
    def solve(name: str, *words: object) -> str:
        return refuse("solve", "--measured", name, *words, "--steps", 2)

    save("tiny.png", noise_picture(5, 4))
    said = solve("tiny.png", *SMALLER)
    assert "tiny.png is 5 x 4 pixels" in said and "32 x 32 measures 8 x 8" in said
    assert "not enlarged; --factor 8 measures 4 x 4" in said
    save("wide.png", noise_picture(40, 32))
    assert "--fit pad would fill it up" in solve(
        "wide.png", "--operator", "identity", "--fit", "pad"
    )
    assert "and no other size" in solve("wide.png", "--operator", "jpeg", "--quality", 20)
    assert "and no other size" in solve("wide.png", "--operator", "random-mask", "--ratio", 0.5)
    save("big.png", noise_picture(40, 40))
    noise = ("--operator", "identity", "--noise", "salt-and-pepper", "--share", 0.1)
    assert "spoil what salt-and-pepper noise made: crop it to 32 x 32" in solve("big.png", *noise)
    kernel = ("--operator", "blur", "--kernel", "[[0.5, 0.5]]")
    assert "spoil what blur made" in solve("big.png", *kernel)
    assert "is in colour" in solve("big.png", "--operator", "luminance")
    for operator in (("circulant", "--ratio", 0.1), ("ct", "--views", 8), ("phase-retrieval",)):
        assert f"{operator[0]} measures other numbers; give an array (.npy) of shape" in solve(
            "big.png", "--operator", *operator
        )
    assert "missing.png" in solve("missing.png", *SMALLER)
    np.save("wrong.npy", np.zeros((8, 8, 3)))
    assert "wrong.npy is an array of shape (8, 8, 3)" in solve("wrong.npy", *SMALLER)


def test_what_contradicts_it_is_refused(call, refuse, place: Path) -> None:
    save("low.png", noise_picture(8, 8))
    call("import-measurements", "low.png", *SMALLER, "--size", 32, "--out", "y.safetensors")
    measured = ("--measured", "low.png")
    assert "IMAGE was given beside --measured" in refuse("solve", "low.png", *measured, *SMALLER)
    assert "--sample was given" in refuse("solve", *measured, "--sample", "cat", *SMALLER)
    assert "--measured was given beside --measurements" in refuse(
        "solve", *measured, "--measurements", "y.safetensors"
    )
    assert "name what measures" in refuse("solve", *measured)
    assert "write --measured FILE" in refuse("solve", "--measurements", "low.png")
    assert "named with --measurements" in refuse("solve", "--measured", "y.safetensors", *SMALLER)
    assert "holds none" in refuse("solve", "--measurements", "y.safetensors", "--paste")
    assert "name the file" in refuse("import-measurements", *SMALLER, "--out", "z.st")


def test_a_folder_of_pictures_and_arrays(call, place: Path) -> None:
    Path("folder").mkdir()
    levels = noise_picture(8, 8)
    save("folder/b.png", levels)
    array = invprob.load_image("folder/b.png").numpy()
    np.save("folder/a.npy", np.concatenate([array, -array]))
    assert call("solve", "--measured", "folder", *SMALLER, *QUICK, "--out", "run").status == 0
    measurements = Measurements.load("run/measurements.safetensors")
    expected = torch.from_numpy(np.concatenate([array, -array, array]))
    assert torch.equal(measurements.values, expected)
    assert measurements.record["names"] == ["a", "a-2", "b"]
    assert {one.name for one in Path("run").iterdir() if one.is_dir()} == {"a", "a-2", "b"}


def test_grey_files_are_restored_as_grey(call, place: Path) -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (8, 8)).astype(np.uint16)
    save("deep.png", deep)
    words = ("solve", "--measured", "deep.png", *SMALLER, *QUICK)
    assert call(*words, "--out", "three").status == 0
    values = Measurements.load("three/measurements.safetensors").values
    expected = torch.from_numpy(deep / 32767.5 - 1).float()
    torch.testing.assert_close(values[0], expected.expand(3, 8, 8), rtol=0, atol=1e-6)
    assert call(*words, "--grey", "--out", "one").status == 0
    one = Measurements.load("one/measurements.safetensors")
    torch.testing.assert_close(one.values[0, 0], expected, rtol=0, atol=1e-6)
    operator = AreaDownsample((1, SIDE, SIDE), factor=4) @ Luminance((3, SIDE, SIDE))
    assert one.fingerprint == operator.fingerprint()
    for run in ("three", "one"):
        shown = np.asarray(Image.open(f"{run}/image.png").convert("RGB"))
        assert (shown == shown[..., :1]).all()


def test_transparent_and_masked_pixels_are_not_seen_nor_mixed_into_others(
    call, refuse, place: Path
) -> None:
    """What is hidden in the file is restored alike whatever its colour."""
    seen = np.full((80, 96), 255, np.uint8)
    seen[30:45, 40:61] = 0
    save("mask.png", seen)
    images = []
    for colour in (0, 255):
        levels = np.array(Image.fromarray(noise_picture(12, 10)).resize((96, 80)))
        levels[seen == 0] = colour
        save("holed.png", levels)
        masked = ("--measured", "holed.png", "--operator", "mask", "--mask", "mask.png")
        done = call("solve", *masked, *QUICK, "--out", f"mask-{colour}")
        assert done.status == 0 and "mask.png is fitted like the picture" in done.err
        values = Measurements.load(f"mask-{colour}/measurements.safetensors").values
        clear = Image.fromarray(levels).convert("RGBA")
        clear.putalpha(Image.fromarray(seen))
        clear.save("clear.png")
        words = ("--measured", "clear.png", "--operator", "identity", *QUICK)
        done = call("solve", *words, "--out", f"clear-{colour}")
        assert "what is transparent counts as not seen" in done.err
        alpha = Measurements.load(f"clear-{colour}/measurements.safetensors")
        hidden = ~alpha.operator().observed()[0, 0]
        mask = Measurements.load(f"mask-{colour}/measurements.safetensors").operator()
        assert torch.equal(hidden, ~mask.observed()[0, 0])
        assert 0.05 < float(hidden.double().mean()) < 0.2
        images += [values, alpha.values]
    for values in images[1:]:
        torch.testing.assert_close(values, images[0], rtol=0, atol=2e-3)
    save("low.png", noise_picture(96, 80))
    several = ("--measured", "clear.png", "--measured", "low.png", "--operator", "identity")
    assert "transparent where others are not" in refuse("solve", *several)


def test_one_line_says_that_a_picture_is_measured(call, place: Path) -> None:
    save("photo.png", noise_picture(40, 30))
    done = call("solve", "photo.png", *SMALLER, *QUICK, "--out", "run")
    (line,) = [line for line in done.err.splitlines() if "photo.png" in line]
    assert line == (
        "simulating a measurement of photo.png, cropped from 40 x 30 to its central 30 x 30 pixels "
        "and resized to 32 x 32 (--fit crop); if it is measured already: --measured FILE"
    )
    quiet = call("solve", "--sample", "cat", *SMALLER, *QUICK, "--out", "cat")
    assert "simulating" not in quiet.err


# -------------------------------------------------------------------------------------- --paste


def pixels(name: str) -> np.ndarray:
    with Image.open(name) as image:
        return np.asarray(image.convert("RGB"))


def resized(levels: np.ndarray, width: int, height: int) -> np.ndarray:
    """By Pillow, which is independent of ours."""
    return np.asarray(Image.fromarray(levels).resize((width, height), Image.Resampling.BICUBIC))


def near(one: np.ndarray, other: np.ndarray) -> bool:
    return int(np.abs(one.astype(int) - other.astype(int)).max()) <= 2


def test_a_result_is_pasted_where_it_was_cropped_from(call, place: Path) -> None:
    levels = noise_picture(101, 64)
    save("photo.png", levels)
    words = ("solve", "photo.png", "--operator", "box-mask", *QUICK, "--paste")
    assert call(*words, "--out", "run").status == 0
    whole, square = pixels("run/pasted.png"), pixels("run/image.png")
    assert whole.shape == levels.shape
    left = (101 - 64) // 2
    assert (whole[:, :left] == levels[:, :left]).all()
    assert (whole[:, left + 64 :] == levels[:, left + 64 :]).all()
    assert near(whole[:, left : left + 64], resized(square, 64, 64))
    assert call(*words, "--fit", "stretch", "--out", "stretched").status == 0
    square = pixels("stretched/image.png")
    assert near(pixels("stretched/pasted.png"), resized(square, 101, 64))
    assert call(*words, "--fit", "pad", "--out", "padded").status == 0
    rows = round(64 * SIDE / 101)
    inner = pixels("padded/image.png")[(SIDE - rows) // 2 :][:rows]
    assert near(pixels("padded/pasted.png"), resized(inner, 101, 64))


def test_a_measured_picture_is_pasted_into_or_enlarged_around_the_result(
    call, refuse, place: Path
) -> None:
    levels = noise_picture(44, 32)
    save("blurred.png", levels)
    blur = ("--operator", "gaussian-blur", "--sigma", 1, "--paste")
    assert call("solve", "--measured", "blurred.png", *blur, *QUICK, "--out", "same").status == 0
    whole = pixels("same/pasted.png")
    assert (whole[:, 6:38] == pixels("same/image.png")).all()
    assert (whole[:, :6] == levels[:, :6]).all() and (whole[:, 38:] == levels[:, 38:]).all()

    low = noise_picture(8, 11) // 4 + 96  # Pillow would clip between rows and columns
    save("low.png", low)
    run = ("solve", "--measured", "low.png", *SMALLER, *QUICK, "--paste", "--out", "large")
    assert call(*run).status == 0
    whole, enlarged = pixels("large/pasted.png"), resized(low, 32, 44)
    assert whole.shape == (44, 32, 3)
    assert (whole[4:36] == pixels("large/image.png")).all()  # (11 - 8) // 2 rows, four times larger
    assert near(whole[:4], enlarged[:4]) and near(whole[36:], enlarged[36:])

    np.save("y.npy", np.zeros((3, 8, 8)))
    assert "is an array" in refuse("solve", "--measured", "y.npy", *SMALLER, "--paste")
    save("exact.png", noise_picture(32, 32))
    turned = ("--operator", "rotate", "--degrees", 10, "--paste")
    assert "rotate may move them" in refuse("solve", "--measured", "exact.png", *turned)


def test_a_turned_photo_is_pasted_upright(call, place: Path) -> None:
    levels = noise_picture(40, 32)
    exif = Image.Exif()
    exif[274] = 6  # the camera was turned: the file's rows run downwards from the right
    Image.fromarray(levels).save("turned.png", exif=exif)
    words = ("solve", "turned.png", "--operator", "identity", *QUICK, "--paste", "--out", "run")
    assert call(*words).status == 0
    upright, whole = np.rot90(levels, -1), pixels("run/pasted.png")
    assert whole.shape == (40, 32, 3)
    assert (whole[:4] == upright[:4]).all() and (whole[36:] == upright[36:]).all()
    assert (whole[4:36] == pixels("run/image.png")).all()


def test_the_picture_of_the_sample_can_be_pasted_into(call, place: Path) -> None:
    words = ("solve", "--sample", "cat", "--operator", "identity", *QUICK, "--paste")
    assert call(*words, "--out", "run").status == 0
    whole = invprob.load_image("run/pasted.png")
    assert whole.shape == load_sample("cat").shape
