"""The weekly mail of a manager with several reports: the talks of the week and what waits, in place of single mails.

Each pair of the manager that has something to tell decides this mail. All of them decide the same one, since its key
holds only the manager and the week. What it says is gathered from all pairs when it leaves.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from worker.domain.model import (
    Commitment,
    MailName,
    OfferPurpose,
    PairState,
    Person,
    Session,
    SessionKind,
    SessionState,
)
from worker.domain.planning.deferrals import count_deferrals_in_cycle
from worker.domain.planning.offers import MANAGER_CHOOSES_FROM, is_offer_open
from worker.domain.planning.plan_builder import PlanBuilder
from worker.domain.time.mail_hours import find_day_start
from worker.domain.time.worktime import get_local_date

#: A manager with fewer reports gets the single mails instead.
MIN_REPORTS = 3
#: The mail also names the open promises that were due at most this long before its week.
PAST_DUE = timedelta(days=7)
WEEK = timedelta(days=7)
#: How late a weekly mail may leave.
MAX_DELAY = timedelta(hours=4)


class NewsKind(StrEnum):
    """What one line of a weekly mail tells, in the order of the mail."""

    TALK = "talk"  #: a session of this week
    PROMISE = "promise"  #: something the manager promised, due this week or just past
    CONTRACT = "contract"  #: a contract (what the two agreed on) that was not written down yet
    CHOICE = "choice"  #: times that are reserved for the two to choose from
    UNTIMED = "untimed"  #: an owed session (due, without a time) for which no time exists


@dataclass(frozen=True, slots=True)
class News:
    """One line of a weekly mail."""

    kind: NewsKind
    state: PairState
    session: Session | None = None
    commitment: Commitment | None = None


def has_weekly(state: PairState) -> bool:
    """True when the manager of the pair has enough reports for a weekly mail."""
    return state.report_count >= MIN_REPORTS


def find_weekly_time(manager: Person, day: date) -> datetime | None:
    """Return the start of the manager's first working day of the week of that day; None when the week has none."""
    monday = find_monday(day)
    starts = (find_day_start(manager, monday + timedelta(days=n)) for n in range(7))
    return next((start for start in starts if start is not None), None)


def find_monday(day: date) -> date:
    """Return the Monday of that day's week."""
    return day - timedelta(days=day.weekday())


def list_news(state: PairState, now: datetime) -> list[News]:
    """Return what one pair has to tell its manager in the week of `now`, in the order of the mail."""
    monday = find_monday(get_local_date(state.manager.zone, now))
    sunday = monday + timedelta(days=6)
    news = [News(NewsKind.TALK, state, session=s) for s in state.sessions if _is_this_week(s, state, now, sunday)]
    news += [
        News(NewsKind.PROMISE, state, commitment=c)
        for c in state.commitments
        if c.is_open_promise and monday - PAST_DUE <= c.due <= sunday
    ]
    # `asks_contract`: a contract is due after a session of this kind
    uncontracted = (s for s in state.sessions if s.state is SessionState.HELD and s.asks_contract)
    news += [News(NewsKind.CONTRACT, state, session=s) for s in uncontracted]
    for session in state.sessions:
        if is_offer_open(session, now) and (session.booked or session.owed):
            news.append(News(NewsKind.CHOICE, state, session=session))
        elif session.owed and session.unplaceable is not None:
            news.append(News(NewsKind.UNTIMED, state, session=session))
    return news


def _is_this_week(session: Session, state: PairState, now: datetime, sunday: date) -> bool:
    start = session.span.start if session.booked else None
    return start is not None and start >= now and get_local_date(state.manager.zone, start) <= sunday


def list_all_news(states: Iterable[PairState], now: datetime) -> list[News]:
    """Return what all pairs of a manager have to tell, in the order of the mail; empty when none is worth sending."""
    news = [one for state in states if state.pair.is_active for one in list_news(state, now)]
    order = list(NewsKind)
    news.sort(key=_get_sort_key)
    news.sort(key=lambda one: order.index(one.kind))
    return news if _is_worth_a_mail(news) else []


def _is_worth_a_mail(news: Iterable[News]) -> bool:
    """Return whether a line asks for something that no other mail asks for, or the week has more than one review.

    These alone are not worth a mail: a career session, since a brief is sent before it; a single review, since it is on
    the calendar; and times that are offered beside a booked one, since another mail has named them.
    """
    reviews = sum(
        one.kind is NewsKind.TALK and one.session is not None and one.session.kind is SessionKind.REVIEW for one in news
    )
    return reviews > 1 or any(one.kind is not NewsKind.TALK and not _is_optional_choice(one) for one in news)


def _is_optional_choice(one: News) -> bool:
    """Return whether the line is about times that are offered beside a booked one, with no need to choose (T-12).

    From MANAGER_CHOOSES_FROM deferrals in a cycle on, the manager has to choose.
    """
    session = one.session
    if one.kind is not NewsKind.CHOICE or session is None or session.offer is None:
        return False
    deferral_count = count_deferrals_in_cycle(one.state.sessions, session)
    return session.offer.purpose is OfferPurpose.DEFERRAL and deferral_count < MANAGER_CHOOSES_FROM


def _get_sort_key(one: News) -> tuple[str, str]:
    if one.commitment is not None:
        return f"{one.commitment.due}", one.commitment.id
    start = one.session.start if one.session else None
    return f"{start:%Y-%m-%dT%H:%M}" if start else "", one.session.id if one.session else ""


def add_weekly_mail(builder: PlanBuilder) -> None:
    """Decide the manager's mail of this week when it is due and this pair has something to tell.

    Also wake the pair when the next such mail is due, this week's or the next week's.
    """
    if not has_weekly(builder.state):
        return
    state = builder.make_state()  # with what this plan changes; `builder.state` is without it
    today = get_local_date(builder.manager.zone, builder.now)
    at = find_weekly_time(builder.manager, today)
    if at is not None and at <= builder.now < at + MAX_DELAY and list_news(state, builder.now):
        # one mail to the manager about all pairs: another pair may have decided it already
        builder.add_personal_mail(MailName.WEEKLY, f"{find_monday(today)}")
    for instant in (at, find_weekly_time(builder.manager, today + WEEK)):
        if instant is not None and builder.now < instant and list_news(state, instant):
            builder.wake_at(instant)
            return
