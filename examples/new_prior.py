"""
A prior of your own
===================

A prior says which images are possible, and by which variables they are drawn. This one draws smooth
images: their cosine coefficients above a cut-off are zero.
"""

import math

import torch
from torch import Tensor, nn

import invprob
from invprob.operators import PartialCirculant
from invprob.run.samples import load_sample
from invprob.solver.optimisers import Adam
from invprob.testing import check_prior

# %%
# The code holds the free variables, and nothing else. Its first axis is the batch.


class CosineCode(invprob.Code):
    """The low-frequency coefficients, (batch, channel, kept, kept)."""

    def __init__(self, coefficients: Tensor) -> None:
        super().__init__()
        self.coefficients = nn.Parameter(coefficients)


# %%
# The prior makes the code at which a solve starts, and draws images from a code. Both get a random
# generator, which this prior does not need.


@invprob.register.prior("cosine")
class CosinePrior(invprob.Prior[CosineCode]):
    """Smooth images: `kept` x `kept` coefficients of the orthonormal cosine transform."""

    basis: Tensor

    def __init__(self, image_shape: tuple[int, ...], kept: int) -> None:
        super().__init__(image_shape)
        self.kept = kept
        pixel, order = torch.arange(image_shape[1]) + 0.5, torch.arange(kept)
        basis = torch.cos(math.pi / image_shape[1] * pixel[:, None] * order)
        self.register_buffer("basis", basis / basis.norm(dim=0))

    def start(self, batch: int, rng: torch.Generator) -> CosineCode:
        del rng
        return CosineCode(torch.zeros(batch, self.image_shape[0], self.kept, self.kept))

    def decode(self, code: CosineCode, rng: torch.Generator) -> Tensor:
        del rng
        return self.basis @ code.coefficients @ self.basis.T


# %%
# Check the laws of a prior, then restore a face from 5 % of random measurements with it.


def main() -> None:
    """Restore a face with nothing but smoothness."""
    truth = load_sample("face", size=64)
    operator = PartialCirculant((3, 64, 64), ratio=0.05, seed=1)
    prior = CosinePrior((3, 64, 64), kept=8)
    check_prior(prior)
    solution = invprob.solve(
        invprob.measure(truth, operator), operator, prior, optimiser=Adam(0.1), steps=300
    )
    invprob.save_image(solution.image, "new_prior.png")
    psnr = invprob.metrics.psnr(solution.image, truth).item()
    print(f"{solution.outcome}; PSNR {psnr:.1f} dB from {operator.measurement_shape[0]} numbers")


if __name__ == "__main__":
    main()
