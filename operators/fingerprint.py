"""The fingerprint of an operator: what tells two of them apart, and nothing else."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from invprob.types import Spec


def digest(parts: Sequence[tuple[Spec, nn.Module]]) -> str:
    """A sha256 in hexadecimal of specs and of the tensors of the modules that belong to them."""
    digests = [_digest(spec, module) for spec, module in parts]
    whole = digests[0] if len(digests) == 1 else hashlib.sha256(b"".join(digests)).digest()
    return whole.hex()


def _digest(spec: Spec, module: nn.Module) -> bytes:
    found = hashlib.sha256(json.dumps(_plain(spec), sort_keys=True).encode())
    for name, tensor in sorted(_tensors(module), key=lambda pair: pair[0]):
        found.update(f"{name} {tuple(tensor.shape)}".encode())
        values = tensor.detach().cpu()
        if values.is_complex():
            values = torch.view_as_real(values.resolve_conj())
        if values.is_floating_point():
            # Sixteen bits of the mantissa, then the exponent.
            mantissa, exponent = torch.frexp(values.to(torch.float64))
            found.update((mantissa * 2**16).round().to(torch.int32).numpy().tobytes())
            values = exponent
        found.update(values.to(torch.int64).numpy().tobytes())
    return found.digest()


def _tensors(module: nn.Module, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    """Buffers and parameters by name; one that two parts share is two, as after a rebuild."""
    from invprob.operators.base import Operator  # which imports this module

    only = module.fingerprinted if isinstance(module, Operator) else None
    own = [*module.named_buffers(recurse=False), *module.named_parameters(recurse=False)]
    yield from ((prefix + name, tensor) for name, tensor in own if only is None or name in only)
    if only is None:
        for name, child in module._modules.items():
            if child is not None:
                yield from _tensors(child, f"{prefix}{name}.")


def _plain(value: Any) -> Any:
    """JSON in which 10.0 and 10 are the same number."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
