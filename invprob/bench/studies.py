"""What is measured of the solutions of a sweep beyond their scores: under noise, edited, mixed.

A sweep file asks for studies as `[[studies]]`. Each finished run is studied once. The numbers lie
in its record, and a sheet of pictures lies in `studies/`.
"""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from invprob.errors import ArgumentError, suggest
from invprob.latents.distance import Distance
from invprob.latents.find import find_direction
from invprob.latents.latents import Latents
from invprob.latents.perturb import Perturbed
from invprob.priors.traversal import MARGIN
from invprob.report.discoveries import draw_discovery
from invprob.report.edits import draw_edits
from invprob.report.figure import Figure
from invprob.report.interpolations import Mixed, draw_interpolations
from invprob.report.perturbations import draw_perturbations
from invprob.run.config import Named
from invprob.run.discovering import METHODS, build_discovery
from invprob.run.solutions import Found, config_of, find_solution
from invprob.run.variants import varied
from invprob.run.watch import Silent

Numbers = Mapping[str, float | None]


@dataclass(frozen=True)
class Studied:
    """What a study found of one run: numbers by the titles of columns, and a figure."""

    numbers: Numbers
    figure: Figure


@dataclass(frozen=True)
class Study(ABC):
    """Something that is measured of a run's solution.

    Args:
        label: its name in tables and files.
        place: its place in the sweep file.
    """

    label: str
    place: str

    def partner(self, at: Mapping[str, str]) -> Mapping[str, str] | None:
        """The labels of another run that the study needs beside this one; by default none."""
        del at
        return None

    def check(self, images: Collection[str]) -> None:
        """Check the study against the images of the sweep; by default nothing can be wrong.

        Raises:
            ArgumentError: an image is missing.
        """
        del images

    def concerns(self, at: Mapping[str, str]) -> bool:
        """Whether a run with these labels is studied; by default every run is."""
        del at
        return True

    @abstractmethod
    def measure(self, folder: Path, partner: Path | None, distance: Distance) -> Studied:
        """Study the solution of a run.

        Args:
            folder: of the run.
            partner: the folder of the other run, where the study needs one.
            distance: between images.

        Raises:
            InvprobError: the solution cannot be studied so.
        """


@final
@dataclass(frozen=True)
class PerturbStudy(Study):
    """Noise on the latents (Fig. 1): medians over the draws, for each ratio."""

    snr: tuple[float, ...]
    draws: int
    which: Perturbed

    def measure(self, folder: Path, partner: Path | None, distance: Distance) -> Studied:
        figure = draw_perturbations(
            [find_solution(folder)],
            None,
            self.snr,
            distance,
            draws=self.draws,
            seed=0,
            which=self.which,
        )
        (found,) = figure.numbers["solutions"]
        numbers: dict[str, float | None] = {}
        for index, ratio in enumerate(self.snr):
            at = f"{ratio:g} dB"
            numbers[f"{distance.label} to the solution, {at}"] = _median(found["distance"], index)
            if found["psnr_truth"] is not None:
                numbers[f"PSNR to the truth, {at}"] = _median(found["psnr_truth"], index)
        return Studied(numbers, figure)


@final
@dataclass(frozen=True)
class EditStudy(Study):
    """Edits along directions (Fig. 7), for each strength."""

    directions: tuple[str, ...]
    strengths: tuple[float, ...]

    def measure(self, folder: Path, partner: Path | None, distance: Distance) -> Studied:
        found = find_solution(folder)
        latents = Latents.of(found.solution)
        directions = [find_direction(name, latents.generator) for name in self.directions]
        figure = draw_edits(
            latents, found.solution.image, found.names, directions, self.strengths, distance
        )
        numbers: dict[str, float | None] = {}
        for edited in figure.numbers["edits"]:
            for index, strength in enumerate(edited["strengths"]):
                if strength:
                    at = f"{edited['direction']} {strength:+g}"
                    numbers[f"{at}: PSNR outside"] = edited["outside"][index]
                    numbers[f"{at}: {distance.label}"] = edited["distance"][index]
                    numbers[f"{at}: change"] = edited["effect"][index]
        return Studied(numbers, figure)


@final
@dataclass(frozen=True)
class InterpolateStudy(Study):
    """The path to the solution of another image (Fig. 8), and a cross-fade beside it."""

    to: str
    steps: int
    which: tuple[Mixed, ...]

    def check(self, images: Collection[str]) -> None:
        if self.to not in images:
            raise ArgumentError(
                f"{self.place}: there is no image {self.to!r} in this sweep."
                f"{suggest(self.to, images)} There are: {', '.join(images)}."
            )

    def concerns(self, at: Mapping[str, str]) -> bool:
        return at["image"] != self.to

    def partner(self, at: Mapping[str, str]) -> Mapping[str, str]:
        return {**at, "image": self.to}

    def measure(self, folder: Path, partner: Path | None, distance: Distance) -> Studied:
        assert partner is not None  # see `partner`
        one, other = find_solution(folder), find_solution(partner)
        kinds: list[Mixed] = [kind for kind in self.which if kind != "heads" or _has_heads(one)]
        figure = draw_interpolations(one, other, self.steps, kinds, "linear", distance)
        numbers: dict[str, float | None] = {}
        for path in figure.numbers["paths"]:
            numbers[f"{path['path']}: length"] = path["length"]
            numbers[f"{path['path']}: largest jump"] = path["largest_jump"]
        return Studied(numbers, figure)


@final
@dataclass(frozen=True)
class DiscoverStudy(Study):
    """A direction from the run's own image and variants of it (Fig. 12), by the same latents.

    The run is the inversion of the image alone. Heads are moved where it has some, else style rows.
    """

    by: str
    values: tuple[float, ...]
    option: str | None

    def measure(self, folder: Path, partner: Path | None, distance: Distance) -> Studied:
        found = find_solution(folder)
        by = varied(Named(self.by), self.option)
        config = config_of(found)
        method = METHODS["heads" if _has_heads(found) else "w-plus"]
        job = build_discovery(dataclasses.replace(config, method=method), by, self.values, MARGIN)
        figure = draw_discovery(
            job.solve(Silent()), job.pictures, job.names, None, by.attribute, {"by": self.by}
        )
        numbers: dict[str, float | None] = {
            f"{name}: PSNR": score
            for name, score in zip(job.names, figure.numbers["psnr"], strict=True)
        }
        measured = figure.numbers["measured"]
        if measured is not None:
            numbers |= {
                f"{name}: {measured['attribute']}": value
                for name, value in zip(job.names, measured["at_learned_scales"], strict=True)
            }
            numbers["monotonic"] = float(measured["monotonic"])
            numbers["off a straight line"] = measured["largest_distance_from_a_line"]
        return Studied(numbers, figure)


def _has_heads(found: Found) -> bool:
    """Whether the free variables of a solution are parameters of heads."""
    return any(name.startswith("style.head.") for name in found.solution.code)


def _median(spread: Mapping[str, Sequence[Sequence[float]]], index: int) -> float:
    """The median for one ratio, of a record's quartiles."""
    return spread["quartiles"][index][1]
