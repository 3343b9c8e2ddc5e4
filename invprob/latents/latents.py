"""The latents of a solution: what a generator draws it from, ready to be changed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor

from invprob.ambient import undisturbed
from invprob.calls import checked
from invprob.errors import ArgumentError, PriorError, ShapeError
from invprob.kinds import remedy
from invprob.priors.base import Prior
from invprob.priors.generator_files import fingerprint
from invprob.priors.retouched import Retouched
from invprob.priors.stylegan.generator import Generator
from invprob.priors.stylegan.inputs import SynthesisInputs
from invprob.priors.stylegan.prior import StyleGANPrior
from invprob.priors.stylegan.synthesis import synthesise
from invprob.solver.solution import Outcome, Solution
from invprob.types import Images

AT_ONCE = 16  # images that are drawn in one pass


@remedy("Latents.of(solution)")
@final
@checked
@dataclass(frozen=True, eq=False)
class Latents:
    """The inputs of a generator for some images, and what free pixels added to these.

    Args:
        generator: the network that draws them.
        inputs: style rows or scales, content, noise maps and weights, each (batch, ...).
        retouch: what a last stage with free pixels added to the image that the generator draws,
            (batch, channel, height, width). None: nothing.
    """

    generator: Generator
    inputs: SynthesisInputs
    retouch: Images | None = None

    @classmethod
    @checked
    @undisturbed()
    @torch.no_grad()
    def of(cls, solution: Solution, prior: Prior | None = None) -> "Latents":
        """The latents of a solution.

        Args:
            solution: of a method that searches a generator.
            prior: what drew it. None: the solution's prior, or for a solution that was read from a
                file the one that `prior_spec` names.

        Raises:
            PriorError: the solution has no latents of a generator, as that of `tv` has none.
        """
        drawn_by = prior or solution.prior or Prior.from_spec(_known(solution))
        free_pixels = isinstance(drawn_by, Retouched)
        inner = drawn_by.prior if isinstance(drawn_by, Retouched) else drawn_by
        if not isinstance(inner, StyleGANPrior):
            raise _without_latents(str(solution.prior_spec.get("type")))
        inputs = SynthesisInputs.from_tensors(
            {name: tensor for name, tensor in solution.realised.items() if name != "image"}
        )
        batch = len(solution.image)
        expanded = {
            name: tensor.detach().expand(batch, *tensor.shape[1:])
            for name, tensor in inputs.to_tensors().items()
        }
        found = cls(inner.generator, SynthesisInputs.from_tensors(expanded))
        if not free_pixels:
            return found
        return replace(found, retouch=solution.image - found.draw())

    @property
    def batch(self) -> int:
        """How many images there are."""
        return len(next(iter(self.tensors().values())))

    def tensors(self) -> dict[str, Tensor]:
        """All latents by name: those of `SynthesisInputs.to_tensors`, and "retouch"."""
        pixels = {} if self.retouch is None else {"retouch": self.retouch}
        return {**self.inputs.to_tensors(), **pixels}

    def changed(self, change: Callable[[str, Tensor], Tensor]) -> "Latents":
        """The latents after a change of each tensor.

        Args:
            change: takes the name of a tensor and the tensor, and returns another one.
        """
        tensors = {name: change(name, tensor) for name, tensor in self.tensors().items()}
        pixels = tensors.pop("retouch", None)
        return replace(self, inputs=SynthesisInputs.from_tensors(tensors), retouch=pixels)

    def chosen(self, images: Sequence[int]) -> "Latents":
        """The latents of some images, by their numbers, which may repeat.

        Raises:
            ArgumentError: there is no number, or no such image.
        """
        rows = list(images)
        wrong = [row for row in rows if not -self.batch <= row < self.batch]
        if wrong or not rows:
            raise ArgumentError(
                f"images must be numbers from 0 to {self.batch - 1}, at least one, not {rows}"
            )
        return self.changed(lambda _, tensor: tensor[rows])

    def check_images(self, images: Images) -> None:
        """Check that there is an image of the generator's size for each of the latents.

        Raises:
            ShapeError: there are more or fewer, or they have another size.
        """
        expected = (self.batch, *self.generator.image_shape)
        if tuple(images.shape) != expected:
            raise ShapeError(
                f"images must be {expected}, those of the latents, got {tuple(images.shape)}"
            )

    def without_retouch(self) -> "Latents":
        """The latents without what free pixels added."""
        return replace(self, retouch=None)

    @undisturbed()
    @torch.no_grad()
    def draw(self) -> Images:
        """Draw the images, (batch, channel, height, width) in about [-1, 1].

        A batch agrees with single images up to rounding.
        """
        numbers = list(range(self.batch))
        parts = [numbers[start : start + AT_ONCE] for start in range(0, len(numbers), AT_ONCE)]
        chosen = [self.chosen(part).inputs for part in parts]
        images = torch.cat([synthesise(self.generator, inputs) for inputs in chosen])
        return images if self.retouch is None else images + self.retouch

    @undisturbed()
    def solution(self, images: Images, sentence: str) -> Solution:
        """The latents as a solution, which can be saved, and changed again.

        Args:
            images: what they draw, (batch, channel, height, width).
            sentence: how they came about, for `Outcome`.
        """
        prior: Prior = StyleGANPrior(self.generator)
        realised = self.inputs.to_tensors()
        if self.retouch is not None:
            prior, realised = Retouched(prior), {**realised, "image": images}
        return Solution(
            image=images,
            realised=realised,
            code={},
            outcome=Outcome("finished", sentence),
            trace={},
            steps=0,
            seed=0,
            prior_spec=prior.spec(),
            prior=prior,
        )


@checked
def joined(parts: Sequence[Latents]) -> Latents:
    """The latents of several batches of one generator, one after another.

    Raises:
        PriorError: they are of different generators, or hold different inputs.
    """
    first = parts[0]
    for other in parts[1:]:
        check_alike(first, other)
    tensors = [part.tensors() for part in parts]
    return first.changed(lambda name, _: torch.cat([one[name] for one in tensors]))


def check_alike(one: Latents, other: Latents) -> None:
    """Check that two latents can be mixed.

    Raises:
        PriorError: they are of different generators, or hold different inputs.
    """
    mine, theirs = one.tensors(), other.tensors()
    if one.generator is not other.generator:
        prints = [fingerprint(latents.generator) for latents in (one, other)]
        if prints[0] != prints[1]:
            raise PriorError(
                f"the solutions are of different generators, {one.generator.source!r} "
                f"({prints[0][:12]}…) and {other.generator.source!r} ({prints[1][:12]}…); solve "
                "both with one --prior"
            )
    for here, there, which in ((mine, theirs, "first"), (theirs, mine, "second")):
        alone = sorted(here.keys() - there.keys())
        if alone:
            raise PriorError(
                f"only the {which} solution holds {alone[0]}"
                f"{f' and {len(alone) - 1} more' if len(alone) > 1 else ''}; solve both with one "
                "method and the same options"
            )


def _known(solution: Solution) -> dict[str, object]:
    """The spec of the solution's prior, if it is one that has a generator."""
    spec = dict(solution.prior_spec)
    inner = spec.get("prior", {}) if spec.get("type") == "retouched" else spec
    if inner.get("type") != "stylegan":
        raise _without_latents(str(inner.get("type")))
    return spec


def _without_latents(kind: str) -> PriorError:
    return PriorError(
        f"this solution has no latents of a generator: its prior is {kind!r}; solve with a method "
        "that searches a generator, such as sphinx"
    )
