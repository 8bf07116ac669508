"""What Google's free/busy tells of somebody, and which part of it is our own event."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from worker.domain.model import Address, Answer, Busy, Event, FreeBusy, Show, Span


def shown_time(who: Address, answer: Any) -> FreeBusy:
    """What free/busy says of one person; an error is never free."""
    if not isinstance(answer, Mapping) or answer.get("errors"):
        reasons = ", ".join(str(one.get("reason")) for one in (answer or {}).get("errors", ())) or "nothing was said"
        return FreeBusy(known=False, reason=f"Google does not show when {who} is busy ({reasons}): not shared with us.")
    try:
        return FreeBusy(
            tuple(Busy(Span(_parse_instant(one["start"]), _parse_instant(one["end"]))) for one in answer["busy"])
        )
    except (KeyError, TypeError, ValueError):
        return FreeBusy(known=False, reason=f"What Google says of {who}'s time can't be read.")


def with_ours(seen: FreeBusy, who: Address, ours: Sequence[Event], window: Span) -> FreeBusy:
    """The same, with our own events told apart."""
    if not seen.known:
        return seen
    own = [(e.span, e.key) for e in ours if e.answers.get(who, Answer.DECLINED) is not Answer.DECLINED]
    blocks = [busy.span for busy in seen.busy]
    known = [Busy(part, Show.BUSY, key) for span, key in own for block in blocks for part in _common(span, block)]
    rest = [part for block in blocks for part in _without(block, [span for span, _ in own])]
    return FreeBusy(clip_busy([*known, *(Busy(part) for part in rest)], window))


def _common(one: Span, other: Span) -> list[Span]:
    return [Span(max(one.start, other.start), min(one.end, other.end))] if one.overlaps(other) else []


def _without(block: Span, taken: Iterable[Span]) -> list[Span]:
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


def clip_busy(busy: Iterable[Busy], window: Span) -> tuple[Busy, ...]:
    found = [
        Busy(Span(max(one.span.start, window.start), min(one.span.end, window.end)), one.show, one.key)
        for one in busy
        if one.span.overlaps(window)
    ]
    return tuple(sorted(found, key=lambda one: (one.span, one.show, one.key or "")))


def _parse_instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
