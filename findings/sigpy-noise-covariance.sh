#!/usr/bin/env bash
# SigPy 0.1.27 (MRI reconstruction): `mri.util.get_cov` returns the number of samples times the noise
# covariance, and subtracts the mean inside the caller's array.
#
# Expected: the docstring says "Get covariance matrix from noise measurements". For noise of unit
# variance the diagonal should be about 1, as `numpy.cov` has it, and the argument should stay as it
# is. `mri.util.whiten` takes this matrix, and white noise should come out with a variance of 1.
#
# What happens: the products of all samples are summed and not divided by their number, so that the
# matrix grows with the length of the noise scan. Data whitened with it have a noise variance of 1
# over the number of samples. The mean of each coil is removed from the array that was passed in,
# where its samples lie in one piece.
#
# Output seen:
#   SigPy 0.1.27
#   diagonal for 1000 samples:   get_cov 959.7, numpy.cov 0.9607
#   diagonal for 10000 samples:  get_cov 9977, numpy.cov 0.9978
#   variance of whitened noise:  1e-03 (1000 samples), 1e-04 (10000 samples)
#   the argument was changed:    mean 5.00 before, 0.00 after
#
# What it means: stopping rules and regularisation weights that count on unit noise are off by the
# length of the noise scan, and differ from scan to scan. Divide the matrix by the number of samples
# minus 1, and pass a copy.
set -euo pipefail
export OMP_NUM_THREADS=1
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --no-compile sigpy==0.1.27 numpy==2.4.6

"$folder/venv/bin/python" -I - <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
from sigpy.mri import util

print("SigPy", version("sigpy"))
factors, variances = [], []
for samples in (1000, 10000):
    rng = np.random.default_rng(0)
    noise = 5 + (rng.standard_normal((4, samples)) + 1j * rng.standard_normal((4, samples))) / 2**0.5
    before, own = noise.copy(), np.cov(noise)
    found = util.get_cov(noise)
    factors.append(found[0, 0].real / own[0, 0].real)
    white = util.whiten(before - before.mean(1, keepdims=True), found)
    variances.append(float(np.var(white)))
    print(
        f"diagonal for {samples} samples:".ljust(28),
        f"get_cov {found[0, 0].real:.4g}, numpy.cov {own[0, 0].real:.4g}",
    )
print(
    "variance of whitened noise:".ljust(28),
    ", ".join(f"{v:.0e} ({n} samples)" for v, n in zip(variances, (1000, 10000))),
)
means = [abs(values[0].mean()) for values in (before, noise)]
print("the argument was changed:".ljust(28), f"mean {means[0]:.2f} before, {means[1]:.2f} after")

sums = all(abs(f - (n - 1)) < 0.5 for f, n in zip(factors, (1000, 10000)))
if not (sums and means[1] < 1e-9 < means[0]):
    sys.exit("changed: get_cov divides by the number of samples, or leaves its argument alone")
PYTHON
