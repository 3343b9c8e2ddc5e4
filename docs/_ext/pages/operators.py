"""One page for each operator, and one for noise, from the registers."""

import inspect
from collections import defaultdict
from pathlib import Path
from typing import Any

import invprob
from pages.program import answer
from pages.text import contents, docstring, options_table, table, title_of, write


def write_pages(target: Path) -> None:
    """Write `operators/NAME.md`, their index with pictures, and `noise.md`."""
    pictures = target / "pictures" / "operators"
    if not (pictures / "gallery.png").is_file():  # to draw them anew, remove docs/generated
        answer("gallery", "--out", str(pictures), "--overwrite")
    for name, entry in invprob.register.operator.items():
        write(target / "operators" / f"{name}.md", _page(name, entry))
    write(target / "operators" / "index.md", _index())
    write(target / "noise.md", _noise())


def _page(name: str, entry: Any) -> str:
    about = answer("operators", name)
    first, rest = docstring(entry)
    return f"""# {name}

{first}

![What {name} does to a picture](../pictures/operators/{name}.png)

*{about["kind"].capitalize()}.*

{rest}

## Options

{options_table(about["options"])}
## Use

```sh
{about["example"]}
```

```{{py:class}} {_signature(entry)}
:no-index-entry:

The same from Python. `image_shape` is (channels, height, width).
```
"""


def _signature(entry: Any) -> str:
    """Return the constructor's signature without annotations, which the table explains."""
    given = inspect.signature(entry)
    plain = given.replace(
        parameters=[
            parameter.replace(annotation=parameter.empty) for parameter in given.parameters.values()
        ],
        return_annotation=given.empty,
    )
    public = hasattr(invprob.operators, entry.__qualname__)
    home = "invprob.operators" if public else entry.__module__
    return f"{home}.{entry.__qualname__}{plain}"


def _index() -> str:
    groups: dict[str, list[str]] = defaultdict(list)
    for name, entry in invprob.register.operator.items():
        groups[entry.__module__].append(name)
    parts = [
        "# Operators\n",
        "An operator says how an image is measured. Each has a page with its formula, its options, "
        "a picture and a command. Operators are combined with `@`: `A @ B` is `B`, then `A`. On "
        "the command line, repeat `--operator` in reading order: "
        "`--operator circulant --operator rotate` is `circulant @ rotate`.\n",
        "![What each operator does to a face](../pictures/operators/gallery.png)\n",
        "*A measurement that is no picture is shown as its pseudo-inverse.*\n",
    ]
    for module, names in groups.items():
        title = title_of(module)
        rows = []
        for name in names:
            entry = invprob.register.operator[name]
            kind = "linear" if entry.linear else "not linear"
            rows.append([f"[{name}]({name}.md)", docstring(entry)[0], kind])
        parts += [f"## {title}\n", table(["operator", "what it measures", ""], rows)]
    return "\n".join([*parts, contents(sorted(invprob.register.operator))])


def _noise() -> str:
    parts = [
        "# Noise\n",
        "Noise is added to what an operator measures. It has its own option, `--noise NAME`, and "
        "its own class in Python. `sigma` and similar strengths are in the units of the "
        "measurement; images lie in [-1, 1].\n",
    ]
    for name, entry in invprob.register.noise.items():
        about = answer("operators", name)
        first, rest = docstring(entry)
        parts += [
            f"## {name}\n",
            f"{first}\n",
            f"{rest}\n" if rest else "",
            options_table(about["options"]),
            f"```sh\n{about['example']}\n```\n",
        ]
    return "\n".join(parts)
