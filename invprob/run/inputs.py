"""Which pictures a run starts from, and the tensors they become."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from invprob.errors import FileError
from invprob.files import file_error
from invprob.run.images import read_image
from invprob.run.samples import sample_path
from invprob.types import Images

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp")


@dataclass(frozen=True)
class Inputs:
    """Pictures fitted to one size, (batch, 3, size, size), their names, and which are grey."""

    names: tuple[str, ...]
    images: Images
    grey: tuple[bool, ...]


def expand(paths: Sequence[str]) -> tuple[str, ...]:
    """Replace folders by the pictures in them, in alphabetical order, and make paths absolute.

    Raises `FileError` for a folder without pictures.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if not path.is_dir():
            found.append(path)
            continue
        try:
            inside = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
        except OSError as error:
            raise file_error(path, error, "read") from None
        if not inside:
            raise FileError(f"the folder {str(path)!r} holds no image ({', '.join(SUFFIXES)})")
        found += inside
    return tuple(str(path.resolve()) for path in found)


def load_inputs(images: Sequence[str], samples: Sequence[str], size: int, fit: str) -> Inputs:
    """Read files and samples and fit them to `size`; raises `FileError`, `UnknownNameError`."""
    paths = [*map(sample_path, samples), *map(Path, images)]
    loaded = [read_image(path, size=size, fit=fit) for path in paths]
    return Inputs(
        names=distinct([*samples, *(Path(path).stem for path in images)]),
        images=torch.cat([one.tensor for one in loaded]),
        grey=tuple(one.grey for one in loaded),
    )


def distinct(names: Sequence[str]) -> tuple[str, ...]:
    """Turn names into names of folders, all different: letters, digits and `._-`."""
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
