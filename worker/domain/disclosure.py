"""Decides which groups of pairs are large enough that figures about them may be shown.

A shown group has at least five pairs and at least three managers (R-22). A grouping divides all pairs into groups by
one attribute, such as department or country. Groups of different groupings overlap. It must not be possible to compute
figures of a smaller group by subtracting the figures of one shown group from those of another.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Set

from worker.domain.model import PairId

MIN_PAIRS = 5
MIN_MANAGERS = 3
#: The name of the group that merges all groups of a grouping that can't be shown.
OTHERS = "others"


def is_large_enough(pairs: Collection[PairId]) -> bool:
    """Return whether figures about these pairs may be shown (R-22)."""
    return len(pairs) >= MIN_PAIRS and len({pair.manager for pair in pairs}) >= MIN_MANAGERS


def choose_groups(group_names: Mapping[str, Mapping[PairId, str]]) -> dict[str, dict[str, frozenset[PairId]]]:
    """Return the groups to show in each grouping, by name.

    For each grouping, `group_names` holds the name of each pair's group.

    Earlier groupings have precedence: their groups are chosen first. In each grouping, the groups that can't be shown
    are merged into OTHERS; when OTHERS can't be shown either, their pairs are left out.

    All pairs that lie in exactly the same shown groups form a cell. Every figure that can be computed from the shown
    groups by adding and subtracting is a sum over cells. So it is enough to check that each cell is large enough.
    """
    cells: list[frozenset[PairId]] = []
    shown: dict[str, dict[str, frozenset[PairId]]] = {}
    for grouping, names in group_names.items():
        groups: dict[str, set[PairId]] = defaultdict(set)
        for pair, name in names.items():
            groups[name].add(pair)
        shown[grouping] = {}
        merged: set[PairId] = set()  # the pairs of the groups that can't be shown
        for name, group in sorted(groups.items()):
            if not _show_group(grouping, name, group, shown, cells):
                merged |= group
        _show_group(grouping, OTHERS, merged, shown, cells)
    return shown


def _show_group(
    grouping: str,
    name: str,
    group: Set[PairId],
    shown: dict[str, dict[str, frozenset[PairId]]],
    cells: list[frozenset[PairId]],
) -> bool:
    """Add the group to `shown`, update `cells`, and return True.

    If the group is empty, or a cell would be too small, change nothing and return False.
    """
    new_cells = _split_cells(cells, frozenset(group))
    if not group or not all(map(is_large_enough, new_cells)):
        return False
    # The data may contain a group named OTHERS, which was shown before the merged groups.
    shown[grouping][name] = frozenset(group) | shown[grouping].get(name, frozenset())
    cells[:] = new_cells
    return True


def _split_cells(cells: Iterable[frozenset[PairId]], group: frozenset[PairId]) -> list[frozenset[PairId]]:
    """Return the cells that result when this group is shown in addition to the groups that gave `cells`."""
    old_cells = list(cells)
    parts = [part for cell in old_cells for part in (cell & group, cell - group)]
    return [part for part in (*parts, group.difference(*old_cells)) if part]
