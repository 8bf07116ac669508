"""Summarizes the roster that the answers of `longarc init` name, and reports what is wrong with it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from worker.domain.model import Address
from worker.domain.time.blockers import never_work_together
from worker.engine.roster_reader import RosterReading
from worker.ops.preview.concerns import MANY_REPORTS
from worker.providers.base import Finding
from worker.roster.model import Roster


@dataclass(frozen=True, slots=True)
class RosterSummary:
    """Counts of a roster, and what may be wrong with it."""

    people: int
    managers: int
    pairs: int
    zones: tuple[tuple[str, int], ...]  #: each time zone with its number of people, the most frequent first
    without_manager: int  #: people who are in no pair as a report
    #: manager and report of each pair that never works at the same time
    pairs_without_shared_hours: tuple[tuple[Address, Address], ...]
    many_reports: tuple[tuple[Address, int], ...]  #: managers with too many reports, and how many they have


def summarize_roster(roster: Roster, now: datetime) -> RosterSummary:
    """Return the summary of a roster. Working hours are compared in the weeks that follow `now`."""
    report_counts = Counter(pair.manager for pair in roster.pairs.values())
    reports = {pair.report for pair in roster.pairs.values()}
    return RosterSummary(
        people=len(roster.persons),
        managers=len(report_counts),
        pairs=len(roster.pairs),
        zones=tuple(Counter(person.zone for person in roster.persons.values()).most_common()),
        without_manager=len(roster.persons.keys() - reports),
        pairs_without_shared_hours=tuple(_list_pairs_without_shared_hours(roster, now)),
        many_reports=tuple((manager, count) for manager, count in report_counts.most_common() if count > MANY_REPORTS),
    )


def list_roster_findings(reading: RosterReading) -> Iterator[Finding]:
    """Yield a warning for each roster fault, and a failed check when there is no pair, so that nothing can be booked.

    The people that a fault concerns are left out of the roster.
    """
    yield from (Finding(f"{fault.where}: {fault.what}", ok=True, remedy=fault.remedy) for fault in reading.faults)
    if not reading.roster.persons:
        remedy = "Fix the faults above, because of which people are left out, or name another source of people."
        yield Finding("The roster has nobody in it", ok=False, remedy=remedy)
    elif not reading.roster.pairs:
        remedy = "Name the manager of somebody in the roster."
        yield Finding("Nobody in the roster has a manager, so there is no pair", ok=False, remedy=remedy)


def _list_pairs_without_shared_hours(roster: Roster, now: datetime) -> Iterator[tuple[Address, Address]]:
    """Yield the manager and the report of each pair that never works at the same time.

    The result is reused for pairs with the same working hours, zones and countries.
    """
    results: dict[tuple[object, ...], bool] = {}
    for pair in roster.pairs.values():
        manager, report = roster.persons[pair.manager], roster.persons[pair.report]
        working_times = tuple((person.zone, person.country, person.hours) for person in (manager, report))
        if working_times not in results:
            results[working_times] = never_work_together((manager, report), now)
        if results[working_times]:
            yield manager.email, report.email
