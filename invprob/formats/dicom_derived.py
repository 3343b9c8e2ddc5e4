"""DICOM files that are derived from others, as PS3.3 asks of such, without the patient's identity.

Of the file that was read only the attributes listed here are taken over: those of the technique and
of the geometry. So what names a patient, free text and private elements included, cannot slip in.
Unique identifiers are replaced by others that are computed from them, so that files of one study
stay together (PS3.15, Basic Application Level Confidentiality Profile).
"""

import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from invprob.files import atomic_write
from invprob.formats.dicom import GREY, Frame, rescale
from invprob.formats.scan import Derivation, Placement, Planes, Writer
from invprob.version import DISTRIBUTION, __version__

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
CR = "1.2.840.10008.5.1.4.1.1.1"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
THIRD = {CT: "AXIAL", MR: "OTHER"}  # the third value of the image type, where there must be one

TECHNIQUE = (
    *("Modality", "BodyPartExamined", "PatientPosition", "PatientOrientation", "ViewPosition"),
    *("Laterality", "ImageLaterality", "PositionReferenceIndicator", "AcquisitionNumber"),
    *("SliceThickness", "SpacingBetweenSlices", "SliceLocation", "PresentationLUTShape"),
    *("KVP", "ExposureTime", "XRayTubeCurrent", "Exposure", "FilterType", "FocalSpots"),
    *("ConvolutionKernel", "GantryDetectorTilt", "TableHeight", "RotationDirection"),
    *("DataCollectionDiameter", "DistanceSourceToDetector", "DistanceSourceToPatient"),
    *("ScanOptions", "ScanningSequence", "SequenceVariant", "MRAcquisitionType"),
    *("RepetitionTime", "EchoTime", "EchoTrainLength", "InversionTime", "FlipAngle"),
    *("EchoNumbers", "NumberOfAverages", "ImagingFrequency", "ImagedNucleus"),
    *("MagneticFieldStrength", "Units", "BurnedInAnnotation", "LossyImageCompression"),
    *("LossyImageCompressionRatio", "LossyImageCompressionMethod", "RescaleType"),
)
IDENTITY = (
    *("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex"),
    *("PatientAge", "PatientSize", "PatientWeight", "StudyInstanceUID", "StudyDate", "StudyTime"),
    *("StudyID", "StudyDescription", "AccessionNumber", "ReferringPhysicianName"),
    *("InstitutionName", "FrameOfReferenceUID"),
)
EMPTY = (  # must be there, and may say nothing
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime"),
    *("StudyID", "AccessionNumber", "ReferringPhysicianName"),
)
SPACINGS = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
READ = (
    *TECHNIQUE,
    *IDENTITY,
    *SPACINGS,
    *("SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "ImageType"),
    *("PhotometricInterpretation", "SamplesPerPixel", "Rows", "Columns", "NumberOfFrames"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PlanarConfiguration"),
    *("RescaleSlope", "RescaleIntercept", "ModalityLUTSequence", "VOILUTSequence"),
    *("WindowCenter", "WindowWidth", "VOILUTFunction", "PixelPaddingValue"),
    *("PixelPaddingRangeLimit", "DoseGridScaling", "DoseUnits", "GridFrameOffsetVector"),
    *("ImagePositionPatient", "ImageOrientationPatient"),
    *("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"),
    *("RedPaletteColorLookupTableDescriptor", "RedPaletteColorLookupTableData"),
    *("GreenPaletteColorLookupTableDescriptor", "GreenPaletteColorLookupTableData"),
    *("BluePaletteColorLookupTableDescriptor", "BluePaletteColorLookupTableData"),
    *("SegmentedRedPaletteColorLookupTableData", "SegmentedGreenPaletteColorLookupTableData"),
    "SegmentedBluePaletteColorLookupTableData",
)
_FEWEST = 255  # steps of the file's rescale slope in the range of values, or a finer one is taken


def other_uid(*sources: str) -> str:
    """A unique identifier that is computed from others, which cannot be found from it (PS3.5 B.2).

    Args:
        sources: what it stands for.
    """
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, ' '.join(('invprob', *sources))).int}"


@final
@dataclass(frozen=True, eq=False)
class DicomWriter(Writer):
    """Writes CT, MR and CR images as such, and all others as secondary captures.

    Args:
        frame: what was read.
    """

    frame: Frame
    suffix = ".dcm"

    def write(self, path: Path, planes: Planes, place: Placement, derivation: Derivation) -> None:
        import pydicom
        from pydicom.dataset import FileMetaDataset
        from pydicom.uid import ExplicitVRLittleEndian

        source = self.frame.dataset
        planes = np.nan_to_num(planes, nan=derivation.window.low)
        dataset = pydicom.Dataset()
        dataset.SpecificCharacterSet = "ISO_IR 192"
        _copy_technique(dataset, self.frame)
        _set_patient(dataset, source, keep=derivation.keep_patient)
        _set_geometry(dataset, self.frame, place)
        _set_pixels(dataset, self.frame, planes)
        _set_window(dataset, derivation)
        _set_derivation(dataset, self.frame, place, derivation)
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        meta.MediaStorageSOPClassUID = dataset.SOPClassUID
        meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.file_meta = meta
        with atomic_write(path) as temporary:
            dataset.save_as(temporary, enforce_file_format=True)


def _copy_technique(dataset: "Dataset", frame: Frame) -> None:
    for keyword in TECHNIQUE:
        value = frame.get(keyword)
        if value is not None:
            setattr(dataset, keyword, value)
    source = frame.dataset
    kept = source.get("SOPClassUID") in (CT, MR, CR) and source.get("SamplesPerPixel", 1) == 1
    dataset.SOPClassUID = str(source.SOPClassUID) if kept else SECONDARY_CAPTURE
    if dataset.SOPClassUID == SECONDARY_CAPTURE:
        dataset.ConversionType = "WSD"  # by a workstation
    if "Modality" not in dataset:
        dataset.Modality = "OT"
    dataset.Manufacturer, dataset.ManufacturerModelName = DISTRIBUTION, "invprob"
    dataset.SoftwareVersions = __version__
    dataset.SeriesDescription = "derived by invprob, not for diagnosis"
    dataset.SeriesNumber, dataset.InstanceNumber = None, 1


def _set_patient(dataset: "Dataset", source: "Dataset", *, keep: bool) -> None:
    """The identity where it is to be kept, and else none."""
    for keyword in EMPTY:
        setattr(dataset, keyword, None)
    for keyword in IDENTITY if keep else ():
        if source.get(keyword) not in (None, ""):
            value = source.get(keyword)
            setattr(dataset, keyword, str(value) if keyword.endswith("Name") else value)
    if keep:
        return
    dataset.PatientName = dataset.PatientID = "ANONYMOUS"
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = "invprob: only technique and geometry are copied"
    dataset.LongitudinalTemporalInformationModified = "REMOVED"
    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID"):
        if source.get(keyword):
            setattr(dataset, keyword, other_uid(str(source.get(keyword))))


def _set_geometry(dataset: "Dataset", frame: Frame, place: Placement) -> None:
    """Spacing and position of the pixels that are written (PS3.3 C.7.6.2.1.1)."""
    spaced = False
    for keyword in SPACINGS:
        spacing = frame.numbers(keyword)
        if len(spacing) == 2:
            setattr(
                dataset,
                keyword,
                _decimals(spacing[0] * place.row_step, spacing[1] * place.column_step),
            )
            spaced = True
    if not spaced and place.row_step != place.column_step:
        ratio = (place.row_step, place.column_step)
        dataset.PixelAspectRatio = [round(1000 * one) for one in ratio]
    position = np.asarray(frame.numbers("ImagePositionPatient"))
    orientation = np.asarray(frame.numbers("ImageOrientationPatient"))
    spacing = frame.numbers("PixelSpacing")
    if len(position) != 3 or len(orientation) != 6 or len(spacing) != 2:
        return
    along_row, along_column = orientation[:3], orientation[3:]
    row, column = place.first
    position = position + along_row * column * spacing[1] + along_column * row * spacing[0]
    offsets = frame.numbers("GridFrameOffsetVector")
    if len(offsets) > frame.number and offsets[0] == 0:
        position = position + np.cross(along_row, along_column) * offsets[frame.number]
    dataset.ImagePositionPatient = _decimals(*position)
    dataset.ImageOrientationPatient = _decimals(*orientation)


def _set_pixels(dataset: "Dataset", frame: Frame, planes: Planes) -> None:
    source = frame.dataset
    dataset.Rows, dataset.Columns = planes.shape[1:]
    dataset.SamplesPerPixel = len(planes)
    if len(planes) == 3:
        bits = 8 if planes.max() < 256 else 16 if planes.max() < 65536 else 32
        dataset.PhotometricInterpretation, dataset.PlanarConfiguration = "RGB", 0
        stored: NDArray[Any] = np.moveaxis(planes, 0, -1).round().clip(0, 2.0**bits - 1)
        signed = False
    else:
        photometric = str(source.get("PhotometricInterpretation"))
        dataset.PhotometricInterpretation = photometric if photometric in GREY else GREY[1]
        slope, intercept = _coding(planes, frame)
        stored = ((planes[0] - intercept) / slope).round()
        signed = bool(stored.min() < 0)
        plain = (slope, intercept) == (1.0, 0.0)
        bits = 8 if plain and int(source.get("BitsStored") or 16) <= 8 else 16
        if not plain or dataset.SOPClassUID == CT:
            dataset.RescaleSlope, dataset.RescaleIntercept = _decimals(slope, intercept)
            if "RescaleType" not in dataset:
                dataset.RescaleType = "HU" if dataset.Modality == "CT" else "US"
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit, dataset.PixelRepresentation = bits - 1, int(signed)
    numbers = np.ascontiguousarray(stored.astype(f"<{'i' if signed else 'u'}{bits // 8}"))
    data = numbers.tobytes()
    dataset.PixelData = data + b"\0" * (len(data) % 2)
    dataset["PixelData"].VR = "OW" if bits > 8 else "OB"


def _coding(planes: Planes, frame: Frame) -> tuple[float, float]:
    """Slope and intercept of the numbers that are written: the file's own where they suffice."""
    low, high = float(planes.min()), float(planes.max())
    slope, intercept = rescale(frame)
    ends = sorted(((low - intercept) / slope, (high - intercept) / slope))
    fits = ends[1] < 65535.5 if ends[0] > -0.5 else ends[0] >= -32768 and ends[1] < 32767.5
    tabled = frame.dataset.get("ModalityLUTSequence")
    eight = int(frame.dataset.get("BitsStored") or 16) <= 8
    if fits and not tabled and (eight or ends[1] - ends[0] >= _FEWEST or low == high):
        return slope, intercept
    step, start = _decimals((high - low) / 65535 if high > low else 1.0, low)
    return float(step), float(start)


def _set_window(dataset: "Dataset", derivation: Derivation) -> None:
    """The window, by the formula of PS3.3 C.11.2.1.2.1."""
    if dataset.SamplesPerPixel == 1:
        window = derivation.window
        width = window.high - window.low + 1
        dataset.WindowCenter, dataset.WindowWidth = _decimals(window.low + width / 2, width)
        dataset.WindowCenterWidthExplanation = "black to white of the restoration"


def _set_derivation(
    dataset: "Dataset", frame: Frame, place: Placement, derivation: Derivation
) -> None:
    """That the image is derived, from which, and how (PS3.3 C.7.6.1.1.2, C.7.6.1.1.3, C.12.4)."""
    from pydicom.dataset import Dataset
    from pydicom.sr.codedict import codes

    source = frame.dataset
    kept_class = dataset.SOPClassUID in THIRD
    third = [str(one) for one in (source.get("ImageType") or [])[2:3]]
    third = [*third, THIRD.get(dataset.SOPClassUID, "")][:1] if kept_class else []
    dataset.ImageType = ["DERIVED", "SECONDARY", *third]
    dataset.DerivationDescription = derivation.sentence()[:1024]
    if place.moved:
        dataset.DerivationCodeSequence = [_coded(codes.DCM.SpatialResampling)]
    original = str(source.get("SOPInstanceUID") or "")
    item = Dataset()
    item.ReferencedSOPClassUID = str(source.get("SOPClassUID") or SECONDARY_CAPTURE)
    item.ReferencedSOPInstanceUID = original if derivation.keep_patient else other_uid(original)
    if source.get("NumberOfFrames"):
        item.ReferencedFrameNumber = frame.number + 1
    item.SpatialLocationsPreserved = "NO" if place.moved else "YES"
    item.PurposeOfReferenceCodeSequence = [_coded(codes.DCM.SourceImageForImageProcessingOperation)]
    dataset.SourceImageSequence = [item]
    if _is_lossy(str(source.file_meta.TransferSyntaxUID)):
        dataset.LossyImageCompression = "01"
    if "StudyInstanceUID" not in dataset:
        dataset.StudyInstanceUID = other_uid(original, "study")
    if "FrameOfReferenceUID" not in dataset and dataset.SOPClassUID in (CT, MR):
        dataset.FrameOfReferenceUID = other_uid(original, "frame of reference")
    content = (original, str(frame.number), derivation.sentence(), dataset.PixelData.hex())
    kept = "kept" if derivation.keep_patient else ""
    dataset.SOPInstanceUID = other_uid(*content, kept)
    dataset.SeriesInstanceUID = other_uid(*content, kept, "series")


def _coded(code: Any) -> "Dataset":
    from pydicom.dataset import Dataset

    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator = code.value, code.scheme_designator
    item.CodeMeaning = code.meaning
    return item


def _is_lossy(syntax: str) -> bool:
    from pydicom.uid import (
        JPEG2000,
        JPEGBaseline8Bit,
        JPEGExtended12Bit,
        JPEGLSNearLossless,
    )

    return syntax in (JPEGBaseline8Bit, JPEGExtended12Bit, JPEG2000, JPEGLSNearLossless)


def _decimals(*values: float) -> list[str]:
    """Decimal strings of at most 16 characters (PS3.5 6.2)."""
    from pydicom.valuerep import format_number_as_ds

    return [format_number_as_ds(float(one)) for one in values]
