"""The pulse (R-37): may a result be shown, so that neither it nor a subtraction of two results tells of a few people?

Each report answers one question with yes or no, in rounds. A round shows cells: groups of the people who answered, each
person in one cell. Everything that can be computed by subtraction from a round is a union of its cells. Between two
rounds, a subtraction tells only of the people in whom the two unions differ. So that these are always nobody, or
MIN_ANSWERS people of MIN_MANAGERS managers, `find_conflicts` looks at the bundles of people who moved together from one
cell (or from outside) to another.

Here people and managers are tokens, and answers exist only as the counts of a cell.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

#: R-37: the fewest answers of a group that is shown, and the fewest managers of those who gave them.
MIN_ANSWERS = 5
MIN_MANAGERS = 3
#: Name of the cell that merges groups.
OTHERS = "others"
#: Name of the cell that holds everybody.
EVERYBODY = "everybody"


@dataclass(frozen=True, slots=True, kw_only=True)
class PulseCell:
    """The answers of a group of people."""

    name: str
    yes: int
    no: int
    people: Mapping[str, str]  #: who answered: the token of the manager by the token of the person


def is_large_enough(people: Mapping[str, str]) -> bool:
    """Return whether a group may be shown: enough people, of enough managers (R-37)."""
    return len(people) >= MIN_ANSWERS and len(set(people.values())) >= MIN_MANAGERS


def assign_cells(groups: Mapping[str, str], managers: Mapping[str, str]) -> dict[str, str]:
    """Return the cell of each person who is asked, by token: the group when it is large enough, else a merged one.

    `groups` and `managers` are by the person's token. Small groups are counted together from the beginning, so that
    not even the sealed counters are about a few people.
    """
    names = {who: group or OTHERS for who, group in groups.items()}
    cells = [
        PulseCell(name=name, yes=0, no=0, people={who: managers[who] for who in names if names[who] == name})
        for name in sorted(set(names.values()))
    ]
    merged = _merge_until(cells, _find_small)
    return {who: cell.name for cell in merged for who in cell.people} or dict.fromkeys(groups, EVERYBODY)


def disclose(cells: Iterable[PulseCell], earlier: Iterable[Sequence[PulseCell]]) -> tuple[PulseCell, ...]:
    """Return the cells of a closed round that may be shown beside all that earlier rounds showed; maybe none.

    Cells that are too small, or that differ from an earlier round in too few people, are merged; when that leaves
    nothing, they are left out.
    """
    rounds = [tuple(shown) for shown in earlier]

    def find_unfit(left: Sequence[PulseCell]) -> set[str]:
        return _find_small(left) or set().union(*(find_conflicts(left, shown) for shown in rounds))

    answered = [cell for cell in cells if cell.people]
    merged = _merge_until(answered, find_unfit)
    return tuple(merged or _drop_until(_merge_until(answered, _find_small), find_unfit))


def find_conflicts(cells: Sequence[PulseCell], earlier: Sequence[PulseCell]) -> set[str]:
    """Return the names of the cells whose subtraction from unions of the earlier cells would tell of a few people.

    Nodes are the cells of both rounds, and the outside; a bundle is the people who are in the same two nodes. Two nodes
    whose bundle is large enough are joined, again and again. A union of cells that separates two joined nodes differs
    from the other union by at least a whole large bundle. When no bundle is left between what was joined, every two
    unions differ in nobody or in enough people.
    """
    node = _Nodes(len(cells), len(earlier))
    bundles = _collect_bundles(cells, earlier)
    while True:
        between: dict[frozenset[int], list[str]] = defaultdict(list)
        for (new, old), people in bundles.items():
            ends = frozenset((node.find(node.new(new)), node.find(node.old(old))))
            if len(ends) == 2:
                between[ends] += people
        large = [ends for ends, people in between.items() if _is_large_bundle(people, cells, earlier)]
        if not large:
            break
        for ends in large:
            node.join(*ends)
    touched = set().union(*between)
    return {cell.name for number, cell in enumerate(cells) if node.find(node.new(number)) in touched}


class _Nodes:
    """Cells of two rounds and the outside (number 0), some of them joined."""

    def __init__(self, new_count: int, old_count: int) -> None:
        self._new_count = new_count
        self._parents = list(range(1 + new_count + old_count))

    def new(self, number: int | None) -> int:
        return 0 if number is None else 1 + number

    def old(self, number: int | None) -> int:
        return 0 if number is None else 1 + self._new_count + number

    def find(self, node: int) -> int:
        while self._parents[node] != node:
            node = self._parents[node]
        return node

    def join(self, first: int, second: int) -> None:
        self._parents[self.find(first)] = self.find(second)


def _collect_bundles(
    cells: Sequence[PulseCell], earlier: Sequence[PulseCell]
) -> dict[tuple[int | None, int | None], list[str]]:
    """Return the people by their cell in the new round and in the earlier one; None for no cell."""
    new = {who: number for number, cell in enumerate(cells) for who in cell.people}
    old = {who: number for number, cell in enumerate(earlier) for who in cell.people}
    bundles: dict[tuple[int | None, int | None], list[str]] = defaultdict(list)
    for who in sorted({*new, *old}):
        bundles[new.get(who), old.get(who)].append(who)
    return bundles


def _is_large_bundle(people: Collection[str], cells: Sequence[PulseCell], earlier: Sequence[PulseCell]) -> bool:
    """Return whether the people are enough, of enough managers, both by their present and by their former managers."""
    new = {who: manager for cell in cells for who, manager in cell.people.items()}
    old = {who: manager for cell in earlier for who, manager in cell.people.items()}
    now = {who: new.get(who, old.get(who, "")) for who in people}
    then = {who: old.get(who, new.get(who, "")) for who in people}
    return is_large_enough(now) and is_large_enough(then)


def _find_small(cells: Iterable[PulseCell]) -> set[str]:
    return {cell.name for cell in cells if not is_large_enough(cell.people)}


def _merge_until(cells: Sequence[PulseCell], find_unfit: Callable[[Sequence[PulseCell]], set[str]]) -> list[PulseCell]:
    """Merge cells until none is unfit, and return them by name; none when even everybody together is unfit."""
    left = list(cells)
    while left:
        unfit = find_unfit(left)
        if not unfit and [cell.name for cell in left] == [OTHERS]:
            return [replace(left[0], name=EVERYBODY)]
        if not unfit:
            return sorted(left, key=lambda cell: (cell.name == OTHERS, cell.name))
        if len(left) == 1:
            return []
        chosen = [cell for cell in left if cell.name in unfit | {OTHERS}]
        rest = [cell for cell in left if cell not in chosen]
        if len(chosen) == 1:
            smallest = min(rest, key=lambda cell: (len(cell.people), cell.name))
            chosen.append(smallest)
            rest.remove(smallest)
        left = [*rest, _merge_cells(chosen, OTHERS if rest else EVERYBODY)]
    return []


def _drop_until(cells: Sequence[PulseCell], find_unfit: Callable[[Sequence[PulseCell]], set[str]]) -> list[PulseCell]:
    """Leave out cells until none is unfit."""
    left = list(cells)
    while unfit := find_unfit(left) if left else set():
        left = [cell for cell in left if cell.name not in unfit]
    return left


def _merge_cells(cells: Sequence[PulseCell], name: str) -> PulseCell:
    return PulseCell(
        name=name,
        yes=sum(cell.yes for cell in cells),
        no=sum(cell.no for cell in cells),
        people={who: manager for cell in cells for who, manager in cell.people.items()},
    )


def count_answers(cells: Iterable[PulseCell]) -> tuple[int, int]:
    """Return the yes and no of all these cells together."""
    listed = list(cells)
    return sum(cell.yes for cell in listed), sum(cell.no for cell in listed)
