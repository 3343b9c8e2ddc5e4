"""Measurements: made once, saved bit for bit, and refused where they do not fit."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from invprob.errors import FileError, MeasurementError, ShapeError
from invprob.measurements import VERSION, Measurements, measure, snr
from invprob.operators import GaussianNoise, Identity, Luminance, Operator, PartialCirculant
from invprob.registry import register
from invprob.streams import stream

SHAPE = (3, 8, 8)
KEY = "invprob-measurements"


def _operator() -> Operator:
    return PartialCirculant((1, 8, 8), ratio=0.5, seed=3) @ Luminance(SHAPE)


def _images(batch: int = 2) -> torch.Tensor:
    rng = torch.Generator().manual_seed(5)
    return 2 * torch.rand(batch, *SHAPE, generator=rng) - 1


def _saved(tmp_path: Path) -> Path:
    path = tmp_path / "y.safetensors"
    noise = GaussianNoise(sigma=0.1)
    measure(_images(), _operator(), noise, seed=4, record={"source": "a.png"}).save(path)
    return path


def _changed(path: Path, values: torch.Tensor | None = None, **changes: object) -> Path:
    """Write the file again with other contents; a change to None leaves the field out."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    about = json.loads(json.loads(content[8 : 8 + length])["__metadata__"][KEY])
    about = {k: v for k, v in (about | changes).items() if v is not None or k == "noise"}
    tensors = {"values": load(content)["values"] if values is None else values}
    path.write_bytes(save(tensors, {KEY: json.dumps(about)}))
    return path


def test_measuring_applies_the_operator_and_then_the_noise() -> None:
    operator, noise = _operator(), GaussianNoise(sigma=0.1)
    images = _images().requires_grad_()
    clean = measure(images, operator)
    assert torch.equal(clean.values, operator(images).detach())
    assert not clean.values.requires_grad
    assert clean.noise_spec is None
    noisy = measure(images, operator, noise, seed=4)
    assert torch.equal(noisy.values, noise(clean.values, stream(4, "noise")))
    assert noisy.noise_spec == {"type": "gaussian", "sigma": 0.1}
    assert (noisy.image_shape, noisy.seed, noisy.version) == (SHAPE, 4, VERSION)


def test_an_image_of_a_batch_is_measured_as_it_would_be_alone() -> None:
    operator, noise = _operator(), GaussianNoise(sigma=0.1)
    images = _images(3)
    together = measure(images, operator, noise, seed=1).values
    for b in range(3):
        alone = measure(images[b : b + 1], operator, noise, seed=1).values
        torch.testing.assert_close(together[b : b + 1], alone, rtol=0, atol=1e-6)


def test_measurements_do_not_share_memory_with_the_image() -> None:
    images = _images()
    measurements = measure(images, Identity(SHAPE))
    images.zero_()
    assert float(measurements.values.abs().max()) > 0


def test_wrong_images_are_refused() -> None:
    with pytest.raises(ShapeError):
        measure(_images()[0], _operator())
    with pytest.raises(MeasurementError, match="192 of 384 measurements are NaN or infinite"):
        measure(_images() * torch.tensor([1.0, math.nan]).view(2, 1, 1, 1), Identity(SHAPE))
    with pytest.raises(MeasurementError, match="batch is empty"):
        measure(_images(0), Identity(SHAPE))


def test_saving_and_loading_is_exact(tmp_path: Path) -> None:
    before = measure(
        _images(), _operator(), GaussianNoise(sigma=0.1), seed=4, record={"fit": "crop"}
    )
    before.save(tmp_path / "y.safetensors")
    after = Measurements.load(tmp_path / "y.safetensors")
    assert torch.equal(after.values, before.values)
    assert after.values.dtype == torch.float32
    for field in dataclasses.fields(Measurements):
        if field.name != "values":
            assert getattr(after, field.name) == getattr(before, field.name)
    operator = after.operator()
    assert operator.fingerprint() == _operator().fingerprint()
    assert torch.equal(operator(_images()), _operator()(_images()))


def test_saving_twice_gives_the_same_file(tmp_path: Path) -> None:
    first = _saved(tmp_path).read_bytes()
    assert _saved(tmp_path).read_bytes() == first
    assert [path.name for path in tmp_path.iterdir()] == ["y.safetensors"]


def test_saving_where_one_cannot(tmp_path: Path) -> None:
    measurements = measure(_images(), _operator())
    with pytest.raises(FileError, match="make the folder"):
        measurements.save(tmp_path / "none" / "y.safetensors")
    with pytest.raises(FileError, match="is a folder"):
        measurements.save(tmp_path)


def test_files_of_another_kind(tmp_path: Path) -> None:
    path = tmp_path / "y.safetensors"
    with pytest.raises(FileError, match="no such file"):
        Measurements.load(path)
    with pytest.raises(FileError, match="a folder, not a file"):
        Measurements.load(tmp_path)
    others = [
        b"",
        b"hello",
        b"\x89PNG\r\n\x1a\n" + bytes(100),
        (4).to_bytes(8, "little") + b"nope",
        (2).to_bytes(8, "little") + b"[]",
        save({"values": torch.zeros(3)}),
        save({"values": torch.zeros(3)}, {KEY: "[1]"}),
        save({"values": torch.zeros(3)}, {KEY: "{"}),
    ]
    for content in others:
        path.write_bytes(content)
        with pytest.raises(FileError, match=r"y.safetensors'.*not a file of measurements"):
            Measurements.load(path)


def test_a_truncated_file(tmp_path: Path) -> None:
    path = _saved(tmp_path)
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(FileError, match="damaged"):
        Measurements.load(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"operator": None}, "lacks operator"),
        ({"fingerprint": None}, "lacks fingerprint"),
        ({"version": VERSION + 1}, f"version {VERSION + 1}.*newer invprob"),
        ({"version": "x"}, "version 'x'"),
        ({"image_shape": [3, 4, 4]}, r"its images are \(3, 4, 4\).*measure again"),
        ({"image_shape": "abc"}, "image_shape"),
        ({"operator": 3}, "operator"),
        ({"operator": {"type": "circulent"}}, "Did you mean 'circulant'.*--plugin FILE"),
        ({"operator": {"type": "circulant"}}, "cannot be built.*'image_shape'"),
        ({"operator": {"type": "compose"}}, "cannot be built"),
        ({"operator": {"type": "identity", "image_shape": [3, 8, 8]}}, r"shape \(3, 8, 8\)"),
        ({"fingerprint": "f" * 64}, "fingerprint ffffffffffff, but .* has"),
        ({"fingerprint": 7}, "fingerprint"),
        ({"seed": "one"}, "seed"),
        ({"record": [1]}, "record"),
    ],
)
def test_files_that_do_not_fit_together(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    path = _changed(_saved(tmp_path), **changes)
    with pytest.raises(MeasurementError, match=message) as caught:
        Measurements.load(path)
    assert "y.safetensors" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (torch.full((1, 32), math.nan), "NaN or infinite"),
        (torch.full((1, 32), math.inf), "NaN or infinite"),
        (torch.zeros(1, 31), r"makes measurements of shape \(32,\)"),
        (torch.zeros(32), r"makes measurements of shape \(32,\)"),
        (torch.zeros(0, 32), "batch is empty"),
        (torch.zeros(1, 32, dtype=torch.float64), "must be float32"),
    ],
)
def test_values_that_do_not_fit(tmp_path: Path, values: torch.Tensor, message: str) -> None:
    path = _changed(_saved(tmp_path), values)
    with pytest.raises(MeasurementError, match=message):
        Measurements.load(path)


def test_an_operator_of_other_seed_is_refused_by_both_fingerprints() -> None:
    measurements = measure(_images(), PartialCirculant(SHAPE, ratio=0.1, seed=0))
    other = PartialCirculant(SHAPE, ratio=0.1, seed=1)
    measurements.check(PartialCirculant(SHAPE, ratio=0.1, seed=0))
    measurements.check(PartialCirculant(SHAPE, ratio=0.1, seed=0).double())
    with pytest.raises(MeasurementError) as caught:
        measurements.check(other)
    assert measurements.fingerprint[:12] in str(caught.value)
    assert other.fingerprint()[:12] in str(caught.value)
    with pytest.raises(MeasurementError, match="makes measurements of shape"):
        measurements.check(PartialCirculant(SHAPE, ratio=0.2))


def test_an_operator_of_a_plugin_that_is_not_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Theirs(Identity):
        pass

    monkeypatch.setitem(register.operator._entries, "theirs", Theirs)
    measure(_images(), Theirs(SHAPE)).save(tmp_path / "y")
    monkeypatch.delitem(register.operator._entries, "theirs")
    with pytest.raises(MeasurementError, match=r"no operator is named 'theirs'.*--plugin FILE"):
        Measurements.load(tmp_path / "y")


def test_arrays_from_elsewhere() -> None:
    operator = PartialCirculant(SHAPE, ratio=0.1)
    rows = np.random.default_rng(0).normal(size=(2, 19))
    expected = torch.from_numpy(rows).float()
    for array in (rows, torch.from_numpy(rows), rows.astype(np.float32), rows.tolist()):
        assert torch.equal(Measurements.from_array(array, operator).values, expected)
    single = Measurements.from_array(rows[0], operator, seed=2, record={"source": "lab"})
    assert torch.equal(single.values, expected[:1])
    assert (single.seed, single.record) == (2, {"source": "lab"})
    single.check(operator)
    counts = Measurements.from_array(np.ones((1, 19), dtype=np.uint16), operator)
    assert torch.equal(counts.values, torch.ones(1, 19))
    flipped = Measurements.from_array(rows[:, ::-1], operator)
    assert torch.equal(flipped.values, expected.flip(1))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(20), r"shape \(19,\), or \(batch, 19,\) for several images; got \(20,\)"),
        (np.zeros((19, 1)), "got"),
        (np.zeros(()), "got"),
        (np.zeros((0, 19)), "batch is empty"),
        (np.zeros(19) + 1j, "must be real"),
        (torch.zeros(19, dtype=torch.complex64), "must be real"),
        (np.array(["a"] * 19), "must be numbers"),
        (np.array([None] * 19), "must be numbers"),
        ([[1.0], [1.0, 2.0]], "must be one array"),
        (np.full(19, np.nan), "19 of 19 measurements are NaN"),
        (np.full(19, 1e300), "infinite"),
    ],
)
def test_arrays_that_do_not_fit(array: Any, message: str) -> None:
    with pytest.raises(MeasurementError, match=message):
        Measurements.from_array(array, PartialCirculant(SHAPE, ratio=0.1))


def test_signal_to_noise_ratio() -> None:
    clean = torch.full((2, 4, 5), 2.0)
    noisy = clean + torch.tensor([0.2, 0.02])[:, None, None]
    torch.testing.assert_close(snr(clean, noisy), torch.tensor([20.0, 40.0]), rtol=0, atol=1e-3)
    assert bool(snr(clean, clean).isinf().all())
