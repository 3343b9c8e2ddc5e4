#!/usr/bin/env bash
# ismrmrd 1.15.0 (ISMRM raw data format in Python): images of int32 cannot be made, those of int64
# not saved.
#
# Expected: the format has a type for signed 32-bit images. The package's own list of constants says
# that DATATYPE_INT, number 4, corresponds to int32_t. An int32 array should become such an image.
#
# What happens: the package ties number 4 to NumPy's "int", which has 64 bits on most systems.
# `Image.from_array` refuses an int32 array as unsupported. It takes an int64 array and labels it
# with number 4; but the file has 32 bits for this type, so that saving the image raises an error
# about shapes. int16, uint16, uint32, floating-point and complex images are written and read back
# rightly.
#
# Output seen (with 64-bit Python on Linux):
#   ismrmrd 1.15.0, DATATYPE_INT = 4
#   int32 array: TypeError: Datatype not supported: int32
#   int64 array: an image of type 4 with 8 bytes a pixel, saving it: TypeError: Can't broadcast (1, 1, 3, 8) -> (1, 1, 3, 4)
#   uint32 array: written and read back, equal
#
# What it means: label maps, masks and phase in integers, which NumPy makes as int64, fail only when
# the file is written, after the reconstruction is done. Convert to int16, uint32 or float32 first.
set -euo pipefail
export OMP_NUM_THREADS=1
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --no-compile ismrmrd==1.15.0 numpy==2.4.6

cd "$folder"
"$folder/venv/bin/python" -I - <<'PYTHON'
import sys
from importlib.metadata import version

import ismrmrd
import numpy as np


def written_and_read(name, array):
    """The pixels of an image, by way of a file."""
    data = ismrmrd.Dataset(name, "dataset", create_if_needed=True)
    try:
        data.append_image("images", ismrmrd.Image.from_array(array))
        return data.read_image("images", 0).data.squeeze()
    finally:
        data.close()


print(f"ismrmrd {version('ismrmrd')}, DATATYPE_INT = {ismrmrd.constants.DATATYPE_INT}")
pixels = np.arange(12).reshape(3, 4)

try:
    ismrmrd.Image.from_array(pixels.astype(np.int32))
    first = ""
except TypeError as error:
    first = f"TypeError: {error}"
print("int32 array:", first or "accepted")

image = ismrmrd.Image.from_array(pixels.astype(np.int64))
try:
    written_and_read("signed.h5", pixels.astype(np.int64))
    second = ""
except TypeError as error:
    second = f"TypeError: {error}"
print(
    f"int64 array: an image of type {image.data_type} with {image.data.itemsize} bytes a pixel,",
    f"saving it: {second or 'works'}",
)

equal = np.array_equal(written_and_read("unsigned.h5", pixels.astype(np.uint32)), pixels)
print("uint32 array: written and read back,", "equal" if equal else "not equal")

if not (first and second and equal and image.data_type == ismrmrd.constants.DATATYPE_INT):
    sys.exit("changed: images of int32 or int64 are no longer refused")
PYTHON
