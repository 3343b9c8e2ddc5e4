#!/usr/bin/env bash
# CUQIpy 1.5.1 (uncertainty in inverse problems): the adjoint of Deconvolution2D often is not one.
#
# Expected: the test problem Deconvolution2D comes with a `cuqi.model.LinearModel`, whose
# documentation pairs a forward map x -> A x with the adjoint y -> A^T y. This should hold for all
# of the boundary conditions and sizes of the point spread function that the problem offers.
#
# What happens: the adjoint is the forward map with the kernel turned by 180 degrees, with the same
# padding. That is right with each kernel only for zero and periodic boundaries and odd sizes. With
# the library's own Gaussian kernel, it is wrong for "Mirror", "Nearest", and each even size; with a
# kernel that is not symmetric, it is wrong for "Neumann" too. The gap between the matrices reaches
# 93 % of the largest entry.
#
# Output seen (12 x 12 pixels, the built-in Gaussian kernel; largest gap of the two matrices,
# relative to the largest entry):
#   CUQIpy 1.5.1
#   periodic, size 5: 0.00
#   zero,     size 5: 0.00
#   Neumann,  size 5: 0.00
#   Mirror,   size 5: 0.75
#   Nearest,  size 5: 0.19
#   periodic, size 4: 0.80
#   zero,     size 4: 0.80
#   Neumann,  size 4: 0.55
#   Mirror,   size 4: 0.93
#   Nearest,  size 4: 0.60
#
# What it means: gradients of the likelihood are made with this adjoint. With it, a gradient method
# need not reach the minimum, and samplers that rest on it need not draw from the posterior. Compare
# methods on this test problem with an odd size and zero or periodic boundaries.
set -euo pipefail
export OMP_NUM_THREADS=1
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --no-compile \
    CUQIpy==1.5.1 numpy==2.2.0 scipy==1.17.1

"$folder/venv/bin/python" -I -W ignore - <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
from cuqi.testproblem import Deconvolution2D

print("CUQIpy", version("CUQIpy"))
side = 12
gaps = {}
for size in (5, 4):
    for border in ("periodic", "zero", "Neumann", "Mirror", "Nearest"):
        model = Deconvolution2D(
            dim=side, PSF="gauss", PSF_size=size, PSF_param=1.5, BC=border
        ).model
        pixels = np.eye(side * side)
        forward = np.array([np.asarray(model.forward(pixel)) for pixel in pixels]).T
        adjoint = np.array([np.asarray(model.adjoint(pixel)) for pixel in pixels]).T
        gaps[border, size] = np.abs(adjoint - forward.T).max() / np.abs(forward).max()
        print(f"{border + ',':9s} size {size}: {gaps[border, size]:.2f}")

right = all(gaps[border, 5] < 1e-12 for border in ("periodic", "zero", "Neumann"))
wrong = [
    gap for (border, size), gap in gaps.items() if size == 4 or border in ("Mirror", "Nearest")
]
if not right or min(wrong) < 0.1:
    sys.exit("changed: the adjoints of Deconvolution2D are no longer wrong in these seven cases")
PYTHON
