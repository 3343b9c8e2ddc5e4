"""Scans in a run: as images, in what is printed and recorded, and without their patients."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from invprob.errors import ArgumentError, FileError
from invprob.formats.scan import Scan, Selection
from invprob.formats.table import TIFF, Format, format_of, read_scan
from invprob.formats.window import Window
from invprob.run.config import RunConfig
from invprob.types import Images


@dataclass(frozen=True, eq=False)
class WindowedScan:
    """A slice and its window.

    Args:
        scan: the slice.
        window: which of its values are black and white.
        name: the file's, without its folder.
    """

    scan: Scan
    window: Window
    name: str

    def tensor(self) -> Images:
        """The image, (1, 3, height, width) in [-1, 1]; what is no number is black."""
        image = self.window.to_image(self.scan.planes)
        image = np.where(np.isnan(self.scan.planes), np.float32(-1), image)
        return torch.from_numpy(image)[None].expand(1, 3, -1, -1).contiguous()

    @property
    def grey(self) -> bool:
        """Whether there is one channel, or three equal ones."""
        first = self.scan.planes[0]
        return all(np.array_equal(first, plane) for plane in self.scan.planes[1:])

    def notes(self) -> tuple[str, ...]:
        """What is odd about the file, in sentences."""
        share = float(np.isnan(self.scan.planes).mean())
        lost = f"{100 * share:.2g} % of the pixels of {self.name} are no numbers, and become black"
        return (*self.scan.notes, *([lost] if share else []))

    def describe(self) -> str:
        """The window in one line, with the part of the file that it is of."""
        part = f", {self.scan.part}" if self.scan.part else ""
        share = 100 * self.scan.outside(self.window)
        return (
            f"{self.name}{part}: {self.window.describe()}; {share:.2g} % of the pixels lie outside"
        )

    def record(self) -> dict[str, Any]:
        """What is kept with the measurements; nothing in it is about the patient."""
        return {**self.window.to_json(), "format": self.scan.kind, "part": self.scan.part}


def scan_format(path: Path, selection: Selection) -> Format | None:
    """The format of a scan; None for a picture. A TIFF is a scan where a window or frame is given.

    Args:
        path: the file.
        selection: what is asked for.

    Raises:
        ArgumentError: the selection is not for pictures, and the file is one.
    """
    form = format_of(path)
    if form is not None or selection == Selection():
        return form
    if path.suffix.lower() in TIFF.suffixes:
        return TIFF
    selection.check((), repr(str(path)), "a picture")
    return None


def read_windowed(
    path: Path, selection: Selection | None = None, form: Format | None = None
) -> WindowedScan:
    """Read a slice, and choose its window.

    Args:
        path: the file.
        selection: which slice, and which window. None: what the file suggests.
        form: the format. None: that of the file.

    Raises:
        FileError: the file cannot be read, or has no such slice.
        ArgumentError: the selection is none for the format.
    """
    selection = selection or Selection()
    scan = read_scan(path, selection, form=form)
    window = scan.choose_window(selection.window, repr(str(path)))
    return WindowedScan(scan, window, path.name)


def selection_of(config: RunConfig) -> Selection:
    """Which part of files a run reads."""
    return Selection(
        window=config.window,
        frame=config.frame,
        plane=config.plane,
        index=config.index,
        volume=config.volume,
        dataset=config.dataset,
    )


def check_scans(paths: Sequence[Path], scans: Sequence[WindowedScan | None], *, keep: bool) -> None:
    """See that scans may be files of a run together, and that their paths name no patient.

    Args:
        paths: the files.
        scans: what was read of each; None for a picture.
        keep: whether the patient may be named.

    Raises:
        FileError: two files of one series differ in size.
        ArgumentError: a path would carry the patient into the run's settings.
    """
    from invprob.formats.dicom import words_of

    first: dict[str, tuple[Path, tuple[int, int]]] = {}
    for number, (path, one) in enumerate(zip(paths, scans, strict=True)):
        if one is None:
            continue
        if not keep and one.scan.identity & set(words_of(str(path))):
            raise ArgumentError(
                f"the path of image {number + 1} holds the name or number of its patient, and "
                "paths are written into the run; rename the file or folder, or allow it: "
                "--keep-patient"
            )
        if not one.scan.series:
            continue
        other, size = first.setdefault(one.scan.series, (path, one.scan.size))
        if size != one.scan.size:
            raise FileError(
                f"{other.name} is {size[0]} x {size[1]} and {path.name} is {one.scan.size[0]} x "
                f"{one.scan.size[1]} pixels, though both are of one series; name files of one size"
            )


def window_notes(scans: Sequence[WindowedScan | None]) -> list[str]:
    """The windows of scans, in one line, and in another whether words may lie in the pixels."""
    found = [one for one in scans if one is not None]
    if not found:
        return []
    alike = len({one.window for one in found}) == 1
    more = f"; {len(found) - 1} more " + ("likewise" if alike else "with windows of their own")
    words = [one.scan.words for one in found if one.scan.words]
    likewise = f"; {len(words) - 1} more likewise" if len(words) > 1 else ""
    windows = found[0].describe() + (more if len(found) > 1 else "")
    return [windows, words[0] + likewise] if words else [windows]


def window_records(scans: Sequence[tuple[int, WindowedScan | None]]) -> dict[str, Any]:
    """The windows as a part of the measurements' record; nothing where there is no scan.

    Args:
        scans: for each image, which of the run's files it is of, and what was read of that.
    """
    if all(one is None for _, one in scans):
        return {}
    records = [None if one is None else {**one.record(), "file": number} for number, one in scans]
    return {"windows": records}
