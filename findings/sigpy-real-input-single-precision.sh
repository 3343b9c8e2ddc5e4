#!/usr/bin/env bash
# SigPy 0.1.27 (MRI reconstruction): the Fourier transform of a real image is done in single
# precision.
#
# Expected: the documentation of `sigpy.fft` points to `numpy.fft.fftn`, whose result for float64 is
# complex128. SigPy's own result for complex128 is complex128 too, so that the same numbers with an
# imaginary part of 0 should give the same transform.
#
# What happens: any input that is not complex is first converted to complex64: float64, and integers
# of any size. The result is complex64, without a warning. Converting to complex128 first avoids it.
# `sigpy.nufft` and the linear operators built on either behave alike.
#
# Output seen:
#   SigPy 0.1.27
#   real image as float64:     complex64, 8.7e-08 off
#   the same as complex128:    complex128, 0.0e+00 off
#   sum of 16777217 and 0:     16777216.0 for int64, 16777217.0 for complex128
#
# What it means: real phantoms are the usual first input of a test. Tests of adjoints or of
# consistency with bounds below 1e-7 fail for no visible reason, solvers stop improving at 1e-7, and
# results mixed with complex128 keep the error while their type no longer shows it.
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
import sigpy

print("SigPy", version("sigpy"))
real = np.random.default_rng(0).standard_normal((16, 16))
exact = np.fft.fftshift(np.fft.fftn(np.fft.ifftshift(real), norm="ortho"))
lines = []
for name, image in (("real image as float64:", real), ("the same as complex128:", real + 0j)):
    transformed = sigpy.fft(image)
    off = np.linalg.norm(transformed - exact) / np.linalg.norm(exact)
    lines.append((str(transformed.dtype), off))
    print(f"{name:26s} {transformed.dtype}, {off:.1e} off")

pair = np.array([2**24 + 1, 0])
sums = [float(sigpy.fft(values, center=False, norm=None)[0].real) for values in (pair, pair + 0j)]
print(f"sum of {pair[0]} and 0:     {sums[0]:.1f} for int64, {sums[1]:.1f} for complex128")

single = lines[0][0] == "complex64" and lines[0][1] > 1e-9
if not (single and lines[1][0] == "complex128" and lines[1][1] < 1e-12):
    sys.exit("changed: the transform of a real image is no longer done in single precision")
PYTHON
