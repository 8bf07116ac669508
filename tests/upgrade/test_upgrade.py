"""T-19: a database, settings and people file of an earlier version come along, and nobody is troubled by it.

The fixture in `before/` was written by the earlier version itself: conversations booked, put off and talked through, a
draft of a contract, an ad hoc talk, reviews with and without a reason, and mails that could not leave.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.companies import KEY, Office, new_store
from tests.upgrade.earlier import SETTINGS, Left, list_rows, open_office, read_left, restore_database
from worker.domain.model import Session, SessionState
from worker.settings.load import list_retired_settings, load_settings

#: Mails that were waiting when the earlier version stopped, by name; alerts to the operator aside.
WAITING = "SELECT key, name FROM message WHERE progress = 'waiting' AND what = 'mail' AND name <> 'operator_alert'"
BOOKED = "SELECT id, kind, start, count FROM session WHERE state = 'booked'"
COUNTS = "SELECT id, count FROM session WHERE kind = 'career'"
DRAFTS = "SELECT session FROM sketch"
#: Reviews of conversations that have no contract, and of one that has.
WITHOUT_REASON = """
    SELECT id FROM session AS review WHERE kind = 'review' AND state = 'booked' AND NOT EXISTS (
        SELECT 1 FROM contract JOIN session ON session.id = contract.session WHERE session.pair = review.pair)
"""


@pytest.fixture
def left() -> Left:
    return read_left()


@pytest.fixture
def upgraded(empty_url: str, left: Left) -> Iterator[Office]:
    """The present program on the migrated database, not started yet."""
    restore_database(empty_url)
    store = new_store(empty_url)
    store.migrate()
    store.close()
    office = open_office(empty_url, left)
    yield office
    office.close()


def find_sessions(office: Office) -> dict[str, Session]:
    return {session.id: session for session in office.store.queries.list_sessions()}


def read_starts(left: Left) -> dict[str, datetime]:
    """When each career session that was booked was to begin, by id; those that had not begun."""
    rows = [row for row in list_rows(BOOKED) if row["kind"] == "career"]
    starts = {row["id"]: datetime.fromtimestamp(row["start"], UTC) for row in rows}
    return {name: start for name, start in starts.items() if start > left.at}


def test_t19_a_week_after_the_upgrade_everything_booked_stands_where_it_stood(upgraded: Office, left: Left) -> None:
    starts = read_starts(left)
    assert len(starts) == 6
    events = {entry["key"]: entry["start"] for entry in left.entries}
    upgraded.run(timedelta(days=7))
    sessions = find_sessions(upgraded)
    for name, start in starts.items():
        assert sessions[name].start == start
        event = upgraded.calendar.find(sessions[name].pair.manager, sessions[name].key)
        assert event is not None
        assert event.span.start == start == datetime.fromisoformat(events[sessions[name].key])
    (before,) = list_rows("SELECT max(id) AS id FROM history")
    written = [line for line in upgraded.store.queries.list_history_after(before["id"]) if line["session"] in starts]
    assert [line["what"] for line in written if line["what"].startswith("event.")] == []


def test_t19_nothing_sent_goes_again_and_what_waited_goes_once(upgraded: Office, left: Left) -> None:
    waiting = {row["key"]: row["name"] for row in list_rows(WAITING)}
    assert set(waiting.values()) >= {"deferral_notice", "reflection_prompt", "contract_request", "brief"}
    upgraded.run(timedelta(days=7))
    again = Counter(key for key, _ in upgraded.mailer.sent)
    assert set(again) & set(left.sent) == set()
    assert [key for key, times in again.items() if times > 1] == []
    assert {waiting[key] for key in waiting if again[key]} >= {"deferral_notice", "reflection_prompt"}
    introductions = [key for key in again if key.startswith("introduction")]
    assert introductions == []
    told = Counter((mail["To"], mail["Subject"], str(mail.get_body(("plain",)))) for _, mail in upgraded.mailer.sent)
    assert [what for what, times in told.items() if times > 1] == []


def test_t19_deferral_counts_of_conversations_stay(upgraded: Office) -> None:
    before = {row["id"]: row["count"] for row in list_rows(COUNTS)}
    assert sorted(before.values())[-2:] == [1, 2]
    upgraded.run(timedelta(days=7))
    sessions = find_sessions(upgraded)
    assert {name: sessions[name].count for name in before} == before


def test_t19_reviews_without_a_reason_end_silently(upgraded: Office, left: Left) -> None:
    """T-9: without a contract there is nothing to review. Nobody is written to about it; the others stay."""
    ended = {row["id"] for row in list_rows(WITHOUT_REASON)}
    stays = {row["id"] for row in list_rows(BOOKED) if row["kind"] == "review"} - ended
    assert ended
    assert stays
    starts = {row["id"]: row["start"] for row in list_rows(BOOKED)}
    upgraded.run(timedelta(days=13))  # a pair is planned when it is due, a week before a review at the latest
    sessions = find_sessions(upgraded)
    assert {sessions[name].state for name in ended} == {SessionState.CANCELLED}
    assert all(upgraded.calendar.find(sessions[name].pair.manager, sessions[name].key) is None for name in ended)
    assert {sessions[name].state for name in stays} <= {SessionState.BOOKED, SessionState.HELD}
    assert {name: sessions[name].start for name in stays} == {
        name: datetime.fromtimestamp(starts[name], UTC) for name in stays
    }
    (before,) = list_rows("SELECT max(id) AS id FROM history")
    mails = [line for line in upgraded.store.queries.list_history_after(before["id"]) if line["what"] == "mail"]
    assert [line for line in mails if line["session"] in ended] == []


def test_t19_a_draft_can_be_opened_with_the_key_of_then(upgraded: Office) -> None:
    (row,) = list_rows(DRAFTS)
    draft = upgraded.store.content.get_contract_draft(row["session"])
    assert draft is not None
    assert draft.fields == {"theirs": [["Draft one page", "2026-11-01"]]}
    contracts = [row["session"] for row in list_rows("SELECT session FROM contract")]
    assert all(upgraded.store.content.list_revisions(session) for session in contracts)


def test_t18_settings_of_the_earlier_version_are_accepted_with_a_word() -> None:
    settings = load_settings(SETTINGS, {"LONGARC_KEY": KEY})
    assert settings.operator == "ops@corp.example"
    named = " ".join(str(problem) for problem in list_retired_settings(SETTINGS))
    assert "first_within_days" in named
    assert "learning" in named
