"""Reads the changes on a calendar since the last sync, by delta rounds of `calendarView/delta`.

A delta round is a sequence of requests. The answer to each request has one or more pages, and contains the changes
since the request before. The round has a window: only changes to events inside this window are returned. Graph fixes
the window when the round begins. Each sync asks for a window that ends later than that of the sync before. So the
window of a round ends nine days (WINDOW_MARGIN) after that of its first sync, so that later syncs can continue the
round.
"""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from worker.domain.model import Address, Cursor, Span
from worker.errors import InvalidResponse
from worker.providers.outlook.client import Graph, Json
from worker.providers.outlook.events import compose_bounds

#: How long after the window of its first sync the window of a round ends. The margin is longer than the time between
#: two syncs that read all events.
WINDOW_MARGIN = timedelta(days=9)
_PREFER = "odata.maxpagesize=500"


@dataclass(frozen=True, slots=True)
class DeltaRound:
    """A delta round: its window, and the link at which the next request gets the changes since the last answer."""

    window: Span
    link: str

    def covers(self, window: Span) -> bool:
        """Return whether `window` lies inside the window of the round."""
        return self.window.start <= window.start and window.end <= self.window.end

    @property
    def cursor(self) -> Cursor:
        """The cursor from which `parse_cursor` reads this round."""
        content = {"from": self.window.start.isoformat(), "to": self.window.end.isoformat(), "link": self.link}
        return json.dumps(content, sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class DeltaChanges:
    """The changes in one answer of a delta round."""

    items: tuple[Json, ...]  #: the changed events in Graph's JSON, each in its latest version
    removed_ids: frozenset[str]  #: the ids of events that are gone or outside of the round's window now
    round: DeltaRound  #: the round, for the next request


def parse_cursor(cursor: Cursor | None) -> DeltaRound | None:
    """Return the delta round in the cursor; None when there is no cursor or it can't be parsed."""
    try:
        content = json.loads(cursor or "")
        window = Span(datetime.fromisoformat(content["from"]), datetime.fromisoformat(content["to"]))
        return DeltaRound(window, content["link"]) if isinstance(content["link"], str) else None
    except (ValueError, KeyError, TypeError):
        return None


def begin_round(graph: Graph, calendar: Address, window: Span) -> DeltaRound:
    """Begin a new delta round and return it.

    The events in the first answer are discarded, because for an occurrence this answer holds little more than its id.
    The caller reads all events of the window separately.
    """
    round_window = Span(window.start, window.end + WINDOW_MARGIN)
    page = graph.get(calendar, "calendarView/delta", prefer=_PREFER, **compose_bounds(round_window))
    return _read_pages(graph, calendar, page, round_window).round


def follow_round(graph: Graph, calendar: Address, delta_round: DeltaRound) -> DeltaChanges:
    """Return the changes since the last answer of the round.

    Raises DeltaTokenExpired when Graph no longer accepts the link, so that a new round has to begin, and
    InvalidResponse when the answer has no link for the next request.
    """
    page = graph.follow_link(calendar, delta_round.link, prefer=_PREFER)
    return _read_pages(graph, calendar, page, delta_round.window)


def _read_pages(graph: Graph, calendar: Address, page: Json, window: Span) -> DeltaChanges:
    """Return the changes in all pages of an answer, of which `page` is the first.

    An event may be listed several times. Its last version counts.
    """
    latest_items: dict[str, Json] = {}
    while True:
        for item in page.get("value") or ():
            # Without `pop`, the event would keep the position of its older version.
            latest_items.pop(str(item["id"]), None)
            latest_items[str(item["id"])] = item
        if next_link := page.get("@odata.nextLink"):
            page = graph.follow_link(calendar, str(next_link), prefer=_PREFER)
        elif delta_link := page.get("@odata.deltaLink"):
            removed_ids = frozenset(event_id for event_id, item in latest_items.items() if "@removed" in item)
            items = tuple(item for event_id, item in latest_items.items() if event_id not in removed_ids)
            return DeltaChanges(items, removed_ids, DeltaRound(window, str(delta_link)))
        else:
            raise InvalidResponse(f"{calendar}: the service sent changes without a link to the next changes.")
