"""K-space of scanners: lines, size and coil maps of `mri` and `multicoil-mri` from the file."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from invprob.arrays import Contents, read_array
from invprob.errors import ArgumentError
from invprob.formats import kspace_arrays
from invprob.formats.fastmri import is_fastmri, read_fastmri
from invprob.formats.ismrmrd_raw import is_raw, read_raw
from invprob.formats.kspace import CALIBRATION, KSpace
from invprob.formats.opened import Held, kind_of, open_arrays
from invprob.formats.wanted import Wanted, choose
from invprob.operators.kspace import ACCELERATION, CENTRE_FRACTION, read_lines
from invprob.run.coil_maps import asks_for_espirit, espirit_maps
from invprob.run.config import Named
from invprob.run.taken import RawScan, check_size

_MARGIN = 1.2  # white, as a multiple of the largest value of a zero-filled image
_PHASE = 0.2  # share of an image's norm in its imaginary part, of which a word is said


def read_mri(held: Held, path: Path, named: Named, wanted: Wanted, size: int | None) -> RawScan:
    """Read one slice.

    Args:
        held: the open file.
        path: its name.
        named: `mri` or `multicoil-mri` with the options that the user gave.
        wanted: what of the file is asked for.
        size: the side of the images that is asked for; None: the file's own.

    Raises:
        FileError: the file is damaged or contradicts itself.
        ArgumentError: what is asked for is not there, or an option does not fit the file.
    """
    drawn = (named.settings.get("acceleration"), named.settings.get("centre_fraction"))
    if drawn not in ((None, None), (ACCELERATION, CENTRE_FRACTION)):
        raise ArgumentError(
            f"{path.name} says which lines were measured: leave --acceleration and "
            "--centre-fraction out, or keep some of the lines, --lines"
        )
    found = _read(held, path, named, wanted)
    coils = len(found.values)
    if named.name == "mri" and coils > 1:
        raise ArgumentError(
            f"{path.name} has {coils} coils, and mri reads one: --operator multicoil-mri"
        )
    check_size(path.name, found.height, found.width)
    notes = [f"{path.name}: {', '.join(found.words)}"]
    espirit = named.name != "mri" and asks_for_espirit(named)
    maps = None if named.name == "mri" or espirit else _given_maps(named, found)
    full = (found.height, found.width)
    if size is not None and full != (size, size):
        found, maps = _resized(found, maps, size, path.name)
        notes.append(_smaller(full, found))
    settings: dict[str, Any] = {"lines": found.lines.tolist()}
    white = None
    if named.name == "mri":
        notes += _phase_note(found)
    elif maps is None:
        maps = espirit_maps(found) if espirit else found.maps()
        notes.append(
            f"coil maps are estimated {'by ESPIRiT ' if espirit else ''}from the "
            f"{found.calibration()} middle lines, with the phase of the image in them "
            "(--sensitivities FILE gives others)"
        )
        white = _MARGIN * _brightest(found, maps)  # with these maps the image is not negative
    if maps is not None:
        settings["sensitivities"] = maps
    if white is None:
        notes.append(
            f"the zero-filled image reaches {_brightest(found, maps):.3g}: where the image is not "
            "in [-1, 1], say what is black and what is white, --image-range"
        )
    size_of = (found.height, found.width)
    return RawScan(_values(found, named.name), size_of, 1, settings, tuple(notes), white)


def _read(held: Held, path: Path, named: Named, wanted: Wanted) -> KSpace:
    given = named.settings.get("lines")
    if held.file is not None and (is_raw(held.file) or is_fastmri(held.file)):
        read = read_raw if is_raw(held.file) else read_fastmri
        found = read(held.file, path, wanted)
        return found if given is None else found.only(read_lines(found.width, given).numpy())
    stored = choose(held.arrays, wanted, path.name)
    usual = {
        ("bart", "mri"): kspace_arrays.BART,
        ("bart", "multicoil-mri"): kspace_arrays.BART,
        ("matlab", "mri"): kspace_arrays.SINGLE_MATLAB,
        ("matlab", "multicoil-mri"): kspace_arrays.COILS_MATLAB,
    }.get(
        (held.kind, named.name),
        kspace_arrays.SINGLE if named.name == "mri" else kspace_arrays.COILS,
    )
    lines = None if given is None else (lambda columns: _lines(given, columns))
    return kspace_arrays.read_kspace(stored, wanted, usual, lines)


def _lines(given: Contents, columns: int) -> tuple[NDArray[np.int64], int]:
    """The columns that a user names, and how many there are in all."""
    mask = (
        None if isinstance(given, str) and not Path(given).is_file() else read_array("lines", given)
    )
    width = columns
    if mask is not None and mask.size > columns and np.isin(mask, (0, 1)).all():
        width = mask.size  # the array holds the measured columns alone
    return read_lines(width, given).numpy(), width


def _given_maps(named: Named, found: KSpace) -> NDArray[Any] | None:
    """The coil maps that a user gives, complex (coils, rows, columns)."""
    given = named.settings.get("sensitivities")
    if given is None:
        return None
    path = Path(given) if isinstance(given, str) else None
    if path is not None and not given.startswith("array:") and kind_of(path) != "npy":
        with open_arrays(path) as held:
            usual = {"bart": kspace_arrays.BART, "matlab": kspace_arrays.COILS_MATLAB}
            stored = choose(held.arrays, Wanted(), path.name)
            maps = kspace_arrays.read_planes(
                stored, Wanted(), usual.get(held.kind, kspace_arrays.COILS)
            )
    else:
        maps = read_array("sensitivities", given)
        if maps.dtype.kind != "c" and maps.shape[-1:] == (2,):
            maps = maps[..., 0] + 1j * maps[..., 1]
    shape = (len(found.values), found.height, found.width)
    if maps.shape != shape:
        raise ArgumentError(
            f"sensitivities have the shape {maps.shape}, but the file has {shape} coils, rows and "
            "columns; estimate them of the same slice"
        )
    return maps.astype(np.complex64)


def _resized(
    found: KSpace, maps: NDArray[Any] | None, size: int, name: str
) -> tuple[KSpace, NDArray[Any] | None]:
    """The middle of k-space, for images of fewer pixels."""
    height, width = found.height, found.width
    if size > min(height, width):
        fits = min(height, width)
        raise ArgumentError(
            f"{name} has images of {height} x {width} pixels, and --size {size} asks for more: "
            f"leave it out, or give --size {fits} or less"
        )
    if maps is not None:
        whole = KSpace(np.asarray(maps, np.complex64), np.arange(width), width)
        maps = whole.transformed().middle(size).zero_filled()
    return found.middle(size), maps


def _smaller(full: tuple[int, int], found: KSpace) -> str:
    """What became of the pixels."""
    note = (
        f"the middle {found.height} x {found.width} of {full[0]} x {full[1]} in k-space are kept: "
        "an image of fewer and larger pixels"
    )
    if found.pixel is None:
        return note
    return f"{note}, {found.pixel[0]:.3g} x {found.pixel[1]:.3g} mm"


def _phase_note(found: KSpace) -> list[str]:
    """A word where an image that should be real has an imaginary part."""
    image = found.zero_filled()
    norm = float(np.linalg.norm(image))
    share = float(np.linalg.norm(image.imag)) / norm if norm else 0.0
    if share < _PHASE:
        return []
    what = (
        f"the image has a phase ({share:.0%} of its norm is imaginary), and mri restores real ones"
    )
    if found.calibration() < CALIBRATION:
        return [f"{what}; --operator multicoil-mri --sensitivities FILE takes the phase as a map"]
    return [f"{what}; --operator multicoil-mri takes the phase into the map of one coil"]


def _brightest(found: KSpace, maps: NDArray[Any] | None) -> float:
    """How bright the zero-filled image is."""
    images = found.zero_filled()
    image = images[0].real if maps is None else (maps.conj() * images).sum(0).real
    return float(np.abs(image).max())


def _values(found: KSpace, name: str) -> torch.Tensor:
    """The measurement of the operator, NaN where a sample is missing."""
    values = np.stack([found.values.real, found.values.imag], -1).astype(np.float64)
    if found.seen is not None:
        values[:, ~found.seen] = np.nan
    pairs = torch.from_numpy(values)  # (coils, rows, lines, 2)
    return pairs if name == "mri" else pairs[:, None]
