"""Charts: what is drawn lies where its numbers say, and boxes are those of matplotlib."""

import math
import re

import numpy as np
import pytest
from matplotlib.cbook import boxplot_stats
from page_structure import Element, Page

from invprob.report.axes import Linear, Logarithmic, scale_for
from invprob.report.charts import Line, box_chart, line_chart
from invprob.report.markup import Html, marked, tag


def number(element: Element, name: str) -> float:
    value = element.attributes[name]
    assert value is not None
    return float(value)


def axis(page: Page, across: bool) -> tuple[np.ndarray, np.ndarray]:
    """The marks of an axis: their numbers, and where their grid lines are."""
    lines, texts = page.of_class("grid"), page.all("text")
    kept = [one for one in lines if (number(one, "x1") == number(one, "x2")) is across]
    anchor = "middle" if across else "end"
    marks = [
        one
        for one in texts
        if one.attributes.get("text-anchor") == anchor and re.fullmatch(r"[-\d.e]+", one.text)
    ]
    places = [number(one, "x1" if across else "y1") for one in kept]
    return np.array([float(one.text) for one in marks]), np.array(places)


@pytest.mark.parametrize("values", [[0.0, 3.0, -1.0, 2.5], [5.0, 0.01, 200.0, 3.0]])
def test_a_line_goes_through_its_points(values: list[float]) -> None:
    points = list(enumerate(values, 10))
    page = Page(line_chart("a", "A line", [Line("one", points)], "step", "loss"))
    logarithmic = min(values) > 0
    for across, expected in ((True, range(10, 14)), (False, values)):
        marks, places = axis(page, across)
        known = np.asarray(expected, float)
        if logarithmic and not across:
            marks, known = np.log(marks), np.log(known)
        slope, offset = np.polyfit(marks, places, 1)
        (line,) = page.all("polyline")
        drawn = np.array([pair.split(",") for pair in str(line.attributes["points"]).split()])
        found = drawn.astype(float)[:, 0 if across else 1]
        assert found == pytest.approx(slope * known + offset, abs=0.2)
    assert ("logarithmic" in page.all("svg")[0].text) is logarithmic


def test_a_line_has_gaps_where_it_has_no_number() -> None:
    points = [(1, 1.0), (2, 2.0), (3, None), (4, math.nan), (5, 2.0), (6, 1.0)]
    page = Page(line_chart("a", "A line", [Line("one", points)], "step", "loss"))
    assert [len(str(one.attributes["points"]).split()) for one in page.all("polyline")] == [2, 2]
    assert [one.text for one in page.all("td")].count("–") == 2


def test_boxes_are_those_of_matplotlib() -> None:
    values = np.random.default_rng(0).standard_t(2, 40).tolist()
    (expected,) = boxplot_stats(values)
    page = Page(box_chart("a", "Boxes", {"one": values}, "PSNR"))
    slope, offset = np.polyfit(*axis(page, True), 1)
    box = next(one for one in page.all("rect"))
    left, right = number(box, "x"), number(box, "x") + number(box, "width")
    whisker, median = [one for one in page.all("line") if "stroke" in str(one.attributes["class"])]
    found = [number(whisker, "x1"), left, number(median, "x1"), right, number(whisker, "x2")]
    wanted = [expected[name] for name in ("whislo", "q1", "med", "q3", "whishi")]
    assert found == pytest.approx([slope * value + offset for value in wanted], abs=0.3)
    outside = sorted(number(one, "cx") for one in page.all("circle"))
    fliers = sorted(slope * value + offset for value in expected["fliers"])
    assert len(fliers) > 0 and outside == pytest.approx(fliers, abs=0.3)


@pytest.mark.parametrize("values", [[3.0], [0.0, 0.0], [1.0, 1.0], [-2.0], [1e-9, 2e-9], [0, 1e6]])
def test_every_scale_has_room_and_marks(values: list[float]) -> None:
    scale = scale_for(values)
    assert all(0 < scale.place(value) < 1 for value in values)
    assert len(scale.marks()) >= 2
    assert all(-1e-9 <= scale.place(mark) <= 1 + 1e-9 for mark in scale.marks())


@pytest.mark.parametrize("low, high", [(1, 21), (1e-8, 1), (3, 80), (0.5, 1e12)])
def test_logarithmic_marks_are_few_and_inside(low: float, high: float) -> None:
    marks = Logarithmic(low, high).marks()
    assert 2 <= len(marks) <= 7 and low <= min(marks) and max(marks) <= high
    assert Linear(low, high).place((low + high) / 2) == pytest.approx(0.5)


def test_text_is_escaped_and_html_is_not() -> None:
    assert tag("p", "a < b & c", Html("<b>d</b>")) == "<p>a &lt; b &amp; c<b>d</b></p>"
    assert tag("img", alt="\"'<>&", hidden=True, width=None) == (
        '<img alt="&quot;&#x27;&lt;&gt;&amp;" hidden>'
    )
    assert marked("see `a<b`.") == "see <code>a&lt;b</code>."
