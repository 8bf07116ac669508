"""Times for a conversation that somebody needs soon and that fits nowhere: whose hour each of them takes (T-14).

Only what a person put into their own calendar may give way. Nobody's absence does, and no session or commitment of
ours. Nothing is said of what stands there: it is not known, and never asked.
"""

from collections.abc import Iterator
from dataclasses import replace

from worker.domain.model import BusyTime, FreeBusy, OfferPurpose, Owner, Session, ShowAs, Span
from worker.domain.planning import offers
from worker.domain.planning.plan_builder import PlanBuilder
from worker.domain.time.search import Search
from worker.domain.time.slots import rank_slots

#: Whose busy hours may give way, in the order in which this is tried: one person's before both.
OWNERS_TO_TRY = ((), (Owner.MANAGER,), (Owner.REPORT,), (Owner.MANAGER, Owner.REPORT))


def offer_displacing_times(builder: PlanBuilder, session: Session, search: Search) -> Session:
    """Offer up to three times within the window of that search; return the session with the offer."""
    times: dict[Span, tuple[Owner, ...]] = {}
    for whose in OWNERS_TO_TRY:
        for slot in rank_slots(_free_hours(builder, search, whose), limit=offers.OFFER_COUNT):
            if not any(slot.span.overlaps(time) for time in times):
                times[slot.span] = tuple(_list_displaced(builder, search, slot.span))
    offered = sorted(list(times.items())[: offers.OFFER_COUNT])
    if not offered:
        return session
    spans, displaces = zip(*offered, strict=True)
    return offers.add_offer(builder, session, spans, OfferPurpose.SOON, displaces)


def _free_hours(builder: PlanBuilder, search: Search, whose: tuple[Owner, ...]) -> Search:
    """Return the search without what may give way in the calendars of these people, and without buffers."""
    emails = {owner.select(builder.manager, builder.report).email for owner in whose}
    freed = {who: _keep_fixed(known) if who in emails else known for who, known in search.free_busy.items()}
    return replace(search, free_busy=freed, buffer=False)


def _keep_fixed(known: FreeBusy) -> FreeBusy:
    return replace(known, busy=tuple(busy for busy in known.busy if not _may_give_way(busy)))


def _may_give_way(busy: BusyTime) -> bool:
    return busy.show_as is not ShowAs.AWAY and busy.key is None


def _list_displaced(builder: PlanBuilder, search: Search, span: Span) -> Iterator[Owner]:
    for owner, person in zip(Owner, builder.people, strict=True):
        known = search.free_busy.get(person.email)
        if known and any(_may_give_way(busy) and busy.span.overlaps(span) for busy in known.busy):
            yield owner
