"""Reads the events on people's calendars in Microsoft 365, and names everybody on them by their primary address."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from worker.domain.model import Address, Event, Span
from worker.errors import Forbidden, InvalidResponse, NotFound, Permanent, ProviderError, Transient
from worker.providers.outlook import events as graph_events
from worker.providers.outlook.client import Graph, Json
from worker.providers.outlook.mailbox_settings import MailboxSettings

_PAGE_SIZE = 500  #: events in one answer


@dataclass(frozen=True, slots=True)
class EventWithUid:
    """An event on one calendar, and its `iCalUId`, which all copies of the event share."""

    event: Event
    uid: str


#: The events on a calendar inside a window, or the error that prevented reading them.
CalendarView = list[EventWithUid] | Permanent | Transient


class EventReader:
    """Reads events as the owners of calendars see them, and learns the aliases by which events name the owners."""

    def __init__(self, graph: Graph, mailboxes: MailboxSettings) -> None:
        self._graph = graph
        self._identities = graph.identities
        self._mailboxes = mailboxes

    def read_views(self, people: Sequence[Address], window: Span) -> dict[Address, CalendarView]:
        """Return the view of each person's calendar. The first pages of several calendars are read in one request.

        A Transient error of the only calendar is raised. Among several calendars it is the view of its calendar, so
        that the others can be read.
        """
        query: dict[str, Any] = {**make_list_query(), **graph_events.compose_bounds(window)}
        if len(people) == 1:
            [person] = people
            return {person: self._parse_view(person, self._graph.iter_all(person, "calendarView", **query))}
        pages = self._graph.get_each(people, "calendarView", **query)
        return {person: self._complete_view(person, pages[person]) for person in people}

    def _complete_view(self, person: Address, page: Json | ProviderError) -> CalendarView:
        """Return the view of one calendar, of which `page` is the first page or the error that occurred instead."""
        try:
            return self._parse_view(person, self._iter_from_page(person, page))
        except Transient as error:
            return error

    def _iter_from_page(self, person: Address, page: Json | ProviderError) -> Iterator[Json]:
        """Yield every entry of the page and of the pages after it. Raises `page` when it is an error."""
        if isinstance(page, ProviderError):
            raise page
        yield from self._graph.iter_from_page(person, page)

    def _parse_view(self, person: Address, items: Iterable[Json]) -> CalendarView:
        try:
            return [self.parse_entry(person, item) for item in items]
        except (NotFound, Forbidden, InvalidResponse) as error:
            return error

    def iter_window(self, person: Address, window: Span) -> Iterator[EventWithUid]:
        """Yield the events on the calendar inside the window, and each occurrence of a series."""
        yield from self.iter_events(person, "calendarView", **graph_events.compose_bounds(window))

    def iter_events(self, person: Address, path: str, **query: object) -> Iterator[EventWithUid]:
        """Yield the events in the list at `path` of the person's mailbox."""
        for item in self._graph.iter_all(person, path, **{**make_list_query(), **query}):
            yield self.parse_entry(person, item)

    def parse_entry(self, person: Address, item: Json) -> EventWithUid:
        """Return the event of Graph's JSON with its uid. Raises InvalidResponse."""
        return EventWithUid(self.parse_event(person, item), str(item.get("iCalUId") or item["id"]))

    def parse_event(self, person: Address, item: Json, key: str | None = None) -> Event:
        """Return the event of Graph's JSON. `key` is our key, if the caller knows it. Raises InvalidResponse."""
        if item.get("isOrganizer"):
            self.learn_alias(person, graph_events.read_alias(item.get("organizer")))
        zone = self._mailboxes.get_zone(person)
        return graph_events.parse_event(item, person, zone, key, find_primary=self._identities.find_primary)

    def learn_alias(self, person: Address, alias: str) -> None:
        """Remember an alias by which Microsoft 365 names the person."""
        if alias and self._identities.find_primary(alias) != person:
            self._identities.learn(person, alias)


def make_list_query() -> dict[str, Any]:
    """Return the query parameters of a list of events."""
    return {"top": _PAGE_SIZE, "select": graph_events.EVENT_FIELDS, "expand": graph_events.EXPAND_KEY}
