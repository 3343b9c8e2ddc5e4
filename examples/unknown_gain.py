"""
A detector of unknown gain
==========================

Random measurements of an attenuation, by a detector whose gain and offset are 5 % off.

    python examples/unknown_gain.py [--sample NAME] [--method NAME] [--steps N]

What is estimated with the image is compared with what the detector did. Nothing but what the
generator draws tells a darker image and a larger gain from a brighter image and a smaller one.
"""

import argparse
from typing import Any

import invprob
from invprob.losses import estimate
from invprob.operators import PartialCirculant
from invprob.run.samples import load_sample

parser = argparse.ArgumentParser()
parser.add_argument("--sample", default="face", help="what is measured")
parser.add_argument("--method", default="sphinx-adapted")
parser.add_argument("--steps", type=int, default=400)
parser.add_argument("--smoke", action="store_true", help="a few steps, to see it run")
arguments = parser.parse_args()
steps = 8 if arguments.smoke else arguments.steps

# %%
# The image is an attenuation between 0 and 0.2. The detector multiplies its random projections by
# 1.05, and adds 5 % of their root mean square.

SHAPE = (3, 128, 128)
truth = load_sample(arguments.sample, size=128)
attenuation = (truth.double() + 1) / 2 * 0.2
clean = PartialCirculant(SHAPE, ratio=0.05, seed=1).double()(attenuation)
size = float(clean.square().mean().sqrt())
values = 1.05 * clean + 0.05 * size

# %%
# What is not known is "auto". Without a word of it, gain is 1 and offset 0.

print(f"{arguments.method}, {steps} steps, {arguments.sample}")
print("| estimated | gain, off by | offset, off by | PSNR |")
print("|---|---|---|---|")
cases: dict[str, dict[str, Any]] = {
    "nothing: both ignored": {},
    "the offset": {"gain": 1.05, "offset": "auto"},
    "the gain": {"gain": "auto", "offset": 0.05 * size},
    "both": {"gain": "auto", "offset": "auto"},
    "nothing: both known": {"gain": 1.05, "offset": 0.05 * size},
}
for name, unknown in cases.items():
    operator = PartialCirculant(SHAPE, ratio=0.05, seed=1)
    measurements = invprob.Measurements.from_array(
        values, operator, image_range=(0, 0.2), **unknown
    )
    image = invprob.restore(measurements, method=arguments.method, steps=steps).image
    found = estimate(measurements.units, measurements.values, operator, image)
    gain, offset = float(found.gain) / 1.05 - 1, (float(found.offset) - 0.05 * size) / size
    psnr = float(invprob.metrics.psnr(image, truth))
    print(f"| {name} | {gain:+.2%} | {offset:+.3%} | {psnr:.2f} dB |", flush=True)
