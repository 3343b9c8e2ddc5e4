"""How far the domain of the encoders reaches: samples that they never saw, renders, photographs.

    python examples/score_encoders.py --prior faces-128 --images FOLDER

For each set of pictures there are three median PSNRs in dB: of the image that is drawn from the
style rows of the toolkit encoder, of the one from these rows and the base codes of the other
encoder, and of the mean image.
"""

import argparse
from pathlib import Path

import torch

from invprob import load_image
from invprob.encoder.scores import distance_ratio, held_out, redraw, rows_of
from invprob.metrics import psnr
from invprob.priors import Generator, load_generator
from invprob.priors.encoder_files import load_encoder
from invprob.run.samples import load_sample, samples
from invprob.types import Images

PICTURES = (".png", ".jpg", ".jpeg")


@torch.no_grad()
def score(generator: Generator, images: Images) -> str:
    """Return one row of the table."""
    toolkit, base = (load_encoder(generator, kind) for kind in ("toolkit", "base-code"))
    rows = torch.cat([toolkit(part) for part in images.split(16)])
    mean = generator.synthesis(rows_of(generator, generator.mean_w[None])).expand_as(images)
    drawn = (redraw(generator, toolkit, images, rows), redraw(generator, base, images, rows), mean)
    return " | ".join(f"{float(psnr(each, images).median()):.2f}" for each in drawn)


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prior", default="faces-128", help="a generator with encoders")
    parser.add_argument("--images", type=Path, help="a folder of pictures")
    parser.add_argument("--count", type=int, default=256, help="how many held-out samples")
    parser.add_argument("--smoke", action="store_true", help="only two samples")
    options = parser.parse_args()
    count = 2 if options.smoke else options.count
    generator = load_generator(options.prior)
    w = held_out(generator, count)
    with torch.no_grad():
        drawn = torch.cat([generator.synthesis(part) for part in rows_of(generator, w).split(16)])
    ratio = distance_ratio(load_encoder(generator, "toolkit"), generator, w)
    print(f"mean ||E(G(w)) - w|| / mean ||mean w - w||, {count} held-out w: {ratio:.3f}\n")
    print("| images | toolkit | base code | mean image |\n|---|---|---|---|")
    print(f"| {count} held-out samples | {score(generator, drawn)} |")
    names = [] if options.smoke else list(samples())
    for name in names:
        picture = load_sample(name, size=generator.resolution)
        print(f"| sample {name} | {score(generator, picture)} |")
    if options.images is not None:
        files = sorted(p for p in options.images.iterdir() if p.suffix.lower() in PICTURES)
        pictures = [load_image(file, size=generator.resolution) for file in files]
        print(f"| {len(files)} pictures | {score(generator, torch.cat(pictures))} |")


if __name__ == "__main__":
    main()
