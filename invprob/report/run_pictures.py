"""The pictures of one image of a run: a slider between two of them, all of them, and curves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from PIL import Image

from invprob.report.charts import Line, line_chart
from invprob.report.comparison import ERROR_SCALE
from invprob.report.drawing import HEAT, heat
from invprob.report.embedded import Level, data_uri
from invprob.report.markup import Html, tag
from invprob.report.scores import SCORES, score_text
from invprob.run.images import to_pillow
from invprob.run.record import Phase
from invprob.run.shown import Shown

TRUTH, RESTORED, ERROR = "truth", "restored", "error"
LIKE_IMAGES = ("measurement y", "pseudo-inverse of y")  # those of `invprob.run.results.panels`


@dataclass(frozen=True)
class View:
    """One picture of an image.

    Args:
        key: by which the page's script finds it.
        title: what it is.
        text: what to know about it.
        picture: in mode L or RGB.
        before: whether it shows the scene before it was restored, pixel by pixel.
    """

    key: str
    title: str
    text: str
    picture: Image.Image
    before: bool = False


@dataclass(frozen=True, eq=False)
class Pictures:
    """What is shown of an image: the tensors, and the pictures that they become."""

    shown: Shown
    views: Sequence[View]

    @classmethod
    def of(cls, shown: Shown) -> "Pictures":
        """Draw what there is: truth, measurement, pseudo-inverse, result, error."""
        views = []
        if shown.truth is not None:
            views.append(View(TRUTH, "truth", "the true image", _picture(shown.truth)))
        for number, panel in enumerate(shown.measured):
            title, _, how = panel.title.partition(": ")
            text = f"{_meaning(panel.title)}{': ' if how else ''}{how}"
            before = panel.title in LIKE_IMAGES
            picture = _picture(panel.image)
            views.append(View(f"measured-{number}", title, text, picture, before=before))
        if shown.result is not None:
            views.append(View(RESTORED, "restored", "the result", _picture(shown.result)))
        if shown.truth is not None and shown.result is not None:
            error = (shown.result.clamp(-1, 1) - shown.truth).abs().mean(0)
            text = f"|restored - truth|, mean of channels: {float(error.mean()):.3g} on average"
            views.append(View(ERROR, "error", text, _picture(heat(error / ERROR_SCALE))))
        return cls(shown, views)

    def pairs(self) -> list[tuple[View, View]]:
        """Which two pictures can be laid over each other: those of one shape, before and after."""
        by_key = {view.key: view for view in self.views}
        after = by_key.get(RESTORED)
        if after is None:
            return []
        before = [one for one in reversed(self.views) if one.before]
        found = [(one, after) for one in before if _alike(one.picture, after.picture)]
        if TRUTH in by_key:
            found.append((after, by_key[TRUTH]))
        return found


def picture_part(
    name: str,
    pictures: Pictures,
    solves: Mapping[str, Sequence[Phase]],
    level: Level,
    heading: Html | None,
) -> Html:
    """The part of a page about one image.

    Args:
        name: an id, which is used once in a page.
        pictures: what to show.
        solves: the terms of its loss over the steps, by the method's name.
        level: how exactly pictures are kept.
        heading: its name, where the page has several images.
    """
    whose = pictures.shown.name
    said = _summary(pictures.shown) if heading is not None else ""
    parts = [heading or "", tag("p", said) if said else ""]
    compared = _slider(name, pictures)
    last = sorted(pictures.views, key=_is_wide)  # a wide one fills a row of its own
    panels = tag("div", *(_panel(view, whose, level) for view in last), class_="panels pixels")
    if pictures.views:
        parts.append(tag("div", compared, panels, class_="views"))
    else:
        parts.append(tag("p", "The measurement is no image, so there is nothing to show of it."))
    parts.append(_charts(name, pictures, solves))
    return tag("div", *parts, id=name, class_="image")


def window_controls() -> Html:
    """Level and width of the window of grey values, as viewers of X-rays have them."""
    level = tag("input", type="range", id="level", min=0, max=100, value=50, step=1)
    width = tag("input", type="range", id="width", min=5, max=100, value=100, step=1)
    inverted = tag("input", type="checkbox", id="inverted")
    smooth = tag("input", type="checkbox", id="smooth")
    reset = tag("button", "Reset", type="button", class_="plain", id="reset")
    shift = [tag(f"feFunc{band}", type="linear", slope=1, intercept=0) for band in "RGB"]
    transfer = tag("feComponentTransfer", *shift)
    window = tag("filter", transfer, id="window", color_interpolation_filters="sRGB")
    drawn = tag("svg", window, width=0, height=0, aria_hidden="true", style="position:absolute")
    controls = tag(
        "fieldset",
        tag("legend", "How all pictures are shown"),
        tag("label", "Level", level),
        tag("label", "Window", width),
        tag("label", inverted, "Invert"),
        tag("label", smooth, "Smooth pixels"),
        reset,
    )
    return tag("div", drawn, controls, class_="window")


def _slider(name: str, pictures: Pictures) -> Html:
    """Two pictures over each other, with a divider; the script puts the pictures in."""
    pairs = pictures.pairs()
    if not pairs:
        return Html()
    choices = [
        tag(
            "label",
            tag(
                "input",
                type="radio",
                name=f"{name}-pair",
                checked=number == 0,
                data_left=left.key,
                data_right=right.key,
            ),
            f"{left.title} | {right.title}",
        )
        for number, (left, right) in enumerate(pairs)
    ]
    divider = tag("input", type="range", min=0, max=100, value=50, step=1, class_="cut")
    left, right = pairs[0]
    return tag(
        "figure",
        tag("div", tag("span", left.title), tag("span", right.title), class_="sides"),
        tag("div", class_="stage", role="img"),
        tag("label", tag("span", "Divider"), divider, class_="divider"),
        tag("fieldset", tag("legend", "Left | right"), *choices),
        tag("p", "Point at a picture to read its values.", class_="readout faint"),
        class_="compare",
    )


def _panel(view: View, whose: str, level: Level) -> Html:
    width, height = view.picture.size
    image = tag(
        "img",
        src=data_uri(view.picture, level),
        alt=f"{whose}: {view.title}, {view.text}",
        width=width,
        height=height,
        data_key=view.key,
    )
    caption = tag("figcaption", tag("b", view.title), f": {view.text}")
    scale = _scale() if view.key == ERROR else ""
    shape = "wide" if _is_wide(view) else "tall" if height > 2 * width else None
    return tag("figure", image, scale, caption, class_=shape)


def _scale() -> Html:
    """The scale of the error map."""
    stops = ", ".join(f"rgb({red}, {green}, {blue})" for red, green, blue in HEAT)
    most = f"{ERROR_SCALE:g} or more"
    said = f"From 0, black, to {most}, pale yellow; values differ by 2 at most."
    ramp = tag("span", class_="scale", style=f"background: linear-gradient(to right, {stops})")
    return tag("div", "0", ramp, f"{most} (of 2)", class_="ramp", role="img", aria_label=said)


def _charts(name: str, pictures: Pictures, solves: Mapping[str, Sequence[Phase]]) -> Html:
    """The loss with its terms in each phase of each solve, and the data misfit alone."""
    charts: list[Html] = []
    for method, found in solves.items():
        whose = f"{method}: " if len(solves) > 1 else ""
        drawn = [phase for phase in found if _lines(phase)]
        for number, phase in enumerate(drawn, 1):
            where = f", phase {number} of {len(drawn)}" if len(drawn) > 1 else ""
            title = f"{whose}loss and its terms{where}"
            at = f"{name}-chart-{len(charts) + 1}"
            charts.append(line_chart(at, _capital(title), _lines(phase), "step", "loss"))
            noise = pictures.shown.scores.get("noise_misfit")
            if "misfit" in phase.terms and (len(phase.terms) > 2 or noise):
                alone = [line for line in _lines(phase) if line.name == "misfit"]
                if noise:
                    ends = [alone[0].points[0][0], alone[0].points[-1][0]]
                    alone.append(Line("that of the noise alone", [(at, noise) for at in ends]))
                title, at = f"{whose}data misfit{where}", f"{name}-chart-{len(charts) + 1}"
                charts.append(line_chart(at, _capital(title), alone, "step", "data misfit"))
    return tag("div", *charts, class_="charts") if charts else Html()


def _lines(phase: Phase) -> list[Line]:
    """The terms of a phase that are numbers somewhere; none of them where it has but one step."""
    known = {
        term: points
        for term, points in phase.terms.items()
        if len(points) > 1 and any(value is not None for _, value in points)
    }
    if len(known) == 2:  # a single term is the total
        known.pop("total", None)
    return [Line(term, points) for term, points in known.items()]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _summary(shown: Shown) -> str:
    """The scores of an image in one line."""
    known = [score for score in SCORES if shown.scores.get(score.name) is not None]
    return " · ".join(f"{score.title} {score_text(score, shown.scores)}" for score in known)


def _meaning(title: str) -> str:
    """What a picture of the measurement shows."""
    if title.startswith("pseudo"):
        return "what fits the measurements, without a prior"
    if " / " in title:
        return "what was measured, as a share of what a white image gives"
    return "what was measured"


def _picture(image: torch.Tensor) -> Image.Image:
    return to_pillow(image.nan_to_num())


def _is_wide(view: View) -> bool:
    return view.picture.width > 2 * view.picture.height


def _alike(one: Image.Image, other: Image.Image) -> bool:
    """Whether two pictures have the same proportions."""
    return one.width * other.height == one.height * other.width
