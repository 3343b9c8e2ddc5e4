"""Lines of Cartesian k-space as files hold them, brought into the form that MRI operators measure.

The transform is centred and orthonormal, along rows (readout) and columns (phase encoding).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from invprob.errors import ArgumentError, FileError
from invprob.formats.stored import check_bytes

CALIBRATION = 8  # lines in the middle, at least, from which coil maps are estimated


@dataclass(frozen=True)
class KSpace:
    """The measured lines of one slice.

    Args:
        values: complex64, (coils, rows, lines).
        lines: the column of each line, from 0 to width - 1, where width // 2 is frequency zero.
        width: how many columns the whole of k-space has.
        seen: which samples were measured, (rows, lines), where some of the lines are not whole.
        pixel: the size of a pixel, rows and columns, in mm; None where it is not known.
        words: what the axes are, and what was left out, a phrase each.
    """

    values: NDArray[np.complex64]
    lines: NDArray[np.int64]
    width: int
    seen: NDArray[np.bool_] | None = None
    pixel: tuple[float, float] | None = None
    words: tuple[str, ...] = ()

    @property
    def height(self) -> int:
        """How many rows there are."""
        return int(self.values.shape[1])

    def say(self, *words: str) -> "KSpace":
        """The same, with more to say."""
        return replace(self, words=(*self.words, *words))

    def without_oversampling(self, rows: int) -> "KSpace":
        """Crop the image along the readout, where it reaches beyond the field of view.

        Args:
            rows: how many rows are left.
        """
        full = self.height
        image = _centred(np.fft.ifft, self.values)
        start = full // 2 - rows // 2
        values = _centred(np.fft.fft, image[:, start : start + rows]).astype(np.complex64)
        seen = None if self.seen is None else _at_rows(self.seen, full, rows)
        return replace(self, values=values, seen=seen)

    def middle(self, side: int) -> "KSpace":
        """Keep the middle of k-space: the image with fewer and larger pixels, as bright as before.

        Args:
            side: how many rows and columns are left.

        Raises:
            ArgumentError: no line was measured there.
        """
        top, left = self.height // 2 - side // 2, self.width // 2 - side // 2
        kept = (self.lines >= left) & (self.lines < left + side)
        if not kept.any():
            raise ArgumentError(f"the middle {side} columns of k-space hold no measured line")
        scale = side / np.sqrt(self.height * self.width)
        values = (self.values[:, top : top + side, kept] * scale).astype(np.complex64)
        seen = None if self.seen is None else self.seen[top : top + side, kept]
        pixel = self.pixel and (
            self.pixel[0] * self.height / side,
            self.pixel[1] * self.width / side,
        )
        return replace(
            self, values=values, lines=self.lines[kept] - left, width=side, seen=seen, pixel=pixel
        )

    def only(self, lines: NDArray[np.int64]) -> "KSpace":
        """Keep some of the measured lines, as if no others had been measured.

        Args:
            lines: their columns.

        Raises:
            ArgumentError: one of them was not measured.
        """
        absent = np.setdiff1d(lines, self.lines)
        if len(absent):
            raise ArgumentError(
                f"lines names column {absent[0]}, which the file does not hold; it holds "
                f"{len(self.lines)} of {self.width} columns"
            )
        kept = np.isin(self.lines, lines)
        seen = None if self.seen is None else self.seen[:, kept]
        return replace(
            self.say(f"{int(kept.sum())} of them kept"),
            values=self.values[:, :, kept],
            lines=self.lines[kept],
            seen=seen,
        )

    def zero_filled(self) -> NDArray[np.complex64]:
        """The coils' images with zeros where nothing was measured, (coils, rows, width)."""
        return _images(self._whole(self.values))

    def transformed(self) -> "KSpace":
        """The transform of images in the place of k-space."""
        axes = (1, 2)
        shifted = np.fft.ifftshift(self.values, axes=axes)
        values = np.fft.fftshift(np.fft.fft2(shifted, axes=axes, norm="ortho"), axes=axes)
        return replace(self, values=values.astype(np.complex64))

    def calibration(self) -> int:
        """How many neighbouring lines around frequency zero were measured."""
        measured = np.zeros(self.width, bool)
        measured[self.lines] = True
        middle = self.width // 2
        if not measured[middle]:
            return 0
        before = measured[:middle][::-1]
        after = measured[middle:]
        left = len(before) if before.all() else int(before.argmin())
        right = len(after) if after.all() else int(after.argmin())
        return 2 * min(left + 1, right) - 1

    def maps(self) -> NDArray[np.complex64]:
        """Coil maps of the image's own middle lines, with the phase of the image in them.

        The coils' images of low resolution are divided by the root of their sum of squares: the
        image is then real, and no coil is a reference. Source: McKenzie et al., Magnetic Resonance
        in Medicine 47, 2002, p. 529.

        Returns:
            complex64, (coils, rows, width).

        Raises:
            ArgumentError: fewer than `CALIBRATION` neighbouring lines were measured in the middle.
        """
        count = self.calibration()
        if count < CALIBRATION:
            raise ArgumentError(
                f"coil maps cannot be estimated from {count} neighbouring lines in the middle of "
                f"k-space, {CALIBRATION} or more are needed; give maps, such as `bart ecalib` "
                "makes: --sensitivities FILE"
            )
        rows = min(self.height, max(CALIBRATION, round(count * self.height / self.width)))
        window = np.outer(_hann(self.height, rows), _hann(self.width, count))
        low = _images(self._whole(self.values) * window)
        power = np.sqrt((np.abs(low) ** 2).sum(0))
        maps: NDArray[np.complex64] = (low / np.maximum(power, power.max() * 1e-6)).astype(
            np.complex64
        )
        return maps

    def _whole(self, values: NDArray[Any]) -> NDArray[Any]:
        shape = (len(values), self.height, self.width)
        check_bytes("the whole of k-space", shape, np.dtype(np.complex128))
        whole = np.zeros(shape, np.complex64)
        whole[:, :, self.lines] = values if self.seen is None else values * self.seen
        return whole


def measured_lines(
    values: NDArray[Any], words: Sequence[str], given: NDArray[np.int64] | None = None
) -> KSpace:
    """Find what was measured, where zeros or NaN stand for what was not.

    Args:
        values: complex, (coils, rows, columns).
        words: what the axes are, a phrase each.
        given: the columns that were measured, where that is known.

    Raises:
        FileError: nothing was measured.
    """
    said = list(words)
    dead = [coil for coil, one in enumerate(values) if not np.isfinite(one).any()]
    if 0 < len(dead) < len(values):
        values = np.delete(values, dead, axis=0)
        said.append(f"{_numbered('coil', dead)} without finite numbers, left out")
    width = values.shape[2]
    bad = ~np.isfinite(values).all((0, 1))
    seen = (values != 0).any(0)
    columns = seen.any(0) & ~bad
    if given is not None:
        known = np.zeros(width, bool)
        known[given] = True
        columns &= known
    if bad.any():
        said.append(f"{_numbered('column', np.flatnonzero(bad))} with NaN, taken as not measured")
    lines = np.flatnonzero(columns)
    if len(lines) == 0:
        raise FileError("nothing was measured: k-space is zero or NaN wherever it is looked at")
    seen = seen[:, lines]
    if len(lines) < width:
        said.append(f"{len(lines)} of {width} columns measured")
    if not seen.all():
        share = 1 - seen.mean()
        said.append(f"{share:.1%} of the samples in these are zero, taken as not measured")
    kept = values[:, :, lines].astype(np.complex64)
    return KSpace(kept, lines, width, None if seen.all() else seen, words=tuple(said))


def _numbered(what: str, numbers: Sequence[int] | NDArray[Any], most: int = 6) -> str:
    """ "column 3", "columns 3, 4", "40 columns, from 3"."""
    if len(numbers) > most:
        return f"{len(numbers)} {what}s, the first of them {numbers[0]},"
    return f"{what}{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}"


def _centred(transform: Any, values: NDArray[Any]) -> NDArray[Any]:
    """A transform along the rows, with the origin in the middle."""
    shifted = np.fft.ifftshift(values, axes=1)
    return np.fft.fftshift(transform(shifted, axis=1, norm="ortho"), axes=1)


def _images(whole: NDArray[Any]) -> NDArray[np.complex64]:
    axes = (1, 2)
    image = np.fft.ifft2(np.fft.ifftshift(whole, axes=axes), axes=axes, norm="ortho")
    return np.fft.fftshift(image, axes=axes).astype(np.complex64)


def _at_rows(seen: NDArray[np.bool_], full: int, rows: int) -> NDArray[np.bool_]:
    """Which samples are known on a coarser grid of frequencies: those between known ones."""
    place = (np.arange(rows) - rows // 2) * (full / rows) + full // 2
    before = np.clip(np.floor(place).astype(int), 0, full - 1)
    after = np.clip(np.ceil(place).astype(int), 0, full - 1)
    known: NDArray[np.bool_] = seen[before] & seen[after]
    return known


def _hann(length: int, count: int) -> NDArray[np.float64]:
    """A window of `count` places around the middle of `length`, 0 elsewhere."""
    window = np.zeros(length)
    offset = np.arange(length) - length // 2
    inside = np.abs(offset) <= count // 2
    window[inside] = np.cos(np.pi * offset[inside] / (count + 1)) ** 2
    return window
