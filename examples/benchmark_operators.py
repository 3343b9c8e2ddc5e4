"""Time the costly operators beside the FFTs that they need, and beside deepinv's if installed.

    python examples/benchmark_operators.py [--size 1024] [--threads 2] [--only circulant]

All jobs of a row take the same float32 image, in turns within one run, so that their ratios are
fair on a busy machine too. Each time is a median. Operators have the options of their examples,
except that MRI has its default acceleration of 4 and that some rows name others. Operators that are
not registered, or that refuse the image, are named and left out.

What is compared with deepinv:

- circulant, dct, hadamard: ours transform all elements in one line. deepinv's StructuredRandom does
  the same with an image of one row ("in one line": as many measurements, by a sine transform, zeros
  appended up to a length that suits its FFT). It also transforms row by row, which mixes less ("by
  rows": short transforms, about as many measurements, from the middle of the image). A circulant
  needs two FFTs, theirs needs one.
- blurs: the rows that say so are periodic and use the FFT, as theirs do. The others mirror the
  image at its borders, and pad it.
- mri: two channels, which for us are two real images and for deepinv one complex image. The input
  and the lines are the same. Ours returns the measured lines, theirs the whole plane with zeros.
- random-mask, area-downsample, bicubic-downsample, ct: the same input and as many measurements.
  Theirs reads other random pixels, and uses bicubic down-sampling in both rows.
"""

import math
import statistics
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import torch
import typer
from torch import Tensor
from torch.nn import functional

import invprob
from invprob.errors import InvprobError
from invprob.operators import LinearOperator, Operator
from invprob.run.build import build_example

Job = Callable[[], object]


def flat_ffts(operator: Operator, image: Tensor) -> Job:
    """Transform all elements in one line and back, as a convolution does."""
    del operator
    flat = image.flatten(1)
    return lambda: torch.fft.irfft(torch.fft.rfft(flat), n=flat.shape[1])


def plane_ffts(operator: Operator, image: Tensor) -> Job:
    """Transform each channel and back, as a periodic blur does."""
    del operator
    return lambda: torch.fft.irfft2(torch.fft.rfft2(image), s=image.shape[-2:])


def one_fft(operator: Operator, image: Tensor) -> Job:
    """Transform each channel as a complex image, as a scanner with one coil does."""
    del operator
    complex_image = torch.complex(image, image)
    return lambda: torch.fft.fft2(complex_image)


def coil_ffts(operator: Operator, image: Tensor) -> Job:
    """Transform each channel as a complex image once for each coil."""
    coils = max(1, operator.measurement_shape[0] // image.shape[1])
    if len(operator.measurement_shape) == 5:  # (channels, coils, height, width, 2)
        coils = operator.measurement_shape[1]
    complex_images = torch.complex(image, image).repeat(1, coils, 1, 1)
    return lambda: torch.fft.fft2(complex_images)


def no_ffts(operator: Operator, image: Tensor) -> None:
    """Do nothing: the operator needs no FFT."""
    del operator, image


def their_blur(theirs: Any, operator: Operator) -> Any:
    """A periodic Gaussian blur by FFT."""
    kernel = theirs.physics.blur.gaussian_blur(sigma=(2.0, 2.0))
    return theirs.physics.BlurFFT(operator.image_shape, filter=kernel)


def their_downsampling(theirs: Any, operator: Operator) -> Any:
    """Antialiased down-sampling by the same factor."""
    factor = operator.image_shape[-1] // operator.measurement_shape[-1]
    shape = operator.image_shape
    return theirs.physics.Downsampling(img_size=shape, filter="bicubic", factor=factor)


def their_inpainting(theirs: Any, operator: Operator) -> Any:
    """A random mask."""
    rng = torch.Generator().manual_seed(0)
    seen = float(operator(torch.ones(1, *operator.image_shape)).mean())
    return theirs.physics.Inpainting(operator.image_shape, mask=seen, rng=rng)


def their_mri(theirs: Any, operator: Operator) -> Any:
    """Single-coil MRI of one complex image, its parts two channels, with the same lines."""
    size = operator.image_shape[-2:]
    mask = torch.zeros(1, 1, *size)
    mask[..., operator.get_buffer("lines")] = 1
    return theirs.physics.MRI(mask=mask, img_size=(2, *size))


def their_radon(theirs: Any, operator: Operator) -> Any:
    """Parallel-beam tomography with as many angles."""
    angles = operator.measurement_shape[-2]
    return theirs.physics.Tomography(angles=angles, img_width=operator.image_shape[-1])


def their_random_matrix(theirs: Any, operator: Operator) -> Any:
    """Structured random projections, row by row, onto about as many measurements."""
    channels, height, width = operator.image_shape
    kept = max(1, round(height * operator.measurement_shape[0] / (channels * height * width)))
    rng = torch.Generator().manual_seed(0)
    return theirs.physics.StructuredRandom(operator.image_shape, (channels, kept, width), rng=rng)


def smooth_line(n: int) -> int:
    """The next length whose sine transform, an FFT of 2 (length + 1), is fast."""
    while 60 ** (n + 1).bit_length() % (n + 1):  # n + 1 has prime factors above 5
        n += 1
    return n


def their_random_line(theirs: Any, operator: Operator) -> Any:
    """Structured random projections of all elements in one line onto as many measurements."""
    n, (m,) = smooth_line(math.prod(operator.image_shape)), operator.measurement_shape
    rng = torch.Generator().manual_seed(0)
    return theirs.physics.StructuredRandom((1, 1, n), (1, 1, m), rng=rng)


Floor = Callable[[Operator, Tensor], Job | None]
Peer = Callable[[Any, Operator], Any]

RANDOM: dict[str, Peer] = {"in one line": their_random_line, "by rows": their_random_matrix}

COSTLY: dict[str, tuple[Floor, dict[str, Peer]]] = {
    "circulant": (flat_ffts, RANDOM),
    "dct": (no_ffts, RANDOM),
    "hadamard": (no_ffts, RANDOM),
    "fourier": (one_fft, {}),
    "gaussian-blur": (plane_ffts, {}),
    "gaussian-blur, periodic": (plane_ffts, {"": their_blur}),
    "motion-blur": (plane_ffts, {}),
    "motion-blur, periodic": (plane_ffts, {"": their_blur}),
    "blur": (plane_ffts, {}),
    "blur, periodic": (plane_ffts, {"": their_blur}),
    "area-downsample": (no_ffts, {"": their_downsampling}),
    "bicubic-downsample": (no_ffts, {"": their_downsampling}),
    "random-mask": (no_ffts, {"": their_inpainting}),
    "mri": (one_fft, {}),
    "mri, two channels": (one_fft, {"": their_mri}),
    "multicoil-mri": (coil_ffts, {}),
    "ct": (no_ffts, {"": their_radon}),
    "rotate": (no_ffts, {}),
    "elastic": (no_ffts, {}),
}


def medians(jobs: dict[str, Job], repeats: int) -> dict[str, float]:
    """Return the milliseconds of each job. The jobs take turns; the first turn is not counted."""
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for turn in range(repeats + 1):
        for name, job in jobs.items():
            begin = time.perf_counter()
            job()
            if turn:
                times[name].append(1e3 * (time.perf_counter() - begin))
    return {name: statistics.median(values) for name, values in times.items()}


def row(title: str, image: Tensor, theirs: Any, repeats: int) -> str:
    """Measure one operator and return the numbers as a line."""
    name, _, variant = title.partition(", ")
    image = image[:, :2].contiguous() if variant == "two channels" else image
    settings: dict[str, Any] = {"border": "periodic"} if variant == "periodic" else {}
    if name.endswith("mri"):
        settings = {"acceleration": 4.0, "centre_fraction": 0.08}
    operator = build_example(name, image_shape=tuple(image.shape[1:]), settings=settings)
    floor_of, peers = COSTLY[title]
    told_peers: dict[str, str] = {}
    jobs: dict[str, Job] = {"ours": lambda: operator(image)}
    if isinstance(operator, LinearOperator):
        measurement = operator(image)
        linear = operator
        jobs["our adjoint"] = lambda: linear.adjoint(measurement)
    floor = floor_of(operator, image)
    if floor is not None:
        jobs["floor"] = floor
    for note, peer_of in peers.items() if theirs is not None else ():
        physics = peer_of(theirs, operator)
        reading = image
        if note == "in one line":
            line = image.reshape(1, 1, 1, -1)
            reading = functional.pad(line, (0, smooth_line(line.shape[-1]) - line.shape[-1]))
        theirs_of_it = physics.A(reading)
        told_peers[note] = " ".join(filter(None, [f"deepinv's {type(physics).__name__}", note]))
        jobs[f"theirs {note}"] = partial(physics.A, reading)
        jobs[f"their adjoint {note}"] = partial(physics.A_adjoint, theirs_of_it)
    with torch.no_grad():
        times = medians(jobs, repeats)
    told = [f"{title:24s} {times['ours']:9.2f} ms"]
    told.append(f"adjoint {times['our adjoint']:9.2f} ms" if "our adjoint" in times else "")
    if "floor" in times:
        told.append(f"{times['ours'] / times['floor']:5.2f} x its FFTs")
        if "our adjoint" in times:
            told.append(f"adjoint {times['our adjoint'] / times['floor']:5.2f} x")
    for note, peer in told_peers.items():
        told.append(f"{times['ours'] / times[f'theirs {note}']:5.2f} x {peer}")
        if "our adjoint" in times:
            told.append(f"adjoint {times['our adjoint'] / times[f'their adjoint {note}']:5.2f} x")
    return "  ".join(filter(None, told))


def find_deepinv() -> Any:
    """Return the package, or None if it is not installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import deepinv  # pyright: ignore[reportMissingImports]
        except ImportError:
            return None
    return deepinv


def main(
    size: Annotated[int, typer.Option(help="pixels a side, three channels")] = 1024,
    threads: Annotated[int, typer.Option(help="CPU threads")] = 2,
    repeats: Annotated[int, typer.Option(help="timed calls of each job")] = 7,
    only: Annotated[str | None, typer.Option(help="one operator's name")] = None,
    smoke: Annotated[bool, typer.Option(help="32 px, two calls")] = False,
) -> None:
    """Print for each operator its time, and its ratios to the FFTs it needs and to deepinv."""
    torch.set_num_threads(threads)
    size, repeats = (32, 2) if smoke else (size, repeats)
    theirs = find_deepinv()
    peer = "not installed" if theirs is None else theirs.__version__
    print(f"invprob {invprob.__version__}, torch {torch.__version__}, deepinv {peer}")
    print(f"3 x {size} x {size}, float32, {threads} threads, median of {repeats}")
    image = 2 * torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0)) - 1
    known = set(invprob.register.operator)
    for title in COSTLY:
        name = title.partition(", ")[0]
        if only not in (None, name):
            continue
        if name not in known:
            print(f"{title:24s} is not registered")
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # warnings of deepinv, which we cannot mend
                print(row(title, image, theirs, repeats))
        except InvprobError as error:
            print(f"{title:24s} is left out: {error}")
    print("done")


if __name__ == "__main__":
    typer.run(main)
