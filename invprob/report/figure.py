"""A figure of latents: a sheet, the numbers behind it, and the latents, in files side by side."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from invprob.errors import FileError
from invprob.files import atomic_write
from invprob.report.strips import SHEETS, StripRow, check_suffix, write_strips
from invprob.solver.solution import Solution


@dataclass(frozen=True, eq=False)
class Figure:
    """What a command on latents found.

    Args:
        rows: of the sheet.
        caption: lines of text at its bottom.
        lines: what a terminal shows, a line each.
        numbers: JSON values.
        solution: the latents of all images.
    """

    rows: Sequence[StripRow]
    caption: Sequence[str]
    lines: Sequence[str]
    numbers: Mapping[str, Any]
    solution: Solution


@dataclass(frozen=True)
class Target:
    """Where a figure is written: SHEET.png or .webp, and files of the same name beside it.

    Args:
        sheet: the picture.
    """

    sheet: Path

    @property
    def numbers(self) -> Path:
        """The numbers, as JSON."""
        return self.sheet.with_suffix(".json")

    @property
    def latents(self) -> Path:
        """The latents, as a solution file."""
        return self.sheet.with_suffix(".safetensors")

    @classmethod
    def of(
        cls, out: Path | None, name: str, others: Sequence[Path] = (), *, overwrite: bool
    ) -> "Target":
        """The target that a user asked for, or else NAME-001.png with the next free number.

        Args:
            out: the sheet that was asked for.
            name: what to call the files otherwise.
            others: further files that will be written.
            overwrite: whether files may be replaced.

        Raises:
            FileError: the ending is not that of a sheet, a file exists and must not be replaced,
                two have one name, or there is no such folder.
        """
        if out is None:
            taken = {path.stem for path in Path().glob(f"{name}-*")}
            number = 1
            while f"{name}-{number:03d}" in taken:
                number += 1
            target = cls(Path(f"{name}-{number:03d}.png"))
        else:
            target = cls(out)
        check_suffix(target.sheet, SHEETS)
        files = (target.sheet, target.numbers, target.latents, *others)
        for number, path in enumerate(files):
            if path.resolve() in {other.resolve() for other in files[:number]}:
                raise FileError(f"{str(path)!r} would be written twice; choose another name")
            if path.exists() and not (overwrite and path.is_file()):
                raise FileError(
                    f"{str(path)!r} exists; choose another --out, or replace it: --overwrite"
                )
            if not path.parent.is_dir():
                raise FileError(
                    f"{str(path)!r} cannot be written: make the folder {str(path.parent)!r}"
                )
        return target

    def write(self, figure: Figure) -> list[Path]:
        """Write the three files, and return their paths, the sheet last."""
        text = json.dumps(figure.numbers, indent=2, allow_nan=False)
        figure.solution.save(self.latents)
        with atomic_write(self.numbers) as temporary:
            temporary.write_text(text + "\n", "utf-8")
        write_strips(figure.rows, self.sheet, figure.caption)
        return [self.latents, self.numbers, self.sheet]
