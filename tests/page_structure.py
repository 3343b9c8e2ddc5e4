"""The structure of a page as a parser sees it, and what every report has to keep."""

from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import pairwise

VOID = {"meta", "img", "input", "br", "link", "hr", "col"}


@dataclass
class Element:
    name: str
    attributes: dict[str, str | None]
    parents: tuple["Element", ...]
    texts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


class Page(HTMLParser):
    """All elements of a page, in order, with all text inside each."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(text)
        self.close()
        assert not self._open, f"{self._open[-1].name} is not closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, dict(attrs), tuple(self._open))
        assert len(element.attributes) == len(attrs), f"{tag} has an attribute twice"
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self._open and self._open[-1].name == tag, f"</{tag}> closes nothing"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.texts.append(data)

    def all(self, name: str) -> list[Element]:
        return [element for element in self.elements if element.name == name]

    def of_class(self, name: str) -> list[Element]:
        return [one for one in self.elements if name in (one.attributes.get("class") or "").split()]

    def by_id(self, name: str) -> Element:
        (found,) = [one for one in self.elements if one.attributes.get("id") == name]
        return found


def check_structure(text: str) -> Page:
    """Assert what holds of every page: nothing outside it, and names for all that has none."""
    page = Page(text)
    for element in page.elements:
        for name in ("src", "href", "action", "data", "poster", "srcset", "xlink:href"):
            value = element.attributes.get(name)
            local = value is None or value.startswith(("#", "data:image/", "runs/"))
            assert local, f"{element.name} has {name}={value!r}"
        assert not any(name.startswith("on") for name in element.attributes), element
    assert "@import" not in text and "url(http" not in text and "//fonts" not in text
    for image in page.all("img"):
        assert image.attributes.get("alt"), image.attributes
    for entry in [*page.all("input"), *page.all("select")]:
        labels = [one for one in entry.parents if one.name == "label"]
        assert labels and labels[0].text, entry.attributes
    for button in page.all("button"):
        assert button.text
    ids = Counter(one.attributes["id"] for one in page.elements if "id" in one.attributes)
    assert all(count == 1 for count in ids.values()), ids.most_common(3)
    for element in page.elements:
        for name in ("aria-labelledby", "for"):
            for named in (element.attributes.get(name) or "").split():
                assert named in ids, f"{element.name} names {named!r}, which is nowhere"
        target = element.attributes.get("href") or ""
        assert not target.startswith("#") or target[1:] in ids, target
    levels = [int(one.name[1]) for one in page.elements if one.name in {"h1", "h2", "h3", "h4"}]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert page.all("html")[0].attributes["lang"] == "en"
    return page
