"""R-37: what may be shown of the answers, whatever is subtracted from whatever."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from tests.support.proof import FULL
from worker.domain.pulse import (
    EVERYBODY,
    OTHERS,
    PulseCell,
    assign_cells,
    find_conflicts,
    is_large_enough,
    select_shown_cells,
)


def cell(name: str, people: Sequence[int], managers: int = 3, yes: int = 1) -> PulseCell:
    """So many people, by number, who are spread over so many managers."""
    tokens = {f"p{who}": f"m{who % managers}" for who in people}
    return PulseCell(name=name, yes=min(yes, len(people)), no=len(people) - min(yes, len(people)), people=tokens)


def names(cells: Sequence[PulseCell]) -> list[str]:
    return [one.name for one in cells]


def test_five_answers_of_three_managers_are_the_least() -> None:
    assert not select_shown_cells([cell("a", range(4))], [])
    assert not select_shown_cells([cell("a", range(9), managers=2)], [])
    assert names(select_shown_cells([cell("a", range(5))], [])) == ["a"]


def test_small_groups_are_merged_and_nothing_follows_from_the_whole() -> None:
    """The whole is the sum of what is shown, so that it gives no group away."""
    shown = select_shown_cells([cell("a", range(8)), cell("b", range(10, 13)), cell("c", range(20, 22))], [])
    assert [(one.name, len(one.people)) for one in shown] == [("a", 8), (OTHERS, 5)]
    shown = select_shown_cells([cell("a", range(8)), cell("b", range(10, 13))], [])
    assert [(one.name, one.yes + one.no) for one in shown] == [(EVERYBODY, 11)]


def test_a_round_that_differs_from_an_earlier_one_in_few_people_is_not_shown() -> None:
    """One who joined would be told by subtraction; five of three managers would not."""
    march = select_shown_cells([cell("a", range(12))], [])
    assert not select_shown_cells([cell("a", range(13))], [march])
    assert not select_shown_cells([cell("a", range(1, 13))], [march]), "one left, one joined"
    assert names(select_shown_cells([cell("a", range(18))], [march])) == ["a"]
    assert names(select_shown_cells([cell("a", range(12))], [march])) == ["a"], "the very same people"


def test_a_renamed_group_is_the_same_people() -> None:
    march = select_shown_cells([cell("a", range(12)), cell("b", range(20, 30))], [])
    assert names(select_shown_cells([cell("c", range(12)), cell("b", range(20, 30))], [march])) == ["b", "c"]
    assert not select_shown_cells([cell("c", range(13))], [march[:1]])


def test_one_who_moves_between_groups_has_them_counted_together() -> None:
    march = select_shown_cells([cell("a", range(12)), cell("b", range(20, 30)), cell("c", range(40, 50))], [])
    shown = select_shown_cells(
        [cell("a", range(11)), cell("b", [11, *range(20, 30)]), cell("c", range(40, 50))], [march]
    )
    assert [(one.name, len(one.people)) for one in shown] == [("c", 10), (OTHERS, 22)]


def test_movers_that_cancel_out_are_seen_through() -> None:
    """Five move from one group to the other, and one joins: the two together differ in that one."""
    march = select_shown_cells([cell("a", range(20)), cell("b", range(20, 40))], [])
    shown = select_shown_cells([cell("a", range(15)), cell("b", [*range(15, 40), 50])], [march])
    assert shown == ()


def test_who_is_asked_is_counted_in_large_cells_from_the_beginning() -> None:
    managers = {f"p{who}": f"m{who % 3}" for who in range(20)}
    groups = {who: "a" if number < 10 else "b" if number < 13 else "" for number, who in enumerate(managers)}
    cells = assign_cells(groups, managers)
    assert Counter(cells.values()) == {"a": 10, OTHERS: 10}
    assert set(assign_cells(dict.fromkeys(managers, ""), managers).values()) == {EVERYBODY}
    few = {who: managers[who] for who in list(managers)[:4]}
    assert set(assign_cells(dict.fromkeys(few, "a"), few).values()) == {EVERYBODY}


# --- every subtraction of all that is ever shown ---

_PEOPLE = 30
_person = st.tuples(
    st.sampled_from(["a", "b", "c", "d", ""]),  # the group; a rename is everybody's change of it
    st.integers(0, 4),  # the manager
    st.booleans(),
)
_steady = st.lists(_person, min_size=_PEOPLE, max_size=_PEOPLE)
#: Between two rounds: who changes, and to what.
_changes = st.lists(st.dictionaries(st.integers(0, _PEOPLE - 1), _person | st.none(), max_size=8), max_size=3)
_renames = st.dictionaries(st.sampled_from("abcd"), st.sampled_from("abcdxy"), max_size=2)


def rounds(first: list[tuple[str, int, bool]], changes: list[dict[int, tuple[str, int, bool] | None]],
           renames: dict[str, str]) -> list[tuple[PulseCell, ...]]:  # fmt: skip
    """What is shown of each round, one after the other."""
    world: dict[int, tuple[str, int, bool] | None] = dict(enumerate(first))
    shown: list[tuple[PulseCell, ...]] = []
    for change in [{}, *changes]:
        world |= change
        answers = {f"p{who}": known for who, known in world.items() if known is not None}
        managers = {who: f"m{known[1]}" for who, known in answers.items()}
        groups = {who: renames.get(known[0], known[0]) if change else known[0] for who, known in answers.items()}
        place = assign_cells(groups, managers)
        cells = [
            PulseCell(
                name=name,
                yes=sum(answers[who][2] for who in place if place[who] == name),
                no=sum(not answers[who][2] for who in place if place[who] == name),
                people={who: managers[who] for who in place if place[who] == name},
            )
            for name in sorted(set(place.values()))
        ]
        shown.append(select_shown_cells(cells, shown))
    return shown


def views(shown: Sequence[PulseCell]) -> Iterator[Mapping[str, str]]:
    """Every group of people whose counts can be had from a round: the unions of its cells."""
    for size in range(1, len(shown) + 1):
        for chosen in combinations(shown, size):
            yield {who: manager for one in chosen for who, manager in one.people.items()}


@effort(max_examples=2000 if FULL else 200, deadline=None)
@pytest.mark.proof
@given(_steady, _changes, _renames)
def test_no_subtraction_of_two_views_tells_of_few_people(
    first: list[tuple[str, int, bool]],
    changes: list[dict[int, tuple[str, int, bool] | None]],
    renames: dict[str, str],
) -> None:
    """R-37: group and whole, group and complement, round and round, across renames and moves."""
    shown = rounds(first, changes, renames)
    everything = [view for one in shown for view in views(one)]
    assert all(is_large_enough(view) for view in everything)
    for one, other in combinations(everything, 2):
        differing = {who: {**one, **other}[who] for who in one.keys() ^ other.keys()}
        assert not differing or is_large_enough(differing), (one, other)
    for cells in shown:
        assert all(one.yes + one.no == len(one.people) for one in cells)


@effort(max_examples=100, deadline=None)
@given(_steady, _changes, _renames)
def test_what_is_shown_has_no_conflict_with_what_was(
    first: list[tuple[str, int, bool]],
    changes: list[dict[int, tuple[str, int, bool] | None]],
    renames: dict[str, str],
) -> None:
    shown = rounds(first, changes, renames)
    for number, cells in enumerate(shown):
        assert all(find_conflicts(cells, earlier) == set() for earlier in shown[:number])
