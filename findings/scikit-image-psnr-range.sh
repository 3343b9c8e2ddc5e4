#!/usr/bin/env bash
# scikit-image 0.26.0 (image processing): one value just below 0 raises the PSNR by 6 dB.
#
# Expected: the documentation of `skimage.metrics.peak_signal_noise_ratio` says that the data range,
# when it is not given, is estimated from the data type. Two images of the same type then have the
# same range, and a change of 1e-9 in one pixel cannot be seen in the PSNR.
#
# What happens: for floating-point images the range depends on the values too. It is 1 while the
# true image has no negative value, and 2 as soon as it has one, however small. The PSNR then rises
# by 20 log10(2) = 6.02 dB without a warning. (`structural_similarity` of the same package refuses
# to guess for floating-point images.)
#
# Output seen:
#   scikit-image 0.26.0
#   true image in [0, 1]:                     25.83 dB
#   the same, with one pixel of 0 at -1e-9:   31.85 dB
#   the same, with data_range=1:              25.83 dB
#
# What it means: true images of inverse problems are often made by filtering, resampling or a
# network, and so reach a little below 0. Some images of a test set then score 6 dB more than
# others, and so does their mean. Always give data_range.
set -euo pipefail
export OMP_NUM_THREADS=1
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --no-compile scikit-image==0.26.0 numpy==2.4.6

"$folder/venv/bin/python" -I - <<'PYTHON'
import sys

import numpy as np
import skimage
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

print("scikit-image", skimage.__version__)
random = np.random.default_rng(0)
true = random.random((32, 32))
true[0, 0] = 0.0
restored = true + 0.05 * random.standard_normal(true.shape)
below = true.copy()
below[0, 0] = -1e-9

plain = peak_signal_noise_ratio(true, restored)
raised = peak_signal_noise_ratio(below, restored)
given = peak_signal_noise_ratio(below, restored, data_range=1)
print(f"true image in [0, 1]:                     {plain:.2f} dB")
print(f"the same, with one pixel of 0 at -1e-9:   {raised:.2f} dB")
print(f"the same, with data_range=1:              {given:.2f} dB")

try:
    structural_similarity(true, restored)
    refused = False
except ValueError:
    refused = True

if abs(raised - plain - 20 * np.log10(2)) > 1e-4 or abs(given - plain) > 1e-4 or not refused:
    sys.exit("changed: a value below 0 no longer raises the default PSNR by 6.02 dB")
PYTHON
