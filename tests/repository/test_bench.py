"""`make bench`: tables of `bench/README.md` are replaced, texts are kept, and `assign_days` finds the optimum."""

import random
from collections import Counter
from datetime import date, timedelta
from itertools import product

from bench.__main__ import replace_table
from bench.placing import assign_days
from worker.domain.model import PairId
from worker.domain.time.search import MAX_IN_TURN_A_WEEK, get_week_number

PAGE = """# Measurements

On two cores.

## One

Said of one,
at length.

| what | result |
|---|---|
| old | 1 |

## Two

| what | result |
|---|---|
| other | 2 |
"""
TABLE = "| what | result |\n|---|---|\n| new | 3 |\n"


def test_new_table_replaces_only_the_table_of_its_section() -> None:
    assert replace_table(PAGE, "One", TABLE) == PAGE.replace("| old | 1 |", "| new | 3 |")
    assert replace_table(PAGE, "Two", TABLE) == PAGE.replace("| other | 2 |", "| new | 3 |")
    assert replace_table(replace_table(PAGE, "One", TABLE), "One", TABLE) == replace_table(PAGE, "One", TABLE)


def test_table_of_a_new_section_is_added_at_the_end() -> None:
    assert replace_table(PAGE, "Three", TABLE) == f"{PAGE}\n## Three\n\n{TABLE}"


def test_assign_days_finds_the_best_of_all_assignments() -> None:
    """T-2, T-3a: at most one session a day and two a week, for as many pairs as possible, at the lowest cost."""
    for seed in range(30):
        generator = random.Random(seed)
        days = [date(2027, 3, 1) + timedelta(days=number) for number in range(9)]
        options = {
            PairId("m@x.example", f"r{number}@x.example"): {
                day: generator.randrange(9) for day in generator.sample(days, generator.randrange(4))
            }
            for number in range(4)
        }
        assignment = assign_days(options)
        assert is_allowed(list(assignment.values()))
        cost = sum(options[pair][day] for pair, day in assignment.items())
        assert (-len(assignment), cost) == min(rate_all(options)), options


def is_allowed(days: list[date]) -> bool:
    """Whether a manager may have sessions on these days: one a day, and two a week."""
    weeks = Counter(get_week_number(day) for day in days)
    return len(set(days)) == len(days) and max(weeks.values(), default=0) <= MAX_IN_TURN_A_WEEK


def rate_all(options: dict[PairId, dict[date, int]]) -> list[tuple[int, int]]:
    """Return minus the number of pairs with a day, and the cost, for each allowed assignment."""
    # of each pair, no day or one of its days with the cost
    all_choices = product(*([None, *costs.items()] for costs in options.values()))
    assignments = ([choice for choice in choices if choice is not None] for choices in all_choices)
    return [
        (-len(days_and_costs), sum(cost for _, cost in days_and_costs))
        for days_and_costs in assignments
        if is_allowed([day for day, _ in days_and_costs])
    ]
