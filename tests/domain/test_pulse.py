"""Which pulse answers may be shown, so that no subtraction of shown counts reveals a few people (R-37)."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import settings as example_settings
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


def make_cell(name: str, people: Sequence[int], managers: int = 3, yes: int = 1) -> PulseCell:
    """Return a cell of these people, given by number, who are spread over so many managers."""
    manager_by_person = {f"p{number}": f"m{number % managers}" for number in people}
    return PulseCell(
        name=name, yes=min(yes, len(people)), no=len(people) - min(yes, len(people)), people=manager_by_person
    )


def get_names(cells: Sequence[PulseCell]) -> list[str]:
    return [cell.name for cell in cells]


def test_a_shown_cell_has_five_answers_of_three_managers() -> None:
    """R-37: a cell with fewer answers or fewer managers is not shown."""
    assert not select_shown_cells([make_cell("a", range(4))], [])
    assert not select_shown_cells([make_cell("a", range(9), managers=2)], [])
    assert get_names(select_shown_cells([make_cell("a", range(5))], [])) == ["a"]


def test_small_groups_are_merged_into_large_cells() -> None:
    """The sum of all shown cells is the total, so the total reveals no hidden group."""
    shown_cells = select_shown_cells(
        [make_cell("a", range(8)), make_cell("b", range(10, 13)), make_cell("c", range(20, 22))], []
    )
    assert [(cell.name, len(cell.people)) for cell in shown_cells] == [("a", 8), (OTHERS, 5)]
    shown_cells = select_shown_cells([make_cell("a", range(8)), make_cell("b", range(10, 13))], [])
    assert [(cell.name, cell.yes + cell.no) for cell in shown_cells] == [(EVERYBODY, 11)]


def test_round_that_differs_from_an_earlier_one_in_few_people_is_not_shown() -> None:
    """Subtraction would reveal the answer of one person who joined.

    A difference of five people with three managers is safe.
    """
    earlier_cells = select_shown_cells([make_cell("a", range(12))], [])
    assert not select_shown_cells([make_cell("a", range(13))], [earlier_cells])
    assert not select_shown_cells([make_cell("a", range(1, 13))], [earlier_cells])  # one person left and one joined
    assert get_names(select_shown_cells([make_cell("a", range(18))], [earlier_cells])) == ["a"]
    assert get_names(select_shown_cells([make_cell("a", range(12))], [earlier_cells])) == [
        "a"
    ]  # the people are the same


def test_renamed_group_is_compared_by_its_people() -> None:
    earlier_cells = select_shown_cells([make_cell("a", range(12)), make_cell("b", range(20, 30))], [])
    assert get_names(
        select_shown_cells([make_cell("c", range(12)), make_cell("b", range(20, 30))], [earlier_cells])
    ) == [
        "b",
        "c",
    ]
    assert not select_shown_cells([make_cell("c", range(13))], [earlier_cells[:1]])


def test_groups_between_which_one_person_moves_are_merged() -> None:
    earlier_cells = select_shown_cells(
        [make_cell("a", range(12)), make_cell("b", range(20, 30)), make_cell("c", range(40, 50))], []
    )
    shown_cells = select_shown_cells(
        [make_cell("a", range(11)), make_cell("b", [11, *range(20, 30)]), make_cell("c", range(40, 50))],
        [earlier_cells],
    )
    assert [(cell.name, len(cell.people)) for cell in shown_cells] == [("c", 10), (OTHERS, 22)]


def test_two_groups_are_compared_together_when_people_move_between_them() -> None:
    """Five people move from one group to the other, and one joins: together the groups differ by that one person."""
    earlier_cells = select_shown_cells([make_cell("a", range(20)), make_cell("b", range(20, 40))], [])
    shown_cells = select_shown_cells([make_cell("a", range(15)), make_cell("b", [*range(15, 40), 50])], [earlier_cells])
    assert shown_cells == ()


def test_people_are_assigned_to_large_cells_before_they_answer() -> None:
    managers = {f"p{person_id}": f"m{person_id % 3}" for person_id in range(20)}
    groups = {
        person_id: "a" if number < 10 else "b" if number < 13 else "" for number, person_id in enumerate(managers)
    }
    cells = assign_cells(groups, managers)
    assert Counter(cells.values()) == {"a": 10, OTHERS: 10}
    assert set(assign_cells(dict.fromkeys(managers, ""), managers).values()) == {EVERYBODY}
    four_people = {person_id: managers[person_id] for person_id in list(managers)[:4]}
    assert set(assign_cells(dict.fromkeys(four_people, "a"), four_people).values()) == {EVERYBODY}


# --- every subtraction of two shown counts ---

_PEOPLE_COUNT = 30


class Respondent(NamedTuple):
    """A person who answers in a round."""

    group: str
    manager: int
    is_yes: bool


_people = st.builds(Respondent, st.sampled_from(["a", "b", "c", "d", ""]), st.integers(0, 4), st.booleans())
_first_rounds = st.lists(_people, min_size=_PEOPLE_COUNT, max_size=_PEOPLE_COUNT)
#: For each later round, the people who change, by number. None: the person gives no answer any more.
_changes = st.lists(st.dictionaries(st.integers(0, _PEOPLE_COUNT - 1), _people | st.none(), max_size=8), max_size=3)
#: The new names of groups in each later round in which somebody changes.
_renames = st.dictionaries(st.sampled_from("abcd"), st.sampled_from("abcdxy"), max_size=2)


def show_rounds(
    first: list[Respondent], changes: list[dict[int, Respondent | None]], renames: dict[str, str]
) -> list[tuple[PulseCell, ...]]:
    """Return the cells that are shown of each round, one round after the other."""
    people: dict[int, Respondent | None] = dict(enumerate(first))
    shown_rounds: list[tuple[PulseCell, ...]] = []
    for change in [{}, *changes]:
        people |= change
        answers = {f"p{person_id}": person for person_id, person in people.items() if person is not None}
        managers = {person_id: f"m{person.manager}" for person_id, person in answers.items()}
        groups = {
            person_id: renames.get(person.group, person.group) if change else person.group
            for person_id, person in answers.items()
        }
        cell_names = assign_cells(groups, managers)
        cells = [
            PulseCell(
                name=name,
                yes=sum(answers[person_id].is_yes for person_id in cell_names if cell_names[person_id] == name),
                no=sum(not answers[person_id].is_yes for person_id in cell_names if cell_names[person_id] == name),
                people={person_id: managers[person_id] for person_id in cell_names if cell_names[person_id] == name},
            )
            for name in sorted(set(cell_names.values()))
        ]
        shown_rounds.append(select_shown_cells(cells, shown_rounds))
    return shown_rounds


def list_views(shown_cells: Sequence[PulseCell]) -> Iterator[Mapping[str, str]]:
    """Yield every group of people whose counts follow from a round: the unions of its cells."""
    for size in range(1, len(shown_cells) + 1):
        for cells in combinations(shown_cells, size):
            yield {person_id: manager for cell in cells for person_id, manager in cell.people.items()}


@example_settings(max_examples=2000 if FULL else 200, deadline=None)  # FULL: the long proofs
@pytest.mark.proof
@given(_first_rounds, _changes, _renames)
def test_no_difference_of_two_views_is_a_small_group(
    first: list[Respondent],
    changes: list[dict[int, Respondent | None]],
    renames: dict[str, str],
) -> None:
    """R-37: views are compared within a round and between rounds, across renames and moves."""
    shown_rounds = show_rounds(first, changes, renames)
    all_views = [view for cells in shown_rounds for view in list_views(cells)]
    assert all(is_large_enough(view) for view in all_views)
    for first_view, second_view in combinations(all_views, 2):
        differing = {
            person_id: {**first_view, **second_view}[person_id] for person_id in first_view.keys() ^ second_view.keys()
        }
        assert not differing or is_large_enough(differing), (first_view, second_view)
    for cells in shown_rounds:
        assert all(cell.yes + cell.no == len(cell.people) for cell in cells)


@example_settings(max_examples=100, deadline=None)
@given(_first_rounds, _changes, _renames)
def test_shown_cells_have_no_conflict_with_earlier_rounds(
    first: list[Respondent],
    changes: list[dict[int, Respondent | None]],
    renames: dict[str, str],
) -> None:
    shown_rounds = show_rounds(first, changes, renames)
    for number, cells in enumerate(shown_rounds):
        assert all(find_conflicts(cells, earlier) == set() for earlier in shown_rounds[:number])
