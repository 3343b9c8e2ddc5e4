#!/usr/bin/env bash
# Pillow 13.0.0 (image files): a 16-bit colour TIFF with separate planes opens with wrong pixels.
#
# Expected: the TIFF 6.0 specification lets a file store the colours one after another
# (PlanarConfiguration 2), which microscopes and scientific libraries such as tifffile do. Pillow
# reads 16-bit colour as 8 bits, the high byte of each value. It does so for interleaved colours,
# and for compressed separate planes. It should give the same pixels without compression, or refuse
# the file.
#
# What happens: an uncompressed file with separate planes of 16 bits opens without an error or
# warning, with the right size and mode; but its bytes are taken for pixels. Low and high bytes of a
# value become two neighbours, so that each row shows its left half only, at double width and mixed
# with noise of the low bytes.
#
# Output seen (red of the first row; written by tifffile 2026.3.3):
#   Pillow 13.0.0
#   high bytes as written:   [10, 20, 30, 40, 50, 60]
#   interleaved:             [10, 20, 30, 40, 50, 60] RGB
#   separate, compressed:    [10, 20, 30, 40, 50, 60] RGB
#   separate:                [7, 10, 7, 20, 7, 30] RGB
#
# What it means: measurements and true images that are loaded through Pillow are garbled before any
# operator sees them, and the result looks like a failed reconstruction. Read such files with
# tifffile, which also keeps all 16 bits.
set -euo pipefail
export OMP_NUM_THREADS=1
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --no-compile \
    pillow==13.0.0 tifffile==2026.3.3 numpy==2.4.6

cd "$folder"
"$folder/venv/bin/python" -I - <<'PYTHON'
import sys

import numpy as np
import PIL
import tifffile
from PIL import Image

print("Pillow", PIL.__version__)
high = np.arange(10, 10 + 10 * 24, 10, dtype=np.uint16) % 250  # the high bytes
values = (high * 256 + 7).reshape(4, 6)
colours = np.stack([values, values[::-1], values[:, ::-1]])
right = (colours >> 8).astype(np.uint8).transpose(1, 2, 0)
print(f"{'high bytes as written:':24s}", right[0, :, 0].tolist())

files = {
    "interleaved:": (colours.transpose(1, 2, 0), "contig", None),
    "separate, compressed:": (colours, "separate", "zlib"),
    "separate:": (colours, "separate", None),
}
equal = {}
for name, (array, layout, compression) in files.items():
    tifffile.imwrite(
        "image.tif", array, photometric="rgb", planarconfig=layout, compression=compression
    )
    if not np.array_equal(tifffile.imread("image.tif"), array):
        sys.exit("the file that tifffile wrote does not hold the image")
    with Image.open("image.tif") as image:
        pixels = np.asarray(image)
        print(f"{name:24s}", pixels[0, :, 0].tolist(), image.mode)
    equal[name] = np.array_equal(pixels, right)

if list(equal.values()) != [True, True, False]:
    sys.exit("changed: separate planes of 16 bits are no longer the one layout read wrongly")
PYTHON
