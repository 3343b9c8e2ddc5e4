"""Solutions of a small random generator, one of each kind of latents, without a solve."""

import functools

import torch
from networks import random_generator
from torch import nn

from invprob.priors import Generator, Prior, StyleGANPrior
from invprob.priors.parts import (
    FreeContent,
    FreeFeatures,
    FreeNoise,
    FreeWeights,
    Part,
    WPlus,
    WPlusPlus,
)
from invprob.priors.retouched import Retouched
from invprob.solver.solution import Outcome, Solution

PARTS: dict[str, dict[str, Part]] = {
    "w-plus": {},
    "w-plus-s-b": {"content": FreeContent(), "noise": FreeNoise()},
    "w++": {"style": WPlusPlus()},
    "features": {"content": FreeFeatures(3), "noise": FreeNoise()},
    "weights": {"style": WPlus(), "weights": FreeWeights()},
    "retouched": {"style": WPlus()},
}
KINDS = tuple(PARTS)


@functools.cache
def small_generator() -> Generator:
    """A random generator of 32 px, with 8 style rows of width 16."""
    return random_generator()


def prior_of(kind: str, generator: Generator | None = None) -> Prior:
    """The prior whose solutions hold a kind of latents."""
    inner = StyleGANPrior(generator or small_generator(), **PARTS[kind])
    return Retouched(inner) if kind == "retouched" else inner


def solution_of(prior: Prior, seed: int = 0, batch: int = 1) -> Solution:
    """A solution with random free variables, which differ from image to image."""
    rng = torch.Generator().manual_seed(seed)
    code: nn.Module = prior.start(batch, rng)
    with torch.no_grad():
        for parameter in code.parameters():
            parameter += 0.2 * torch.randn(parameter.shape, generator=rng)
        realised = prior.realise(code, rng)
        image = prior.render(realised).clone()
    return Solution(
        image=image,
        realised={name: tensor.detach().clone() for name, tensor in realised.items()},
        code={name: tensor.clone() for name, tensor in code.state_dict().items()},
        outcome=Outcome.finished(1),
        trace={},
        steps=1,
        seed=seed,
        prior_spec=prior.spec(),
        prior=prior,
    )


def solved(kind: str, seed: int = 0, batch: int = 1) -> Solution:
    """A solution that holds a kind of latents."""
    return solution_of(prior_of(kind), seed, batch)
