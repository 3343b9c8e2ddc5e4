"""The page that every report is: one HTML file which loads nothing, with its styles and script.

The browser is told to refuse whatever lies outside the file, so that looking at a report never
tells anybody of it.
"""

from importlib.resources import files
from pathlib import Path

from invprob.files import atomic_write
from invprob.report.markup import Html, tag
from invprob.version import __version__

REPORT = "report.html"  # in the folder of a run or a sweep
POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'"
)


def write_page(title: str, content: Html, path: Path) -> None:
    """Write a page.

    Args:
        title: its name, for the browser's tab.
        content: what is in it; the first heading is of level 1.
        path: the file; one of that name is replaced.

    Raises:
        FileError: the file cannot be written. Then there is no half of it.
    """
    with atomic_write(path) as temporary:
        temporary.write_text(page(title, content), "utf-8")


def page(title: str, content: Html) -> str:
    """The text of a page; arguments as `write_page`."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="generator", content=f"invprob {__version__}"),
        tag("title", title),
        tag("style", Html(_source("report.css"))),
    )
    body = tag(
        "body",
        tag("a", "Skip to the content", href="#content", class_="skip"),
        tag("main", content, id="content"),
        tag("footer", f"Written by invprob {__version__}. This file needs no network."),
        tag("script", Html(_source("report.js"))),
    )
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"


def contents(sections: list[tuple[str, str]]) -> Html:
    """Links to the sections of the page, each given by its id and its title."""
    links = [tag("li", tag("a", title, href=f"#{name}")) for name, title in sections]
    return tag("nav", tag("ul", *links), aria_label="Contents")


def section(name: str, title: str, *content: str) -> Html:
    """A part of the page under a heading of level 2.

    Args:
        name: its id, which is used once in a page.
        title: its heading.
        content: what follows.
    """
    heading = tag("h2", title, id=f"{name}-title")
    return tag("section", heading, *content, id=name, aria_labelledby=f"{name}-title")


def command(line: str) -> Html:
    """A command line, with a button that copies it."""
    button = tag("button", "Copy", type="button", class_="copy", aria_label="Copy the command")
    return tag("div", tag("code", line), button, class_="command")


def notice(*content: str) -> Html:
    """Something to know before anything else."""
    return tag("p", *content, class_="notice")


def _source(name: str) -> str:
    return (files("invprob.report") / name).read_text("utf-8")
