"""Free/busy of Google, by a service account and by connected accounts."""

from typing import Any

import pytest

from tests.doubles.google import Google, GoogleHands

# Times are in March 2027, in UTC: `at(5, 9)` is 9:00 on the 5th, and `span(5, 9)` the hour from then on.
from tests.support.drafts import DAY, WINDOW, at, draft, span
from tests.support.google import EVENTS_LIST, FREE_BUSY_QUERY, calls_of, connect, google_times, requested_methods
from worker.domain.model import Address, Answer, FreeBusy, ShowAs, Span
from worker.providers.google import calendar as google
from worker.providers.google.auth import EVENTS_READ_SCOPE
from worker.providers.google.calendar import GoogleCalendar
from worker.providers.google.freebusy import parse_free_busy

# --- a service account ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "expected_status"),
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
def test_each_kind_of_event_has_its_status_in_free_busy(
    provider: GoogleCalendar, hands: GoogleHands, fields: dict[str, Any], expected_status: ShowAs | None
) -> None:
    dana = hands.person()
    hands.insert(dana, **{**google_times(span(5, 14)), **fields})
    assert [busy.show_as for busy in provider.free_busy([dana], WINDOW)[dana].busy] == (
        [expected_status] if expected_status else []
    )
    assert [event.show_as for event in provider.changes(dana, None, WINDOW).events] == [expected_status]


def test_only_times_of_a_reports_events_are_requested(
    double: Google, provider: GoogleCalendar, hands: GoogleHands
) -> None:
    """No title, no description and no address of another person is requested."""
    sam = hands.person()
    hands.add(sam, span(5, 14))
    provider.free_busy([sam], WINDOW)
    [call] = calls_of(double, EVENTS_LIST)
    assert call.scopes == {EVENTS_READ_SCOPE}
    assert not any(word in call.fields for word in ("summary", "description", "location", "email", "htmlLink"))


def test_fifty_people_are_read_in_one_request(double: Google, provider: GoogleCalendar, hands: GoogleHands) -> None:
    """The request is a batch. Of 51 people, the last is read by a request alone."""
    people = [hands.person() for _ in range(51)]
    free_busy_by_person = provider.free_busy(people, WINDOW)
    assert all(free_busy.is_known for free_busy in free_busy_by_person.values())
    assert (double.batches, sum(not request.in_batch for request in double.requests)) == (1, 1)
    assert provider.people_per_request == 50


def test_unreadable_calendar_does_not_prevent_reading_others(
    double: Google, provider: GoogleCalendar, hands: GoogleHands
) -> None:
    people = [hands.person() for _ in range(3)]
    suspended_person = people[1]
    double.calendars.suspended_accounts.add(suspended_person)
    double.faults.add(EVENTS_LIST, "notFound", who=people[2])
    free_busy = provider.free_busy(people, WINDOW)
    assert [free_busy[person].is_known for person in people] == [True, False, False]
    assert "suspended" in free_busy[suspended_person].reason


@pytest.mark.parametrize("reason", ["backendError", "userRateLimitExceeded"])
def test_temporary_error_in_a_batch_makes_only_one_person_unknown(
    double: Google, provider: GoogleCalendar, hands: GoogleHands, reason: str
) -> None:
    """T-2, unknown time is never free: this person is unknown until the next attempt."""
    people = [hands.person() for _ in range(3)]
    hands.add(people[0], span(5, 14))
    double.faults.add(EVENTS_LIST, reason, who=people[2])
    free_busy = provider.free_busy(people, WINDOW)
    assert [(free_busy[person].is_known, free_busy[person].is_temporary) for person in people] == [
        (True, False),
        (True, False),
        (False, True),
    ]
    assert [busy.span for busy in free_busy[people[0]].busy] == [span(5, 14)]
    assert provider.free_busy(people, WINDOW)[people[2]].is_known


def test_permanent_refusal_makes_a_person_unknown_for_good(
    double: Google, provider: GoogleCalendar, hands: GoogleHands
) -> None:
    double.faults.add(EVENTS_LIST, "forbidden")
    person = hands.person()
    free_busy = provider.free_busy([person], WINDOW)[person]
    assert not free_busy.is_known and not free_busy.is_temporary


def test_refused_token_is_renewed_for_a_batch(double: Google, provider: GoogleCalendar, hands: GoogleHands) -> None:
    people = [hands.person() for _ in range(3)]
    provider.free_busy(people, WINDOW)
    double.tokens.expire_access_tokens()
    assert all(free_busy.is_known for free_busy in provider.free_busy(people, WINDOW).values())


# --- connected accounts ---------------------------------------------------------------------------------------------


def test_people_without_a_connected_account_are_read_by_a_free_busy_query(
    double: Google, account_section: dict[str, Any], hands: GoogleHands
) -> None:
    dana, sam, kim = hands.person(), hands.person(), hands.person()
    connect(double, account_section, dana)
    provider = google.build_calendar(account_section)
    hands.add(sam, span(5, 14))
    hands.add(sam, span(5, 15), show=ShowAs.TENTATIVE)
    double.calendars.person_calendars[kim].hidden = True
    free_busy = provider.free_busy([dana, sam, kim, "nobody@elsewhere.example"], WINDOW)
    assert [busy.span for busy in free_busy[sam].busy] == [span(5, 14, 120)]
    assert free_busy[dana] == FreeBusy()
    assert not free_busy[kim].is_known and "does not share" in free_busy[kim].reason
    assert not free_busy["nobody@elsewhere.example"].is_known
    assert requested_methods(double) == [EVENTS_LIST, FREE_BUSY_QUERY]


def test_our_event_is_recognized_inside_merged_busy_time(
    double: Google, account_section: dict[str, Any], hands: GoogleHands
) -> None:
    """Another event at the same time is seen only where it extends beyond ours."""
    dana, sam = hands.person(), hands.person()
    connect(double, account_section, dana)
    provider = google.build_calendar(account_section)
    event_draft = draft(dana, sam)  # 10:00 to 11:15 on the 9th
    provider.create(dana, event_draft)
    assert [busy.key for busy in provider.free_busy([sam], WINDOW)[sam].busy] == [event_draft.key]
    hands.add(sam, span(9, 11))
    busy = provider.free_busy([sam], WINDOW)[sam].busy
    assert [(busy_time.span, busy_time.key) for busy_time in busy] == [
        (event_draft.span, event_draft.key),
        (Span(event_draft.span.end, at(9, 12)), None),
    ]
    hands.answer(dana, sam, event_draft.key, Answer.DECLINED)
    assert [busy_time.key for busy_time in provider.free_busy([sam], WINDOW)[sam].busy] == [None]


def test_one_query_is_for_at_most_fifty_people_and_sixty_days(
    double: Google, account_section: dict[str, Any], hands: GoogleHands
) -> None:
    """Google refuses more of either."""
    dana, *others = (hands.person() for _ in range(52))
    connect(double, account_section, dana)
    hands.add(others[0], Span(at(1, 9) + 100 * DAY, at(1, 10) + 100 * DAY))
    free_busy_by_person = google.build_calendar(account_section).free_busy(others, Span(at(1, 0), at(1, 0) + 130 * DAY))
    assert (
        all(free_busy.is_known for free_busy in free_busy_by_person.values())
        and len(free_busy_by_person[others[0]].busy) == 1
    )
    assert [len(call.body["items"]) for call in calls_of(double, FREE_BUSY_QUERY)] == [50, 50, 50, 1, 1, 1]
    # the 51 people need two queries for each of three parts of the 130 days


def test_person_hidden_from_one_account_is_read_through_another(
    double: Google, account_section: dict[str, Any], hands: GoogleHands
) -> None:
    dana, kim, sam, lee = (hands.person() for _ in range(4))
    connect(double, account_section, dana)
    connect(double, account_section, kim)
    double.calendars.person_calendars[sam].hidden_from.add(dana)
    double.calendars.person_calendars[lee].hidden_from.add(kim)
    hands.add(sam, span(5, 14))
    free_busy = google.build_calendar(account_section).free_busy([sam, lee], WINDOW)
    assert [busy.span for busy in free_busy[sam].busy] == [span(5, 14)]
    assert free_busy[sam].is_known and free_busy[lee].is_known
    assert [[item["id"] for item in call.body["items"]] for call in calls_of(double, FREE_BUSY_QUERY)] == [
        [sam, lee],
        [sam],
    ]


@pytest.fixture
def two_pairs(
    double: Google, account_section: dict[str, Any], hands: GoogleHands
) -> tuple[GoogleCalendar, list[Address]]:
    """A calendar to which the managers Dana and Kim are connected, and the people Dana, her report Sam, Kim, her report
    Lee. Each pair has an event of ours."""
    dana, sam, kim, lee = people = [hands.person() for _ in range(4)]
    connect(double, account_section, dana)
    connect(double, account_section, kim)
    organizers = {dana: [dana], sam: [dana], kim: [kim], lee: [kim]}
    provider = google.build_calendar({**account_section, "organizers": organizers.__getitem__})
    provider.create(dana, draft(dana, sam))
    provider.create(kim, draft(kim, lee))
    return provider, people


def test_report_is_unknown_when_the_managers_calendar_cannot_be_read(
    double: Google, two_pairs: tuple[GoogleCalendar, list[Address]]
) -> None:
    """Otherwise our own event would count as another event. Reports of other managers are not affected."""
    provider, [dana, sam, kim, lee] = two_pairs
    double.tokens.revoke(dana)
    free_busy = provider.free_busy([dana, sam, kim, lee], WINDOW)
    assert not free_busy[dana].is_known and not free_busy[sam].is_known
    assert free_busy[sam].is_temporary and "can't be recognized" in free_busy[sam].reason
    assert [len(free_busy[person].busy) for person in (kim, lee)] == [1, 1] and free_busy[lee].busy[0].key


def test_report_is_unknown_after_a_temporary_error_of_a_manager_not_requested(
    double: Google, two_pairs: tuple[GoogleCalendar, list[Address]]
) -> None:
    """The free/busy of the two people of a pair may be read in two requests."""
    provider, [dana, sam, _, lee] = two_pairs
    double.faults.add(EVENTS_LIST, "backendError", who=dana)
    free_busy = provider.free_busy([sam, lee], WINDOW)
    assert (free_busy[sam].is_known, free_busy[sam].is_temporary) == (False, True)
    assert free_busy[lee].busy[0].key


def test_report_stays_known_after_a_permanent_error_of_a_manager_not_requested(
    double: Google, two_pairs: tuple[GoogleCalendar, list[Address]]
) -> None:
    """It may be a former manager of the report."""
    provider, [dana, sam, _, _] = two_pairs
    double.tokens.revoke(dana)
    assert [busy.key for busy in provider.free_busy([sam], WINDOW)[sam].busy] == [None]


@pytest.mark.parametrize(
    "answer", [None, [], "busy", 5, {}, {"busy": 5}, {"busy": [{"start": "x"}]}, {"errors": ["x"]}]
)
def test_invalid_answer_about_a_person_is_unknown_and_not_free(answer: object) -> None:
    """T-2, unknown time is never free, whatever the answer holds in place of one person's free/busy."""
    free_busy = parse_free_busy("dana@example.org", answer)
    assert not free_busy.is_known and "dana@example.org" in free_busy.reason
