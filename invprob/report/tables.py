"""Tables that sort and filter in the page; without the script they are plain tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from invprob.report.markup import Html, joined, scrolling, tag


@dataclass(frozen=True)
class Column:
    """A column of a sortable table.

    Args:
        title: its header.
        kind: how its cells are put in order; "picture" is not sorted.
        choices: whether readers can choose rows by its values.
    """

    title: str
    kind: Literal["text", "number", "picture"] = "text"
    choices: bool = False


@dataclass(frozen=True)
class Cell:
    """A cell of a sortable table.

    Args:
        content: what is shown.
        value: what it is put in order by, where that is not its text; unknown values come last.
    """

    content: str
    value: float | None = None


def sortable(
    name: str, columns: Sequence[Column], rows: Sequence[Sequence[Cell]], *, caption: str
) -> Html:
    """A table whose headers sort it, with a filter for each column that has choices.

    Args:
        name: an id, which is used once in a page.
        columns: of the table.
        rows: of cells, one for each column.
        caption: what the table shows.
    """
    head = tag("tr", *(_header(column) for column in columns))
    body = [tag("tr", *map(_cell, columns, row)) for row in rows]
    shown = tag(
        "table",
        tag("caption", caption),
        tag("thead", head),
        tag("tbody", *body),
        class_="sortable",
        id=name,
    )
    return joined([_filters(name, columns, rows), scrolling(shown, caption)])


def _header(column: Column) -> Html:
    if column.kind == "picture":
        return tag("th", column.title, scope="col")
    button = tag("button", column.title, type="button")
    return tag("th", button, scope="col", aria_sort="none", data_kind=column.kind)


def _cell(column: Column, cell: Cell) -> Html:
    if column.kind != "number":
        return tag("td", cell.content)
    value = None if cell.value is None else f"{cell.value:.9g}"
    return tag("td", cell.content, class_="number", data_value=value)


def _filters(name: str, columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> Html:
    """A field for words, and a choice among the values of each column that has choices."""
    words = tag("input", type="search", data_filter="words")
    chosen = [tag("label", "Rows with the words", words)]
    for at, column in enumerate(columns):
        if column.choices:
            values = dict.fromkeys(row[at].content for row in rows)
            options = [tag("option", "(any)", value=""), *(tag("option", one) for one in values)]
            chosen.append(tag("label", column.title, tag("select", *options, data_filter=at)))
    count = tag("p", f"{len(rows)} of {len(rows)} rows", role="status", class_="count faint")
    return joined([tag("div", *chosen, class_="filters", data_table=name), count])
