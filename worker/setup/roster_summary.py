"""What was understood of the roster that the answers name, and what is wrong with it."""

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
    """What was understood of a roster."""

    people: int
    managers: int
    pairs: int
    zones: tuple[tuple[str, int], ...]  #: with how many people, the most frequent first
    without_manager: int  #: people who are in no pair as a report
    hours_apart: tuple[tuple[Address, Address], ...]  #: manager and report without a common working hour
    many_reports: tuple[tuple[Address, int], ...]


def summarize_roster(roster: Roster, now: datetime) -> RosterSummary:
    """Return what was understood, in the order in which it is shown."""
    report_counts = Counter(pair.manager for pair in roster.pairs.values())
    reports = {pair.report for pair in roster.pairs.values()}
    return RosterSummary(
        people=len(roster.persons),
        managers=len(report_counts),
        pairs=len(roster.pairs),
        zones=tuple(Counter(person.zone for person in roster.persons.values()).most_common()),
        without_manager=len(roster.persons.keys() - reports),
        hours_apart=tuple(_list_hours_apart(roster, now)),
        many_reports=tuple((who, count) for who, count in report_counts.most_common() if count > MANY_REPORTS),
    )


def list_roster_findings(reading: RosterReading) -> Iterator[Finding]:
    """Yield the faults of a directory, as warnings: the people they are about are left out. Without any pair nothing
    can be booked, which is wrong."""
    yield from (Finding(f"{fault.where}: {fault.what}", True, fault.remedy) for fault in reading.faults)
    if not reading.roster.persons:
        remedy = "Fix what is said above of those who are left out, or name another source of people."
        yield Finding("The roster has nobody in it", False, remedy)
    elif not reading.roster.pairs:
        remedy = "Name the manager of somebody in the roster."
        yield Finding("Nobody in the roster has a manager, so there is no pair", False, remedy)


def _list_hours_apart(roster: Roster, now: datetime) -> Iterator[tuple[Address, Address]]:
    """Yield the pairs without a common working hour. People with the same hours in the same zone are tried once."""
    known: dict[tuple[object, ...], bool] = {}
    for pair in roster.pairs.values():
        manager, report = roster.persons[pair.manager], roster.persons[pair.report]
        weeks = tuple((person.zone, person.country, person.hours) for person in (manager, report))
        if weeks not in known:
            known[weeks] = never_work_together((manager, report), now)
        if known[weeks]:
            yield manager.email, report.email
