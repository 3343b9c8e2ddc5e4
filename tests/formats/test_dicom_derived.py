"""DICOM files that are written: values, geometry, what the standard asks, and no patient."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from formats_dicom import made, shipped
from pydicom.pixels.processing import apply_modality_lut, apply_windowing
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID

from invprob.formats.scan import Derivation, Placement, Planes, Selection
from invprob.formats.table import read_scan
from invprob.formats.window import Window

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # nibabel's: its readers of DICOM are experimental
    import nibabel.nicom.dicomwrappers as wrappers

TECHNIQUE = ("SOPClassUID", "ConvolutionKernel", "FilterType", "ScanOptions")
WINDOW = Window(-160.0, 239.0, "from the file", "HU")
SECRETS = (
    *("CompressedSamples", "1CT1", "ABCD1234", "JFK", "CLUNIE", "20040119", "19970430"),
    *("1.3.6.1.4.1.5962", "GEMS", "RHAPSODE", "862399669"),
)


def written(
    source: Path,
    folder: Path,
    planes: Planes | None = None,
    place: Placement | None = None,
    *,
    keep: bool = False,
    frame: int | None = None,
) -> Path:
    """Write a file that is derived from another."""
    scan = read_scan(source, Selection(frame=frame))
    path = folder / "restored.dcm"
    values = scan.planes if planes is None else planes
    derivation = Derivation("Restored by a test.", WINDOW, keep)
    scan.writer.write(path, values, place or Placement(), derivation)
    return path


def test_hounsfield_units_come_back_through_other_readers(tmp_path: Path) -> None:
    source = shipped("CT_small.dcm")
    values = read_scan(source).planes
    path = written(source, tmp_path)
    theirs = wrappers.wrapper_from_file(path)  # nibabel's own reader of the geometry and the scale
    np.testing.assert_array_equal(theirs.get_data(), values[0])
    before = wrappers.wrapper_from_file(source)
    np.testing.assert_allclose(theirs.affine, before.affine, rtol=1e-9)
    raw = path.read_bytes()
    pixels = np.frombuffer(raw[-2 * 128 * 128 :], "<u2").reshape(128, 128)  # the last element
    np.testing.assert_array_equal(pixels.astype(float) - 1024, values[0])


@pytest.mark.parametrize(
    "name",
    ["CT_small.dcm", "MR_small.dcm", "693_J2KI.dcm", "JPEG2000.dcm", "rtdose_1frame.dcm"],
)
def test_values_are_right_to_half_a_step(name: str, tmp_path: Path) -> None:
    source = shipped(name)
    scan = read_scan(source)
    wanted = scan.planes + np.random.default_rng(0).uniform(-0.5, 0.5, scan.planes.shape) * (
        0.01 * np.ptp(scan.planes)
    )
    dataset = pydicom.dcmread(written(source, tmp_path, wanted))
    found = apply_modality_lut(dataset.pixel_array, dataset)
    step = float(dataset.get("RescaleSlope", 1))
    assert abs(found - wanted[0]).max() <= 0.5001 * step
    assert step <= max(np.ptp(wanted) / 255, 1)


def test_the_window_is_that_of_the_restoration(tmp_path: Path) -> None:
    dataset = pydicom.dcmread(written(shipped("CT_small.dcm"), tmp_path))
    values = np.array([-161, -160, 239, 240], np.int16)
    dataset.BitsStored, dataset.PixelRepresentation = 16, 1
    del dataset.RescaleSlope, dataset.RescaleIntercept
    shown = apply_windowing(values, dataset)
    assert list(shown) == [-32768, -32768, 32767, 32767]


def test_pixels_lie_where_those_of_the_source_lay(tmp_path: Path) -> None:
    source = shipped("CT_small.dcm")
    place = Placement(top=10, left=4, row_step=2.5, column_step=1.25)
    planes = np.zeros((1, 8, 16))
    path = written(source, tmp_path, planes, place)
    before = wrappers.wrapper_from_file(source).affine
    after = wrappers.wrapper_from_file(path).affine
    # nibabel's affine takes (row, column): the middle of pixel (3, 5) by hand.
    row, column = 10 + 3.5 * 2.5 - 0.5, 4 + 5.5 * 1.25 - 0.5
    expected = before @ [row, column, 0, 1]
    np.testing.assert_allclose(after @ [3, 5, 0, 1], expected, atol=1e-6)
    dataset = pydicom.dcmread(path)
    assert "DerivationCodeSequence" in dataset
    assert dataset.SourceImageSequence[0].SpatialLocationsPreserved == "NO"


def test_a_derived_file_says_what_it_is(tmp_path: Path) -> None:
    source = pydicom.dcmread(shipped("CT_small.dcm"))
    dataset = pydicom.dcmread(written(shipped("CT_small.dcm"), tmp_path))
    assert dataset.ImageType[:2] == ["DERIVED", "SECONDARY"]
    assert "not for diagnosis. Restored by a test." in dataset.DerivationDescription
    assert "window -160 to 239 HU, from the file" in dataset.DerivationDescription
    item = dataset.SourceImageSequence[0]
    assert item.PurposeOfReferenceCodeSequence[0].CodeValue == "121322"
    assert item.ReferencedSOPClassUID == source.SOPClassUID
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
        assert dataset[keyword].value != source[keyword].value
        assert UID(dataset[keyword].value).is_valid
    assert dataset.SOPInstanceUID == dataset.file_meta.MediaStorageSOPInstanceUID
    assert dataset.PatientIdentityRemoved == "YES"


def test_what_differs_has_another_identifier_and_what_is_equal_has_not(tmp_path: Path) -> None:
    source = shipped("CT_small.dcm")
    values = read_scan(source).planes
    first = pydicom.dcmread(written(source, tmp_path)).SOPInstanceUID
    assert pydicom.dcmread(written(source, tmp_path)).SOPInstanceUID == first
    assert pydicom.dcmread(written(source, tmp_path, values + 1)).SOPInstanceUID != first


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm", "examples_rgb_color.dcm"])
def test_nothing_names_the_patient(name: str, tmp_path: Path) -> None:
    source = pydicom.dcmread(shipped(name))
    raw = written(shipped(name), tmp_path).read_bytes().decode("latin-1")
    found = {
        str(element.value)
        for element in source.iterall()
        if element.VR in ("PN", "UI", "DA", "TM", "DT", "LO", "LT", "ST", "UT", "SH", "AE")
        and len(str(element.value)) > 5
        and element.keyword not in (*TECHNIQUE, "SpecificCharacterSet")
    }
    classes = {"1.2.840.10008.1.2.1", str(source.SOPClassUID)}
    assert len(found) > 5
    for secret in (found | set(SECRETS)) - classes:
        assert secret not in raw, secret


def test_the_patient_is_kept_where_that_is_asked_for(tmp_path: Path) -> None:
    source = pydicom.dcmread(shipped("CT_small.dcm"))
    dataset = pydicom.dcmread(written(shipped("CT_small.dcm"), tmp_path, keep=True))
    for keyword in ("PatientName", "PatientID", "StudyInstanceUID", "StudyDate"):
        assert dataset[keyword].value == source[keyword].value
    assert dataset.SourceImageSequence[0].ReferencedSOPInstanceUID == source.SOPInstanceUID
    assert dataset.SOPInstanceUID != source.SOPInstanceUID
    assert "PatientIdentityRemoved" not in dataset


def test_names_in_other_letters_are_kept(tmp_path: Path) -> None:
    pixels = np.arange(64, dtype=np.int16).reshape(8, 8)
    source = made(
        tmp_path / "a.dcm", pixels, SpecificCharacterSet="ISO_IR 100", PatientName="Müller^Jürgen"
    )
    assert pydicom.dcmread(written(source, tmp_path, keep=True)).PatientName == "Müller^Jürgen"
    assert "Jürgen" not in str(pydicom.dcmread(written(source, tmp_path)))


@pytest.mark.parametrize(
    ("name", "frame"),
    [
        ("examples_rgb_color.dcm", None),
        ("examples_ybr_color.dcm", 2),
        ("SC_rgb_rle_16bit.dcm", None),
    ],
)
def test_colours_come_back_as_a_secondary_capture(
    name: str, frame: int | None, tmp_path: Path
) -> None:
    source = shipped(name)
    scan = read_scan(source, Selection(frame=frame))
    dataset = pydicom.dcmread(written(source, tmp_path, frame=frame))
    np.testing.assert_array_equal(pixel_array(dataset), np.moveaxis(scan.planes, 0, -1))
    assert dataset.SOPClassUID.name == "Secondary Capture Image Storage"
    item = dataset.SourceImageSequence[0]
    assert item.get("ReferencedFrameNumber") == (None if frame is None else frame + 1)
    lossy = pydicom.dcmread(source).file_meta.TransferSyntaxUID.name.startswith("JPEG Baseline")
    assert (dataset.get("LossyImageCompression") == "01") is lossy


def test_the_frame_of_a_dose_grid_lies_at_its_offset(tmp_path: Path) -> None:
    source = pydicom.dcmread(shipped("rtdose.dcm"))
    dataset = pydicom.dcmread(written(shipped("rtdose.dcm"), tmp_path, frame=4))
    moved = np.array(dataset.ImagePositionPatient) - np.array(source.ImagePositionPatient)
    np.testing.assert_allclose(moved, [0, 0, source.GridFrameOffsetVector[4]], atol=1e-6)


@pytest.mark.parametrize(
    ("dtype", "more"),
    [
        (np.int16, {"RescaleSlope": 1, "RescaleIntercept": 0}),
        (np.uint16, {"RescaleSlope": "0.1", "RescaleIntercept": "-100"}),
        (np.uint8, {}),
        (np.int16, {"RescaleSlope": -1, "RescaleIntercept": 5}),
    ],
)
def test_a_round_trip_changes_nothing(dtype: Any, more: dict[str, Any], tmp_path: Path) -> None:
    least = max(np.iinfo(dtype).min, -900)
    pixels = np.linspace(least, min(np.iinfo(dtype).max, 900), 63, dtype=np.float64)
    pixels = pixels.astype(dtype).reshape(7, 9)  # of odd length in bytes
    source = made(tmp_path / "a.dcm", pixels, **more)
    path = written(source, tmp_path)
    np.testing.assert_array_equal(read_scan(path).planes, read_scan(source).planes)
