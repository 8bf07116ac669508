"""Counts of simulated years of calm, busy and hostile people: what is promised, and what it came to."""

from tests.support.counts.counts import ROWS, Counts, add_counts
from tests.support.years.companies import BUILDERS
from tests.support.years.life import live_year
from tests.support.years.people import CALM_YEAR
from worker.simulation.people import BUSY, HOSTILE

BEHAVIOURS = {"calm": CALM_YEAR, "busy": BUSY, "hostile": HOSTILE}


def measure(seeds: tuple[int, ...] = (1,)) -> list[tuple[str, str]]:
    """Return a row for each count, with its value for each kind of people; five companies, a year for each seed."""
    columns = {name: _count_years(name, seeds) for name in BEHAVIOURS}
    rows = [("regular conversations held", ", ".join(f"{name} {c.conversations}" for name, c in columns.items()))]
    for name, value_of, _, bound in ROWS:
        values = ", ".join(f"{people} {value_of(counts):.3g}" for people, counts in columns.items())
        rows.append((f"{name} (promised of calm people: {bound})", values))
    return rows


def _count_years(people: str, seeds: tuple[int, ...]) -> Counts:
    behaviour = BEHAVIOURS[people]
    return add_counts(live_year(build(1), seed, behaviour).count() for build in BUILDERS.values() for seed in seeds)
