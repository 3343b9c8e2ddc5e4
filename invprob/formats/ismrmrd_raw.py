"""Raw data of ISMRMRD: acquisitions in the order of time, sorted into the lines of k-space.

The format is HDF5, of which the headers of all acquisitions are read first, and then the samples of
those that belong to the slice that is asked for. Source: Inati et al., Magnetic Resonance in
Medicine 77, 2017, p. 411, and https://ismrmrd.readthedocs.io for the meaning of each flag.
"""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from invprob.errors import FileError
from invprob.formats.fastmri import row_words
from invprob.formats.hdf5 import dataset_of
from invprob.formats.kspace import KSpace, measured_lines
from invprob.formats.mr_header import Encoding, read_header
from invprob.formats.stored import check_bytes
from invprob.formats.wanted import Wanted

if TYPE_CHECKING:
    import h5py

# Acquisitions that are no lines of the image, by the number of their flag, counted from 1.
_OTHERS = {
    19: "noise scan",
    20: "calibration line",
    23: "navigator",
    24: "phase correction line",
    26: "feedback line",
    27: "dummy scan",
    28: "feedback line",
    29: "coil correction scan",
    30: "phase stabilisation line",
    31: "phase stabilisation line",
}
_REVERSE = 22
_BLOCK = 1 << 14  # headers read at once
_INDICES = {
    "line": "kspace_encode_step_1",
    "partition": "kspace_encode_step_2",
    "slices": "slice",
    "repetitions": "repetition",
    "contrasts": "contrast",
    "phase": "phase",
    "set": "set",
}
_FIELDS = (
    *("flags", "number_of_samples", "active_channels", "center_sample", "encoding_space_ref"),
    *("discard_pre", "discard_post"),
)

Heads = dict[str, NDArray[Any]]


def is_raw(file: "h5py.File") -> bool:
    """Whether an HDF5 file holds acquisitions of ISMRMRD."""
    return bool(_groups(file))


def read_raw(file: "h5py.File", path: Path, wanted: Wanted) -> KSpace:
    """Sort the acquisitions of one slice into k-space; those of several averages are averaged.

    Raises:
        FileError: it holds no such acquisitions, or they contradict the header.
        ArgumentError: there is no such slice, repetition or contrast.
    """
    name = path.name
    group = _group(file, wanted, name)
    header = read_header(np.ravel(dataset_of(group, "xml")[()])[0], name)
    _check_supported(header, name)
    acquisitions = dataset_of(group, "data")
    heads = _heads(acquisitions)
    kept, words = _imaging(heads, name)
    for frames in ("slices", "repetitions", "contrasts"):
        found = heads[frames]
        place, said = wanted.place(frames, int(found[kept].max()) + 1)
        kept = kept[found[kept] == place]
        words += [said] if said else []
        if len(kept) == 0:
            raise FileError(f"{name} holds no line of {said.split(',')[0]}")
    for counter in ("phase", "set"):
        first = heads[counter][kept].min()
        if (heads[counter][kept] != first).any():
            words.append(f"{counter} {first} of {int(heads[counter][kept].max()) + 1}, the first")
        kept = kept[heads[counter][kept] == first]
    whole, lines, repeated = _sorted(acquisitions, heads, kept, header, name)
    if repeated:
        words.append(f"lines measured {repeated} times are averaged")
    words += [f"coils {len(whole)}"] if len(whole) > 1 else ["one coil"]
    words += [*row_words(header), "columns (phase encoding)"]
    result = measured_lines(whole, words, lines)
    if header.rows < result.height:
        result = result.without_oversampling(header.rows)
    return KSpace(
        result.values, result.lines, result.width, result.seen, header.pixel, result.words
    )


def _groups(file: "h5py.File") -> "dict[str, h5py.Group]":
    import h5py

    found = {}
    for name, item in file.items():
        if isinstance(item, h5py.Group) and "xml" in item and "data" in item:
            names = getattr(item["data"], "dtype", np.dtype(float)).names or ()
            if {"head", "data"} <= set(names):
                found[name] = item
    return found


def _group(file: "h5py.File", wanted: Wanted, name: str) -> "h5py.Group":
    groups = _groups(file)
    asked = wanted.dataset
    if asked is not None and asked.strip("/") not in groups:
        raise FileError(f"{name} holds no raw data {asked!r}; it holds {', '.join(groups)}")
    if asked is None and len(groups) > 1:
        raise FileError(
            f"{name} holds several scans; choose one, --dataset NAME: {', '.join(groups)}"
        )
    return groups[asked.strip("/")] if asked else next(iter(groups.values()))


def _check_supported(header: Encoding, name: str) -> None:
    if header.trajectory != "cartesian":
        raise FileError(
            f"{name}: the trajectory is {header.trajectory}, and only lines of a Cartesian grid "
            "are read; grid it first, for instance with `bart nufft -i` and `bart fft`"
        )
    if header.encoded.matrix[2] > 1:
        raise FileError(
            f"{name}: the scan is encoded in three dimensions; transform it along the third, and "
            "save one slice, for instance as .npy (coils, rows, columns)"
        )


def _heads(acquisitions: "h5py.Dataset") -> Heads:
    """The fields of all headers that matter, read block by block."""
    blocks: dict[str, list[NDArray[Any]]] = {key: [] for key in (*_FIELDS, *_INDICES)}
    count = acquisitions.shape[0]
    for start in range(0, count, _BLOCK):
        read = acquisitions.fields("head")[start : start + _BLOCK]
        for field in _FIELDS:
            blocks[field].append(np.array(read[field], np.int64))
        for key, field in _INDICES.items():
            blocks[key].append(np.array(read["idx"][field], np.int64))
    return {key: np.concatenate(parts or [np.zeros(0, np.int64)]) for key, parts in blocks.items()}


def _flag(flags: NDArray[Any], number: int) -> NDArray[np.bool_]:
    raised: NDArray[np.bool_] = (flags >> (number - 1)) & 1 == 1
    return raised


def _imaging(heads: Heads, name: str) -> tuple[NDArray[np.int64], list[str]]:
    """The acquisitions that are lines of the image, and which others there are."""
    flags, encoding = heads["flags"], heads["encoding_space_ref"]
    other = np.zeros(len(flags), bool)
    left_out: Counter[str] = Counter()
    for number, what in _OTHERS.items():
        raised = _flag(flags, number) & ~other
        left_out[what] += int(raised.sum())
        other |= raised
    elsewhere = (encoding != 0) & ~other
    left_out["line of another encoding"] += int(elsewhere.sum())
    kept = np.flatnonzero(~other & ~elsewhere)
    words = [
        f"{count} {_many(what) if count > 1 else what} left out"
        for what, count in left_out.items()
        if count
    ]
    if len(kept) == 0:
        raise FileError(
            f"{name} holds no line of an image" + (f": {', '.join(words)}" if words else "")
        )
    return kept, words


def _many(what: str) -> str:
    first, *rest = what.split(" of ")
    return " of ".join([f"{first}s", *rest])


def _sorted(
    acquisitions: "h5py.Dataset",
    heads: Heads,
    kept: NDArray[np.int64],
    header: Encoding,
    name: str,
) -> tuple[NDArray[np.complex64], NDArray[np.int64], int]:
    """The whole of k-space with zeros where nothing was measured, the lines, and how often."""
    rows, width, _ = header.encoded.matrix
    columns = _columns(heads["line"][kept], header, name)
    channels = np.unique(heads["active_channels"][kept])
    if len(channels) > 1:
        raise FileError(
            f"{name}: some lines have {channels[0]} coils, others {channels[-1]}; save them apart"
        )
    shape = (int(channels[0]), rows, width)
    check_bytes(name, shape, np.dtype(np.complex64))
    whole = np.zeros(shape, np.complex64)
    counts = np.bincount(columns, minlength=width)
    read = acquisitions.fields("data")
    for index, column in zip(kept, columns, strict=True):
        head = {field: int(heads[field][index]) for field in _FIELDS}
        samples = _samples(read[int(index)], head, int(index), name)
        start = _start(head, samples.shape[1], rows, name)
        whole[:, start : start + samples.shape[1], column] += samples / counts[column]
    return whole, np.flatnonzero(counts), int(counts.max()) if counts.max() > 1 else 0


def _columns(lines: NDArray[np.int64], header: Encoding, name: str) -> NDArray[np.int64]:
    """The columns of lines: the one that the header calls the middle has frequency zero."""
    width = header.encoded.matrix[1]
    middle = width // 2 if header.limits is None else header.limits[2]
    columns = lines - middle + width // 2
    if columns.min() < 0 or columns.max() >= width:
        raise FileError(
            f"{name}: its lines are numbered {lines.min()} to {lines.max()} around {middle}, which "
            f"leaves the {width} columns that its header encodes; one of them is wrong"
        )
    return columns


def _samples(
    raw: NDArray[np.float32], head: dict[str, int], index: int, name: str
) -> NDArray[np.complex64]:
    """What one acquisition measured, (coils, samples), in the direction of the others."""
    coils, count = head["active_channels"], head["number_of_samples"]
    values = np.ascontiguousarray(raw, np.float32)
    if values.size != 2 * coils * count or not count:
        raise FileError(
            f"{name}: acquisition {index} holds {values.size // 2} numbers, but its header says "
            f"{coils} coils x {count} samples; the file is damaged"
        )
    samples = values.view(np.complex64).reshape(coils, count)
    samples = samples[:, head["discard_pre"] : count - head["discard_post"]]
    return samples[:, ::-1] if head["flags"] >> (_REVERSE - 1) & 1 else samples


def _start(head: dict[str, int], count: int, rows: int, name: str) -> int:
    """The row of the first sample: `center_sample` is in the middle, where lines are not whole."""
    if count == rows:
        return 0
    start = rows // 2 - (head["center_sample"] - head["discard_pre"])
    if head["center_sample"] == 0 or start < 0 or count + start > rows:
        raise FileError(
            f"{name}: lines have {count} samples with number {head['center_sample']} in the "
            f"middle, but its header encodes {rows}; one of them is wrong"
        )
    return start
