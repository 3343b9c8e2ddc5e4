"""A photograph of a face is brought to the pose in which a generator draws faces, and back.

The face is found by the cascade of local binary patterns that scikit-image ships (Ahonen, Hadid &
Pietikäinen, TPAMI 2006). It finds faces that are nearly upright, so the picture is turned as well,
and the face's own tilt is the middle of the angles at which it is found. The same detector says
where the generator draws its faces: it looks at the mean image.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from invprob.ambient import own_precision
from invprob.errors import ArgumentError
from invprob.priors.stylegan.generator import Generator
from invprob.run.build import make_generator
from invprob.run.config import RunConfig
from invprob.run.images import LoadedImage, resize_image
from invprob.types import Images
from invprob.version import install_command

TILTS = (-40, -30, -20, -10, 0, 10, 20, 30, 40)  # degrees that a picture is turned by in the search
SIDE = 320  # pixels of the longer side of the picture that is searched
SMALLEST = 0.15  # side of the least face that is found, as a share of the picture's shorter side
FINDS = 2  # angles at least at which a face is found; less is something else
SAME = 0.35  # distance of two finds of one face at most, as a share of its side


class Face(NamedTuple):
    """Where a face is: its middle and side in pixels, and its tilt.

    Args:
        x: column of its middle.
        y: row of its middle.
        side: side of the box that the detector draws around it.
        tilt: degrees that it is turned by, counter-clockwise.
    """

    x: float
    y: float
    side: float
    tilt: float


@dataclass(frozen=True)
class Alignment:
    """The similarity that brings a face to its place in a square.

    A point p of the square, in pixels from its middle, is the point
    c + scale · R(tilt) p of the picture.

    Args:
        centre: the point of the picture in the middle of the square, (x, y) in pixels.
        side: the side of the square, in pixels of the picture.
        tilt: degrees that the square is turned by in the picture, counter-clockwise.
    """

    centre: tuple[float, float]
    side: float
    tilt: float

    @classmethod
    def of(cls, face: Face, place: Face, size: int) -> "Alignment":
        """The alignment that brings a face to a place.

        Args:
            face: the face in the picture.
            place: where faces are in squares of `size` pixels, upright.
            size: the side of the squares.
        """
        scale = face.side / place.side
        cos, sin = _direction(face.tilt)
        right, below = size / 2 - place.x, size / 2 - place.y  # from the face to the middle
        x = face.x + scale * (cos * right + sin * below)
        y = face.y + scale * (-sin * right + cos * below)
        return cls((x, y), scale * size, face.tilt)

    @own_precision()
    def taken(self, picture: Images, size: int) -> Images:
        """The square of a picture; beyond the picture its border is repeated.

        Args:
            picture: (1, channel, height, width) in [-1, 1].
            size: the side of the result, in pixels.

        Returns:
            The square, (1, channel, size, size), bicubic with antialiasing.
        """
        shrink = min(1.0, size / self.side)
        height, width = (max(1, round(length * shrink)) for length in picture.shape[2:])
        small = resize_image(picture, height, width)
        ratio = (width / picture.shape[3], height / picture.shape[2])
        offsets = (torch.arange(size, dtype=torch.float64, device="cpu") + 0.5) / size - 0.5
        below, right = torch.meshgrid(offsets * self.side, offsets * self.side, indexing="ij")
        cos, sin = _direction(self.tilt)
        x = (self.centre[0] + cos * right + sin * below) * ratio[0]
        y = (self.centre[1] - sin * right + cos * below) * ratio[1]
        return _sampled(small, x, y, "border").clamp(-1, 1)

    @own_precision()
    def laid_back(self, square: Images, picture: Images, factor: float = 1.0) -> Images:
        """The picture with a square laid back into its place.

        Args:
            square: (1, channel, size, size) in [-1, 1].
            picture: the whole picture, (1, channel, height, width) in [-1, 1].
            factor: how many times larger the picture becomes first.

        Returns:
            The picture; outside of the square nothing is changed but its size.
        """
        rows, columns = (round(length * factor) for length in picture.shape[2:])
        whole = resize_image(picture, rows, columns)
        size, across = square.shape[-1], self.side * factor
        enlarged = max(1, round(size * max(1.0, across / size)))
        square = resize_image(square, enlarged, enlarged)
        y, x = torch.meshgrid(
            torch.arange(rows, dtype=torch.float64, device="cpu") + 0.5,
            torch.arange(columns, dtype=torch.float64, device="cpu") + 0.5,
            indexing="ij",
        )
        right, below = x - self.centre[0] * factor, y - self.centre[1] * factor
        cos, sin = _direction(self.tilt)
        u = ((cos * right - sin * below) / across + 0.5) * enlarged
        v = ((sin * right + cos * below) / across + 0.5) * enlarged
        inside = (u >= 0) & (u <= enlarged) & (v >= 0) & (v <= enlarged)
        return torch.where(inside, _sampled(square, u, v, "border").clamp(-1, 1), whole)

    def outside(self, height: int, width: int) -> float:
        """The share of the square that lies beyond a picture."""
        steps = (torch.arange(64, dtype=torch.float64, device="cpu") + 0.5) / 64 - 0.5
        below, right = torch.meshgrid(steps * self.side, steps * self.side, indexing="ij")
        cos, sin = _direction(self.tilt)
        x = self.centre[0] + cos * right + sin * below
        y = self.centre[1] - sin * right + cos * below
        return float(((x < 0) | (x > width) | (y < 0) | (y > height)).double().mean())

    def in_words(self, name: str, height: int, width: int) -> str:
        """What became of a picture, as a sentence."""
        turned = f", turned by {-self.tilt:.0f} degrees" if abs(self.tilt) >= 0.5 else ""
        share = self.outside(height, width)
        beyond = (
            f"; {share:.0%} of it lies beyond the picture, whose border is repeated there"
            if share >= 0.005
            else ""
        )
        return f"{name}: a square of {self.side:.0f} pixels around the face{turned}{beyond}"


Aligner: TypeAlias = Callable[[str, Images], Alignment]


def align(name: str, picture: Images, generator: Generator) -> Alignment:
    """Find how a face is brought to the pose in which a generator draws faces.

    Args:
        name: what the picture is called, for messages.
        picture: (1, 3, height, width) in [-1, 1].
        generator: the generator.

    Returns:
        The alignment of the largest face.

    Raises:
        ArgumentError: there is no face in the picture, the generator draws none, or scikit-image
            is not installed.
    """
    place = face_of(generator)
    found = find_face(picture)
    if found is None:
        raise ArgumentError(
            f"--align face: there is no face in {name} that is seen from the front and nearly "
            "upright; crop the picture by hand, and leave --align out"
        )
    return Alignment.of(found, place, generator.resolution)


def aligned(name: str, picture: LoadedImage, aligner: Aligner, size: int) -> LoadedImage:
    """A whole picture as the square that was found in it.

    Args:
        name: what the picture is called.
        picture: the picture as it is in its file.
        aligner: finds the square.
        size: the side of the square, in pixels.

    Returns:
        The square, and what was done as a note.

    Raises:
        ArgumentError: the file is a scan, or transparent, or has no face.
    """
    if picture.scan is not None or (picture.alpha is not None and picture.alpha.min() < 255):
        kind = "a scan" if picture.scan is not None else "transparent in places"
        raise ArgumentError(f"--align face is for photographs, and {name} is {kind}; leave it out")
    found = aligner(name, picture.tensor)
    note = found.in_words(name, *picture.tensor.shape[2:])
    return replace(
        picture,
        tensor=found.taken(picture.tensor, size),
        size=(size, size),
        notes=(*picture.notes, note),
    )


def aligner_of(config: RunConfig) -> Aligner | None:
    """What aligns the pictures of a run; None where they are not to be aligned."""
    if config.align == "none":
        return None
    generator = make_generator(config)
    return lambda name, picture: align(name, picture, generator)


def face_of(generator: Generator) -> Face:
    """Where a generator draws faces, found in its mean image; raises as `align`."""
    rows = generator.mean_w.expand(1, generator.num_layers, -1).contiguous()
    with torch.no_grad():
        mean = generator.synthesis(rows).clamp(-1, 1).cpu().float()
    found = _boxes(mean)
    if not found:
        raise ArgumentError(
            f"--align face: {generator.source} draws no faces, as far as its mean image shows; "
            "leave --align out"
        )
    return max(found, key=lambda face: face.side)


def find_face(picture: Images) -> Face | None:
    """The largest face of a picture, (1, 3, height, width) in [-1, 1]; None if there is none."""
    height, width = picture.shape[2:]
    middle = (width / 2, height / 2)
    found: list[Face] = []
    for tilt in TILTS:
        turned = Alignment(middle, math.hypot(height, width), tilt) if tilt else None
        if turned is None:
            found += _boxes(picture)
            continue
        side = min(SIDE, round(turned.side))
        scale = turned.side / side
        cos, sin = _direction(tilt)
        for face in _boxes(turned.taken(picture, side)):
            right, below = (face.x - side / 2) * scale, (face.y - side / 2) * scale
            x = middle[0] + cos * right + sin * below
            y = middle[1] - sin * right + cos * below
            found.append(Face(x, y, face.side * scale, tilt))
    sure = [group for group in _together(found) if len(group) >= FINDS]
    if not sure:
        return None
    largest = max(sure, key=lambda group: np.median([face.side for face in group]))
    tilts = sorted({face.tilt for face in largest})
    x, y, box = (float(np.median(values)) for values in list(zip(*largest, strict=True))[:3])
    return Face(x, y, box, (tilts[0] + tilts[-1]) / 2)


def _together(found: Sequence[Face]) -> list[list[Face]]:
    """The finds of one face each."""
    groups: list[list[Face]] = []
    for face in found:
        for group in groups:
            other = group[0]
            if math.dist(face[:2], other[:2]) < SAME * max(face.side, other.side):
                group.append(face)
                break
        else:
            groups.append([face])
    return groups


def _boxes(picture: Images) -> list[Face]:
    """The faces that the detector sees in a picture as it is."""
    height, width = picture.shape[2:]
    scale = SIDE / max(height, width)
    rows, columns = (max(1, round(length * scale)) for length in (height, width))
    shown = resize_image(picture, rows, columns)[0].add(1).mul(127.5).round().byte()
    side = min(rows, columns)
    least = max(24, round(SMALLEST * side))
    if side < least:
        return []
    boxes: Sequence[Mapping[str, Any]] = _cascade().detect_multi_scale(
        img=shown.permute(1, 2, 0).contiguous().numpy(),
        scale_factor=1.1,
        step_ratio=1,
        min_size=(least, least),
        max_size=(side, side),
    )
    return [
        Face(
            (box["c"] + box["width"] / 2) / scale,
            (box["r"] + box["width"] / 2) / scale,
            box["width"] / scale,
            0.0,
        )
        for box in boxes
    ]


@cache
def _cascade() -> Any:
    try:
        from skimage.data import lbp_frontal_face_cascade_filename
        from skimage.feature import Cascade
    except ImportError:
        raise ArgumentError(
            f"--align face needs scikit-image, which is not installed: {install_command('align')}"
        ) from None
    return Cascade(lbp_frontal_face_cascade_filename())


def _direction(degrees: float) -> tuple[float, float]:
    return math.cos(math.radians(degrees)), math.sin(math.radians(degrees))


def _sampled(images: Images, x: Tensor, y: Tensor, padding: str) -> Images:
    """Images at places in pixels, where 0 is the left or upper edge of the first pixel."""
    height, width = images.shape[2:]
    grid = torch.stack([2 * x / width - 1, 2 * y / height - 1], -1)[None].to(images)
    return functional.grid_sample(
        images, grid, mode="bicubic", padding_mode=padding, align_corners=False
    )
