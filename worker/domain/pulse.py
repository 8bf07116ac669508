"""Decides which results of the pulse may be shown (R-37).

The pulse is an anonymous question that each report answers with yes or no, in rounds. The results of a round are shown
by cell. A cell is a group of the people who answered; each of them is in exactly one cell. No shown result, and no
difference of two shown results, may be about a few people only.

By adding and subtracting the results of one round, a reader can compute the result of any union of its cells. By
subtracting the results of two rounds, a reader can compute something about the people who are in one of the two unions
only. Those people must always be nobody, or at least MIN_ANSWERS people with MIN_MANAGERS managers. `find_conflicts`
checks that. It looks at bundles: the people who moved together from one cell of the earlier round to one cell of the
later round, or who were in no cell of one of the two rounds.

In this module, people and managers are represented by tokens: texts computed from their addresses with a secret, which
`worker.engine.pulse` keeps. Answers exist only as the counts of a cell.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

#: The fewest people in a cell that is shown (R-37).
MIN_ANSWERS = 5
#: The fewest managers whom the people in a shown cell have (R-37).
MIN_MANAGERS = 3
#: The name of the cell that merges several groups.
OTHERS = "others"
#: The name of the cell that contains everybody.
EVERYBODY = "everybody"


@dataclass(frozen=True, slots=True, kw_only=True)
class PulseCell:
    """The people in a cell, and the counts of their answers."""

    name: str
    yes: int
    no: int
    people: Mapping[str, str]  #: maps the token of each person who answered to the token of that person's manager


def is_large_enough(people: Mapping[str, str]) -> bool:
    """Return whether a result about these people may be shown (R-37). `people` is as in `PulseCell`."""
    return len(people) >= MIN_ANSWERS and len(set(people.values())) >= MIN_MANAGERS


def assign_cells(groups: Mapping[str, str], managers: Mapping[str, str]) -> dict[str, str]:
    """Return the cell of each person who is asked, before anybody has answered.

    The cell is the person's group if that group is large enough, else a cell that merges small groups. So not even the
    sealed counters of answers are ever about a few people. When even all people together are too few, everybody is in
    the cell EVERYBODY, but then no round is opened.

    By the person's token, `groups` holds the name of the person's group (empty if unknown), `managers` the token of the
    person's manager, and the result the name of the cell.
    """
    group_names = {person: group or OTHERS for person, group in groups.items()}
    cells = [
        PulseCell(
            name=name,
            yes=0,
            no=0,
            people={person: managers[person] for person, group in group_names.items() if group == name},
        )
        for name in sorted(set(group_names.values()))
    ]
    merged = _merge_unfit_cells(cells, _find_small_cells)
    return {person: cell.name for cell in merged for person in cell.people} or dict.fromkeys(groups, EVERYBODY)


def select_shown_cells(
    cells: Iterable[PulseCell], earlier_rounds: Iterable[Sequence[PulseCell]]
) -> tuple[PulseCell, ...]:
    """Return the cells of a closed round that may be shown, given the cells that each earlier round showed.

    Cells that are too small, or that differ from an earlier round in too few people, are merged. When no merging
    helps, the unfit cells are left out instead. The result may be empty.
    """
    shown_rounds = [tuple(shown_cells) for shown_cells in earlier_rounds]

    def find_unfit_cells(candidates: Sequence[PulseCell]) -> set[str]:
        conflicts = (find_conflicts(candidates, shown_cells) for shown_cells in shown_rounds)
        return _find_small_cells(candidates) or set().union(*conflicts)

    answered_cells = [cell for cell in cells if cell.people]
    merged = _merge_unfit_cells(answered_cells, find_unfit_cells)
    if merged:
        return tuple(merged)
    return tuple(_drop_unfit_cells(_merge_unfit_cells(answered_cells, _find_small_cells), find_unfit_cells))


def find_conflicts(cells: Sequence[PulseCell], earlier: Sequence[PulseCell]) -> set[str]:
    """Return the names of the cells that may not be shown after the cells of one earlier round.

    For these cells, the difference between a union of `cells` and a union of `earlier` could be about a few people.

    The check is a graph. Its nodes are the cells of both rounds and one node for "in no cell". Its edges are the
    bundles: the people who are in the same two nodes. Two nodes that are connected by a large enough bundle are joined,
    until no such bundle remains. When one of two unions contains only one of two joined nodes, the unions differ by at
    least the whole bundle between these nodes, which is large enough. So every conflict involves a bundle that remains.
    """
    graph = _CellGraph(len(cells), len(earlier))
    bundles = _collect_bundles(cells, earlier)
    while True:
        remaining: dict[frozenset[int], list[str]] = defaultdict(list)
        for (new_index, earlier_index), people in bundles.items():
            ends = frozenset((graph.find_new_node(new_index), graph.find_earlier_node(earlier_index)))
            if len(ends) == 2:
                remaining[ends] += people
        large = [ends for ends, people in remaining.items() if _is_large_bundle(people, cells, earlier)]
        if not large:
            break
        for ends in large:
            graph.join(*ends)
    conflicting_nodes = set().union(*remaining)
    return {cell.name for index, cell in enumerate(cells) if graph.find_new_node(index) in conflicting_nodes}


class _CellGraph:
    """The nodes of `find_conflicts`, as a union-find structure. Node 0 stands for "in no cell"."""

    def __init__(self, new_count: int, earlier_count: int) -> None:
        self._new_count = new_count
        self._parents = list(range(1 + new_count + earlier_count))

    def find_new_node(self, index: int | None) -> int:
        """Return the joined node that contains this cell of the new round; None for no cell."""
        return self._find_root(0 if index is None else 1 + index)

    def find_earlier_node(self, index: int | None) -> int:
        """Return the joined node that contains this cell of the earlier round; None for no cell."""
        return self._find_root(0 if index is None else 1 + self._new_count + index)

    def join(self, first: int, second: int) -> None:
        """Join the two nodes."""
        self._parents[self._find_root(first)] = self._find_root(second)

    def _find_root(self, node: int) -> int:
        while self._parents[node] != node:
            node = self._parents[node]
        return node


def _collect_bundles(
    cells: Sequence[PulseCell], earlier: Sequence[PulseCell]
) -> dict[tuple[int | None, int | None], list[str]]:
    """Return the people by the index of their cell in the new round and in the earlier one; None for no cell."""
    new_indices = {person: index for index, cell in enumerate(cells) for person in cell.people}
    earlier_indices = {person: index for index, cell in enumerate(earlier) for person in cell.people}
    bundles: dict[tuple[int | None, int | None], list[str]] = defaultdict(list)
    for person in sorted({*new_indices, *earlier_indices}):
        bundles[new_indices.get(person), earlier_indices.get(person)].append(person)
    return bundles


def _is_large_bundle(people: Collection[str], cells: Sequence[PulseCell], earlier: Sequence[PulseCell]) -> bool:
    """Return whether `is_large_enough` holds for these people with their managers of the new and of the earlier round.

    A person who is in one of the rounds only has the same manager in both.
    """
    new_managers = {person: manager for cell in cells for person, manager in cell.people.items()}
    earlier_managers = {person: manager for cell in earlier for person, manager in cell.people.items()}
    with_new_managers = {person: new_managers.get(person, earlier_managers.get(person, "")) for person in people}
    with_earlier_managers = {person: earlier_managers.get(person, new_managers.get(person, "")) for person in people}
    return is_large_enough(with_new_managers) and is_large_enough(with_earlier_managers)


#: A function that returns the names of the given cells that may not be shown.
_FindUnfitCells = Callable[[Sequence[PulseCell]], set[str]]


def _find_small_cells(cells: Iterable[PulseCell]) -> set[str]:
    return {cell.name for cell in cells if not is_large_enough(cell.people)}


def _merge_unfit_cells(cells: Sequence[PulseCell], find_unfit_cells: _FindUnfitCells) -> list[PulseCell]:
    """Merge cells until none is unfit, and return them sorted by name; empty if even everybody together is unfit."""
    candidates = list(cells)
    while candidates:
        unfit = find_unfit_cells(candidates)
        if not unfit and [cell.name for cell in candidates] == [OTHERS]:
            return [replace(candidates[0], name=EVERYBODY)]  # the only cell contains everybody
        if not unfit:
            return sorted(candidates, key=lambda cell: (cell.name == OTHERS, cell.name))
        if len(candidates) == 1:
            return []
        to_merge = [cell for cell in candidates if cell.name in unfit | {OTHERS}]
        to_keep = [cell for cell in candidates if cell not in to_merge]
        if len(to_merge) == 1:  # the only unfit cell has to be merged with a fit one
            smallest = min(to_keep, key=lambda cell: (len(cell.people), cell.name))
            to_merge.append(smallest)
            to_keep.remove(smallest)
        candidates = [*to_keep, _merge_cells(to_merge, OTHERS if to_keep else EVERYBODY)]
    return []


def _drop_unfit_cells(cells: Sequence[PulseCell], find_unfit_cells: _FindUnfitCells) -> list[PulseCell]:
    """Return the cells that remain when unfit ones are dropped until none is unfit."""
    remaining = list(cells)
    while remaining and (unfit := find_unfit_cells(remaining)):
        remaining = [cell for cell in remaining if cell.name not in unfit]
    return remaining


def _merge_cells(cells: Sequence[PulseCell], name: str) -> PulseCell:
    return PulseCell(
        name=name,
        yes=sum(cell.yes for cell in cells),
        no=sum(cell.no for cell in cells),
        people={person: manager for cell in cells for person, manager in cell.people.items()},
    )


def count_answers(cells: Iterable[PulseCell]) -> tuple[int, int]:
    """Return how many people in these cells answered yes, and how many answered no."""
    listed = list(cells)
    return sum(cell.yes for cell in listed), sum(cell.no for cell in listed)
