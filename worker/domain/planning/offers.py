"""Offers: times that are reserved for both people of a pair to choose from (T-11, T-12, T-14).

An offer is part of its session. Its times count as taken for every pair of either person until the offer ends. An offer
ends when a time is chosen, when the session gets another time or loses its time, and when nobody has chosen in time. A
person chooses with `actions.request_time`, and this is no deferral.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from worker.domain.counts import format_count
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

#: An offer consists of at most this many times to choose from.
OFFER_COUNT = 3
#: For how many weekdays after the day of the offer the times are reserved, by the purpose of the offer. `SOON` is for
#: an ad hoc session without a free time.
OFFER_DAYS = {OfferPurpose.DEFERRAL: 3, OfferPurpose.QUESTION: 2, OfferPurpose.SOON: 3}
#: Other times are offered with every deferral. From this number of deferrals in a cycle on, the manager is also asked
#: to choose one (T-12).
MIN_DEFERRALS_TO_CHOOSE = 3
#: The time at which an offer ends on its last day, in minutes after midnight in the manager's zone: 18:00.
END_OF_OFFER = 18 * 60
#: The least time between now and an offered time that can still be chosen, so that both people can attend.
MIN_NOTICE = timedelta(hours=4)


def gets_alternatives(builder: PlanBuilder, session: Session) -> bool:
    """Return whether the session gets its next time together with other times to choose from (T-12).

    That holds for a deferred career session as long as no mail has told people of a new time.
    """
    notices = builder.list_mails(MailName.DEFERRAL_NOTICE, session.id)
    return (
        session.kind is SessionKind.CAREER
        and session.state is SessionState.DEFERRED
        and session.count > 0
        and not any(mail.number == session.count for mail in notices)
    )


def record_repeated_deferral(builder: PlanBuilder, session: Session) -> None:
    """Record that the manager is asked to choose a time, from the third deferral of a cycle on (R-10, T-12)."""
    count = count_deferrals_in_cycle(builder.sessions.values(), session)
    if count >= MIN_DEFERRALS_TO_CHOOSE:
        builder.record_decision(
            "warning", f"Deferral {count} of this cycle; the manager is asked to choose.", session.id
        )


def add_offer(
    builder: PlanBuilder,
    session: Session,
    times: Sequence[Span],
    purpose: OfferPurpose,
    displaces: Sequence[tuple[Owner, ...]] = (),
) -> Session:
    """Offer these times to the pair and reserve them. Return the session with the offer.

    When the session has a time, that is the first of the times. A single time is offered only when the session has no
    time of its own (purpose `soon`); otherwise there would be nothing to choose. `displaces` names, for each time, the
    people whose events it displaces (T-14).
    """
    min_count = 1 if purpose is OfferPurpose.SOON else 2
    if len(times) < min_count:
        return session
    until = min(find_offer_end(builder.manager, builder.now, purpose), find_last_choice_time(times, purpose))
    offered = builder.update_session(session, offer=Offer(tuple(times), until, purpose, tuple(displaces)))
    builder.plan_again_at(until)
    builder.record_decision(
        "offer",
        f"{format_count(len(times), 'time')} {'is' if len(times) == 1 else 'are'} reserved for the two to choose from.",
        session.id,
        state="open",
        times=_format_times(times),
        until=until,
    )
    return offered


def end_offer(builder: PlanBuilder, session: Session, reason: str) -> Session:
    """Release the times that are reserved for the session, which keeps its own time. Return the session.

    `reason` goes into the history.
    """
    if session.offer is None:
        return session
    builder.record_decision("offer", reason, session.id, state="ended")
    return builder.update_session(session, offer=None)


def _format_times(times: Sequence[Span]) -> str:
    """Return the times as ISO 8601 intervals in UTC, separated by blanks."""
    return " ".join(f"{time.start:%Y-%m-%dT%H:%M:%SZ}/{time.end:%Y-%m-%dT%H:%M:%SZ}" for time in times)


def find_offer_end(manager: Person, now: datetime, purpose: OfferPurpose) -> datetime:
    """Return when an offer made now ends: at 18:00 in the manager's zone on the last day of `OFFER_DAYS`."""
    return wall_to_utc(manager.zone, add_weekdays(get_local_date(manager.zone, now), OFFER_DAYS[purpose]), END_OF_OFFER)


def find_last_choice_time(times: Sequence[Span], purpose: OfferPurpose) -> datetime:
    """Return the last instant at which the pair can choose one of the times.

    This is four hours before the session's own time, which is the first of the times. For a session without a time of
    its own (purpose `soon`), it is four hours before the last of the times.
    """
    starts = [time.start for time in times]
    return (max(starts) if purpose is OfferPurpose.SOON else starts[0]) - MIN_NOTICE


def is_offer_open(session: Session, now: datetime) -> bool:
    """Return whether an offered time of the session may still be chosen."""
    return bool(list_open_times(session, now))


def list_open_times(session: Session, now: datetime) -> tuple[Span, ...]:
    """Return the offered times that may still be chosen, in order; none when the offer has ended."""
    offer = session.offer
    if offer is None or now >= offer.until or session.is_closed:
        return ()
    return tuple(time for time in offer.times if time.start >= now + MIN_NOTICE)


def release_ended_offers(builder: PlanBuilder) -> None:
    """Release the times of every offer in which nobody chose in time. Each session keeps its own time (T-11, T-12)."""
    for session in [s for s in builder.sessions.values() if s.offer]:
        if session.offer and list_open_times(session, builder.now):
            builder.plan_again_at(session.offer.until)
        else:
            end_offer(builder, session, "Nobody chose another of the reserved times; they are free again.")
