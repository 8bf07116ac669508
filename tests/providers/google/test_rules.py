"""What Google asks of its clients, rule by rule: each is broken by the double as the service would, and kept by us."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.google import Google, GoogleHands
from tests.support.companies import KEY
from tests.support.provider_contract import DAY, WINDOW, at, draft, letter, span
from worker.clock import SteppedClock, utcnow
from worker.domain.model import Answer, FreeBusy, ShowAs, Span
from worker.errors import (
    AuthRevoked,
    Conflict,
    Forbidden,
    InvalidResponse,
    NotFound,
    Permanent,
    ProviderError,
    RateLimited,
    Unavailable,
)
from worker.providers.google import calendar as google
from worker.providers.google import events, mail
from worker.providers.google.auth import (
    ACCOUNT_SCOPES,
    CALENDARS_READ_SCOPE,
    EVENTS_READ_SCOPE,
    GMAIL_SEND_SCOPE,
    OWNED_EVENTS_SCOPE,
    TokenFolder,
)
from worker.providers.google.calendar import GoogleCalendar
from worker.providers.google.mail import GmailMailer

LIST, INSERT, PATCH, DELETE, GET = (f"calendar.events.{one}" for one in ("list", "insert", "patch", "delete", "get"))
QUERY, SENDING = "calendar.freebusy.query", "gmail.users.messages.send"


@pytest.fixture
def double() -> Iterator[Google]:
    with Google() as running:
        running.tokens.granted = {OWNED_EVENTS_SCOPE, EVENTS_READ_SCOPE, GMAIL_SEND_SCOPE}
        yield running


@pytest.fixture(name="section")
def delegated(double: Google, tmp_path: Path) -> dict[str, Any]:
    file = tmp_path / "key.json"
    file.write_text(json.dumps(double.tokens.service_account()))
    return {**double.section, "service_account": str(file), "timeout": 2.0}


@pytest.fixture
def hands(double: Google) -> GoogleHands:
    return GoogleHands(double.calendars)


@pytest.fixture
def provider(section: dict[str, Any]) -> Iterator[GoogleCalendar]:
    calendar = google.build_calendar(section)
    yield calendar
    calendar.close()


@pytest.fixture
def mailer(double: Google, section: dict[str, Any]) -> Iterator[GmailMailer]:
    double.calendars.add_person("dana@example.org")
    made = mail.build_mailer({**section, **double.mail_section, "timeout": 2.0})
    yield made
    made.close()


@pytest.fixture(name="alone")
def own_account(double: Google, tmp_path: Path) -> dict[str, Any]:
    client, secret = double.tokens.client
    folder = {"token_folder": str(tmp_path / "tokens"), "keys": [KEY]}
    return {**double.section, **folder, "client_id": client, "password": secret}


def connect(double: Google, alone: dict[str, Any], who: str, *scopes: str) -> None:
    token = double.tokens.refresh_token(who, set(scopes or ACCOUNT_SCOPES))
    TokenFolder(Path(alone["token_folder"]), alone["keys"]).save(who, token)


def methods(double: Google) -> list[str]:
    return [asked.method for asked in double.asked]


def calls(double: Google, method: str) -> list[Any]:
    return [asked.call for asked in double.asked if asked.method == method]


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
    name = hands.insert(dana, id=events.make_event_id(wanted.key), **_at(span(3, 9)))
    with pytest.raises(Conflict, match="Longarc did not put there"):
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
    double.plan.add(INSERT, "duplicate")
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
    calendar = google.build_calendar({**section, "notices": lambda cause, words: told.append((cause, words))})
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
    double.plan.add(INSERT, "invalid", status=400, message="Invalid value for description.")
    with pytest.raises(Forbidden):
        telling.create(dana := hands.person(), draft(dana, video=True))
    assert methods(double) == [INSERT] and told == []


def test_1_3_a_guest_away_declines_at_once(provider: GoogleCalendar, hands: GoogleHands) -> None:
    """The answer is in what the insert gives back."""
    dana, sam = hands.person(), hands.person()
    mode = {"autoDeclineMode": "declineAllConflictingInvitations"}
    hands.insert(sam, **_at(span(9, 8, 600)), eventType="outOfOffice", outOfOfficeProperties=mode)
    assert provider.create(dana, draft(dana, sam)).answers == {sam: Answer.DECLINED}


def test_1_4_guests_hear_of_every_write_once(double: Google, provider: GoogleCalendar, hands: GoogleHands) -> None:
    dana, sam = hands.person(), hands.person()
    wanted = draft(dana, sam)
    event = provider.create(dana, wanted)
    moved = provider.update(event.ref, replace(wanted, span=span(11, 13)))
    provider.cancel(moved.ref)
    told = [(notice.what, notice.to) for notice in double.calendars.notices]
    assert told == [("invitation", sam), ("update", sam), ("cancellation", sam)]


def test_1_7_every_change_carries_the_version_it_expects(
    double: Google, provider: GoogleCalendar, hands: GoogleHands
) -> None:
    dana = hands.person()
    event = provider.create(dana, wanted := draft(dana))
    moved = provider.update(event.ref, replace(wanted, span=span(11, 13)))
    provider.cancel(replace(moved.ref, etag=""))
    assert [call.etag for method in (PATCH, DELETE) for call in calls(double, method)] == [
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
    double.plan.add(method, "conditionNotMet")
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
    double.plan.add(PATCH, "backendError", after=True)
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
    assert not [notice for notice in double.calendars.notices if notice.what == "cancellation"]


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
    assert [notice.what for notice in double.calendars.notices if notice.to == sam][:1] == ["invitation"]
    assert "cancellation" not in {notice.what for notice in double.calendars.notices}
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
    assert events.key_of(copy) == "s7.1"
    assert events.read_show({**copy, "attendees": [{"self": True, "responseStatus": "needsAction"}]}) is ShowAs.BUSY
    assert events.key_of({**copy, "organizer": {"self": True}}) is None, "whoever organizes it, it is not ours"


# --- what changed (1.6) ---------------------------------------------------------------------------------------------


def test_1_6_with_a_token_nothing_forbidden_is_asked(
    double: Google, provider: GoogleCalendar, hands: GoogleHands
) -> None:
    """The first pass bounds time; what follows may not. The double refuses both mixed and changed parameters."""
    dana = hands.person()
    cursor = provider.changes(dana, None, WINDOW).cursor
    provider.changes(dana, cursor, WINDOW)
    first, second = calls(double, LIST)
    assert "timeMin" in first.query and not {"timeMin", "timeMax", "orderBy"} & second.query.keys()
    assert first.query["singleEvents"] is second.query["singleEvents"] is False


@pytest.mark.parametrize("reason", ["fullSyncRequired", "updatedMinTooLongAgo"])
def test_1_6_a_dead_token_is_a_full_pass_at_once(
    double: Google, provider: GoogleCalendar, hands: GoogleHands, reason: str
) -> None:
    """Both reasons of a 410: it is neither success nor the end."""
    dana = hands.person()
    hands.add(dana, span(5, 14))
    cursor = provider.changes(dana, None, WINDOW).cursor
    double.plan.add(LIST, reason, status=410)
    changes = provider.changes(dana, cursor, WINDOW)
    assert changes.full and [event.span for event in changes.events] == [span(5, 14)]


def test_1_6_a_full_pass_that_is_called_gone_is_not_asked_for_ever(
    double: Google, provider: GoogleCalendar, hands: GoogleHands
) -> None:
    dana = hands.person()
    double.plan.add(LIST, "fullSyncRequired", times=99)
    with pytest.raises(InvalidResponse):
        provider.changes(dana, None, WINDOW)
    assert methods(double) == [LIST]


@pytest.mark.parametrize("empty", [False, True])
def test_1_6_pages_may_be_short_or_empty(
    double: Google, provider: GoogleCalendar, hands: GoogleHands, empty: bool
) -> None:
    """The token comes with the last page alone."""
    dana = hands.person()
    for day in range(1, 8):
        hands.add(dana, span(day, 14))
    double.calendars.page_size, double.calendars.empty_pages = 3, empty
    changes = provider.changes(dana, None, WINDOW)
    assert len(changes.events) == 7
    assert len(provider.free_busy([dana], WINDOW)[dana].busy) == 7
    hands.add(dana, span(9, 14))
    assert [event.span for event in provider.changes(dana, changes.cursor, WINDOW).events] == [span(9, 14)]


def test_1_6_both_kinds_of_cancelled_items(provider: GoogleCalendar, hands: GoogleHands) -> None:
    """A deleted event has only its id; a cancelled occurrence belongs to a series that lives on."""
    dana = hands.person()
    single, series = hands.add(dana, span(5, 14)), hands.add_daily(dana, span(8, 9, 30), times=3)
    cursor = provider.changes(dana, None, WINDOW).cursor
    hands.remove(dana, single)
    hands.cancel_occurrence(dana, series, 1)
    changes = provider.changes(dana, cursor, WINDOW)
    assert changes.gone == (single,)
    assert [event.span for event in changes.events] == [span(8, 9, 30), span(10, 9, 30)]


def test_1_6_what_vanished_is_known_by_its_absence_in_a_full_pass(
    double: Google, provider: GoogleCalendar, hands: GoogleHands
) -> None:
    dana = hands.person()
    kept, lost = hands.add(dana, span(5, 14)), hands.add(dana, span(6, 14))
    cursor = provider.changes(dana, None, WINDOW).cursor
    hands.remove(dana, lost)
    double.calendars.expire(dana)
    changes = provider.changes(dana, cursor, WINDOW)
    assert changes.full and changes.gone == () and [event.ref.id for event in changes.events] == [kept]


def test_1_8_a_moved_occurrence_is_where_it_was_moved_to_only(provider: GoogleCalendar, hands: GoogleHands) -> None:
    """On a series that has no end, whose rule alone would still have it at its old time."""
    dana = hands.person("Europe/Berlin")
    weekly = {"recurrence": ["RRULE:FREQ=WEEKLY;BYDAY=TU"]}
    local = {
        name: {"dateTime": f"2027-03-02T{hour}:00:00", "timeZone": "Europe/Berlin"}
        for name, hour in (("start", "10"), ("end", "11"))
    }
    series = hands.insert(dana, **local, **weekly)
    hands.patch(dana, f"{series}_20270309T090000Z", **_at(span(10, 15)))
    cursor = provider.changes(dana, None, WINDOW).cursor
    starts = [busy.span.start for busy in provider.free_busy([dana], WINDOW)[dana].busy]
    assert starts == [at(2, 9), at(10, 15), at(16, 9), at(23, 9), at(30, 8)]  # the clocks go forward on the 28th
    hands.patch(dana, f"{series}_20270316T090000Z", status="cancelled")
    changes = provider.changes(dana, cursor, WINDOW)
    assert [event.span.start for event in changes.events] == [at(2, 9), at(10, 15), at(23, 9), at(30, 8)]
    assert {event.series for event in changes.events} == {series}


def test_steady_state_is_one_request(double: Google, provider: GoogleCalendar, hands: GoogleHands) -> None:
    dana = hands.person()
    hands.add_daily(dana, span(8, 9, 30), times=3)
    cursor = provider.changes(dana, None, WINDOW).cursor
    double.asked.clear()
    for _ in range(3):
        cursor = provider.changes(dana, cursor, WINDOW).cursor
    assert methods(double) == [LIST] * 3


# --- how time counts ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ({"eventType": "outOfOffice"}, ShowAs.AWAY),
        ({"eventType": "focusTime"}, ShowAs.BUSY),
        ({"eventType": "workingLocation", "workingLocationProperties": {"type": "homeOffice"}}, None),
        ({"status": "tentative"}, ShowAs.TENTATIVE),
        ({"transparency": "transparent"}, None),
        ({"eventType": "focusTime", "transparency": "transparent"}, None),
        ({"start": {"date": "2027-03-05"}, "end": {"date": "2027-03-06"}}, ShowAs.AWAY),
        ({"start": {"date": "2027-03-05"}, "end": {"date": "2027-03-06"}, "transparency": "transparent"}, None),
    ],
)
def test_each_kind_of_event_counts_as_a_person_would(
    provider: GoogleCalendar, hands: GoogleHands, told: dict[str, Any], shown: ShowAs | None
) -> None:
    dana = hands.person()
    hands.insert(dana, **{**_at(span(5, 14)), **told})
    assert [busy.show for busy in provider.free_busy([dana], WINDOW)[dana].busy] == ([shown] if shown else [])
    assert [event.show for event in provider.changes(dana, None, WINDOW).events] == [shown]


def test_nothing_but_times_is_asked_of_a_report(double: Google, provider: GoogleCalendar, hands: GoogleHands) -> None:
    """No title, no text, no other person's address."""
    sam = hands.person()
    hands.add(sam, span(5, 14))
    provider.free_busy([sam], WINDOW)
    [call] = calls(double, LIST)
    assert call.scopes == {EVENTS_READ_SCOPE}
    assert not any(word in call.fields for word in ("summary", "description", "location", "email", "htmlLink"))


def test_fifty_people_are_read_in_one_request(double: Google, provider: GoogleCalendar, hands: GoogleHands) -> None:
    people = [hands.person() for _ in range(51)]
    found = provider.free_busy(people, WINDOW)
    assert all(one.known for one in found.values())
    assert (double.batches, sum(not asked.inside for asked in double.asked)) == (1, 1)
    assert provider.people_per_request == 50


def test_one_who_cannot_be_read_is_no_obstacle_to_the_others(
    double: Google, provider: GoogleCalendar, hands: GoogleHands
) -> None:
    people = [hands.person() for _ in range(3)]
    suspended = people[1]
    double.calendars.suspended.add(suspended)
    double.plan.add(LIST, "notFound", who=people[2])
    found = provider.free_busy(people, WINDOW)
    assert [found[who].known for who in people] == [True, False, False]
    assert "suspended" in found[suspended].reason


@pytest.mark.parametrize("reason", ["backendError", "userRateLimitExceeded"])
def test_who_cannot_be_read_just_now_waits_alone(
    double: Google, provider: GoogleCalendar, hands: GoogleHands, reason: str
) -> None:
    """T-2: unknown for now, and never free; everybody else in the batch is read."""
    people = [hands.person() for _ in range(3)]
    hands.add(people[0], span(5, 14))
    double.plan.add(LIST, reason, who=people[2])
    found = provider.free_busy(people, WINDOW)
    assert [(found[who].known, found[who].temporary) for who in people] == [(True, False), (True, False), (False, True)]
    assert [busy.span for busy in found[people[0]].busy] == [span(5, 14)]
    assert provider.free_busy(people, WINDOW)[people[2]].known


def test_who_is_unknown_for_good_is_not_waited_for(
    double: Google, provider: GoogleCalendar, hands: GoogleHands
) -> None:
    double.plan.add(LIST, "forbidden")
    person = hands.person()
    found = provider.free_busy([person], WINDOW)[person]
    assert not found.known and not found.temporary


def test_a_token_that_died_inside_a_batch_is_renewed(
    double: Google, provider: GoogleCalendar, hands: GoogleHands
) -> None:
    people = [hands.person() for _ in range(3)]
    provider.free_busy(people, WINDOW)
    double.tokens.forget()
    assert all(one.known for one in provider.free_busy(people, WINDOW).values())


# --- one manager's own account (1.10) -------------------------------------------------------------------------------


def test_1_10_others_are_asked_for_by_free_busy(double: Google, alone: dict[str, Any], hands: GoogleHands) -> None:
    dana, sam, kim = hands.person(), hands.person(), hands.person()
    connect(double, alone, dana)
    provider = google.build_calendar(alone)
    hands.add(sam, span(5, 14))
    hands.add(sam, span(5, 15), show=ShowAs.TENTATIVE)
    double.calendars.shelves[kim].hidden = True
    found = provider.free_busy([dana, sam, kim, "nobody@elsewhere.example"], WINDOW)
    assert [busy.span for busy in found[sam].busy] == [span(5, 14, 120)]
    assert found[dana] == FreeBusy()
    assert not found[kim].known and "not shared" in found[kim].reason
    assert not found["nobody@elsewhere.example"].known
    assert methods(double) == [LIST, QUERY]


def test_1_10_our_own_event_is_told_apart_inside_what_free_busy_merges(
    double: Google, alone: dict[str, Any], hands: GoogleHands
) -> None:
    """What is booked over it shows where it sticks out."""
    dana, sam = hands.person(), hands.person()
    connect(double, alone, dana)
    provider = google.build_calendar(alone)
    wanted = draft(dana, sam)  # 10:00 to 11:15 on the 9th
    provider.create(dana, wanted)
    assert [busy.key for busy in provider.free_busy([sam], WINDOW)[sam].busy] == [wanted.key]
    hands.add(sam, span(9, 11))
    busy = provider.free_busy([sam], WINDOW)[sam].busy
    assert [(one.span, one.key) for one in busy] == [
        (wanted.span, wanted.key),
        (Span(wanted.span.end, at(9, 12)), None),
    ]
    hands.answer(dana, sam, wanted.key, Answer.DECLINED)
    assert [one.key for one in provider.free_busy([sam], WINDOW)[sam].busy] == [None]


def test_1_10_fifty_people_and_two_months_at_a_time(double: Google, alone: dict[str, Any], hands: GoogleHands) -> None:
    """More of either Google refuses."""
    dana, *others = (hands.person() for _ in range(52))
    connect(double, alone, dana)
    hands.add(others[0], Span(at(1, 9) + 100 * DAY, at(1, 10) + 100 * DAY))
    found = google.build_calendar(alone).free_busy(others, Span(at(1, 0), at(1, 0) + 130 * DAY))
    assert all(one.known for one in found.values()) and len(found[others[0]].busy) == 1
    assert [len(call.body["items"]) for call in calls(double, QUERY)] == [50, 50, 50, 1, 1, 1]


def test_who_is_hidden_from_one_account_may_be_shown_to_another(
    double: Google, alone: dict[str, Any], hands: GoogleHands
) -> None:
    dana, kim, sam = hands.person(), hands.person(), hands.person()
    connect(double, alone, dana)
    connect(double, alone, kim)
    double.plan.add(QUERY, "backendError", who="nobody")
    assert google.build_calendar(alone).free_busy([sam], WINDOW)[sam].known


def test_without_the_managers_calendar_nobody_guesses_what_is_ours(
    double: Google, alone: dict[str, Any], hands: GoogleHands
) -> None:
    """Else our own event would look as if somebody had booked over it."""
    dana, sam = hands.person(), hands.person()
    connect(double, alone, dana)
    provider = google.build_calendar(alone)
    provider.create(dana, draft(dana, sam))
    double.tokens.revoke(dana)
    found = provider.free_busy([dana, sam], WINDOW)
    assert not found[dana].known and not found[sam].known
    assert found[sam].temporary and "can't be told" in found[sam].reason


# --- whose quota (1.12) ---------------------------------------------------------------------------------------------


def test_1_12_every_request_says_whose_quota_is_used(
    double: Google, provider: GoogleCalendar, mailer: GmailMailer, hands: GoogleHands
) -> None:
    """Parts of a batch, too; by a hash of at most forty letters that tells nobody who it is."""
    dana, sam = hands.person(), hands.person()
    event = provider.create(dana, wanted := draft(dana, sam))
    moved = provider.update(event.ref, replace(wanted, span=span(11, 13)))
    provider.changes(dana, provider.changes(dana, None, WINDOW).cursor, WINDOW)
    provider.free_busy([dana, sam], WINDOW)
    provider.cancel(moved.ref)
    mailer.send(letter("kim@example.org"), "m1")
    users = {(asked.who, asked.call.query["quotaUser"]) for asked in double.asked if asked.call}
    assert len(users) == len({who for who, _ in users}) == 3, "one for each person"
    assert all(0 < len(user) <= 40 and "@" not in user for _, user in users)


def test_1_12_what_names_a_person_for_the_quota_cannot_be_guessed(
    double: Google, section: dict[str, Any], hands: GoogleHands
) -> None:
    """It is hashed with the company's own key, and alike in all processes that have it."""
    dana = hands.person()
    for keys in ([KEY], [KEY], ["another"], []):
        google.build_calendar({**section, "keys": keys}).find(dana, "s1.1")
    first, same, other, bare = (call.query["quotaUser"] for call in calls(double, GET))
    assert first == same and len({first, other, bare}) == 3


def test_1_12_a_company_does_not_share_the_quota_of_one_user(
    double: Google, provider: GoogleCalendar, hands: GoogleHands
) -> None:
    """As many people as one user may have requests: each is asked with a quota of their own."""
    double.quota.per_user = 20
    people = [hands.person() for _ in range(30)]
    found = provider.free_busy(people, WINDOW)
    assert all(one.known for one in found.values())
    assert {len(times) for user, times in double.quota.used.items() if user} == {1}


def test_1_12_what_google_counts_and_what_is_paced_is_the_same(
    double: Google, section: dict[str, Any], hands: GoogleHands
) -> None:
    """Below the limit of one person nobody is refused, and above it Google is not even asked."""
    double.quota.per_user = 10
    provider = google.build_calendar({**section, "per_person": 10})
    dana, kim = hands.person(), hands.person()
    for person in [dana, kim] * 10:
        provider.find(person, "s1.1")
    with pytest.raises(RateLimited, match="limit of requests to Google"):
        provider.find(dana, "s1.1")


# --- throttling and faults (1.12) -----------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", ["userRateLimitExceeded", "rateLimitExceeded"])
@pytest.mark.parametrize("status", [403, 429])
def test_1_12_a_rate_limit_is_one_whatever_its_status(
    double: Google, provider: GoogleCalendar, hands: GoogleHands, reason: str, status: int
) -> None:
    dana = hands.person()
    double.plan.add(INSERT, reason, status=status, headers={"Retry-After": "17"})
    with pytest.raises(RateLimited) as caught:
        provider.create(dana, draft(dana))
    assert caught.value.retry_after == timedelta(seconds=17)
    assert methods(double) == [INSERT], "nobody tries by itself again"


@pytest.mark.parametrize("reason", ["quotaExceeded", "dailyLimitExceeded"])
def test_1_12_a_limit_of_the_day_waits_for_hours(
    double: Google, provider: GoogleCalendar, hands: GoogleHands, reason: str
) -> None:
    double.plan.add(INSERT, reason)
    with pytest.raises(RateLimited) as caught:
        provider.create(dana := hands.person(), draft(dana))
    assert caught.value.retry_after is not None and caught.value.retry_after >= timedelta(hours=1)


@pytest.mark.parametrize(
    ("reason", "expected", "says"),
    [
        ("forbidden", Forbidden, "refuses"),
        ("forbiddenForNonOrganizer", Forbidden, "refuses"),
        ("forbiddenForServiceAccounts", Forbidden, "delegation"),
        ("insufficientPermissions", AuthRevoked, "scope"),
        ("accessNotConfigured", Forbidden, "not switched on"),
        ("authError", AuthRevoked, "grant"),
        ("notFound", NotFound, "finds nothing"),
    ],
)
def test_1_12_what_google_refuses_is_told_by_its_reason(
    double: Google,
    provider: GoogleCalendar,
    hands: GoogleHands,
    reason: str,
    expected: type[ProviderError],
    says: str,
) -> None:
    dana = hands.person()
    double.plan.add(INSERT, reason, times=2)
    with pytest.raises(expected, match=says) as caught:
        provider.create(dana, draft(dana))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("how", ["backendError", "reset", "cut", "html"])
def test_1_12_a_write_of_unknown_fate_is_looked_for_and_not_repeated(
    double: Google, provider: GoogleCalendar, hands: GoogleHands, how: str, after: bool
) -> None:
    """500, a connection that broke, an answer cut off or of somebody else's: before it was done, or after."""
    dana = hands.person()
    wanted = draft(dana)
    double.plan.add(INSERT, how, after=after)
    with pytest.raises(Unavailable) as caught:
        provider.create(dana, wanted)
    assert caught.value.uncertain and methods(double) == [INSERT]
    assert (provider.find(dana, wanted.key) is not None) is after
    assert provider.create(dana, wanted).key == wanted.key
    assert len(provider.free_busy([dana], WINDOW)[dana].busy) == 1


def test_a_write_that_is_not_answered_in_time_may_have_been_done(
    double: Google, section: dict[str, Any], hands: GoogleHands
) -> None:
    dana, wanted = hands.person(), draft("")
    wanted = replace(wanted, organizer=replace(wanted.organizer, email=dana))
    provider = google.build_calendar({**section, "timeout": 0.3})
    double.plan.add(INSERT, "hang", after=True)
    with pytest.raises(Unavailable) as caught:
        provider.create(dana, wanted)
    assert caught.value.uncertain
    assert provider.find(dana, wanted.key) is not None


@pytest.mark.parametrize("how", ["cut", "html"])
def test_an_answer_that_is_not_json_is_told_in_one_line(
    double: Google, provider: GoogleCalendar, hands: GoogleHands, how: str
) -> None:
    double.plan.add(LIST, how)
    with pytest.raises(ProviderError) as caught:
        provider.changes(hands.person(), None, WINDOW)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


def test_what_was_just_made_and_is_not_found_yet_is_not_taken_for_gone(
    double: Google, provider: GoogleCalendar, hands: GoogleHands
) -> None:
    """1.12: 404 briefly after insert. A cancel that took it for success would leave the event standing."""
    dana = hands.person()
    event = provider.create(dana, draft(dana))
    double.plan.add(GET, "notFound")
    with pytest.raises(Unavailable):
        provider.cancel(event.ref)
    provider.cancel(event.ref)
    assert provider.free_busy([dana], WINDOW)[dana].busy == ()


def test_1_12_deleting_twice_is_success(double: Google, provider: GoogleCalendar, hands: GoogleHands) -> None:
    dana = hands.person()
    event = provider.create(dana, draft(dana))
    double.plan.add(DELETE, "deleted", after=True)
    provider.cancel(event.ref)
    assert provider.find(dana, event.key or "") is None


def test_pacing_refuses_before_google_does(double: Google, section: dict[str, Any], hands: GoogleHands) -> None:
    """A rate for each person and for the project; nothing sleeps, the time to wait is told."""
    clock = SteppedClock(utcnow())
    provider = google.build_with_clock({**section, "per_person": 10, "per_project": 15}, clock)
    dana, kim = hands.person(), hands.person()
    for _ in range(10):
        provider.find(dana, "s1.1")
    clock.advance(timedelta(seconds=20))
    with pytest.raises(RateLimited) as caught:
        provider.find(dana, "s1.1")
    assert caught.value.retry_after == timedelta(seconds=40)
    for _ in range(5):
        provider.find(kim, "s1.1")
    with pytest.raises(RateLimited, match="project"):
        provider.find(kim, "s1.1")
    assert len(double.asked) == 15
    clock.advance(timedelta(seconds=40))
    provider.find(dana, "s1.1")


# --- the grants (1.14) ----------------------------------------------------------------------------------------------


def test_1_14_each_scope_is_asked_for_by_itself(double: Google, provider: GoogleCalendar, hands: GoogleHands) -> None:
    """What lacks one of them still does what the others allow; the remedy names the one that lacks."""
    dana = hands.person()
    double.tokens.granted = {OWNED_EVENTS_SCOPE}
    event = provider.create(dana, draft(dana))
    found = provider.free_busy([dana], WINDOW)[dana]
    assert (
        event.key and not found.known and EVENTS_READ_SCOPE in found.reason and OWNED_EVENTS_SCOPE not in found.reason
    )
    assert "Manage domain wide delegation" in found.reason


def test_a_token_is_asked_for_once_an_hour(double: Google, section: dict[str, Any], hands: GoogleHands) -> None:
    clock = SteppedClock(utcnow())
    double.tokens.clock = clock
    provider = google.build_with_clock(section, clock)
    dana = hands.person()
    for _ in range(3):
        provider.find(dana, "s1.1")
    assert len(double.tokens.asked) == 1
    clock.advance(timedelta(hours=1))
    provider.find(dana, "s1.1")
    assert len(double.tokens.asked) == 2


def test_a_token_that_died_early_is_renewed_once(double: Google, provider: GoogleCalendar, hands: GoogleHands) -> None:
    dana = hands.person()
    provider.find(dana, "s1.1")
    double.tokens.forget()
    assert provider.create(dana, draft(dana)).key
    double.plan.add(GET, "authError", times=9)
    with pytest.raises(AuthRevoked):
        provider.find(dana, "s1.1")


@pytest.mark.parametrize("who", ["suspended", "outside"])
def test_nobody_can_act_as_who_is_suspended_or_elsewhere(
    double: Google, provider: GoogleCalendar, hands: GoogleHands, who: str
) -> None:
    person = hands.person() if who == "suspended" else "kim@elsewhere.example"
    double.calendars.suspended.add(person)
    with pytest.raises(AuthRevoked, match="suspended, deleted, or not in the domain"):
        provider.create(person, draft(person))


def test_a_key_that_was_deleted_says_so(double: Google, provider: GoogleCalendar, hands: GoogleHands) -> None:
    double.tokens.withdraw_keys()
    with pytest.raises(AuthRevoked, match="does not know the key"):
        provider.find(hands.person(), "s1.1")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "not JSON"),
        ("not a key", "not JSON"),
        ("[1]", "something else"),
        ('{"installed": {"client_id": "x"}}', "an OAuth client"),
        ('{"type": "service_account"}', "lacks client_email"),
        (
            '{"type":"service_account","client_email":"a@b.c","client_id":"1","private_key":"x","private_key_id":"k","project_id":"p"}',
            "private key can't be read",
        ),
    ],
)
def test_a_key_file_that_is_none_says_what_it_is(
    section: dict[str, Any], tmp_path: Path, content: str, says: str
) -> None:
    file = tmp_path / "other.json"
    file.write_text(content)
    with pytest.raises(AuthRevoked, match=says) as caught:
        google.build_calendar({**section, "service_account": str(file)}).find("dana@example.org", "s1.1")
    assert "\n" not in str(caught.value) and "Add key > JSON" in str(caught.value)
    with pytest.raises(AuthRevoked, match="No such file"):
        google.build_calendar({**section, "service_account": str(tmp_path / "none")}).find("dana@example.org", "s1.1")


def test_a_clock_that_is_wrong_is_named(double: Google, section: dict[str, Any], hands: GoogleHands) -> None:
    provider = google.build_with_clock(section, SteppedClock(utcnow() + timedelta(days=2)))
    with pytest.raises(AuthRevoked, match="clock right"):
        provider.find(hands.person(), "s1.1")


def test_a_grant_taken_back_says_how_to_give_it_again(
    double: Google, alone: dict[str, Any], hands: GoogleHands
) -> None:
    dana = hands.person()
    connect(double, alone, dana)
    provider = google.build_calendar(alone)
    assert provider.find(dana, "s1.1") is None
    double.tokens.revoke(dana)
    with pytest.raises(AuthRevoked, match=f"longarc connect google {dana}"):
        provider.find(dana, "s1.1")


@pytest.mark.parametrize("reason", [None, "reset", "html"])
def test_a_token_endpoint_out_of_order_is_tried_later(
    double: Google, provider: GoogleCalendar, hands: GoogleHands, reason: str | None
) -> None:
    double.plan.add("token", reason or "backendError")
    with pytest.raises(Unavailable if reason != "html" else InvalidResponse):
        provider.find(hands.person(), "s1.1")


# --- Gmail (2) ------------------------------------------------------------------------------------------------------


def test_2_mail_goes_out_as_the_account_that_its_from_names(
    double: Google, mailer: GmailMailer, section: dict[str, Any]
) -> None:
    mailer.send(letter("sam@example.org"), "m1")
    double.calendars.add_person("longarc@example.org")
    one = mail.build_mailer({**section, **double.mail_section, "sender": "longarc@example.org"})
    one.send(letter("sam@example.org"), "m2")
    assert [who for who, _ in double.post.sent] == ["dana@example.org", "longarc@example.org"]
    assert "longarc@example.org" in str(double.post.sent[1][1]["From"])


def test_2_a_manager_s_mail_leaves_from_the_manager_s_account(double: Google, section: dict[str, Any]) -> None:
    """Also where another account sends what comes from the service."""
    double.calendars.add_person("longarc@example.org")
    double.calendars.add_person("dana@example.org")
    known = {"sender": "longarc@example.org", "service": "no-reply@example.org"}
    one = mail.build_mailer({**section, **double.mail_section, **known})
    one.send(letter("sam@example.org"), "m1")
    ours = letter("sam@example.org")
    ours.replace_header("From", "Longarc <no-reply@example.org>")
    one.send(ours, "m2")
    assert [who for who, _ in double.post.sent] == ["dana@example.org", "longarc@example.org"]
    assert one.can_send_as("dana@example.org")


def test_2_the_message_id_is_googles_and_so_nothing_is_known_afterwards(double: Google, mailer: GmailMailer) -> None:
    message = letter("sam@example.org")
    mailer.send(message, "m1")
    assert double.post.sent[0][1]["Message-ID"] != message["Message-ID"]
    assert mailer.was_sent("m1") is None
    assert methods(double) == [SENDING], "with the one scope there is nobody to ask"


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("how", ["backendError", "reset", "cut"])
def test_2_a_mail_of_unknown_fate_says_so_and_is_not_repeated(
    double: Google, mailer: GmailMailer, how: str, after: bool
) -> None:
    double.plan.add(SENDING, how, after=after)
    with pytest.raises(Unavailable) as caught:
        mailer.send(letter("sam@example.org"), "m1")
    assert caught.value.uncertain
    assert len(double.post.sent) == after and methods(double) == [SENDING]


def test_2_the_time_to_wait_stands_in_the_words(double: Google, mailer: GmailMailer) -> None:
    when = utcnow() + timedelta(minutes=20)
    words = f"User-rate limit exceeded.  Retry after {when:%Y-%m-%dT%H:%M:%S}.000Z"
    double.plan.add(SENDING, "userRateLimitExceeded", status=429, message=words)
    with pytest.raises(RateLimited) as caught:
        mailer.send(letter("sam@example.org"), "m1")
    assert caught.value.retry_after is not None
    assert timedelta(minutes=19) < caught.value.retry_after <= timedelta(minutes=20)


def test_2_a_message_costs_a_hundred_units(double: Google, section: dict[str, Any]) -> None:
    double.calendars.add_person("dana@example.org")
    clock = SteppedClock(utcnow())
    mailer = mail.build_with_clock({**section, **double.mail_section, "per_person": 250}, clock)
    mailer.send(letter("sam@example.org"), "m1")
    mailer.send(letter("sam@example.org"), "m2")
    with pytest.raises(RateLimited):
        mailer.send(letter("sam@example.org"), "m3")
    assert double.post.units == {"dana@example.org": 200}


def test_2_an_account_without_gmail_is_refused_for_good(double: Google, mailer: GmailMailer) -> None:
    double.post.without_gmail.add("dana@example.org")
    with pytest.raises(Forbidden, match="switch Gmail on"):
        mailer.send(letter("sam@example.org"), "m1")


def test_2_a_message_that_nobody_could_take_is_not_sent(double: Google, mailer: GmailMailer) -> None:
    message = letter("sam@example.org")
    del message["To"]
    with pytest.raises(Permanent, match="recipient"):
        mailer.send(message, "m1")
    del message["From"]
    with pytest.raises(Permanent, match="no sender in From"):
        mailer.send(message, "m1")
    assert methods(double) == []


def test_only_who_is_connected_sends(double: Google, alone: dict[str, Any], hands: GoogleHands) -> None:
    mailer = mail.build_mailer({**alone, **double.mail_section})
    with pytest.raises(AuthRevoked, match=r"longarc connect google dana@example\.org"):
        mailer.send(letter("sam@example.org"), "m1")


# --- proving --------------------------------------------------------------------------------------------------------


def test_a_check_proves_each_thing_by_itself(double: Google, provider: GoogleCalendar, hands: GoogleHands) -> None:
    found = provider.check(hands.person())
    assert all(one.ok for one in found)
    assert sum("API is enabled" in one.what for one in found) >= 1
    assert {OWNED_EVENTS_SCOPE, EVENTS_READ_SCOPE} <= {
        scope for one in found for scope in (OWNED_EVENTS_SCOPE, EVENTS_READ_SCOPE) if scope in one.what
    }


@pytest.mark.parametrize("scope", [OWNED_EVENTS_SCOPE, EVENTS_READ_SCOPE])
def test_a_check_says_what_to_paste_where(
    double: Google, provider: GoogleCalendar, hands: GoogleHands, section: dict[str, Any], scope: str
) -> None:
    double.tokens.granted -= {scope}
    [failed] = [one for one in provider.check(hands.person()) if not one.ok]
    client = json.loads(Path(section["service_account"]).read_text())["client_id"]
    assert f"`{client}`" in failed.remedy and f"`{scope}`" in failed.remedy
    assert "admin.google.com" in failed.remedy and "Manage domain wide delegation" in failed.remedy


def test_a_check_says_which_api_to_enable_where(
    double: Google, provider: GoogleCalendar, mailer: GmailMailer, section: dict[str, Any], hands: GoogleHands
) -> None:
    double.plan.add("calendar.", "accessNotConfigured")
    [failed] = [one for one in provider.check(hands.person()) if not one.ok]
    assert "Calendar API is enabled" in failed.what
    assert "console.cloud.google.com/apis/library/calendar-json.googleapis.com" in failed.remedy
    assert "longarc-test" in failed.remedy
    double.plan.add("gmail.", "accessNotConfigured")
    one = mail.build_mailer({**section, **double.mail_section, "sender": "dana@example.org"})
    [failed] = [found for found in one.check() if not found.ok]
    assert "library/gmail.googleapis.com" in failed.remedy


def test_a_check_says_that_somebody_has_no_google_calendar(
    double: Google, provider: GoogleCalendar, hands: GoogleHands
) -> None:
    """A finding of its own: it is neither the scope nor the API that lacks."""
    dana = hands.person()
    double.calendars.without_calendar.add(dana)
    [failed] = [one for one in provider.check(dana) if not one.ok]
    assert failed.what == f"{dana} has a Google Calendar"
    assert "Apps > Google Workspace > Calendar" in failed.remedy and dana in failed.remedy


def test_a_check_looks_whether_meet_is_offered(double: Google, section: dict[str, Any], hands: GoogleHands) -> None:
    """Where the scope for it is granted; else nothing is known, which is no fault. Without video nobody asks."""
    dana, kim = hands.person(), hands.person()
    double.calendars.without_meet.add(kim)
    provider = google.build_calendar(section)
    [unknown] = [one for one in provider.check(kim) if "Meet" in one.what]
    assert unknown.ok and CALENDARS_READ_SCOPE in unknown.what
    double.tokens.granted |= {CALENDARS_READ_SCOPE}
    assert all(one.ok for one in provider.check(dana))
    [failed] = [one for one in provider.check(kim) if not one.ok]
    assert failed.what == f"Google Meet is offered to {kim}" and "Google Meet" in failed.remedy
    assert all(one.ok for one in google.build_calendar({**section, "video": False}).check(kim))


def test_a_check_of_mail_sends_none(double: Google, section: dict[str, Any]) -> None:
    """An empty message is refused for being empty, after everything else was looked at."""
    double.calendars.add_person("dana@example.org")
    mailer = mail.build_mailer({**section, **double.mail_section, "sender": "dana@example.org"})
    assert all(one.ok for one in mailer.check()) and double.post.sent == []
    double.post.without_gmail.add("dana@example.org")
    assert [one.ok for one in mailer.check()] == [True, True, False]
    double.tokens.granted -= {GMAIL_SEND_SCOPE}
    [failed] = mail.build_mailer({**section, **double.mail_section, "sender": "dana@example.org"}).check()
    assert not failed.ok and GMAIL_SEND_SCOPE in failed.remedy


def test_a_check_of_a_connected_account_proves_what_was_ticked(
    double: Google, alone: dict[str, Any], hands: GoogleHands
) -> None:
    dana = hands.person()
    assert not google.build_calendar(alone).check(dana)[0].ok
    connect(double, alone, dana)
    assert all(one.ok for one in google.build_calendar(alone).check(dana))
    assert all(one.ok for one in mail.build_mailer({**alone, **double.mail_section}).check())
    connect(double, alone, dana, OWNED_EVENTS_SCOPE)
    failed = [one for one in google.build_calendar(alone).check(dana) if not one.ok]
    assert len(failed) == 1 and "free and busy" in failed[0].what


def _at(when: Span) -> dict[str, Any]:
    return {
        name: {"dateTime": f"{moment:%Y-%m-%dT%H:%M:%SZ}", "timeZone": "UTC"}
        for name, moment in (("start", when.start), ("end", when.end))
    }
