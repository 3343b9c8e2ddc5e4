"""Warnings that point at the line of the caller, however deep in this package they arise."""

import sys
import warnings

from invprob.errors import MeasurementWarning


def warn_of(*doubts: str | None) -> None:
    """Warn of what looks wrong with what the caller of this package has given.

    Args:
        doubts: for each doubt what was seen and what to write, in one line; None for no doubt.
    """
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and _is_inside(str(frame.f_globals.get("__name__"))):
        level, frame = level + 1, frame.f_back
    for doubt in doubts:
        if doubt is not None:
            warnings.warn(doubt, MeasurementWarning, stacklevel=level)


def _is_inside(module: str) -> bool:
    # Decorators of the standard library call a function of this package from their own modules.
    return module.partition(".")[0] in ("invprob", "contextlib", "functools")
