"""Small pieces of Markdown: tables, docstrings, links to papers."""

import importlib
import inspect
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def write(path: Path, text: str) -> None:
    """Write a file unless it holds that text already, so that Sphinx reads only what changed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.is_file() or path.read_text("utf-8") != text:
        path.write_text(text, "utf-8")


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def docstring(entry: Any) -> tuple[str, str]:
    """Split a docstring into its first sentence and the rest.

    The arguments are left out, because they stand in a table of their own, and so is what is
    returned, which is the same for all entries of a register.
    """
    first, _, rest = inspect.cleandoc(entry.__doc__ or "").partition("\n\n")
    blocks = re.split(r"^(Args|Returns|Raises):\n", rest, flags=re.MULTILINE)
    told = [blocks[0].strip()]
    for name, block in zip(blocks[1::2], blocks[2::2], strict=True):
        if name == "Raises":
            told.append(f"Raises {' '.join(block.split())}")
    return with_links(" ".join(first.split())), with_links("\n\n".join(filter(None, told)))


def title_of(module: str) -> str:
    """Return what a module is about: the beginning of its docstring, up to the first mark."""
    return re.split(r"[:;,.(\n]", importlib.import_module(module).__doc__ or module)[0].strip()


def with_links(text: str) -> str:
    """Link every arXiv number to the paper."""
    return re.sub(r"arXiv:(\d{4}\.\d{4,5})", r"[arXiv:\1](https://arxiv.org/abs/\1)", text)


def options_table(options: Sequence[dict[str, Any]]) -> str:
    """Return the table of a register's options, as `invprob operators NAME --json` lists them."""
    if not options:
        return "None.\n"
    return table(
        ["option", "meaning", "default"],
        [[f"`{_flag(option)}`", option["help"], _default(option)] for option in options],
    )


def _flag(option: dict[str, Any]) -> str:
    named = f"--{option['name'].replace('_', '-')}"
    if option["choices"]:
        return f"{named} {'|'.join(map(str, option['choices']))}"
    kind = {"int": "INTEGER", "float": "NUMBER", "str": "TEXT", "bool": "true|false"}
    return f"{named} {kind[option['type']]}"


def _default(option: dict[str, Any]) -> str:
    if option["required"]:
        return "required"
    if option["default"] == "auto":
        return "[chosen for you](/policy.md)"
    return "none" if option["default"] is None else f"`{option['default']}`"


def contents(pages: Sequence[str]) -> str:
    """Return a hidden table of contents, which the sidebar shows."""
    return "\n".join(["```{toctree}", ":hidden:", "", *pages, "```"]) + "\n"
