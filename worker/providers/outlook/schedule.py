"""Reads people's free/busy by Graph's `getSchedule`, through the mailbox of an organizer.

One request returns the free/busy of at most twenty people, for a window of less than 62 days. So a longer window is
split into equal parts. Only the times in the answer and their status are used; titles of events are ignored. When a
person's free/busy can't be read, it is unknown, with the reason.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from math import ceil

from worker.domain.model import Address, Answer, BusyTime, Event, FreeBusy, ShowAs, Span, clip_busy
from worker.errors import Forbidden, InvalidResponse, NotFound, ProviderError
from worker.providers.outlook import events as graph_events
from worker.providers.outlook.client import Graph, Json

PEOPLE_PER_REQUEST = 20
#: The longest part of a window that is requested. The service allows less than 62 days.
_LONGEST_PART = timedelta(days=61)
#: The shortest part of a window that is requested. The service refuses a part that is shorter than the
#: `availabilityViewInterval` of the request, which has to be at least 5 minutes.
_SHORTEST_PART = timedelta(minutes=5)
#: The longest `availabilityViewInterval` that the service allows, in minutes.
_MAX_INTERVAL = 1440
_SECOND = timedelta(seconds=1)
#: How many organizers' mailboxes are tried at most; then at most as many mailboxes of the people themselves are tried.
_MAX_TRIES = 3
_MAX_MESSAGE_LENGTH = 160  #: characters of Graph's error message that a reason repeats


def read_free_busy(
    graph: Graph, people: Sequence[Address], window: Span, mailboxes: Sequence[Address]
) -> Mapping[Address, FreeBusy]:
    """Return the free/busy of all `people`: the busy spans that overlap the window, not clipped to it.

    The free/busy is requested through the first of `mailboxes` that allows it, or else through a mailbox of one of the
    people themselves.
    """
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
    """Return the free/busy of at most PEOPLE_PER_REQUEST people, through the first mailbox that allows it.

    Raises NotFound or Forbidden when no mailbox does.
    """
    last_error: ProviderError | None = None
    for mailbox in mailboxes:
        try:
            answers = [_request_schedule(graph, mailbox, people, part) for part in split_window(window)]
        except (NotFound, Forbidden) as error:
            last_error = error
            continue
        return {person: _join_parts([answer.get(person) for answer in answers], window) for person in people}
    raise last_error or NotFound("There is no mailbox through which free/busy can be requested.")


def split_window(window: Span) -> Iterator[Span]:
    """Yield equal parts of the window, each at most `_LONGEST_PART` long, from whole second to whole second.

    A window shorter than `_SHORTEST_PART` is extended to this length.
    """
    start = window.start.replace(microsecond=0)
    seconds = max(ceil((window.end - start) / _SECOND), _SHORTEST_PART // _SECOND)
    count = ceil(seconds / (_LONGEST_PART // _SECOND))
    boundaries = [start + timedelta(seconds=seconds * index // count) for index in range(count + 1)]
    yield from map(Span, boundaries, boundaries[1:])


def choose_interval(part: Span) -> int:
    """Return the `availabilityViewInterval` for a part of a window, in minutes. It is never longer than the part."""
    return min(part.minutes, _MAX_INTERVAL)


def _request_schedule(graph: Graph, mailbox: Address, people: Sequence[Address], part: Span) -> Mapping[Address, Json]:
    """Return Graph's schedule of each person that the answer names, requested through `mailbox`."""
    body = {
        "schedules": list(people),
        "startTime": graph_events.format_utc(part.start),
        "endTime": graph_events.format_utc(part.end),
        # The service requires an interval. Only `availabilityView` in the answer depends on the interval.
        "availabilityViewInterval": choose_interval(part),
    }
    schedules = graph.post(mailbox, "calendar/getSchedule", body, is_write=False).get("value")
    if not isinstance(schedules, list):
        raise InvalidResponse(f"{mailbox}: the service's answer holds no free/busy.")
    return {
        graph.identities.find_primary(str(schedule.get("scheduleId") or "")): schedule
        for schedule in schedules
        if isinstance(schedule, dict)
    }


def _join_parts(schedules: Iterable[Json | None], window: Span) -> FreeBusy:
    """Return one person's free/busy from the schedules of all parts of the window.

    The free/busy is unknown when one of the schedules is missing or can't be parsed.
    """
    # A set, because a busy time that reaches into two parts of the window is in both of their schedules. The numbers of
    # `_parse_items` keep busy times of several events apart.
    numbered_busy_times: set[tuple[int, BusyTime]] = set()
    for schedule in schedules:
        if schedule is None:
            return FreeBusy(is_known=False, reason="The service's answer leaves this person out.")
        if error := schedule.get("error"):
            message = " ".join(str(error.get("message") or error.get("responseCode") or "no reason given").split())
            reason = f"The service refuses this person's free/busy: {message[:_MAX_MESSAGE_LENGTH]}"
            return FreeBusy(is_known=False, reason=reason)
        try:
            numbered_busy_times |= set(_parse_items(schedule.get("scheduleItems") or (), window))
        except (KeyError, TypeError, ValueError, AttributeError):
            return FreeBusy(is_known=False, reason="The service sent a time that can't be parsed.")
    busy_times = [busy_time for _, busy_time in numbered_busy_times]
    return FreeBusy(tuple(sorted(busy_times, key=lambda busy_time: (busy_time.span, busy_time.show_as))))


def _parse_items(items: Iterable[Json], window: Span) -> Iterator[tuple[int, BusyTime]]:
    """Yield the busy spans that overlap the window, each with a number.

    The numbers distinguish several events with the same span and the same status.
    """
    counts: dict[tuple[Span, str], int] = {}
    for item in items:
        span, status = graph_events.parse_span(item), str(item.get("status") or "")
        show_as = graph_events.find_show_as(status)
        if show_as is None or not span.overlaps(window):
            continue
        counts[span, status] = counts.get((span, status), 0) + 1
        yield counts[span, status], BusyTime(span, show_as)


def mark_our_events(free_busy: FreeBusy, person: Address, events: Iterable[Event], window: Span) -> FreeBusy:
    """Return the person's free/busy, clipped to `window`, with the keys of our events.

    An event counts if the person was invited and has not declined. Its key is added to a busy span with exactly the
    event's time. When several busy spans have this time, one that is not out of office is preferred, because our events
    are busy.
    """
    busy_times = list(free_busy.busy)
    for event in events:
        is_attending = event.answers.get(person, Answer.DECLINED) is not Answer.DECLINED
        if not event.is_ours or event.show_as is None or not is_attending:
            continue
        indexes = [index for index, busy in enumerate(busy_times) if busy.span == event.span and busy.key is None]
        if indexes:
            best_index = min(indexes, key=lambda index: (busy_times[index].show_as is ShowAs.AWAY, index))
            busy_times[best_index] = replace(busy_times[best_index], key=event.key)
    return replace(free_busy, busy=clip_busy(busy_times, window))
