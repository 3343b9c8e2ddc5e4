"""DICOM files: one frame, in the units of its scanner, with the window that the file proposes.

The frame is as it is stored: the first row is at the top. Rescale slope and intercept or a table
(Modality LUT) make stored numbers physical ones; for enhanced files they are those of the frame.
"""

import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from invprob.errors import FileError
from invprob.formats.arrays import inflates_beyond
from invprob.formats.scan import Planes, Scan, Selection, check_size, missing, pick, told
from invprob.formats.window import Window

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

TAKES = ("window", "frame")
GREY = ("MONOCHROME1", "MONOCHROME2")
COLOURS = (
    "RGB",
    "PALETTE COLOR",
    "YBR_FULL",
    "YBR_FULL_422",
    "YBR_PARTIAL_420",
    "YBR_ICT",
    "YBR_RCT",
)
_MOST_INFLATED = 1 << 28  # bytes of a deflated file, which pydicom inflates as a whole
_MOST_WHOLE = 1 << 26  # bytes of a file that is read as a whole, where a frame of it cannot be

# Where an attribute lies in the functional groups of an enhanced file.
_GROUPS = {
    "RescaleSlope": "PixelValueTransformationSequence",
    "RescaleIntercept": "PixelValueTransformationSequence",
    "RescaleType": "PixelValueTransformationSequence",
    "WindowCenter": "FrameVOILUTSequence",
    "WindowWidth": "FrameVOILUTSequence",
    "VOILUTFunction": "FrameVOILUTSequence",
    "PixelSpacing": "PixelMeasuresSequence",
    "SliceThickness": "PixelMeasuresSequence",
    "ImagePositionPatient": "PlanePositionSequence",
    "ImageOrientationPatient": "PlaneOrientationSequence",
}
# Modalities whose images often bear names and dates: ultrasound, captures, photographs.
_WRITTEN_UPON = ("US", "OT", "SC", "ES", "XC", "GM", "DOC", "IVUS")
# Words in patients' names that say that there is no name.
_NOBODY = frozenset(
    [
        *("anon", "anonymous", "anonymized", "anonymised", "deidentified", "name", "none"),
        *("patient", "phantom", "test", "unknown"),
    ]
)


@dataclass(frozen=True, eq=False)
class Frame:
    """The attributes of one frame of a file, wherever in it they lie.

    Args:
        dataset: what was read of the file, without its pixels.
        number: the frame, from 0.
    """

    dataset: "Dataset"
    number: int

    def get(self, keyword: str, default: Any = None) -> Any:
        """The value of an attribute: that of the frame, else that of all frames, else the file's.

        Args:
            keyword: its name in the standard.
            default: what an absent or empty one is.
        """
        group = _GROUPS.get(keyword)
        per_frame = self.dataset.get("PerFrameFunctionalGroupsSequence") or []
        shared = self.dataset.get("SharedFunctionalGroupsSequence") or []
        places = [*per_frame[self.number : self.number + 1], *shared[:1]] if group else []
        for place in places:
            for item in (place.get(group) or [])[:1]:
                if item.get(keyword) not in (None, ""):
                    return item.get(keyword)
        value = self.dataset.get(keyword)
        return default if value is None or value == "" else value

    def numbers(self, keyword: str) -> tuple[float, ...]:
        """The values of an attribute as numbers; none where it is absent."""
        value: Any = self.get(keyword)
        if value is None:
            return ()
        several: Any = value if isinstance(value, Sequence) else (value,)
        return tuple(map(float, (value,) if isinstance(value, str) else several))

    def number_of(self, keyword: str) -> float | None:
        """The first of them; None where there is none."""
        return next(iter(self.numbers(keyword)), None)


def read_dicom(path: Path, selection: Selection) -> Scan:
    """Read one frame of a DICOM file.

    Args:
        path: the file.
        selection: the window and the frame.

    Raises:
        FileError: the file is none, has no pixels, cannot be decoded, or holds several frames of
            which none is named.
    """
    name = repr(str(path))
    try:
        import pydicom
    except ImportError as error:
        raise missing(name, "DICOM", "pydicom", "medical", error) from None
    from invprob.formats.dicom_derived import READ, DicomWriter

    with _told(name, "read"):
        _check_header(name, path)
        dataset = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(READ))
        photometric = str(dataset.get("PhotometricInterpretation", ""))
        if not (dataset.get("Rows") and dataset.get("Columns")):
            kind = dataset.get("Modality") or "an unknown kind"
            raise FileError(f"{name} is DICOM of {kind} without pixels; name a file with an image")
        check_size(name, int(dataset.Rows), int(dataset.Columns))
        if photometric not in (*GREY, *COLOURS):
            raise FileError(
                f"{name} has the colours {photometric or '(none named)'}, which are not read; "
                "convert it to MONOCHROME2 or RGB"
            )
        count = int(dataset.get("NumberOfFrames") or 1)
        frame = Frame(dataset, pick(name, "frames", "frame", count, selection.frame))
        _check_codec(name, dataset)
    with _told(name, "decoded"):
        pixels = _pixels(path, frame)
        planes = _physical(pixels, frame, photometric)
    with _told(name, "read"):
        stored = pixels if photometric in GREY else None
        return Scan(
            kind=f"DICOM {dataset.get('Modality', '')}".strip(),
            planes=planes,
            writer=DicomWriter(frame),
            units=_units(frame) if photometric in GREY else "",
            proposed=_window(frame, photometric, planes),
            inverted=photometric == "MONOCHROME1",
            padding=None if stored is None else _padding(stored, frame),
            part=f"frame {frame.number} of 0 to {count - 1}" if count > 1 else "",
            series=str(dataset.get("SeriesInstanceUID") or ""),
            identity=_identity(dataset),
            notes=_notes(path.name, frame),
            words=_words(path.name, frame),
        )


@contextmanager
def _told(name: str, verb: str) -> Iterator[None]:
    """Turn what pydicom raises into one line; its warnings, which may hold values, are dropped."""
    from pydicom import config

    unread = f"{name} cannot be {verb}"
    mode = config.settings.reading_validation_mode
    try:
        with told(unread, f"{unread}, it may be truncated or damaged"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            config.settings.reading_validation_mode = config.IGNORE
            yield
    finally:
        config.settings.reading_validation_mode = mode


def _check_header(name: str, path: Path) -> None:
    """See that this is a DICOM file, and that it does not inflate beyond all bounds."""
    from pydicom.filereader import read_file_meta_info
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    with path.open("rb") as file:
        file.seek(128)
        if file.read(4) != b"DICM":
            raise FileError(
                f"{name} is no DICOM file: the letters DICM are missing in it; if it is an old one "
                "without them, write it anew with pydicom.dcmread(..., force=True)"
            )
    meta = read_file_meta_info(path)
    if "TransferSyntaxUID" not in meta:
        raise FileError(f"{name} does not say how its pixels are stored (transfer syntax)")
    if meta.TransferSyntaxUID != DeflatedExplicitVRLittleEndian:
        return
    length = int(meta.get("FileMetaInformationGroupLength") or 0)
    with path.open("rb") as file:
        file.seek(128 + 4 + 12 + length)
        small = path.stat().st_size <= _MOST_INFLATED
        packed = file.read() if small else b""
    if not small or inflates_beyond(packed, _MOST_INFLATED, -zlib.MAX_WBITS):
        raise FileError(
            f"{name} inflates to more than {_MOST_INFLATED:,} bytes; save it without deflation"
        )


def _check_codec(name: str, dataset: "Dataset") -> None:
    """See that the pixels can be decoded with what is installed."""
    from pydicom.pixels.decoders.base import get_decoder

    syntax = dataset.file_meta.TransferSyntaxUID
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        raise FileError(
            f"{name} is stored as {syntax.name}, for which there is no decoder; convert it to "
            "Explicit VR Little Endian"
        ) from None
    if not decoder.is_available:
        needed = "; or ".join(one.partition("requires ")[2] for one in decoder.missing_dependencies)
        raise FileError(
            f"{name} is compressed as {syntax.name}, which needs {needed}; install one with pip"
        )


def _pixels(path: Path, frame: Frame) -> NDArray[Any]:
    """The stored numbers, (rows, columns), or colours, (rows, columns, 3). Only they are read."""
    from pydicom import dcmread
    from pydicom.pixels.utils import pixel_array
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    dataset = frame.dataset
    bits, high = dataset.get("BitsStored"), dataset.get("HighBit")
    if bits is not None and high is not None and int(high) != int(bits) - 1:
        raise ValueError(f"its numbers of {bits} bits end at bit {high}, not at bit {bits - 1}")
    if dataset.file_meta.TransferSyntaxUID != DeflatedExplicitVRLittleEndian:
        try:
            return pixel_array(path, index=frame.number)
        except ValueError:  # the header of some files lies, which `dcmread` makes up for
            if path.stat().st_size > _MOST_WHOLE:
                raise
    return pixel_array(dcmread(path), index=frame.number)


def _physical(pixels: NDArray[Any], frame: Frame, photometric: str) -> Planes:
    from pydicom.pixels.processing import apply_color_lut, apply_modality_lut

    dataset = frame.dataset
    if photometric == "PALETTE COLOR":
        pixels = apply_color_lut(pixels, dataset)
    if pixels.ndim == 3:
        return np.ascontiguousarray(np.moveaxis(pixels[..., :3], -1, 0), np.float64)
    if dataset.get("ModalityLUTSequence"):
        return np.asarray(apply_modality_lut(pixels, dataset), np.float64)[None]
    slope, intercept = rescale(frame)
    return (pixels.astype(np.float64) * slope + intercept)[None]


def rescale(frame: Frame) -> tuple[float, float]:
    """Slope and intercept from stored to physical numbers; those of a dose grid included."""
    slope, intercept = frame.number_of("RescaleSlope"), frame.number_of("RescaleIntercept")
    if slope is not None and intercept is not None and slope != 0:
        return slope, intercept
    return frame.number_of("DoseGridScaling") or 1.0, 0.0


def _units(frame: Frame) -> str:
    modality = frame.get("Modality")
    if frame.number_of("DoseGridScaling"):
        return "Gy" if frame.get("DoseUnits") == "GY" else ""
    rescaled = frame.number_of("RescaleSlope") is not None
    stated = str(frame.get("RescaleType") or frame.get("Units") or "US")
    if stated != "US":  # unspecified
        return stated
    return "HU" if modality == "CT" and rescaled else ""


def _window(frame: Frame, photometric: str, planes: Planes) -> Window | None:
    """The first window of the file, where its display is linear, or the range of 8 bits."""
    if photometric == "PALETTE COLOR":
        return Window(0.0, 255.0 if planes.max() < 256 else 65535.0, "the range of its palette")
    stored = int(frame.get("BitsStored") or 0)
    unsigned = not frame.get("PixelRepresentation")
    if photometric not in GREY:
        return Window(0.0, 2.0**stored - 1, f"the range of its {stored} bits") if stored else None
    centre, width = frame.number_of("WindowCenter"), frame.number_of("WindowWidth")
    if centre is not None and width is not None:
        more = len(frame.numbers("WindowCenter")) - 1
        origin = "from the file" + (f" (the first of {more + 1})" if more else "")
        linear = frame.get("VOILUTFunction", "LINEAR") == "LINEAR"
        # PS3.3 C.11.2.1.2: LINEAR ends at c - w/2 and c + w/2 - 1; the others, at c ± w/2.
        high = centre + width / 2 - (1 if linear else 0)
        if high > centre - width / 2:
            return Window(centre - width / 2, high, origin)
    plain = rescale(frame) == (1.0, 0.0) and not frame.get("ModalityLUTSequence")
    if plain and unsigned and 0 < stored <= 8:
        return Window(0.0, 2.0**stored - 1, f"the range of its {stored} bits")
    return None


def _padding(pixels: NDArray[Any], frame: Frame) -> NDArray[np.bool_] | None:
    """Where the stored number is that of padding."""
    first = frame.number_of("PixelPaddingValue")
    if first is None:
        return None
    last = frame.number_of("PixelPaddingRangeLimit")
    ends = sorted((first, first if last is None else last))
    return (pixels >= ends[0]) & (pixels <= ends[1])


def _identity(dataset: "Dataset") -> frozenset[str]:
    """Words of the patient's names and numbers that a path could hold."""
    found = [
        str(dataset.get(key) or "") for key in ("PatientName", "PatientID", "PatientBirthDate")
    ]
    words = {word for text in found for word in words_of(text)}
    return frozenset(word for word in words if len(word) > 2 and word not in _NOBODY)


def words_of(text: str) -> list[str]:
    """The words and numbers in a text, in lower case."""
    return "".join(c if c.isalnum() else " " for c in text.lower()).split()


def _words(name: str, frame: Frame) -> str:
    """What a user should know of words in the pixels; "" where there is nothing to know."""
    burned = frame.get("BurnedInAnnotation")
    if burned != "YES" and (burned == "NO" or frame.get("Modality", "OT") not in _WRITTEN_UPON):
        return ""
    says = "says" if burned == "YES" else "does not deny"
    return f"{name} {says} that words are burned into its pixels; see whether they name the patient"


def _notes(name: str, frame: Frame) -> tuple[str, ...]:
    """What is odd about the values of a file."""
    if frame.get("VOILUTSequence") or frame.get("VOILUTFunction", "LINEAR") == "SIGMOID":
        return (
            f"the display of {name} is a table or a curve, in place of which a straight window is "
            "taken",
        )
    return ()
