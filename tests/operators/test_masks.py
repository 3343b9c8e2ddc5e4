"""Masks: what is seen, counted by hand; what a file holds, written by Pillow and NumPy."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
import torch
from PIL import Image

from invprob.errors import ArgumentError
from invprob.measurements import Measurements, measure
from invprob.operators import BoxMask, LinearOperator, Mask, Operator, RandomMask, StrokeMask
from invprob.operators.masks import stroke_distances
from invprob.testing import check_operator, dense

CORNER = np.array([[1, 1, 0, 1, 1], [1, 0, 0, 1, 1], [0, 1, 1, 1, 1]])


def _images(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


@pytest.mark.parametrize(
    ("arguments", "rows", "columns"),
    [
        ({}, slice(2, 6), slice(3, 9)),
        ({"x": 0, "y": 0}, slice(0, 4), slice(0, 6)),
        ({"x": 1, "y": 1}, slice(4, 8), slice(6, 12)),
        ({"share": 0.25, "x": 1, "y": 0}, slice(0, 2), slice(9, 12)),
    ],
)
def test_a_box_is_hidden_in_all_channels(
    arguments: dict[str, float], rows: slice, columns: slice
) -> None:
    x = _images(2, 3, 8, 12)
    expected = x.clone()
    expected[:, :, rows, columns] = 0
    assert torch.equal(BoxMask((3, 8, 12), **arguments)(x), expected)


def test_random_pixels_are_the_documented_draw() -> None:
    operator = RandomMask((3, 9, 7), ratio=0.3, seed=6)
    rng = torch.Generator().manual_seed(6)
    drawn = torch.randperm(63, generator=rng)[:19].tolist()
    seen = [[[int(r * 7 + c in drawn) for c in range(7)] for r in range(9)]] * 3
    assert torch.equal(operator(torch.ones(1, 3, 9, 7)), torch.tensor([seen]).float())
    assert not torch.equal(operator.seen, RandomMask((3, 9, 7), ratio=0.3, seed=7).seen)


def test_masks_are_diagonal_projections() -> None:
    for operator in (BoxMask((2, 6, 5)), RandomMask((2, 6, 5), 0.4), StrokeMask((2, 6, 5))):
        matrix = dense(operator)
        assert torch.equal(matrix, torch.diag(matrix.diagonal()))
        assert set(matrix.diagonal().tolist()) == {0.0, 1.0}
        y = _images(2, 2, 6, 5)
        expected = (y.flatten(1) @ torch.linalg.pinv(matrix)).view(y.shape)
        torch.testing.assert_close(operator.pinv(y), expected)
        torch.testing.assert_close(operator.adjoint(y), LinearOperator.adjoint(operator, y))
        assert operator.norm() == 1.0


def _pieces(plane: np.ndarray) -> int:
    labels: Any = scipy.ndimage.label(plane, np.ones((3, 3)))
    return int(labels[1])


@pytest.mark.parametrize("hidden", [0.05, 0.2, 0.7])
@pytest.mark.parametrize("size", [(32, 32), (20, 50)])
def test_strokes_hide_what_was_asked_for(hidden: float, size: tuple[int, int]) -> None:
    operator = StrokeMask((3, *size), hidden=hidden, seed=3)
    assert int((~operator.seen).sum()) == round(hidden * math.prod(size))


def test_strokes_are_as_many_as_were_asked_for_and_connected() -> None:
    # What is nearer than a brush to a connected walk is connected; a walk may leave the image.
    for seed in range(10):
        hidden = ~StrokeMask((1, 96, 96), hidden=0.04, strokes=1, seed=seed).seen.numpy()
        padded = scipy.ndimage.binary_dilation(hidden, np.ones((3, 3)), 1)
        assert _pieces(padded) <= 2
    several = [
        _pieces(~StrokeMask((1, 96, 96), 0.02, strokes=6, seed=s).seen.numpy()) for s in range(5)
    ]
    assert max(several) >= 3


def test_a_seed_gives_the_same_strokes_at_every_resolution() -> None:
    small = StrokeMask((3, 32, 48), hidden=0.3, seed=8).seen.float()
    large = StrokeMask((3, 128, 192), hidden=0.3, seed=8).seen.float()
    blocks = large.view(32, 4, 48, 4).mean((1, 3))
    assert float((small - blocks).abs().mean()) < 0.06  # only at the brush's edge
    assert float((small - StrokeMask((3, 32, 48), 0.3, seed=9).seen.float()).abs().mean()) > 0.15


def test_distances_to_strokes() -> None:
    walks = torch.tensor([[[0.5, 0.25], [0.5, 0.75]]], dtype=torch.float64)
    distances = stroke_distances(8, 8, walks)
    for row, column in ((0, 0), (3, 2), (7, 7), (4, 4)):
        y, x = (row + 0.5) / 8, (column + 0.5) / 8
        fine = np.linspace(0.25, 0.75, 4097)
        expected = np.hypot(x - 0.5, y - fine).min()
        assert float(distances[row, column]) == pytest.approx(expected, abs=1e-6)


def _sources(folder: Path) -> dict[str, Any]:
    """Write the same mask in all the ways in which it can be given."""
    grey = Image.fromarray((CORNER * 255).astype(np.uint8))
    grey.save(folder / "grey.png")
    grey.convert("1").save(folder / "bits.png")
    grey.convert("RGB").save(folder / "colour.PNG")
    grey.convert("RGBA").save(folder / "opaque.png")
    grey.convert("P").save(folder / "palette.png")
    Image.fromarray((CORNER * 65535).astype(np.uint16)).save(folder / "deep.png")
    grey.save(folder / "grey.tif")
    np.save(folder / "float.npy", CORNER.astype(np.float32))
    np.save(folder / "bool.npy", CORNER.astype(bool))
    files = {path.name: str(path) for path in sorted(folder.iterdir())}
    return {
        **files,
        "path": folder / "grey.png",
        "lists": CORNER.tolist(),
        "text": json.dumps(CORNER.tolist()),
        "array": CORNER,
        "tensor": torch.from_numpy(CORNER),
        "soft": CORNER * 0.4 + 0.3,
    }


def test_every_way_to_give_a_mask_gives_the_same_operator(tmp_path: Path) -> None:
    x = _images(2, 3, 3, 5)
    fingerprints = set()
    for how, source in _sources(tmp_path).items():
        operator = Mask((3, 3, 5), mask=source)
        assert torch.equal(operator(x), x * torch.from_numpy(CORNER)), how
        fingerprints.add(operator.fingerprint())
    assert len(fingerprints) == 1


def test_a_mask_is_rebuilt_without_its_file(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    Image.fromarray((CORNER * 255).astype(np.uint8)).save(path)
    operator = Mask((3, 3, 5), mask=str(path))
    spec = json.dumps(operator.spec())
    path.unlink()
    rebuilt = Operator.from_spec(json.loads(spec))
    assert str(path) not in spec
    assert rebuilt.fingerprint() == operator.fingerprint()
    assert torch.equal(rebuilt(torch.ones(1, 3, 3, 5))[0, 0], torch.from_numpy(CORNER).float())
    assert Operator.from_spec(rebuilt.spec()).fingerprint() == operator.fingerprint()
    assert len(json.dumps(Mask((1, 512, 512), mask=np.ones((512, 512))).spec())) < 512**2 / 5


def test_a_measurement_file_travels_without_the_mask(tmp_path: Path) -> None:
    path = tmp_path / "mask.npy"
    np.save(path, CORNER)
    image = torch.rand(1, 3, 3, 5)
    operator = Mask((3, 3, 5), mask=path)
    measure(image, operator).save(tmp_path / "y.safetensors")
    path.unlink()
    loaded = Measurements.load(tmp_path / "y.safetensors")
    rebuilt = Operator.from_spec(loaded.operator_spec)
    assert rebuilt.fingerprint() == loaded.fingerprint
    assert torch.equal(rebuilt(image), loaded.values)


@pytest.mark.parametrize("shape", [(3, 19, 17), (1, 16, 8)], ids=str)
def test_the_contract_at_awkward_shapes(shape: tuple[int, int, int]) -> None:
    mask = np.arange(shape[1] * shape[2]).reshape(shape[1:]) % 3 > 0
    check_operator(Mask(shape, mask=mask))
    check_operator(StrokeMask(shape, hidden=0.5, strokes=2, seed=1))
    check_operator(BoxMask(shape, share=0.3, x=0.0, y=0.9))


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        ([[1, 0, 1]], r"mask is 1 x 3 pixels \(height x width\), but images are 3 x 5; resize"),
        (CORNER.T, r"5 x 3 pixels"),
        (CORNER * 255, r"values from 0 \(hidden\) to 1 \(seen\), got 0 to 255; divide"),
        (CORNER - 1.0, "got -1 to 0"),
        (CORNER * 0, "shows no pixel"),
        (np.where(CORNER, math.nan, 1.0), "11 values that are not finite; replace NaN"),
        (np.stack([CORNER] * 3), r"rows and columns, got the shape \(3, 3, 5\)"),
        ([[1, 0], [1]], "rows of one length"),
        ([], "rows and columns"),
        ([["a", "b"]], "real numbers"),
        (CORNER * 1j, "real numbers"),
        ("[[1, 0", "no list of rows"),
        ("nowhere.png", "'nowhere.png', and there is no such file; give"),
        (".", "no such file"),
        (3, "mask must be a word"),
        (None, "mask must"),
    ],
)
def test_masks_that_cannot_be_used(mask: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        Mask((3, 3, 5), mask=mask)


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "text.npy").write_text("no array")
    (tmp_path / "empty.npy").write_text("")
    np.save(tmp_path / "objects.npy", np.array([{}], object), allow_pickle=True)
    faint = Image.new("LA", (5, 3), (255, 100))
    faint.save(tmp_path / "faint.png")
    Image.fromarray(CORNER.astype(np.float32)).save(tmp_path / "float.tif")
    whole = tmp_path / "whole.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)).save(whole)
    (tmp_path / "half.png").write_bytes(whole.read_bytes()[:2000])
    for name, message in {
        "text.png": "is no image that can be read",
        "text.npy": "not an array that NumPy saved",
        "empty.npy": "not an array that NumPy saved",
        "objects.npy": "not an array that NumPy saved",
        "faint.png": "transparent pixels",
        "float.tif": "floating-point values",
        "half.png": "half.png",
    }.items():
        with pytest.raises(ArgumentError, match=f"mask: .*{message}"):
            Mask((3, 3, 5), mask=tmp_path / name)


def test_carried_text_that_is_damaged() -> None:
    text = Mask((3, 3, 5), mask=CORNER).spec()["mask"]
    for damaged in (
        text[:-2],
        text.replace("3x5", "3x9"),
        text.replace("bits", "float64"),
        "array:",
    ):
        with pytest.raises(ArgumentError, match="mask carries a damaged array"):
            Mask((3, 3, 5), mask=damaged)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: BoxMask((3, 8, 8), share=0), r"share must be a number in \(0, 1\)"),
        (lambda: BoxMask((3, 8, 8), share=math.nan), r"share must be a number in \(0, 1\)"),
        (lambda: BoxMask((3, 8, 8), share=0.01), "hides 0 x 0 of 8 x 8"),
        (lambda: BoxMask((3, 8, 8), share=0.99), "hides 8 x 8 of 8 x 8"),
        (lambda: BoxMask((3, 8, 8), x=1.5), r"x must be a number in \[0, 1\]"),
        (lambda: BoxMask((64,)), "channels, height, width"),
        (lambda: RandomMask((3, 8, 8), ratio=0), r"ratio must be a number in \(0, 1\]"),
        (
            lambda: RandomMask((3, 8, 8), ratio=0.001),
            "ratio 0.001 of 64 pixels leaves no measurement",
        ),
        (lambda: StrokeMask((3, 8, 8), hidden=1), r"hidden must be a number in \(0, 1\)"),
        (lambda: StrokeMask((3, 8, 8), hidden=0.001), "hides 0; choose"),
        (lambda: StrokeMask((3, 8, 8), strokes=0), "strokes must be a whole number from 1"),
    ],
)
def test_arguments_that_cannot_be_used(build: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        build()
