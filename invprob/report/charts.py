"""Charts as SVG within a page: lines over a number, and boxes. Beside each are its numbers.

They are drawn here because a page must not need a library, and matplotlib is optional. Colours are
classes, so that a page has other ones in the dark; lines differ in their dashes, too.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from invprob.report.axes import Scale, linear_for, scale_for, short
from invprob.report.markup import Html, folded, joined, table, tag

WIDTH, HEIGHT = 480, 270
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 26, 42
COLOURS = 8
DASHES = (None, "7 3", "2 3", "9 3 2 3")
ROW = 42  # the height of a box with its name
ROWS_SHOWN = 14  # of the table of a line chart


@dataclass(frozen=True)
class Line:
    """A line of a chart.

    Args:
        name: what it shows.
        points: (x, y) in the order of x; y is None where the line has a gap.
        band: (x, low, high) of a band around it, such as between quartiles.
    """

    name: str
    points: Sequence[tuple[float, float | None]]
    band: Sequence[tuple[float, float, float]] = field(default=())


def line_chart(name: str, title: str, lines: Sequence[Line], x: str, y: str) -> Html:
    """Lines over a number.

    Args:
        name: an id, which is used once in a page.
        title: what the chart shows.
        lines: what to draw; at least one point has a finite y.
        x: the title of the horizontal axis.
        y: the title of the vertical axis.
    """
    known = [value for line in lines for _, value in line.points if _finite(value)]
    known += [end for line in lines for _, *ends in line.band for end in ends]
    across = linear_for([place for line in lines for place, _ in line.points])
    up = scale_for([value for value in known if value is not None])
    frame = _Frame(across, up, HEIGHT)
    drawn = [frame.grid(x, f"{y}{up.words}")]
    for index, line in enumerate(lines):
        drawn += _drawn(line, index, frame)
    said = f"{len(lines)} lines over {x}: {', '.join(line.name for line in lines)}."
    legend = tag("ul", *map(_key, range(len(lines)), lines), class_="legend")
    return _figure(name, title, said, drawn, HEIGHT, legend, _line_table(lines, x, title))


def box_chart(name: str, title: str, boxes: Mapping[str, Sequence[float]], x: str) -> Html:
    """A box for each group: median, quartiles, whiskers to 1.5 interquartile ranges, outliers.

    Args:
        name: an id, which is used once in a page.
        title: what the chart shows.
        boxes: finite values, one or more, by the name of their group.
        x: the title of the horizontal axis.
    """
    height = BOTTOM + ROW * len(boxes)
    across = scale_for([value for values in boxes.values() for value in values])
    frame = _Frame(across, None, height)
    drawn = [frame.grid(f"{x}{across.words}", "")]
    for index, (group, values) in enumerate(boxes.items()):
        top = ROW * index
        drawn += [tag("text", group, x=RIGHT, y=top + 15), *_box(values, index, top + 20, frame)]
    said = f"A box for each of {', '.join(boxes)}."
    rows = [
        [group, str(len(values)), *(short(number) for number in _five(values))]
        for group, values in boxes.items()
    ]
    titles = ["", "values", "least", "lower quartile", "median", "upper quartile", "most"]
    numbers = table(titles, rows, caption=title)
    return _figure(name, title, said, drawn, height, Html(), numbers)


class _Frame:
    """Where values lie in the drawing; `up` is None where rows take the place of an axis."""

    def __init__(self, across: Scale, up: Scale | None, height: int) -> None:
        self.left = LEFT if up is not None else RIGHT
        self.top = TOP if up is not None else 4
        self.across, self.up, self.height = across, up, height

    def x(self, value: float) -> float:
        """The horizontal place of a value, in the drawing's pixels."""
        return round(self.left + self.across.place(value) * (WIDTH - self.left - RIGHT), 1)

    def y(self, value: float) -> float:
        """The vertical place of a value, in the drawing's pixels."""
        assert self.up is not None
        return round(
            self.height - BOTTOM - self.up.place(value) * (self.height - self.top - BOTTOM), 1
        )

    def grid(self, x: str, y: str) -> Html:
        """The axes with their marks and titles."""
        floor, parts = self.height - BOTTOM, []
        for value in self.across.marks():
            at = self.x(value)
            parts.append(tag("line", x1=at, x2=at, y1=self.top, y2=floor, class_="grid"))
            parts.append(tag("text", short(value), x=at, y=floor + 16, text_anchor="middle"))
        for value in self.up.marks() if self.up is not None else ():
            at = self.y(value)
            parts.append(tag("line", x1=self.left, x2=WIDTH - RIGHT, y1=at, y2=at, class_="grid"))
            parts.append(tag("text", short(value), x=LEFT - 5, y=at + 4, text_anchor="end"))
        parts.append(tag("line", x1=self.left, x2=WIDTH - RIGHT, y1=floor, y2=floor, class_="axis"))
        middle = (self.left + WIDTH - RIGHT) / 2
        parts.append(tag("text", x, x=middle, y=self.height - 6, text_anchor="middle"))
        if y:
            parts.append(tag("text", y, x=4, y=14))
        return tag("g", *parts)


def _drawn(line: Line, index: int, frame: _Frame) -> list[Html]:
    """A line in pieces without gaps, with its band; a piece of one point is a dot."""
    colour, parts = f"c{index % COLOURS}", []
    if line.band:
        there = [f"{frame.x(x)},{frame.y(low)}" for x, low, _ in line.band]
        back = [f"{frame.x(x)},{frame.y(high)}" for x, _, high in reversed(line.band)]
        points = " ".join([*there, *back])
        parts.append(tag("polygon", points=points, class_=f"band fill {colour}"))
    pieces: list[list[tuple[float, float]]] = [[]]
    for x, y in line.points:
        if y is None or not math.isfinite(y):
            pieces.append([])
        else:
            pieces[-1].append((frame.x(x), frame.y(y)))
    for piece in filter(None, pieces):
        path = " ".join(f"{x:g},{y:g}" for x, y in piece)
        dash = DASHES[index % len(DASHES)]
        styled = f"line stroke {colour}"
        parts.append(tag("polyline", points=path, class_=styled, stroke_dasharray=dash))
        if len(line.points) <= 12 or len(piece) == 1:
            parts += [tag("circle", cx=x, cy=y, r=3, class_=f"fill {colour}") for x, y in piece]
    return parts


def _box(values: Sequence[float], index: int, top: float, frame: _Frame) -> list[Html]:
    """Tukey's box of some values, in a row that begins at `top`."""
    _, q1, median, q3, _ = _five(values)
    reach = 1.5 * (q3 - q1)
    inside = [value for value in values if q1 - reach <= value <= q3 + reach]
    outside = [value for value in values if not q1 - reach <= value <= q3 + reach]
    middle, bottom = top + 8, top + 16
    colour = f"stroke c{index % COLOURS}"
    low, high = frame.x(min(inside)), frame.x(max(inside))
    left, width = frame.x(q1), max(1.0, round(frame.x(q3) - frame.x(q1), 1))
    bar = frame.x(median)
    return [
        tag("line", x1=low, x2=high, y1=middle, y2=middle, class_=f"line {colour}"),
        tag("rect", x=left, y=top, width=width, height=16, class_=f"band fill {colour}"),
        tag("rect", x=left, y=top, width=width, height=16, class_=f"line {colour}"),
        tag("line", x1=bar, x2=bar, y1=top, y2=bottom, class_=f"line {colour}", stroke_width=4),
        *(
            tag("circle", cx=frame.x(one), cy=middle, r=3, class_=f"line {colour}")
            for one in outside
        ),
    ]


def _five(values: Sequence[float]) -> list[float]:
    """Least value, quartiles and largest value."""
    return [
        float(one) for one in np.quantile(np.asarray(values, np.float64), [0, 0.25, 0.5, 0.75, 1])
    ]


def _key(index: int, line: Line) -> Html:
    """A line of the legend."""
    dash = DASHES[index % len(DASHES)]
    styled = f"line stroke c{index % COLOURS}"
    drawn = tag("line", x1=0, x2=28, y1=5, y2=5, class_=styled, stroke_dasharray=dash)
    sample = tag("svg", drawn, viewBox="0 0 28 10", aria_hidden="true")
    return tag("li", sample, line.name)


def _line_table(lines: Sequence[Line], x: str, title: str) -> Html:
    """The numbers at some places, evenly among those that are drawn."""
    places = sorted({place for line in lines for place, _ in line.points})
    chosen = {round(at) for at in np.linspace(0, len(places) - 1, min(ROWS_SHOWN, len(places)))}
    values = [dict(line.points) for line in lines]
    rows = [
        [short(places[at]), *(_cell(line.get(places[at])) for line in values)]
        for at in sorted(chosen)
    ]
    some = "" if len(rows) == len(places) else f"; {len(rows)} of {len(places)} places"
    return table([x, *(line.name for line in lines)], rows, caption=f"{title}{some}")


def _figure(
    name: str, title: str, said: str, drawn: list[Html], height: int, legend: Html, numbers: Html
) -> Html:
    svg = tag(
        "svg",
        tag("title", title, id=f"{name}-title"),
        tag("desc", said, id=f"{name}-said"),
        *drawn,
        viewBox=f"0 0 {WIDTH} {height}",
        role="img",
        aria_labelledby=f"{name}-title {name}-said",
    )
    shown = joined([tag("figcaption", title), svg, legend, folded("Numbers", numbers)])
    return tag("figure", shown, class_="chart", id=name)


def _cell(value: float | None) -> str:
    return "–" if value is None or not math.isfinite(value) else short(value)


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
