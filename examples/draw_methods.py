"""Every method on one task: a picture for each, and a table of PSNR and time.

    python examples/draw_methods.py --out examples/figures/methods > examples/results/methods.md

Each method restores two pictures that ship with the package, a face and a retina, from one in
sixteen of their pixels: the picture four times smaller. Every method has its own settings and its
own number of steps. There is no perceptual network, so methods whose loss is perceptual run on the
data term instead. The seconds are processor time on one thread, for one picture.
"""

import argparse
import time
from pathlib import Path

import torch

import invprob
from invprob.operators import AreaDownsample
from invprob.priors import load_generator
from invprob.run.images import to_pillow
from invprob.run.samples import load_sample

PICTURES = ("face", "retina")


def main() -> None:
    """Print a row for each method, and write its picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("methods"), help="folder for pictures")
    parser.add_argument("--method", action="append", help="may repeat; default: all")
    parser.add_argument("--smoke", action="store_true", help="two methods, six steps")
    given = parser.parse_args()
    names = ["tv", "w-plus"] if given.smoke else given.method or list(invprob.register.method)

    torch.set_num_threads(1)
    given.out.mkdir(parents=True, exist_ok=True)
    generator = load_generator("faces-128")
    truth = torch.cat([load_sample(name, size=generator.resolution) for name in PICTURES])
    operator = AreaDownsample(generator.image_shape, factor=4)
    measurements = invprob.measure(truth, operator)
    write(truth, given.out / "truth.webp")
    write(operator.pinv(measurements.values), given.out / "pseudo-inverse.webp")

    print("# Every method on one task\n\n" + explanation() + "\n")
    for title in ("truth", "pseudo-inverse"):
        print(f"![{title}](../figures/methods/{title}.webp) {title}\n")
    print("| method | face, dB | retina, dB | steps | seconds |\n|---|---|---|---|---|", flush=True)
    for name in names:
        before = time.process_time()
        steps = 6 if given.smoke else None
        solution = invprob.restore(measurements, name, generator, steps=steps)
        seconds = (time.process_time() - before) / len(PICTURES)
        face, retina = invprob.metrics.psnr(solution.image, truth).tolist()
        write(solution.image, given.out / f"{name}.webp")
        print(
            f"| `{name}` | {face:.1f} | {retina:.1f} | {solution.steps} | {seconds:.0f} |",
            flush=True,
        )


def explanation() -> str:
    """Return what the table says about itself."""
    lines = (__doc__ or "").strip().split("\n\n")
    return f"{lines[2]}\n\n{lines[1]}"


def write(images: torch.Tensor, path: Path) -> None:
    """Write images side by side."""
    to_pillow(torch.cat(list(images), 2)).save(path, quality=90)


if __name__ == "__main__":
    main()
