"""What stood at the hour to which a person moved a session: it is intended, and no conflict (T-11).

A person who moves a session onto a time that is busy already sees what stands there. Only what comes later counts.
"""

from collections.abc import Iterator, Mapping

from worker.domain.model import Address, BusyTime, FreeBusy, IntendedTime, Session, ShowAs, Span
from worker.domain.planning.plan_builder import PlanBuilder


def read_intended_times(builder: PlanBuilder, key: str, span: Span) -> tuple[IntendedTime, ...] | None:
    """Return what the two calendars hold at that time now, the event of that key aside; None while they can't be
    read."""
    known = builder.get_free_busy(builder.people, span, for_booking=False)
    return None if known is None else tuple(_list_times(builder, known, key, span))


def _list_times(
    builder: PlanBuilder, known: Mapping[Address, FreeBusy], key: str, span: Span
) -> Iterator[IntendedTime]:
    for email, free_busy in known.items():
        for busy in free_busy.busy:
            if busy.key != key and busy.span.overlaps(span):
                yield IntendedTime(builder.pair.id.get_owner(email), busy.span.clip(span), busy.show_as)


def is_intended(builder: PlanBuilder, session: Session, busy: BusyTime, email: Address) -> bool:
    """Return whether the person was busy at that time already when somebody chose the session's time.

    A new absence is intended only where an absence stood.
    """
    if not session.by_hand or not session.intended:
        return False
    part, owner = busy.span.clip(session.span), builder.pair.id.get_owner(email)
    return _is_covered(
        part,
        sorted(
            time.span
            for time in session.intended
            if time.person is owner and (busy.show_as is not ShowAs.AWAY or time.show_as is ShowAs.AWAY)
        ),
    )


def _is_covered(part: Span, spans: list[Span]) -> bool:
    """Return whether the sorted spans cover all of the part."""
    reached = part.start
    for span in spans:
        if span.start <= reached:
            reached = max(reached, span.end)
    return reached >= part.end
