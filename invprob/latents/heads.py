"""Interpolation of the heads themselves: θ of the paper, before it is realised as latents."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from invprob.ambient import undisturbed
from invprob.calls import checked
from invprob.errors import PriorError
from invprob.latents.edit import Strip
from invprob.latents.interpolate import linear
from invprob.latents.latents import Latents, joined
from invprob.priors.parts.projected import StartedProjected
from invprob.priors.parts.style_heads import MappingHead
from invprob.priors.stylegan.prior import StyleGANPrior
from invprob.solver.solution import Solution
from invprob.streams import stream


@checked
@undisturbed()
def interpolate_heads(
    prior: StyleGANPrior,
    one: Solution,
    other: Solution,
    shares: Sequence[float],
    *,
    seed: int = 0,
) -> Strip:
    """Mix the parameters of two solutions' heads, α·one + (1 - α)·other, and draw what they make.

    Every mixture is read out with the same draws of z. Two heads that began at the same parameters
    stay near enough for their mean to be a head; `interpolate` mixes what they settled on.

    Args:
        prior: the prior of both, such as `Sphinx(generator)`.
        one: the first solution, with its free variables.
        other: the second one.
        shares: α of each column.
        seed: what the draws of the readout are derived from.

    Raises:
        PriorError: the solutions have no heads, or heads of different shapes.
    """
    batch = len(one.image)
    code = prior.start(batch, stream(seed, "heads"))
    if not any(isinstance(part, StartedProjected | MappingHead) for part in code.parts):
        raise PriorError(
            "these solutions have no heads, whose parameters could be mixed; solve with sphinx, or "
            "mix the latents"
        )
    for which, solution in (("first", one), ("second", other)):
        _check(code.state_dict(), solution.code, which)
    strips = []
    for share in shares:
        mixed = {name: _mixed(value, other.code[name], share) for name, value in one.code.items()}
        code.load_state_dict(mixed)
        with torch.no_grad():
            made = prior.realise(code, stream(seed, "heads"))
        # Free noise maps are the code's own, which the next mixture overwrites.
        realised = {name: tensor.clone() for name, tensor in made.items()}
        found = Solution(
            image=one.image,
            realised=realised,
            code={},
            outcome=one.outcome,
            trace={},
            steps=0,
            seed=seed,
            prior_spec=one.prior_spec,
            prior=prior,
        )
        strips.append(Latents.of(found))
    order = [column * batch + image for image in range(batch) for column in range(len(strips))]
    between = joined(strips).chosen(order)
    return Strip(between, between.draw(), tuple(map(float, shares)))


def _mixed(one: Tensor, other: Tensor, share: float) -> Tensor:
    """The mixture of two tensors of numbers; of others the first."""
    return linear(one, other, share) if one.is_floating_point() else one


def _check(own: Mapping[str, Tensor], found: Mapping[str, Tensor], which: str) -> None:
    shapes = {name: tuple(value.shape) for name, value in own.items()}
    other = {name: tuple(value.shape) for name, value in found.items()}
    if shapes != other:
        odd = sorted(name for name in {*shapes, *other} if shapes.get(name) != other.get(name))
        raise PriorError(
            f"the {which} solution has other heads than this prior: {odd[0]} is "
            f"{other.get(odd[0], 'missing')}, not {shapes.get(odd[0], 'there')}; solve both with "
            "one method and the same options"
        )
