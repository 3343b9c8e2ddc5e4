"""Pictures and arrays that are measurements themselves: nothing is simulated, no truth is known.

A picture of a scene that is cropped or made smaller is a picture of a part of it, or of fewer
pixels. So it may be brought to the size that the operator measures, where the operator looks at
each place alike and in its own pixels. It is never enlarged or filled up, because what that adds
was not measured.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from invprob.errors import ArgumentError, FileError, MeasurementError
from invprob.measurements import Measurements
from invprob.operators.base import Operator
from invprob.operators.composition import compose
from invprob.operators.masks import Mask
from invprob.operators.missing import without_missing
from invprob.real_numbers import real_numbers
from invprob.run.build import build_noise, make_operator
from invprob.run.config import Named, RunConfig
from invprob.run.fitted import brief, fit_masks, fit_notes, fit_seen, share_hidden, wholly
from invprob.run.images import LoadedImage, fit_image, read_image
from invprob.run.inputs import distinct, stem_of
from invprob.run.raw_scans import HDF5, is_array, missing_note, read_array_file, take_scans
from invprob.run.scans import (
    WindowedScan,
    check_scans,
    selection_of,
    window_notes,
    window_records,
)
from invprob.run.score import OF_IMAGES, grading_record
from invprob.run.taken import Taken
from invprob.run.together import read_units
from invprob.types import Measured, Shape

# Operators by which a part of a picture is the measurement of a part of the scene.
LOCAL = frozenset(
    {
        "area-downsample",
        "bicubic-downsample",
        "blur",
        "brightness",
        "channel-mix",
        "clip",
        "gamma",
        "gaussian-blur",
        "identity",
        "luminance",
        "mask",
        "motion-blur",
        "quantise",
        "saturate",
    }
)
# Of these, what resizing would spoil: rounded values are mixed, a kernel has its own pixels.
RIGID = frozenset({"blur", "quantise"})
IN_PIXELS = frozenset({"gaussian-blur", "motion-blur"})  # whose options are lengths in pixels
SHRINKING = frozenset({"area-downsample", "bicubic-downsample"})


class _File(NamedTuple):
    """A file, and what it holds: an array as it is, or a picture."""

    path: Path
    held: NDArray[Any] | LoadedImage


def load_measured(
    config: RunConfig, usual: int, asked: int | None = None
) -> tuple[Measurements, tuple[str, ...]]:
    """Take in the files that are measurements themselves, and the operator that made them.

    Args:
        config: names the files (`measured`), the operators and the noise.
        usual: the side of the images that were measured, in pixels, unless a file says it.
        asked: the same, whatever a file says. None: a scanner's file may say it.

    Returns:
        The measurements, and how pictures were fitted and what is odd about them, a line each.

    Raises:
        ArgumentError: a picture cannot be a measurement of the operator, or has a size that cannot
            be brought to that of the measurement.
        MeasurementError: an array has another shape than the measurement.
        FileError: a file is missing, or neither a picture nor an array.
    """
    taken = take_scans(config, usual, asked) or _take(config, asked or usual)
    units, notes = read_units(config), taken.notes
    given = (config.image_range, config.gain, config.offset)
    if taken.limits is not None and all(one is None for one in given):
        units = units._replace(image_range=taken.limits)
        notes = (
            *notes,
            "white is a little more than the zero-filled image reaches (--image-range)",
        )
    measurements = Measurements.from_array(
        taken.values,
        taken.operator,
        noise=build_noise(config.noise),
        seed=config.seed,
        record=taken.record,
        weights=config.data_weights,
        covariance=config.noise_covariance,
        **units._asdict(),
    )
    return measurements, notes


def _take(config: RunConfig, size: int) -> Taken:
    """Pictures, and arrays that are the operator's measurement as they stand."""
    plain = _without_masks(config)
    bare = make_operator(plain, (3, size, size))
    shape = bare.measurement_shape
    files = [_read(Path(path), config, shape) for path in config.measured]
    scans = [_scan_of(file) for file in files]
    check_scans([file.path for file in files], scans, keep=config.keep_patient)
    pictures = [(file.path, file.held) for file in files if isinstance(file.held, LoadedImage)]
    notes: list[str] = []
    if pictures and config.image_range is not None:
        raise ArgumentError(
            f"--image-range is for arrays of numbers, and {pictures[0][0].name} is a picture, "
            "which says by itself what black and white are; leave it out, or name another --white"
        )
    if pictures:
        _check_kind(pictures[0][0], bare)
        for path, picture in pictures:
            _check_fit(path, picture, bare, config)
        notes += _notes(pictures, bare, config)
    sizes = [picture.size for _, picture in pictures]
    chain, fitted = fit_masks(config.operators, sizes, size, config.fit, to=shape[-1], rule=wholly)
    seen = _opaque(pictures, shape, config, others=len(pictures) < len(files))
    rows = [
        _values(held, shape, config.fit)
        if isinstance(held, LoadedImage)
        else _rows(path, held, shape)
        for path, held in files
    ]
    measured = torch.cat([row.double() for row in rows])
    whole = dataclasses.replace(config, operators=chain)
    again = whole != plain or config.per_image
    operator = make_operator(whole, (3, size, size), images=len(measured)) if again else bare
    if seen is not None:
        operator = compose([Mask(shape, seen.double()), operator])
        notes.append(f"what is transparent counts as not seen: {share_hidden(seen)} of the pixels")
    counts = [len(row) for row in rows]
    record = _record(files, counts, shape, config)
    numbered = zip(enumerate(scans), counts, strict=True)
    record |= window_records([one for one, count in numbered for _ in range(count)])
    values, behind = without_missing(measured, operator)
    if behind is not operator:
        notes.append(missing_note(measured))
    odd = [note for _, picture in pictures for note in picture.notes]
    return Taken(values, behind, record, (*window_notes(scans), *notes, *brief(odd), *fitted))


def _scan_of(file: _File) -> WindowedScan | None:
    return file.held.scan if isinstance(file.held, LoadedImage) else None


def _read(path: Path, config: RunConfig, shape: Shape) -> _File:
    if path.suffix.lower() == ".safetensors":
        raise FileError(
            f"{str(path)!r} is no picture and no array; a file that `invprob measure` wrote is "
            "named with --measurements"
        )
    selection = selection_of(config)
    of_pictures = len(shape) == 3 and shape[0] in (1, 3)
    if is_array(path, config) or (path.suffix.lower() in HDF5 and not of_pictures):
        return _File(path, read_array_file(path, config))
    return _File(path, read_image(path, white=config.white, selection=selection))


def _rows(path: Path, held: NDArray[Any], shape: Shape) -> Measured:
    """An array with a batch axis, of complex numbers their parts; its values are never fitted."""
    if held.dtype.kind == "c" and shape[-1] == 2:
        held = np.stack([np.real(held), np.imag(held)], -1)
    try:
        found = real_numbers(held)
    except MeasurementError as error:
        raise MeasurementError(f"{path.name}: {error}") from error
    if tuple(found.shape) == shape:
        return found[None]
    if tuple(found.shape[1:]) != shape or found.ndim == 0 or len(found) == 0:
        raise MeasurementError(
            f"{path.name} is an array of shape {held.shape}, but the operator makes measurements "
            f"of shape {shape}, or (batch, {str(shape)[1:]} for several images; transpose or cut it"
        )
    return found


def _without_masks(config: RunConfig) -> RunConfig:
    """The same measurement shape without masks, which may still have the size of a file."""
    chain = [Named("identity") if one.name == "mask" else one for one in config.operators]
    return dataclasses.replace(config, operators=tuple(chain), per_image=False)


def _check_kind(path: Path, operator: Operator) -> None:
    """See that black and white of a picture can be those of a measurement."""
    shape = operator.measurement_shape
    picture = len(shape) == 3 and shape[0] in (1, 3)
    if picture:
        with torch.no_grad():
            white = torch.ones(1, *operator.image_shape, dtype=torch.float32, device="cpu")
            largest = max(float(operator(one).abs().max()) for one in (white, -white))
        picture = OF_IMAGES[0] <= largest <= OF_IMAGES[1]
    if not picture:
        raise ArgumentError(
            f"{path.name} is a picture, with values from black to white, and "
            f"{'-'.join(operator.names())} measures other numbers; give an array (.npy) of "
            f"shape {shape} with the values themselves"
        )


def _check_fit(path: Path, picture: LoadedImage, operator: Operator, config: RunConfig) -> None:
    """See that a picture has the channels of a measurement, and may be brought to its size."""
    channels, *room = operator.measurement_shape
    width, height = picture.size
    name = f"{path.name} is {width} x {height} pixels"
    if channels == 1 and not picture.grey:
        raise ArgumentError(
            f"{path.name} is in colour, but the operator measures one channel: save it as grey, or "
            "leave luminance (--grey) out"
        )
    if [height, width] == room:
        return
    what = _called(config, operator)
    measures = f"{what} of {operator.image_shape[2]} x {operator.image_shape[1]} measures "
    measures += f"{room[1]} x {room[0]}"
    names = set(operator.names())
    if not names <= LOCAL or room[0] != room[1]:
        raise ArgumentError(
            f"{name}; {measures}, and no other size: its pixels would not be where the operator "
            "expects them after cropping or resizing"
        )
    side = room[0]
    short = min(width, height)
    if short < side:
        raise ArgumentError(
            f"{name}; {measures}, and a measurement is not enlarged"
            + (_factor(config, operator, short) or "; name the operator that made it small")
        )
    if config.fit == "pad" and width != height:
        raise ArgumentError(
            f"{name}; {measures}, and --fit pad would fill it up with what was not measured: crop "
            "it to a square, or let --fit crop or stretch do it"
        )
    noise = None if config.noise is None else config.noise.name
    spoilt = sorted(names & RIGID) + ([] if noise in (None, "gaussian") else [f"{noise} noise"])
    if spoilt and _resized(picture, side, config.fit):
        raise ArgumentError(
            f"{name}; {measures}, and resizing would spoil what {spoilt[0]} made: crop it to "
            f"{side} x {side}"
        )


def _resized(picture: LoadedImage, side: int, fit: str) -> bool:
    """Whether a picture is not only cropped."""
    return picture.size != (side, side) and (fit != "crop" or min(picture.size) != side)


def _called(config: RunConfig, operator: Operator) -> str:
    names = [one.name for one in config.operators] or list(operator.names())
    return " of ".join(names)


def _factor(config: RunConfig, operator: Operator, side: int) -> str:
    """How a picture of a side could be measured, where one operator makes images smaller."""
    shrinking = [one for one in config.operators if one.name in SHRINKING]
    if len(shrinking) != 1 or side > operator.image_shape[-1]:
        return ""
    return f"; --factor {operator.image_shape[-1] / side:.4g} measures {side} x {side}"


def _notes(
    pictures: Sequence[tuple[Path, LoadedImage]], operator: Operator, config: RunConfig
) -> list[str]:
    """How pictures were fitted, and what follows from that."""
    _, height, width = operator.measurement_shape
    changed = [
        (path, picture.size) for path, picture in pictures if picture.size != (width, height)
    ]
    said = fit_notes([path for path, _ in changed], [one for _, one in changed], width, config.fit)
    resized = [one for _, one in pictures if _resized(one, width, config.fit)]
    if not resized or (height, width) == resized[0].size[::-1]:
        return said
    lengths = [name for name in operator.names() if name in IN_PIXELS]
    noise = [] if config.noise is None else [f"{config.noise.name} noise"]
    if lengths or noise:
        said.append(f"the options of {' and '.join(lengths + noise)} are those after resizing")
    if hint := _factor(config, operator, min(resized[0].size)):
        said.append(f"pixels are lost by resizing{hint}")
    return said


def _values(picture: LoadedImage, shape: Shape, fit: str) -> Measured:
    """A picture as a measurement, (1, *shape); a colour operator sees grey in all channels."""
    channels, height, width = shape
    values = picture.tensor[:, :channels]
    if tuple(values.shape[2:]) != (height, width):
        values = fit_image(values, width, fit)
    return values


def _opaque(
    pictures: Sequence[tuple[Path, LoadedImage]], shape: Shape, config: RunConfig, *, others: bool
) -> torch.Tensor | None:
    """Where pictures are opaque, bool (height, width), after fitting; None if they are wholly."""
    planes = []
    for _, picture in pictures:
        whole = picture.alpha is None or int(picture.alpha.min()) == 255
        seen = None if picture.alpha is None or whole else torch.from_numpy(picture.alpha == 255)
        if seen is not None and tuple(seen.shape) != shape[1:]:
            seen = fit_seen(seen, shape[-1], config.fit, wholly)
        planes.append(seen)
    clear = [at for at, seen in enumerate(planes) if seen is not None]
    if not clear:
        return None
    first = planes[clear[0]]
    assert first is not None
    if others or any(seen is None or not torch.equal(seen, first) for seen in planes):
        raise ArgumentError(
            f"{pictures[clear[0]][0].name} is transparent where others are not; restore them one "
            "by one"
        )
    return first


def _record(
    files: Sequence[_File], counts: Sequence[int], shape: Shape, config: RunConfig
) -> dict[str, Any]:
    """What is kept with the measurements: names, how pictures were fitted, which are grey."""
    names, grey = [], []
    for file, count in zip(files, counts, strict=True):
        picture = file.held if isinstance(file.held, LoadedImage) else None
        names += [stem_of(file.path)] * count
        grey += [picture is not None and picture.grey and shape[0] == 3] * count
    return {
        "names": list(distinct(names)),
        "imported": [file.path.name for file in files],
        "fit": config.fit,
        **grading_record(grey, luminance=config.grey),
    }
