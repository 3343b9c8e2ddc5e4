#!/usr/bin/env bash
# pydicom 3.0.2 (DICOM): the pixels of a deflated file are there by `dcmread` and not there by its
# path.
#
# Expected: `pydicom.pixels.pixel_array` takes a path or a dataset, and its documentation recommends
# the path, which needs less memory. Both should give the same pixels, or say why not.
#
# What happens: for a file of the transfer syntax Deflated Explicit VR Little Endian, the path gives
# an AttributeError that the file has no pixel data, and a warning about implicit VR, because the
# deflated bytes are parsed as they are. The dataset that `dcmread` returns for the same file gives
# the pixels. `iter_pixels` behaves likewise. Here pydicom itself writes the file, from a CT slice
# that ships with it.
#
# Output seen:
#   pydicom 3.0.2
#   Explicit VR Little Endian: (128, 128) by dcmread, (128, 128) by path
#   Deflated Explicit VR Little Endian: (128, 128) by dcmread, AttributeError by path
#   the error: ... no pixel data to decode
#
# What it means: a program that lists which files of an archive have images leaves the deflated ones
# out as if they had none. Try `dcmread(path).pixel_array` where a path gives this error.
set -euo pipefail
export OMP_NUM_THREADS=1
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --no-compile pydicom==3.0.2 numpy==2.4.6

cd "$folder"
"$folder/venv/bin/python" -I -W ignore - <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
import pydicom
from pydicom.data import get_testdata_file
from pydicom.pixels import pixel_array
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

print("pydicom", version("pydicom"))
dataset = pydicom.dcmread(get_testdata_file("CT_small.dcm", download=False))
expected, seen, errors = dataset.pixel_array.copy(), [], []
for syntax in (ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian):
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as("slice.dcm", enforce_file_format=True)
    read = pydicom.dcmread("slice.dcm").pixel_array
    try:
        found = pixel_array("slice.dcm")
        shown = str(found.shape)
        seen.append(np.array_equal(found, expected))
    except AttributeError as error:
        shown = "AttributeError"
        errors.append(str(error))
        seen.append(False)
    same = np.array_equal(read, expected)
    print(f"{syntax.name}: {read.shape if same else 'other pixels'} by dcmread, {shown} by path")
print("the error: ...", *(error.rpartition(", ")[2] for error in errors))

if not (same and seen == [True, False] and errors and "no pixel data" in errors[0]):
    sys.exit("changed: a path gives the pixels of a deflated file, or another error")
PYTHON
