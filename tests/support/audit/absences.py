"""The first days after a long absence, which stay free of sessions (T-16).

Only absences that somebody entered as a whole are known. Of one that was entered over a session, a ledger has only the
begin.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import date, timedelta

from tests.support.audit.known import Talk
from tests.support.audit.rules import DAY, Fault
from worker.domain.model import Address, Person, Span
from worker.domain.time.worktime import add_working_days, get_local_date, list_spells

#: An absence of so many working days is a long one.
LONG_ABSENCE_DAYS = 10
#: So many working days after it are free of sessions.
FREE_DAYS = 2


class Absences:
    """Who is out of office when, as far as it was entered as a whole."""

    def __init__(self, persons: Mapping[Address, Person]) -> None:
        self._persons = persons
        self._spans: dict[Address, list[Span]] = defaultdict(list)

    def note(self, who: Address, span: Span) -> None:
        """Note that somebody entered an absence."""
        self._spans[who].append(span)

    def judge(self, talk: Talk, span: Span) -> Iterator[Fault]:
        """Yield a fault when a session gets a time on one of the free days (T-16).

        An ad hoc session may lie there: the ledger does not tell how soon it has to be (R-6).
        """
        for who in talk.pair.id.people if not talk.adhoc else ():
            person = self._persons[who]
            day = get_local_date(person.zone, span.start)
            for absence in self._spans[who]:
                if day in _list_free_days(person, absence):
                    yield "T-16", f"{talk.id}, {span.start}, is too soon after {who} was away until {absence.end}"


def _list_free_days(person: Person, absence: Span) -> list[date]:
    """Return the days after an absence that stay free of sessions; none after a short absence."""
    first, last = (get_local_date(person.zone, at) for at in (absence.start, absence.end - timedelta(seconds=1)))
    days = [first + n * DAY for n in range((last - first).days + 1)]
    whole_days = [
        day
        for day in days
        if all(absence.start <= spell.start and spell.end <= absence.end for spell in list_spells(person, day))
    ]
    if sum(day.weekday() < 5 for day in whole_days) < LONG_ABSENCE_DAYS:
        return []
    return [add_working_days(person, last, n) for n in range(1, FREE_DAYS + 1)]
