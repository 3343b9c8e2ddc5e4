"""Restore a face from 1 % of random measurements: the whole of the library in a dozen lines."""

import invprob
from invprob.methods import make
from invprob.operators import PartialCirculant
from invprob.priors import load_generator
from invprob.run.samples import load_sample

generator = load_generator("faces-128")
truth = load_sample("face", size=generator.resolution)

operator = PartialCirculant(generator.image_shape, ratio=0.01, seed=1)
measurements = invprob.measure(truth, operator)  # the last look at the truth before the score

recipe = make("sphinx", generator, truth.shape[1:], measurement_shape=operator.measurement_shape)
solution = invprob.solve(
    measurements, operator, recipe.prior, optimiser=recipe.stages[0].optimiser, steps=recipe.steps
)

invprob.save_image(solution.image, "first_solve.png")
print(f"{solution.outcome}; PSNR {invprob.metrics.psnr(solution.image, truth).item():.1f} dB")
