"""Reports in a real browser: nothing is loaded or complained of, and everything can be used."""

from pathlib import Path
from typing import Any

import pytest
from browser import CONTRAST, opened


def cut(page: Any) -> float:
    """Where the divider is drawn, as a share of the stage's width."""
    share: float = page.evaluate(
        """() => {
          const box = document.querySelector(".stage").getBoundingClientRect();
          const bar = document.querySelector(".stage .bar").getBoundingClientRect();
          return (bar.left + bar.width / 2 - box.left) / box.width;
        }"""
    )
    return share


def test_the_slider_moves_by_keyboard_and_by_pointer(chromium: Any, one: Path) -> None:
    with opened(chromium, one / "report.html") as page:
        assert cut(page) == pytest.approx(0.5, abs=0.01)
        page.focus(".cut")
        for _ in range(5):
            page.keyboard.press("ArrowRight")
        assert cut(page) == pytest.approx(0.55, abs=0.01)
        page.keyboard.press("Home")
        assert cut(page) == pytest.approx(0.0, abs=0.01)
        page.locator(".stage").scroll_into_view_if_needed()
        box = page.locator(".stage").bounding_box()
        page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 20)
        page.mouse.down()
        page.mouse.up()
        assert cut(page) == pytest.approx(0.3, abs=0.02)
        assert "30 %" in page.get_attribute(".cut", "aria-valuetext")


def test_left_of_the_divider_is_the_one_picture_and_right_of_it_the_other(
    chromium: Any, one: Path
) -> None:
    with opened(chromium, one / "report.html") as page:
        page.focus(".cut")
        page.get_by_label("restored | truth").check()
        sources = page.evaluate(
            """() => ["restored", "truth"].map(key =>
              document.querySelector(`.panels [data-key=${key}]`).src ===
              document.querySelector(`.stage [data-key=${key}]`).src)"""
        )
        assert sources == [True, True]
        left = page.locator(".stage .left")
        assert left.get_attribute("data-key") == "restored"
        assert "50%" in left.evaluate("one => getComputedStyle(one).clipPath")
        assert page.get_attribute(".stage", "aria-label") == "Left: restored. Right: truth."


def test_a_window_of_grey_values_is_applied_and_taken_back(chromium: Any, one: Path) -> None:
    with opened(chromium, one / "report.html") as page:
        page.get_by_label("Invert").check()
        shown = "one => [one.style.filter, document.querySelector('#window feFuncR').outerHTML]"
        style, function = page.locator(".panels [data-key=truth]").evaluate(shown)
        assert "#window" in style and 'slope="-1"' in function and 'intercept="1"' in function
        assert page.locator(".panels [data-key=error]").evaluate(shown)[0] == ""
        page.get_by_role("button", name="Reset").click()
        assert page.locator(".panels [data-key=truth]").evaluate(shown)[0] == ""


def test_pointing_at_a_picture_reads_its_values(chromium: Any, one: Path) -> None:
    with opened(chromium, one / "report.html") as page:
        panel = page.locator(".panels [data-key=truth]")
        panel.scroll_into_view_if_needed()
        panel.hover(position={"x": 1, "y": 1})
        said = page.inner_text(".readout")
        assert said.startswith("column 0, row 0: truth ") and "restored" in said


def test_a_table_sorts_and_filters_by_keyboard(chromium: Any, several: Path) -> None:
    with opened(chromium, several / "report.html") as page:

        def column(number: int) -> list[str]:
            cells = f"#all-images tbody tr:not([hidden]) td:nth-child({number})"
            return list(page.locator(cells).all_inner_texts())

        first = column(3)
        page.locator("#all-images th:nth-child(3) button").focus()
        page.keyboard.press("Enter")
        values = [float(text.split()[0]) for text in column(3)]
        assert values == sorted(values) and sorted(first) == sorted(column(3))
        header = page.locator("#all-images th:nth-child(3)")
        assert header.get_attribute("aria-sort") == "ascending"
        page.keyboard.press("Enter")
        assert [float(text.split()[0]) for text in column(3)] == values[::-1]
        assert header.get_attribute("aria-sort") == "descending"
        page.get_by_label("Rows with the words").fill("ret")
        assert column(2) == ["retina"]
        assert page.inner_text(".count") == "1 of 3 rows"


def test_the_command_is_copied(chromium: Any, one: Path) -> None:
    with opened(chromium, one / "report.html") as page:
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.locator("button.copy").click()
        copied = page.evaluate("navigator.clipboard.readText()")
        assert copied == f"invprob solve --config {one}/config.toml --out again"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1200])
def test_texts_have_contrast_and_fit(chromium: Any, several: Path, scheme: str, width: int) -> None:
    with opened(chromium, several / "report.html", width=width, scheme=scheme) as page:
        page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
        seen = page.evaluate(CONTRAST)
        assert seen["found"] == [] and seen["seen"] > 200
        assert page.evaluate("document.documentElement.scrollWidth") <= width
