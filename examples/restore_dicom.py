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
from invprob.formats.window import Window
from invprob.operators import CT
from invprob.report.comparison import write_comparison
from invprob.run.derived import write_restored
from invprob.run.results import Comparison, Panel
from invprob.run.scans import read_windowed

WATER = 0.0193  # attenuation per mm at 70 keV


def main() -> None:
    """Print the errors, and write restored.dcm and perhaps a figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photons", type=float, default=3e4, help="of a ray that meets nothing")
    parser.add_argument("--views", type=int, default=60)
    parser.add_argument("--window", default="-1000 1000", help="in Hounsfield units")
    parser.add_argument("--method", default="tv")
    parser.add_argument("--steps", type=int, help="default: the method's own")
    parser.add_argument("--out", type=Path, default=Path("restored.dcm"))
    parser.add_argument("--figure", type=Path, help="a picture of the comparison")
    parser.add_argument("--smoke", action="store_true", help="few steps")
    given = parser.parse_args()

    torch.set_num_threads(1)
    file = get_testdata_file("CT_small.dcm", download=False)
    assert isinstance(file, str)
    source = read_windowed(Path(file), Selection(window=given.window))
    print(source.describe())
    truth = source.tensor()
    operator = CT(tuple(truth.shape[1:]), views=given.views)
    measurements = scan(truth, operator, source.window, given.photons, 0.661468)
    start = time.process_time()
    steps = 8 if given.smoke else given.steps
    solution = invprob.restore(measurements, given.method, steps=steps)
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


def scan(
    truth: torch.Tensor, operator: CT, window: Window, photons: float, spacing: float
) -> invprob.Measurements:
    """Count the photons of each ray, and bring their logarithms to images in [-1, 1].

    Attenuation is μ = μ_water (1 + HU / 1000), and HU is affine in the image x, so μ = a x + b. A
    ray through the integral p = spacing · A μ lets photons · exp(-p) through on average. What was
    counted gives p back, and y = (p / spacing - b A 1) / a is A x, with noise.

    Args:
        truth: the image, (1, 3, height, width) in [-1, 1], grey.
        operator: A.
        window: the Hounsfield units of black and white.
        photons: of a ray that meets nothing.
        spacing: the side of a pixel, in mm.
    """
    half = (window.high - window.low) / 2
    a = WATER * half / 1000
    b = WATER * (1 + (window.low + half) / 1000)
    ones = operator(torch.ones_like(truth))
    integrals = spacing * (a * operator(truth) + b * ones)[:, :1].double().numpy()
    rates = photons * np.exp(-integrals)
    counts = np.random.default_rng(0).poisson(rates).clip(min=1)
    found = torch.from_numpy(-np.log(counts / photons)).float()
    values = (found / spacing - b * ones[:, :1]) / a
    # The logarithm of a count of mean n has a deviation of about 1 / sqrt(n).
    sigma = float(np.sqrt((1 / rates).mean())) / spacing / a
    print(f"{rates.min():.0f} to {rates.max():.0f} photons arrive; sigma {sigma:.2f}")
    noise = invprob.register.noise.get("gaussian")(sigma=sigma)
    return invprob.Measurements.from_array(
        values.expand(-1, 3, -1, -1),
        operator,
        noise=noise,
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
