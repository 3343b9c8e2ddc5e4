"""Data of scanners on the command line: the axis of a sinogram, lines of k-space, coil maps."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from skimage.transform import radon

from invprob.errors import MeasurementWarning
from invprob.measurements import Measurements
from invprob.metrics import psnr
from invprob.operators import CT, MRI, MulticoilMRI
from invprob.run.samples import load_sample

SIZE, VIEWS = 32, 45
DEGREES = np.arange(VIEWS) * 180 / VIEWS
CT_OPTIONS = ("--operator", "ct", "--views", VIEWS, "--detectors", VIEWS)


def _cat() -> np.ndarray:
    """The sample, 0 outside a circle, (3, 32, 32)."""
    y, x = np.mgrid[:SIZE, :SIZE] - SIZE // 2
    return load_sample("cat", size=SIZE)[0].double().numpy() * (np.hypot(x, y) < SIZE // 2)


def test_a_sinogram_of_scikit_image_is_imported_and_restored(call, place: Path) -> None:
    cat = _cat()
    theirs = [radon(channel, DEGREES, circle=False, preserve_range=True) for channel in cat]
    (cells, _), *_ = (sinogram.shape for sinogram in theirs)
    np.save("sinogram.npy", np.stack([sinogram.T for sinogram in theirs]))
    options = ("--operator", "ct", "--views", VIEWS, "--detectors", cells, "--size", SIZE)
    axis = 0.5 * (cells % 2 == 0)
    moved = ("--axis", axis, "--origin", "0.5 0.5")
    scores = []
    for name, words in (("moved", (*options, *moved)), ("middle", options)):
        done = call("import-measurements", "sinogram.npy", *words, "--out", f"{name}.st")
        assert (done.status, done.err) == (0, ""), done
        run = ("--method", "tv", "--steps", 60, "--out", name)
        assert call("solve", "--measurements", f"{name}.st", *run).status == 0
        image = load_file(f"{name}/solution.safetensors")["image"]
        scores.append(float(psnr(image, torch.from_numpy(cat[None]).float())))
    assert scores[0] > 30 > 27 > scores[1], scores
    operator = Measurements.load("moved.st").operator()
    assert isinstance(operator, CT)
    assert (operator.axis, operator.origin) == (axis, (0.5, 0.5))
    assert "axis" not in Measurements.load("middle.st").operator_spec


def test_a_sinogram_whose_axes_are_exchanged_is_warned_of(call, place: Path) -> None:
    operator = CT((3, SIZE, SIZE), views=VIEWS, detectors=VIEWS)
    values = operator(torch.from_numpy(_cat()[None]))[0].numpy()
    np.save("right.npy", values)
    np.save("wrong.npy", values.swapaxes(1, 2))
    words = (*CT_OPTIONS, "--size", SIZE, "--out")
    with pytest.warns(MeasurementWarning, match="looks transposed"):
        assert call("import-measurements", "wrong.npy", *words, "wrong.st").status == 0
    assert call("import-measurements", "right.npy", *words, "right.st").status == 0


def test_k_space_with_its_own_lines_and_maps(call, place: Path) -> None:
    cat = load_sample("cat", size=SIZE)[0].double().numpy()
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(2, SIZE, SIZE)) + 1j * rng.normal(size=(2, SIZE, SIZE))
    mask = (np.arange(SIZE) % 3 == 1) | (abs(np.arange(SIZE) - SIZE // 2) < 4)
    moved = np.fft.ifftshift(maps[:, None] * cat, axes=(2, 3))
    full = np.fft.fftshift(np.fft.fft2(moved, norm="ortho"), axes=(2, 3))[..., mask]
    np.save("y.npy", np.stack([full.real, full.imag], -1))
    np.save("mask.npy", mask.astype(np.uint8))
    np.save("maps.npy", maps.astype(np.complex64))
    given = ("--lines", "mask.npy", "--sensitivities", "maps.npy", "--size", SIZE)
    words = ("--operator", "multicoil-mri", *given, "--out", "y.st")
    done = call("import-measurements", "y.npy", *words)
    assert (done.status, done.err) == (0, ""), done
    saved = Measurements.load("y.st")
    exact = saved.operator()(torch.from_numpy(cat[None]).float())
    assert float((exact - saved.values).norm() / saved.values.norm()) < 1e-6
    assert call("solve", "--measurements", "y.st", "--method", "tv", "--steps", 40).status == 0
    np.save("complex.npy", full)
    assert call("import-measurements", "complex.npy", *words[:-1], "z.st").status == 0
    assert torch.equal(Measurements.load("z.st").values, saved.values)
    by_number = ("--operator", "mri", "--lines", "16 15 17 3", "--size", SIZE, "--out", "n.st")
    assert call("measure", "--sample", "cat", *by_number).status == 0
    operator = Measurements.load("n.st").operator()
    assert isinstance(operator, MRI)
    assert operator.lines.tolist() == [16, 15, 17, 3]


def _head() -> tuple[np.ndarray, np.ndarray]:
    """A grey cat within a disc, and the k-space of its coils with a phase, some columns missing."""
    y, x = np.mgrid[:SIZE, :SIZE] / (SIZE / 2) - 1
    grey = (load_sample("cat", size=SIZE)[0].double().numpy().mean(0) + 1) / 2
    image = grey * (np.hypot(x, y) < 0.9)
    parts = MulticoilMRI((1, SIZE, SIZE), coils=5).sensitivities.numpy()
    coils = (parts[..., 0] + 1j * parts[..., 1]) * image * np.exp(1j * np.sin(2 * x + y))
    axes = (-2, -1)
    kspace = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(coils, axes), norm="ortho"), axes)
    columns = np.arange(SIZE)
    return image, kspace * ((columns % 3 == 1) | (abs(columns - SIZE // 2) < 8))


def test_coil_maps_are_estimated_by_espirit(call, place: Path) -> None:
    image, kspace = _head()
    np.save("scan.npy", kspace)
    words = ("--operator", "multicoil-mri", "--sensitivities", "espirit", "--operator", "luminance")
    done = call("import-measurements", "scan.npy", *words, "--out", "scan.st")
    assert done.status == 0, done
    assert "coil maps are estimated by ESPIRiT from the 15 middle lines" in done.err
    measurements = Measurements.load("scan.st")
    scanner = measurements.operator().leaves()[0]
    assert isinstance(scanner, MulticoilMRI)
    maps = torch.view_as_complex(scanner.sensitivities)
    np.testing.assert_allclose(maps.abs().square().sum(0), 1, atol=1e-5)
    # With these maps the image that explains the scan is the real one.
    columns = scanner.lines.numpy()
    values = torch.view_as_real(torch.from_numpy(kspace[:, None, :, columns]))
    predicted = scanner(torch.from_numpy(image)[None, None])[0]
    assert float((predicted - values).norm() / values.norm()) < 0.05


def test_espirit_needs_lines_in_the_middle(call, place: Path) -> None:
    _, kspace = _head()
    columns = np.arange(SIZE)
    np.save("few.npy", kspace * ((columns % 3 == 1) | (abs(columns - SIZE // 2) < 2)))
    words = ("--operator", "multicoil-mri", "--sensitivities", "ESPIRiT")
    done = call("import-measurements", "few.npy", *words, "--out", "few.st")
    assert done.status == 2 and "coil maps need at least 6 x 6" in done.err, done
    assert not Path("few.st").exists()
