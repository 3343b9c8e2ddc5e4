#!/usr/bin/env bash
# ODL 1.0.0 (operators and optimisation): the gradient of a constant image is not zero.
#
# Expected: the total variation of a constant image is 0, as its definition (Rudin, Osher and
# Fatemi, 1992, with a zero derivative across the border) has it. `odl.Gradient(space)` is what ODL
# offers for it; its documentation lists modes of padding that extend the image by itself.
#
# What happens: by default, values outside the image are 0. The last row and the last column of each
# gradient then hold the whole brightness of the image with a minus sign. `pad_mode="symmetric"`
# gives zero. The default is in the signature, and an example in the documentation shows such a
# column.
#
# Output seen (image of 1, 8 x 8 pixels; then denoised with total variation, weight 0.5, by
# `odl.solvers.pdhg`):
#   ODL 1.0.0
#   default:              total variation 15.41, denoised to 0.89 in the middle and 0.56 in the corner
#   pad_mode="symmetric": total variation 0.00, denoised to 1.00 in the middle and 1.00 in the corner
#
# What it means: images that do not end in black lose brightness, most at the bottom right corner.
# Phantoms with a black rim, the usual test images, do not show it. Give the mode of padding.
set -euo pipefail
export OMP_NUM_THREADS=1
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --no-compile odl==1.0.0 numpy==2.4.6 scipy==1.17.1

cd "$folder"
"$folder/venv/bin/python" -I - <<'PYTHON'
import sys

import odl

print("ODL", odl.__version__)
side = 8
space = odl.uniform_discr([0, 0], [side, side], (side, side))
one = space.one()
misfit = 0.5 * odl.functionals.L2NormSquared(space).translated(one)
found = {}
for name, gradient in (
    ("default:", odl.Gradient(space)),
    ('pad_mode="symmetric":', odl.Gradient(space, pad_mode="symmetric")),
):
    variation = odl.functionals.GroupL1Norm(gradient.range)
    image = space.zero()
    # Both steps times the squared norm of the gradient, which is at most 8, have to stay below 1.
    odl.solvers.pdhg(image, misfit, 0.5 * variation, gradient, niter=300, tau=0.35, sigma=0.35)
    pixels = image.asarray()
    found[name] = (float(variation(gradient(one))), float(pixels[4, 4]), float(pixels[-1, -1]))
    print(
        f"{name:21s} total variation {found[name][0]:.2f},",
        f"denoised to {found[name][1]:.2f} in the middle and {found[name][2]:.2f} in the corner",
    )

default, symmetric = found.values()
right = symmetric[0] < 1e-9 and abs(symmetric[2] - 1) < 1e-3
if default[0] < 1 or default[2] > 0.9 or not right:
    sys.exit("changed: by default, the gradient of a constant image is now zero at the border")
PYTHON
