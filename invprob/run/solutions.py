"""A solution that a run folder or a file holds, with what is known of it."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from invprob.errors import (
    FileError,
    InvprobError,
    PriorError,
    RunError,
    UnknownNameError,
    suggest,
)
from invprob.latents.latents import Latents
from invprob.run import folder as files
from invprob.run.config import RunConfig
from invprob.run.folder import RunFolder, is_run_folder
from invprob.run.inputs import load_truth
from invprob.run.job import image_names
from invprob.run.score import Grading
from invprob.solver.solution import Solution
from invprob.types import Images


@dataclass(frozen=True, eq=False)
class Found:
    """A solution and where it came from.

    Args:
        path: the run folder, or the file.
        solution: the solution.
        names: what each of its images is called.
        run: the run's folder. None: the solution is a file by itself.
        grading: which of its images are grey ones.
    """

    path: Path
    solution: Solution
    names: tuple[str, ...]
    run: RunFolder | None = None
    grading: Grading | None = None

    @property
    def name(self) -> str:
        """The name of the folder or file, without its ending."""
        return self.path.resolve().stem if self.run is None else self.path.resolve().name

    def latents(self) -> Latents:
        """The latents of the solution, for callers with several ones.

        Raises:
            PriorError: the solution, which the error names, has no latents of a generator.
        """
        try:
            return Latents.of(self.solution)
        except PriorError as error:
            raise PriorError(f"{self.name}: {error}") from None

    def places(self, image: str | None) -> list[int]:
        """The number of the image of a name, or those of all images for None.

        Raises:
            UnknownNameError: no image has that name.
        """
        if image is None:
            return list(range(len(self.names)))
        if image not in self.names:
            raise UnknownNameError(
                f"{str(self.path)!r} has no image {image!r}.{suggest(image, self.names)} "
                f"Known: {', '.join(self.names)}."
            )
        return [self.names.index(image)]

    def truth(self) -> Images | None:
        """The true images, as far as a run knows them, and their files are still there."""
        if self.run is None:
            return None
        config = self.run.config()
        if not config.simulated:
            return None
        try:
            truth = load_truth(config, self.solution.image.shape[-1])
        except InvprobError:
            return None
        rows = [truth.names.index(name) for name in self.names if name in truth.names]
        return truth.images[rows] if len(rows) == len(self.names) else None


def find_solution(path: Path) -> Found:
    """The solution of a finished run, or of a file.

    Args:
        path: a run folder, or a solution file.

    Raises:
        RunError: the folder is no run, or the run is not finished.
        FileError: there is nothing of that name, or the file is no solution.
    """
    if not path.exists():
        raise FileError(
            f"there is no run folder or solution file {str(path)!r}; runs lie in runs/ unless "
            "--out was given"
        )
    if path.is_file():
        solution = Solution.load(path)
        count = len(solution.image)
        names = (path.stem,) if count == 1 else tuple(map(str, range(1, count + 1)))
        return Found(path, solution, names)
    if not is_run_folder(path):
        raise RunError(f"{str(path)!r} is not the folder of a run: it has no {files.CONFIG} of one")
    folder = RunFolder(path)
    if not folder.finished:
        raise RunError(
            f"the run {str(path)!r} is not finished; finish it: invprob resume "
            f"{shlex.quote(str(path))}"
        )
    solution = Solution.load(path / files.SOLUTION)
    measurements, config = folder.measurements(), folder.config()
    if measurements is None:
        raise RunError(f"{str(path)!r} has lost its {files.MEASUREMENTS}; make the run again")
    names = image_names(measurements, config)
    return Found(path, solution, names, folder, Grading.of(measurements))


def config_of(found: Found) -> RunConfig:
    """The settings of the run that a solution is of.

    Raises:
        RunError: the solution is a file by itself.
    """
    if found.run is None:
        raise RunError(f"{str(found.path)!r} is a file by itself; name the folder of its run")
    return found.run.config()
