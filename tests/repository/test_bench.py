"""`make bench` replaces the tables of `bench/README.md` and keeps its texts; its best assignment is the optimum."""

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


def test_a_table_takes_the_place_of_the_one_before_and_nothing_else_changes() -> None:
    assert replace_table(PAGE, "One", TABLE) == PAGE.replace("| old | 1 |", "| new | 3 |")
    assert replace_table(PAGE, "Two", TABLE) == PAGE.replace("| other | 2 |", "| new | 3 |")
    assert replace_table(replace_table(PAGE, "One", TABLE), "One", TABLE) == replace_table(PAGE, "One", TABLE)


def test_what_is_measured_for_the_first_time_comes_last() -> None:
    assert replace_table(PAGE, "Three", TABLE) == f"{PAGE}\n## Three\n\n{TABLE}"


def test_the_best_assignment_is_that_of_trying_all() -> None:
    """T-2, T-3a: one session a day and two a week; as many pairs as possible, then at the lowest cost."""
    for seed in range(30):
        rng = random.Random(seed)
        days = [date(2027, 3, 1) + timedelta(days=n) for n in range(9)]
        options = {
            PairId("m@x.example", f"r{n}@x.example"): {
                day: rng.randrange(9) for day in rng.sample(days, rng.randrange(4))
            }
            for n in range(4)
        }
        best = assign_days(options)
        assert is_allowed(list(best.values()))
        cost = sum(options[pair][day] for pair, day in best.items())
        assert (-len(best), cost) == min(rate_all(options)), options


def is_allowed(days: list[date]) -> bool:
    weeks = Counter(get_week_number(day) for day in days)
    return len(set(days)) == len(days) and max(weeks.values(), default=0) <= MAX_IN_TURN_A_WEEK


def rate_all(options: dict[PairId, dict[date, int]]) -> list[tuple[int, int]]:
    """Minus the number of pairs that get a day, and the cost, for each assignment that is allowed."""
    choices = product(*([None, *costs.items()] for costs in options.values()))
    taken = ([one for one in choice if one is not None] for choice in choices)
    return [(-len(one), sum(cost for _, cost in one)) for one in taken if is_allowed([day for day, _ in one])]
