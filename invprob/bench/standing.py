"""How far each method is behind the best one, and how families of methods compare, cell by cell.

A cell holds one group of each method: groups whose labels on all other axes of the table are the
same. Methods are compared by their median PSNR. The `family` of a method in the sweep file says
which family it belongs to.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from invprob.bench.summary import Group
from invprob.bench.sweep import NOTHING, Sweep

SCORE = "psnr"
NEAR = 0.3  # dB; a row that is no further behind counts as near the best
UNKNOWN = "–"


@dataclass(frozen=True)
class Cell:
    """The methods at one combination of the other labels.

    Args:
        title: the labels that other cells do not share.
        medians: the median of each method, as far as all its runs finished.
        ended: whether no run of the cell is still to be made.
    """

    title: str
    medians: Mapping[str, float]
    ended: bool

    @property
    def best(self) -> float:
        """Return the highest median."""
        return max(self.medians.values())

    def behind(self, methods: Sequence[str]) -> float | None:
        """Return how far the best of these methods is behind the best of all; None: not known."""
        found = self._best_of(methods)
        return None if found is None else self.best - found

    def near(self, methods: Sequence[str]) -> bool:
        """Return whether one of these methods is near the best of all."""
        behind = self.behind(methods)
        return behind is not None and behind <= NEAR

    def ahead(self, methods: Sequence[str], others: Sequence[str]) -> bool:
        """Return whether the best of some methods is ahead of every one of the others."""
        ours, theirs = self._best_of(methods), self._best_of(others)
        return ours is not None and (theirs is None or ours > theirs)

    def _best_of(self, methods: Sequence[str]) -> float | None:
        return max((self.medians[name] for name in methods if name in self.medians), default=None)


def cells_of(found: Sequence[Group]) -> list[Cell]:
    """Return the cells of a table's groups, in their order.

    Args:
        found: the groups; "method" is among the axes of their labels.
    """
    pooled: dict[tuple[tuple[str, str], ...], list[Group]] = {}
    for group in found:
        labels = tuple((axis, label) for axis, label in group.labels.items() if axis != "method")
        pooled.setdefault(labels, []).append(group)
    axes = [axis for axis, _ in next(iter(pooled), ())]
    varied = {axis for axis in axes if len({dict(labels)[axis] for labels in pooled}) > 1}
    cells = []
    for labels, groups in pooled.items():
        names = [label for axis, label in labels if axis in varied and label != NOTHING]
        medians = {
            group.labels["method"]: median
            for group in groups
            if group.finished == group.runs and (median := group.spreads[SCORE].median) is not None
        }
        ended = all(group.finished + group.failed == group.runs for group in groups)
        cells.append(Cell(", ".join(names) or "all runs", medians, ended))
    return [cell for cell in cells if cell.medians]


def families_of(sweep: Sweep) -> dict[str, list[str]]:
    """Return the labels of the methods of each family, without methods that name none."""
    families: dict[str, list[str]] = {}
    for method in sweep.methods:
        if method.family:
            families.setdefault(method.family, []).append(method.label)
    return families


def method_rows(cells: Sequence[Cell]) -> list[list[str]]:
    """Return a table of medians and of how far each is behind the best of its cell.

    Args:
        cells: all cells.

    Returns:
        The header, then a row for each method. The last two words of a row are about the cells that
        ended: how far the method is behind at most, and in how many it is near the best.
    """
    methods = dict.fromkeys(name for cell in cells for name in cell.medians)
    ended = [cell for cell in cells if cell.ended]
    rows = [["method", *(cell.title for cell in cells), "furthest behind", f"within {NEAR:g} dB"]]
    for method in methods:
        behind = [gap for cell in ended if (gap := cell.behind([method])) is not None]
        furthest = f"{max(behind):.2f}" if behind else UNKNOWN
        near = sum(cell.near([method]) for cell in ended)
        medians = [_shown(cell, method) for cell in cells]
        rows.append([method, *medians, furthest, _of(near, ended)])
    return rows


def family_rows(cells: Sequence[Cell], families: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Return a table: in how many cells a family is near the best, and ahead of each other one.

    Args:
        cells: all cells; those that ended are counted.
        families: the methods of each family.

    Returns:
        The header, then a row for each family.
    """
    ended = [cell for cell in cells if cell.ended]
    ahead = [f"ahead of all {name}" for name in families]
    rows = [["family", "methods", f"within {NEAR:g} dB of the best", *ahead]]
    for family, methods in families.items():
        near = sum(cell.near(methods) for cell in ended)
        leads = [
            "" if other == family else _of(sum(cell.ahead(methods, rest) for cell in ended), ended)
            for other, rest in families.items()
        ]
        rows.append([family, ", ".join(methods), _of(near, ended), *leads])
    return rows


def _shown(cell: Cell, method: str) -> str:
    """The median of a method and how far it is behind; bold where it is the best."""
    behind = cell.behind([method])
    if behind is None:
        return UNKNOWN
    median = f"{cell.medians[method]:.2f}"
    return f"**{median}**" if behind == 0 else f"{median} (−{behind:.2f})"


def _of(count: int, cells: Sequence[Cell]) -> str:
    return f"{count} of {len(cells)}"
