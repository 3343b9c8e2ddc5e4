"""How exactly a GPU multiplies numbers of float32 (`--precision`)."""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch


@contextlib.contextmanager
def tensor_cores(precision: str) -> Iterator[None]:
    """Within the block, let CUDA round the factors of float32 products to TF32, or forbid it.

    TF32 keeps 10 bits. PyTorch's own default allows it for convolutions; here it is allowed for
    convolutions and matrices, or for neither. Outside CUDA this makes no difference.

    Args:
        precision: "tf32" allows it, "float32" and "bf16" forbid it.
    """
    settings: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [setting.allow_tf32 for setting in settings]
    for setting in settings:
        setting.allow_tf32 = precision == "tf32"
    try:
        yield
    finally:
        for setting, allowed in zip(settings, before, strict=True):
            setting.allow_tf32 = allowed
