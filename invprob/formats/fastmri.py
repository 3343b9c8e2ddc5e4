"""Files of fastMRI: `kspace` of all slices, `mask`, and the header of ISMRMRD.

Source: Zbontar et al., arXiv:1811.08839, section 4, and the repository facebookresearch/fastMRI.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from invprob.errors import FileError
from invprob.formats.hdf5 import Dataset, dataset_of
from invprob.formats.kspace import KSpace, measured_lines
from invprob.formats.mr_header import Encoding, read_header
from invprob.formats.wanted import Wanted

if TYPE_CHECKING:
    import h5py

KEYS = ("kspace", "ismrmrd_header")


def is_fastmri(file: "h5py.File") -> bool:
    """Whether an HDF5 file has the keys of fastMRI."""
    return all(key in file for key in KEYS)


def read_fastmri(file: "h5py.File", path: Path, wanted: Wanted) -> KSpace:
    """Read one slice.

    Raises:
        FileError: k-space contradicts the header.
        ArgumentError: there is no such slice.
    """
    name = path.name
    if wanted.dataset not in (None, "kspace"):
        raise FileError(
            f"{name} is a file of fastMRI, of which kspace is read; leave --dataset out, got "
            f"{wanted.dataset!r}"
        )
    stored = Dataset(dataset_of(file, "kspace"))
    if stored.dtype.kind != "c" or len(stored.shape) not in (3, 4):
        raise FileError(
            f"{name}: kspace must be complex (slices, rows, columns) or (slices, coils, rows, "
            f"columns), got {stored.dtype} {stored.shape}"
        )
    header = read_header(dataset_of(file, "ismrmrd_header")[()], name)
    check_matrix(name, header, stored.shape[-2:])
    place, slice_words = wanted.place("slices", stored.shape[0])
    values = stored.part({0: place})
    coils = values if values.ndim == 3 else values[None]
    words = [slice_words] if slice_words else []
    words += [f"coils {len(coils)}"] if len(coils) > 1 else ["one coil"]
    given = _mask(file, name, coils.shape[-1])
    found = measured_lines(coils, [*words, *row_words(header), "columns (phase encoding)"], given)
    if header.rows < found.height:
        found = found.without_oversampling(header.rows)
    return KSpace(found.values, found.lines, found.width, found.seen, header.pixel, found.words)


def check_matrix(name: str, header: Encoding, shape: tuple[int, ...]) -> None:
    """See that rows and columns of k-space are those of the header; raises `FileError`."""
    x, y, _ = header.encoded.matrix
    if shape != (x, y):
        raise FileError(
            f"{name}: k-space has {shape[0]} rows and {shape[1]} columns, but its header encodes "
            f"{x} x {y}; one of them belongs to another scan"
        )


def row_words(header: Encoding) -> list[str]:
    """The rows in words."""
    full = header.encoded.matrix[0]
    more = f", {full} with oversampling" if header.rows < full else ""
    return [f"rows {header.rows} (readout{more})"]


def _mask(file: "h5py.File", name: str, width: int) -> NDArray[np.int64] | None:
    """The columns of the file's mask, where it has one."""
    if "mask" not in file:
        return None
    mask = np.squeeze(Dataset(dataset_of(file, "mask")).part())
    if mask.shape != (width,):
        raise FileError(f"{name}: mask has the shape {mask.shape}, but k-space has {width} columns")
    return np.flatnonzero(mask)
