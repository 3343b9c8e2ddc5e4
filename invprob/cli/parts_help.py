"""The operators, noises and methods that `--help` lists, read from the source without torch.

Plugins are not among them; `invprob operators` and `invprob methods` list everything.
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
_NOT_OPTIONS = ("self", "image_shape", "seed", "setting", "steps")  # the run gives these


@dataclass(frozen=True)
class Described:
    """A registered class or function: its name, first docstring line, and options."""

    name: str
    purpose: str
    options: tuple[str, ...]


@functools.cache
def described(kind: str) -> tuple[Described, ...]:
    """All built-in entries of a kind, by name."""
    place = _PACKAGE / _PLACES[kind]
    files = sorted(place.glob("*.py")) if place.is_dir() else [place]
    found = (entry for file in files for entry in _registered(kind, file))
    return tuple(sorted(found, key=lambda entry: entry.name))


def parts_help() -> str:
    """What ends the `--help` of commands that take operators, in paragraphs."""
    paragraphs = [
        "An operator, a noise, a method and a stopping rule have options of their own, such as "
        "--ratio 0.01. If two of them have an option of the same name, write it with its owner: "
        "--operator rotate:degrees=10. Several --operator make a chain in reading order: the last "
        "one sees the image first.",
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
    paragraphs.append(
        "`invprob operators NAME` and `invprob methods NAME` explain them, plugins included."
    )
    return "\n\n".join(paragraphs)


def _line(entry: Described) -> str:
    options = " ".join("--" + name.replace("_", "-") for name in entry.options)
    return f"  {entry.name}: {entry.purpose}" + (f" {options}" if options else "")


def _registered(kind: str, file: Path) -> Iterator[Described]:
    text = file.read_text("utf-8")
    if f"@register.{kind}(" not in text:
        return  # parsing takes time
    for node in ast.parse(text).body:
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
    return (argument.arg for argument in arguments if argument.arg not in _NOT_OPTIONS)
