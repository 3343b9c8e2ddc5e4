"""Files of scanners become measurements: the settings of the operator follow from the file."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch

from invprob.errors import ArgumentError, InvprobError
from invprob.formats.ismrmrd_raw import is_raw
from invprob.formats.opened import SUFFIXES, Held, open_arrays
from invprob.formats.stored import Array
from invprob.formats.wanted import Wanted, choose
from invprob.operators.missing import without_missing
from invprob.run.build import make_operator
from invprob.run.config import Named, RunConfig
from invprob.run.inputs import distinct
from invprob.run.scanned_ct import read_ct
from invprob.run.scanned_mri import read_mri
from invprob.run.scans import selection_of
from invprob.run.score import grading_record
from invprob.run.taken import RawScan, Taken
from invprob.types import Shape

Reader: TypeAlias = Callable[[Held, Path, Named, Wanted, int | None], RawScan]

READERS: dict[str, Reader] = {"ct": read_ct, "mri": read_mri, "multicoil-mri": read_mri}
TIFF = (".tif", ".tiff")  # pictures, unless a sinogram is asked for
HDF5 = (".h5", ".hdf5", ".hdf", ".mrd")


def wanted_of(config: RunConfig) -> Wanted:
    """What of its files a configuration asks for."""
    return Wanted(
        config.dataset,
        config.slice,
        config.repetition,
        config.contrast,
        config.angles,
        config.axes,
    )


def _checked(path: Path, config: RunConfig) -> Wanted:
    """What is asked for; raises `ArgumentError` for a window or another option of pictures."""
    selection_of(config).check(("dataset",), repr(str(path)), "an array of measured values")
    return wanted_of(config)


def is_array(path: Path, config: RunConfig) -> bool:
    """Whether a file is read as an array, and not as a picture."""
    suffix = path.suffix.lower()
    outer = config.operators[0].name if config.operators else ""
    if suffix in TIFF:
        return outer == "ct"
    if suffix in HDF5:  # otherwise an image with a window
        return outer in READERS
    return suffix in SUFFIXES or (not path.exists() and path.with_name(path.name + ".cfl").exists())


def read_array_file(path: Path, config: RunConfig) -> Array:
    """The array of a file that is read as it is, whole.

    Raises:
        FileError: the file is damaged, or holds several arrays.
        ArgumentError: an option is for pictures.
    """
    wanted = _checked(path, config)
    with open_arrays(path) as held:
        if held.file is not None and is_raw(held.file):
            raise ArgumentError(
                f"{path.name} holds raw data of a scanner, which mri and multicoil-mri measure: "
                "--operator multicoil-mri"
            )
        return choose(held.arrays, wanted, path.name).part()


def take_scans(config: RunConfig, usual: int, asked: int | None) -> Taken | None:
    """Read files of scanners.

    Args:
        config: names the files (`measured`) and the operators.
        usual: the side of images where nothing is asked for and no file says it.
        asked: the side of images that is asked for.

    Returns:
        The measurements. None where the files are pictures, or arrays that are the operator's
        measurement as they stand.

    Raises:
        FileError: a file is damaged or contradicts itself.
        ArgumentError: what is asked for is not there, or files do not agree.
    """
    paths = [Path(path) for path in config.measured]
    outer = config.operators[0] if config.operators else Named("")
    if outer.name not in READERS or not all(is_array(path, config) for path in paths):
        return None
    own = _own_shape(config, asked or usual)
    scans = []
    for path in paths:
        wanted = _checked(path, config)
        with open_arrays(path) as held:
            if _stands(held, wanted, own):
                return None
            scans.append(READERS[outer.name](held, path, outer, wanted, asked))
    return _joined(scans, paths, config)


def _own_shape(config: RunConfig, size: int) -> Shape | None:
    """The measurement shape of the operator as the options have it, if they suffice."""
    try:
        return make_operator(config, (3, size, size)).measurement_shape
    except InvprobError:
        return None  # a file may say what the options lack


def _stands(held: Held, wanted: Wanted, own: Shape | None) -> bool:
    """Whether a file's only array is a measurement as the operator makes it, or a batch of them."""
    if own is None or len(held.arrays) != 1 or any(one is not None for one in wanted[1:]):
        return False
    (stored,) = held.arrays.values()
    shape = (*stored.shape, 2) if stored.dtype.kind == "c" else stored.shape
    return own in (shape, shape[1:])


def _joined(scans: Sequence[RawScan], paths: Sequence[Path], config: RunConfig) -> Taken:
    """The measurements of several files that one operator made."""
    first, notes = scans[0], list(scans[0].notes)
    for scan, path in zip(scans[1:], paths[1:], strict=True):
        alike = scan.size == first.size and scan.values.shape == first.values.shape
        if not alike or not _same(scan.settings, first.settings):
            raise ArgumentError(
                f"{path.name} and {paths[0].name} were not measured alike: lines, angles, coil "
                "maps or sizes differ; restore them one by one"
            )
        notes += scan.notes
    luminance = config.grey or any(one.name == "luminance" for one in config.operators)
    if first.channels == 1 and not luminance:
        notes.append("one channel was measured, so luminance makes one of the image's three")
    outer, *rest = config.operators
    whole = dataclasses.replace(
        config,
        operators=(Named(outer.name, {**outer.settings, **first.settings}), *rest),
        grey=config.grey or (first.channels == 1 and not luminance),
    )
    operator = make_operator(whole, (3, *first.size), images=len(scans))
    values = torch.stack([scan.values for scan in scans])
    kept, seen = without_missing(values, operator)
    if seen is not operator:
        notes.append(missing_note(values))
    record = {
        "names": list(distinct([path.stem for path in paths])),
        "imported": [path.name for path in paths],
        "fit": config.fit,
        **grading_record([False] * len(scans), luminance=whole.grey),
    }
    whites = [scan.white for scan in scans if scan.white is not None]
    limits = (0.0, max(whites)) if whites else None
    return Taken(kept, seen, record, tuple(notes), limits)


def _same(one: object, other: object) -> bool:
    """Whether settings are equal, arrays in them too."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    return bool(np.array_equal(np.asarray(one), np.asarray(other)))


def missing_note(values: torch.Tensor) -> str:
    """How many numbers are missing, and where.

    Args:
        values: (batch, *measurement_shape), NaN where something is missing.
    """
    missing = ~values[0].isfinite()
    count, places = int(missing.sum()), missing.nonzero()
    ends = zip(places.amin(0).tolist(), places.amax(0).tolist(), missing.shape, strict=True)
    where = ", ".join(_extent(low, high, length) for low, high, length in ends)
    return (
        f"{count} of {missing.numel()} numbers are missing ({count / missing.numel():.2%}), within "
        f"({where}) of {tuple(missing.shape)}: an element-mask leaves them out"
    )


def _extent(low: int, high: int, length: int) -> str:
    """From where to where along an axis."""
    if high - low + 1 == length:
        return "all"
    return str(low) if low == high else f"{low} to {high}"
