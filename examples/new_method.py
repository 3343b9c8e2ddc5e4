"""
A method of your own
====================

A method is a recipe: which prior is searched, by which loss, optimiser and schedule. This one moves
W+ (a style vector for each layer) and penalises rough images by a term of its own.
"""

import sys
from typing import Annotated

from torch import Tensor

import invprob
from invprob.losses import BoundTerm
from invprob.methods import Recipe, Setting
from invprob.operators import PartialCirculant
from invprob.priors import StyleGANPrior
from invprob.priors.parts import WPlus
from invprob.run.samples import load_sample
from invprob.schedules import cosine_trapezoid
from invprob.solver.optimisers import Adam
from invprob.solver.task import Stage

# %%
# A term gives one number for each image of the batch, from the image or its predicted measurement.


class Roughness(invprob.Term):
    """Mean squared difference of neighbouring pixels."""

    def __init__(self, weight: float) -> None:
        super().__init__("roughness", weight)

    def bind(self, target: Tensor, operator: invprob.Operator) -> BoundTerm:
        del target, operator

        def roughness(image: Tensor, prediction: Tensor) -> Tensor:
            del prediction
            down = image.diff(dim=2).square().flatten(1).mean(1)
            across = image.diff(dim=3).square().flatten(1).mean(1)
            return down + across

        return roughness


# %%
# The function's keyword parameters become options of the command line.


@invprob.register.method("smooth-w-plus")
def smooth_w_plus(
    setting: Setting,
    *,
    smoothness: Annotated[float, "weight of the roughness, at least 0"] = 0.1,
    learning_rate: Annotated[float, "maximum learning rate of Adam"] = 0.03,
    steps: Annotated[int, "optimisation steps"] = 400,
) -> Recipe:
    """W+ with a penalty on rough images: W+ × constant × stored noise."""
    prior = StyleGANPrior(setting.generator, style=WPlus())
    terms = [setting.data_term(), Roughness(smoothness)]
    return Recipe((Stage(prior, terms, Adam(learning_rate), cosine_trapezoid(), steps),))


# %%
# Restore a face with it, from 5 % of random measurements.

if __name__ == "__main__":
    truth = load_sample("face", size=128)
    operator = PartialCirculant((3, 128, 128), ratio=0.05, seed=1)
    measurements = invprob.measure(truth, operator)
    steps = 20 if "--smoke" in sys.argv else 400
    solution = invprob.restore(measurements, method="smooth-w-plus", steps=steps)
    invprob.save_image(solution.image, "new_method.png")
    print(f"{solution.outcome}; PSNR {invprob.metrics.psnr(solution.image, truth).item():.1f} dB")
