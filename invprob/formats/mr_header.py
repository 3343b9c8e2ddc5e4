"""The XML header of ISMRMRD, which fastMRI's files hold as well: what was encoded, and how."""

import math
from typing import NamedTuple
from xml.etree import ElementTree

from invprob.errors import FileError

_MOST_TEXT = 1 << 22
_MOST_SIDE = 1 << 14


class Space(NamedTuple):
    """A grid: how many samples it has along x (readout), y and z, and how long it is in mm."""

    matrix: tuple[int, int, int]
    field: tuple[float, float, float] | None


class Encoding(NamedTuple):
    """How k-space was sampled.

    Attributes:
        encoded: the grid of k-space.
        recon: the grid of the image that is asked for.
        trajectory: "cartesian", or another.
        limits: the least, the largest and the middle number of a line; None if not stated.
        acceleration: how many columns there are for one that was measured.
    """

    encoded: Space
    recon: Space
    trajectory: str = "cartesian"
    limits: tuple[int, int, int] | None = None
    acceleration: float = 1.0

    @property
    def rows(self) -> int:
        """How many rows the image has without oversampling along the readout."""
        full, wanted = self.encoded.matrix[0], self.recon.matrix[0]
        if self.encoded.field and self.recon.field:
            wanted = round(full * self.recon.field[0] / self.encoded.field[0])
        return wanted if 0 < wanted < full else full

    @property
    def pixel(self) -> tuple[float, float] | None:
        """The size of a pixel along rows and columns, in mm."""
        if self.encoded.field is None:
            return None
        x, y = (self.encoded.field[axis] / self.encoded.matrix[axis] for axis in (0, 1))
        return x, y


def read_header(text: str | bytes, name: str) -> Encoding:
    """Read the first encoding of a header.

    Args:
        text: the XML.
        name: the file's, for messages.

    Raises:
        FileError: it is no such header.
    """
    raw = text.encode() if isinstance(text, str) else bytes(text)
    if len(raw) > _MOST_TEXT or b"<!DOCTYPE" in raw or b"<!ENTITY" in raw:
        raise FileError(f"{name}: the header is no plain XML of ISMRMRD; it is not read")
    try:
        root = ElementTree.fromstring(raw)
    except (ElementTree.ParseError, ValueError) as error:
        raise FileError(f"{name}: the header is no XML: {error}") from None
    for part in root.iter():  # names without their namespace
        part.tag = str(part.tag).rpartition("}")[2]
    encoding = root.find("encoding")
    if encoding is None:
        raise FileError(f"{name}: the header has no encoding, which says how k-space was sampled")
    try:
        return Encoding(
            encoded=_space(encoding, "encodedSpace"),
            recon=_space(encoding, "reconSpace"),
            trajectory=(encoding.findtext("trajectory") or "cartesian").strip().lower(),
            limits=_limits(encoding.find("encodingLimits/kspace_encoding_step_1")),
            acceleration=float(
                encoding.findtext("parallelImaging/accelerationFactor/kspace_encoding_step_1") or 1
            ),
        )
    except ValueError as error:
        raise FileError(f"{name}: the header is damaged: {error}") from None


def _space(encoding: ElementTree.Element, name: str) -> Space:
    matrix = [int(encoding.findtext(f"{name}/matrixSize/{axis}") or 0) for axis in "xyz"]
    field = [float(encoding.findtext(f"{name}/fieldOfView_mm/{axis}") or 0) for axis in "xyz"]
    if not all(0 < length <= _MOST_SIDE for length in matrix):
        raise ValueError(f"the matrix of {name} is {' x '.join(map(str, matrix))}")
    known = all(math.isfinite(length) and length > 0 for length in field)
    return Space(
        (matrix[0], matrix[1], matrix[2]), (field[0], field[1], field[2]) if known else None
    )


def _limits(limit: ElementTree.Element | None) -> tuple[int, int, int] | None:
    if limit is None:
        return None
    least, most, middle = (
        int(limit.findtext(one) or 0) for one in ("minimum", "maximum", "center")
    )
    return least, most, middle
