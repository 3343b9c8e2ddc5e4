"""What the readers of all formats yield: one slice of physical values, and how to write one."""

import abc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from invprob.errors import ArgumentError, FileError
from invprob.formats.window import Window, choose_window
from invprob.version import __version__

MOST_PIXELS = 1 << 26  # of one slice, read from the header: 8192 x 8192; they are held as float64
AXES = ("sagittal", "coronal", "axial")  # across the axes right, anterior, superior

Planes = NDArray[np.float64]  # (1 or 3, rows, columns)


@dataclass(frozen=True)
class Selection:
    """Which part of a file is read, and which of its values are black and white.

    Args:
        window: two numbers such as "-160 240", "file", or "percentiles". None: the file's window,
            or else percentiles.
        frame: of a file of several frames or pages, from 0.
        plane: the plane in which a volume is cut: "axial", "coronal" or "sagittal" where the file
            says how the body lies; or "0", "1" or "2", the axis that the plane is across.
        index: the slice along that axis, from 0.
        volume: of a file of several volumes, from 0.
        dataset: the name of a dataset in an HDF5 file.
    """

    window: str | None = None
    frame: int | None = None
    plane: str | None = None
    index: int | None = None
    volume: int | None = None
    dataset: str | None = None

    def check(self, takes: Iterable[str], name: str, kind: str) -> None:
        """See that a format takes what was asked for.

        Args:
            takes: the names of those settings that it takes.
            name: the file, for the message.
            kind: the format.

        Raises:
            ArgumentError: it does not.
        """
        takes = tuple(takes)
        wrong = [key for key, value in vars(self).items() if value is not None and key not in takes]
        if wrong:
            listed = ", ".join(f"--{one}" for one in takes) or "none of these options"
            raise ArgumentError(f"--{wrong[0]} is not for {name}: {kind} takes {listed}")


@dataclass(frozen=True)
class Placement:
    """Where the pixels of a picture lie among those of the slice that it was made from.

    The middle of its pixel (i, j) is at row `top + (i + 1/2) row_step - 1/2` of the slice, and
    likewise for columns.

    Args:
        top: the row where the picture begins, in pixels of the slice.
        left: the column where it begins.
        row_step: how many rows of the slice one row of the picture covers.
        column_step: how many columns one column covers.
    """

    top: float = 0.0
    left: float = 0.0
    row_step: float = 1.0
    column_step: float = 1.0

    @property
    def first(self) -> tuple[float, float]:
        """The row and column of the slice where the middle of the first pixel lies."""
        return self.top + (self.row_step - 1) / 2, self.left + (self.column_step - 1) / 2

    @property
    def moved(self) -> bool:
        """Whether the pixels are not those of the slice."""
        return self != Placement()


@dataclass(frozen=True)
class Derivation:
    """What a derived file says about itself.

    Args:
        how: how its pixels came about, a sentence or two without anything about the patient.
        window: the physical values that were black and white; others there are none.
        keep_patient: whether the identity of the patient is written.
    """

    how: str
    window: Window
    keep_patient: bool = False

    def sentence(self) -> str:
        """The whole mark, in plain characters."""
        text = (
            f"Derived by invprob {__version__}, not for diagnosis. {self.how} "
            f"{self.window.describe()}."
        )
        return text.encode("ascii", "replace").decode("ascii")


class Writer(abc.ABC):
    """Writes pictures as files of the format, and with the geometry, of a slice that was read."""

    suffix: str  # of such files, such as ".dcm"

    @abc.abstractmethod
    def write(self, path: Path, planes: Planes, place: Placement, derivation: Derivation) -> None:
        """Write a derived file.

        Args:
            path: the file; it ends in `suffix`.
            planes: physical values, (1 or 3, rows, columns).
            place: where the pixels lie among those of the slice.
            derivation: what the file says about itself.
        """


@dataclass(frozen=True, eq=False)
class Scan:
    """One slice of a file.

    Args:
        kind: the format, such as "DICOM CT".
        planes: physical values, grey or red, green and blue: (1 or 3, rows, columns).
        writer: writes a file like the one that was read.
        units: of the values, such as "HU"; "" where they are not known.
        proposed: the window that the file proposes.
        inverted: whether low values are white.
        padding: where the scanner saw nothing, (rows, columns); None where it does not say so.
        part: which part of the file this is, such as "frame 3 of 0 to 29"; "" if all of it.
        series: what is equal for the files of one series; "" where it is not known.
        identity: words by which the patient could be known, in lower case.
        notes: what is odd about the values, in sentences.
        words: that words may be burned into the pixels, in a sentence; "" where there are none.
    """

    kind: str
    planes: Planes
    writer: Writer = field(repr=False)
    units: str = ""
    proposed: Window | None = None
    inverted: bool = False
    padding: NDArray[np.bool_] | None = field(default=None, repr=False)
    part: str = ""
    series: str = field(default="", repr=False)
    identity: frozenset[str] = field(default=frozenset(), repr=False)
    notes: tuple[str, ...] = ()
    words: str = ""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        _, height, width = self.planes.shape
        return width, height

    def choose_window(self, asked: str | None, name: str) -> Window:
        """The window that is asked for, as `invprob.formats.window.choose_window` says.

        Args:
            asked: as `Selection.window`.
            name: the file, for messages.
        """
        seen = np.isfinite(self.planes)
        if self.padding is not None:
            seen &= ~self.padding
        return choose_window(
            asked,
            self.planes[seen],
            self.proposed,
            name=name,
            units=self.units,
            inverted=self.inverted,
        )

    def outside(self, window: Window) -> float:
        """The share of the pixels with a value outside of the window, or that is not finite."""
        within = (self.planes >= window.low) & (self.planes <= window.high)
        return float(1 - within.all(0).mean())


def check_size(name: str, rows: int, columns: int) -> None:
    """Refuse a slice without pixels or with too many, before it is decoded; raises `FileError`."""
    if rows < 1 or columns < 1:
        raise FileError(f"{name} is an image without pixels ({columns} x {rows})")
    if rows * columns > MOST_PIXELS:
        raise FileError(
            f"{name} holds more than {MOST_PIXELS:,} pixels a slice ({columns} x {rows}); make it "
            "smaller first"
        )


def pick(name: str, what: str, option: str, count: int, asked: int | None) -> int:
    """The frame, slice or volume that was asked for, of several that are counted from 0.

    Args:
        name: the file, for messages.
        what: what is counted, such as "frames".
        option: the setting that chooses, such as "frame".
        count: how many there are.
        asked: the setting; without it there must be only one.

    Raises:
        FileError: there are several and none was asked for, or there is no such one.
    """
    if count < 1:
        raise FileError(f"{name} holds no {what}")
    if count == 1 and asked in (None, 0):
        return 0
    if count == 1:
        raise FileError(
            f"{name} holds a single one of {what}, and none numbered {asked}; leave --{option} out"
        )
    if asked is None or not 0 <= asked < count:
        wrong = "" if asked is None else f", and none numbered {asked}"
        raise FileError(
            f"{name} holds {count} {what}{wrong}; name one from 0 to {count - 1}: "
            f"--{option} {count // 2} (in Python {option}={count // 2})"
        )
    return asked


def in_a_line(error: BaseException, most: int = 200) -> str:
    """What an error of a library says, in one line."""
    lines = [line.strip() for line in str(error).splitlines()]
    return " ".join(line for line in lines if line)[:most] or type(error).__name__


@contextmanager
def told(unread: str, damaged: str) -> Iterator[None]:
    """Turn what a library raises about a file into one line.

    A damaged file makes readers and decoders raise nearly anything, so that any error of theirs is
    one of the file. Errors of this package, of memory and of the system pass.

    Args:
        unread: what is said where the library could not read the file.
        damaged: what is said for every other error.

    Raises:
        FileError: the library raised something.
    """
    try:
        yield
    except (FileError, MemoryError):
        raise
    except OSError as error:
        if error.errno is not None:
            raise
        raise FileError(f"{unread}: {in_a_line(error)}") from None
    except Exception as error:
        raise FileError(f"{damaged}: {in_a_line(error)}") from None


def missing(name: str, kind: str, library: str, extra: str, error: ImportError) -> FileError:
    """The error for a file whose library is not installed.

    Args:
        name: the file.
        kind: its format.
        library: the package that reads it.
        extra: the extra of this package that brings it.
        error: what the import said.
    """
    from invprob.version import install_command

    return FileError(
        f"{name} is {kind}, which needs the package {library} ({in_a_line(error)}); "
        f"{install_command(extra)}"
    )


def real_values(name: str, values: NDArray[Any]) -> Planes:
    """Numbers of any real type as float64; raises `FileError` for others."""
    if values.dtype.kind not in "biuf":
        raise FileError(
            f"{name} holds {values.dtype}, but an image has real numbers; save its magnitude, or "
            "one part of it"
        )
    return np.asarray(values, np.float64)
