"""Numbers over the runs of a group: how many, mean, median, quartiles, deviation."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from invprob.bench.plan import Plan, Planned
from invprob.bench.records import Record


@dataclass(frozen=True)
class Column:
    """A number that each run has, and how tables show it.

    Attributes:
        name: Its name in files.
        title: Its title in tables.
        form: Its number format.
        better: "higher", "lower", or "" where neither is.
        read: Reads it from a record.
    """

    name: str
    title: str
    form: str
    better: str
    read: Callable[[Record], float | None]


COLUMNS = (
    Column("psnr", "PSNR, dB", ".2f", "higher", lambda record: record.score("psnr")),
    Column("ssim", "SSIM", ".3f", "higher", lambda record: record.score("ssim")),
    Column("lpips", "LPIPS", ".3f", "lower", lambda record: record.score("lpips")),
    Column("data_misfit", "data misfit", ".3g", "lower", lambda run: run.score("data_misfit")),
    Column("steps", "steps", ".0f", "", lambda record: record.score("steps")),
    Column("seconds_in_loop", "s in loop", ".1f", "lower", lambda run: run.score("seconds")),
    Column("seconds", "s in all", ".1f", "lower", lambda record: record.seconds),
    Column("peak_memory_mib", "peak MiB", ".0f", "lower", lambda record: record.peak_memory),
    Column("gpu_memory_mib", "GPU MiB", ".0f", "lower", lambda record: record.gpu_memory),
)


@dataclass(frozen=True)
class Spread:
    """Statistics of `count` values; None where there are too few values.

    Quartiles interpolate linearly between order statistics (type 7 of Hyndman and Fan 1996). The
    standard deviation is that of a sample, with count - 1.
    """

    count: int
    mean: float | None
    median: float | None
    q1: float | None
    q3: float | None
    deviation: float | None

    @classmethod
    def of(cls, values: Sequence[float | None]) -> "Spread":
        """The statistics of the values that are known."""
        known = np.array([value for value in values if value is not None], dtype=np.float64)
        if not len(known):
            return cls(0, None, None, None, None, None)
        q1, median, q3 = map(float, np.quantile(known, [0.25, 0.5, 0.75]))
        deviation = float(known.std(ddof=1)) if len(known) > 1 else None
        return cls(len(known), float(known.mean()), median, q1, q3, deviation)


@dataclass(frozen=True)
class Group:
    """The runs that share labels: their number, how many finished and failed, and statistics."""

    labels: Mapping[str, str]
    runs: int
    finished: int
    failed: int
    spreads: Mapping[str, Spread]


def groups(plan: Plan, records: Mapping[str, Record], axes: Sequence[str]) -> list[Group]:
    """The runs grouped by their labels on these axes, in the order of the sweep.

    Runs that failed or diverged are counted, but are not in the statistics.
    """
    pooled: dict[tuple[str, ...], list[Planned]] = {}
    for run in plan.runs:
        pooled.setdefault(tuple(run.at[axis] for axis in axes), []).append(run)
    found = []
    for labels, runs in pooled.items():
        known = [records[run.id] for run in runs if run.id in records]
        good = [record for record in known if record.good]
        found.append(
            Group(
                labels=dict(zip(axes, labels, strict=True)),
                runs=len(runs),
                finished=len(good),
                failed=sum(record.status in ("failed", "diverged") for record in known),
                spreads={one.name: Spread.of([one.read(run) for run in good]) for one in COLUMNS},
            )
        )
    return found
