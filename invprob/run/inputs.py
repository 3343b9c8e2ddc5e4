"""The pictures of a run: which files they are, the tensors they become, and their measurements."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from invprob.errors import FileError
from invprob.files import file_error
from invprob.formats.opened import SUFFIXES as ARRAYS
from invprob.formats.scan import Selection
from invprob.formats.table import DICOM, format_of
from invprob.formats.table import SUFFIXES as SCANS
from invprob.measurements import Measurements, measure
from invprob.run.align import Aligner, aligned, aligner_of
from invprob.run.build import build_noise, make_operator, make_transform
from invprob.run.config import SETTINGS, RunConfig
from invprob.run.fitted import brief, fit_masks, simulation_notes
from invprob.run.images import read_image
from invprob.run.samples import sample_path
from invprob.run.scans import (
    WindowedScan,
    check_scans,
    selection_of,
    window_notes,
    window_records,
)
from invprob.run.score import grading_record
from invprob.types import Images

PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp")
SUFFIXES = (*PICTURES, *SCANS)


@dataclass(frozen=True)
class Inputs:
    """The pictures of a run.

    Args:
        names: what each is called.
        images: the pictures, fitted to one size, (batch, 3, size, size).
        grey: which of them are grey.
        sizes: the size of each in its file, (width, height), upright.
        notes: what is odd about their values, a line each.
        scans: the physical values of each and their window; None for a picture.
    """

    names: tuple[str, ...]
    images: Images
    grey: tuple[bool, ...]
    sizes: tuple[tuple[int, int], ...]
    notes: tuple[str, ...]
    scans: tuple[WindowedScan | None, ...]


def expand(paths: Sequence[str], suffixes: Sequence[str] = SUFFIXES) -> tuple[str, ...]:
    """Replace folders by the files in them, in alphabetical order, and make paths absolute.

    Args:
        paths: files and folders.
        suffixes: the endings of those files in folders that are taken.

    Raises:
        FileError: a folder holds no picture, or cannot be read.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if not path.is_dir():
            found.append(path)
            continue
        try:
            inside = sorted(file for file in path.iterdir() if _is_image(file, suffixes))
        except OSError as error:
            raise file_error(path, error, "read") from None
        if not inside:
            raise FileError(f"the folder {str(path)!r} holds no image ({', '.join(suffixes)})")
        found += inside
    return tuple(str(path.resolve()) for path in found)


def _is_image(file: Path, suffixes: Sequence[str]) -> bool:
    """Whether a file of a folder is meant, by its name; those of scanners often have no ending."""
    name = file.name.lower()
    return name.endswith(tuple(suffixes)) or (
        not name.startswith(".") and file.is_file() and format_of(file) is DICOM
    )


def load_inputs(
    images: Sequence[str],
    samples: Sequence[str],
    size: int,
    fit: str,
    white: float | None = None,
    *,
    selection: Selection | None = None,
    keep_patient: bool = False,
    aligner: Aligner | None = None,
) -> Inputs:
    """Read samples and files, in that order, and fit them to a size.

    Args:
        images: image files.
        samples: names of pictures that ship with the package.
        size: the side of the square they are brought to, in pixels.
        fit: how they become square, as in `load_image`.
        white: the number in the files that is white, as in `load_image`.
        selection: which part of the files is read. None: what they suggest.
        keep_patient: whether the paths may name a patient.
        aligner: finds how a picture is brought to the square, in place of `fit`. None: by `fit`.

    Raises:
        FileError: a file is missing, or no picture.
        ArgumentError: the selection is not for a file, its path names its patient, or a picture
            cannot be aligned.
        UnknownNameError: there is no sample of a name.
    """
    paths = [Path(path) for path in images]
    if aligner is None:
        own = [
            read_image(path, size=size, fit=fit, white=white, selection=selection) for path in paths
        ]
    else:
        whole = [read_image(path, white=white, selection=selection) for path in paths]
        own = [
            aligned(path.name, one, aligner, size) for path, one in zip(paths, whole, strict=True)
        ]
    scans = [one.scan for one in own]
    check_scans(paths, scans, keep=keep_patient)
    loaded = [read_image(sample_path(name), size=size, fit=fit) for name in samples] + own
    odd = [note for one in own for note in one.notes]
    return Inputs(
        names=distinct([*samples, *map(stem_of, paths)]),
        images=torch.cat([one.tensor for one in loaded]),
        grey=tuple(one.grey for one in loaded),
        sizes=tuple(one.size for one in loaded),
        notes=(*window_notes(scans), *brief(odd)),
        scans=(*[None] * len(samples), *scans),
    )


def stem_of(path: Path) -> str:
    """The name of a file without its endings."""
    return path.name[:-7] if path.name.lower().endswith(".nii.gz") else path.stem


def distinct(names: Sequence[str]) -> tuple[str, ...]:
    """Turn names into names of folders that differ, of letters, digits and `._-` alone."""
    chosen: list[str] = []
    for name in names:
        plain = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in name)
        plain = plain.strip(".-")[:80] or "image"
        number, candidate = 1, plain
        while candidate.lower() in (other.lower() for other in chosen):  # Face and face
            number += 1
            candidate = f"{plain}-{number}"
        chosen.append(candidate)
    return tuple(chosen)


def measure_inputs(config: RunConfig, size: int) -> tuple[Measurements, Inputs]:
    """Read the pictures of a configuration and measure them.

    Args:
        config: what to measure, and how.
        size: the side of the square that pictures are brought to, in pixels.

    Returns:
        The measurements, and the pictures they are of.

    Raises:
        InvprobError: something that the configuration names does not exist or does not fit.
    """
    inputs = load_truth(config, size)
    shape = tuple(inputs.images.shape[1:])
    chain, notes = fit_masks(config.operators, inputs.sizes, size, config.fit)
    fitted = dataclasses.replace(config, operators=chain)
    operator = make_operator(fitted, shape, images=len(inputs.images))
    noise = build_noise(config.noise)
    record = {
        "names": list(inputs.names),
        "fit": config.fit,
        **grading_record(inputs.grey, luminance=config.grey),
        **window_records(list(enumerate(inputs.scans, -len(config.samples)))),
    }
    paths = [Path(path) for path in config.images]
    said = simulation_notes(paths, inputs.sizes[len(config.samples) :], size, config.fit)
    inputs = dataclasses.replace(inputs, notes=(*said, *inputs.notes, *notes))
    return measure(inputs.images, operator, noise, seed=config.seed, record=record), inputs


def read_inputs(config: RunConfig, size: int) -> Inputs:
    """Read the pictures of a configuration, and fit them to a size; raises as `load_inputs`."""
    return load_inputs(
        config.images,
        config.samples,
        size,
        config.fit,
        config.white,
        selection=selection_of(config),
        keep_patient=config.keep_patient,
        aligner=aligner_of(config),
    )


def load_truth(config: RunConfig, size: int) -> Inputs:
    """Read the pictures of a configuration, fit them to a size, and transform them as it says.

    Raises:
        FileError: a file is missing, or no picture.
        UnknownNameError: a name is not registered.
        ShapeError: the transforms change the shape of an image.
    """
    inputs = read_inputs(config, size)
    if not config.transforms:
        return inputs
    transform = make_transform(config, tuple(inputs.images.shape[1:]))
    images = transform(inputs.images).clamp(-1, 1)
    alike = (images == images[:, :1]).all(1).all(-1).all(-1).tolist()
    grey = tuple(was and now for was, now in zip(inputs.grey, alike, strict=True))
    return dataclasses.replace(inputs, images=images, grey=grey)


def with_absolute_paths(config: RunConfig) -> RunConfig:
    """The settings with paths that do not depend on the folder the program was started in.

    Folders of pictures are replaced by the pictures in them.

    Raises:
        FileError: a folder holds no picture, or cannot be read.
    """
    named = {one.name: getattr(config, one.name) for one in SETTINGS.values() if one.about.file}
    paths: dict[str, Any] = {
        name: _absolute(value) for name, value in named.items() if value is not None
    }
    files = {
        "images": expand(config.images),
        "measured": expand(config.measured, (*SUFFIXES, *ARRAYS)),
    }
    return dataclasses.replace(config, **{**paths, **files})


def _absolute(name: str | tuple[str, ...]) -> str | tuple[str, ...]:
    """The absolute path of a file, or of several; a name that is no file stays as it is."""
    if isinstance(name, tuple):
        return tuple(str(_absolute(one)) for one in name)
    return str(Path(name).resolve()) if Path(name).is_file() else name
