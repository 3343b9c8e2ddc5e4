"""What operators, noise and methods there are, read from the source: help needs no torch.

Plugins are not seen here; `invprob operators` lists everything.
"""

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
_PLACES = {
    "operator": "operators",
    "noise": "operators",
    "method": "methods",
    "stop": "solver/stopping.py",
}
_GIVEN = ("self", "image_shape", "seed", "setting", "steps")


@dataclass(frozen=True)
class Described:
    """A registered class or function: its name, the first line said of it, its options."""

    name: str
    purpose: str
    options: tuple[str, ...]


@functools.cache
def described(kind: str) -> tuple[Described, ...]:
    """Every built-in of a kind, by name."""
    place = _PACKAGE / _PLACES[kind]
    files = sorted(place.glob("*.py")) if place.is_dir() else [place]
    found = (entry for file in files for entry in _registered(kind, file))
    return tuple(sorted(found, key=lambda entry: entry.name))


def parts_help() -> str:
    """The end of `--help` of commands that take operators, in paragraphs."""
    paragraphs = [
        "Options of operators, noise and methods are given by name (--ratio 0.01), or, where two "
        "parts have one of that name, at once: --operator rotate:degrees=10. A repeated --operator "
        "is a chain in reading order: the last one sees the image first.",
    ]
    titles = {
        "Operators": "operator",
        "Noise": "noise",
        "Methods": "method",
        "Rules for --stop": "stop",
    }
    for title, kind in titles.items():
        paragraphs.append(f"{title} (with their options):")
        paragraphs += [_line(entry) for entry in described(kind)]
    paragraphs.append("`invprob operators` and `invprob methods` say more, plugins included.")
    return "\n\n".join(paragraphs)


def _line(entry: Described) -> str:
    options = " ".join("--" + name.replace("_", "-") for name in entry.options)
    return f"  {entry.name}: {entry.purpose}" + (f" {options}" if options else "")


def _registered(kind: str, file: Path) -> Iterator[Described]:
    for node in ast.parse(file.read_text("utf-8")).body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef):
            continue
        for decorator in node.decorator_list:
            match decorator:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name("register"), attr=found),
                    args=[ast.Constant(value=str(name))],
                ) if found == kind:
                    purpose = (ast.get_docstring(node) or "").partition("\n")[0]
                    yield Described(name, purpose, tuple(_options(node)))


def _options(node: ast.ClassDef | ast.FunctionDef) -> Iterator[str]:
    if isinstance(node, ast.ClassDef):
        inits = [child for child in node.body if isinstance(child, ast.FunctionDef)]
        inits = [child for child in inits if child.name == "__init__"]
        arguments = [
            argument for init in inits for argument in (*init.args.args, *init.args.kwonlyargs)
        ]
    else:
        arguments = node.args.kwonlyargs
    return (argument.arg for argument in arguments if argument.arg not in _GIVEN)
