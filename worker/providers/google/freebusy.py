"""What Google's free/busy tells of somebody, and which part of it is our own event."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from worker.domain.model import Address, Answer, BusyTime, Event, FreeBusy, ShowAs, Span, clip_busy


def parse_free_busy(who: Address, answer: Any) -> FreeBusy:
    """What free/busy says of one person; an error is never free."""
    if not isinstance(answer, Mapping) or answer.get("errors"):
        reasons = ", ".join(str(one.get("reason")) for one in (answer or {}).get("errors", ())) or "nothing was said"
        return FreeBusy(known=False, reason=f"Google does not show when {who} is busy ({reasons}): not shared with us.")
    try:
        return FreeBusy(
            tuple(BusyTime(Span(_parse_instant(one["start"]), _parse_instant(one["end"]))) for one in answer["busy"])
        )
    except (KeyError, TypeError, ValueError):
        return FreeBusy(known=False, reason=f"What Google says of {who}'s time can't be read.")


def mark_our_events(seen: FreeBusy, who: Address, ours: Sequence[Event], window: Span) -> FreeBusy:
    """The same, with our own events told apart."""
    if not seen.known:
        return seen
    own = [(e.span, e.key) for e in ours if e.answers.get(who, Answer.DECLINED) is not Answer.DECLINED]
    blocks = [busy.span for busy in seen.busy]
    known = [
        BusyTime(part, ShowAs.BUSY, key)
        for span, key in own
        for block in blocks
        for part in _intersect_spans(span, block)
    ]
    rest = [part for block in blocks for part in _subtract_spans(block, [span for span, _ in own])]
    return FreeBusy(clip_busy([*known, *(BusyTime(part) for part in rest)], window))


def _intersect_spans(one: Span, other: Span) -> list[Span]:
    return [Span(max(one.start, other.start), min(one.end, other.end))] if one.overlaps(other) else []


def _subtract_spans(block: Span, taken: Iterable[Span]) -> list[Span]:
    """What of a block is left over."""
    left = [block]
    for span in taken:
        left = [
            part
            for one in left
            for part in (
                [Span(one.start, max(one.start, span.start)), Span(min(one.end, span.end), one.end)]
                if one.overlaps(span)
                else [one]
            )
            if part.start < part.end
        ]
    return left


def _parse_instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
