"""
Reconstruct a scan
==================

A scanner measured line integrals of a slice from few angles, and they are noisy.
"""

import invprob
from invprob.operators import CT, GaussianNoise, Luminance
from invprob.run.samples import load_sample

steps = None  # those of the method; a small number gives a first impression

# %%
# A sinogram is made here from a sample. With one of your own give `Measurements.from_array` an
# array of shape (1, views, detectors), and `CT` its angles.

truth = load_sample("retina", size=128)
operator = CT((1, 128, 128), views=30) @ Luminance((3, 128, 128))
noise = GaussianNoise(sigma=0.5)  # sums along a ray reach about 100
measurements = invprob.measure(truth, operator, noise)
measurements

# %%
# The filtered back-projection needs no prior, and leaves streaks.

grey = Luminance((3, 128, 128))(truth)
projected = CT((1, 128, 128), views=30).fbp(measurements.values)
print("filtered back-projection:", invprob.metrics.psnr(projected, grey))

# %%
# With a prior. A slice is grey, so only the luminance of the result counts.

solution = invprob.restore(measurements, "tv", steps=steps, progress=True)
slice_of = Luminance((3, 128, 128))(solution.image)
print("total variation:", invprob.metrics.psnr(slice_of, grey))
solution

# %%
# The result as a file.

invprob.save_image(slice_of, "slice.png")
