"""Random streams: every draw comes from a generator that a seed, a name and a step determine.

Streams of different names or steps are independent. So a draw that is added in one place changes
none elsewhere, and a resumed run draws what an uninterrupted one would have drawn.
"""

import hashlib
import json
from typing import Any

import torch

from invprob.errors import ArgumentError
from invprob.plain import plain


def whole_seed(seed: Any) -> int:
    """A seed as a Python number, which can be written to a file.

    Args:
        seed: a whole number, perhaps one of NumPy, such as `numpy.arange` gives.

    Returns:
        The number.

    Raises:
        ArgumentError: it is no whole number from 0 to 2**63 - 1.
    """
    seed = plain("seed", seed)
    if type(seed) is not int or not 0 <= seed < 2**63:
        raise ArgumentError(f"seed must be a whole number from 0 to 2**63 - 1, got {seed!r}")
    return seed


def derive(seed: int, name: str, step: int | None = None) -> int:
    """Mix a seed and a name, and perhaps a step, into another seed.

    Args:
        seed: the seed that all of a solve's or an operator's draws go back to.
        name: what the new seed is for.
        step: the number of the step, where there is one.

    Returns:
        A seed in [0, 2**63).
    """
    # JSON keeps the three apart: (1, "2x") and (12, "x") must not meet.
    digest = hashlib.sha256(json.dumps([int(seed), name, step]).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def stream(seed: int, name: str, step: int | None = None) -> torch.Generator:
    """The generator from which `name` draws, a new one for each step where one is given.

    PyTorch's CPU generator keeps the low 32 bits of a seed; `derive` has mixed them well.

    Args:
        seed: the seed that all of a solve's or an operator's draws go back to.
        name: what is drawn.
        step: the number of the step, where there is one.

    Returns:
        A generator on the CPU, in its first state.
    """
    return torch.Generator().manual_seed(derive(seed, name, step))
