"""The reference of the public names, which autodoc fills from docstrings."""

import importlib
import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

import invprob
from invprob.registry import registered_name
from pages.text import write

MODULES = (
    *(name for name in sorted(invprob.__all__) if isinstance(getattr(invprob, name), ModuleType)),
    "priors.parts",
)


def write_pages(target: Path) -> None:
    """Write `api/MODULE.rst` for invprob and each of its public modules, and the index."""
    own = {
        name: getattr(invprob, name)
        for name in sorted(invprob.__all__)
        if not isinstance(getattr(invprob, name), ModuleType)
    }
    write(target / "api" / "invprob.rst", _page("invprob", invprob, own))
    seen = {id(entry) for entry in own.values()}
    names = ["invprob"]
    for name in MODULES:
        module = importlib.import_module(f"invprob.{name}")
        entries = {key: entry for key, entry in _public(module).items() if id(entry) not in seen}
        seen |= {id(entry) for entry in entries.values()}
        names.append(f"invprob.{name}")
        write(target / "api" / f"invprob.{name}.rst", _page(f"invprob.{name}", module, entries))
    listed = "\n".join(f"   {name}" for name in names)
    write(
        target / "api" / "index.rst",
        f"{_title('Python reference')}\nThe public names. Everything else may change without "
        f"notice.\n\n.. toctree::\n   :maxdepth: 1\n\n{listed}\n",
    )


def _public(module: ModuleType) -> dict[str, Any]:
    """Return the names of a module that are written in it or in a module below it."""
    listed = getattr(module, "__all__", None) or sorted(vars(module))
    return {
        name: vars(module)[name]
        for name in listed
        if not name.startswith("_")
        and not isinstance(vars(module)[name], ModuleType)
        and str(getattr(vars(module)[name], "__module__", "")).startswith(module.__name__)
    }


def _page(place: str, module: ModuleType, entries: dict[str, Any]) -> str:
    parts = [
        _title(place),
        f".. py:module:: {place}\n",
        f"{inspect.cleandoc(module.__doc__ or '')}\n",
    ]
    own = {name: entry for name, entry in entries.items() if not _has_a_page(entry)}
    pages = {name: entry for name, entry in entries.items() if _has_a_page(entry)}
    functions = {name: entry for name, entry in own.items() if inspect.isroutine(entry)}
    classes = {name: entry for name, entry in own.items() if inspect.isclass(entry)}
    rest = {name: own[name] for name in own if name not in {**functions, **classes}}
    for title, kind, group in (
        ("Functions", "autofunction", functions),
        ("Classes", "autoclass", classes),
        ("Further names", "autodata", rest),
    ):
        if group:
            parts.append(_title(title, "-"))
        for name in group:
            members = "   :members:\n" if kind == "autoclass" else ""
            parts.append(f".. {kind}:: {place}.{name}\n{members}")
    if pages:
        parts.append(_title("Registered operators", "-"))
        parts += [
            f"- :doc:`{name} </generated/operators/{registered_name(entry)}>`"
            for name, entry in pages.items()
        ]
    return "\n".join(parts) + "\n"


def _has_a_page(entry: Any) -> bool:
    return entry in list(invprob.register.operator.values())


def _title(text: str, line: str = "=") -> str:
    return f"{text}\n{line * len(text)}\n"
