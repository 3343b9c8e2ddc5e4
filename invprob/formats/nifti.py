"""NIfTI files: a slice across an axis of the body, as radiologists look at it.

The file's affine says where right (R), anterior (A) and superior (S) are. The axes of the file are
brought nearest to these by exchanging and reversing them, never by interpolation. Slices count from
right to left of "RAS+": index 0 is the leftmost, hindmost or lowest. A slice is drawn in the
radiological convention: the patient's right is on the left of axial and coronal slices, anterior is
at the top of axial and on the left of sagittal slices, and superior is at the top of the others.
"""

import gzip
import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from invprob.errors import FileError
from invprob.files import atomic_write
from invprob.formats.scan import (
    AXES,
    Derivation,
    Placement,
    Planes,
    Scan,
    Selection,
    Writer,
    check_size,
    in_a_line,
    missing,
    pick,
    real_values,
)
from invprob.formats.window import Window

TAKES = ("window", "plane", "index", "volume")
_RATIO = 1040  # the most that deflate packs
_MOST_UNPACKED = 1 << 35  # bytes that are unpacked to get at a slice
_COMMENT = 6  # the code of an extension that is text


def read_nifti(path: Path, selection: Selection) -> Scan:
    """Read one slice of a NIfTI-1 or NIfTI-2 file.

    Args:
        path: a file that ends in .nii or .nii.gz.
        selection: the window, the plane (without one, axial), the index (without one, the middle),
            and the volume.

    Raises:
        FileError: the file is none, is damaged, or holds several volumes of which none is named.
    """
    name = repr(str(path))
    try:
        import nibabel
    except ImportError as error:
        raise missing(name, "NIfTI", "nibabel", "medical", error) from None
    with path.open("rb"):  # so that a missing file is told as such
        pass
    try:
        # One file handle for all reads, or a .gz would be unpacked from its start for each.
        image = nibabel.load(path, mmap=False, keep_file_open=True)
    except FileError:
        raise
    except Exception as error:  # damaged headers make nibabel raise nearly anything
        raise FileError(f"{name} cannot be read as NIfTI: {in_a_line(error)}") from None
    if not isinstance(image, nibabel.Nifti1Image) or len(image.shape) < 2:
        raise FileError(f"{name} is {type(image).__name__}, no NIfTI volume of pixels")
    cut = _Cut.of(name, image, selection)
    _check_stream(name, path, image)
    try:
        stored = _read(image, cut)
    except (EOFError, OSError, ValueError, zlib.error) as error:
        raise FileError(
            f"{name} cannot be decoded, it may be truncated or damaged: {in_a_line(error)}"
        ) from None
    plane = stored if cut.rows < cut.columns else stored.T
    back = tuple(at for at, axis in enumerate((cut.rows, cut.columns)) if cut.up(axis))
    plane = np.flip(plane, back)
    header: Any = image.header
    low, high = float(header["cal_min"]), float(header["cal_max"])
    proposed = Window(low, high, "from the file (cal_min, cal_max)") if low < high else None
    units = header.get_xyzt_units()[0]
    writer = NiftiWriter(
        np.asarray(image.affine, np.float64),
        cut,
        units,
        (int(header["qform_code"]), int(header["sform_code"])),
    )
    return Scan(
        "NIfTI",
        np.ascontiguousarray(real_values(name, plane))[None],
        writer,
        proposed=proposed,
        part=cut.words(),
    )


@dataclass(frozen=True)
class _Cut:
    """A slice across the axes of a file.

    Args:
        shape: the first three axes of the file.
        across: which of them the slice is across.
        at: where, counted as the file counts.
        rows: the axis of the file along which rows of the picture follow each other.
        columns: the axis along which columns do.
        ascending: for each axis of the file, whether it goes to right, anterior or superior.
        volume: of a file of several; None where it has three axes.
        counted: the axis by its name and the index as the user counts it.
    """

    shape: tuple[int, int, int]
    across: int
    at: int
    rows: int
    columns: int
    ascending: tuple[bool, bool, bool]
    volume: int | None
    counted: tuple[str, int]

    @classmethod
    def of(cls, name: str, image: Any, selection: Selection) -> "_Cut":
        """What a selection means for a file; raises `FileError`."""
        import nibabel

        sides: tuple[int, ...] = tuple(int(length) for length in image.shape)
        while len(sides) > 4 and sides[-1] == 1:
            sides = sides[:-1]
        if len(sides) > 4:
            raise FileError(
                f"{name} has {len(sides)} axes of {sides}; save a file with at most four of them"
            )
        count = sides[3] if len(sides) == 4 else 1
        volume = pick(name, "volumes", "volume", count, selection.volume)
        first_sides = [*sides, 1][:3]
        shape = (first_sides[0], first_sides[1], first_sides[2])
        ornt = nibabel.io_orientation(image.affine)
        if not np.isfinite(ornt).all():
            raise FileError(f"{name} does not say how its axes lie: its affine is singular")
        body = [int(one) for one in ornt[:, 0]]  # the axis of the body for each of the file
        asked = selection.plane or "axial"
        fixed = AXES.index(asked) if asked in AXES else int(asked)
        across = body.index(fixed)
        length = shape[across]
        middle = length // 2 if selection.index is None else selection.index
        index = pick(name, f"{AXES[fixed]} slices", "index", length, middle)
        ascending = tuple(bool(one > 0) for one in ornt[:, 1])
        first, second = (body.index(one) for one in range(3) if one != fixed)
        check_size(name, shape[second], shape[first])
        return cls(
            shape,
            across,
            index if ascending[across] else length - 1 - index,
            second,
            first,
            (ascending[0], ascending[1], ascending[2]),
            volume if len(sides) == 4 else None,
            (AXES[fixed], index),
        )

    def up(self, axis: int) -> bool:
        """Whether an axis of the file goes against rows or columns, and so is reversed."""
        return self.ascending[axis]

    def words(self) -> str:
        """Which part of the file this is."""
        what, index = self.counted
        volume = "" if self.volume is None else f" of volume {self.volume}"
        return f"{what} slice {index} of 0 to {self.shape[self.across] - 1}{volume}"


def _check_stream(name: str, path: Path, image: Any) -> None:
    """See that a packed file can hold what its header says, and that not too much is unpacked."""
    if path.suffix.lower() != ".gz":
        return
    header = image.header
    size = math.prod(int(one) for one in image.shape) * int(header["bitpix"]) // 8
    if size > min(_MOST_UNPACKED, _RATIO * path.stat().st_size):
        raise FileError(
            f"{name} says that it unpacks to {size:,} bytes, which is more than it can hold "
            "or than is unpacked here; unpack it first, or save fewer volumes"
        )


def _read(image: Any, cut: _Cut) -> NDArray[Any]:
    """The slice, with its two axes in the order of the file; no more than a plane is in memory.

    nibabel reads what lies between the wanted numbers where the gaps are small. So a slice across
    the first or second axis is put together of lines, one from each plane.
    """
    data = image.dataobj
    behind = [0] * (len(image.shape) - 3)
    if cut.volume is not None:
        behind[0] = cut.volume
    if len(image.shape) == 2:
        whole: NDArray[Any] = np.asarray(data[:, :])[..., None]
        plane: NDArray[Any] = np.take(whole, cut.at, cut.across)
        return plane
    if cut.across == 2:
        return np.asarray(data[(slice(None), slice(None), cut.at, *behind)])
    lines = []
    for at in range(cut.shape[2]):
        inside = (cut.at, slice(None)) if cut.across == 0 else (slice(None), cut.at)
        lines.append(np.asarray(data[(*inside, at, *behind)]))
    return np.stack(lines, -1)


@final
@dataclass(frozen=True, eq=False)
class NiftiWriter(Writer):
    """Writes a volume of one slice, with the axes in the order and direction of the file read.

    Args:
        affine: from indices of the file to the world, (4, 4).
        cut: the slice.
        units: of lengths.
        codes: those of the qform and the sform.
    """

    affine: NDArray[np.float64]
    cut: _Cut
    units: str
    codes: tuple[int, int]
    suffix = ".nii.gz"

    def write(self, path: Path, planes: Planes, place: Placement, derivation: Derivation) -> None:
        import nibabel
        from nibabel.nifti1 import Nifti1Extension

        cut = self.cut
        picture = planes.mean(0)
        steps, starts = [1.0] * 3, [0.0] * 3
        starts[cut.across] = float(cut.at)
        sides = (
            (cut.rows, place.row_step, place.first[0]),
            (
                cut.columns,
                place.column_step,
                place.first[1],
            ),
        )
        for number, (axis, step, first) in enumerate(sides):
            steps[axis], starts[axis] = step, first
            if cut.up(axis):  # the picture runs against the file
                picture = np.flip(picture, number)
                last = first + (picture.shape[number] - 1) * step
                starts[axis] = cut.shape[axis] - 1 - last
        if cut.rows < cut.columns:
            volume = np.expand_dims(picture, cut.across)
        else:
            volume = np.expand_dims(picture.T, cut.across)
        into = np.diag([*steps, 1.0])
        into[:3, 3] = starts
        image = nibabel.Nifti1Image(volume.astype(np.float32), self.affine @ into)
        header: Any = image.header
        header.set_xyzt_units(self.units)
        qform, sform = self.codes
        image.set_qform(image.affine, code=qform or 1)
        image.set_sform(image.affine, code=sform or 1)
        header["descrip"] = b"derived by invprob, not for diagnosis"
        header["cal_min"], header["cal_max"] = derivation.window.low, derivation.window.high
        comment = derivation.sentence().encode("ascii")
        header.extensions.append(Nifti1Extension(_COMMENT, comment))
        with atomic_write(path) as temporary:
            temporary.write_bytes(gzip.compress(image.to_bytes(), mtime=0))
