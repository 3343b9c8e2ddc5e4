"""The public functions and classes: those of the reference, and what the guides call besides."""

import importlib
import inspect
from types import ModuleType
from typing import Any

import invprob

PUBLIC = (
    *(name for name in sorted(invprob.__all__) if isinstance(getattr(invprob, name), ModuleType)),
    "callbacks",
    "measurements",
    "perceptual.distance",
    "priors.parts",
    "run.images",
    "run.samples",
    "solver.lbfgs",
    "solver.loop",
    "solver.optimisers",
    "solver.primal_dual",
    "solver.restarts",
    "solver.rule",
    "solver.solution",
    "solver.split",
    "solver.stages",
    "solver.stopping",
    "solver.task",
)


def public_names() -> dict[str, Any]:
    """Functions and classes by their place, each once; exceptions and constants are left out."""
    found = {name: getattr(invprob, name) for name in invprob.__all__}
    for place in PUBLIC:
        module = importlib.import_module(f"invprob.{place}")
        for name in getattr(module, "__all__", None) or sorted(vars(module)):
            entry = vars(module)[name]
            own = str(getattr(entry, "__module__", "")).startswith(module.__name__)
            if own and not name.startswith("_"):
                found[f"{place}.{name}"] = entry
    once = {id(entry): (name, entry) for name, entry in reversed(found.items())}
    return {
        name: entry
        for name, entry in sorted(once.values(), key=lambda pair: pair[0])
        if (inspect.isclass(entry) or inspect.isfunction(entry))
        and not (inspect.isclass(entry) and issubclass(entry, BaseException))
    }
