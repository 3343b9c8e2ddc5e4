"""A job is solved: as many images at once as memory allows, and all of them joined in the end."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from safetensors.torch import save
from torch import Tensor

from invprob.callbacks import Callback, Iterate
from invprob.errors import MemoryShortage
from invprob.fast.allocation import keep_freed_memory
from invprob.perceptual.distance import PerceptualDistance
from invprob.run.folder import Checkpoint, RunFolder
from invprob.run.job import Job
from invprob.run.memory import estimate, is_shortage, release
from invprob.run.precision import tensor_cores
from invprob.run.watch import Display, Recorder, TimeBudget, Watcher
from invprob.solver.restarts import solve_restarts
from invprob.solver.solution import Solution
from invprob.solver.stages import solve_stages


def solve_in_chunks(
    job: Job, folder: RunFolder, display: Display, checkpoint: Checkpoint | None = None
) -> tuple[Solution, float]:
    """Solve the images of a job, chunk by chunk, and join the solutions.

    A chunk that is solved lies in the folder until the end, so that a resumed run does not repeat
    it. A chunk that does not fit into memory begins anew with half as many images.

    Args:
        job: what to solve.
        folder: where trace, checkpoints and the solutions of chunks go.
        display: learns how far the run is.
        checkpoint: where to go on. None: begin.

    Returns:
        The solution of all images, and the seconds in the loop, earlier sessions included.

    Raises:
        MemoryShortage: one image alone does not fit.
    """
    keep_freed_memory()
    if isinstance(job.network, PerceptualDistance):
        job.network.to(job.device)
    if checkpoint is None:
        first, size, seconds, snapshot = 0, chunk_size(job, display), 0.0, None
    else:
        first, size = checkpoint.images[0], len(range(*checkpoint.images))
        seconds, snapshot = checkpoint.seconds, checkpoint.snapshot
    parts = folder.load_parts(first)
    while first < job.count:
        images = range(first, min(first + size, job.count))
        if len(images) < job.count:
            display.message(f"images {first + 1} to {images.stop} of {job.count}")
        recorder = Recorder(folder, images, job.count, seconds=seconds)
        before = recorder.lines - (0 if snapshot is None else int(snapshot["taken"]))
        try:
            with tensor_cores(job.config.precision):
                parts.append(
                    solve_restarts(
                        job.task(images).to(job.device),
                        callbacks=[recorder, *_observers(job, images, recorder, display)],
                        snapshot=snapshot,
                    )
                )
        except (RuntimeError, MemoryError) as error:
            if not is_shortage(error):
                raise
            if len(images) == 1:
                raise MemoryShortage(
                    "one image does not fit into memory; take --memory low, a smaller --prior, or "
                    "another --device"
                ) from None
            size = math.ceil(len(images) / 2)
            display.message(f"memory is short: {size} images at once from here on")
            folder.truncate_trace(before)
        else:
            first = images.stop
            if first < job.count:
                folder.save_part(images, parts[-1])
        seconds, snapshot = recorder.seconds, None
        del recorder  # which holds on to the chunk's variables
        release(job.device)
    return join_solutions(parts), seconds


def chunk_size(job: Job, display: Display) -> int:
    """How many images to solve at once: as configured, or as many as fit by trial steps."""
    if job.config.batch is not None or job.count == 1:
        return job.config.batch or 1
    stages = [replace(stage, steps=1) for stage in job.recipe.stages]

    def trial(count: int) -> None:
        task = replace(job.plain_task(range(count)), stages=stages, initial=None)
        solve_stages(task.to(job.device), callbacks=[_Packing()])

    found = estimate(trial, job.device)
    display.message(str(found))
    return found.batch(job.device)


class _Packing(Callback):
    """Packs a checkpoint after each step, which takes several times the memory of the variables."""

    def on_step(self, iterate: Iterate) -> None:
        save(iterate.snapshot())


def _observers(job: Job, images: range, recorder: Recorder, display: Display) -> list[Callback]:
    """What shows the progress of a chunk, and what ends it when its time is used up."""
    observers: list[Callback] = [Watcher(display, job.fidelity(images))]
    if job.config.seconds is not None:
        observers.append(TimeBudget(recorder, job.config.seconds))
    return observers


def join_solutions(parts: Sequence[Solution]) -> Solution:
    """One solution of all images; what all parts share (1 in front) stays as it is.

    Where parts took different numbers of steps, the trace of the shorter ones ends in NaN.
    """
    if len(parts) == 1:
        return parts[0]
    steps = max(part.steps for part in parts)
    severity = ("finished", "stopped", "diverged")
    worst = max(parts, key=lambda part: severity.index(part.outcome.status))
    restarts = [part.restarts for part in parts if part.restarts is not None]
    return Solution(
        image=torch.cat([part.image for part in parts]),
        realised=_joined([part.realised for part in parts]),
        code=_joined([part.code for part in parts]),
        outcome=worst.outcome,
        trace={
            name: torch.cat([_lengthened(part.trace[name], steps) for part in parts], 1)
            for name in parts[0].trace
        },
        steps=steps,
        seed=parts[0].seed,
        prior_spec=parts[0].prior_spec,
        prior=parts[-1].prior,
        restarts=torch.cat(restarts, 1) if restarts else None,
    )


def _joined(parts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    return {name: _cat([part[name] for part in parts]) for name in parts[0]}


def _cat(tensors: Sequence[Tensor]) -> Tensor:
    first = tensors[0]
    if all(len(tensor) == 1 and torch.equal(tensor, first) for tensor in tensors):
        return first
    return torch.cat([tensor.to(first.device) for tensor in tensors])


def _lengthened(trace: Tensor, steps: int) -> Tensor:
    missing = trace.new_full((steps - len(trace), trace.shape[1]), math.nan)
    return torch.cat((trace, missing))
