"""Builds a company of any size: teams of seven in five zones, and a fifth of the pairs with the format `series`."""

from datetime import date

from worker.domain.model import Address, Format, Pair, PairId, Person
from worker.domain.time.worktime import parse_hours

ZONES = (
    ("Europe/Berlin", "DE"),
    ("Europe/London", "GB"),
    ("America/New_York", "US"),
    ("Asia/Kolkata", "IN"),
    ("Australia/Sydney", "AU"),
)
TEAM_SIZE = 7
HOURS = parse_hours("Mon-Fri 08:30-17:00")


def build_company(size: int, first_seen: date) -> tuple[dict[Address, Person], dict[PairId, Pair]]:
    """Return `size` pairs and their people. A team is in one zone; in every fifth team one report is in another."""
    persons: dict[Address, Person] = {}
    pairs: dict[PairId, Pair] = {}
    for n in range(size):
        team = n // TEAM_SIZE
        manager, report = f"manager{team}@bench.example", f"report{n}@bench.example"
        persons.setdefault(manager, _build_person(manager, team))
        zone_index = team if n % TEAM_SIZE else team + (1 if team % len(ZONES) == 0 else 0)
        persons[report] = _build_person(report, zone_index)
        style = Format.SERIES if n % 5 == 0 else Format.COMBINED
        pair = Pair(manager=manager, report=report, first_seen=first_seen, format=style)
        pairs[pair.id] = pair
    return persons, pairs


def _build_person(email: Address, zone_index: int) -> Person:
    name, country = ZONES[zone_index % len(ZONES)]
    return Person(
        email=email,
        name=email.partition("@")[0].title(),
        zone=name,
        country=country,
        hours=HOURS,
        calendar="memory",
        mail="memory",
    )
