"""Coil maps, phase and white noise of a phantom with known maps, beside SigPy, BART and NumPy."""

import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from invprob.errors import ArgumentError, CallError
from invprob.operators import (
    CoilScan,
    MulticoilMRI,
    estimate_sensitivities,
    multicoil_from_kspace,
    prewhiten,
    smooth_phase,
)
from invprob.operators.multicoil import birdcage

SIZE, COILS = 64, 6


class Phantom(NamedTuple):
    """What a scan is made of, and the scan."""

    image: np.ndarray  # real, (SIZE, SIZE), 0 outside of the body
    phase: np.ndarray
    maps: np.ndarray  # complex (COILS, SIZE, SIZE), the sum of whose squared magnitudes is 1
    kspace: np.ndarray  # complex (COILS, SIZE, SIZE), zero in columns that were not measured
    mask: np.ndarray  # bool (SIZE,)

    @property
    def coil_images(self) -> np.ndarray:
        return self.maps * self.image * np.exp(1j * self.phase)


def _transform(images: np.ndarray) -> np.ndarray:
    moved = np.fft.ifftshift(images, axes=(-2, -1))
    return np.fft.fftshift(np.fft.fft2(moved, norm="ortho"), axes=(-2, -1))


def _phantom(noise: float = 0.002, lines: int = 25, every: int = 3) -> Phantom:
    places = (np.arange(SIZE) - (SIZE - 1) / 2) / (SIZE / 2)
    x, y = np.meshgrid(places, places)
    image = 0.5 * (np.hypot(x / 0.85, y / 0.9) < 1)
    image += 0.4 * (np.hypot((x - 0.2) / 0.3, (y + 0.1) / 0.4) < 1)
    image -= 0.3 * (np.hypot((x + 0.4) / 0.2, (y - 0.3) / 0.3) < 1)
    phase = 1.2 * np.sin(1.5 * x) + 0.9 * np.cos(1.3 * y + x)
    parts = birdcage(COILS, SIZE, SIZE).numpy()
    maps = parts[..., 0] + 1j * parts[..., 1]
    rng = np.random.default_rng(7)
    kspace = _transform(maps * image * np.exp(1j * phase))
    kspace += noise * (rng.normal(size=kspace.shape) + 1j * rng.normal(size=kspace.shape))
    columns = np.arange(SIZE)
    mask = (columns % every == 1) | (abs(columns - SIZE // 2) <= lines // 2)
    return Phantom(image, phase, maps, kspace * mask, mask)


PHANTOM = _phantom()


def _lost(maps: np.ndarray, coil_images: np.ndarray) -> float:
    """The share of the coils' images that maps cannot explain, by their norm."""
    explained = maps * (maps.conj() * coil_images).sum(0)
    return float(np.linalg.norm(explained - coil_images) / np.linalg.norm(coil_images))


def test_the_maps_explain_the_coils_images() -> None:
    maps = estimate_sensitivities(PHANTOM.kspace).numpy()
    assert _lost(maps, PHANTOM.coil_images) < 0.02
    assert _lost(PHANTOM.maps, PHANTOM.coil_images) < 1e-12
    assert _lost(np.roll(PHANTOM.maps, 8, axis=2), PHANTOM.coil_images) > 0.1
    norms = (abs(maps) ** 2).sum(0)
    assert np.all((abs(norms - 1) < 1e-9) | (norms == 0))
    assert norms[PHANTOM.image > 0].all() and not norms[:2, :2].any()
    np.testing.assert_allclose(maps[0].imag, 0, atol=1e-12)
    everywhere = estimate_sensitivities(torch.from_numpy(PHANTOM.kspace), crop=0.0).numpy()
    np.testing.assert_allclose((abs(everywhere) ** 2).sum(0), 1)
    np.testing.assert_allclose(everywhere * (norms > 0), maps)


def test_they_are_those_of_sigpy() -> None:
    mri = pytest.importorskip("sigpy.mri", reason="SigPy is not installed")
    theirs = mri.app.EspiritCalib(
        PHANTOM.kspace, calib_width=24, thresh=0.02, kernel_width=6, crop=0.8, show_pbar=False
    ).run()
    ours = estimate_sensitivities(PHANTOM.kspace).numpy()
    both = ((theirs != 0).any(0) & (ours != 0).any(0)) * PHANTOM.image > 0
    assert both.sum() == (PHANTOM.image > 0).sum()
    # Both find eigenvectors, theirs by 100 steps of power iteration.
    assert np.linalg.norm((ours - theirs) * both) / np.linalg.norm(ours * both) < 1e-6
    lost = _lost(theirs, PHANTOM.coil_images)
    assert _lost(ours, PHANTOM.coil_images) == pytest.approx(lost, rel=1e-6)


def _write_cfl(name: Path, values: np.ndarray) -> None:
    """BART's form: column-major complex64, dimensions x, y, z, coils."""
    turned = values.transpose(1, 2, 0)[:, :, None]
    name.with_suffix(".hdr").write_text("# Dimensions\n" + " ".join(map(str, turned.shape)) + "\n")
    turned.astype(np.complex64).ravel("F").tofile(name.with_suffix(".cfl"))


def _read_cfl(name: Path) -> np.ndarray:
    sizes = [int(word) for word in name.with_suffix(".hdr").read_text().split("\n")[1].split()]
    values = np.fromfile(name.with_suffix(".cfl"), np.complex64).reshape(sizes, order="F")
    return values.reshape(sizes[:4], order="F")[:, :, 0].transpose(2, 0, 1)


@pytest.mark.skipif(shutil.which("bart") is None, reason="BART is not installed")
def test_they_explain_as_much_as_those_of_bart(tmp_path: Path) -> None:
    _write_cfl(tmp_path / "kspace", PHANTOM.kspace)
    subprocess.run(
        ["bart", "ecalib", "-m1", "-r24", "-c0.8", "kspace", "maps"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    theirs = _read_cfl(tmp_path / "maps")
    theirs = theirs / np.maximum(np.sqrt((abs(theirs) ** 2).sum(0)), 1e-12)
    ours = estimate_sensitivities(PHANTOM.kspace).numpy()
    inside = (abs(theirs).sum(0) > 0) & (PHANTOM.image > 0)
    assert inside.sum() > 0.95 * (PHANTOM.image > 0).sum()
    seen = PHANTOM.coil_images * inside
    assert _lost(ours, seen) < 1.1 * _lost(theirs, seen)
    aligned = abs((theirs.conj() * ours).sum(0))[inside]  # 1 for equal maps, whatever their phase
    assert np.quantile(aligned, 0.01) > 0.99


def test_maps_and_phase_make_the_image_real() -> None:
    maps = estimate_sensitivities(PHANTOM.kspace, crop=0.0)
    phase = smooth_phase(PHANTOM.kspace, maps)
    turned = (maps * torch.polar(torch.ones_like(phase), phase)).numpy()
    seen = (turned.conj() * PHANTOM.coil_images).sum(0)
    assert np.linalg.norm(seen.imag) < 0.04 * np.linalg.norm(seen)
    assert np.linalg.norm(seen.real - PHANTOM.image) < 0.03 * np.linalg.norm(PHANTOM.image)
    without = (maps.numpy().conj() * PHANTOM.coil_images).sum(0)
    assert np.linalg.norm(without.imag) > 0.3 * np.linalg.norm(without)


def test_the_phase_is_that_of_the_image_where_the_maps_are_known() -> None:
    phase = smooth_phase(PHANTOM.kspace, PHANTOM.maps).numpy()
    apart = np.exp(1j * (phase - PHANTOM.phase))[PHANTOM.image > 0]
    assert np.sqrt((np.angle(apart) ** 2).mean()) < 0.05


def test_what_the_maps_refer_to_cancels() -> None:
    rng = np.random.default_rng(2)
    maps = estimate_sensitivities(PHANTOM.kspace, crop=0.0)
    other = maps * torch.from_numpy(np.exp(1j * rng.normal(size=(SIZE, SIZE))))
    first, second = (
        one * torch.polar(torch.ones_like(phase), phase)
        for one in (maps, other)
        for phase in [smooth_phase(PHANTOM.kspace, one)]
    )
    np.testing.assert_allclose(first, second, atol=1e-10)


def _correlated(samples: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Noise of the coils, and its covariance."""
    rng = np.random.default_rng(3)
    mix = rng.normal(size=(COILS, COILS)) + 1j * rng.normal(size=(COILS, COILS))
    white = rng.normal(size=(COILS, *samples)) + 1j * rng.normal(size=(COILS, *samples))
    return np.einsum("ab,b...->a...", mix, white / np.sqrt(2)), mix @ mix.conj().T


def test_white_noise_has_a_covariance_of_one() -> None:
    noise, covariance = _correlated((400, 100))
    kspace = np.random.default_rng(1).normal(size=(COILS, 4, 4)) + 0j
    white, matrix = prewhiten(kspace, noise)
    np.testing.assert_allclose(white, np.einsum("ab,bij->aij", matrix, kspace), atol=1e-10)
    found = matrix.numpy() @ covariance @ matrix.numpy().conj().T
    np.testing.assert_allclose(found, np.eye(COILS), atol=0.03)
    estimated = np.cov(noise.reshape(COILS, -1))
    np.testing.assert_allclose(matrix, np.linalg.inv(np.linalg.cholesky(estimated)), atol=1e-10)
    again = prewhiten(noise, noise).kspace.flatten(1)
    np.testing.assert_allclose(torch.cov(again), np.eye(COILS), atol=1e-10)


def test_it_whitens_as_sigpy_does() -> None:
    util = pytest.importorskip("sigpy.mri.util", reason="SigPy is not installed")
    noise, _ = _correlated((300,))
    theirs = util.whiten(PHANTOM.kspace, np.cov(noise))
    np.testing.assert_allclose(prewhiten(PHANTOM.kspace, noise).kspace, theirs, atol=1e-10)


def _residual(scan: CoilScan, image: np.ndarray) -> float:
    measured = scan.operator(torch.from_numpy(2 * image / scan.scale - 1)[None, None])[0]
    black = scan.operator(-torch.ones(1, 1, SIZE, SIZE, dtype=torch.float64))[0]
    return float((measured - scan.values).norm() / (scan.values - black).norm())


@pytest.mark.parametrize("noisy", [False, True])
def test_a_scan_becomes_the_measurement_of_a_real_image(noisy: bool) -> None:
    noise, _ = _correlated((500,)) if noisy else (None, None)
    scan = multicoil_from_kspace(PHANTOM.kspace, noise=noise)
    assert isinstance(scan.operator, MulticoilMRI)
    assert scan.operator.lines.tolist() == np.flatnonzero(PHANTOM.mask).tolist()
    if not noisy:  # white noise weighs the coils, which shades the image
        assert scan.scale == pytest.approx(PHANTOM.image.max(), rel=0.15)
        assert _residual(scan, PHANTOM.image) < 0.03
        assert _residual(scan, PHANTOM.image[:, ::-1].copy()) > 0.3
    restored = scan.operator.pinv(scan.values[None], iterations=30)
    left = scan.operator(restored)[0] - scan.values
    assert float(left.norm() / scan.values.norm()) < 0.03


def test_known_maps_of_any_phase_are_taken_with_the_noise() -> None:
    rng = np.random.default_rng(2)
    phases = np.exp(1j * rng.normal(size=(SIZE, SIZE)))
    noise, _ = _correlated((500,))
    scan = multicoil_from_kspace(
        PHANTOM.kspace, sensitivities=PHANTOM.maps * phases, noise=noise, scale=0.9
    )
    assert scan.scale == 0.9
    assert _residual(scan, PHANTOM.image) < 0.03  # though the noise of the coils is mixed


def _holes() -> np.ndarray:
    holes = PHANTOM.kspace.copy()
    holes[:, ::4] = 0
    return holes


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: estimate_sensitivities(abs(PHANTOM.kspace)), "kspace must be complex, of shape"),
        (lambda: estimate_sensitivities(PHANTOM.kspace[0]), "got a NumPy array of shape"),
        (lambda: estimate_sensitivities(PHANTOM.kspace * np.nan), "values that are not finite"),
        (lambda: estimate_sensitivities(_phantom(lines=3).kspace), r"24 x \d samples.*at least 6"),
        (
            lambda: estimate_sensitivities(np.roll(PHANTOM.kspace, 20, 2)),
            "kspace is zero in column 32, where frequency zero",
        ),
        (
            lambda: smooth_phase(PHANTOM.kspace, PHANTOM.maps[:3]),
            r"sensitivities must have the shape of kspace, \(6, 64, 64\), got \(3, 64, 64\)",
        ),
        (lambda: prewhiten(PHANTOM.kspace, PHANTOM.kspace[:3]), "of the 6 coils of kspace"),
        (lambda: prewhiten(PHANTOM.kspace, np.ones((6, 4), complex)), "more samples than coils"),
        (lambda: prewhiten(PHANTOM.kspace, np.ones((6, 40), complex)), "is singular"),
        (lambda: prewhiten(PHANTOM.kspace, 0.1), "noise must be complex"),
        (lambda: multicoil_from_kspace(_holes()), "kspace is zero in 25% of the samples"),
        (lambda: multicoil_from_kspace(0 * PHANTOM.kspace), "kspace is zero in 100%"),
        (lambda: multicoil_from_kspace(PHANTOM.kspace, scale=-1.0), "scale must be above 0"),
    ],
)
def test_wrong_arguments_are_named(call: Any, message: str) -> None:
    with pytest.raises((ArgumentError, CallError), match=message):
        call()
