"""Scans on the command line: what is printed, recorded and written, and that no patient is."""

import gzip
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest
from formats_dicom import made, shipped
from pydicom.pixels.processing import apply_modality_lut

from invprob.formats.window import Window
from invprob.measurements import Measurements
from invprob.run.config import RunConfig
from invprob.run.images import read_image

QUICK = ("--method", "tv", "--steps", 2, "--perceptual", "none")
WIDE = ("--window", "-1000 1000")
IDENTITY = ("--operator", "identity")


def hounsfield(path: Path) -> np.ndarray:
    """Hounsfield units by pydicom."""
    dataset = pydicom.dcmread(path)
    return apply_modality_lut(dataset.pixel_array, dataset)


def folder_bytes(folder: Path) -> bytes:
    """All bytes of a run, with the names of its files; what is packed is unpacked as well."""
    parts = []
    for file in sorted(folder.rglob("*")):
        parts.append(str(file.relative_to(folder)).encode())
        if file.is_file():
            parts.append(file.read_bytes())
            if file.suffix == ".gz":
                parts.append(gzip.decompress(file.read_bytes()))
    return b"\n".join(parts)


def test_a_ct_slice_comes_back_in_hounsfield_units(call, place: Path) -> None:
    source = shipped("CT_small.dcm")
    done = call("solve", source, *IDENTITY, *WIDE, *QUICK, "--out", "run")
    assert done.status == 0, done
    line = (
        "CT_small.dcm: window -1000 to 1000 HU, given; black is -1000, white is 1000; 0.073 % of "
        "the pixels lie outside"
    )
    assert line in done.err.splitlines()
    restored = pydicom.dcmread("run/restored.dcm")
    image = read_image("run/image.png").tensor[0, 0].double().numpy()  # of 8 bits
    expected = Window(-1000, 1000).to_physical(image)
    assert abs(hounsfield(Path("run/restored.dcm")) - expected).max() <= 2000 / 255 / 2 + 0.5
    before = pydicom.dcmread(source)
    step = 128 / 32
    spacing = [one * step for one in before.PixelSpacing]
    np.testing.assert_allclose(restored.PixelSpacing, spacing)
    moved = np.array(restored.ImagePositionPatient) - np.array(before.ImagePositionPatient)
    first = (step - 1) / 2
    np.testing.assert_allclose(
        moved, [first * before.PixelSpacing[1], first * before.PixelSpacing[0], 0], atol=1e-6
    )
    assert "identity" in restored.DerivationDescription
    record = Measurements.load("run/measurements.safetensors").record
    assert Window.from_json(record["windows"][0]) == Window(-1000, 1000, "given", "HU")
    notes = json.loads(Path("run/environment.json").read_text())["notes"]
    assert line in notes
    assert RunConfig.load(Path("run/config.toml")).window == "-1000 1000"
    again = call("solve", "--config", "run/config.toml", "--out", "again")
    assert again.status == 0
    assert Path("again/restored.dcm").read_bytes() == Path("run/restored.dcm").read_bytes()


def test_nothing_of_the_patient_enters_a_run(call, place: Path) -> None:
    source = shipped("CT_small.dcm")
    shutil.copy(source, "slice.dcm")
    done = call("solve", "slice.dcm", *IDENTITY, *QUICK, "--paste", "--out", "run")
    assert done.status == 0, done
    assert {"restored.dcm", "pasted.dcm"} <= {file.name for file in Path("run").iterdir()}
    whole = folder_bytes(Path("run")) + done.out.encode() + done.err.encode()
    dataset = pydicom.dcmread(source)
    secrets = [
        *("CompressedSamples", "1CT1", "ABCD1234", "JFK IMAGING", "CLUNIE", "GE MEDICAL"),
        *(str(dataset[key].value) for key in ("StudyDate", "AcquisitionTime", "SOPInstanceUID")),
        *(str(dataset[key].value) for key in ("StudyInstanceUID", "FrameOfReferenceUID")),
    ]
    for secret in secrets:
        assert secret.encode() not in whole, secret
    kept = call("solve", "slice.dcm", *IDENTITY, *QUICK, "--keep-patient", "--out", "kept")
    assert kept.status == 0
    assert pydicom.dcmread("kept/restored.dcm").PatientName == dataset.PatientName
    others = [file for file in Path("kept").iterdir() if file.name != "restored.dcm"]
    for file in others:
        assert b"CompressedSamples" not in file.read_bytes(), file


def test_a_path_that_names_the_patient_is_refused(
    call, refuse: Callable[..., str], place: Path
) -> None:
    shutil.copy(shipped("CT_small.dcm"), place.parent / "compressedsamples_ct1.dcm")
    named = "../compressedsamples_ct1.dcm"
    said = refuse("solve", named, *IDENTITY, *QUICK)
    assert "image 1 holds the name or number of its patient" in said and "--keep-patient" in said
    assert "compressed" not in said
    assert "holds the name" in refuse("solve", "--measured", named, *IDENTITY, *QUICK)
    assert "holds the name" in refuse("measure", named, *IDENTITY, "--out", "y.st")
    assert call("solve", named, *IDENTITY, *QUICK, "--keep-patient").status == 0


def test_the_whole_slice_is_pasted_with_values_beyond_the_window(call, place: Path) -> None:
    values = np.random.default_rng(0).integers(-1000, 1000, (50, 70)).astype(np.int16)
    about: dict[str, Any] = {
        "ImagePositionPatient": [1, 2, 3],
        "ImageOrientationPatient": [0, 1, 0, 0, 0, -1],
    }
    made(
        Path("a.dcm"),
        values,
        RescaleSlope=1,
        RescaleIntercept=0,
        PixelSpacing=[2, 3],
        **about,
    )
    done = call("solve", "a.dcm", *IDENTITY, "--window", "-100 100", *QUICK, "--paste")
    assert done.status == 0, done
    pasted = pydicom.dcmread(done.last / "pasted.dcm")
    restored = pydicom.dcmread(done.last / "restored.dcm")
    found = hounsfield(done.last / "pasted.dcm")
    assert found.shape == (50, 70)
    np.testing.assert_array_equal(found[:, :10], values[:, :10])
    np.testing.assert_array_equal(found[:, 60:], values[:, 60:])
    assert abs(found[:, 10:60]).max() <= 100
    assert pasted.PixelSpacing == [2, 3] and pasted.ImagePositionPatient == [1, 2, 3]
    # Cropped by 10 columns, which go along y; 50 pixels became 32.
    step = 50 / 32
    first = (step - 1) / 2
    position = [1, 2 + (10 + first) * 3, 3 - first * 2]
    np.testing.assert_allclose(restored.ImagePositionPatient, position, atol=1e-6)
    np.testing.assert_allclose(restored.PixelSpacing, [2 * step, 3 * step])


@pytest.mark.parametrize("fit", ["pad", "stretch"])
def test_other_fits_keep_places_as_well(call, place: Path, fit: str) -> None:
    made(
        Path("a.dcm"),
        np.arange(64 * 32, dtype=np.int16).reshape(64, 32),
        PixelSpacing=[1, 1],
        RescaleSlope=1,
        RescaleIntercept=0,
        ImagePositionPatient=[0, 0, 0],
        ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
    )
    done = call("solve", "a.dcm", *IDENTITY, "--fit", fit, *QUICK)
    restored = pydicom.dcmread(done.last / "restored.dcm")
    if fit == "pad":  # without what was filled up
        assert (restored.Rows, restored.Columns) == (32, 16)
        np.testing.assert_allclose(restored.PixelSpacing, [2, 2])
        np.testing.assert_allclose(restored.ImagePositionPatient, [0.5, 0.5, 0])
    else:
        assert (restored.Rows, restored.Columns) == (32, 32)
        np.testing.assert_allclose(restored.PixelSpacing, [2, 1])
        np.testing.assert_allclose(restored.ImagePositionPatient, [0, 0.5, 0])


def test_a_noisy_volume_is_a_measurement(call, place: Path) -> None:
    data = np.random.default_rng(0).normal(100, 20, (40, 32, 3))
    nibabel.save(nibabel.Nifti1Image(data, np.diag([-2, 2, 5, 1])), "brain.nii.gz")
    noisy = ("--operator", "identity", "--noise", "gaussian:sigma=0.2")
    done = call("solve", "--measured", "brain.nii.gz", *noisy, "--index", 2, *QUICK)
    assert done.status == 0, done
    assert "brain.nii.gz, axial slice 2 of 0 to 2: window " in done.err
    assert done.last.name.startswith("brain-identity-tv")
    restored: Any = nibabel.load(done.last / "restored.nii.gz")
    assert restored.shape == (32, 32, 1)
    # Cropped by 4 of 40 voxels; nothing is resized.
    np.testing.assert_allclose(restored.affine[:, 3], [-8, 0, 10, 1])
    np.testing.assert_allclose(np.diag(restored.affine), [-2, 2, 5, 1])
    wrong = call("solve", "--measured", "brain.nii.gz", *IDENTITY, "--frame", 1, *QUICK)
    assert wrong.status == 2 and "--frame is not for" in wrong.err


def test_a_measurement_that_was_made_smaller_is_written_finer(call, place: Path) -> None:
    values = np.random.default_rng(0).integers(0, 900, (16, 16)).astype(np.int16)
    made(
        Path("a.dcm"),
        values,
        PixelSpacing=[1, 1],
        RescaleSlope=1,
        RescaleIntercept=0,
        ImagePositionPatient=[0, 0, 0],
        ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
    )
    smaller = ("--operator", "area-downsample", "--factor", 2)
    done = call("solve", "--measured", "a.dcm", *smaller, *QUICK, "--paste")
    assert done.status == 0, done
    for name in ("restored", "pasted"):
        written = pydicom.dcmread(done.last / f"{name}.dcm")
        assert (written.Rows, written.Columns) == (32, 32)
        np.testing.assert_allclose(written.PixelSpacing, [0.5, 0.5])
        np.testing.assert_allclose(written.ImagePositionPatient, [-0.25, -0.25, 0])


def test_a_series_in_a_folder(call, refuse: Callable[..., str], place: Path) -> None:
    folder = place.parent / "series"
    folder.mkdir()
    for number in range(3):
        values = np.full((32, 32), 100 * number, np.int16)
        values[:16] = 500
        made(
            folder / f"IM{number}",
            values,
            SeriesInstanceUID="1.2.9",
            RescaleSlope=1,
            RescaleIntercept=0,
        )
    (folder / "notes.txt").write_text("nothing")
    done = call("solve", folder, *IDENTITY, *QUICK, "--window", "0 500", "--out", "run")
    assert done.status == 0, done
    assert "IM0: window 0 to 500 HU, given" in done.err and "; 2 more likewise" in done.err
    for number in range(3):
        found = hounsfield(Path(f"run/IM{number}/restored.dcm"))
        assert found.shape == (32, 32)
    several = call("solve", folder, *IDENTITY, *QUICK)
    assert "2 more with windows of their own" in several.err
    made(folder / "IM9", np.zeros((16, 32), np.int16), SeriesInstanceUID="1.2.9")
    said = refuse("solve", folder, *IDENTITY, *QUICK, "--window", "0 500")
    assert re.search("IM0 is 32 x 32 and IM9 is 32 x 16 pixels.*name files of one size", said)


def test_pictures_take_no_window_and_samples_stay_as_they_are(
    call, refuse: Callable[..., str], place: Path
) -> None:
    said = refuse("solve", "../grey.png", *IDENTITY, *QUICK, *WIDE)
    assert "--window is not for" in said and "a picture takes none" in said
    said = refuse("solve", "--sample", "cat", *IDENTITY, *QUICK, *WIDE)
    assert "--window picks a part of a file, and none is named" in said
    source = shipped("MR_small.dcm")
    assert "holds a single one of frames" in refuse("solve", source, *IDENTITY, "--frame", 3)
    done = call("solve", source, "--sample", "cat", *IDENTITY, *QUICK, "--out", "run")
    assert done.status == 0, done
    assert Path("run/MR_small/restored.dcm").exists()
    assert not list(Path("run/cat").glob("restored*"))
    assert "window must be two numbers" in refuse("solve", source, *IDENTITY, "--window", "soft")
    said = refuse("solve", source, *IDENTITY, "--stop", "plateau", "--window", 25)
    assert "--stop plateau:window=25" in said


def test_words_in_the_pixels_are_spoken_of(call, place: Path) -> None:
    source = shipped("examples_rgb_color.dcm")
    done = call("solve", source, *IDENTITY, *QUICK, "--out", "run")
    assert done.status == 0, done
    assert "examples_rgb_color.dcm does not deny that words are burned into" in done.err
    dataset = pydicom.dcmread("run/restored.dcm")
    assert (dataset.Rows, dataset.SamplesPerPixel) == (32, 3)


def test_measurements_carry_the_window(call, place: Path) -> None:
    source = shipped("CT_small.dcm")
    done = call("measure", source, *IDENTITY, *WIDE, "--size", 32, "--out", "y.st")
    assert done.status == 0 and "window -1000 to 1000 HU, given" in done.err
    assert Measurements.load("y.st").record["windows"][0]["high"] == 1000
    solved = call("solve", "--measurements", "y.st", *QUICK, "--out", "run")
    assert solved.status == 0 and not Path("run/restored.dcm").exists()


def test_a_scan_that_changed_is_not_taken_for_the_one_that_was_measured(call, place: Path) -> None:
    made(Path("a.dcm"), np.arange(1024, dtype=np.int16).reshape(32, 32))
    assert call("solve", "a.dcm", *IDENTITY, *QUICK, "--out", "run").status == 0
    Path("run/scores.json").unlink()
    made(Path("a.dcm"), 2 * np.arange(1024, dtype=np.int16).reshape(32, 32))
    done = call("resume", "run")
    assert done.status == 2 and "not what it was when the run began" in done.err
