"""How exactly a GPU multiplies float32 numbers."""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch


@contextlib.contextmanager
def tensor_cores(precision: str) -> Iterator[None]:
    """Let CUDA round the factors of float32 products to TF32 (10 bits), or not, for a while.

    `tf32` does, for convolutions and matrices; `float32` and `bf16` do not, although PyTorch's own
    default is TF32 for convolutions. Elsewhere it makes no difference.
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
