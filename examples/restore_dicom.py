"""A CT slice goes through a scanner with few views and few photons, and back into a DICOM file.

    python examples/restore_dicom.py --figure examples/figures/restore_dicom.png

The slice is CT_small.dcm, which ships with pydicom. Its Hounsfield units become attenuation, that
is measured along the rays of 60 views, and each ray counts its photons: Poisson noise. The restored
image is written as restored.dcm with the method that is named, read again by nibabel's reader of
DICOM, and compared with the slice in Hounsfield units. Printed are the root mean square error and
the median of the absolute error, of what lies within the window.
"""

import argparse
import math
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pydicom.data import get_testdata_file

import invprob
from invprob.formats.scan import Selection
from invprob.operators import (
    CT,
    BeerLambert,
    GaussianNoise,
    ImageRange,
    PoissonNoise,
    line_integrals,
)
from invprob.report.comparison import write_comparison
from invprob.run.derived import write_restored
from invprob.run.results import Comparison, Panel
from invprob.run.scans import read_windowed
from invprob.types import Images

WATER = 0.0193  # attenuation per mm at 70 keV
SPACING = 0.661468  # mm; the side of a pixel of the slice


def main() -> None:
    """Print the errors, and write restored.dcm and perhaps a figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photons", type=float, default=3e4, help="of a ray that meets nothing")
    parser.add_argument("--views", type=int, default=60)
    parser.add_argument("--white", type=float, default=1000, help="Hounsfield units; black is air")
    parser.add_argument("--method", default="tv")
    parser.add_argument("--fidelity", type=float, help="λ of the method; default: its choice")
    parser.add_argument("--steps", type=int, help="default: the method's own")
    parser.add_argument("--out", type=Path, default=Path("restored.dcm"))
    parser.add_argument("--figure", type=Path, help="a picture of the comparison")
    parser.add_argument("--smoke", action="store_true", help="few steps")
    given = parser.parse_args()

    torch.set_num_threads(1)
    file = get_testdata_file("CT_small.dcm", download=False)
    assert isinstance(file, str)
    source = read_windowed(Path(file), Selection(window=f"-1000 {given.white}"))
    print(source.describe())
    truth = source.tensor()
    operator = CT(tuple(truth.shape[1:]), views=given.views)
    white = WATER * SPACING * (1 + source.window.high / 1000)
    measurements = scan(truth, operator, white, given.photons)
    start = time.process_time()
    steps = 3 if given.smoke else given.steps
    options = {} if given.fidelity is None else {"fidelity": given.fidelity}
    solution = invprob.restore(measurements, given.method, steps=steps, options=options)
    seconds = time.process_time() - start
    how = f"Restored by {given.method} from a simulated scan of {given.views} views."
    write_restored(solution.image, source, given.out, how=how)

    slice_hu = source.scan.planes[0]
    quick = operator.fbp(measurements.values)
    quick_hu = source.window.to_physical(quick.mean(1)[0].numpy())
    print("| image | root mean square error, HU | median absolute error, HU |\n|---|---|---|")
    rows = {
        "filtered back-projection": quick_hu,
        f"`{given.method}`, read from {given.out.name}": read_again(given.out),
        f"`{given.method}`, before it was written": source.window.to_physical(
            solution.image.mean(1)[0].double().numpy()
        ),
    }
    inside = (slice_hu >= source.window.low) & (slice_hu <= source.window.high)
    for name, values in rows.items():
        error = abs(values - slice_hu)[inside]
        print(f"| {name} | {math.sqrt((error**2).mean()):.1f} | {np.median(error):.1f} |")
    print(f"{solution.steps} steps, {seconds:.0f} s of processor time")
    if given.figure is not None:
        psnr = float(invprob.metrics.psnr(solution.image, truth))
        ssim = float(invprob.metrics.ssim(solution.image, truth))
        write_comparison(
            Comparison(
                name="CT_small.dcm",
                truth=truth[0],
                measured=[Panel("filtered back-projection", quick[0].clamp(-1, 1))],
                result=solution.image[0],
                scores={"psnr": psnr, "ssim": ssim, "lpips": None, "psnr_pinv": None},
                caption=f"{given.views} views, {given.photons:g} photons a ray; {given.method}; "
                f"black is {source.window.low:g} HU, white is {source.window.high:g} HU",
            ),
            given.figure,
        )


def scan(truth: Images, operator: CT, largest: float, photons: float) -> invprob.Measurements:
    """Count the photons of each ray, and bring their logarithms to images in [-1, 1].

    A ray through the attenuation μ = largest · (x + 1)/2 gives the line integral A μ, so that
    y = 2 A μ / largest - A 1 is A x, with noise.

    Args:
        truth: the image x, (1, 3, height, width) in [-1, 1], grey.
        operator: A.
        largest: the attenuation of white, per pixel.
        photons: of a ray that meets nothing.
    """
    once = CT((1, *truth.shape[2:]), degrees=operator.degrees)
    shape = once.image_shape
    rays = BeerLambert(once.measurement_shape) @ once @ ImageRange(shape, high=largest)
    counted = invprob.measure(truth[:, :1], rays, PoissonNoise(photons=photons)).values
    counts = photons * (counted.double() + 1) / 2
    print(f"{counts.min():.0f} to {counts.max():.0f} photons arrive")
    found = line_integrals(counts, photons)
    values = (2 / largest * found.values - once(torch.ones(1, *shape))).float()
    sigma = 2 / largest * float((1 / found.weights[found.weights > 0]).mean().sqrt())
    return invprob.Measurements.from_array(
        values.expand(-1, 3, -1, -1),
        operator,
        noise=GaussianNoise(sigma=sigma),
        record={"names": ["CT_small"], "grey": [True]},
    )


def read_again(path: Path) -> NDArray[np.float64]:
    """Hounsfield units of a DICOM file by nibabel."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nibabel's: its readers of DICOM are experimental
        from nibabel.nicom.dicomwrappers import wrapper_from_file

        return np.asarray(wrapper_from_file(path).get_data(), np.float64)


if __name__ == "__main__":
    main()
