"""What changed on a calendar since it was last asked: rounds of `calendarView/delta`.

A round is bound to the window it began with. It begins with some room at the end, so that the window that is asked
for may slide for a while before a new round has to begin.
"""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from worker.domain.model import Address, Cursor, Span
from worker.errors import InvalidResponse
from worker.providers.outlook.client import Graph, Json

#: How far a round reaches beyond the window: longer than any time between two full passes.
WINDOW_MARGIN = timedelta(days=9)
_PREFER = "odata.maxpagesize=500"


@dataclass(frozen=True, slots=True)
class DeltaRound:
    """A round that can be asked what changed: its window, and the link to ask by."""

    window: Span
    link: str

    def is_covering(self, window: Span) -> bool:
        return self.window.start <= window.start and window.end <= self.window.end

    @property
    def cursor(self) -> Cursor:
        held = {"from": self.window.start.isoformat(), "to": self.window.end.isoformat(), "link": self.link}
        return json.dumps(held, sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class DeltaChanges:
    """What a round told since it was last asked, each entry as it was told last, and how to ask on."""

    items: tuple[Json, ...]
    removed: frozenset[str]
    round: DeltaRound


def parse_cursor(cursor: Cursor | None) -> DeltaRound | None:
    """The round of that cursor; None when it makes no sense."""
    try:
        held = json.loads(cursor or "")
        window = Span(datetime.fromisoformat(held["from"]), datetime.fromisoformat(held["to"]))
        return DeltaRound(window, held["link"]) if isinstance(held["link"], str) else None
    except (ValueError, KeyError, TypeError):
        return None


def begin_round(graph: Graph, calendar: Address, window: Span) -> DeltaRound:
    """A new round. What it lists is not looked at: it names occurrences without saying much about them."""
    wide = Span(window.start, window.end + WINDOW_MARGIN)
    given = {"startDateTime": f"{wide.start:%Y-%m-%dT%H:%M:%SZ}", "endDateTime": f"{wide.end:%Y-%m-%dT%H:%M:%SZ}"}
    page = graph.get(calendar, "calendarView/delta", prefer=_PREFER, **given)
    return _read_pages(graph, calendar, page, wide).round


def follow_round(graph: Graph, calendar: Address, at: DeltaRound) -> DeltaChanges:
    """What was told since. Raises DeadToken when a new round has to begin, InvalidResponse."""
    return _read_pages(graph, calendar, graph.follow_link(calendar, at.link, prefer=_PREFER), at.window)


def _read_pages(graph: Graph, calendar: Address, page: Json, window: Span) -> DeltaChanges:
    """All pages. The same entry may come several times: the last counts."""
    latest: dict[str, Json] = {}
    while True:
        for item in page.get("value") or ():
            latest.pop(str(item["id"]), None)
            latest[str(item["id"])] = item
        if link := page.get("@odata.nextLink"):
            page = graph.follow_link(calendar, str(link), prefer=_PREFER)
        elif link := page.get("@odata.deltaLink"):
            removed = frozenset(one for one, item in latest.items() if "@removed" in item)
            items = tuple(item for one, item in latest.items() if one not in removed)
            return DeltaChanges(items, removed, DeltaRound(window, str(link)))
        else:
            raise InvalidResponse(f"{calendar}: the service does not say how to ask on.")
