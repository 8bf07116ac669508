"""Another CalDAV client, the library `caldav`, reads what the provider writes, and the other way round."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

# Times are in March 2027, in UTC: `at(5, 9)` is 9:00 on the 5th, and `span(5, 9)` the hour from then on.
from tests.support.drafts import WINDOW, at, draft, span
from worker.domain.model import Answer, Span
from worker.embedded import EmbeddedServers
from worker.providers import base
from worker.providers.caldav.calendar import CalDavCalendar

DANA, SAM = "dana@example.org", "sam@example.org"
USER, PASSWORD = "longarc", "right"
LOGIN = {"username": USER, "password": PASSWORD}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServers]:
    with EmbeddedServers(tmp_path_factory.mktemp("servers"), [DANA, SAM], username=USER, password=PASSWORD) as running:
        yield running


@pytest.fixture(scope="module")
def provider(server: EmbeddedServers) -> Iterator[CalDavCalendar]:
    section = {"url": server.caldav_url, "attendee_copies": True, "local_people": [DANA, SAM], **LOGIN}
    calendar: CalDavCalendar = base.load_factory(base.CALENDAR_FACTORIES, "caldav")(section)
    yield calendar
    calendar.close()


@pytest.fixture
def client_calendars(server: EmbeddedServers) -> Iterator[dict[str, Any]]:
    """The calendars of both people, as objects of the library `caldav`."""
    from caldav import DAVClient

    build: Any = DAVClient
    # RFC 6764 is the search for the server by DNS
    client = build(url=server.caldav_url.format(email=DANA), enable_rfc6764=False, **LOGIN)
    yield {person: client.calendar(url=server.caldav_url.format(email=person)) for person in (DANA, SAM)}
    client.close()


def find_events(calendar: Any, title: str) -> list[Any]:
    """Return the events with that title that the client finds in the window."""
    events = calendar.search(start=WINDOW.start, end=WINDOW.end, event=True, expand=False)
    return [event for event in events if str(event.icalendar_component.get("SUMMARY")) == title]


def test_events_of_the_provider_are_read_by_another_client(
    provider: CalDavCalendar, client_calendars: dict[str, Any]
) -> None:
    event_draft = draft(DANA, SAM, title="Written by us")
    event = provider.create(DANA, event_draft)
    for person in (DANA, SAM):
        [client_event] = find_events(client_calendars[person], "Written by us")
        component = client_event.icalendar_component
        assert (component.start, component.end) == (event_draft.span.start, event_draft.span.end)
        assert str(component["ATTENDEE"]) == f"mailto:{SAM}" and str(component["ORGANIZER"]) == f"mailto:{DANA}"
    moved_event = provider.update(event.ref, replace(event_draft, span=span(11, 13)))
    assert [
        find_events(client_calendars[person], "Written by us")[0].icalendar_component.start for person in (DANA, SAM)
    ] == [at(11, 13)] * 2
    provider.cancel(moved_event.ref)
    assert [find_events(client_calendars[person], "Written by us") for person in (DANA, SAM)] == [[], []]


def test_changes_of_another_client_are_read_by_the_provider(
    provider: CalDavCalendar, client_calendars: dict[str, Any]
) -> None:
    """The client adds an event, answers an invitation, moves an event and deletes it."""
    cursor = provider.changes(DANA, None, WINDOW).cursor
    client_calendars[DANA].add_event(dtstart=at(5, 9), dtend=at(5, 10), summary="Written by them")
    assert [event.span for event in provider.changes(DANA, cursor, WINDOW).events] == [span(5, 9)]
    assert span(5, 9) in [busy.span for busy in provider.free_busy([DANA], WINDOW)[DANA].busy]

    event_draft = draft(DANA, SAM, title="To be answered")
    provider.create(DANA, event_draft)
    cursor = provider.changes(DANA, None, WINDOW).cursor
    [invitation] = find_events(client_calendars[SAM], "To be answered")
    invitation.icalendar_component["ATTENDEE"].params["PARTSTAT"] = "ACCEPTED"
    invitation.save(increase_seqno=False)  # an answer leaves the sequence number as it is
    changes = provider.changes(DANA, cursor, WINDOW)
    assert [event.answers for event in changes.events] == [{SAM: Answer.ACCEPTED}]

    [event] = find_events(client_calendars[DANA], "To be answered")
    for name in ("DTSTART", "DTEND"):
        event.icalendar_component[name].dt += timedelta(days=1)
    event.save()
    changes = provider.changes(DANA, changes.cursor, WINDOW)
    next_day = Span(event_draft.span.start + timedelta(days=1), event_draft.span.end + timedelta(days=1))
    assert [(event.span, event.answers) for event in changes.events] == [(next_day, {SAM: Answer.NEEDS_ACTION})]
    assert [event.icalendar_component.start for event in find_events(client_calendars[SAM], "To be answered")] == [
        next_day.start
    ]

    find_events(client_calendars[DANA], "To be answered")[0].delete()
    changes = provider.changes(DANA, changes.cursor, WINDOW)
    assert len(changes.deleted_ids) == 1 and find_events(client_calendars[SAM], "To be answered") == []
