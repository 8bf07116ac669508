"""Reads people's free/busy from Google, in one of two ways.

With a service account, which may act as everybody, each person's events are read as that person, fifty people in a
request (`GoogleApi.execute_batch`). This way distinguishes out of office from busy, and an event that Longarc booked
(our event) from another event at the same time.

Without a service account, managers connect their accounts with `longarc connect google`. Then only the events of these
connected managers can be read. Other people's busy time comes from the free/busy query, which returns spans without any
details. The parts of these spans that lie within one of our events, as it is on the manager's calendar, count as our
event. Another event at the same time as ours is therefore seen only where it extends beyond ours. When the calendar of
a person's manager can't be read, our events can't be recognized, and the person's free/busy is unknown.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import cached_property
from typing import Any

from worker.domain.model import Address, BusyTime, Event, FreeBusy, Span, clip_busy
from worker.errors import ProviderError, Transient
from worker.providers.base import OrganizersFunction
from worker.providers.google import events as google_events
from worker.providers.google.auth import EVENTS_READ_SCOPE, FREE_BUSY_SCOPE, OWNED_EVENTS_SCOPE
from worker.providers.google.client import GoogleApi
from worker.providers.google.freebusy import join_free_busy, mark_our_events, parse_free_busy
from worker.providers.google.habits import ZoneCache
from worker.providers.identities import Identities

PEOPLE_PER_QUERY = 50  #: the most people in one free/busy query
#: The longest window of one free/busy query.
_MAX_WINDOW = timedelta(days=60)


class FreeBusyReader:
    """Reads free/busy as each person or as the connected managers. The calendars' zones are remembered in `zones`."""

    def __init__(
        self, api: GoogleApi, identities: Identities, zones: ZoneCache, organizers: OrganizersFunction
    ) -> None:
        self._api = api
        self._identities = identities
        self._zones = zones
        self._list_organizers = organizers

    @cached_property
    def _events_resource(self) -> Any:
        """The client library's object that composes requests about events. Cached: building it takes some 15 ms."""
        return self._api.service.events()

    def read(self, people: Sequence[Address], window: Span) -> dict[Address, FreeBusy]:
        """Return the free/busy of all `people`, read as each person or as the connected managers."""
        unique_people = list(dict.fromkeys(people))
        connected_people = self._api.access.list_connected_people() if unique_people else []
        if connected_people is None:  # a service account, which may act as everybody
            events, unknown_free_busy = self._read_calendars(
                unique_people, window, scope=EVENTS_READ_SCOPE, fields=google_events.TIME_FIELDS
            )
            free_busy = dict(unknown_free_busy)
        else:
            events, unknown_free_busy = self._read_calendars(
                connected_people, window, scope=OWNED_EVENTS_SCOPE, fields=google_events.EVENT_FIELDS
            )
            others = [person for person in unique_people if person not in connected_people]
            # A manager whose own free/busy is not requested may have left or revoked the grant. The free/busy of the
            # former reports must stay readable then, so this manager's failure counts only if it is temporary.
            failures = {
                manager: unknown
                for manager, unknown in unknown_free_busy.items()
                if unknown.is_temporary or manager in unique_people
            }
            free_busy = unknown_free_busy | self._read_others(others, events, failures, window)
        for person, person_events in events.items():
            # An event with show_as None takes no time.
            busy_times = [
                BusyTime(event.span, event.show_as, event.key) for event in person_events if event.show_as is not None
            ]
            free_busy[person] = FreeBusy(clip_busy(busy_times, window))
        return {person: free_busy[person] for person in unique_people}

    def _read_others(
        self,
        others: Sequence[Address],
        events: Mapping[Address, list[Event]],
        failures: Mapping[Address, FreeBusy],
        window: Span,
    ) -> dict[Address, FreeBusy]:
        """Return the free/busy of people who are not connected, as the connected managers may see it.

        `events` are the events on each manager's calendar. `failures` is the unknown free/busy of each manager whose
        calendar could not be read. Then the free/busy of this manager's reports is unknown, too, because our own events
        cannot be recognized without that calendar.
        """
        free_busy: dict[Address, FreeBusy] = {}
        for person in others:
            failure = next(
                (failures[manager] for manager in self._list_organizers(person) if manager in failures), None
            )
            if failure:
                reason = f"Our own events in this person's calendar can't be recognized: {failure.reason}"
                free_busy[person] = FreeBusy(is_known=False, reason=reason, is_temporary=True)
        readable_people = [person for person in others if person not in free_busy]
        # Our event is on the calendars of both people. Only the organizer's calendar has the answers of all guests.
        our_events = [
            event
            for manager, manager_events in events.items()
            for event in manager_events
            if event.is_ours and event.organizer == manager
        ]
        managers = list(events)
        for first in range(0, len(readable_people), PEOPLE_PER_QUERY):
            chunk = readable_people[first : first + PEOPLE_PER_QUERY]
            free_busy |= self._read_free_busy(chunk, managers, our_events, window)
        return free_busy

    def _read_calendars(
        self, people: Sequence[Address], window: Span, *, scope: str, fields: str
    ) -> tuple[dict[Address, list[Event]], dict[Address, FreeBusy]]:
        """Return the events inside the window on each person's calendar, read as that person.

        Also returns an unknown free/busy, with the reason, of each person whose calendar cannot be read.
        """
        events: dict[Address, list[Event]] = {}
        unknown_free_busy: dict[Address, FreeBusy] = {}
        # The token of the next page to read, by person; None for the first page.
        page_tokens: dict[Address, str | None] = dict.fromkeys(people)
        while page_tokens:
            requests = [
                (person, scope, self._compose_list_request(window, token, fields))
                for person, token in page_tokens.items()
            ]
            answers = dict(zip(page_tokens, self._api.execute_batch(requests), strict=True))
            page_tokens = {}
            for person, answer in answers.items():
                try:
                    page_events, next_token = self._parse_page(answer, person)
                except ProviderError as error:
                    is_temporary = isinstance(error, Transient)
                    unknown_free_busy[person] = FreeBusy(is_known=False, reason=str(error), is_temporary=is_temporary)
                    continue
                events.setdefault(person, []).extend(page_events)
                if next_token:
                    page_tokens[person] = next_token
        # A calendar of which only the first pages could be read does not count as read.
        complete_events = {
            person: person_events for person, person_events in events.items() if person not in unknown_free_busy
        }
        return complete_events, unknown_free_busy

    def _parse_page(self, answer: Any | ProviderError, calendar: Address) -> tuple[list[Event], str | None]:
        """Return the events in the answer to a list request, and the token of the next page.

        Raises `answer` when it is an error.
        """
        if isinstance(answer, ProviderError):
            raise answer
        items = google_events.read_items(answer, calendar)
        zone = self._zones.read_zone(answer, calendar)
        events = google_events.parse_events(items, calendar, zone, self._identities)
        return events, answer.get("nextPageToken")

    def _compose_list_request(self, window: Span, page_token: str | None, fields: str) -> Any:
        query = {**google_events.compose_bounds(window), "singleEvents": True, "pageToken": page_token}
        fields = f"nextPageToken,timeZone,items({fields})"
        return self._events_resource.list(
            calendarId="primary", maxResults=google_events.PAGE_SIZE, fields=fields, **query
        )

    def _read_free_busy(
        self, people: Sequence[Address], managers: Sequence[Address], our_events: Sequence[Event], window: Span
    ) -> dict[Address, FreeBusy]:
        """Return the free/busy of at most 50 people.

        The first manager queries all of them. Each further manager queries only the people whose free/busy no previous
        manager may see.
        """
        hidden_reason = "No connected Google account may see when {} is busy: run `longarc connect google`."
        free_busy = {person: FreeBusy(is_known=False, reason=hidden_reason.format(person)) for person in people}
        unknown_people = list(people)
        for manager in managers:
            for person, person_free_busy in self._query_free_busy(manager, unknown_people, window).items():
                free_busy[person] = mark_our_events(person_free_busy, person, our_events, window)
            unknown_people = [person for person in unknown_people if not free_busy[person].is_known]
            if not unknown_people:
                break
        return free_busy

    def _query_free_busy(self, manager: Address, people: Sequence[Address], window: Span) -> dict[Address, FreeBusy]:
        """Return the free/busy of these people as `manager` may see it. A long window is queried in several parts."""
        free_busy: dict[Address, FreeBusy] = {}
        start = window.start
        while start < window.end:
            end = min(start + _MAX_WINDOW, window.end)
            body = {**google_events.compose_bounds(Span(start, end)), "items": [{"id": person} for person in people]}
            request = self._api.service.freebusy().query(body=body, fields="calendars")
            answer = self._api.execute(manager, FREE_BUSY_SCOPE, request)
            calendars = answer.get("calendars") or {}
            answer_by_person = {self._identities.find_primary(address): part for address, part in calendars.items()}
            for person in people:
                next_free_busy = parse_free_busy(person, answer_by_person.get(person))
                free_busy[person] = join_free_busy(free_busy.get(person, FreeBusy()), next_free_busy)
            start = end
        return free_busy
