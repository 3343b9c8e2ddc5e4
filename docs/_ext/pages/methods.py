"""One page for each method, from the register, and one for the rules that stop a solve."""

import shutil
from collections import defaultdict
from pathlib import Path
from typing import Any

import invprob
from invprob.methods import make, needs_generator
from invprob.priors import Generator, StyleGANPrior, load_generator
from invprob.registry import options_of
from pages.copies import ROOT
from pages.program import answer
from pages.text import contents, docstring, options_table, table, title_of, write

PICTURES = ROOT / "examples" / "figures" / "methods"


def write_pages(target: Path) -> None:
    """Write `methods/NAME.md`, their index, and `stopping.md`."""
    pictures = target / "pictures" / "methods"
    pictures.mkdir(parents=True, exist_ok=True)
    for picture in PICTURES.glob("*.webp"):
        shutil.copyfile(picture, pictures / picture.name)
    generator = load_generator("faces-128")
    for name, entry in invprob.register.method.items():
        write(target / "methods" / f"{name}.md", _page(name, entry, generator, pictures))
    write(target / "methods" / "index.md", _index())
    write(target / "stopping.md", _stopping())


def _page(name: str, entry: Any, generator: Generator, pictures: Path) -> str:
    about = answer("methods", name)
    first, rest = docstring(entry)
    picture = (
        f"![A face and a retina restored by {name}](../pictures/methods/{name}.webp)"
        "{width=512px}\n\n"
        "*A face and a retina, restored from the same pictures four times smaller, with the "
        "method's own settings. [The truth and all "
        "figures](../repository/examples/results/methods.md).*\n"
        if (pictures / f"{name}.webp").is_file()
        else ""
    )
    return f"""# {name}

{first}

{picture}
{rest}

{_stages(name, generator)}
## Options

{options_table(about["options"])}
## Use

```sh
{about["example"]}
```

```python
solution = invprob.restore(measurements, method="{name}")
```
"""


def _stages(name: str, generator: Generator) -> str:
    """Return the section about a method's stages: what moves, by which loss and optimiser."""
    recipe = make(name, generator if needs_generator(name) else None, generator.image_shape)
    if recipe.contest is not None:
        return "[The method that the data choose](/auto.md) tells how.\n\n"
    rows = []
    for number, stage in enumerate(recipe.stages, 1):
        prior = stage.prior
        moved = (
            [_linked(type(part)) for part in (prior.style, prior.content, prior.noise)]
            if isinstance(prior, StyleGANPrior)
            else [type(prior).__name__, "", ""]
        )
        terms = ", ".join(f"{term.weight:g} {term.name}" for term in stage.terms)
        rows.append([str(number), *moved, terms, type(stage.optimiser).__name__, str(stage.steps)])
    header = ["stage", "style", "content", "noise maps", "loss", "optimiser", "steps"]
    notes = "".join(f"\n*Note: {note}.*\n" for note in recipe.notes)
    about = "Where the whole image is measured without noise, with the generator `faces-128`:"
    return f"## What moves\n\n{about}\n\n{table(header, rows)}{notes}\n"


def _linked(part: type) -> str:
    """Return the name of a part, linked to the reference where that has it."""
    public = hasattr(invprob.priors.parts, part.__name__)
    return f"{{py:class}}`~invprob.priors.parts.{part.__name__}`" if public else part.__name__


def _index() -> str:
    groups: dict[str, list[str]] = defaultdict(list)
    for name, entry in invprob.register.method.items():
        groups[entry.__module__].append(name)
    parts = [
        "# Methods\n",
        "A method says what is moved to fit the measurements, and how. A StyleGAN draws an image "
        "from styles, a content tensor and noise maps. Each method is a choice of these three, "
        "with a start, a loss, an optimiser and stages. "
        "[Choosing a method](/choosing.md) says which to take when.\n",
    ]
    for module, names in groups.items():
        title = title_of(module)
        rows = [
            [f"[{name}]({name}.md)", docstring(invprob.register.method[name])[0]] for name in names
        ]
        parts += [f"## {title}\n", table(["method", "what it is"], rows)]
    return "\n".join([*parts, contents(sorted(invprob.register.method))])


def _stopping() -> str:
    parts = [
        "# Stopping rules\n",
        "`--stop NAME` ends a solve before its steps are spent. No rule sees the true image.\n",
    ]
    for name, entry in invprob.register.stop.items():
        first, rest = docstring(entry)
        options = [{**vars(option), "type": option.type.__name__} for option in options_of(entry)]
        parts += [f"## {name}\n", f"{first}\n", f"{rest}\n", options_table(options)]
    return "\n".join(parts)
