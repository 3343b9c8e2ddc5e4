"""Coil maps of raw data by ESPIRiT: `--sensitivities espirit`."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from invprob.formats.kspace import KSpace
from invprob.operators.coil_maps import estimate_sensitivities, smooth_phase
from invprob.run.config import Named

ESPIRIT = "espirit"


def asks_for_espirit(named: Named) -> bool:
    """Whether the maps are to be estimated by ESPIRiT."""
    given = named.settings.get("sensitivities")
    return isinstance(given, str) and given.lower() == ESPIRIT


def espirit_maps(found: KSpace) -> NDArray[Any]:
    """Maps of all pixels, with the phase of the image in them.

    Returns:
        complex64, (coils, rows, width).

    Raises:
        ArgumentError: too few neighbouring lines were measured in the middle.
    """
    whole = np.zeros((len(found.values), found.height, found.width), np.complex128)
    whole[:, :, found.lines] = found.values if found.seen is None else found.values * found.seen
    maps = estimate_sensitivities(whole, crop=0.0)
    phase = smooth_phase(whole, maps)
    return (maps * torch.polar(torch.ones_like(phase), phase)).numpy().astype(np.complex64)
