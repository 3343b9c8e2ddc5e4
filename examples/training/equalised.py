"""Equalised learning rates (Karras et al., ICLR 2018) without changing how weights are stored.

The usual form keeps a weight v ~ N(0, 1) and uses c·v, c = 1 / sqrt(fan-in). Adam does not see the
scale of a gradient, so a step on v moves c·v by c times the rate: the same as Adam on the acting
weight with the rate c·lr and epsilon / c. Weights are therefore trained as they act, and nothing
has to be folded at export.
"""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn


def gain(name: str, parameter: nn.Parameter, mapping_rate: float) -> float:
    """c of a parameter: 1 / sqrt(fan-in) of weights, else 1; mapping: `mapping_rate` times."""
    multiplier = mapping_rate if name.startswith("mapping_layers") else 1.0
    if name.endswith("weight"):
        return multiplier / math.sqrt(parameter[0].numel())
    return multiplier


@torch.no_grad()
def initialise(network: nn.Module, rng: torch.Generator) -> None:
    """Draw every weight from N(0, 1 / fan-in); biases 0, but 1 where they make a style."""
    for name, parameter in network.named_parameters():
        if name.endswith("affine.bias"):
            parameter.fill_(1.0)
        elif name.endswith(("bias", "noise_strength")):
            parameter.zero_()
        elif name.endswith("weight"):
            scale = 1 / math.sqrt(parameter[0].numel())
            parameter.copy_(torch.randn(parameter.shape, generator=rng) * scale)
        else:
            parameter.copy_(torch.randn(parameter.shape, generator=rng))


def adam(
    network: nn.Module,
    rate: float,
    *,
    betas: tuple[float, float] = (0.0, 0.99),
    epsilon: float = 1e-8,
    mapping_rate: float = 0.01,
) -> torch.optim.Adam:
    """Adam over `network` in groups of equal c; the rate and epsilon of each account for c.

    With g the gradient of the acting weight, the gradient of v is c·g, hence the step c·rate ·
    c·g / (c·|g| + epsilon) = c·rate · g / (|g| + epsilon / c).
    """
    gains: dict[float, list[nn.Parameter]] = {}
    for name, parameter in _trained(network):
        gains.setdefault(gain(name, parameter, mapping_rate), []).append(parameter)
    groups: list[dict[str, Any]] = [
        {"params": members, "lr": rate * c, "eps": epsilon / c} for c, members in gains.items()
    ]
    return torch.optim.Adam(groups, betas=betas, fused=True)


def _trained(network: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    return ((name, p) for name, p in network.named_parameters() if p.requires_grad)
