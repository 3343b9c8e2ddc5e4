"""
Many images at once
===================

Solve several images in one batch. The problems stay independent, but each step passes through the
generator only once, which is faster than one solve after another.
"""

import sys

import torch

import invprob
from invprob.operators import PartialCirculant
from invprob.priors import load_generator
from invprob.run.samples import load_sample

steps = 20 if "--smoke" in sys.argv else 100

# %%
# Images are stacked along the first axis.

generator = load_generator("faces-128")
names = ["face", "astronaut", "cat"]
truth = torch.cat([load_sample(name, size=generator.resolution) for name in names])

# %%
# One operator measures all of them; each gets its own free variables.

operator = PartialCirculant(generator.image_shape, ratio=0.05, seed=1)
measurements = invprob.measure(truth, operator)
solution = invprob.restore(measurements, "w-plus", generator, steps=steps)

# %%
# The score of each image, and the images side by side.

scores = zip(names, invprob.metrics.psnr(solution.image, truth).tolist(), strict=True)
print(", ".join(f"{name} {score:.1f} dB" for name, score in scores))
invprob.save_image(torch.cat(list(solution.image), 2), "many_images.png")
