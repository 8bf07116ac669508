"""What Longarc writes to a CalDAV server, a client that nobody here wrote reads; and the other way round."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

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
def ours(server: EmbeddedServers) -> Iterator[CalDavCalendar]:
    section = {"url": server.caldav_url, "attendee_copies": True, "local_people": [DANA, SAM], **LOGIN}
    calendar: CalDavCalendar = base.load_factory(base.CALENDAR_FACTORIES, "caldav")(section)
    yield calendar
    calendar.close()


@pytest.fixture
def theirs(server: EmbeddedServers) -> Iterator[dict[str, Any]]:
    """The calendars of both, as the client of the library `caldav` has them."""
    from caldav import DAVClient

    build: Any = DAVClient
    client = build(url=server.caldav_url.format(email=DANA), enable_rfc6764=False, **LOGIN)
    yield {who: client.calendar(url=server.caldav_url.format(email=who)) for who in (DANA, SAM)}
    client.close()


def listed(calendar: Any, title: str) -> list[Any]:
    """The events of that title, as the client finds them by time."""
    events = calendar.search(start=WINDOW.start, end=WINDOW.end, event=True, expand=False)
    return [event for event in events if str(event.icalendar_component.get("SUMMARY")) == title]


def test_what_we_write_is_read_by_another_client(ours: CalDavCalendar, theirs: dict[str, Any]) -> None:
    wanted = draft(DANA, SAM, subject="Written by us")
    event = ours.create(DANA, wanted)
    for who in (DANA, SAM):
        [seen] = listed(theirs[who], "Written by us")
        component = seen.icalendar_component
        assert (component.start, component.end) == (wanted.span.start, wanted.span.end)
        assert str(component["ATTENDEE"]) == f"mailto:{SAM}" and str(component["ORGANIZER"]) == f"mailto:{DANA}"
    moved = ours.update(event.ref, replace(wanted, span=span(11, 13)))
    assert [listed(theirs[who], "Written by us")[0].icalendar_component.start for who in (DANA, SAM)] == [
        at(11, 13)
    ] * 2
    ours.cancel(moved.ref)
    assert [listed(theirs[who], "Written by us") for who in (DANA, SAM)] == [[], []]


def test_what_another_client_does_is_read_by_us(ours: CalDavCalendar, theirs: dict[str, Any]) -> None:
    """An event of its own, an answer to our invitation, a move, and a deletion."""
    cursor = ours.changes(DANA, None, WINDOW).cursor
    theirs[DANA].add_event(dtstart=at(5, 9), dtend=at(5, 10), summary="Written by them")
    assert [event.span for event in ours.changes(DANA, cursor, WINDOW).events] == [span(5, 9)]
    assert span(5, 9) in [busy.span for busy in ours.free_busy([DANA], WINDOW)[DANA].busy]

    wanted = draft(DANA, SAM, subject="To be answered")
    ours.create(DANA, wanted)
    cursor = ours.changes(DANA, None, WINDOW).cursor
    [invitation] = listed(theirs[SAM], "To be answered")
    invitation.icalendar_component["ATTENDEE"].params["PARTSTAT"] = "ACCEPTED"
    invitation.save(increase_seqno=False)
    changes = ours.changes(DANA, cursor, WINDOW)
    assert [event.answers for event in changes.events] == [{SAM: Answer.ACCEPTED}]

    [event] = listed(theirs[DANA], "To be answered")
    for name in ("DTSTART", "DTEND"):
        event.icalendar_component[name].dt += timedelta(days=1)
    event.save()
    changes = ours.changes(DANA, changes.cursor, WINDOW)
    next_day = Span(wanted.span.start + timedelta(days=1), wanted.span.end + timedelta(days=1))
    assert [(event.span, event.answers) for event in changes.events] == [(next_day, {SAM: Answer.NEEDS_ACTION})]
    assert [event.icalendar_component.start for event in listed(theirs[SAM], "To be answered")] == [at(10, 10)]

    listed(theirs[DANA], "To be answered")[0].delete()
    changes = ours.changes(DANA, changes.cursor, WINDOW)
    assert len(changes.deleted_ids) == 1 and listed(theirs[SAM], "To be answered") == []
