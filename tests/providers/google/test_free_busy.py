"""Whose time Google shows, and how it counts."""

from typing import Any

import pytest

from tests.doubles.google import Google, GoogleHands
from tests.support.drafts import DAY, WINDOW, at, draft, span
from tests.support.google import LIST, QUERY, calls, connect, google_times, methods
from worker.domain.model import Address, Answer, FreeBusy, ShowAs, Span
from worker.providers.google import calendar as google
from worker.providers.google.auth import EVENTS_READ_SCOPE
from worker.providers.google.calendar import GoogleCalendar
from worker.providers.google.freebusy import parse_free_busy

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
    hands.insert(dana, **{**google_times(span(5, 14)), **told})
    assert [busy.show_as for busy in provider.free_busy([dana], WINDOW)[dana].busy] == ([shown] if shown else [])
    assert [event.show_as for event in provider.changes(dana, None, WINDOW).events] == [shown]


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
    assert all(one.is_known for one in found.values())
    assert (double.batches, sum(not request.in_batch for request in double.requests)) == (1, 1)
    assert provider.people_per_request == 50


def test_one_who_cannot_be_read_is_no_obstacle_to_the_others(
    double: Google, provider: GoogleCalendar, hands: GoogleHands
) -> None:
    people = [hands.person() for _ in range(3)]
    suspended = people[1]
    double.calendars.suspended_accounts.add(suspended)
    double.faults.add(LIST, "notFound", who=people[2])
    found = provider.free_busy(people, WINDOW)
    assert [found[who].is_known for who in people] == [True, False, False]
    assert "suspended" in found[suspended].reason


@pytest.mark.parametrize("reason", ["backendError", "userRateLimitExceeded"])
def test_who_cannot_be_read_just_now_waits_alone(
    double: Google, provider: GoogleCalendar, hands: GoogleHands, reason: str
) -> None:
    """T-2: unknown for now, and never free; everybody else in the batch is read."""
    people = [hands.person() for _ in range(3)]
    hands.add(people[0], span(5, 14))
    double.faults.add(LIST, reason, who=people[2])
    found = provider.free_busy(people, WINDOW)
    assert [(found[who].is_known, found[who].is_temporary) for who in people] == [
        (True, False),
        (True, False),
        (False, True),
    ]
    assert [busy.span for busy in found[people[0]].busy] == [span(5, 14)]
    assert provider.free_busy(people, WINDOW)[people[2]].is_known


def test_who_is_unknown_for_good_is_not_waited_for(
    double: Google, provider: GoogleCalendar, hands: GoogleHands
) -> None:
    double.faults.add(LIST, "forbidden")
    person = hands.person()
    found = provider.free_busy([person], WINDOW)[person]
    assert not found.is_known and not found.is_temporary


def test_a_token_that_died_inside_a_batch_is_renewed(
    double: Google, provider: GoogleCalendar, hands: GoogleHands
) -> None:
    people = [hands.person() for _ in range(3)]
    provider.free_busy(people, WINDOW)
    double.tokens.expire_access_tokens()
    assert all(one.is_known for one in provider.free_busy(people, WINDOW).values())


# --- one manager's own account (1.10) -------------------------------------------------------------------------------


def test_1_10_others_are_asked_for_by_free_busy(double: Google, alone: dict[str, Any], hands: GoogleHands) -> None:
    dana, sam, kim = hands.person(), hands.person(), hands.person()
    connect(double, alone, dana)
    provider = google.build_calendar(alone)
    hands.add(sam, span(5, 14))
    hands.add(sam, span(5, 15), show=ShowAs.TENTATIVE)
    double.calendars.person_calendars[kim].hidden = True
    found = provider.free_busy([dana, sam, kim, "nobody@elsewhere.example"], WINDOW)
    assert [busy.span for busy in found[sam].busy] == [span(5, 14, 120)]
    assert found[dana] == FreeBusy()
    assert not found[kim].is_known and "does not share" in found[kim].reason
    assert not found["nobody@elsewhere.example"].is_known
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
    assert all(one.is_known for one in found.values()) and len(found[others[0]].busy) == 1
    assert [len(call.body["items"]) for call in calls(double, QUERY)] == [50, 50, 50, 1, 1, 1]


def test_who_is_hidden_from_one_account_may_be_shown_to_another(
    double: Google, alone: dict[str, Any], hands: GoogleHands
) -> None:
    dana, kim, sam, lee = (hands.person() for _ in range(4))
    connect(double, alone, dana)
    connect(double, alone, kim)
    double.calendars.person_calendars[sam].hidden_from.add(dana)
    double.calendars.person_calendars[lee].hidden_from.add(kim)
    hands.add(sam, span(5, 14))
    found = google.build_calendar(alone).free_busy([sam, lee], WINDOW)
    assert [busy.span for busy in found[sam].busy] == [span(5, 14)]
    assert found[sam].is_known and found[lee].is_known
    assert [[item["id"] for item in call.body["items"]] for call in calls(double, QUERY)] == [[sam, lee], [sam]]


@pytest.fixture(name="managed")
def two_managers(double: Google, alone: dict[str, Any], hands: GoogleHands) -> tuple[GoogleCalendar, list[Address]]:
    """A calendar to which Dana and Kim are connected, and Dana, her report Sam, Kim and her report Lee. Each of the two
    pairs has an event of ours."""
    dana, sam, kim, lee = people = [hands.person() for _ in range(4)]
    connect(double, alone, dana)
    connect(double, alone, kim)
    organizers = {dana: [dana], sam: [dana], kim: [kim], lee: [kim]}
    provider = google.build_calendar({**alone, "organizers": organizers.__getitem__})
    provider.create(dana, draft(dana, sam))
    provider.create(kim, draft(kim, lee))
    return provider, people


def test_without_the_managers_calendar_nobody_guesses_what_is_ours(
    double: Google, managed: tuple[GoogleCalendar, list[Address]]
) -> None:
    """Else our own event would look as if somebody had booked over it. The reports of others don't wait for it."""
    provider, [dana, sam, kim, lee] = managed
    double.tokens.revoke(dana)
    found = provider.free_busy([dana, sam, kim, lee], WINDOW)
    assert not found[dana].is_known and not found[sam].is_known
    assert found[sam].is_temporary and "can't be recognized" in found[sam].reason
    assert [len(found[person].busy) for person in (kim, lee)] == [1, 1] and found[lee].busy[0].key


def test_a_manager_who_cannot_be_read_just_now_counts_for_the_reports_also_unasked(
    double: Google, managed: tuple[GoogleCalendar, list[Address]]
) -> None:
    """The two of a pair may be asked for in two requests."""
    provider, [dana, sam, _, lee] = managed
    double.faults.add(LIST, "backendError", who=dana)
    found = provider.free_busy([sam, lee], WINDOW)
    assert (found[sam].is_known, found[sam].is_temporary) == (False, True)
    assert found[lee].busy[0].key


def test_a_manager_who_is_gone_for_good_and_not_asked_for_hides_nobody(
    double: Google, managed: tuple[GoogleCalendar, list[Address]]
) -> None:
    """A former manager of the report, for instance."""
    provider, [dana, sam, _, _] = managed
    double.tokens.revoke(dana)
    assert [busy.key for busy in provider.free_busy([sam], WINDOW)[sam].busy] == [None]


@pytest.mark.parametrize(
    "answer", [None, [], "busy", 5, {}, {"busy": 5}, {"busy": [{"start": "x"}]}, {"errors": ["x"]}]
)
def test_an_answer_that_is_none_is_unknown_and_never_free(answer: object) -> None:
    """T-2: whatever stands in the place of one person's free/busy."""
    found = parse_free_busy("dana@example.org", answer)
    assert not found.is_known and "dana@example.org" in found.reason
