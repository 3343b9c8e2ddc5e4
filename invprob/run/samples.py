"""Pictures that ship with the package, to try things on without a file at hand.

Sources and licences in full: `samples/LICENSES.md`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from invprob.errors import UnknownNameError
from invprob.registry import suggest
from invprob.run.images import load_image
from invprob.types import Images

DEFAULT = "face"


@dataclass(frozen=True)
class Sample:
    """A picture of the package: what it is good for, under which licence, and where it lies."""

    name: str
    purpose: str
    licence: str
    path: Path


_TOLD = {
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


def samples() -> Mapping[str, Sample]:
    """List the pictures by name, the default first."""
    folder = Path(str(files("invprob") / "samples"))
    return {
        name: Sample(name, purpose, licence, folder / f"{name}.png")
        for name, (purpose, licence) in _TOLD.items()
    }


def sample_path(name: str) -> Path:
    """Find a picture of the package; raises UnknownNameError where there is none of that name."""
    known = samples()
    if name not in known:
        raise UnknownNameError(
            f"no sample is named {name!r}.{suggest(name, known)} Known: {', '.join(known)}."
        )
    return known[name].path


def load_sample(name: str = DEFAULT, *, size: int | None = None, fit: str = "crop") -> Images:
    """Read a picture of the package as `load_image` does: (1, 3, height, width) in [-1, 1].

    Raises UnknownNameError where there is none of that name.
    """
    return load_image(sample_path(name), size=size, fit=fit)
