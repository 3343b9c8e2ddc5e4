"""
A first solve
=============

Restore a face from 1 % of random measurements, with every part of the solve chosen by hand.

`invprob.restore` chooses these parts for you; this script shows what they are.
"""

import sys

import invprob
from invprob.operators import PartialCirculant
from invprob.priors import StyleGANPrior, load_generator
from invprob.priors.parts import ProjectedStyles
from invprob.priors.parts.heads import HeadShape
from invprob.run.samples import load_sample
from invprob.solver.optimisers import Adam

steps = 100 if "--smoke" in sys.argv else 400

# %%
# The generator draws faces of 128 x 128 pixels. The true image is a face that it has never seen.

generator = load_generator("faces-128")
truth = load_sample("face", size=generator.resolution)

# %%
# The operator measures 492 random projections of the 49,152 numbers of the image. From here on the
# solver sees the measurements alone; the truth is used again only to compute the score.

operator = PartialCirculant(generator.image_shape, ratio=0.01, seed=1)
measurements = invprob.measure(truth, operator)

# %%
# The prior is the generator together with its free variables. Here these are the weights of small
# projection heads, which turn random draws into the generator's styles (SPHInX, ICML 2022).

heads = ProjectedStyles(HeadShape.preset("paper", generator.style_width))
prior = StyleGANPrior(generator, style=heads)

# %%
# `solve` moves the free variables until the measurements of the drawn image fit.

solution = invprob.solve(measurements, operator, prior, optimiser=Adam(0.003), steps=steps)

invprob.save_image(solution.image, "first_solve.png")
print(f"{solution.outcome}; PSNR {invprob.metrics.psnr(solution.image, truth).item():.1f} dB")
