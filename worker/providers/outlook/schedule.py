"""Free/busy of people by `getSchedule`: twenty at a time, in equal stretches of less than 62 days.

It tells times and how they count, nothing more. Whoever can't be read there is unknown, with the reason.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from worker.domain.model import Address, Answer, BusyTime, Event, FreeBusy, ShowAs, Span, clip_busy
from worker.errors import Forbidden, InvalidResponse, NotFound, ProviderError
from worker.providers.outlook import events as graphevents
from worker.providers.outlook.client import Graph, Json

PEOPLE_PER_REQUEST = 20
#: The longest and the shortest stretch that is asked about. The service allows less than 62 days, and refuses a stretch
#: that is shorter than its interval.
STRETCH, SHORTEST = timedelta(days=61), timedelta(minutes=5)
#: The longest interval that the service cuts a stretch into, in minutes.
_LONGEST_INTERVAL = 1440
_SECOND = timedelta(seconds=1)
#: So many mailboxes are tried to ask through, when they can't be asked.
_MOST_TRIES = 3


def read_free_busy(
    graph: Graph, people: Sequence[Address], window: Span, through: Sequence[Address]
) -> Mapping[Address, FreeBusy]:
    """Everybody's time that touches the window, each stretch whole; asked through the first of those mailboxes that
    lets us, or their own."""
    seen: dict[Address, FreeBusy] = {}
    for first in range(0, len(people), PEOPLE_PER_REQUEST):
        some = people[first : first + PEOPLE_PER_REQUEST]
        try:
            seen |= _read_chunk(graph, some, window, [*through[:_MOST_TRIES], *some[:_MOST_TRIES]])
        except (NotFound, Forbidden) as error:
            seen |= dict.fromkeys(some, FreeBusy(known=False, reason=str(error)))
    return seen


def _read_chunk(
    graph: Graph, people: Sequence[Address], window: Span, through: Sequence[Address]
) -> dict[Address, FreeBusy]:
    last: ProviderError | None = None
    for mailbox in through:
        try:
            answers = [_request_schedule(graph, mailbox, people, stretch) for stretch in split_window(window)]
        except (NotFound, Forbidden) as error:
            last = error
            continue
        return {who: _join_parts([answer.get(who) for answer in answers], window) for who in people}
    raise last or NotFound("Nobody's mailbox is there to ask through.")


def split_window(window: Span) -> Iterator[Span]:
    """The window in equal parts, each what one request may span, from whole second to whole second. A window that is
    shorter than the shortest stretch is widened."""
    start = window.start.replace(microsecond=0)
    seconds = max(-((start - window.end) // _SECOND), SHORTEST // _SECOND)
    parts = -(-seconds // (STRETCH // _SECOND))
    edges = [start + timedelta(seconds=seconds * n // parts) for n in range(parts + 1)]
    yield from map(Span, edges, edges[1:])


def choose_interval(stretch: Span) -> int:
    """Into how many minutes each the service is to cut a stretch: never more than the stretch has."""
    return min(stretch.minutes, _LONGEST_INTERVAL)


def _request_schedule(
    graph: Graph, mailbox: Address, people: Sequence[Address], stretch: Span
) -> Mapping[Address, Json]:
    asked = {
        "schedules": list(people),
        "startTime": graphevents.format_utc(stretch.start),
        "endTime": graphevents.format_utc(stretch.end),
        # what is told by it is not looked at: the items tell more
        "availabilityViewInterval": choose_interval(stretch),
    }
    told = graph.post(mailbox, "calendar/getSchedule", asked, writes=False).get("value")
    if not isinstance(told, list):
        raise InvalidResponse(f"{mailbox}: the service answered free/busy without any.")
    primary = graph.identities.primary
    return {primary(str(one.get("scheduleId") or "")): one for one in told if isinstance(one, dict)}


def _join_parts(parts: Iterable[Json | None], window: Span) -> FreeBusy:
    found: set[tuple[Span, int, BusyTime]] = set()
    for part in parts:
        if part is None:
            return FreeBusy(known=False, reason="The service said nothing about this person.")
        if error := part.get("error"):
            said = " ".join(str(error.get("message") or error.get("responseCode") or "no reason given").split())
            return FreeBusy(known=False, reason=f"The service can't tell: {said[:160]}")
        try:
            found |= set(_parse_items(part.get("scheduleItems") or (), window))
        except (KeyError, TypeError, ValueError, AttributeError):
            return FreeBusy(known=False, reason="The service told a time that can't be understood.")
    # what runs over the edge of a stretch is told twice
    busy = (one for _, _, one in sorted(found, key=lambda told: (told[2].span, told[2].show, told[1])))
    return FreeBusy(tuple(busy))


def _parse_items(items: Iterable[Json], window: Span) -> Iterator[tuple[Span, int, BusyTime]]:
    """Each stretch with its whole time, and the how manieth of that time it is."""
    count: dict[tuple[Span, str], int] = {}
    for item in items:
        span, status = graphevents.span_of(item), str(item.get("status") or "")
        shown = graphevents.read_status(status)
        if shown is None or not span.overlaps(window):
            continue
        number = count[span, status] = count.get((span, status), 0) + 1
        yield span, number, BusyTime(span, shown)


def mark_our_events(told: FreeBusy, who: Address, events: Iterable[Event], window: Span) -> FreeBusy:
    """The same inside the window, with those of our events in it that `who` is invited to: one of the stretches that
    have its whole time, and rather one that is a meeting than one that says that nobody is there."""
    busy = list(told.busy)
    for event in events:
        invited = event.answers.get(who, Answer.DECLINED) is not Answer.DECLINED
        if event.key is None or event.show is None or not invited:
            continue
        alike = [n for n, one in enumerate(busy) if one.span == event.span and one.key is None]
        if alike:
            at = min(alike, key=lambda n: (busy[n].show is ShowAs.AWAY, n))
            busy[at] = replace(busy[at], key=event.key)
    return replace(told, busy=clip_busy(busy, window))
