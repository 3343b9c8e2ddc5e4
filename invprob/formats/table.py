"""The formats: which reader a file belongs to, by its first bytes or else by its name."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from invprob.errors import FileError
from invprob.files import file_error
from invprob.formats.scan import Scan, Selection


@dataclass(frozen=True)
class Format:
    """A format of files that hold physical values.

    Args:
        name: what it is called, such as "DICOM".
        suffixes: endings of its files' names.
        takes: the settings of a `Selection` that it takes.
        read: reads one slice.
        magic: bytes by which its files are known; empty where there are none.
        at: where in the file they are.
    """

    name: str
    suffixes: tuple[str, ...]
    takes: tuple[str, ...]
    read: Callable[[Path, Selection], Scan]
    magic: bytes = b""
    at: int = 0


def _dicom(path: Path, selection: Selection) -> Scan:
    from invprob.formats.dicom import read_dicom

    return read_dicom(path, selection)


def _nifti(path: Path, selection: Selection) -> Scan:
    from invprob.formats.nifti import read_nifti

    return read_nifti(path, selection)


def _numpy(path: Path, selection: Selection) -> Scan:
    from invprob.formats.arrays import read_numpy

    return read_numpy(path, selection)


def _hdf5(path: Path, selection: Selection) -> Scan:
    from invprob.formats.arrays import read_hdf5

    return read_hdf5(path, selection)


def _tiff(path: Path, selection: Selection) -> Scan:
    from invprob.formats.tiff import read_tiff

    return read_tiff(path, selection)


DICOM = Format("DICOM", (".dcm", ".dicom"), ("window", "frame"), _dicom, b"DICM", 128)
NIFTI = Format("NIfTI", (".nii", ".nii.gz"), ("window", "plane", "index", "volume"), _nifti)
NUMPY = Format("NumPy", (".npy",), ("window", "plane", "index"), _numpy, b"\x93NUMPY")
HDF5 = Format(
    "HDF5",
    (".h5", ".hdf5"),
    ("window", "plane", "index", "dataset"),
    _hdf5,
    b"\x89HDF\r\n\x1a\n",
)
TIFF = Format("TIFF", (".tif", ".tiff"), ("window", "frame"), _tiff)  # also read by Pillow
FORMATS = (DICOM, NIFTI, NUMPY, HDF5)
SUFFIXES = tuple(suffix for one in FORMATS for suffix in one.suffixes)


def format_of(path: Path) -> Format | None:
    """The format of a file; None for pictures, among which TIFF is, and for missing files.

    Args:
        path: the file.
    """
    try:
        with path.open("rb") as file:
            start = file.read(132)
    except OSError:
        start = b""
    for one in FORMATS:
        if one.magic and start[one.at : one.at + len(one.magic)] == one.magic:
            return one
    name = path.name.lower()
    return next((one for one in FORMATS if name.endswith(one.suffixes)), None)


def read_scan(
    path: Path, selection: Selection | None = None, *, form: Format | None = None
) -> Scan:
    """Read one slice of a file with its physical values.

    Args:
        path: a DICOM, NIfTI, NumPy, HDF5 or TIFF file.
        selection: which slice, and which window. None: what the file suggests.
        form: the format. None: that of the file.

    Raises:
        FileError: the file is missing, damaged, or of no such format.
        ArgumentError: the selection is not one for its format.
    """
    selection, name = selection or Selection(), repr(str(path))
    if path.is_dir():
        raise FileError(f"{name} is a folder; name a file in it")
    if path.exists() and not path.is_file():
        raise FileError(f"{name} is not an ordinary file; name an image")
    form = form or format_of(path)
    if form is None and path.suffix.lower() in TIFF.suffixes:
        form = TIFF
    if form is None:
        known = ", ".join(one.name for one in (*FORMATS, TIFF))
        raise FileError(f"{name} is none of {known}")
    selection.check(form.takes, name, form.name)
    try:
        return form.read(path, selection)
    except OSError as error:
        if isinstance(error, FileError):
            raise
        raise file_error(path, error, "read") from None
