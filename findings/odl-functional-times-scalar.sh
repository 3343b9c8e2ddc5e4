#!/usr/bin/env bash
# ODL 1.0.0 (operators and optimisation): `functional * 0.5` is not half of the functional.
#
# Expected: a number times a function is the same from both sides. Python's own numbers, NumPy's
# arrays and ODL's own vectors give the same value for `0.5 * a` and `a * 0.5`.
#
# What happens: `0.5 * f` halves the value of f, but `f * 0.5` is the functional x -> f(0.5 x). The
# documentation of `Functional.__mul__` says so. For a squared norm the weight becomes 0.25 in place
# of 0.5. With a data term around y the minimum moves: |0.5 x - y|^2 has it at x = 2 y.
#
# Output seen (f(x) = |x - y|^2, y = 1 everywhere, 4 pixels of area 1; gradient descent from 0):
#   ODL 1.0.0
#   0.5 * f: value at x = 0: 2.0, at x = y: 0.0, minimum at 1.000
#   f * 0.5: value at x = 0: 4.0, at x = y: 1.0, minimum at 2.000
#
# What it means: a data term that is written as `f * 0.5` restores an image that is twice as bright,
# without an error. For a norm around 0, such as a regulariser, it makes no difference. For a
# squared norm around 0, the weight is wrong, which is hard to see. Always write the number first.
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
space = odl.uniform_discr([0, 0], [2, 2], (2, 2))
zero, data = space.zero(), space.one()
misfit = odl.functionals.L2NormSquared(space).translated(data)
found = {}
for name, functional in (("0.5 * f:", 0.5 * misfit), ("f * 0.5:", misfit * 0.5)):
    image = space.zero()
    for _ in range(100):
        image = image - 0.5 * functional.gradient(image)
    values = (float(functional(zero)), float(functional(data)), float(image.asarray().mean()))
    found[name] = tuple(round(value, 6) for value in values)
    print(
        f"{name} value at x = 0: {found[name][0]:.1f}, at x = y: {found[name][1]:.1f},",
        f"minimum at {found[name][2]:.3f}",
    )

if found != {"0.5 * f:": (2.0, 0.0, 1.0), "f * 0.5:": (4.0, 1.0, 2.0)}:
    sys.exit("changed: a functional times a number no longer scales the argument")
PYTHON
