"""Reads the answers to Google's free/busy query, and marks the parts that are our own events."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from worker.domain.model import Address, Answer, BusyTime, Event, FreeBusy, ShowAs, Span, clip_busy


def parse_free_busy(who: Address, answer: Any) -> FreeBusy:
    """Return one person's busy times; unknown, with the reason, when Google reports an error or sends nothing
    readable."""
    if not isinstance(answer, Mapping) or answer.get("errors"):
        reasons = ", ".join(str(error.get("reason")) for error in (answer or {}).get("errors", ())) or "no reason given"
        return FreeBusy(known=False, reason=f"Google does not show when {who} is busy ({reasons}): not shared with us.")
    try:
        spans = [Span(_parse_instant(busy["start"]), _parse_instant(busy["end"])) for busy in answer["busy"]]
        return FreeBusy(tuple(map(BusyTime, spans)))
    except (KeyError, TypeError, ValueError):
        return FreeBusy(known=False, reason=f"Google's free/busy answer for {who} can't be read.")


def mark_our_events(free_busy: FreeBusy, who: Address, ours: Sequence[Event], window: Span) -> FreeBusy:
    """Return the person's free/busy clipped to `window`, where the time of each of our events that the person did not
    decline is a busy span of its own, with the event's key."""
    if not free_busy.known:
        return free_busy
    attended = [event for event in ours if event.answers.get(who, Answer.DECLINED) is not Answer.DECLINED]
    busy_spans = [busy.span for busy in free_busy.busy]
    our_busy = [
        BusyTime(part, ShowAs.BUSY, event.key)
        for event in attended
        for span in busy_spans
        for part in _intersect_spans(event.span, span)
    ]
    our_spans = [event.span for event in attended]
    other_busy = [BusyTime(part) for span in busy_spans for part in _subtract_spans(span, our_spans)]
    return FreeBusy(clip_busy([*our_busy, *other_busy], window))


def _intersect_spans(first: Span, second: Span) -> list[Span]:
    """Return the common part of two spans; an empty list when they have none."""
    return [Span(max(first.start, second.start), min(first.end, second.end))] if first.overlaps(second) else []


def _subtract_spans(whole: Span, holes: Iterable[Span]) -> list[Span]:
    """Return the parts of `whole` outside all the `holes`."""
    parts = [whole]
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
