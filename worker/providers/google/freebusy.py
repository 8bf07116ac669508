"""Parses the answers to Google's free/busy query, and marks the busy time in them that our own events take."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from worker.domain.model import Address, Answer, BusyTime, Event, FreeBusy, ShowAs, Span, clip_busy


def parse_free_busy(person: Address, answer: Any) -> FreeBusy:
    """Return one person's free/busy from that person's part of the answer.

    `answer` is None when the answer has no part for the person. The free/busy is unknown then, and when Google reports
    an error or the answer can't be read.
    """
    try:
        errors = answer.get("errors") if answer is not None else None
        if errors or answer is None:
            reasons = ", ".join(str(error.get("reason")) for error in errors or ()) or "no reason given"
            reason = f"Google does not share the free/busy of {person} with us ({reasons})."
            return FreeBusy(is_known=False, reason=reason)
        spans = [Span(_parse_instant(busy["start"]), _parse_instant(busy["end"])) for busy in answer["busy"]]
        return FreeBusy(tuple(map(BusyTime, spans)))
    except (AttributeError, KeyError, TypeError, ValueError):
        return FreeBusy(is_known=False, reason=f"Google's free/busy answer for {person} can't be read.")


def join_free_busy(first: FreeBusy, second: FreeBusy) -> FreeBusy:
    """Return one person's free/busy of two windows as one. The result is unknown when either of the two is unknown."""
    if not first.is_known:
        return first
    return FreeBusy((*first.busy, *second.busy)) if second.is_known else second


def mark_our_events(free_busy: FreeBusy, person: Address, our_events: Sequence[Event], window: Span) -> FreeBusy:
    """Return the person's free/busy, clipped to `window`, with our own events as busy spans that carry the event's key.

    `our_events` are events on managers' calendars. An event counts if the person was invited and has not declined. Such
    events are cut out of the busy spans that Google reports, and added as busy spans of their own.
    """
    if not free_busy.is_known:
        return free_busy
    attended_events = [
        event for event in our_events if event.answers.get(person, Answer.DECLINED) is not Answer.DECLINED
    ]
    busy_spans = [busy.span for busy in free_busy.busy]
    our_busy_times = [
        BusyTime(common_span, ShowAs.BUSY, event.key)
        for event in attended_events
        for span in busy_spans
        for common_span in _intersect_spans(event.span, span)
    ]
    our_spans = [event.span for event in attended_events]
    other_busy_times = [BusyTime(part) for span in busy_spans for part in _subtract_spans(span, our_spans)]
    return FreeBusy(clip_busy([*our_busy_times, *other_busy_times], window))


def _intersect_spans(first: Span, second: Span) -> list[Span]:
    """Return a list of the common part of two spans; an empty list when they don't overlap."""
    return [Span(max(first.start, second.start), min(first.end, second.end))] if first.overlaps(second) else []


def _subtract_spans(span: Span, holes: Iterable[Span]) -> list[Span]:
    """Return the parts of `span` that are outside of all `holes`."""
    parts = [span]
    for hole in holes:
        remaining: list[Span] = []
        for part in parts:
            if part.overlaps(hole):
                remaining.append(Span(part.start, max(part.start, hole.start)))
                remaining.append(Span(min(part.end, hole.end), part.end))
            else:
                remaining.append(part)
        parts = [part for part in remaining if part.start < part.end]
    return parts


def _parse_instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
