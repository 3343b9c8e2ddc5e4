"""How objects show themselves in a notebook: a picture where there is one, and a table of facts."""

import base64
import html
from collections.abc import Mapping, Sequence

from invprob.types import Measured, Shape, Spec

SMALLEST = 8  # pixels of the shorter side of what is worth drawing


def card(
    title: str,
    facts: Mapping[str, object],
    *,
    png: bytes | None = None,
    about: str = "",
    lines: Sequence[str] = (),
) -> str:
    """HTML that a notebook draws below a cell.

    Args:
        title: what the object is.
        facts: what is known of it, by name.
        png: a PNG file to show. None: there is no picture.
        about: what the picture shows, for readers who do not see it.
        lines: sentences below the table.

    Returns:
        The HTML. Whatever it was given is escaped.
    """
    rows = "".join(
        f"<tr><th style='text-align:left'>{html.escape(name)}</th>"
        f"<td style='text-align:left'>{html.escape(str(value))}</td></tr>"
        for name, value in facts.items()
    )
    picture = ""
    if png is not None:
        picture = (
            f"<img alt='{html.escape(about, quote=True)}' style='max-width:100%' "
            f"src='data:image/png;base64,{base64.b64encode(png).decode('ascii')}'>"
        )
    said = "".join(f"<div>{html.escape(line)}</div>" for line in lines)
    return f"<div><b>{html.escape(title)}</b><div>{picture}</div><table>{rows}</table>{said}</div>"


def measurement_card(
    values: Measured, image_shape: Shape, operator: Spec, noise: Spec | None
) -> str:
    """The card of measurements, with a picture where they have the shape of one.

    Args:
        values: what was measured, (batch, *measurement_shape).
        image_shape: the shape of the images.
        operator: the spec of what measured.
        noise: the spec of the noise. None: none is known.
    """
    low, high = float(values.min()), float(values.max())
    shape, drawn = tuple(values.shape), None
    if len(shape) == 4 and shape[1] in (1, 3) and min(shape[2:]) >= SMALLEST and high > low:
        from invprob.png import png  # Pillow is loaded only where something is shown

        drawn = png((values - low) * (2 / (high - low)) - 1)
    facts = {
        "values": f"{' × '.join(map(str, shape))}, from {low:.3g} to {high:.3g}",
        "operator": operator.get("type"),
        "noise": "none is known" if noise is None else noise.get("type"),
        "images": " × ".join(map(str, image_shape)),
    }
    about = f"the measurements; black is {low:.3g}, white {high:.3g}"
    return card(
        "Measurements", facts, png=drawn, about=about, lines=[] if drawn is None else [about]
    )
