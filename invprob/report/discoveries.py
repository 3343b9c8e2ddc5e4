"""The figure of a discovery: the pictures, how they were inverted, and the traversal."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from invprob.latents.discover import Discovery
from invprob.latents.edit import edit
from invprob.latents.registration import Curve, attribute, measure_curve
from invprob.report.figure import Figure
from invprob.report.strips import StripRow

BEYOND = 1.5  # how far a traversal goes, relative to the last learned scale
PARTS = 6  # columns up to the last learned scale


def usual_strengths(scales: Sequence[float]) -> tuple[float, ...]:
    """From a step below 0 to half as far again as the last learned scale, in equal steps.

    Args:
        scales: α_0 = 0 and the learned scales.
    """
    last = max(scales, key=abs)
    return tuple(last * step / PARTS for step in range(-1, round(BEYOND * PARTS) + 1))


def draw_discovery(
    discovery: Discovery,
    pictures: Tensor,
    names: Sequence[str],
    strengths: Sequence[float] | None,
    measured: str | None,
    about: Mapping[str, Any],
) -> Figure:
    """Draw what was discovered of one image, and measure it.

    Args:
        discovery: of one image.
        pictures: the true image and its variants, (K + 1, channel, height, width).
        names: what they are called.
        strengths: α of each column of the traversal. None: `usual_strengths`.
        measured: the attribute that registration measures, see `attribute`. None: none.
        about: JSON values to keep with the numbers.

    Raises:
        UnknownNameError: the attribute is not known.
        ShapeError: the pictures are too small to be registered.
    """
    direction, learned = discovery.directions[0], discovery.scales[0].tolist()
    places = sorted(usual_strengths(learned) if strengths is None else strengths)
    strip = edit(discovery.latents, direction, places)
    scores = discovery.psnr(pictures[None])[0].tolist()
    curve = None
    if measured is not None:
        curve = measure_curve(
            attribute(measured),
            strip.positions,
            strip.images.clamp(-1, 1),
            learned,
            discovery.pictures[0].clamp(-1, 1),
            pictures,
        )
    found = _texts(curve, curve.values if curve else [], len(places))
    reached = _texts(curve, curve.reached if curve else [], len(learned))
    wanted = _texts(curve, curve.wanted if curve else [], len(learned))
    rows = [
        StripRow(
            "the image and its variants",
            pictures,
            [[name, *text] for name, text in zip(names, wanted, strict=True)],
        ),
        StripRow(
            "as they were inverted, at the learned scales",
            discovery.pictures[0],
            [
                [f"scale {scale:.2f}", f"{score:.1f} dB", *text]
                for scale, score, text in zip(learned, scores, reached, strict=True)
            ],
        ),
        StripRow(
            "along the direction",
            strip.images,
            [[f"scale {place:.2f}", *text] for place, text in zip(places, found, strict=True)],
        ),
    ]
    numbers: dict[str, Any] = {
        **about,
        "names": list(names),
        "learned_scales": learned,
        "psnr": scores,
        "direction": direction.name,
        "unit": direction.unit,
        "strengths": list(strip.positions),
        "outcome": str(discovery.solution.outcome),
        "losses": {name: float(values[-1, 0]) for name, values in _trace(discovery).items()},
        "measured": None if curve is None else curve.to_json(),
    }
    own = discovery.latents.solution(
        discovery.pictures[:, 0], f"the image of which {direction.name} was discovered"
    )
    return Figure(
        rows=rows,
        caption=_caption(curve),
        lines=_lines(names, learned, scores, curve),
        numbers=numbers,
        solution=own,
    )


def _caption(curve: Curve | None) -> list[str]:
    lines = ["Along the direction: w+ = w* + scale · D/||D||, in which each row has length 1."]
    if curve is not None:
        lines.append(
            f"The last line under each picture: its {curve.attribute} against the true image "
            f"({curve.unit})."
        )
    return lines


def _trace(discovery: Discovery) -> Mapping[str, Tensor]:
    return discovery.solution.trace


def _texts(curve: Curve | None, values: Sequence[float], count: int) -> list[list[str]]:
    """What was measured, under each column; nothing where nothing was."""
    if curve is None:
        return [[] for _ in range(count)]
    return [[f"{curve.attribute} {value:.2f}"] for value in values]


def _lines(
    names: Sequence[str], learned: Sequence[float], scores: Sequence[float], curve: Curve | None
) -> list[str]:
    """What a terminal shows."""
    lines = []
    for number, (name, scale, score) in enumerate(zip(names, learned, scores, strict=True)):
        line = f"{name}: scale {scale:.2f} · PSNR {score:.1f} dB"
        if curve is not None:
            line += (
                f" · {curve.attribute} {curve.reached[number]:.2f}, in the true picture "
                f"{curve.wanted[number]:.2f}"
            )
        lines.append(line)
    if curve is not None:
        inside = curve.monotonic(learned[0], learned[-1])
        everywhere = curve.monotonic(min(curve.scales), max(curve.scales))
        where = "everywhere" if everywhere else "between the learned scales" if inside else None
        lines += [
            f"{curve.attribute} along the direction ({curve.unit}): "
            + (f"monotonic {where}" if where else "not monotonic"),
            f"largest error at the learned scales {max(map(abs, curve.errors)):.3g}, largest "
            f"distance from a straight line between them {curve.off_the_line:.3g}",
        ]
    return lines
