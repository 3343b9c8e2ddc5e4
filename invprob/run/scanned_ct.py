"""Sinograms of scanners: the angles and the detector of `ct` from the file."""

import math
from pathlib import Path
from typing import Any

import torch

from invprob.errors import ArgumentError
from invprob.formats.angles import NAMES, angles_of
from invprob.formats.opened import Held
from invprob.formats.sinogram import read_sinogram
from invprob.formats.wanted import Wanted, choose
from invprob.operators.lists import read_numbers
from invprob.run.config import Named
from invprob.run.taken import RawScan, check_size


def read_ct(held: Held, path: Path, named: Named, wanted: Wanted, size: int | None) -> RawScan:
    """Read the sinogram of one slice.

    Args:
        held: the open file.
        path: its name.
        named: `ct` with the options that the user gave.
        wanted: what of the file is asked for.
        size: the side of the images that is asked for; None: as wide as the detector.

    Raises:
        FileError: the file is damaged, or no sinogram of so many views.
        ArgumentError: what is asked for is not there, or the angles do not fit.
    """
    sinograms = {
        name: stored
        for name, stored in held.arrays.items()
        if name.rpartition("/")[2].lower() not in NAMES
    }
    stored = choose(sinograms, wanted, path.name)
    given = _given(named)
    if given is not None and wanted.angles is not None:
        raise ArgumentError("--angles was given beside --views or --degrees; leave one out")
    degrees, source = (None, "") if given is not None else angles_of(wanted.angles, held.arrays)
    views = given if degrees is None else len(degrees)
    found = read_sinogram(stored, views, wanted)
    cells = found.values.shape[2]
    asked = named.settings.get("detectors")
    if asked is not None and asked != cells:
        raise ArgumentError(
            f"{path.name} has {cells} detector pixels, and --detectors {asked} asks for others; "
            "leave it out"
        )
    if degrees is not None and found.values.shape[1] != len(degrees):
        raise ArgumentError(
            f"{path.name} has {found.values.shape[1]} views, but there are {len(degrees)} angles"
        )
    side = cells if size is None else size
    notes = []
    settings: dict[str, Any] = {} if degrees is None else {"degrees": degrees.tolist()}
    axis = float(named.settings.get("axis") or 0.0)
    if cells > math.ceil(math.sqrt(2) * side):
        count = math.ceil(cells / side)
        found, moved = found.binned(count)
        cells = found.values.shape[2]
        settings["axis"] = (axis + moved) / count
        notes.append(
            f"{count} detector pixels are averaged to one, so that {side} pixels of the image are "
            "as wide as the detector; the image is in units of the new pixels"
        )
    settings["detectors"] = cells
    words = ", ".join([*found.words, *([source] if source else [])])
    notes.insert(0, f"{path.name}: {words}")
    if size is None:
        notes.append(f"images are {side} x {side} pixels, as wide as the detector (--size N)")
    height, width = check_size(path.name, side, side)
    values = torch.from_numpy(found.values)
    return RawScan(values, (height, width), len(values), settings, tuple(notes))


def _given(named: Named) -> int | None:
    """How many views the options of `ct` speak of."""
    degrees, views = named.settings.get("degrees"), named.settings.get("views")
    if degrees is not None:
        return len(read_numbers("degrees", degrees))
    return None if views is None else int(views)
