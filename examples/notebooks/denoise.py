"""
Remove noise
============

Your picture is noisy, and you know about how strong the noise is.
"""

import invprob
from invprob.operators import GaussianNoise, Identity
from invprob.run.samples import load_sample

steps = None  # those of the method; a small number gives a first impression

# %%
# A noisy picture is made here from a sample. With a picture of your own leave the first two lines
# out, and write `noisy = invprob.load_image("noisy.png", size=128)`. Values lie in [-1, 1], so that
# a standard deviation of 25 grey levels of 255 is 25 / 127.5 = 0.2.

truth = load_sample("cat", size=128)
noisy = invprob.measure(truth, Identity((3, 128, 128)), GaussianNoise(sigma=0.2)).values

# %%
# The operator says what was measured: every pixel as it is. The noise says what was added.

measurements = invprob.Measurements.from_array(
    noisy, Identity((3, 128, 128)), noise=GaussianNoise(sigma=0.2)
)
measurements

# %%
# `restore` chooses the rest by itself, and `progress` shows how far it is.

solution = invprob.restore(measurements, steps=steps, progress=True)
solution

# %%
# The noisy picture beside the result. Where the true image is known, `compare` scores the result.

invprob.compare(solution, measurements, truth)

# %%
# Total variation uses no generator. It takes a second, so try it beside.

quick = invprob.restore(measurements, "tv", steps=steps)
print(invprob.metrics.psnr(solution.image, truth), invprob.metrics.psnr(quick.image, truth))

# %%
# The result as a file.

invprob.save_image(solution.image, "denoised.png")
