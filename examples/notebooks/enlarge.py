"""
Enlarge
=======

Your picture is small, and each of its pixels is the mean of several that you would like to see.
"""

import invprob
from invprob.operators import AreaDownsample
from invprob.run.samples import load_sample

steps = None  # those of the method; a small number gives a first impression

# %%
# A small picture is made here from a sample. With one of your own write
# `small = invprob.load_image("small.png")`. The generator draws 128 x 128 pixels, so that a picture
# of 32 x 32 is enlarged 4 times.

truth = load_sample("face", size=128)
operator = AreaDownsample((3, 128, 128), factor=4)
small = operator(truth)

# %%
# An object shows itself below a cell: here the operator, then the measurements.

operator

# %%

measurements = invprob.Measurements.from_array(small, operator)
measurements

# %%
# A term of your own may be added to the loss. This one asks for an image that is its own mirror
# image, as a face from the front nearly is.


class Symmetry(invprob.Term):
    """The mean squared difference of an image and its mirror image."""

    def __init__(self, weight=0.01):
        super().__init__("symmetry", weight)

    def bind(self, target, operator):
        return lambda image, prediction: (image - image.flip(3)).square().mean((1, 2, 3))


# %%

solution = invprob.restore(measurements, steps=steps, progress=True, terms=[Symmetry()])
invprob.compare(solution, measurements, truth)

# %%
# The result as a file.

invprob.save_image(solution.image, "large.png")
