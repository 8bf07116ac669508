"""The weekly mail of a manager with several reports, which takes the place of some single mails to the manager.

These are the mails before a commitment is due, most notes before a review, and, after the first, those about a session
for which no time exists. Briefs are sent all the same.

The mail lists the sessions of the week and everything that waits for the manager. Each pair with news adds the mail to
its plan. All pairs add the same mail, because its key contains only the manager and the week. The news is collected
from all pairs when the mail is sent.
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
from worker.domain.planning.offers import MIN_DEFERRALS_TO_CHOOSE, is_offer_open
from worker.domain.planning.plan_builder import PlanBuilder
from worker.domain.time.mail_hours import find_mail_hours_start
from worker.domain.time.worktime import get_local_date

#: A manager with fewer reports gets single mails instead.
MIN_REPORTS = 3
#: The mail also names open promises that were due at most this long before its week.
PAST_DUE = timedelta(days=7)
WEEK = timedelta(days=7)
#: The longest time after its due time at which a weekly mail may be decided.
MAX_DELAY = timedelta(hours=4)


class NewsKind(StrEnum):
    """The kind of news in one line of a weekly mail, in the order of the mail."""

    SESSION = "talk"  #: a booked session of this week, of any kind
    PROMISE = "promise"  #: an open promise of the manager that is due this week or was due last week
    CONTRACT = "contract"  #: a contract (the agreement of the two people) that is not recorded yet
    CHOICE = "choice"  #: times that are reserved for the two to choose from
    UNTIMED = "untimed"  #: an owed session for which no time exists


@dataclass(frozen=True, slots=True)
class News:
    """One line of a weekly mail: news about a session or a commitment of the pair in `state`."""

    kind: NewsKind
    state: PairState
    session: Session | None = None
    commitment: Commitment | None = None


def has_manager_weekly(state: PairState) -> bool:
    """Return whether the manager of the pair has enough reports to get a weekly mail."""
    return state.report_count >= MIN_REPORTS


def find_weekly_time(manager: Person, day: date) -> datetime | None:
    """Return when the weekly mail of the week that contains `day` is due; None when the manager does not work then.

    It is due at the start of the manager's first working day of the week.
    """
    monday = find_monday(day)
    starts = (find_mail_hours_start(manager, monday + timedelta(days=weekday)) for weekday in range(7))
    return next((start for start in starts if start is not None), None)


def find_monday(day: date) -> date:
    """Return the Monday of the week that contains `day`."""
    return day - timedelta(days=day.weekday())


def list_news(state: PairState, now: datetime) -> list[News]:
    """Return the news of one pair in the week of `now`, in the order of the mail."""
    monday = find_monday(get_local_date(state.manager.zone, now))
    sunday = monday + timedelta(days=6)
    news = [News(NewsKind.SESSION, state, session=s) for s in state.sessions if _is_this_week(s, state, now, sunday)]
    news += [
        News(NewsKind.PROMISE, state, commitment=c)
        for c in state.commitments
        if c.is_open_promise_of_manager and monday - PAST_DUE <= c.due <= sunday
    ]
    uncontracted = (s for s in state.sessions if s.state is SessionState.HELD and s.asks_contract)
    news += [News(NewsKind.CONTRACT, state, session=s) for s in uncontracted]
    for session in state.sessions:
        if is_offer_open(session, now) and (session.booked or session.owed):
            news.append(News(NewsKind.CHOICE, state, session=session))
        elif session.owed and session.unplaceable is not None:
            news.append(News(NewsKind.UNTIMED, state, session=session))
    return news


def _is_this_week(session: Session, state: PairState, now: datetime, sunday: date) -> bool:
    """Return whether the session is booked and begins between now and the end of the week."""
    start = session.span.start if session.booked else None
    return start is not None and start >= now and get_local_date(state.manager.zone, start) <= sunday


def list_all_news(states: Iterable[PairState], now: datetime) -> list[News]:
    """Return the news of all pairs of a manager, in the order of the mail; empty when the news is not worth a mail."""
    news = [item for state in states if state.pair.is_active for item in list_news(state, now)]
    kinds = list(NewsKind)
    news.sort(key=lambda item: (kinds.index(item.kind), *_get_sort_key(item)))
    return news if _is_worth_a_mail(news) else []


def _is_worth_a_mail(news: Iterable[News]) -> bool:
    """Return whether the news asks for something that no other mail asks for, or contains more than one review.

    Three kinds of news alone are not worth a mail: career sessions, because a brief is sent before each of them; a
    single review, because it is on the calendar; and times that are offered in addition to a booked time, because
    another mail has named them.
    """
    review_count = sum(
        item.kind is NewsKind.SESSION and item.session is not None and item.session.kind is SessionKind.REVIEW
        for item in news
    )
    return review_count > 1 or any(item.kind is not NewsKind.SESSION and not _is_optional_choice(item) for item in news)


def _is_optional_choice(item: News) -> bool:
    """Return whether the news is about times offered in addition to a booked time, so that nobody has to choose.

    A session that was deferred has a new time, and other times are offered with it. From `MIN_DEFERRALS_TO_CHOOSE`
    deferrals in a cycle on, the manager is asked to choose all the same (T-12).
    """
    session = item.session
    if item.kind is not NewsKind.CHOICE or session is None or session.offer is None:
        return False
    deferral_count = count_deferrals_in_cycle(item.state.sessions, session)
    return session.offer.purpose is OfferPurpose.DEFERRAL and deferral_count < MIN_DEFERRALS_TO_CHOOSE


def _get_sort_key(item: News) -> tuple[str, str]:
    """Return the due date or the start as text, and the id, by which news of one kind are sorted."""
    if item.commitment is not None:
        return f"{item.commitment.due}", item.commitment.id
    start = item.session.start if item.session else None
    return f"{start:%Y-%m-%dT%H:%M}" if start else "", item.session.id if item.session else ""


def add_weekly_mail(builder: PlanBuilder) -> None:
    """Add the manager's weekly mail when it is due and this pair has news for it.

    Also have the pair planned again when the next weekly mail with news of this pair is due, in this week or the next.
    """
    if not has_manager_weekly(builder.state):
        return
    state = builder.make_state()  # contains the changes of this plan, which `builder.state` lacks
    today = get_local_date(builder.manager.zone, builder.now)
    due_at = find_weekly_time(builder.manager, today)
    if due_at is not None and due_at <= builder.now < due_at + MAX_DELAY and list_news(state, builder.now):
        # The mail is about all pairs of the manager, and another pair may have added it already.
        builder.add_personal_mail(MailName.WEEKLY, f"{find_monday(today)}")
    for instant in (due_at, find_weekly_time(builder.manager, today + WEEK)):
        if instant is not None and builder.now < instant and list_news(state, instant):
            builder.plan_again_at(instant)
            return
