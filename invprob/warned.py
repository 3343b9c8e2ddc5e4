"""Warnings that point at the line of the caller, however deep in this package they arise."""

import sys
import warnings


def warn_caller(text: str, category: type[Warning]) -> None:
    """Warn of what the caller of this package has given.

    Args:
        text: what was seen and what to write, in one line.
        category: the kind of the warning.
    """
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and _is_inside(str(frame.f_globals.get("__name__"))):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, category, stacklevel=level)


def _is_inside(module: str) -> bool:
    # Decorators of the standard library call a function of this package from their own module.
    return module.partition(".")[0] in ("invprob", "contextlib", "functools")
