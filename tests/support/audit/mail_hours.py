"""When mails reach people, as an audit finds it (T-16): hours, three a day, one mail for the rest, one a week.

Whether somebody is out of office is told by calendars, which are read from time to time: whoever may be out of office
is looked at less closely.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from datetime import date, datetime, timedelta

from tests.support.audit import rules
from tests.support.audit.known import Line, Talk
from worker.domain.model import Address, Pair, PairId, Person, Span
from worker.domain.time.worktime import get_local_date, list_spells, list_working_spans

#: May come at any hour, and are not counted.
ANY_HOUR = {
    *("invitation", "invitation_withdrawn", "contract_request", "contract_summary", "fresh_link", "operator_alert"),
}
#: Judged by T-7.
REMINDER = "contract_reminder"
#: Never told in a line.
ALONE = {"reflection_prompt", "brief", "review_note", "introduction", "content_accessed", "weekly", "overflow"}
ALONE |= {"new_manager", "open_promises", "pulse"}
MOST = 3
NEAR = timedelta(hours=24)
#: How long before and after a session somebody may be out of office who is out of office for it.
AWAY_BEFORE, AWAY_AFTER = timedelta(hours=30), timedelta(days=11)
#: The number of reports from which a manager gets one mail a week.
TEAM = 3


class MailHours:
    """Keeps in mind what reached each person when."""

    def __init__(self, persons: Mapping[Address, Person], pairs: Collection[Pair], resting: Collection[PairId]) -> None:
        self._persons = persons
        self._pairs = pairs
        self._resting = resting
        self._away: dict[Address, list[Span]] = defaultdict(list)
        for who, person in persons.items():
            self._away[who] += [Span(span.start - AWAY_BEFORE, span.end + AWAY_AFTER) for span in person.absences]
        self._counts: Counter[tuple[Address, date]] = Counter()
        self._folded: dict[Address, set[date]] = defaultdict(set)  #: days of which the rest is still to be told
        self._weeks: set[tuple[Address, date]] = set()
        self._weeklies: list[tuple[Address, datetime]] = []

    def note_away(self, who: Address, start: datetime, end: datetime) -> None:
        """Somebody is out of office between these instants, and perhaps around them."""
        self._away[who].append(Span(start - AWAY_BEFORE, end + AWAY_AFTER))

    def note_folded(self, to: Address, now: datetime) -> None:
        """A mail to that person was left to one that tells the rest of the day."""
        self._folded[to].add(get_local_date(self._persons[to].zone, now))

    def may_be_away(self, who: Address, first: datetime, last: datetime) -> bool:
        """Whether out of office may have a part in what happens between these instants."""
        return any(span.start <= last and first <= span.end for span in self._away[who])

    def next_time(self, who: Address, since: datetime) -> datetime | None:
        """The first instant of that person's working hours from then on; None when they may be out of office."""
        person = self._persons[who]
        days = next(
            (span for n in range(60) if (span := _first_from(person, since, n)) is not None),
            None,
        )
        if days is None or self.may_be_away(who, since, days):
            return None
        return days

    def has_weekly(self, manager: Address, now: datetime) -> bool:
        """Whether the manager has enough reports for a mail a week."""
        day = get_local_date(self._persons[manager].zone, now)
        mine = [pair for pair in self._pairs if pair.manager == manager and pair.id not in self._resting]
        return sum(pair.first_seen <= day for pair in mine) >= TEAM

    def judge(self, line: Line, talk: Talk | None, now: datetime) -> Iterator[rules.Fault]:
        """What is wrong with a mail that leaves now, whatever it says."""
        name, to = line["message"], line.get("to", "")
        person = self._persons.get(to)
        if person is None or name in ANY_HOUR or name == REMINDER or _is_near(talk, now):
            return
        works = list_working_spans(person, Span(now, now + timedelta(seconds=1)))
        if not works and not (name in ("brief", "review_note") and self._is_last_chance(name, to, talk, now)):
            yield "T-16", f"{name} reached {to} outside working hours, at {now}"
        day = get_local_date(person.zone, now)
        if self._counts[to, day] >= MOST and name not in ALONE:
            yield "T-16", f"{name} was mail {self._counts[to, day] + 1} to {to} on {day}"
        self._counts[to, day] += 1
        if name == "overflow":
            told = {one for one in self._folded[to] if one < day}
            self._folded[to] -= told
            if not told:
                yield "D-5", f"an overflow mail told {to} what nobody had left to it"
            yield from self._judge_day_start(person, name, now)
        elif name == "weekly":
            yield from self._judge_weekly(person, now)
        elif name == "commitment_due" and line.get("pair", "").startswith(f"{to}>") and self.has_weekly(to, now):
            yield "T-16", f"commitment_due went to {to}, who has a mail a week"

    def _is_last_chance(self, name: str, to: Address, talk: Talk | None, now: datetime) -> bool:
        """Whether no working hour is left before the session that a mail prepares: then it comes at once."""
        found, start = self.next_time(to, now), talk.start if talk else None
        return found is None or (start is not None and start - found < rules.AHEAD[name][2])

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
        if not self.has_weekly(manager.email, now + rules.DAY):  # who came during the day counts from the next
            yield "T-16", f"a weekly mail reached {manager.email}, who has few reports"
        earlier = [monday + timedelta(days=n) for n in range((day - monday).days)]
        worked = [one for one in earlier if list_spells(manager, one)]
        if worked and not self.may_be_away(manager.email, now - timedelta(days=7), now):
            yield "T-16", f"the weekly mail reached {manager.email} on {day}, not on the first working day"

    def _judge_day_start(self, person: Person, name: str, now: datetime) -> Iterator[rules.Fault]:
        spells = list_spells(person, get_local_date(person.zone, now))
        late = bool(spells) and now > spells[0].start + rules.TICK
        if late and not self.may_be_away(person.email, now - rules.DAY, now):
            yield "T-16", f"{name} reached {person.email} at {now}, not at the start of the day"


def _first_from(person: Person, since: datetime, day: int) -> datetime | None:
    window = Span(since + timedelta(days=day), since + timedelta(days=day + 1))
    return next((span.start for span in list_working_spans(person, window)), None)


def _is_near(talk: Talk | None, now: datetime) -> bool:
    """Whether a mail tells of something that changes within the next 24 hours."""
    if talk is None:
        return False
    return any(at is not None and now <= at <= now + NEAR for at in (talk.start, talk.lost, talk.was))
