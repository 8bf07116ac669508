"""Lists the managers with whom a pilot could begin, for the question of `longarc init` about it."""

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from worker.domain.model import Address
from worker.ops.preview.concerns import MANY_REPORTS
from worker.roster.model import Roster
from worker.settings.parsers import InvalidValue

#: How many managers are listed at most.
MAX_LISTED = 10


@dataclass(frozen=True, slots=True)
class PilotCandidate:
    """A manager with whom a pilot could begin."""

    address: Address
    name: str
    report_count: int
    reports_without_shared_hours: int  #: how many of the reports never work at the same time as the manager


def list_pilot_candidates(
    roster: Roster, pairs_without_shared_hours: Collection[tuple[Address, Address]], account: Address = ""
) -> list[PilotCandidate]:
    """Return the managers who have a calendar, the most suitable first.

    They are sorted by three criteria: whether they share working hours with all of their reports, whether they have at
    most MANY_REPORTS reports, and how many reports they have.

    `pairs_without_shared_hours`: manager and report of each pair that never works at the same time. `account`: the only
    manager whose calendar can be used; empty when there is no such limit.
    """
    report_counts = Counter(pair.manager for pair in roster.pairs.values())
    counts_without_shared_hours = Counter(manager for manager, _ in pairs_without_shared_hours)
    candidates = [
        PilotCandidate(
            address=address,
            name=roster.persons[address].name,
            report_count=count,
            reports_without_shared_hours=counts_without_shared_hours[address],
        )
        for address, count in report_counts.items()
        if roster.persons[address].has_calendar and account in ("", address)
    ]
    return sorted(candidates, key=_get_sort_key)


def _get_sort_key(candidate: PilotCandidate) -> tuple[bool, bool, int, str, str]:
    return (
        candidate.reports_without_shared_hours > 0,
        candidate.report_count > MANY_REPORTS,
        -candidate.report_count,
        candidate.name.casefold(),
        candidate.address,
    )


def replace_line_numbers(text: str, addresses: Sequence[Address]) -> str:
    """Return the answer with an address in place of each line number of the list. Raises InvalidValue.

    `addresses`: those of the list, in order; its first line is number 1.
    """
    return ", ".join(_replace_line_number(part, addresses) for part in re.split(r"[\s;,]+", text) if part)


def _replace_line_number(part: str, addresses: Sequence[Address]) -> str:
    if not (part.isascii() and part.isdigit()):
        return part
    if not 1 <= int(part) <= len(addresses):
        raise InvalidValue(
            f"The list has no line {part}.", f"Write a number from 1 to {len(addresses)}, or an address."
        )
    return addresses[int(part) - 1]
