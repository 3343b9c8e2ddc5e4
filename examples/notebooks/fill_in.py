"""
Fill in what is missing
=======================

A part of your picture is covered, scratched or lost, and you know which pixels these are.
"""

import torch

import invprob
from invprob.operators import Mask
from invprob.run.samples import load_sample

steps = None  # those of the method; a small number gives a first impression

# %%
# A mask is 1 where a pixel was seen and 0 where it is missing. With a picture of your own write
# `picture = invprob.load_image("scratched.png", size=128)`, and give `Mask` the name of a black and
# white picture of 128 x 128 pixels.

picture = load_sample("astronaut", size=128)
seen = torch.ones(128, 128)
seen[40:80, 50:70] = 0
seen[100:103] = 0

# %%
# The operator hides what is missing. What your picture shows there does not matter.

operator = Mask((3, 128, 128), seen)
measurements = invprob.Measurements.from_array(picture, operator)
measurements

# %%
# The generator draws what is not seen such that it continues what is.

solution = invprob.restore(measurements, steps=steps, progress=True)
invprob.compare(solution, measurements, picture)

# %%
# The pixels that were seen stay as they are, so take them from the picture.

filled = torch.where(seen.bool(), picture, solution.image)
invprob.save_image(filled, "filled.png")
