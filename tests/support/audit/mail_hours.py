"""When mails may reach people (T-16): in mail hours, three a day, one overflow mail for the rest, one weekly mail.

Calendars tell whether somebody is out of office, and are read only from time to time. So some rules are not checked for
people who may be out of office.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from datetime import date, datetime, timedelta

from tests.support.audit import rules
from tests.support.audit.known import Line, Talk
from worker.domain.model import Address, Pair, PairId, Person, Span
from worker.domain.time.worktime import get_local_date, list_spells, list_working_spans

#: Mails that may come at any hour, and are not counted.
ANY_HOUR = {
    *("invitation", "invitation_withdrawn", "contract_request", "contract_summary", "fresh_link", "operator_alert"),
}
#: T-7 has rules of its own for this mail; the module `reminders` judges it.
REMINDER = "contract_reminder"
#: Mails that are never folded into the overflow mail.
NEVER_FOLDED = {"reflection_prompt", "brief", "review_note", "introduction", "content_accessed", "weekly", "overflow"}
NEVER_FOLDED |= {"new_manager", "open_promises", "pulse"}
#: How many mails a day reach a person, except those of ANY_HOUR and NEVER_FOLDED; the others are folded.
MOST_A_DAY = 3
#: A mail about a change this near may come at any hour.
NEAR_CHANGE = timedelta(hours=24)
#: Somebody who is out of office at a session may be so from this long before it to this long after it.
AWAY_BEFORE, AWAY_AFTER = timedelta(hours=30), timedelta(days=11)
#: The number of reports from which a manager gets one mail a week.
REPORTS_FOR_WEEKLY = 3


class MailHours:
    """What reached each person, and when each may be out of office."""

    def __init__(
        self, persons: Mapping[Address, Person], pairs: Collection[Pair], inactive: Collection[PairId]
    ) -> None:
        self._persons = persons
        self._pairs = pairs
        self._inactive = inactive
        self._away: dict[Address, list[Span]] = defaultdict(list)
        for who, person in persons.items():
            self._away[who] += [Span(span.start - AWAY_BEFORE, span.end + AWAY_AFTER) for span in person.absences]
        self._counts: Counter[tuple[Address, date]] = Counter()
        self._folded: dict[Address, set[date]] = defaultdict(set)  #: days whose overflow mail has not gone out yet
        #: Each manager with the Monday of a week in which a weekly mail came, and with the instant at which it came.
        self._weeks: set[tuple[Address, date]] = set()
        self._weeklies: list[tuple[Address, datetime]] = []

    def note_away(self, who: Address, start: datetime, end: datetime) -> None:
        """Note that somebody is out of office between these instants, and perhaps around them."""
        self._away[who].append(Span(start - AWAY_BEFORE, end + AWAY_AFTER))

    def note_folded(self, to: Address, now: datetime) -> None:
        """Note that a mail to that person was folded into the next overflow mail."""
        self._folded[to].add(get_local_date(self._persons[to].zone, now))

    def may_be_away(self, who: Address, first: datetime, last: datetime) -> bool:
        """Whether that person may be out of office at some time between these instants."""
        return any(span.start <= last and first <= span.end for span in self._away[who])

    def next_time(self, who: Address, since: datetime) -> datetime | None:
        """Return the person's first working instant from then on; None when they may be out of office until then."""
        person = self._persons[who]
        instants = (_find_first_instant(person, since, day) for day in range(60))
        first = next((instant for instant in instants if instant is not None), None)
        return None if first is None or self.may_be_away(who, since, first) else first

    def has_weekly(self, manager: Address, now: datetime) -> bool:
        """Whether the manager has enough reports for a mail a week."""
        day = get_local_date(self._persons[manager].zone, now)
        active = [pair for pair in self._pairs if pair.manager == manager and pair.id not in self._inactive]
        return sum(pair.first_seen <= day for pair in active) >= REPORTS_FOR_WEEKLY

    def judge(self, line: Line, talk: Talk | None, now: datetime) -> Iterator[rules.Fault]:
        """Yield what is wrong with a mail that leaves now, apart from what it says."""
        name, to = line["message"], line.get("to", "")
        person = self._persons.get(to)
        if person is None or name in ANY_HOUR or name == REMINDER or _is_near(talk, now):
            return
        is_working = bool(list_working_spans(person, Span(now, now + timedelta(seconds=1))))
        if not is_working and not (name in ("brief", "review_note") and self._is_last_chance(name, to, talk, now)):
            yield "T-16", f"{name} reached {to} outside working hours, at {now}"
        day = get_local_date(person.zone, now)
        if self._counts[to, day] >= MOST_A_DAY and name not in NEVER_FOLDED:
            yield "T-16", f"{name} was mail {self._counts[to, day] + 1} to {to} on {day}"
        self._counts[to, day] += 1
        if name == "overflow":
            told_days = {one for one in self._folded[to] if one < day}
            self._folded[to] -= told_days
            if not told_days:
                yield "D-5", f"an overflow mail told {to} what nobody had left to it"
            yield from self._judge_day_start(person, name, now)
        elif name == "weekly":
            yield from self._judge_weekly(person, now)
        elif name == "commitment_due" and line.get("pair", "").startswith(f"{to}>") and self.has_weekly(to, now):
            yield "T-16", f"commitment_due went to {to}, who has a mail a week"

    def _is_last_chance(self, name: str, to: Address, talk: Talk | None, now: datetime) -> bool:
        """Whether no working hour is left before the session that a mail prepares: then it comes at once."""
        next_time, start = self.next_time(to, now), talk.start if talk else None
        least_lead = rules.PREPARING_MAILS[name].least_lead
        return next_time is None or (start is not None and start - next_time < least_lead)

    def count_weekly(self, manager: Address, since: datetime, until: datetime) -> int:
        """How many weekly mails reached that manager between these instants."""
        return sum(who == manager and since < at <= until for who, at in self._weeklies)

    def _judge_weekly(self, manager: Person, now: datetime) -> Iterator[rules.Fault]:
        day = get_local_date(manager.zone, now)
        monday = day - timedelta(days=day.weekday())
        if (manager.email, monday) in self._weeks:
            yield "T-16", f"a second weekly mail reached {manager.email} in the week of {monday}"
        self._weeks.add((manager.email, monday))
        self._weeklies.append((manager.email, now))
        # a report who came during the day counts from the next day on
        if not self.has_weekly(manager.email, now + rules.DAY):
            yield "T-16", f"a weekly mail reached {manager.email}, who has few reports"
        earlier_days = [monday + timedelta(days=n) for n in range((day - monday).days)]
        has_earlier_working_day = any(list_spells(manager, one) for one in earlier_days)
        if has_earlier_working_day and not self.may_be_away(manager.email, now - timedelta(days=7), now):
            yield "T-16", f"the weekly mail reached {manager.email} on {day}, not on the first working day"

    def _judge_day_start(self, person: Person, name: str, now: datetime) -> Iterator[rules.Fault]:
        spells = list_spells(person, get_local_date(person.zone, now))
        late = bool(spells) and now > spells[0].start + rules.ALLOWED_DELAY
        if late and not self.may_be_away(person.email, now - rules.DAY, now):
            yield "T-16", f"{name} reached {person.email} at {now}, not at the start of the day"


def _find_first_instant(person: Person, since: datetime, day: int) -> datetime | None:
    """Return the person's first working instant in the 24 hours that begin so many days after `since`."""
    window = Span(since + timedelta(days=day), since + timedelta(days=day + 1))
    return next((span.start for span in list_working_spans(person, window)), None)


def _is_near(talk: Talk | None, now: datetime) -> bool:
    """Whether a mail is about a session whose present or lost time lies within the next 24 hours."""
    if talk is None:
        return False
    return any(
        at is not None and now <= at <= now + NEAR_CHANGE for at in (talk.start, talk.lost_start, talk.previous_start)
    )
