"""Random streams: every draw comes from a generator that a seed, a name and a step determine.

Streams of different names or steps are independent, so that adding a draw in one place never
changes another, and a resumed run draws what an uninterrupted one would have drawn.
"""

import hashlib
import json

import torch


def derive(seed: int, name: str, step: int | None = None) -> int:
    """Mix a seed and a name (and perhaps a step) into another seed in [0, 2**63)."""
    # JSON keeps the three apart: (1, "2x") and (12, "x") must not meet.
    digest = hashlib.sha256(json.dumps([int(seed), name, step]).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def stream(seed: int, name: str, step: int | None = None) -> torch.Generator:
    """Make the CPU generator from which `name` draws, afresh at each `step` where one is given.

    PyTorch's CPU generator keeps the low 32 bits of a seed; `derive` has mixed them well.
    """
    return torch.Generator().manual_seed(derive(seed, name, step))
