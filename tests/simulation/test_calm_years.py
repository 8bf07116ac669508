"""Years of five companies of calm people, counted from their ledgers and calendars.

Calm people now and then decline, go on holiday, move an event by hand, also onto time of their own, and forget a talk;
they record contracts, and keep what they promise.
"""

from collections.abc import Iterator

import pytest

from tests.support.audit.auditor import audit
from tests.support.counts.counts import ROWS, Counts, add_counts, format_table
from tests.support.proof import FULL
from tests.support.years.companies import BUILDERS
from tests.support.years.life import SimulatedYear, simulate_year


def live_companies(seed: int, copies: int = 1) -> dict[str, SimulatedYear]:
    """Live a year of each company."""
    return {name: simulate_year(build(copies), seed) for name, build in BUILDERS.items()}


def list_violations(life: SimulatedYear) -> list[str]:
    """Return what the auditor finds, in words."""
    pairs = {pair.id: pair for pair in life.year.pairs.values()}
    found = audit(iter(life.lines), life.year.persons, pairs, start=life.year.start, end=life.year.end)
    return [f"{one.rule} {one.at:%Y-%m-%d %H:%M} {one.pair}: {one.what}" for one in found]


def find_excesses(counts: Counts) -> dict[str, float]:
    """Return each count that is not as promised, with its value."""
    values = {name: (measure(counts), holds) for name, measure, holds, _ in ROWS}
    return {name: value for name, (value, holds) in values.items() if not holds(value)}


def list_examples(counts: Counts) -> Iterator[str]:
    """Yield the first faults of each list."""
    for name in Counts.__dataclass_fields__:
        faults = getattr(counts, name)
        if isinstance(faults, tuple):
            yield from (f"{name}: {fault}" for fault in faults[:3])


def check_years(years: dict[str, SimulatedYear]) -> None:
    """Print all counts, and compare the sum of the companies with what is promised; no rule may be broken in any."""
    counts = {name: life.count() for name, life in years.items()}
    together = add_counts(counts.values())
    print(f"\n{format_table({**counts, 'together': together})}")  # noqa: T201
    assert find_excesses(together) == {}, "\n".join(list_examples(together))
    assert [violation for life in years.values() for violation in list_violations(life)] == []


@pytest.mark.proof
def test_calm_years_go_as_promised() -> None:
    """T-4, T-9, T-10, T-13, T-16; R-3, R-8: a year of five small companies."""
    check_years(live_companies(seed=1))


@pytest.mark.proof
@pytest.mark.skipif(not FULL, reason="six times five companies for a year take minutes: run `make proof`")
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(2, 8))
def test_many_calm_years_go_as_promised(seed: int) -> None:
    """T-4, T-9, T-10, T-13, T-16; R-3, R-8: three times as many people, and other things that happen to them."""
    check_years(live_companies(seed, copies=3))
