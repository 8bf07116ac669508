"""Intended times: busy times over which a person has put a session on purpose (T-11).

A person who moves a session to a time that is busy already sees the events at that time. Such busy time is intended,
and does not clash with the session. Only events that are added later clash with the session.
"""

from collections.abc import Iterator, Mapping

from worker.domain.model import Address, BusyTime, FreeBusy, IntendedTime, Session, ShowAs, Span
from worker.domain.planning.plan_builder import PlanBuilder


def read_intended_times(builder: PlanBuilder, key: str, span: Span) -> tuple[IntendedTime, ...] | None:
    """Return the busy times of both people within the span, without the event with the key `key`.

    Return None while the calendars can't be read.
    """
    free_busy_by_address = builder.get_free_busy(builder.people, span, for_booking=False)
    return None if free_busy_by_address is None else tuple(_list_times(builder, free_busy_by_address, key, span))


def _list_times(
    builder: PlanBuilder, free_busy_by_address: Mapping[Address, FreeBusy], key: str, span: Span
) -> Iterator[IntendedTime]:
    """Yield the busy times that overlap the span, cut to it, without the event with the key `key`."""
    for email, free_busy in free_busy_by_address.items():
        for busy in free_busy.busy:
            if busy.key != key and busy.span.overlaps(span):
                yield IntendedTime(builder.pair.id.get_owner(email), busy.span.clip(span), busy.show_as)


def is_intended(builder: PlanBuilder, session: Session, busy: BusyTime, email: Address) -> bool:
    """Return whether the person was already busy at that time when somebody chose the session's time.

    An absence is intended only where the person was already absent, and not where the person was merely busy.
    """
    if not session.by_hand or not session.intended:
        return False
    owner = builder.pair.id.get_owner(email)
    spans = sorted(
        time.span
        for time in session.intended
        if time.person is owner and (busy.show_as is not ShowAs.AWAY or time.show_as is ShowAs.AWAY)
    )
    return _is_covered(busy.span.clip(session.span), spans)


def _is_covered(span: Span, covering_spans: list[Span]) -> bool:
    """Return whether the covering spans, which are sorted, together cover the whole span."""
    covered_until = span.start
    for covering_span in covering_spans:
        if covering_span.start <= covered_until:
            covered_until = max(covered_until, covering_span.end)
    return covered_until >= span.end
