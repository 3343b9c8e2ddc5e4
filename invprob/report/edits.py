"""The figure of an edit: a strip for each image and direction, with what it keeps (Fig. 7)."""

import dataclasses
from collections.abc import Sequence

import torch

from invprob.errors import ArgumentError
from invprob.latents.direction import Direction
from invprob.latents.distance import Distance
from invprob.latents.edit import edit
from invprob.latents.kept import Kept, kept, region_of
from invprob.latents.latents import Latents, joined
from invprob.report.figure import Figure
from invprob.report.strips import StripRow
from invprob.streams import stream
from invprob.types import Images

FAR = 1 / 3  # an effect below this share of the generator's own is told


def draw_edits(
    latents: Latents,
    images: Images,
    names: Sequence[str],
    directions: Sequence[Direction],
    strengths: Sequence[float],
    distance: Distance,
    *,
    seed: int = 0,
) -> Figure:
    """Edit images along directions, and compare each with the image before.

    Args:
        latents: of the images.
        images: the images before, (batch, channel, height, width).
        names: what they are called.
        directions: a row each for each image.
        strengths: a column each.
        distance: between images.
        seed: of the generator's own images, which say where a direction acts.

    Raises:
        ArgumentError: there is no direction, or some are in W+ and others in S.
    """
    if not directions:
        raise ArgumentError("name a direction (--direction NAME); `invprob directions` lists them")
    strips, rows, lines, records = [], [], [], []
    for direction in directions:
        strip = edit(latents, direction, strengths, images)
        region = region_of(latents.generator, direction, strengths, stream(seed, "region"))
        strips.append(strip)
        for number, name in enumerate(names):
            values = kept(images, strip, number, region, distance)
            texts = [
                [signed(strength), *_texts(value)]
                for strength, value in zip(strip.positions, values, strict=True)
            ]
            rows.append(StripRow(f"{name}: {direction.name}", strip.of_image(number), texts))
            lines += _lines(name, direction, strip.positions, values, distance)
            records.append(
                {
                    "image": name,
                    "direction": direction.name,
                    "unit": direction.unit,
                    "region_share": region.share,
                    "strengths": list(strip.positions),
                    **{
                        field.name: [getattr(value, field.name) for value in values]
                        for field in dataclasses.fields(Kept)
                    },
                }
            )
    if len({strip.latents.inputs.styles is None for strip in strips}) > 1:
        raise ArgumentError(
            "some directions are in W+ and others in S, so that one file cannot hold all results; "
            "edit along them one after another, or --together"
        )
    return Figure(
        rows=rows,
        caption=[
            "Under each image: strength; PSNR to the solution outside the region where the "
            "direction changes the generator's own images;",
            f"{distance.label} to the solution; change relative to the generator's own images.",
        ],
        lines=lines,
        numbers={"distance": distance.label, "seed": seed, "edits": records},
        solution=joined([strip.latents for strip in strips]).solution(
            torch.cat([strip.images for strip in strips]),
            f"edited along {', '.join(one.name for one in directions)}",
        ),
    )


def signed(strength: float) -> str:
    """A strength with its sign; 0 has none."""
    return f"{strength:+g}" if strength else "0"


def _texts(value: Kept) -> list[str]:
    """What stands under an edited image; nothing under the solution itself."""
    if value.effect is None:
        return ["the solution"]
    outside = "nothing outside" if value.outside is None else f"{value.outside:.1f} dB"
    return [f"{outside} · {value.distance:.3f}", f"change {value.effect:.2f}"]


def _lines(
    name: str,
    direction: Direction,
    strengths: Sequence[float],
    values: Sequence[Kept],
    distance: Distance,
) -> list[str]:
    """A line for each strength, and one where the direction does little."""
    lines = [f"{name}: {direction.name}, strength 1 is {direction.unit}"]
    for strength, value in zip(strengths, values, strict=True):
        if value.effect is not None:
            outside = "–" if value.outside is None else f"{value.outside:.1f} dB"
            lines.append(
                f"  {signed(strength)}: outside the region {outside} · {distance.label} "
                f"{value.distance:.3f} · change {value.effect:.2f} of the generator's own"
            )
    effects = [value.effect for value in values if value.effect is not None]
    if effects and max(effects) < FAR:
        lines.append(
            f"  this direction changes {name} by less than a third of what it changes in the "
            "generator's own images, so its name may not hold here"
        )
    return lines
