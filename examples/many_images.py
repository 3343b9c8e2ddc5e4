"""Solve several images at once: independent problems, one pass through the generator a step."""

import torch

import invprob
from invprob.operators import PartialCirculant
from invprob.priors import load_generator
from invprob.run.samples import load_sample

generator = load_generator("faces-128")
names = ["face", "astronaut", "cat"]
truth = torch.cat([load_sample(name, size=generator.resolution) for name in names])

operator = PartialCirculant(generator.image_shape, ratio=0.05, seed=1)
measurements = invprob.measure(truth, operator)
solution = invprob.restore(measurements, "w-plus", generator, steps=100)

scores = zip(names, invprob.metrics.psnr(solution.image, truth).tolist(), strict=True)
print(", ".join(f"{name} {score:.1f} dB" for name, score in scores))
invprob.save_image(torch.cat(list(solution.image), 2), "many_images.png")
