"""What kind a file is, by its first bytes, and the arrays in it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from invprob.errors import FileError
from invprob.files import file_error
from invprob.formats import bart, hdf5, matlab, npz, tiff_frames
from invprob.formats.stored import Stored

if TYPE_CHECKING:
    import h5py

# Endings of files that hold arrays, beside pictures.
SUFFIXES = (".npy", ".npz", ".h5", ".hdf5", ".hdf", ".mrd", ".mat", ".cfl", ".hdr")

_STARTS = (0, 512, 1024, 2048)  # where HDF5 may begin; MATLAB's own header comes before

Kind = Literal["npy", "npz", "hdf5", "matlab", "bart", "tiff"]


class Held(NamedTuple):
    """The arrays of a file.

    Attributes:
        kind: which format it has.
        arrays: the arrays by name.
        file: the HDF5 file, where it is one.
    """

    kind: Kind
    arrays: Mapping[str, Stored]
    file: "h5py.File | None" = None


@contextmanager
def open_arrays(path: Path) -> Iterator[Held]:
    """Open a file; its arrays can be read until the block ends.

    Args:
        path: .npy, .npz, HDF5, MATLAB, TIFF, or BART's .cfl or .hdr, also without the ending.

    Raises:
        FileError: it is missing, damaged or of another kind.
    """
    kind = kind_of(path)
    if kind == "hdf5":
        with hdf5.open_file(path) as file:
            arrays = hdf5.arrays_of(file)
            yield Held("matlab" if hdf5.is_matlab(file) else "hdf5", arrays, file)
        return
    readers = {
        "npy": npz.open_npy,
        "npz": npz.open_npz,
        "matlab": matlab.open_matlab,
        "bart": bart.open_bart,
        "tiff": tiff_frames.open_tiff,
    }
    with readers[kind](path) as arrays:
        yield Held(kind, arrays)


def kind_of(path: Path) -> Kind:
    """Which format a file has.

    Raises:
        FileError: it is missing, or of another kind.
    """
    pair = path.with_name(path.name + ".cfl")
    if path.suffix.lower() in (".cfl", ".hdr") or (not path.exists() and pair.exists()):
        return "bart"
    try:
        with path.open("rb") as file:
            head = file.read(max(_STARTS) + len(hdf5.MAGIC))
    except OSError as error:
        raise file_error(path, error, "read") from error
    if any(head[start : start + len(hdf5.MAGIC)] == hdf5.MAGIC for start in _STARTS):
        return "hdf5"
    starts: tuple[tuple[bytes, Kind], ...] = (
        (b"\x93NUMPY", "npy"),
        (b"PK", "npz"),
        (matlab.MAGIC, "matlab"),
        *((magic, "tiff") for magic in tiff_frames.MAGICS),
    )
    for start, kind in starts:
        if head.startswith(start):
            return kind
    raise FileError(
        f"{str(path)!r} is of no kind that is read: NumPy (.npy, .npz), HDF5 (fastMRI, ISMRMRD), "
        "MATLAB (.mat), BART (.cfl), TIFF"
    )
