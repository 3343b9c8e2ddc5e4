"""Restore images from strange measurements with a generative prior.

Forward operators × priors × one generic solver. The names in `__all__` are the public surface. Each
is loaded when it is first used, so that `import invprob` and the command line's help need no torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from invprob.callbacks import Callback as Callback
    from invprob.errors import InvprobError as InvprobError
    from invprob.fast.allocation import keep_freed_memory as keep_freed_memory
    from invprob.losses import Term as Term
    from invprob.measurements import Measurements as Measurements
    from invprob.measurements import measure as measure
    from invprob.methods import restore as restore
    from invprob.operators.base import LinearOperator as LinearOperator
    from invprob.operators.base import Operator as Operator
    from invprob.operators.noise import Noise as Noise
    from invprob.priors.base import Code as Code
    from invprob.priors.base import Prior as Prior
    from invprob.progress import Progress as Progress
    from invprob.registry import register as register
    from invprob.report.compare import compare as compare
    from invprob.run.images import load_image as load_image
    from invprob.run.images import save_image as save_image
    from invprob.solver.loop import solve as solve
    from invprob.solver.optimisers import Optimiser as Optimiser
    from invprob.solver.solution import Outcome as Outcome
    from invprob.solver.solution import Solution as Solution

from invprob.version import __version__ as __version__

# The module that defines each public name; type checkers read the imports above instead.
_HOME = {
    "Callback": "callbacks",
    "Code": "priors.base",
    "InvprobError": "errors",
    "LinearOperator": "operators.base",
    "Measurements": "measurements",
    "Noise": "operators.noise",
    "Operator": "operators.base",
    "Optimiser": "solver.optimisers",
    "Outcome": "solver.solution",
    "Prior": "priors.base",
    "Progress": "progress",
    "Solution": "solver.solution",
    "Term": "losses",
    "compare": "report.compare",
    "keep_freed_memory": "fast.allocation",
    "load_image": "run.images",
    "measure": "measurements",
    "register": "registry",
    "restore": "methods",
    "save_image": "run.images",
    "solve": "solver.loop",
}
_MODULES = (
    "latents",
    "losses",
    "methods",
    "metrics",
    "operators",
    "priors",
    "schedules",
    "testing",
)

__all__ = [*_HOME, *_MODULES]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"invprob.{_HOME[name]}"), name)
    if name in _MODULES:
        return importlib.import_module(f"invprob.{name}")
    raise AttributeError(f"module 'invprob' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
