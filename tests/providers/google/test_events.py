"""Events at Google, rule by rule: ids, links, guests, versions, and who somebody is."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.doubles.google import Google, GoogleHands
from tests.support.drafts import WINDOW, draft, span
from tests.support.google import DELETE, GET, INSERT, PATCH, calls, connect, google_times, methods
from worker.domain.model import Answer, ShowAs
from worker.errors import Conflict, Forbidden, Permanent, Unavailable
from worker.providers.google import calendar as google
from worker.providers.google import events
from worker.providers.google.calendar import GoogleCalendar

# --- events (1.2 to 1.8) --------------------------------------------------------------------------------------------


def test_1_2_the_id_is_ours_and_of_the_letters_google_takes(provider: GoogleCalendar, hands: GoogleHands) -> None:
    for key in ("s1.1", "ü/ß #1.12", "x" * 100):
        name = events.make_event_id(key)
        assert set(name) <= set("0123456789abcdefghijklmnopqrstuv") and events.decode_key(name) == key
    assert events.decode_key("longarc") is events.decode_key("longarc0") is events.decode_key("abcde") is None
    dana = hands.person()
    assert provider.create(dana, draft(dana, key="s7.1")).ref.id == events.make_event_id("s7.1")
    with pytest.raises(Permanent):
        provider.create(dana, draft(dana, key="ü" * 400))


def test_1_2_an_id_that_is_taken_is_read_back(double: Google, provider: GoogleCalendar, hands: GoogleHands) -> None:
    dana = hands.person()
    wanted = draft(dana)
    first = provider.create(dana, wanted)
    assert provider.create(dana, wanted) == first
    assert methods(double) == [INSERT, INSERT, GET]


def test_1_2_an_id_that_was_cancelled_is_never_used_again(provider: GoogleCalendar, hands: GoogleHands) -> None:
    """It stays reserved for ever; the next generation of the key has another one."""
    dana = hands.person()
    wanted = draft(dana, key="s1.1")
    provider.cancel(provider.create(dana, wanted).ref)
    with pytest.raises(Conflict, match="cancelled"):
        provider.create(dana, wanted)
    assert provider.create(dana, replace(wanted, key="s1.2")).key == "s1.2"


def test_an_id_that_somebody_else_took_is_left_to_them(provider: GoogleCalendar, hands: GoogleHands) -> None:
    dana = hands.person()
    wanted = draft(dana)
    name = hands.insert(dana, id=events.make_event_id(wanted.key), **google_times(span(3, 9)))
    with pytest.raises(Conflict, match="Longarc did not create"):
        provider.create(dana, wanted)
    [theirs] = provider.changes(dana, None, WINDOW).events
    assert theirs.key is None and theirs.ref.id == name
    for act in (lambda: provider.update(theirs.ref, wanted), lambda: provider.cancel(theirs.ref)):
        with pytest.raises(Forbidden):
            act()
    assert provider.find(dana, wanted.key) is None


def test_1_2_taken_and_not_shown_yet_is_looked_at_later(
    double: Google, provider: GoogleCalendar, hands: GoogleHands
) -> None:
    dana = hands.person()
    double.faults.add(INSERT, "duplicate")
    with pytest.raises(Unavailable, match="does not show it yet"):
        provider.create(dana, draft(dana))


def test_1_3_the_event_is_private_and_says_what_it_has_to(
    double: Google, provider: GoogleCalendar, hands: GoogleHands
) -> None:
    """R-23: nobody but the two sees what it is; guests don't change it; our key stands in one private property."""
    dana, sam = hands.person(), hands.person()
    wanted = draft(dana, sam, reminders=(60, 15))
    event = provider.create(dana, wanted)
    stored = hands.get(dana, event.ref.id)
    assert stored["visibility"] == "private" and "guestsCanModify" not in stored
    assert stored["guestsCanInviteOthers"] is False
    assert stored["extendedProperties"] == {"private": {"longarcKey": wanted.key}}
    assert [one["minutes"] for one in stored["reminders"]["overrides"]] == [60, 15]
    assert "extendedProperties" not in hands.get(sam, event.ref.id)
    [call] = calls(double, INSERT)
    assert call.query["sendUpdates"] == "all"


@pytest.mark.parametrize(("quiet", "told"), [(True, 0), (False, 1)])
def test_1_4_a_quiet_cancel_sends_the_guests_no_mail(
    double: Google, provider: GoogleCalendar, hands: GoogleHands, quiet: bool, told: int
) -> None:
    dana, sam = hands.person(), hands.person()
    event = provider.create(dana, draft(dana, sam))
    before = len(double.calendars.notices)
    provider.cancel(event.ref, quiet=quiet)
    assert len(double.calendars.notices) - before == told
    assert hands.get(sam, event.ref.id)["status"] == "cancelled"


def test_1_3_more_reminders_than_google_takes_are_left_out(provider: GoogleCalendar, hands: GoogleHands) -> None:
    dana = hands.person()
    event = provider.create(dana, draft(dana, reminders=(60, 50, 40, 30, 20, 10)))
    assert len(hands.get(dana, event.ref.id)["reminders"]["overrides"]) == 5


def test_1_3_a_meet_link_is_asked_for_with_its_version(provider: GoogleCalendar, hands: GoogleHands) -> None:
    dana = hands.person()
    plain = provider.create(dana, draft(dana))
    assert "hangoutLink" not in hands.get(dana, plain.ref.id)
    linked = provider.create(dana, wanted := draft(dana, video=True))
    link = hands.get(dana, linked.ref.id)["hangoutLink"]
    moved = provider.update(linked.ref, replace(wanted, span=span(11, 10)))
    assert hands.get(dana, moved.ref.id)["hangoutLink"] == link


@pytest.fixture(name="told")
def notices() -> list[tuple[str, str]]:
    return []


@pytest.fixture(name="telling")
def provider_that_tells(section: dict[str, Any], told: list[tuple[str, str]]) -> Iterator[GoogleCalendar]:
    calendar = google.build_calendar({**section, "alert_operator": lambda cause, words: told.append((cause, words))})
    yield calendar
    calendar.close()


def test_1_12_where_meet_is_not_offered_it_is_booked_without(
    double: Google, telling: GoogleCalendar, hands: GoogleHands, told: list[tuple[str, str]]
) -> None:
    """The conversation matters more than its link; the operator hears of it, by one cause for the whole company."""
    dana, sam = hands.person(), hands.person()
    double.calendars.without_meet.add(dana)
    wanted = draft(dana, sam, video=True)
    event = telling.create(dana, wanted)
    assert event.answers == {sam: Answer.NEEDS_ACTION} and "hangoutLink" not in hands.get(dana, event.ref.id)
    moved = telling.update(event.ref, replace(wanted, span=span(11, 10)))
    assert moved.span == span(11, 10)
    assert {cause for cause, _ in told} == {"google-meet"}
    assert dana in told[0][1] and "admin.google.com" in told[0][1] and "\n" not in told[0][1]


def test_1_3_a_meet_link_that_is_still_being_made_is_left_alone(
    double: Google, telling: GoogleCalendar, hands: GoogleHands, told: list[tuple[str, str]]
) -> None:
    """It comes later and moves the version; a change meanwhile neither asks for a second one nor loses it."""
    double.calendars.meet_takes_time = True
    dana = hands.person()
    event = telling.create(dana, wanted := draft(dana, video=True))
    assert "hangoutLink" not in hands.get(dana, event.ref.id)
    moved = telling.update(event.ref, replace(wanted, span=span(11, 10)))
    double.calendars.finish_meet()
    link = hands.get(dana, event.ref.id)["hangoutLink"]
    with pytest.raises(Conflict):
        telling.update(moved.ref, replace(wanted, span=span(12, 10)))
    seen = telling.find(dana, wanted.key)
    assert seen is not None and seen.ref.etag != moved.ref.etag
    telling.update(seen.ref, replace(wanted, span=span(12, 10)))
    assert hands.get(dana, event.ref.id)["hangoutLink"] == link and told == []


def test_another_refusal_of_an_event_is_none_of_its_link(
    double: Google, telling: GoogleCalendar, hands: GoogleHands, told: list[tuple[str, str]]
) -> None:
    double.faults.add(INSERT, "invalid", status=400, message="Invalid value for description.")
    with pytest.raises(Forbidden):
        telling.create(dana := hands.person(), draft(dana, video=True))
    assert methods(double) == [INSERT] and told == []


def test_1_3_a_guest_away_declines_at_once(provider: GoogleCalendar, hands: GoogleHands) -> None:
    """The answer is in what the insert gives back."""
    dana, sam = hands.person(), hands.person()
    mode = {"autoDeclineMode": "declineAllConflictingInvitations"}
    hands.insert(sam, **google_times(span(9, 8, 600)), eventType="outOfOffice", outOfOfficeProperties=mode)
    assert provider.create(dana, draft(dana, sam)).answers == {sam: Answer.DECLINED}


def test_1_4_guests_hear_of_every_write_once(double: Google, provider: GoogleCalendar, hands: GoogleHands) -> None:
    dana, sam = hands.person(), hands.person()
    wanted = draft(dana, sam)
    event = provider.create(dana, wanted)
    moved = provider.update(event.ref, replace(wanted, span=span(11, 13)))
    provider.cancel(moved.ref)
    told = [(notice.kind, notice.to) for notice in double.calendars.notices]
    assert told == [("invitation", sam), ("update", sam), ("cancellation", sam)]


def test_1_7_every_change_carries_the_version_it_expects(
    double: Google, provider: GoogleCalendar, hands: GoogleHands
) -> None:
    dana = hands.person()
    event = provider.create(dana, wanted := draft(dana))
    moved = provider.update(event.ref, replace(wanted, span=span(11, 13)))
    provider.cancel(replace(moved.ref, etag=""))
    assert [call.if_match for method in (PATCH, DELETE) for call in calls(double, method)] == [
        event.ref.etag,
        moved.ref.etag,
    ]


@pytest.mark.parametrize("method", [PATCH, DELETE])
def test_1_7_a_version_that_changed_in_between_is_a_conflict(
    double: Google, provider: GoogleCalendar, hands: GoogleHands, method: str
) -> None:
    """Between our look and our write."""
    dana = hands.person()
    event = provider.create(dana, wanted := draft(dana))
    double.faults.add(method, "conditionNotMet")
    with pytest.raises(Conflict):
        if method == PATCH:
            provider.update(event.ref, replace(wanted, span=span(11, 13)))
        else:
            provider.cancel(event.ref)
    assert provider.find(dana, wanted.key) == event


def test_an_update_that_got_through_before_is_not_done_twice(
    double: Google, provider: GoogleCalendar, hands: GoogleHands
) -> None:
    dana, sam = hands.person(), hands.person()
    event = provider.create(dana, wanted := draft(dana, sam))
    double.faults.add(PATCH, "backendError", after=True)
    later = replace(wanted, span=span(11, 13))
    with pytest.raises(Unavailable) as caught:
        provider.update(event.ref, later)
    assert caught.value.uncertain
    assert provider.update(event.ref, later).span == later.span
    assert methods(double).count(PATCH) == 1


def test_a_room_that_people_added_stays(provider: GoogleCalendar, hands: GoogleHands) -> None:
    """R-9: what people did is not undone."""
    dana, sam = hands.person(), hands.person()
    event = provider.create(dana, wanted := draft(dana, sam))
    room = {"email": "room4@example.org", "resource": True, "responseStatus": "accepted"}
    hands.patch(dana, event.ref.id, attendees=[{"email": sam}, room])
    seen = provider.find(dana, wanted.key)
    assert seen is not None
    moved = provider.update(seen.ref, replace(wanted, span=span(11, 13)))
    assert [one["email"] for one in hands.get(dana, moved.ref.id)["attendees"]] == [sam, "room4@example.org"]
    assert moved.answers == {sam: Answer.NEEDS_ACTION}


def test_guests_that_people_added_stay_as_they_were_added(
    double: Google, provider: GoogleCalendar, hands: GoogleHands
) -> None:
    """R-9: neither a change of words nor a move drops anybody, tells anybody that they are uninvited, or loses what
    people wrote about a guest."""
    dana, sam, kim = hands.person(), hands.person(), hands.person()
    event = provider.create(dana, wanted := draft(dana, sam))
    added = {"email": kim, "optional": True, "comment": "Maybe late", "additionalGuests": 2, "displayName": "Kim K."}
    coach = {"email": "coach@elsewhere.example", "responseStatus": "accepted", "optional": True}
    hands.patch(dana, event.ref.id, attendees=[{"email": sam, "comment": "Looking forward"}, added, coach])
    for change in ({"subject": "Talk"}, {"subject": "Talk", "span": span(11, 13)}):
        seen = provider.find(dana, wanted.key)
        assert seen is not None
        changed = provider.update(seen.ref, replace(wanted, **change))
        guests = {one["email"]: one for one in hands.get(dana, changed.ref.id)["attendees"]}
        assert guests[kim].items() >= added.items()
        assert guests[sam]["comment"] == "Looking forward" and guests[coach["email"]]["optional"] is True
    assert set(changed.answers.values()) == {Answer.NEEDS_ACTION}, "who was asked anew is everybody"
    assert not [notice for notice in double.calendars.notices if notice.kind == "cancellation"]


def test_an_update_that_changes_no_guest_writes_none(
    double: Google, provider: GoogleCalendar, hands: GoogleHands
) -> None:
    dana, sam = hands.person(), hands.person()
    event = provider.create(dana, wanted := draft(dana, sam))
    provider.update(event.ref, replace(wanted, subject="Talk"))
    assert ["attendees" in call.body for call in calls(double, PATCH)] == [False]


# --- who somebody is ------------------------------------------------------------------------------------------------


@pytest.fixture(name="aliased")
def hands_of_aliases(double: Google) -> GoogleHands:
    return GoogleHands(double.calendars, aliased=True)


def test_an_update_uninvites_nobody_whom_google_calls_otherwise(
    double: Google, section: dict[str, Any], aliased: GoogleHands
) -> None:
    """Not even by a process that knows nothing of their other name: the answer stays while the time does, nobody is
    told of a cancellation, and the name is learned with the next invitation."""
    dana, sam = aliased.person(), aliased.person()
    event = google.build_calendar(section).create(dana, wanted := draft(dana, sam))
    aliased.answer(dana, sam, wanted.key, Answer.ACCEPTED)
    later = google.build_calendar(section)  # another process, which has learned nothing
    seen = later.find(dana, wanted.key)
    assert seen is not None and seen.ref.id == event.ref.id
    renamed = later.update(seen.ref, replace(wanted, subject="Talk"))
    assert list(renamed.answers.values()) == [Answer.ACCEPTED]
    moved = later.update(renamed.ref, replace(wanted, span=span(11, 13)))
    assert moved.answers == {sam: Answer.NEEDS_ACTION}
    assert [notice.kind for notice in double.calendars.notices if notice.to == sam][:1] == ["invitation"]
    assert "cancellation" not in {notice.kind for notice in double.calendars.notices}
    assert [one["email"] for one in aliased.get(dana, event.ref.id)["attendees"]] == [aliased.shown_as(sam)]


def test_another_guest_is_not_taken_for_ours(provider: GoogleCalendar, hands: GoogleHands) -> None:
    """The manager put somebody else in our guest's place: that is no other name of our guest."""
    dana, sam = hands.person(), hands.person()
    event = provider.create(dana, wanted := draft(dana, sam))
    hands.patch(dana, event.ref.id, attendees=[{"email": "max@elsewhere.example"}])
    seen = provider.find(dana, wanted.key)
    assert seen is not None
    moved = provider.update(seen.ref, replace(wanted, span=span(11, 13)))
    assert set(moved.answers) == {sam, "max@elsewhere.example"}


def test_our_event_is_told_apart_in_free_busy_of_whoever_google_calls_otherwise(
    double: Google, alone: dict[str, Any], aliased: GoogleHands
) -> None:
    dana, sam = aliased.person(), aliased.person()
    connect(double, alone, dana)
    provider = google.build_calendar(alone)
    wanted = draft(dana, sam)
    provider.create(dana, wanted)
    assert [busy.key for busy in provider.free_busy([sam], WINDOW)[sam].busy] == [wanted.key]


def test_a_copy_of_our_event_under_another_id_is_known_by_its_ical_uid() -> None:
    name = events.make_event_id("s7.1")
    copy = {"id": "_abc123", "iCalUID": f"{name}@google.com", "organizer": {"email": "dana@corp.example"}}
    assert events.read_key(copy) == "s7.1"
    assert events.read_show_as({**copy, "attendees": [{"self": True, "responseStatus": "needsAction"}]}) is ShowAs.BUSY
    assert events.read_key({**copy, "organizer": {"self": True}}) is None, "whoever organizes it, it is not ours"
