#!/usr/bin/env bash
# torchmetrics 1.9.0 (metrics in PyTorch): a PSNR without a range supposes values from 0 to 3.
#
# Expected: images are in [0, 1] or [0, 255]. The documentation of PeakSignalNoiseRatio asks for the
# data range; the class in `torchmetrics.image` refuses to be made without it. So should the class
# of the same name in `torchmetrics`, or it should take the range of the images.
#
# What happens: `torchmetrics.PeakSignalNoiseRatio()` takes a range of 3.0, whatever the images are,
# and so does `peak_signal_noise_ratio` from `torchmetrics.functional`. Both warn that importing
# from there is deprecated, and do not mention the range. Images in [0, 1] score 9.54 dB too much.
#
# Output seen (true image in [0, 1], noise of 0.1):
#   torchmetrics 1.9.0
#   torchmetrics.image.PeakSignalNoiseRatio(data_range=1.0): 19.91 dB
#   torchmetrics.image.PeakSignalNoiseRatio():               TypeError
#   torchmetrics.PeakSignalNoiseRatio():                     29.45 dB
#   torchmetrics.functional.peak_signal_noise_ratio:         29.45 dB
#
# What it means: a figure of 29.5 dB looks plausible for a restored image, and is 19.9 dB. Figures
# that were made with the short names cannot be compared with others. Always give the range, and
# import from `torchmetrics.image`.
#
# This script installs PyTorch, some gigabytes.
set -euo pipefail
export OMP_NUM_THREADS=1
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --no-compile \
    torchmetrics==1.9.0 torch==2.14.1 numpy==2.4.6

cd "$folder"
"$folder/venv/bin/python" -I -W ignore - <<'PYTHON'
import sys

import torch
import torchmetrics
import torchmetrics.functional
import torchmetrics.image

print("torchmetrics", torchmetrics.__version__)
generator = torch.Generator().manual_seed(0)
true = torch.rand(1, 1, 64, 64, generator=generator)
noisy = true + 0.1 * torch.randn(true.shape, generator=generator)

given = float(torchmetrics.image.PeakSignalNoiseRatio(data_range=1.0)(noisy, true))
try:
    torchmetrics.image.PeakSignalNoiseRatio()
    refused = "accepted"
except TypeError:
    refused = "TypeError"
short = float(torchmetrics.PeakSignalNoiseRatio()(noisy, true))
function = float(torchmetrics.functional.peak_signal_noise_ratio(noisy, true))
print(f"torchmetrics.image.PeakSignalNoiseRatio(data_range=1.0): {given:.2f} dB")
print(f"torchmetrics.image.PeakSignalNoiseRatio():               {refused}")
print(f"torchmetrics.PeakSignalNoiseRatio():                     {short:.2f} dB")
print(f"torchmetrics.functional.peak_signal_noise_ratio:         {function:.2f} dB")

extra = 20 * torch.log10(torch.tensor(3.0)).item()  # 9.54 dB
if refused != "TypeError" or max(abs(short - given - extra), abs(function - given - extra)) > 1e-3:
    sys.exit("changed: a PSNR without a range no longer supposes values from 0 to 3")
PYTHON
