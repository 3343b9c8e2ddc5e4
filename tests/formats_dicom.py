"""DICOM files for tests: those inside of pydicom's wheel, and small ones that are made."""

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

FOLDER = Path(pydicom.__file__).parent / "data" / "test_files"
CT = "1.2.840.10008.5.1.4.1.1.2"


def shipped(name: str) -> Path:
    """A file inside of pydicom's wheel."""
    path = FOLDER / name
    if not path.is_file():
        pytest.skip(f"this pydicom does not ship {name}")
    return path


def made(path: Path, pixels: np.ndarray, syntax: str = ExplicitVRLittleEndian, **more: Any) -> Path:
    """A small CT file."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = UID(syntax), UID(CT)
    meta.MediaStorageSOPInstanceUID = UID("1.2.3")
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
    bits = 8 * pixels.dtype.itemsize
    known = {
        "SOPClassUID": CT,
        "SOPInstanceUID": "1.2.3",
        "Modality": "CT",
        "PhotometricInterpretation": "MONOCHROME2",
        "SamplesPerPixel": 1,
        "BitsAllocated": bits,
        "BitsStored": bits,
        "PixelRepresentation": int(pixels.dtype.kind == "i"),
        "Rows": pixels.shape[-2],
        "Columns": pixels.shape[-1],
        **({"NumberOfFrames": len(pixels)} if pixels.ndim == 3 else {}),
        **more,
    }
    for keyword, value in known.items():
        setattr(dataset, keyword, value)
    if "HighBit" not in more:
        dataset.HighBit = int(dataset.BitsStored) - 1
    dataset.PixelData = pixels.tobytes()
    dataset["PixelData"].VR = "OW"
    dataset.save_as(path, enforce_file_format=True)
    return path
