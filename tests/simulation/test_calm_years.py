"""Simulated years of five companies of calm people, with counts from their ledgers and calendars.

Calm people sometimes decline, go on holiday, move an event by hand, also onto their busy time, and forget a session.
They record contracts, and keep their commitments.
"""

from collections.abc import Iterator

import pytest

from tests.support.audit.auditor import audit
from tests.support.counts.counts import ROWS, Counts, add_counts, format_table
from tests.support.proof import FULL
from tests.support.years.companies import BUILDERS
from tests.support.years.simulation import SimulatedYear, simulate_year


def simulate_companies(seed: int, copies: int = 1) -> dict[str, SimulatedYear]:
    """Simulate a year of each company, with `copies` times its teams."""
    return {name: simulate_year(build(copies), seed) for name, build in BUILDERS.items()}


def list_violations(simulated_year: SimulatedYear) -> list[str]:
    """Return the violations that the auditor finds, as text."""
    year = simulated_year.year
    pairs = {pair.id: pair for pair in year.pairs.values()}
    return [
        str(violation) for violation in audit(simulated_year.lines, year.persons, pairs, start=year.start, end=year.end)
    ]


def find_excesses(counts: Counts) -> dict[str, float]:
    """Return each count that is outside its range, with its value."""
    values = {name: (measure(counts), is_in_range) for name, measure, is_in_range, _ in ROWS}
    return {name: value for name, (value, is_in_range) in values.items() if not is_in_range(value)}


def list_examples(counts: Counts) -> Iterator[str]:
    """Yield the first faults of each list."""
    for name in Counts.__dataclass_fields__:
        faults = getattr(counts, name)
        if isinstance(faults, tuple):
            yield from (f"{name}: {fault}" for fault in faults[:3])


def check_years(years: dict[str, SimulatedYear]) -> None:
    """Print all counts, and check that their sums are within their ranges and that no rule is broken."""
    counts = {name: simulated_year.count() for name, simulated_year in years.items()}
    total = add_counts(counts.values())
    print(f"\n{format_table({**counts, 'total': total})}")  # noqa: T201
    assert find_excesses(total) == {}, "\n".join(list_examples(total))
    assert [violation for simulated_year in years.values() for violation in list_violations(simulated_year)] == []


@pytest.mark.proof
def test_a_year_of_calm_companies_keeps_all_ranges_and_rules() -> None:
    """T-4, R-3, R-8: no pair is without a session ahead. T-9, T-10, T-13: reviews, new times and parts are in place.

    T-16: mails come in working hours, and not too many a day.
    """
    check_years(simulate_companies(seed=1))


@pytest.mark.proof
@pytest.mark.skipif(not FULL, reason="six times five companies for a year take minutes: run `make proof`")
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(2, 8))
def test_many_years_of_calm_companies_keep_all_ranges_and_rules(seed: int) -> None:
    """As above (T-4, T-9, T-10, T-13, T-16, R-3, R-8), with three times as many people and other random events."""
    check_years(simulate_companies(seed, copies=3))
