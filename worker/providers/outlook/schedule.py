"""Reads free/busy by `getSchedule`: twenty people in a request, in equal parts of the window of less than 62 days.

Only times and their status are read: the answer may also hold the titles of people who share them. A person whose
free/busy can't be read comes back as unknown, with the reason.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from worker.domain.model import Address, Answer, BusyTime, Event, FreeBusy, ShowAs, Span, clip_busy
from worker.errors import Forbidden, InvalidResponse, NotFound, ProviderError
from worker.providers.outlook import events as graph_events
from worker.providers.outlook.client import Graph, Json

PEOPLE_PER_REQUEST = 20
#: The longest part in one request: the service allows less than 62 days.
LONGEST_PART = timedelta(days=61)
#: The shortest part: the service refuses one that is shorter than its `availabilityViewInterval`, at least 5 minutes.
SHORTEST_PART = timedelta(minutes=5)
#: The longest `availabilityViewInterval` that the service allows, in minutes.
_MAX_INTERVAL = 1440
_SECOND = timedelta(seconds=1)
#: How many mailboxes of organizers, and then of the people themselves, are tried until one answers.
_MAX_TRIES = 3


def read_free_busy(
    graph: Graph, people: Sequence[Address], window: Span, mailboxes: Sequence[Address]
) -> Mapping[Address, FreeBusy]:
    """Return everybody's busy spans that overlap the window, not clipped. They are requested through the first of
    `mailboxes` that allows it, else through a mailbox of the people themselves."""
    free_busy: dict[Address, FreeBusy] = {}
    for first in range(0, len(people), PEOPLE_PER_REQUEST):
        chunk = people[first : first + PEOPLE_PER_REQUEST]
        try:
            free_busy |= _read_chunk(graph, chunk, window, [*mailboxes[:_MAX_TRIES], *chunk[:_MAX_TRIES]])
        except (NotFound, Forbidden) as error:
            free_busy |= dict.fromkeys(chunk, FreeBusy(is_known=False, reason=str(error)))
    return free_busy


def _read_chunk(
    graph: Graph, people: Sequence[Address], window: Span, mailboxes: Sequence[Address]
) -> dict[Address, FreeBusy]:
    last_error: ProviderError | None = None
    for mailbox in mailboxes:
        try:
            answers = [_request_schedule(graph, mailbox, people, part) for part in split_window(window)]
        except (NotFound, Forbidden) as error:
            last_error = error
            continue
        return {who: _join_parts([answer.get(who) for answer in answers], window) for who in people}
    raise last_error or NotFound("There is no mailbox through which to ask for free/busy.")


def split_window(window: Span) -> Iterator[Span]:
    """Yield the window in equal parts of at most `LONGEST_PART`, from whole second to whole second. A window shorter
    than `SHORTEST_PART` is widened."""
    start = window.start.replace(microsecond=0)
    seconds = max(-((start - window.end) // _SECOND), SHORTEST_PART // _SECOND)
    count = -(-seconds // (LONGEST_PART // _SECOND))
    boundaries = [start + timedelta(seconds=seconds * n // count) for n in range(count + 1)]
    yield from map(Span, boundaries, boundaries[1:])


def choose_interval(part: Span) -> int:
    """Return the `availabilityViewInterval` for a part, in minutes: never longer than the part."""
    return min(part.minutes, _MAX_INTERVAL)


def _request_schedule(graph: Graph, mailbox: Address, people: Sequence[Address], part: Span) -> Mapping[Address, Json]:
    """Return the schedule of each person that the answer names, requested through `mailbox`."""
    body = {
        "schedules": list(people),
        "startTime": graph_events.format_utc(part.start),
        "endTime": graph_events.format_utc(part.end),
        # The service wants an interval; the `availabilityView` that depends on it is not read.
        "availabilityViewInterval": choose_interval(part),
    }
    schedules = graph.post(mailbox, "calendar/getSchedule", body, is_write=False).get("value")
    if not isinstance(schedules, list):
        raise InvalidResponse(f"{mailbox}: the service answered free/busy without any.")
    primary = graph.identities.find_primary
    return {primary(str(each.get("scheduleId") or "")): each for each in schedules if isinstance(each, dict)}


def _join_parts(schedules: Iterable[Json | None], window: Span) -> FreeBusy:
    """Return one person's free/busy from the schedules of all parts; unknown when one of them is missing or
    unreadable."""
    numbered_spans: set[tuple[int, BusyTime]] = set()  # a set, because a span in two parts comes twice
    for schedule in schedules:
        if schedule is None:
            return FreeBusy(is_known=False, reason="The service said nothing about this person.")
        if error := schedule.get("error"):
            message = " ".join(str(error.get("message") or error.get("responseCode") or "no reason given").split())
            return FreeBusy(is_known=False, reason=f"The service can't tell: {message[:160]}")
        try:
            numbered_spans |= set(_parse_items(schedule.get("scheduleItems") or (), window))
        except (KeyError, TypeError, ValueError, AttributeError):
            return FreeBusy(is_known=False, reason="The service sent a time that can't be read.")
    sorted_spans = sorted(numbered_spans, key=lambda pair: (pair[1].span, pair[1].show_as, pair[0]))
    return FreeBusy(tuple(busy for _, busy in sorted_spans))


def _parse_items(items: Iterable[Json], window: Span) -> Iterator[tuple[int, BusyTime]]:
    """Yield the busy spans that overlap the window. Those with the same span and status get different numbers."""
    counts: dict[tuple[Span, str], int] = {}
    for item in items:
        span, status = graph_events.span_of(item), str(item.get("status") or "")
        show = graph_events.read_status(status)
        if show is None or not span.overlaps(window):
            continue
        number = counts[span, status] = counts.get((span, status), 0) + 1
        yield number, BusyTime(span, show)


def mark_our_events(free_busy: FreeBusy, who: Address, events: Iterable[Event], window: Span) -> FreeBusy:
    """Return the person's free/busy clipped to `window`, with the key of each of our events that the person did not
    decline on a busy span of exactly the event's time: on one that is not out of office, if there are several."""
    busy = list(free_busy.busy)
    for event in events:
        is_invited = event.answers.get(who, Answer.DECLINED) is not Answer.DECLINED
        if not event.is_ours or event.show_as is None or not is_invited:
            continue
        matching = [n for n, each in enumerate(busy) if each.span == event.span and each.key is None]
        if matching:
            index = min(matching, key=lambda n: (busy[n].show_as is ShowAs.AWAY, n))
            busy[index] = replace(busy[index], key=event.key)
    return replace(free_busy, busy=clip_busy(busy, window))
