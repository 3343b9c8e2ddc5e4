#!/usr/bin/env bash
# piq 0.8.0 (image quality): from 384 pixels on, `piq.ssim` is the SSIM of shrunk images.
#
# Expected: the documentation of `piq.ssim` says that downsample=True, the default, matches
# scikit-image. It names the paper of Wang and others (2004), which has no shrinking. The result
# should then agree with scikit-image's Gaussian SSIM at each size.
#
# What happens: both images are first averaged over squares of round(side / 256) pixels. Up to 383
# pixels that is 1, and the two packages agree. From 384 pixels on, averaging removes noise before
# it is judged, and the value jumps. downsample=False agrees with scikit-image at each size.
#
# Output seen (smoothed noise as the true image, noise of 0.1 added):
#   piq 0.8.0, scikit-image 0.26.0
#   side   piq    piq, downsample=False   scikit-image
#    383   0.587  0.587                   0.587
#    384   0.825  0.587                   0.587
#    512   0.826  0.588                   0.588
#
# What it means: the same method seems to improve by 0.24 when one more row and column are restored.
# Figures of one paper by piq and of another by scikit-image or torchmetrics cannot be compared at
# 512 pixels, a usual size. Give downsample=False, or say which SSIM a figure is.
#
# This script installs PyTorch, some gigabytes.
set -euo pipefail
export OMP_NUM_THREADS=1
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --no-compile \
    piq==0.8.0 torch==2.14.1 torchvision==0.29.1 \
    scikit-image==0.26.0 scipy==1.17.1 numpy==2.4.6

cd "$folder"
"$folder/venv/bin/python" -I - <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
import piq
import torch
from scipy.ndimage import uniform_filter
from skimage.metrics import structural_similarity

print(f"piq {version('piq')}, scikit-image {version('scikit-image')}")
random = np.random.default_rng(0)
true = uniform_filter(random.random((512, 512)), 3)
noisy = np.clip(true + 0.1 * random.standard_normal(true.shape), 0, 1)

print("side   piq    piq, downsample=False   scikit-image")
found = {}
for side in (383, 384, 512):
    pair = [image[:side, :side] for image in (noisy, true)]
    tensors = [torch.from_numpy(image)[None, None] for image in pair]
    default = float(piq.ssim(*tensors))
    full = float(piq.ssim(*tensors, downsample=False))
    other = structural_similarity(
        *pair, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    found[side] = (default, full, other)
    print(f"{side:4d}   {default:.3f}  {full:.3f}                   {other:.3f}")

agree = all(abs(full - other) < 0.01 for _, full, other in found.values())
small, large = found[383], found[384]
if not agree or abs(small[0] - small[2]) > 0.01 or large[0] - large[2] < 0.1:
    sys.exit("changed: from 384 pixels on, piq.ssim no longer leaves scikit-image's value")
PYTHON
