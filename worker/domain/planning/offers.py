"""Times that both people of a pair may choose from: what is offered, and until when (T-11, T-12, T-14).

An offer is kept with its session, and its times are taken for every pair of the two until it ends: one of them was
chosen, the session got another time or none, or nobody chose. Choosing is `actions.request_time`, and no deferral.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from worker.domain.model import (
    MailName,
    Offer,
    OfferPurpose,
    Owner,
    Person,
    Session,
    SessionKind,
    SessionState,
    Span,
)
from worker.domain.planning.deferrals import count_deferrals_in_cycle
from worker.domain.planning.plan_builder import PlanBuilder
from worker.domain.time.worktime import add_weekdays, get_local_date, wall_to_utc

#: How many times are offered.
OFFER_COUNT = 3
#: How many working days they are reserved for: those after the day of the offer.
OFFER_DAYS = {OfferPurpose.DEFERRAL: 3, OfferPurpose.QUESTION: 2, OfferPurpose.SOON: 3}
#: The deferral of a cycle from which on the manager is asked to choose (T-12).
MANAGER_CHOOSES_FROM = 3
#: When an offer ends on its last day, in minutes after the manager's midnight: in time for an answer that day.
END_OF_OFFER = 18 * 60
#: How far ahead an offered time has to be: whoever reads of it has to be able to get there.
MIN_NOTICE = timedelta(hours=4)


def is_due(builder: PlanBuilder, session: Session) -> bool:
    """Return whether the session gets its next time with others to choose from: it is a deferred career session, and
    nobody was told of a new time yet (T-12)."""
    told = builder.list_mails(MailName.DEFERRAL_NOTICE, session.id)
    return (
        session.kind is SessionKind.CAREER
        and session.state is SessionState.DEFERRED
        and session.count > 0
        and not any(mail.number == session.count for mail in told)
    )


def warn_of_repeated_deferral(builder: PlanBuilder, session: Session) -> None:
    """Record that the manager is asked to choose, from the third deferral of a cycle on (R-10, T-12)."""
    count = count_deferrals_in_cycle(builder.sessions.values(), session)
    if count >= MANAGER_CHOOSES_FROM:
        builder.record_decision(
            "warning", f"The {count}th deferral of this cycle; the manager is asked to choose.", session.id
        )


def add_offer(
    builder: PlanBuilder,
    session: Session,
    times: Sequence[Span],
    purpose: OfferPurpose,
    displaces: Sequence[tuple[Owner, ...]] = (),
) -> Session:
    """Offer these times to the two, and reserve them. A session that has a time has the first of them.

    Nothing is offered when there is nothing to choose between: a single time, unless the session would have none
    without it (T-14). `displaces`: for each time, whose hour it takes.
    """
    if len(times) < (1 if purpose is OfferPurpose.SOON else 2):
        return session
    until = min(find_offer_end(builder.manager, builder.now, purpose), find_last_choice(times, purpose))
    offered = builder.update_session(session, offer=Offer(tuple(times), until, purpose, tuple(displaces)))
    builder.wake_at(until)
    builder.record_decision(
        "offer",
        f"{len(times)} times are held for the two to choose from.",
        session.id,
        state="open",
        times=_format_times(times),
        until=until,
    )
    return offered


def end_offer(builder: PlanBuilder, session: Session, reason: str) -> Session:
    """Release the times that are reserved for the session; it keeps the one it has."""
    if session.offer is None:
        return session
    builder.record_decision("offer", reason, session.id, state="ended")
    return builder.update_session(session, offer=None)


def _format_times(times: Sequence[Span]) -> str:
    """Return the times as ISO 8601 intervals in UTC, separated by blanks."""
    return " ".join(f"{time.start:%Y-%m-%dT%H:%M:%SZ}/{time.end:%Y-%m-%dT%H:%M:%SZ}" for time in times)


def find_offer_end(manager: Person, now: datetime, purpose: OfferPurpose) -> datetime:
    """Return when an offer made now ends: at 18:00 in the manager's zone, after the weekdays of `OFFER_DAYS`."""
    return wall_to_utc(manager.zone, add_weekdays(get_local_date(manager.zone, now), OFFER_DAYS[purpose]), END_OF_OFFER)


def find_last_choice(times: Sequence[Span], purpose: OfferPurpose) -> datetime:
    """Return the last instant at which choosing makes sense: four hours before the time that the session has or, where
    it has none, before the last of the times."""
    starts = [time.start for time in times]
    return (max(starts) if purpose is OfferPurpose.SOON else starts[0]) - MIN_NOTICE


def is_offer_open(session: Session, now: datetime) -> bool:
    """Return whether the two may still choose among the offered times."""
    return bool(list_open_times(session, now))


def list_open_times(session: Session, now: datetime) -> tuple[Span, ...]:
    """Return the offered times that may still be chosen, in order; none once the offer is over."""
    offer = session.offer
    if offer is None or now >= offer.until or session.is_closed:
        return ()
    return tuple(time for time in offer.times if time.start >= now + MIN_NOTICE)


def release_ended_offers(builder: PlanBuilder) -> None:
    """Release the times of every offer that nobody answered in time; a session keeps its own time (T-11, T-12)."""
    for session in [s for s in builder.sessions.values() if s.offer]:
        if session.offer and list_open_times(session, builder.now):
            builder.wake_at(session.offer.until)
        else:
            end_offer(builder, session, "Nobody chose another of the times held for it; they are free again.")
