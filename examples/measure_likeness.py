"""How well a generator's encoder tells pictures that the generator can draw from those it cannot.

    python examples/measure_likeness.py > examples/results/likeness.md

A row is an operator. Its columns are the shares of the mean image's misfit that the encoder's image
leaves: the median, the 99 % quantile and the largest of many images of the generator's own, then
each picture that ships with the package. `invprob solve` warns where the encoder finds the
generator's own images (`FOUND`) and leaves much of the picture (`UNLIKE`); see
`invprob/methods/likeness.py`.
"""

import argparse

import torch

import invprob
from invprob.draws import normal
from invprob.methods.likeness import FOUND, UNLIKE, Likeness, likeness
from invprob.operators import (
    MRI,
    AreaDownsample,
    BoxMask,
    GaussianBlur,
    GaussianNoise,
    Identity,
    PartialCirculant,
    RandomMask,
)
from invprob.priors import load_generator
from invprob.priors.encoder_files import load_encoder
from invprob.priors.encoders import ToolkitEncoder
from invprob.run.samples import load_sample
from invprob.streams import stream

PICTURES = ("face", "astronaut", "cat", "retina")
BATCH = 8


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--samples", type=int, default=64, help="images of the generator's own")
    parser.add_argument("--smoke", action="store_true", help="eight samples, two operators")
    given = parser.parse_args()
    torch.set_num_threads(1)
    generator = load_generator("faces-128")
    encoder = load_encoder(generator, "toolkit")
    assert isinstance(encoder, ToolkitEncoder)
    shape = generator.image_shape
    rows = {
        "every pixel": (Identity(shape), None),
        "4x smaller": (AreaDownsample(shape, factor=4), None),
        "noise of sigma 0.2": (Identity(shape), GaussianNoise(sigma=0.2)),
        "blur": (GaussianBlur(shape, sigma=2.0), GaussianNoise(sigma=0.02)),
        "MRI, every 4th line": (MRI(shape, acceleration=4.0), None),
        "box": (BoxMask(shape), None),
        "30 % of pixels": (RandomMask(shape, ratio=0.3), None),
        "5 % random measurements": (PartialCirculant(shape, ratio=0.05), None),
    }
    count = BATCH if given.smoke else given.samples
    chosen = list(rows.items())[:2] if given.smoke else list(rows.items())
    drawn = samples(generator, count)
    truth = torch.cat([load_sample(name, size=generator.resolution) for name in PICTURES])

    about = (__doc__ or "").strip()
    print(f"# What the encoder of faces-128 makes of pictures\n\n```\n{about}\n```\n")
    print(f"{count} images of the generator's own. FOUND is {FOUND}, UNLIKE is {UNLIKE}.\n")
    print(f"| operator | median | 99 % | largest | {' | '.join(PICTURES)} | warned of |")
    print("| --- " * (5 + len(PICTURES)) + "|")
    for label, (operator, noise) in chosen:

        def left(images: torch.Tensor) -> Likeness:
            measurements = invprob.measure(images, operator, noise)  # noqa: B023
            return likeness(measurements, operator, generator, encoder)  # noqa: B023

        own = torch.cat([left(batch).left for batch in drawn.split(BATCH)])
        found = left(truth)
        quantiles = [float(own.quantile(q)) for q in (0.5, 0.99, 1.0)]
        warned = ", ".join(PICTURES[index] for index in found.unlike())
        cells = [f"{value:.2f}" for value in (*quantiles, *found.left.tolist())]
        last = warned or ("nothing" if found.telling else "nothing: it cannot tell")
        print(f"| {' | '.join((label, *cells, last))} |", flush=True)


@torch.no_grad()
def samples(generator: invprob.priors.Generator, count: int) -> torch.Tensor:
    """Images of the generator, (count, 3, size, size) in [-1, 1]."""
    z = normal((count, generator.z_width), stream(1, "measured samples"))
    styles = generator.mapping(z)[:, None].expand(-1, generator.num_layers, -1).contiguous()
    return torch.cat([generator.synthesis(rows) for rows in styles.split(BATCH)]).clamp(-1, 1)


if __name__ == "__main__":
    main()
