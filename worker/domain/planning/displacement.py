"""Offers times that displace other events, for an ad hoc session that fits nowhere else (T-14).

An ad hoc session is one that somebody needs soon. Each offered time says in whose calendar it displaces events. Only
ordinary events of the two people may give way, and no absences, sessions or commitments. The titles of the displaced
events are not read.
"""

from collections.abc import Iterator
from dataclasses import replace

from worker.domain.model import BusyTime, FreeBusy, OfferPurpose, Owner, Session, ShowAs, Span
from worker.domain.planning import offers
from worker.domain.planning.plan_builder import PlanBuilder
from worker.domain.time.search import Search
from worker.domain.time.slots import rank_slots

#: The combinations of people whose events may give way, in the order in which they are tried. The first is nobody.
OWNERS_TO_TRY = ((), (Owner.MANAGER,), (Owner.REPORT,), (Owner.MANAGER, Owner.REPORT))


def offer_displacing_times(builder: PlanBuilder, session: Session, search: Search) -> Session:
    """Offer up to three times within the window of the search. Return the session, with the offer if a time exists."""
    displaced_owners: dict[Span, tuple[Owner, ...]] = {}  # by offered time
    for owners in OWNERS_TO_TRY:
        for slot in rank_slots(_ignore_events_of(builder, search, owners), limit=offers.OFFER_COUNT):
            # A time found before this one displaces fewer events, and is preferred to a time that overlaps it.
            if not any(slot.span.overlaps(time) for time in displaced_owners):
                displaced_owners[slot.span] = tuple(_list_displaced(builder, search, slot.span))
    times = sorted(list(displaced_owners)[: offers.OFFER_COUNT])  # the times found first, in order of time
    if not times:
        return session
    displaces = [displaced_owners[time] for time in times]
    return offers.add_offer(builder, session, times, OfferPurpose.SOON, displaces)


def _ignore_events_of(builder: PlanBuilder, search: Search, owners: tuple[Owner, ...]) -> Search:
    """Return the search without buffers, and without the events that may give way in the calendars of these owners."""
    emails = {owner.select(builder.manager, builder.report).email for owner in owners}
    remaining = {
        email: _remove_displaceable(free_busy) if email in emails else free_busy
        for email, free_busy in search.free_busy.items()
    }
    return replace(search, free_busy=remaining, has_buffer=False)


def _remove_displaceable(free_busy: FreeBusy) -> FreeBusy:
    """Return the free/busy without the events that may give way."""
    return replace(free_busy, busy=tuple(busy for busy in free_busy.busy if not _may_give_way(busy)))


def _may_give_way(busy: BusyTime) -> bool:
    """Return whether the busy time is an ordinary event: neither an absence nor one of our events."""
    return busy.show_as is not ShowAs.AWAY and busy.key is None


def _list_displaced(builder: PlanBuilder, search: Search, span: Span) -> Iterator[Owner]:
    """Yield each of the two people in whose calendar the span displaces an event."""
    for owner, person in zip(Owner, builder.people, strict=True):
        free_busy = search.free_busy.get(person.email)
        if free_busy and any(_may_give_way(busy) and busy.span.overlaps(span) for busy in free_busy.busy):
            yield owner
