"""
Coil maps from the scan itself
==============================

The maps of a scanner's coils are rarely known, and its images have a phase. Both are estimated from
the lines around frequency zero, by ESPIRiT and from an image of low resolution. The table compares
them with the maps and the phase that the scan was simulated with, and with maps alone.

`python examples/coil_maps.py` takes a minute.
"""

import sys

import numpy as np
import torch
from torch import Tensor

import invprob
from invprob.operators import (
    Luminance,
    MulticoilMRI,
    estimate_sensitivities,
    multicoil_from_kspace,
    smooth_phase,
)
from invprob.run.samples import load_sample

SMOKE = "--smoke" in sys.argv
SIZE = 64 if SMOKE else 128
METHODS = {"tv": 8} if SMOKE else {"tv": 60}
LINES = (25,) if SMOKE else (25, 13)  # around frequency zero; of the others every fourth
COILS, NOISE = 8, 0.003

# %%
# A cat within an ellipse stands for the head of a patient. Its phase is smooth. Eight coils stand
# around it, whose maps are those that `multicoil-mri` simulates.

shape = (1, SIZE, SIZE)
grey = Luminance((3, SIZE, SIZE))(load_sample("cat", size=SIZE))[0, 0].double()
y, x = torch.meshgrid(*[torch.linspace(-1, 1, SIZE, dtype=torch.float64)] * 2, indexing="ij")
inside = (x / 0.85).square() + (y / 0.9).square() < 1
brightness = (grey + 1) / 2 * inside
phase = 1.3 * torch.sin(1.5 * x) + 0.9 * torch.cos(1.3 * y + x)
maps = torch.view_as_complex(MulticoilMRI(shape, coils=COILS).sensitivities)


def turned(maps: Tensor, phase: Tensor) -> Tensor:
    """Maps that lead to a real image."""
    return maps * torch.polar(torch.ones_like(phase), phase)


def transform(images: Tensor) -> Tensor:
    """The centred and orthonormal Fourier transform."""
    axes = (-2, -1)
    return torch.fft.fftshift(torch.fft.fft2(torch.fft.ifftshift(images, axes), norm="ortho"), axes)


def scanned(lines: int) -> Tensor:
    """K-space with noise, zero where nothing was measured, (coils, height, width)."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(2, COILS, SIZE, SIZE)) * NOISE
    columns = torch.arange(SIZE)
    mask = (columns % 4 == 1) | ((columns - SIZE // 2).abs() <= lines // 2)
    kspace = transform(turned(maps, phase) * brightness) + torch.complex(*torch.tensor(noise))
    return kspace * mask


# %%
# Each row takes other maps. The scale is 1 for all, so that images can be compared.


def restored(kspace: Tensor, maps: Tensor, method: str) -> Tensor:
    """The image in [-1, 1] that a method finds with these maps."""
    columns = (kspace != 0).flatten(0, 1).any(0)
    operator = MulticoilMRI(shape, lines=columns, sensitivities=maps)
    values = torch.view_as_real(kspace[:, None, :, columns])
    black = operator(-torch.ones(1, *shape, dtype=torch.float64))[0]
    operator = operator @ Luminance((3, SIZE, SIZE))
    measurements = invprob.Measurements.from_array(2 * values + black, operator)
    return invprob.restore(measurements, method, steps=METHODS[method]).image


def score(image: Tensor) -> float:
    """The PSNR within the ellipse, in dB."""
    found = Luminance((3, SIZE, SIZE))(image)[0, 0].clamp(-1, 1).double()
    error = (found - (2 * brightness - 1))[inside].square().mean()
    return float(10 * torch.log10(4 / error))


print("| lines in the middle | maps | " + " | ".join(METHODS) + " |")
print("|---|---|" + "---|" * len(METHODS))
for lines in LINES:
    kspace = scanned(lines)
    estimated = estimate_sensitivities(kspace, crop=0.0)
    rows = {
        "known, with the phase": turned(maps, phase),
        "known, phase estimated": turned(maps, smooth_phase(kspace, maps)),
        "estimated, with the phase": turned(estimated, smooth_phase(kspace, estimated)),
        "estimated, phase ignored": estimated,
    }
    for name, those in rows.items():
        scores = [f"{score(restored(kspace, those, method)):.1f}" for method in METHODS]
        print(f"| {lines} | {name} | {' | '.join(scores)} |", flush=True)

# %%
# One call does all of this for a scan: white noise where a noise scan is given, maps, phase, scale.

scan = multicoil_from_kspace(scanned(LINES[0]))
print(f"white is {scan.scale:.2f} in the units of the scan; it was {float(brightness.max()):.2f}")
