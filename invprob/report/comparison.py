"""The picture of a run: truth, measurement, result and error side by side."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageDraw

from invprob.files import atomic_write
from invprob.report.drawing import FAINT, PAPER, heat, tile, width_of, write
from invprob.run.images import to_pillow
from invprob.run.results import Comparison

SIDE = 256  # pixels of each image, about
MARGIN, GAP = 20, 14
TITLE, LINE = 26, 20
ERROR_SCALE = 0.5  # the error that is drawn brightest, where images lie in [-1, 1]


def write_comparison(comparison: Comparison, path: Path) -> None:
    """Draw a comparison and write it as PNG.

    Args:
        comparison: what to draw.
        path: the file; one of that name is replaced.

    Raises:
        FileError: the file cannot be written. Then there is no half of it.
    """
    picture = draw_comparison(comparison)
    with atomic_write(path) as temporary:
        picture.save(temporary, format="PNG")


def draw_comparison(comparison: Comparison) -> Image.Image:
    """Draw truth, measurement, result and error side by side, with the scores under each.

    Without a truth there are only measurement and result.
    """
    columns = _columns(comparison)
    height = columns[-1][1].height if comparison.truth is None else columns[0][1].height
    widths = [
        max(picture.width, *(round(width_of(line, 14)) for line in (title, *lines)))
        for title, picture, lines in columns
    ]
    deepest = max(1, *(len(lines) for _, _, lines in columns))
    captions = _wrapped(comparison.caption, sum(widths) + GAP * (len(widths) - 1))
    canvas = Image.new(
        "RGB",
        (
            2 * MARGIN + sum(widths) + GAP * (len(widths) - 1),
            2 * MARGIN + TITLE + height + LINE * (deepest + len(captions)) + 16,
        ),
        PAPER,
    )
    draw = ImageDraw.Draw(canvas)
    left = MARGIN
    for (title, picture, lines), width in zip(columns, widths, strict=True):
        write(draw, (left, MARGIN), title, size=16)
        canvas.paste(picture, (left, MARGIN + TITLE))
        for row, line in enumerate(lines):
            write(draw, (left, MARGIN + TITLE + height + 6 + LINE * row), line, size=14)
        left += width + GAP
    top = canvas.height - MARGIN - LINE * len(captions)
    for row, line in enumerate(captions):
        write(draw, (MARGIN, top + LINE * row), line, size=13, colour=FAINT)
    return canvas


def _columns(comparison: Comparison) -> list[tuple[str, Image.Image, list[str]]]:
    """The title, the picture and the lines of text of each column."""
    scores, truth = comparison.scores, comparison.truth
    columns = []
    if truth is not None:
        columns.append(("truth", tile(truth, SIDE), [comparison.name]))
    for panel in comparison.measured:
        seen = []
        if scores["psnr_pinv"] is not None and panel is comparison.measured[-1]:
            whose = "" if panel.title.startswith("pseudo") else "pseudo-inverse: "
            seen.append(f"{whose}PSNR {_db(scores['psnr_pinv'])}")
        columns.append((panel.title, tile(panel.image, SIDE), seen))
    result = _numbers(scores) or [f"data misfit {scores['data_misfit']:.3g}"]
    columns.append(("restored", tile(comparison.result, SIDE), result))
    if truth is not None:
        error = (comparison.result.clamp(-1, 1) - truth).abs().mean(0) / ERROR_SCALE
        columns.append(("error, mean of channels", _with_scale(tile(heat(error), SIDE)), []))
    return columns


def _with_scale(picture: Image.Image) -> Image.Image:
    """The picture of an error map with its scale under it."""
    canvas = Image.new("RGB", (picture.width, picture.height + LINE + 6), PAPER)
    canvas.paste(picture, (0, 0))
    least, most = "0", f"{ERROR_SCALE:g} or more (of 2)"
    left, right = round(width_of(least, 14)) + 8, round(width_of(most, 14)) + 8
    length = canvas.width - left - right
    ramp = torch.linspace(0, 1, length, dtype=torch.float32, device="cpu").expand(10, -1)
    top = picture.height + 6
    canvas.paste(to_pillow(heat(ramp)), (left, top + 5))
    draw = ImageDraw.Draw(canvas)
    write(draw, (0, top), least, size=14)
    write(draw, (canvas.width - right + 8, top), most, size=14)
    return canvas


def _numbers(scores: Mapping[str, Any]) -> list[str]:
    said = []
    if scores["psnr"] is not None:
        said.append(f"PSNR {_db(scores['psnr'])}")
    if scores["ssim"] is not None:
        said.append(f"SSIM {scores['ssim']:.3f}")
    lines = [" · ".join(said)] if said else []
    if scores["lpips"] is not None:
        lines.append(f"{scores['lpips_network']} {scores['lpips']:.3f}")
    return lines


def _db(value: float) -> str:
    return f"{value:.2f} dB"


def _wrapped(text: str, width: int) -> list[str]:
    """The lines of a caption, which is broken at its dots where it is too wide."""
    lines: list[str] = []
    for part in text.split(" · "):
        joined = f"{lines[-1]} · {part}" if lines else part
        if lines and width_of(joined, 13) <= width:
            lines[-1] = joined
        else:
            lines.append(part)
    return lines
