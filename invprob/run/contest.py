"""A run with a method that chooses among others: its candidates, its choice, and the result.

A candidate is solved in a folder of its own, `candidates/NAME`, from what is seen of the
measurements. What became of it is written down at once, so that a resumed run does not repeat it.
The truth is not among what a candidate is given.
"""

from collections.abc import Mapping
from dataclasses import replace

from invprob.methods import Candidate, Contest, Recipe, needs_generator
from invprob.methods.contest import Decision, Entry, hold, split_for
from invprob.run import folder as files
from invprob.run.build import build_recipe
from invprob.run.chunks import solve_in_chunks
from invprob.run.config import Named, RunConfig
from invprob.run.folder import RunFolder
from invprob.run.images import save_image
from invprob.run.job import Job
from invprob.run.watch import Display
from invprob.schedules import constant
from invprob.solver.optimisers import Adam
from invprob.solver.solution import Solution
from invprob.solver.split import Split
from invprob.solver.stopping import noise_levels
from invprob.solver.task import Stage
from invprob.types import Images, PerImage


def check_contest(job: Job, contest: Contest) -> None:
    """See that the measurements can be split, and that every candidate can be built.

    Raises:
        InvprobError: they cannot; the message says what to change.
    """
    split_for(contest, job.measurements, job.operator, job.config.seed)
    for candidate in _jobs(job, contest).values():
        candidate.task(range(job.count))


def solve_contest(
    job: Job, contest: Contest, folder: RunFolder, display: Display
) -> tuple[Job, Solution, float]:
    """Hold the contest, and restore by the winner from all measurements.

    Args:
        job: what to solve.
        contest: the candidates.
        folder: where candidates, the choice, trace and checkpoints go. What lies there already is
            not repeated.
        display: learns how far the run is.

    Returns:
        The job as the winner does it, the solution, and the seconds of all solves.

    Raises:
        RunError: every candidate failed.
    """
    folder.keep()
    jobs = _jobs(job, contest)
    split = split_for(contest, job.measurements, job.operator, job.config.seed)
    book = _Book(folder, split, job, jobs)
    display.message(book.opening())

    def attempt(name: str) -> tuple[Solution, float]:
        hidden = replace(
            jobs[name], measurements=split.seen, operator=split.seen_operator, truth=None
        )
        return _solve_inside(hidden, folder.inside(f"candidates/{name}"), display)

    def tell(entry: Entry) -> None:
        if entry.method not in book.earlier:
            display.message(str(entry))
        book.enter(entry)

    decision = hold(contest.candidates, book.judge, attempt, tell, book.earlier)
    book.close(decision)
    display.message(str(decision))
    for name in jobs:
        folder.inside(f"candidates/{name}").drop_progress()
    won, found, seconds = _restored(decision, jobs, folder, display)
    return won, decision.solution(found), book.seconds + seconds


def _jobs(job: Job, contest: Contest) -> dict[str, Job]:
    """The job as each candidate would do it, from all measurements."""
    return {one.method: _by(job, one) for one in contest.candidates}


def _by(job: Job, candidate: Candidate) -> Job:
    config = replace(job.config, method=Named(candidate.method))
    if not needs_generator(candidate.method):  # nothing to begin coarsely, or by an encoder
        config = replace(config, init=RunConfig.init, coarse=RunConfig.coarse)
    recipe = build_recipe(
        config, job.generator, job.operator, job.network, noise=job.measurements.noise()
    )
    return replace(job, config=config, recipe=recipe)


def _restored(
    decision: Decision, jobs: Mapping[str, Job], folder: RunFolder, display: Display
) -> tuple[Job, dict[str, Solution], float]:
    """What the members of the choice restore from all measurements."""
    first = decision.members[0]
    if len(decision.members) == 1:
        recipe = jobs[first].recipe
        for line in (*recipe.choices.sentences(), *recipe.notes):
            display.message(line)
        checkpoint = folder.load_checkpoint()
        folder.truncate_trace(0 if checkpoint is None else checkpoint.lines)
        solution, seconds = solve_in_chunks(jobs[first], folder, display, checkpoint)
        return jobs[first], {first: solution}, seconds
    found, spent = {}, 0.0
    for name in decision.members:
        display.message(f"{name}, from all measurements")
        found[name], seconds = _solve_inside(jobs[name], folder.inside(f"members/{name}"), display)
        spent += seconds
    prior = decision.solution(found).prior
    assert prior is not None
    drawn = Recipe((Stage(prior, (), Adam(), constant(), 0),))
    config = replace(jobs[first].config, method=Named(decision.name))
    return replace(jobs[first], config=config, recipe=drawn), found, spent


def _solve_inside(job: Job, folder: RunFolder, display: Display) -> tuple[Solution, float]:
    """Solve a job in a folder within that of the run, or read what it found there before."""
    if folder.finished:
        seconds = float(folder.read_json(files.SCORES)["seconds"])
        return Solution.load(folder.path / files.SOLUTION), seconds
    checkpoint = folder.load_checkpoint()
    folder.truncate_trace(0 if checkpoint is None else checkpoint.lines)
    solution, seconds = solve_in_chunks(job, folder, display, checkpoint)
    solution.save(folder.path / files.SOLUTION)
    images = job.grading(solution.image.cpu().nan_to_num())
    for name, image in zip(job.names, images, strict=True):
        prefix = f"{name}/" if job.count > 1 else ""
        save_image(image, folder.place(prefix + files.IMAGE))
    ends = {"steps": solution.steps, "seconds": seconds, "outcome": str(solution.outcome)}
    folder.write_json(files.SCORES, ends)
    folder.drop_progress()
    return solution, seconds


class _Book:
    """Judges candidates, and writes down what became of them.

    Misfits are in units of the noise's variance where the noise is known.
    """

    def __init__(self, folder: RunFolder, split: Split, job: Job, jobs: Mapping[str, Job]) -> None:
        self._folder, self._split, self._jobs, self._device = folder, split, jobs, job.device
        self._levels = None
        if job.measurements.noise() is not None:
            levels = noise_levels(job.measurements, job.operator, job.config.seed)
            self._levels = levels if bool((levels > 0).all()) else None
        before = (folder.path / files.CANDIDATES).exists()
        known = folder.read_json(files.CANDIDATES)["candidates"] if before else ()
        entries = map(Entry.from_json, known)
        self.earlier = {entry.method: entry for entry in entries}
        self._entries = dict(self.earlier)

    @property
    def seconds(self) -> float:
        """How long all candidates took."""
        return sum(entry.seconds for entry in self._entries.values())

    def judge(self, image: Images) -> PerImage:
        """The misfit of what is hidden, for each image."""
        self._split.operator.to(self._device)
        misfit = self._split.misfit(image.to(self._device))
        return misfit if self._levels is None else misfit / self._levels.square()

    def opening(self) -> str:
        """What is about to happen, in one line."""
        names, count = ", ".join(self._jobs), self._split.count
        return f"auto tries {names}; {count} numbers are held out of each image and judge them"

    def enter(self, entry: Entry) -> None:
        """Write down what became of a candidate."""
        self._entries[entry.method] = entry
        self._write({})

    def close(self, decision: Decision) -> None:
        """Write down the choice, there and among what was chosen for the user."""
        self._write({"chosen": list(decision.members), "reason": decision.reason})
        made = {"method": {"value": decision.name, "reason": decision.reason}}
        if len(decision.members) == 1:
            made |= self._jobs[decision.members[0]].recipe.choices.to_json()
        self._folder.write_json(files.CHOICES, made)

    def _write(self, choice: Mapping[str, object]) -> None:
        unit = "the measurement's unit, squared" if self._levels is None else "the noise's variance"
        listed = [
            {**entry.to_json(), "choices": self._jobs[entry.method].recipe.choices.to_json()}
            for entry in self._entries.values()
        ]
        about = {"held_out": self._split.count, "unit": unit, "candidates": listed}
        self._folder.write_json(files.CANDIDATES, {**about, **choice})
