"""Changes on a calendar since the last sync, by rounds of `calendarView/delta`.

A round is a sequence of requests in which each returns the changes since the one before. Its window is fixed when it
begins, with a margin after the end of the sync's window: so later syncs, whose windows end later, can go on with it for
some days before a new round has to begin.
"""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from worker.domain.model import Address, Cursor, Span
from worker.errors import InvalidResponse
from worker.providers.outlook.client import Graph, Json
from worker.providers.outlook.events import compose_bounds

#: How far the window of a round reaches beyond the sync's: longer than the time between two full passes.
WINDOW_MARGIN = timedelta(days=9)
_PREFER = "odata.maxpagesize=500"


@dataclass(frozen=True, slots=True)
class DeltaRound:
    """A round: its window, and the link to the changes since its last answer."""

    window: Span
    link: str

    def covers(self, window: Span) -> bool:
        """Whether the window lies inside the round's."""
        return self.window.start <= window.start and window.end <= self.window.end

    @property
    def cursor(self) -> Cursor:
        """The cursor from which `parse_cursor` reads this round."""
        content = {"from": self.window.start.isoformat(), "to": self.window.end.isoformat(), "link": self.link}
        return json.dumps(content, sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class DeltaChanges:
    """An answer in a round: the latest version of each changed entry, the ids of removed ones, and the round for the
    next request."""

    items: tuple[Json, ...]
    removed: frozenset[str]
    round: DeltaRound


def parse_cursor(cursor: Cursor | None) -> DeltaRound | None:
    """Return the round in the cursor; None when there is no cursor, or it can't be read."""
    try:
        content = json.loads(cursor or "")
        window = Span(datetime.fromisoformat(content["from"]), datetime.fromisoformat(content["to"]))
        return DeltaRound(window, content["link"]) if isinstance(content["link"], str) else None
    except (ValueError, KeyError, TypeError):
        return None


def begin_round(graph: Graph, calendar: Address, window: Span) -> DeltaRound:
    """Begin a new round. Its entries are discarded: for occurrences they hold little more than the id."""
    round_window = Span(window.start, window.end + WINDOW_MARGIN)
    page = graph.get(calendar, "calendarView/delta", prefer=_PREFER, **compose_bounds(round_window))
    return _read_pages(graph, calendar, page, round_window).round


def follow_round(graph: Graph, calendar: Address, delta_round: DeltaRound) -> DeltaChanges:
    """Return the changes since the round's last answer. Raises DeltaTokenExpired when a new round has to begin,
    InvalidResponse."""
    return _read_pages(
        graph, calendar, graph.follow_link(calendar, delta_round.link, prefer=_PREFER), delta_round.window
    )


def _read_pages(graph: Graph, calendar: Address, page: Json, window: Span) -> DeltaChanges:
    """Read all pages of an answer. An entry may come several times; the last one counts."""
    latest: dict[str, Json] = {}
    while True:
        for item in page.get("value") or ():
            latest.pop(str(item["id"]), None)
            latest[str(item["id"])] = item
        if link := page.get("@odata.nextLink"):
            page = graph.follow_link(calendar, str(link), prefer=_PREFER)
        elif link := page.get("@odata.deltaLink"):
            removed = frozenset(event_id for event_id, item in latest.items() if "@removed" in item)
            items = tuple(item for event_id, item in latest.items() if event_id not in removed)
            return DeltaChanges(items, removed, DeltaRound(window, str(link)))
        else:
            raise InvalidResponse(f"{calendar}: the service sent a list of changes without a link to the next one.")
