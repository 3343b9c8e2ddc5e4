"""The settings that say which part of a scanner's file is read, and with which window."""

from functools import partial
from typing import Annotated, Literal, TypeAlias

from invprob.run.settings import Range, Setting
from invprob.run.together import MEASURED

_FROM_ZERO = Range("at least 0", least=0)
_scanned = partial(Setting, heading=MEASURED, scope="sweep")
_measured = partial(Setting, heading=MEASURED, scope="run")  # of raw data, which no sweep reads

Window: TypeAlias = Annotated[
    str | None,
    _scanned(
        'The physical values of a scan that are black and white, such as "-160 240" in Hounsfield '
        "units; or file, for the window that the file proposes; or percentiles of the slice, also "
        'as "percentiles 2 98".',
        metavar="LOW HIGH|file|percentiles",
        unset="the file's, or else the percentiles 0.5 and 99.5",
    ),
]
Frame: TypeAlias = Annotated[
    int | None,
    _scanned(
        "The frame of a DICOM file of several, or the page of a TIFF, from 0.",
        metavar="N",
        within=_FROM_ZERO,
    ),
]
Plane: TypeAlias = Annotated[
    Literal["axial", "coronal", "sagittal", "0", "1", "2"] | None,
    _scanned(
        "The plane in which a volume (NIfTI, NumPy, HDF5) is cut; a number names the axis that it "
        "is across.",
        unset="axial, or 0 where the file knows no body",
    ),
]
Index: TypeAlias = Annotated[
    int | None,
    _scanned(
        "The slice of a volume, from 0.",
        metavar="N",
        unset="the middle of a NIfTI file",
        within=_FROM_ZERO,
    ),
]
Volume: TypeAlias = Annotated[
    int | None,
    _scanned("The volume of a NIfTI file of several, from 0.", metavar="N", within=_FROM_ZERO),
]
Dataset: TypeAlias = Annotated[
    str | None,
    _scanned(
        "The array to read, in a file that holds several (HDF5, MATLAB, .npz).",
        metavar="NAME",
        unset="the only one of rows and columns",
    ),
]
Slice: TypeAlias = Annotated[
    int | None,
    _measured(
        "The slice of raw data or of a sinogram, from 0.",
        metavar="N",
        unset="the middle one",
        within=_FROM_ZERO,
    ),
]
Repetition: TypeAlias = Annotated[
    int | None,
    _measured(
        "The repetition of raw data, from 0.", metavar="N", unset="the first", within=_FROM_ZERO
    ),
]
Contrast: TypeAlias = Annotated[
    int | None,
    _measured(
        "The contrast or echo of raw data, from 0.",
        metavar="N",
        unset="the first",
        within=_FROM_ZERO,
    ),
]
Angles: TypeAlias = Annotated[
    str | None,
    _measured(
        "The angles of a sinogram in degrees: a file, or the name of an array in its own.",
        metavar="FILE|NAME",
        unset="those that the file holds as theta or angles",
        file=True,
        identifies=False,
    ),
]
Axes: TypeAlias = Annotated[
    str | None,
    _measured(
        "What the axes of k-space or of a sinogram mean, such as 'rows columns coils'.",
        metavar="NAMES",
        unset="what is usual in the format",
    ),
]
KeepPatient: TypeAlias = Annotated[
    bool,
    Setting(
        "Write the patient's identity into restored.dcm, and allow it in paths.",
        heading=MEASURED,
        identifies=False,
    ),
]
