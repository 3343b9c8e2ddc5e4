"""HTML from Python: `tag("p", "a < b", class_="note")` is `<p class="note">a &lt; b</p>`.

Text is escaped unless it is `Html`, so that what a user wrote can never become a part of the page's
structure.
"""

from collections.abc import Iterable, Sequence
from html import escape
from typing import TypeAlias

Attribute: TypeAlias = str | int | float | bool | None

_VOID = frozenset({"br", "col", "hr", "img", "input", "link", "meta"})


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def tag(name: str, /, *children: str, **attributes: Attribute) -> Html:
    """An element of HTML or SVG.

    Args:
        name: the element's name.
        children: what is in it; text is escaped, `Html` is not.
        attributes: True writes the name alone; None and False leave the attribute out. An
            underscore stands for a hyphen, and one at the end for nothing: `class_`, `for_`.
    """
    written = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{joined(children)}</{name}>")


def joined(children: Iterable[str]) -> Html:
    """Several pieces, one after another; text is escaped, `Html` is not."""
    return Html("".join(one if isinstance(one, Html) else escape(one) for one in children))


def table(
    titles: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    caption: str,
) -> Html:
    """A table, in a frame that scrolls sideways where the page is narrow.

    Args:
        titles: of the columns.
        rows: of cells; the first cell of a row is its header.
        caption: what the table shows, for readers who do not see it.
    """
    head = tag("tr", *(tag("th", title, scope="col") for title in titles))
    body = [
        tag("tr", tag("th", first, scope="row"), *(tag("td", cell) for cell in rest))
        for first, *rest in rows
    ]
    shown = tag(
        "table",
        tag("caption", caption),
        tag("thead", head),
        tag("tbody", *body),
        class_="prose",
    )
    return scrolling(shown, caption)


def scrolling(content: Html, label: str) -> Html:
    """A frame that scrolls sideways, by keyboard too."""
    return tag("div", content, class_="scroll", role="region", tabindex=0, aria_label=label)


def folded(summary: str, *content: str) -> Html:
    """Content that is shown once its summary is opened."""
    return tag("details", tag("summary", summary), *content)


def marked(text: str) -> Html:
    """Text of the package in which `backticks` mark code."""
    pieces = text.split("`")
    return joined(tag("code", one) if at % 2 else one for at, one in enumerate(pieces))


def _attribute(name: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    written = name.rstrip("_").replace("_", "-")
    return f" {written}" if value is True else f' {written}="{escape(str(value))}"'
