"""Which groups of pairs may be counted for others to see: none that is small, and none that a subtraction makes small.

R-22: a group has at least five pairs and at least three managers. Groups of several views (by department, by country)
overlap: subtracting a group of one view from a group of another must not reveal a smaller group.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Set

from worker.domain.model import PairId

MIN_PAIRS = 5
MIN_MANAGERS = 3
#: Name of the group into which groups are merged that are too small to be shown.
OTHERS = "others"


def is_large_enough(pairs: Collection[PairId]) -> bool:
    """Return whether a group of these pairs may be counted."""
    return len(pairs) >= MIN_PAIRS and len({pair.manager for pair in pairs}) >= MIN_MANAGERS


def choose_groups(views: Mapping[str, Mapping[PairId, str]]) -> dict[str, dict[str, frozenset[PairId]]]:
    """Return the groups to show in each view, by name. `views` gives the name of each pair's group, by view.

    Earlier views go before later ones. In each, groups that can't be shown are merged into OTHERS, or shown nowhere.

    Pairs that lie in exactly the same shown groups form a cell. Whatever is computed from sums over shown groups is
    made of sums over cells, so it is enough that each cell is large enough.
    """
    cells: list[frozenset[PairId]] = []
    shown: dict[str, dict[str, frozenset[PairId]]] = {}
    for view, names in views.items():
        members: dict[str, set[PairId]] = defaultdict(set)
        for pair, name in names.items():
            members[name].add(pair)
        shown[view], refused = {}, set[PairId]()
        for name, group in sorted(members.items()):
            if not _show_group(view, name, group, shown, cells):
                refused |= group
        _show_group(view, OTHERS, refused, shown, cells)
    return shown


def _show_group(
    view: str,
    name: str,
    group: Set[PairId],
    shown: dict[str, dict[str, frozenset[PairId]]],
    cells: list[frozenset[PairId]],
) -> bool:
    """Add the group to what is shown unless a cell would be too small. Splits the cells. False when it is refused."""
    split = _split_cells(cells, frozenset(group))
    if not group or not all(map(is_large_enough, split)):
        return False
    shown[view][name] = frozenset(group) | shown[view].get(name, frozenset())
    cells[:] = split
    return True


def _split_cells(cells: Iterable[frozenset[PairId]], group: frozenset[PairId]) -> list[frozenset[PairId]]:
    """Return the cells after this group is shown too."""
    old_cells = list(cells)
    parts = [part for cell in old_cells for part in (cell & group, cell - group)]
    return [part for part in (*parts, group.difference(*old_cells)) if part]
