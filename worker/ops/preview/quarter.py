"""A quarter of a company as one value: the talks of each manager, the mails, and what needs somebody.

It is made from the plans of all pairs. It holds our own sessions alone: nothing else that stands on a calendar, no word
of a conversation, and no talk that somebody asked for (R-6).
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby

from worker.domain.model import (
    Address,
    Effect,
    EffectKind,
    EndReason,
    MailName,
    PairState,
    Person,
    Policy,
    ReviewMode,
    Session,
    SessionKind,
    Span,
)
from worker.domain.planning import cadence, turns
from worker.domain.planning.forecast import ExpectedMail, Forecast, forecast_pairs
from worker.domain.planning.weekly import find_monday, list_all_news
from worker.domain.time.worktime import get_local_date
from worker.engine.sweep import PlannedPair
from worker.ops.preview.concerns import PairConcern, list_concerns, list_unknown_zones

#: A quarter; the mails are listed for the first weeks of it.
QUARTER, MAIL_PERIOD = timedelta(weeks=13), timedelta(weeks=4)
WEEK = timedelta(weeks=1)
#: The mails that are listed. Others answer what people do: a new time, a promise that falls due.
LISTED_MAILS = (
    MailName.INTRODUCTION,
    MailName.INVITATION,
    MailName.UNPLACEABLE,
    MailName.REFLECTION_PROMPT,
    MailName.BRIEF,
    MailName.CONTRACT_REQUEST,
    MailName.CONTRACT_SUMMARY,
    MailName.REVIEW_NOTE,
    MailName.WEEKLY,
    MailName.PULSE,
)
#: Of these it is not certain that they go out: they follow from what people do.
EXPECTED_MAILS = (MailName.CONTRACT_SUMMARY, MailName.WEEKLY)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarterTalk:
    """A session of the quarter, with its time; of one that is only expected, the week is what is known."""

    manager: Person
    report: Person
    kind: SessionKind
    span: Span
    is_placed: bool  #: it has that time now, or would get it now
    part: int = 0  #: of a series, from 1; 0 when it is no part of one
    wanted_minutes: int = 0
    weeks_late: int = 0  #: how much later than wished it is, where that is past its window
    is_inside_1on1: bool = False  #: a review that takes place inside a meeting the two have anyway

    @property
    def is_career(self) -> bool:
        return self.kind is SessionKind.CAREER

    @property
    def day(self) -> date:
        """The day where the manager is."""
        return get_local_date(self.manager.zone, self.span.start)

    @property
    def monday(self) -> date:
        return find_monday(self.day)


@dataclass(frozen=True, slots=True)
class QuarterMail:
    """A mail of the first weeks."""

    name: str  #: a MailName
    to: Person
    at: datetime
    is_certain: bool

    @property
    def day(self) -> date:
        """The day where its reader is."""
        return get_local_date(self.to.zone, self.at)


@dataclass(frozen=True, slots=True)
class ManagerQuarter:
    """The quarter of one manager: how many reports take part, and the talks in order of time."""

    manager: Person
    report_count: int
    talks: tuple[QuarterTalk, ...]

    def count_talks(self, monday: date) -> int:
        """Return how many career talks there are in the week of that Monday."""
        return sum(talk.is_career and talk.monday == monday for talk in self.talks)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarterPreview:
    """The quarter of a company."""

    now: datetime
    zone: str  #: that of most managers
    managers: tuple[ManagerQuarter, ...]  #: by name
    mails: tuple[QuarterMail, ...]  #: in order of time
    concerns: tuple[PairConcern, ...]
    samples: tuple[ExpectedMail, ...]  #: one of each mail and role of its reader
    pair_count: int  #: pairs that take part
    timed_count: int  #: those of which the next talk has a time within the quarter
    later_count: int  #: those whose next talk has a time after the quarter
    coming_count: int  #: those whose start lies ahead
    absent_count: int  #: pairs that don't take part
    invitation_count: int  #: events that would be made now; each invites the report
    people: tuple[Person, ...]  #: of the pairs that take part, by address

    @property
    def mondays(self) -> tuple[date, ...]:
        """The Mondays of the weeks that the quarter touches."""
        first = find_monday(get_local_date(self.zone, self.now))
        last = get_local_date(self.zone, self.now + QUARTER - timedelta(minutes=1))
        last = max([last, *(talk.day for talk in self.talks)])
        return tuple(first + n * WEEK for n in range((last - first).days // 7 + 1))

    @property
    def talks(self) -> Iterator[QuarterTalk]:
        return (talk for manager in self.managers for talk in manager.talks)

    @property
    def first_talk(self) -> QuarterTalk | None:
        """The first career talk that has a time."""
        placed = (talk for talk in self.talks if talk.is_career and talk.is_placed)
        return min(placed, key=lambda talk: talk.span.start, default=None)

    def count_readers(self, period: timedelta) -> int:
        """Return how many people get a mail within that time from now."""
        return len({mail.to.email for mail in self.mails if mail.at < self.now + period})


def build_quarter(
    planned: Iterable[PlannedPair],
    now: datetime,
    policy: Policy,
    more_mails: Sequence[Effect] = (),
    length: timedelta = QUARTER,
) -> QuarterPreview:
    """Return the quarter that follows from these plans; those of one manager are next to each other.

    `more_mails` are decided for the whole company (R-37). What is only expected is looked for within `length`.
    """
    builder = _QuarterBuilder(now, policy, now + length, more_mails)
    for _, group in groupby(planned, key=lambda one: one.state.pair.manager):
        builder.add_manager(list(group))
    return builder.build()


class _QuarterBuilder:
    """Takes in one manager after the other, and keeps of each what is shown."""

    def __init__(self, now: datetime, policy: Policy, until: datetime, more_mails: Sequence[Effect]) -> None:
        self._more_mails = more_mails
        self._now = now
        self._policy = policy
        self._until = until
        self._managers: list[ManagerQuarter] = []
        self._mails: list[QuarterMail] = []
        self._concerns: list[PairConcern] = []
        self._samples: dict[tuple[str, bool], ExpectedMail] = {}  #: by name, and whether it is for a manager
        self._people: dict[Address, Person] = {}
        self._counts: Counter[str] = Counter()

    def add_manager(self, group: Sequence[PlannedPair]) -> None:
        """Add the pairs of one manager."""
        active = [(one.state, one.plan) for one in group if one.state.pair.is_active]
        self._counts["absent"] += sum(
            not one.state.pair.is_active and one.state.pair.ended is EndReason.NO for one in group
        )
        if not active:
            return
        effects = (effect for _, made in active for effect in made.effects)
        self._counts["invitations"] += sum(effect.kind is EffectKind.CREATE for effect in effects)
        forecast = forecast_pairs(active, self._now, self._until, self._policy)
        for state in forecast.planned:
            self._people.update({person.email: person for person in (state.manager, state.report)})
            self._count_pair(state)
        self._concerns += list_concerns(forecast.planned, [made for _, made in active], self._now)
        talks = sorted(self._list_talks(forecast), key=lambda talk: (talk.span.start, talk.report.email))
        self._managers.append(ManagerQuarter(forecast.planned[0].manager, len(active), tuple(talks)))
        self._add_mails(forecast)

    def build(self) -> QuarterPreview:
        """Return the quarter of all managers added so far."""
        zones = Counter(quarter.manager.zone for quarter in self._managers)
        concerns = [*self._concerns, *list_unknown_zones(self._people.values())]
        end = self._now + MAIL_PERIOD
        listed = [mail for mail in self._mails if mail.at < end]
        return QuarterPreview(
            now=self._now,
            zone=max(sorted(zones), key=zones.__getitem__, default="UTC"),
            managers=tuple(sorted(self._managers, key=lambda quarter: _get_name_key(quarter.manager))),
            mails=tuple(sorted(listed, key=lambda mail: (mail.at, *_get_name_key(mail.to)))),
            concerns=tuple(sorted(concerns, key=PairConcern.get_sort_key)),
            samples=tuple(self._samples.values()),
            pair_count=self._counts["pairs"],
            timed_count=self._counts["timed"],
            later_count=self._counts["later"],
            coming_count=self._counts["coming"],
            absent_count=self._counts["absent"],
            invitation_count=self._counts["invitations"],
            people=tuple(self._people[who] for who in sorted(self._people)),
        )

    def _count_pair(self, state: PairState) -> None:
        starts = [s.span.start for s in state.sessions if s.booked and cadence.is_regular(s)]
        self._counts["pairs"] += 1
        if starts:
            self._counts["timed" if min(starts) < self._now + QUARTER else "later"] += 1
        elif _begins_later(state, self._now):
            self._counts["coming"] += 1

    # --- talks ---

    def _list_talks(self, forecast: Forecast) -> Iterator[QuarterTalk]:
        """Yield the sessions of the quarter: those that have a time now, and those that get one later on."""
        for planned, later in zip(forecast.planned, forecast.later, strict=True):
            placed = {session.id: session for session in planned.sessions if session.booked}
            for session in {**{s.id: s for s in later.sessions}, **placed}.values():
                if self._is_shown(session):
                    yield _make_talk(planned, session, self._policy, is_placed=session.id in placed)

    def _is_shown(self, session: Session) -> bool:
        """True for a session of the rhythm or a review that takes place in the quarter."""
        if session.start is None or not self._now <= session.start < self._now + QUARTER:
            return False
        return cadence.is_regular(session) or (
            session.kind is SessionKind.REVIEW and bool(session.booked or session.held_at)
        )

    # --- mails ---

    def _add_mails(self, forecast: Forecast) -> None:
        sessions = {s.id: s for state in forecast.later for s in state.sessions}
        placed = {s.id for state in forecast.planned for s in state.sessions if s.booked or s.owed}
        by_pair = {state.pair.id: state for state in forecast.planned}
        more = [ExpectedMail(one, (by_pair[one.pair],)) for one in self._more_mails if one.pair in by_pair]
        for expected in (*forecast.mails, *more):
            mail, session = expected.mail, sessions.get(expected.mail.subject)
            if mail.name not in LISTED_MAILS or (session is not None and _is_requested(session)):
                continue
            is_certain = mail.name not in EXPECTED_MAILS and (session is None or session.id in placed)
            self._mails.append(QuarterMail(mail.name, self._people[mail.to], mail.due_at, is_certain))
            self._keep_sample(expected)

    def _keep_sample(self, expected: ExpectedMail) -> None:
        """Keep the first mail of each name and role of its reader; of weekly mails the one that tells most."""
        mail = expected.mail
        key = (mail.name, mail.to == expected.states[0].manager.email)
        known = self._samples.get(key)
        if known is None or (mail.name == MailName.WEEKLY and _count_news(expected) > _count_news(known)):
            self._samples[key] = expected


def _is_requested(session: Session) -> bool:
    """Whether somebody asked for it."""
    return session.adhoc or session.kind is SessionKind.CHECKIN


def _count_news(weekly: ExpectedMail) -> int:
    return len(list_all_news(weekly.states, weekly.mail.due_at))


def _make_talk(state: PairState, session: Session, policy: Policy, *, is_placed: bool) -> QuarterTalk:
    span = session.span
    topics = cadence.SERIES_TOPICS
    rhythm = cadence.compute_rhythm(state.pair, session.target.date(), policy)
    late = span.start - session.target
    is_career = session.kind is SessionKind.CAREER
    return QuarterTalk(
        manager=state.manager,
        report=state.report,
        kind=session.kind,
        span=span,
        is_placed=is_placed,
        part=topics.index(session.topic) + 1 if session.topic in topics else 0,
        wanted_minutes=session.minutes,
        weeks_late=round(late / WEEK) if is_career and late > cadence.compute_margins(rhythm)[1] else 0,
        is_inside_1on1=not is_career and state.pair.review is ReviewMode.IN_1ON1 and session.sequence == 0,
    )


def _begins_later(state: PairState, now: datetime) -> bool:
    """Whether nobody of the pair hears of us yet, since its start lies ahead (T-3a)."""
    first_notice = turns.find_first_notice(state.pair, state.manager.zone)
    return first_notice is not None and now < first_notice


def _get_name_key(person: Person) -> tuple[str, str]:
    return person.name.casefold(), person.email
