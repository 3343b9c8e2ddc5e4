"""DICOM files that ship with pydicom, against its own tables and windows, and files made here."""

import re
import tracemalloc
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from formats_dicom import made, shipped
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_windowing
from pydicom.pixels.utils import pixel_array
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEGLSLossless

from invprob.errors import FileError
from invprob.formats.scan import Selection
from invprob.formats.table import format_of, read_scan
from invprob.run.images import load_image

GREY = (
    "CT_small.dcm",
    "693_J2KI.dcm",
    "J2K_pixelrep_mismatch.dcm",
    "JPEG2000.dcm",
    "MR_small.dcm",
    "MR_small_RLE.dcm",
    "MR_small_bigendian.dcm",
    "MR_small_implicit.dcm",
    "MR_small_jp2klossless.dcm",
    "examples_overlay.dcm",
    "image_dfl.dcm",
    "liver_1frame.dcm",
    "liver_expb_1frame.dcm",
)


@pytest.mark.parametrize("name", GREY)
def test_physical_values_are_those_of_pydicom(name: str) -> None:
    path = shipped(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's about odd files
        dataset = pydicom.dcmread(path)
        expected = apply_modality_lut(dataset.pixel_array, dataset)
    scan = read_scan(path)
    np.testing.assert_array_equal(scan.planes, expected[None])
    assert scan.units == ("HU" if dataset.Modality == "CT" else "")


@pytest.mark.parametrize("name", ["MR_small.dcm", "693_J2KI.dcm", "examples_overlay.dcm"])
def test_the_window_of_the_file_is_pydicoms(name: str) -> None:
    path = shipped(name)
    dataset = pydicom.dcmread(path)
    physical = apply_modality_lut(dataset.pixel_array, dataset)
    shown = apply_windowing(physical, dataset).astype(float)
    stored = 2.0**dataset.BitsStored
    low, high = (-stored / 2, stored / 2 - 1) if dataset.PixelRepresentation else (0, stored - 1)
    slope, intercept = dataset.get("RescaleSlope", 1), dataset.get("RescaleIntercept", 0)
    low, high = low * slope + intercept, high * slope + intercept  # what pydicom windows to
    expected = 2 * (shown - low) / (high - low) - 1
    image = load_image(path)[0, 0].numpy()
    np.testing.assert_allclose(image, expected, atol=2e-3)  # of some kinds pydicom rounds
    asked = load_image(path, window="file")[0, 0].numpy()
    np.testing.assert_array_equal(asked, image)


@pytest.mark.parametrize(
    "name",
    [
        "ExplVR_BigEnd.dcm",
        "SC_rgb_dcmtk_+eb+cy+np.dcm",
        "SC_rgb_jpeg.dcm",
        "SC_rgb_rle_16bit.dcm",
        "SC_rgb_small_odd_jpeg.dcm",
        "SC_ybr_full_422_uncompressed.dcm",
        "examples_jpeg2k.dcm",
        "examples_rgb_color.dcm",
    ],
)
def test_colours_become_red_green_and_blue(name: str) -> None:
    path = shipped(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(path)
        expected = pixel_array(dataset)
    scan = read_scan(path)
    np.testing.assert_array_equal(np.moveaxis(scan.planes, 0, -1), expected)
    white = 2**dataset.BitsStored - 1
    image = load_image(path)[0].numpy()
    np.testing.assert_allclose((image + 1) / 2 * white, scan.planes, atol=white * 1e-6)


def test_a_palette_becomes_colours() -> None:
    path = shipped("examples_palette.dcm")
    dataset = pydicom.dcmread(path)
    expected = apply_color_lut(dataset.pixel_array, dataset)
    np.testing.assert_array_equal(np.moveaxis(read_scan(path).planes, 0, -1), expected)


@pytest.mark.parametrize("name", ["examples_ybr_color.dcm", "rtdose.dcm", "rtdose_rle.dcm"])
def test_the_frame_that_was_asked_for_is_read(name: str) -> None:
    path = shipped(name)
    with pytest.raises(FileError, match=r"holds \d+ frames; name one from 0 to \d+: --frame \d+"):
        read_scan(path)
    with pytest.raises(FileError, match="and none numbered 99; name one"):
        read_scan(path, Selection(frame=99))
    dataset = pydicom.dcmread(path)
    expected = dataset.pixel_array[3] * float(dataset.get("DoseGridScaling", 1))
    scan = read_scan(path, Selection(frame=3))
    values = scan.planes[0] if len(scan.planes) == 1 else np.moveaxis(scan.planes, 0, -1)
    np.testing.assert_allclose(values, expected, rtol=1e-12)
    assert scan.units == ("Gy" if dataset.get("DoseUnits") == "GY" else "")
    assert scan.part == f"frame 3 of 0 to {dataset.NumberOfFrames - 1}"


def test_what_lies_above_the_stored_bits_is_no_part_of_a_number(tmp_path: Path) -> None:
    twelve = np.arange(-2048, 2048, dtype=np.int16).reshape(64, 64)
    dirty = (twelve & 0x0FFF) | 0x3000  # an overlay in the upper bits, as in old files
    path = made(
        tmp_path / "a.dcm",
        dirty.astype(np.int16),
        BitsStored=12,
        RescaleSlope=2,
        RescaleIntercept=-7,
    )
    np.testing.assert_array_equal(read_scan(path).planes[0], 2.0 * twelve - 7)
    other = made(tmp_path / "b.dcm", twelve, BitsStored=12, HighBit=15)
    with pytest.raises(FileError, match="12 bits end at bit 15, not at bit 11"):
        read_scan(other)


def test_a_negative_is_turned_round_and_padding_is_no_tissue(tmp_path: Path) -> None:
    pixels = np.full((40, 40), 1000, np.int16)
    pixels[5:35, 5:35] = np.arange(900).reshape(30, 30)
    plain = made(tmp_path / "a.dcm", pixels, RescaleSlope=1, RescaleIntercept=0)
    padded = made(
        tmp_path / "b.dcm",
        np.where(pixels == 1000, np.int16(-2000), pixels),
        PhotometricInterpretation="MONOCHROME1",
        RescaleSlope=1,
        RescaleIntercept=0,
        PixelPaddingValue=-2000,
    )
    window = read_scan(padded).choose_window(None, "b")
    assert (window.low, window.high) == tuple(np.percentile(np.arange(900), (0.5, 99.5)))
    dark = load_image(plain, window="0 1000").numpy()
    bright = load_image(padded, window="0 1000").numpy()
    inside = (..., slice(5, 35), slice(5, 35))
    np.testing.assert_array_equal(bright[inside], -dark[inside])


def test_the_frames_of_an_enhanced_file_have_scales_and_windows_of_their_own(
    tmp_path: Path,
) -> None:
    def item(**values: Any) -> Dataset:
        made = Dataset()
        for keyword, value in values.items():
            setattr(made, keyword, value)
        return made

    frames = [
        item(
            PixelValueTransformationSequence=[
                item(RescaleSlope=slope, RescaleIntercept=-slope, RescaleType="HU")
            ]
        )
        for slope in (1, 3)
    ]
    shared = item(FrameVOILUTSequence=[item(WindowCenter=40, WindowWidth=400)])
    pixels = np.arange(128, dtype=np.uint16).reshape(2, 8, 8)
    path = made(
        tmp_path / "a.dcm",
        pixels,
        PerFrameFunctionalGroupsSequence=frames,
        SharedFunctionalGroupsSequence=[shared],
    )
    scan = read_scan(path, Selection(frame=1))
    np.testing.assert_array_equal(scan.planes[0], 3.0 * pixels[1] - 3)
    window = scan.choose_window(None, "a")
    assert (window.low, window.high, window.units) == (-160, 239, "HU")


@pytest.mark.parametrize(
    ("function", "high"), [("LINEAR", 239), ("LINEAR_EXACT", 240), ("SIGMOID", 240)]
)
def test_the_function_of_a_window(function: str, high: float, tmp_path: Path) -> None:
    more = {"WindowCenter": 40, "WindowWidth": 400, "VOILUTFunction": function}
    path = made(tmp_path / "a.dcm", np.arange(64, dtype=np.int16).reshape(8, 8), **more)
    window = read_scan(path).proposed
    assert window is not None and (window.low, window.high) == (-160, high)
    assert bool(read_scan(path).notes) is (function == "SIGMOID")


BAD = {
    "reportsi.dcm": "DICOM of SR without pixels; name a file with an image",
    "rtplan.dcm": "RTPLAN without pixels",
    "MR_truncated.dcm": "cannot be decoded, it may be truncated or damaged",
    "no_meta.dcm": "no DICOM file: the letters DICM are missing.*force=True",
    "meta_missing_tsyntax.dcm": "does not say how its pixels are stored",
    "badVR.dcm": "cannot be read",
    "JPEG2000-embedded-sequence-delimiter.dcm": "decompression bomb",
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_refused_in_one_line(name: str) -> None:
    path = shipped(name)
    with pytest.raises(FileError, match=BAD[name]) as error:
        load_image(path)
    assert "\n" not in str(error.value) and str(path) in str(error.value)


def test_a_missing_codec_is_named(tmp_path: Path) -> None:
    from pydicom.pixels.decoders.base import get_decoder

    if get_decoder(JPEGLSLossless).is_available:
        pytest.skip("a decoder of JPEG-LS is installed")
    with pytest.raises(FileError, match=r"compressed as JPEG-LS Lossless.*needs .*pyjpegls"):
        load_image(shipped("MR_small_jpeg_ls_lossless.dcm"))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"PhotometricInterpretation": "HSV"}, "has the colours HSV, which are not read"),
        ({"PhotometricInterpretation": ""}, r"the colours \(none named\)"),
        ({"Rows": 0}, "without pixels"),
        ({"Rows": 60000, "Columns": 60000}, "more than 67,108,864 pixels"),
        ({"BitsAllocated": 13}, "cannot be decoded"),
        ({"Rows": 100}, "cannot be decoded"),
    ],
)
def test_odd_headers_are_refused_in_one_line(
    more: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = made(tmp_path / "a.dcm", np.zeros((8, 8), np.uint16), **more)
    with pytest.raises(FileError, match=message) as error:
        load_image(path)
    assert "\n" not in str(error.value)


def test_only_the_frame_that_was_asked_for_is_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "large.dcm"
    made(path, np.zeros((1, 512, 512), np.uint16), NumberOfFrames=600)
    with path.open("r+b") as file:  # 600 frames, 315 MB, of which the disk holds only some
        content = file.read()
        at = content.rindex(b"\xe0\x7f\x10\x00OW")
        file.seek(at + 8)
        file.write((600 * 512 * 512 * 2).to_bytes(4, "little"))
        file.truncate(at + 12 + 600 * 512 * 512 * 2)
        file.seek(at + 12 + 599 * 512 * 512 * 2)
        file.write(np.arange(512 * 512, dtype=np.uint32).astype("<u2").tobytes())
    tracemalloc.start()
    scan = read_scan(path, Selection(frame=599))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    expected = np.arange(512 * 512, dtype=np.uint32).astype(np.uint16).reshape(512, 512)
    np.testing.assert_array_equal(scan.planes[0], expected)
    assert peak < 40e6


def test_what_inflates_beyond_all_bounds_is_refused(tmp_path: Path) -> None:
    import zlib

    path = made(
        tmp_path / "a.dcm", np.zeros((8, 8), np.uint16), syntax=DeflatedExplicitVRLittleEndian
    )
    content = path.read_bytes()
    length = 128 + 4 + 12 + int.from_bytes(content[140:144], "little")
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = bytes(1 << 20)
    packed = b"".join(packer.compress(block) for _ in range(300)) + packer.flush()
    path.write_bytes(content[:length] + packed)
    tracemalloc.start()
    with pytest.raises(FileError, match="inflates to more than"):
        load_image(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20e6


def test_files_are_known_by_their_first_bytes(tmp_path: Path) -> None:
    bare = tmp_path / "IM0001"
    bare.write_bytes(shipped("CT_small.dcm").read_bytes())
    found = format_of(bare)
    assert found is not None and found.name == "DICOM"
    assert load_image(bare).shape == (1, 3, 128, 128)
    missing = tmp_path / "missing.dcm"
    with pytest.raises(FileError, match=re.escape(f"{str(missing)!r} cannot be read: no such")):
        load_image(missing)


@pytest.mark.parametrize(
    ("modality", "burned", "said"),
    [
        ("CT", None, None),
        ("CT", "YES", "says that words"),
        ("US", None, "does not deny that words"),
        ("US", "NO", None),
    ],
)
def test_words_in_the_pixels_are_warned_of(
    modality: str, burned: str | None, said: str | None, tmp_path: Path
) -> None:
    more = {"Modality": modality, **({} if burned is None else {"BurnedInAnnotation": burned})}
    words = read_scan(made(tmp_path / "a.dcm", np.eye(8, dtype=np.uint8), **more)).words
    assert bool(words) is (said is not None)
    assert said is None or said in words
