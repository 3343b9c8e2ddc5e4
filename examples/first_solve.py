"""Restore a face from 1 % of random measurements: the whole of the library in a dozen lines."""

import invprob
from invprob.operators import PartialCirculant
from invprob.priors import StyleGANPrior, load_generator
from invprob.priors.parts import ProjectedStyles
from invprob.priors.parts.heads import HeadShape
from invprob.run.samples import load_sample
from invprob.solver.optimisers import Adam

generator = load_generator("faces-128")
truth = load_sample("face", size=generator.resolution)

operator = PartialCirculant(generator.image_shape, ratio=0.01, seed=1)
measurements = invprob.measure(truth, operator)  # the last look at the truth before the score

heads = ProjectedStyles(HeadShape.preset("paper", generator.style_width))
prior = StyleGANPrior(generator, style=heads)
solution = invprob.solve(measurements, operator, prior, optimiser=Adam(0.003), steps=400)

invprob.save_image(solution.image, "first_solve.png")
print(f"{solution.outcome}; PSNR {invprob.metrics.psnr(solution.image, truth).item():.1f} dB")
