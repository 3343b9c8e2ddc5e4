"""A run is started or resumed: from its settings to its pictures.

    start | resume  >  solve_in_chunks  >  solve_restarts  >  solve_stages  >  minimise  >  step

Between them lie all the functions from the command line to a step of the optimiser.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from invprob.errors import FileError
from invprob.run import folder as files
from invprob.run.chunks import solve_in_chunks
from invprob.run.config import RunConfig
from invprob.run.contest import check_contest, solve_contest
from invprob.run.folder import RunFolder
from invprob.run.inputs import with_absolute_paths
from invprob.run.job import Job, build_job
from invprob.run.opening import new_folder, open_folder
from invprob.run.results import Draw, Finished, write_results
from invprob.run.watch import Display, Silent


def start(
    config: RunConfig,
    *,
    out: Path | None = None,
    overwrite: bool = False,
    display: Display | None = None,
    draw: Draw | None = None,
) -> Finished:
    """Make a run in a new folder.

    Nothing is left behind by an error before the first step.

    Args:
        config: the settings of the run.
        out: the folder to make. None: `runs/NAME-OPERATOR-METHOD-NNN`.
        overwrite: whether to replace the run that lies in `out`.
        display: where the run says how far it is. None: nowhere.
        draw: writes the comparison picture. None: there will be none.

    Returns:
        The scores, and where the run lies.

    Raises:
        InvprobError: something that the settings name does not exist or does not fit, or the
            folder cannot be made.
    """
    display = display or Silent()
    job = build_job(with_absolute_paths(config), display)
    _check(job)  # what is refused here leaves nothing behind
    with new_folder(out, job.name, overwrite=overwrite) as folder:
        # Only here: to a run that is resumed, its settings say that everything was asked for.
        folder.write_json(files.CHOICES, job.recipe.choices.to_json())
        _record(job, folder)
        for line in job.messages():
            display.message(line)
        display.folder(folder.path)
        with _resumable(folder):
            if job.recipe.contest is None:
                solution, seconds = solve_in_chunks(job, folder, display)
            else:
                job, solution, seconds = solve_contest(job, job.recipe.contest, folder, display)
            return write_results(job, folder, solution, seconds, draw)


def resume(path: Path, *, display: Display | None = None, draw: Draw | None = None) -> Finished:
    """Go on with a run from its last checkpoint; it ends bit for bit as if never interrupted.

    Where no checkpoint was reached the run starts anew. A finished run is left as it is.

    Args:
        path: the folder of the run.
        display: where the run says how far it is. None: nowhere.
        draw: writes the comparison picture. None: there will be none.

    Returns:
        The scores, and where the run lies.

    Raises:
        RunError: there is no run in the folder, or another process is at work in it.
        InvprobError: what the run began with is not there any more.
    """
    display = display or Silent()
    with open_folder(path) as folder:
        folder.keep()
        config = folder.config()
        if folder.finished:
            scores = folder.read_json(files.SCORES)
            images, choices = scores.get("images", {}), folder.choices()
            return Finished(path, scores, images, choices, again=True)
        checkpoint = folder.load_checkpoint() if folder.recorded else None
        job = build_job(config, display, began=folder)
        display.folder(folder.path)
        if job.recipe.contest is not None and folder.recorded:
            with _resumable(folder):
                job, solution, seconds = solve_contest(job, job.recipe.contest, folder, display)
                return write_results(job, folder, solution, seconds, draw)
        if checkpoint is None:
            display.message("no checkpoint was reached: the run starts anew")
            folder.truncate_trace(0)
            _record(job, folder)
        else:
            steps = job.plain_task(range(1)).steps * job.config.restarts
            display.message(f"going on after step {checkpoint.taken} of {steps}")
            folder.truncate_trace(checkpoint.lines)
        with _resumable(folder):
            solution, seconds = solve_in_chunks(job, folder, display, checkpoint)
            return write_results(job, folder, solution, seconds, draw)


def _check(job: Job) -> None:
    """See that everything can be built that the run will solve."""
    if job.recipe.contest is None:
        job.task(range(job.count))
    else:
        check_contest(job, job.recipe.contest)


def _record(job: Job, folder: RunFolder) -> None:
    """Write down what the run begins with."""
    job.config.save(folder.path / files.CONFIG)
    folder.write_json(files.ENVIRONMENT, job.environment())
    folder.write_json(files.OPERATOR, job.operator.spec())
    job.measurements.save(folder.path / files.MEASUREMENTS)


@contextlib.contextmanager
def _resumable(folder: RunFolder) -> Iterator[None]:
    """Let errors of files say how to go on, once the folder holds what that takes."""
    try:
        yield
    except FileError as error:
        if not folder.kept:
            raise
        raise FileError(f"{error}; then go on with: invprob resume {folder.path}") from error
