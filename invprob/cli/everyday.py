"""Operators by what people call their task: `--operator inpainting` is answered with names."""

from typing import Any

from invprob.errors import UnknownNameError
from invprob.registry import register

# What a task's name may begin with, without spaces and hyphens, and what to use for the task.
TASKS: dict[tuple[str, ...], str] = {
    ("inpaint", "hole", "missingpixel"): "random-mask, box-mask, stroke-mask or mask",
    ("denois", "noise", "noisy"): "identity with --noise gaussian (or another noise)",
    ("superres", "upscal", "upsampl", "downscal", "downsampl", "sr", "lowres"): (
        "bicubic-downsample or area-downsample"
    ),
    ("deblur", "unblur", "sharpen", "deconvol", "defocus"): "gaussian-blur, motion-blur or blur",
    ("compress", "cs", "randomproject"): "circulant, dense-gaussian, hadamard, dct or fourier",
    ("tomograph", "xray", "radon", "sinogram"): "ct or fan-beam",
    ("photon", "transmission", "absor"): "beer-lambert",
    ("magneticresonance", "kspace"): "mri or multicoil-mri",
    ("colouri", "colori", "grey", "gray"): "luminance",
    ("deblock", "artefact", "artifact"): "jpeg",
    ("outpaint", "uncrop"): "crop",
    ("dequanti", "posteri"): "quantise",
    ("unrotat", "straighten"): "rotate",
    ("phaseretriev", "diffraction"): "phase-retrieval",
}


def registered(kind: str, name: str) -> Any:
    """What is registered under a name.

    Raises:
        UnknownNameError: which for the everyday name of a task says what to use for it.
    """
    try:
        return register.of(kind)[name]
    except UnknownNameError:
        word = name.lower().replace("-", "").replace("_", "").replace(" ", "")
        for beginnings, use in TASKS.items():
            if kind == "operator" and word.startswith(beginnings):
                raise UnknownNameError(
                    f"no operator is named {name!r}; for this task use {use}. `invprob operators` "
                    "lists all."
                ) from None
        raise
