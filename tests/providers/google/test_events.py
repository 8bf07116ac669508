"""Our events at Google: ids, Meet links, guests, versions, and how people are recognized."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.doubles.google import Google, GoogleHands
from tests.support.drafts import WINDOW, draft, span  # `span(5, 9)` is 9:00-10:00 UTC on 5 March 2027
from tests.support.google import (
    EVENTS_DELETE,
    EVENTS_GET,
    EVENTS_INSERT,
    EVENTS_PATCH,
    calls_of,
    connect,
    google_times,
    requested_methods,
)
from worker.domain.model import Answer, ShowAs
from worker.errors import Conflict, Forbidden, Permanent, Unavailable
from worker.providers.google import calendar as google
from worker.providers.google import events
from worker.providers.google.calendar import GoogleCalendar

# --- events ---------------------------------------------------------------------------------------------------------


def test_event_id_encodes_the_key_in_characters_that_google_allows(
    provider: GoogleCalendar, hands: GoogleHands
) -> None:
    for key in ("s1.1", "ü/ß #1.12", "x" * 100):
        event_id = events.make_event_id(key)
        assert set(event_id) <= set("0123456789abcdefghijklmnopqrstuv") and events.decode_key(event_id) == key
    # ids that are not of our events
    assert events.decode_key("longarc") is events.decode_key("longarc0") is events.decode_key("abcde") is None
    dana = hands.person()
    assert provider.create(dana, draft(dana, key="s7.1")).ref.id == events.make_event_id("s7.1")
    with pytest.raises(Permanent):
        provider.create(dana, draft(dana, key="ü" * 400))  # too long for an id


def test_create_with_an_existing_id_returns_the_existing_event(
    double: Google, provider: GoogleCalendar, hands: GoogleHands
) -> None:
    dana = hands.person()
    event_draft = draft(dana)
    event = provider.create(dana, event_draft)
    assert provider.create(dana, event_draft) == event
    assert requested_methods(double) == [EVENTS_INSERT, EVENTS_INSERT, EVENTS_GET]


def test_id_of_a_cancelled_event_cannot_be_used_again(provider: GoogleCalendar, hands: GoogleHands) -> None:
    """Google keeps the id for ever. The next generation of the key results in another id."""
    dana = hands.person()
    event_draft = draft(dana, key="s1.1")
    provider.cancel(provider.create(dana, event_draft).ref)
    with pytest.raises(Conflict, match="cancelled"):
        provider.create(dana, event_draft)
    assert provider.create(dana, replace(event_draft, key="s1.2")).key == "s1.2"


def test_event_of_another_program_with_our_id_is_not_changed(provider: GoogleCalendar, hands: GoogleHands) -> None:
    dana = hands.person()
    event_draft = draft(dana)
    other_id = hands.insert(dana, id=events.make_event_id(event_draft.key), **google_times(span(3, 9)))
    with pytest.raises(Conflict, match="Longarc did not create"):
        provider.create(dana, event_draft)
    [other_event] = provider.changes(dana, None, WINDOW).events
    assert other_event.key is None and other_event.ref.id == other_id
    for change_event in (
        lambda: provider.update(other_event.ref, event_draft),
        lambda: provider.cancel(other_event.ref),
    ):
        with pytest.raises(Forbidden):
            change_event()
    assert provider.find(dana, event_draft.key) is None


def test_existing_event_that_google_does_not_show_yet_is_unavailable(
    double: Google, provider: GoogleCalendar, hands: GoogleHands
) -> None:
    dana = hands.person()
    double.faults.add(EVENTS_INSERT, "duplicate")
    with pytest.raises(Unavailable, match="does not show it yet"):
        provider.create(dana, draft(dana))


def test_event_is_private_and_stores_the_key_in_a_private_property(
    double: Google, provider: GoogleCalendar, hands: GoogleHands
) -> None:
    """R-23, content is confidential: only the two people see what the event is. Guests may not change it."""
    dana, sam = hands.person(), hands.person()
    event_draft = draft(dana, sam, reminders=(60, 15))
    event = provider.create(dana, event_draft)
    item = hands.get(dana, event.ref.id)
    assert item["visibility"] == "private" and "guestsCanModify" not in item
    assert item["guestsCanInviteOthers"] is False
    assert item["extendedProperties"] == {"private": {"longarcKey": event_draft.key}}
    assert [reminder["minutes"] for reminder in item["reminders"]["overrides"]] == [60, 15]
    assert "extendedProperties" not in hands.get(sam, event.ref.id)
    [call] = calls_of(double, EVENTS_INSERT)
    assert call.query["sendUpdates"] == "all"


@pytest.mark.parametrize(("quiet", "notice_count"), [(True, 0), (False, 1)])
def test_quiet_cancel_sends_no_mail_to_the_guests(
    double: Google, provider: GoogleCalendar, hands: GoogleHands, quiet: bool, notice_count: int
) -> None:
    dana, sam = hands.person(), hands.person()
    event = provider.create(dana, draft(dana, sam))
    count_before = len(double.calendars.notices)
    provider.cancel(event.ref, quiet=quiet)
    assert len(double.calendars.notices) - count_before == notice_count
    assert hands.get(sam, event.ref.id)["status"] == "cancelled"


def test_event_has_at_most_the_five_reminders_that_google_accepts(provider: GoogleCalendar, hands: GoogleHands) -> None:
    dana = hands.person()
    event = provider.create(dana, draft(dana, reminders=(60, 50, 40, 30, 20, 10)))
    assert len(hands.get(dana, event.ref.id)["reminders"]["overrides"]) == 5


def test_meet_link_is_created_and_kept_when_the_event_moves(provider: GoogleCalendar, hands: GoogleHands) -> None:
    dana = hands.person()
    event_without_link = provider.create(dana, draft(dana))
    assert "hangoutLink" not in hands.get(dana, event_without_link.ref.id)
    event_with_link = provider.create(dana, event_draft := draft(dana, video=True))
    link = hands.get(dana, event_with_link.ref.id)["hangoutLink"]
    moved_event = provider.update(event_with_link.ref, replace(event_draft, span=span(11, 10)))
    assert hands.get(dana, moved_event.ref.id)["hangoutLink"] == link


@pytest.fixture
def alerts() -> list[tuple[str, str]]:
    """The operator alerts of `alerting_provider`: cause and text of each."""
    return []


@pytest.fixture
def alerting_provider(section: dict[str, Any], alerts: list[tuple[str, str]]) -> Iterator[GoogleCalendar]:
    calendar = google.build_calendar({**section, "alert_operator": lambda cause, text: alerts.append((cause, text))})
    yield calendar
    calendar.close()


def test_event_is_created_without_a_link_where_meet_is_not_offered(
    double: Google, alerting_provider: GoogleCalendar, hands: GoogleHands, alerts: list[tuple[str, str]]
) -> None:
    """The conversation matters more than its link. The operator gets an alert, with one cause for the whole company."""
    dana, sam = hands.person(), hands.person()
    double.calendars.without_meet.add(dana)
    event_draft = draft(dana, sam, video=True)
    event = alerting_provider.create(dana, event_draft)
    assert event.answers == {sam: Answer.NEEDS_ACTION} and "hangoutLink" not in hands.get(dana, event.ref.id)
    moved_event = alerting_provider.update(event.ref, replace(event_draft, span=span(11, 10)))
    assert moved_event.span == span(11, 10)
    assert {cause for cause, _ in alerts} == {"google-meet"}
    assert dana in alerts[0][1] and "admin.google.com" in alerts[0][1] and "\n" not in alerts[0][1]


def test_meet_link_that_is_added_later_is_kept(
    double: Google, alerting_provider: GoogleCalendar, hands: GoogleHands, alerts: list[tuple[str, str]]
) -> None:
    """Google adds the link later, which changes the event's version. An update before that requests no second link."""
    double.calendars.meet_takes_time = True
    dana = hands.person()
    event = alerting_provider.create(dana, event_draft := draft(dana, video=True))
    assert "hangoutLink" not in hands.get(dana, event.ref.id)
    moved_event = alerting_provider.update(event.ref, replace(event_draft, span=span(11, 10)))
    double.calendars.finish_meet()
    link = hands.get(dana, event.ref.id)["hangoutLink"]
    with pytest.raises(Conflict):
        alerting_provider.update(moved_event.ref, replace(event_draft, span=span(12, 10)))
    event_now = alerting_provider.find(dana, event_draft.key)
    assert event_now is not None and event_now.ref.etag != moved_event.ref.etag
    alerting_provider.update(event_now.ref, replace(event_draft, span=span(12, 10)))
    assert hands.get(dana, event.ref.id)["hangoutLink"] == link and alerts == []


def test_other_refusal_of_an_event_is_not_taken_for_a_missing_meet_link(
    double: Google, alerting_provider: GoogleCalendar, hands: GoogleHands, alerts: list[tuple[str, str]]
) -> None:
    double.faults.add(EVENTS_INSERT, "invalid", status=400, message="Invalid value for description.")
    with pytest.raises(Forbidden):
        alerting_provider.create(dana := hands.person(), draft(dana, video=True))
    assert requested_methods(double) == [EVENTS_INSERT] and alerts == []


def test_automatic_decline_of_an_absent_guest_is_in_the_created_event(
    provider: GoogleCalendar, hands: GoogleHands
) -> None:
    dana, sam = hands.person(), hands.person()
    properties = {"autoDeclineMode": "declineAllConflictingInvitations"}
    hands.insert(sam, **google_times(span(9, 8, 600)), eventType="outOfOffice", outOfOfficeProperties=properties)
    assert provider.create(dana, draft(dana, sam)).answers == {sam: Answer.DECLINED}


def test_guest_gets_one_mail_for_each_write(double: Google, provider: GoogleCalendar, hands: GoogleHands) -> None:
    dana, sam = hands.person(), hands.person()
    event_draft = draft(dana, sam)
    event = provider.create(dana, event_draft)
    moved_event = provider.update(event.ref, replace(event_draft, span=span(11, 13)))
    provider.cancel(moved_event.ref)
    notices = [(notice.kind, notice.to) for notice in double.calendars.notices]
    assert notices == [("invitation", sam), ("update", sam), ("cancellation", sam)]


def test_update_and_cancel_send_the_etag_of_the_event(
    double: Google, provider: GoogleCalendar, hands: GoogleHands
) -> None:
    dana = hands.person()
    event = provider.create(dana, event_draft := draft(dana))
    moved_event = provider.update(event.ref, replace(event_draft, span=span(11, 13)))
    provider.cancel(replace(moved_event.ref, etag=""))  # without an etag, the one of the event as read is sent
    assert [call.if_match for method in (EVENTS_PATCH, EVENTS_DELETE) for call in calls_of(double, method)] == [
        event.ref.etag,
        moved_event.ref.etag,
    ]


@pytest.mark.parametrize("method", [EVENTS_PATCH, EVENTS_DELETE])
def test_change_between_our_read_and_our_write_is_a_conflict(
    double: Google, provider: GoogleCalendar, hands: GoogleHands, method: str
) -> None:
    dana = hands.person()
    event = provider.create(dana, event_draft := draft(dana))
    double.faults.add(method, "conditionNotMet")
    with pytest.raises(Conflict):
        if method == EVENTS_PATCH:
            provider.update(event.ref, replace(event_draft, span=span(11, 13)))
        else:
            provider.cancel(event.ref)
    assert provider.find(dana, event_draft.key) == event


def test_update_that_took_effect_without_an_answer_is_not_repeated(
    double: Google, provider: GoogleCalendar, hands: GoogleHands
) -> None:
    dana, sam = hands.person(), hands.person()
    event = provider.create(dana, event_draft := draft(dana, sam))
    double.faults.add(EVENTS_PATCH, "backendError", after=True)
    moved_draft = replace(event_draft, span=span(11, 13))
    with pytest.raises(Unavailable) as error_info:
        provider.update(event.ref, moved_draft)
    assert error_info.value.uncertain
    assert provider.update(event.ref, moved_draft).span == moved_draft.span
    assert requested_methods(double).count(EVENTS_PATCH) == 1


def test_room_that_people_added_stays(provider: GoogleCalendar, hands: GoogleHands) -> None:
    """R-9, what people change is respected."""
    dana, sam = hands.person(), hands.person()
    event = provider.create(dana, event_draft := draft(dana, sam))
    room = {"email": "room4@example.org", "resource": True, "responseStatus": "accepted"}
    hands.patch(dana, event.ref.id, attendees=[{"email": sam}, room])
    event_now = provider.find(dana, event_draft.key)
    assert event_now is not None
    moved_event = provider.update(event_now.ref, replace(event_draft, span=span(11, 13)))
    assert [attendee["email"] for attendee in hands.get(dana, moved_event.ref.id)["attendees"]] == [
        sam,
        "room4@example.org",
    ]
    assert moved_event.answers == {sam: Answer.NEEDS_ACTION}


def test_guests_whom_people_added_stay_unchanged(double: Google, provider: GoogleCalendar, hands: GoogleHands) -> None:
    """R-9, what people change is respected: neither a new title nor a move removes a guest, sends a
    cancellation, or loses what people wrote."""
    dana, sam, kim = hands.person(), hands.person(), hands.person()
    event = provider.create(dana, event_draft := draft(dana, sam))
    guest_kim = {
        "email": kim,
        "optional": True,
        "comment": "Maybe late",
        "additionalGuests": 2,
        "displayName": "Kim K.",
    }
    coach = {"email": "coach@elsewhere.example", "responseStatus": "accepted", "optional": True}
    hands.patch(dana, event.ref.id, attendees=[{"email": sam, "comment": "Looking forward"}, guest_kim, coach])
    for change in ({"title": "Talk"}, {"title": "Talk", "span": span(11, 13)}):
        event_now = provider.find(dana, event_draft.key)
        assert event_now is not None
        changed_event = provider.update(event_now.ref, replace(event_draft, **change))
        guests = {attendee["email"]: attendee for attendee in hands.get(dana, changed_event.ref.id)["attendees"]}
        assert guests[kim].items() >= guest_kim.items()
        assert guests[sam]["comment"] == "Looking forward" and guests[coach["email"]]["optional"] is True
    assert set(changed_event.answers.values()) == {Answer.NEEDS_ACTION}, (
        "the move did not reset the answers of all guests"
    )
    assert not [notice for notice in double.calendars.notices if notice.kind == "cancellation"]


def test_update_of_the_title_writes_no_guests(double: Google, provider: GoogleCalendar, hands: GoogleHands) -> None:
    dana, sam = hands.person(), hands.person()
    event = provider.create(dana, event_draft := draft(dana, sam))
    provider.update(event.ref, replace(event_draft, title="Talk"))
    assert ["attendees" in call.body for call in calls_of(double, EVENTS_PATCH)] == [False]


# --- addresses of people --------------------------------------------------------------------------------------------


@pytest.fixture
def aliasing_hands(double: Google) -> GoogleHands:
    """Hands that add people whom Google names by another address."""
    return GoogleHands(double.calendars, aliased=True)


def test_update_keeps_a_guest_whom_google_names_by_another_address(
    double: Google, section: dict[str, Any], aliasing_hands: GoogleHands
) -> None:
    """Also in a process that does not know the other address: the answer stays while the time does, nobody gets a
    cancellation, and the next invitation shows the other address."""
    dana, sam = aliasing_hands.person(), aliasing_hands.person()
    event = google.build_calendar(section).create(dana, event_draft := draft(dana, sam))
    aliasing_hands.answer(dana, sam, event_draft.key, Answer.ACCEPTED)
    new_provider = google.build_calendar(section)  # another process, which knows no other address
    event_now = new_provider.find(dana, event_draft.key)
    assert event_now is not None and event_now.ref.id == event.ref.id
    renamed_event = new_provider.update(event_now.ref, replace(event_draft, title="Talk"))
    assert list(renamed_event.answers.values()) == [Answer.ACCEPTED]
    moved_event = new_provider.update(renamed_event.ref, replace(event_draft, span=span(11, 13)))
    assert moved_event.answers == {sam: Answer.NEEDS_ACTION}
    assert [notice.kind for notice in double.calendars.notices if notice.to == sam][:1] == ["invitation"]
    assert "cancellation" not in {notice.kind for notice in double.calendars.notices}
    assert [attendee["email"] for attendee in aliasing_hands.get(dana, event.ref.id)["attendees"]] == [
        aliasing_hands.shown_as(sam)
    ]


def test_guest_who_replaced_our_guest_does_not_count_as_our_guest(provider: GoogleCalendar, hands: GoogleHands) -> None:
    """The manager has replaced our guest. The new address is no other address of our guest."""
    dana, sam = hands.person(), hands.person()
    event = provider.create(dana, event_draft := draft(dana, sam))
    hands.patch(dana, event.ref.id, attendees=[{"email": "max@elsewhere.example"}])
    event_now = provider.find(dana, event_draft.key)
    assert event_now is not None
    moved_event = provider.update(event_now.ref, replace(event_draft, span=span(11, 13)))
    assert set(moved_event.answers) == {sam, "max@elsewhere.example"}


def test_our_event_is_recognized_in_free_busy_of_a_guest_with_another_address(
    double: Google, account_section: dict[str, Any], aliasing_hands: GoogleHands
) -> None:
    dana, sam = aliasing_hands.person(), aliasing_hands.person()
    connect(double, account_section, dana)
    provider = google.build_calendar(account_section)
    event_draft = draft(dana, sam)
    provider.create(dana, event_draft)
    assert [busy.key for busy in provider.free_busy([sam], WINDOW)[sam].busy] == [event_draft.key]


def test_copy_of_our_event_with_another_id_is_recognized_by_its_ical_uid() -> None:
    event_id = events.make_event_id("s7.1")
    copy = {"id": "_abc123", "iCalUID": f"{event_id}@google.com", "organizer": {"email": "dana@corp.example"}}
    assert events.read_key(copy) == "s7.1"
    assert events.read_show_as({**copy, "attendees": [{"self": True, "responseStatus": "needsAction"}]}) is ShowAs.BUSY
    # the organizer's own event without our tag is not ours
    assert events.read_key({**copy, "organizer": {"self": True}}) is None
