"""Benchmark of simulated years of calm, busy and hostile people: counts, compared with what is promised."""

import io
import json
from datetime import timedelta

from bench.placing import START, build_teams
from tests.support.counts.counts import ROWS, Counts, add_counts
from tests.support.years.companies import BUILDERS
from tests.support.years.people import CALM_YEAR
from tests.support.years.simulation import simulate_year
from worker.simulation.people import BUSY, HOSTILE
from worker.simulation.run import simulate_to_ledger

BEHAVIOURS = {"calm": CALM_YEAR, "busy": BUSY, "hostile": HOSTILE}

#: The mails that belong to each conversation.
CONVERSATION_MAILS = frozenset({"brief", "contract_request", "contract_reminder", "contract_summary"})


def measure(seeds: tuple[int, ...] = (1,)) -> list[tuple[str, str]]:
    """Return a row for each count, with its value for each kind of people; five companies, a year for each seed."""
    columns = {name: _count_years(name, seeds) for name in BEHAVIOURS}
    rows = [("regular conversations held", ", ".join(f"{name} {c.conversations}" for name, c in columns.items()))]
    for name, value_of, _, bound in ROWS:
        values = ", ".join(f"{people} {value_of(counts):.3g}" for people, counts in columns.items())
        rows.append((f"{name} (promised of calm people: {bound})", values))
    others = ", ".join(f"{people} {count_other_mails(people)}" for people in ("calm", "busy", "hostile"))
    rows.append(("mails of a manager of eight in a year, brief, request, reminder and summary aside", others))
    return rows


def count_other_mails(people: str) -> int:
    """Count what a manager of eight reports gets in a year besides the mails around each conversation."""
    persons, pairs = build_teams([8])
    (manager,) = {pair.manager for pair in pairs.values()}
    out = io.StringIO()
    simulate_to_ledger(persons, pairs, START, timedelta(days=364), seed=1, behaviour=people, out=out)
    lines = map(json.loads, out.getvalue().splitlines())
    return sum(
        line["what"] == "mail" and line["to"] == manager and line["message"] not in CONVERSATION_MAILS for line in lines
    )


def _count_years(people: str, seeds: tuple[int, ...]) -> Counts:
    behaviour = BEHAVIOURS[people]
    return add_counts(simulate_year(build(1), seed, behaviour).count() for build in BUILDERS.values() for seed in seeds)
