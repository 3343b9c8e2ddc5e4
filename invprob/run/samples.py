"""Pictures that ship with the package, to try things without a file at hand.

Their sources and licences are in `samples/LICENSES.md`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from invprob.calls import checked
from invprob.errors import UnknownNameError
from invprob.registry import suggest
from invprob.run.images import load_image
from invprob.types import Images

DEFAULT = "face"


@dataclass(frozen=True)
class Sample:
    """A picture of the package: what it shows, under which licence, and where it lies."""

    name: str
    purpose: str
    licence: str
    path: Path


_ABOUT = {
    "face": (
        "a synthetic face that the embedded generator never saw",
        "CC0 1.0, rendered from MakeHuman assets",
    ),
    "astronaut": (
        "a real face, framed like the synthetic ones: a small step outside the training domain",
        "public domain, NASA",
    ),
    "retina": (
        "a retina photograph: far outside the training domain, fine vessels",
        "CC0 1.0, Mikael Häggström",
    ),
    "cat": (
        "a cat's face: outside the training domain, fur and sharp edges",
        "CC0 1.0, Stéfan van der Walt",
    ),
}


@checked
def samples() -> Mapping[str, Sample]:
    """The pictures by name, the default first."""
    folder = Path(str(files("invprob") / "samples"))
    return {
        name: Sample(name, purpose, licence, folder / f"{name}.png")
        for name, (purpose, licence) in _ABOUT.items()
    }


@checked
def sample_path(name: str) -> Path:
    """Where a picture of the package lies.

    Raises:
        UnknownNameError: there is none of that name.
    """
    known = samples()
    if name not in known:
        raise UnknownNameError(
            f"no sample is named {name!r}.{suggest(name, known)} Known: {', '.join(known)}."
        )
    return known[name].path


@checked
def load_sample(name: str = DEFAULT, *, size: int | None = None, fit: str = "crop") -> Images:
    """Read a picture of the package, as `load_image` reads a file.

    Args:
        name: what the picture is called, see `samples`.
        size: the side of the square to bring it to, in pixels. None: the size stays.
        fit: how it becomes square, as in `load_image`.

    Returns:
        The image, (1, 3, height, width), float32 in [-1, 1].

    Raises:
        UnknownNameError: there is none of that name.
        ArgumentError: the size is below 1, or the fit is not known.
    """
    return load_image(sample_path(name), size=size, fit=fit)
