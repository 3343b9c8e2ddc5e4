#!/usr/bin/env bash
# PyWavelets 1.9.0 (wavelet transforms): a soft threshold of 0 turns zeros into NaN.
#
# Expected: a threshold of 0 changes nothing. PyWavelets' documentation of `pywt.threshold` says
# that soft thresholding shrinks values toward zero by the threshold; and the proximal operator of 0
# * |x|, which soft thresholding is, leaves x as it is.
#
# What happens: each coefficient that is exactly 0 becomes NaN, for real and complex values, and for
# the modes "soft" and "garrote". "hard" is right. Any other threshold, however small, is right.
# Some NumPy settings print a RuntimeWarning ("invalid value encountered in divide"); no error is
# raised.
#
# Output seen:
#   PyWavelets 1.9.0
#   threshold 0,      soft:    [-2. nan  3.]
#   threshold 0,      garrote: [-2. nan  3.]
#   threshold 0,      hard:    [-2.  0.  3.]
#   threshold 1e-300, soft:    [-2.  0.  3.]
#   wavelet shrinkage of a piecewise constant signal with threshold 0: 128 of 128 values are NaN
#
# What it means: thresholds reach 0 in schedules that let the regularisation fade out, in thresholds
# per band (0 for the coarse band), and in rules that estimate the noise as 0. Images with flat
# parts have many coefficients of exactly 0, and after the inverse transform their NaN fill the
# image. Leave the call out when the threshold is 0.
set -euo pipefail
export OMP_NUM_THREADS=1
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --no-compile PyWavelets==1.9.0 numpy==2.4.6

"$folder/venv/bin/python" -I - <<'PYTHON'
import sys
import warnings
from importlib.metadata import version

import numpy as np
import pywt

warnings.simplefilter("ignore", RuntimeWarning)
print("PyWavelets", version("PyWavelets"))
values = np.array([-2.0, 0.0, 3.0])
soft, garrote, hard = (pywt.threshold(values, 0.0, mode) for mode in ("soft", "garrote", "hard"))
tiny = pywt.threshold(values, 1e-300, "soft")
print("threshold 0,      soft:   ", soft)
print("threshold 0,      garrote:", garrote)
print("threshold 0,      hard:   ", hard)
print("threshold 1e-300, soft:   ", tiny)

signal = np.repeat([1.0, 4.0], 64)
bands = pywt.wavedec(signal, "haar", mode="periodization")
back = pywt.waverec(
    [pywt.threshold(band, 0.0, "soft") for band in bands], "haar", mode="periodization"
)
print(
    "wavelet shrinkage of a piecewise constant signal with threshold 0:",
    f"{np.isnan(back).sum()} of {back.size} values are NaN",
)

same = np.isnan(soft[1]) and np.isnan(garrote[1]) and np.isnan(back).any()
if not (same and np.array_equal(hard, values) and np.array_equal(tiny, values)):
    sys.exit("changed: a soft threshold of 0 no longer turns zeros alone into NaN")
PYTHON
