"""The preview of a company's quarter as one value: the sessions of each manager, the mails, and the concerns.

It is computed from the plans of all pairs. It contains only our own sessions, which this package calls talks: no other
events, nothing that people wrote, and no session that somebody requested (R-6).
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

#: The length of the quarter.
QUARTER = timedelta(weeks=13)
#: The mails of this period, which begins with the quarter, are listed.
MAIL_PERIOD = timedelta(weeks=4)
WEEK = timedelta(weeks=1)
#: The kinds of mails that are listed. Other mails follow from what people do, such as mails about a deferral.
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
#: The listed mails that are only expected, and not certain, because they depend on what people do.
EXPECTED_MAILS = (MailName.CONTRACT_SUMMARY, MailName.WEEKLY)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarterTalk:
    """A session of the quarter. Of a session that is only expected, just the week is known."""

    manager: Person
    report: Person
    kind: SessionKind
    span: Span
    is_placed: bool  #: whether it has this time now, or would get it now; otherwise it is only expected
    part: int = 0  #: its number in a series, from 1; 0 when it is not part of a series
    wanted_minutes: int = 0  #: the length that it should have; `span` is shorter when no longer time was free
    weeks_late: int = 0  #: for a session after its window, the weeks from its target; else 0
    is_inside_1on1: bool = False  #: whether it is a review inside a meeting that the two people have anyway

    @property
    def is_career(self) -> bool:
        return self.kind is SessionKind.CAREER

    @property
    def day(self) -> date:
        """The day in the manager's time zone."""
        return get_local_date(self.manager.zone, self.span.start)

    @property
    def monday(self) -> date:
        return find_monday(self.day)


@dataclass(frozen=True, slots=True)
class QuarterMail:
    """A mail of the first weeks."""

    name: str  #: a value of MailName
    to: Person
    at: datetime  #: when it will be sent
    is_certain: bool  #: whether it will be sent whatever people do

    @property
    def day(self) -> date:
        """The day in the reader's time zone."""
        return get_local_date(self.to.zone, self.at)


@dataclass(frozen=True, slots=True)
class ManagerQuarter:
    """The quarter of one manager."""

    manager: Person
    report_count: int  #: the number of reports who take part
    talks: tuple[QuarterTalk, ...]  #: in order of time

    def count_talks(self, monday: date) -> int:
        """Return the number of career sessions in the week that begins on that Monday."""
        return sum(talk.is_career and talk.monday == monday for talk in self.talks)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarterPreview:
    """The quarter of a company."""

    now: datetime
    zone: str  #: the time zone of most managers
    managers: tuple[ManagerQuarter, ...]  #: by name
    mails: tuple[QuarterMail, ...]  #: in order of time
    concerns: tuple[PairConcern, ...]
    samples: tuple[ExpectedMail, ...]  #: one mail of each kind to a manager, and one to a report
    pair_count: int  #: the number of pairs that take part
    timed_count: int  #: how many of them have a next session with a time within the quarter
    later_count: int  #: how many of them have a next session with a time after the quarter
    not_begun_count: int  #: how many of them have no time yet because they begin later
    absent_count: int  #: the number of pairs that don't take part
    invitation_count: int  #: the number of events that would be created now, each of which invites the report
    people: tuple[Person, ...]  #: the people of the pairs that take part, by address

    @property
    def mondays(self) -> tuple[date, ...]:
        """The Mondays of all weeks that have a day in the quarter."""
        first_monday = find_monday(get_local_date(self.zone, self.now))
        end_of_quarter = get_local_date(self.zone, self.now + QUARTER - timedelta(minutes=1))
        last_day = max([end_of_quarter, *(talk.day for talk in self.talks)])
        week_count = (last_day - first_monday).days // 7 + 1
        return tuple(first_monday + number * WEEK for number in range(week_count))

    @property
    def talks(self) -> Iterator[QuarterTalk]:
        return (talk for manager in self.managers for talk in manager.talks)

    @property
    def first_talk(self) -> QuarterTalk | None:
        """The first career session that has a time; None when there is none."""
        placed = (talk for talk in self.talks if talk.is_career and talk.is_placed)
        return min(placed, key=lambda talk: talk.span.start, default=None)

    def count_readers(self, period: timedelta) -> int:
        """Return the number of people who get a mail within that period from now."""
        return len({mail.to.email for mail in self.mails if mail.at < self.now + period})


def build_quarter(
    planned: Iterable[PlannedPair],
    now: datetime,
    policy: Policy,
    more_mails: Sequence[Effect] = (),
    length: timedelta = QUARTER,
) -> QuarterPreview:
    """Return the quarter that follows from these plans. The pairs of a manager must follow one another in `planned`.

    `more_mails` are mails that are planned for the whole company, such as those of the pulse (R-37). `length` is the
    period from now for which sessions and mails that are only expected are computed.
    """
    builder = _QuarterBuilder(now, policy, now + length, more_mails)
    for _, pairs_of_manager in groupby(planned, key=lambda planned_pair: planned_pair.state.pair.manager):
        builder.add_manager(list(pairs_of_manager))
    return builder.build()


class _QuarterBuilder:
    """Builds a QuarterPreview from the planned pairs of one manager after another."""

    def __init__(self, now: datetime, policy: Policy, until: datetime, more_mails: Sequence[Effect]) -> None:
        self._more_mails = more_mails
        self._now = now
        self._policy = policy
        self._until = until
        self._managers: list[ManagerQuarter] = []
        self._mails: list[QuarterMail] = []
        self._concerns: list[PairConcern] = []
        self._samples: dict[tuple[str, bool], ExpectedMail] = {}  #: by name, and whether the mail is to a manager
        self._people: dict[Address, Person] = {}
        self._counts: Counter[str] = Counter()

    def add_manager(self, planned: Sequence[PlannedPair]) -> None:
        """Add the planned pairs of one manager."""
        active = [
            (planned_pair.state, planned_pair.plan) for planned_pair in planned if planned_pair.state.pair.is_active
        ]
        inactive_pairs = [planned_pair.state.pair for planned_pair in planned if not planned_pair.state.pair.is_active]
        self._counts["absent"] += sum(pair.ended is EndReason.NO for pair in inactive_pairs)
        if not active:
            return
        effects = (effect for _, plan in active for effect in plan.effects)
        self._counts["invitations"] += sum(effect.kind is EffectKind.CREATE for effect in effects)
        forecast = forecast_pairs(active, self._now, self._until, self._policy)
        for state in forecast.states_now:
            self._people.update({person.email: person for person in (state.manager, state.report)})
            self._count_pair(state)
        plans = [plan for _, plan in active]
        self._concerns += list_concerns(forecast.states_now, plans, self._now, self._policy.min_minutes)
        talks = sorted(self._list_talks(forecast), key=lambda talk: (talk.span.start, talk.report.email))
        self._managers.append(ManagerQuarter(forecast.states_now[0].manager, len(active), tuple(talks)))
        self._add_mails(forecast)

    def build(self) -> QuarterPreview:
        """Return the quarter of all managers added so far."""
        zones = Counter(quarter.manager.zone for quarter in self._managers)
        concerns = [*self._concerns, *list_unknown_zones(self._people.values())]
        end_of_mails = self._now + MAIL_PERIOD
        listed_mails = [mail for mail in self._mails if mail.at < end_of_mails]
        return QuarterPreview(
            now=self._now,
            zone=max(sorted(zones), key=zones.__getitem__, default="UTC"),
            managers=tuple(sorted(self._managers, key=lambda quarter: _get_name_key(quarter.manager))),
            mails=tuple(sorted(listed_mails, key=lambda mail: (mail.at, *_get_name_key(mail.to)))),
            concerns=tuple(sorted(concerns, key=PairConcern.get_sort_key)),
            samples=tuple(self._samples.values()),
            pair_count=self._counts["pairs"],
            timed_count=self._counts["timed"],
            later_count=self._counts["later"],
            not_begun_count=self._counts["not_begun"],
            absent_count=self._counts["absent"],
            invitation_count=self._counts["invitations"],
            people=tuple(self._people[address] for address in sorted(self._people)),
        )

    def _count_pair(self, state: PairState) -> None:
        starts = [s.span.start for s in state.sessions if s.booked and cadence.is_regular(s)]
        self._counts["pairs"] += 1
        if starts:
            self._counts["timed" if min(starts) < self._now + QUARTER else "later"] += 1
        elif _begins_later(state, self._now):
            self._counts["not_begun"] += 1

    # --- talks ---

    def _list_talks(self, forecast: Forecast) -> Iterator[QuarterTalk]:
        """Yield the sessions of the quarter: those that have a time now, and those that are expected to get one."""
        for state_now, later_state in zip(forecast.states_now, forecast.states_later, strict=True):
            placed = {session.id: session for session in state_now.sessions if session.booked}
            expected = {session.id: session for session in later_state.sessions}
            for session in {**expected, **placed}.values():
                if self._is_shown(session):
                    yield _make_talk(state_now, session, self._policy, is_placed=session.id in placed)

    def _is_shown(self, session: Session) -> bool:
        """Return whether the session is a regular session or a review that takes place in the quarter."""
        if session.start is None or not self._now <= session.start < self._now + QUARTER:
            return False
        is_timed_review = session.kind is SessionKind.REVIEW and bool(session.booked or session.held_at)
        return cadence.is_regular(session) or is_timed_review

    # --- mails ---

    def _add_mails(self, forecast: Forecast) -> None:
        """Add the listed mails of one manager's pairs, except for mails about sessions that somebody requested."""
        sessions = {s.id: s for state in forecast.states_later for s in state.sessions}
        known_ids = {s.id for state in forecast.states_now for s in state.sessions if s.booked or s.owed}
        states = {state.pair.id: state for state in forecast.states_now}
        more_mails = [ExpectedMail(mail, (states[mail.pair],)) for mail in self._more_mails if mail.pair in states]
        for expected in (*forecast.mails, *more_mails):
            mail, session = expected.mail, sessions.get(expected.mail.subject)
            if mail.name not in LISTED_MAILS or (session is not None and _is_requested(session)):
                continue
            is_certain = mail.name not in EXPECTED_MAILS and (session is None or session.id in known_ids)
            self._mails.append(QuarterMail(mail.name, self._people[mail.to], mail.due_at, is_certain))
            self._keep_sample(expected)

    def _keep_sample(self, expected: ExpectedMail) -> None:
        """Keep the mail as a sample when it is the first mail of this name to a manager, or to a report.

        Of weekly mails, the one with the most news is kept.
        """
        mail = expected.mail
        key = (mail.name, mail.to == expected.states[0].manager.email)
        kept_sample = self._samples.get(key)
        is_weekly = mail.name == MailName.WEEKLY
        if kept_sample is None or (is_weekly and _count_news(expected) > _count_news(kept_sample)):
            self._samples[key] = expected


def _is_requested(session: Session) -> bool:
    """Return whether the session exists because somebody requested it."""
    return session.adhoc or session.kind is SessionKind.CHECKIN


def _count_news(weekly: ExpectedMail) -> int:
    return len(list_all_news(weekly.states, weekly.mail.due_at))


def _make_talk(state: PairState, session: Session, policy: Policy, *, is_placed: bool) -> QuarterTalk:
    span = session.span
    topics = cadence.SERIES_TOPICS
    rhythm = cadence.compute_rhythm(state.pair, session.target.date(), policy)
    _, max_lateness = cadence.compute_window_reach(rhythm)
    lateness = span.start - session.target
    is_career = session.kind is SessionKind.CAREER
    has_own_event = session.sequence > 0  # the number of its event's changes; 0 as long as no event was written
    return QuarterTalk(
        manager=state.manager,
        report=state.report,
        kind=session.kind,
        span=span,
        is_placed=is_placed,
        part=topics.index(session.topic) + 1 if session.topic in topics else 0,
        wanted_minutes=session.minutes,
        weeks_late=round(lateness / WEEK) if is_career and lateness > max_lateness else 0,
        is_inside_1on1=not is_career and state.pair.review is ReviewMode.IN_1ON1 and not has_own_event,
    )


def _begins_later(state: PairState, now: datetime) -> bool:
    """Return whether the pair's start is ahead, so that neither person gets any mail or event yet (T-3a)."""
    earliest_contact = turns.find_earliest_contact(state.pair, state.manager.zone)
    return earliest_contact is not None and now < earliest_contact


def _get_name_key(person: Person) -> tuple[str, str]:
    return person.name.casefold(), person.email
