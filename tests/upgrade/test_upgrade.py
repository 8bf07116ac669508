"""T-19: an upgrade keeps the database, settings, people file and booked career sessions of an earlier version.

The earlier version itself wrote the fixture in `before/`: sessions that are booked, deferred and held, a contract
draft, an ad hoc session, reviews with and without a contract, and mails that could not be sent.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.companies import KEY, Office, new_store
from tests.upgrade.earlier import SETTINGS, EarlierState, list_rows, open_office, read_earlier_state, restore_database
from worker.domain.model import SessionState
from worker.settings.load import list_retired_settings, load_settings

# These statements read the earlier version's own tables and columns.

#: Mails that were waiting when the earlier version stopped, except operator alerts.
WAITING_MAILS = (
    "SELECT key, name FROM message WHERE progress = 'waiting' AND what = 'mail' AND name <> 'operator_alert'"
)
BOOKED_SESSIONS = "SELECT id, kind, start, count FROM session WHERE state = 'booked'"
DEFERRAL_COUNTS = "SELECT id, count FROM session WHERE kind = 'career'"
CONTRACT_DRAFTS = "SELECT session FROM sketch"
#: Booked reviews of pairs that have no contract.
REVIEWS_WITHOUT_CONTRACT = """
    SELECT id FROM session AS review WHERE kind = 'review' AND state = 'booked' AND NOT EXISTS (
        SELECT 1 FROM contract JOIN session ON session.id = contract.session WHERE session.pair = review.pair)
"""


@pytest.fixture
def earlier_state() -> EarlierState:
    return read_earlier_state()


@pytest.fixture
def upgraded(empty_url: str, earlier_state: EarlierState) -> Iterator[Office]:
    """The present program on the migrated database, before its first tick."""
    restore_database(empty_url)
    store = new_store(empty_url)
    store.migrate()
    store.close()
    office = open_office(empty_url, earlier_state)
    yield office
    office.close()


def read_starts(earlier_state: EarlierState) -> dict[str, datetime]:
    """Return the starts of the booked career sessions that had not begun, by session id."""
    rows = [row for row in list_rows(BOOKED_SESSIONS) if row["kind"] == "career"]
    starts = {row["id"]: datetime.fromtimestamp(row["start"], UTC) for row in rows}
    return {session_id: start for session_id, start in starts.items() if start > earlier_state.at}


def test_t19_booked_sessions_keep_their_times_after_the_upgrade(upgraded: Office, earlier_state: EarlierState) -> None:
    starts = read_starts(earlier_state)
    assert len(starts) == 6, "the fixture has other sessions than before"
    events = {entry["key"]: entry["start"] for entry in earlier_state.entries}
    upgraded.run(timedelta(days=7))
    sessions = upgraded.sessions_by_id()
    for session_id, start in starts.items():
        assert sessions[session_id].start == start
        event = upgraded.calendar.find(sessions[session_id].pair.manager, sessions[session_id].key)
        assert event is not None
        assert event.span.start == start == datetime.fromisoformat(events[sessions[session_id].key])
    (last_row,) = list_rows("SELECT max(id) AS id FROM history")
    new_lines = [
        line for line in upgraded.store.queries.list_history_after(last_row["id"]) if line["session"] in starts
    ]
    assert [line["what"] for line in new_lines if line["what"].startswith("event.")] == []


def test_t19_sent_mails_are_not_repeated_and_waiting_mails_are_sent_once(
    upgraded: Office, earlier_state: EarlierState
) -> None:
    waiting = {row["key"]: row["name"] for row in list_rows(WAITING_MAILS)}
    assert set(waiting.values()) >= {"deferral_notice", "reflection_prompt", "contract_request", "brief"}
    upgraded.run(timedelta(days=7))
    sent_counts = Counter(key for key, _ in upgraded.mailer.sent)
    assert set(sent_counts) & set(earlier_state.sent_keys) == set()
    assert [key for key, times in sent_counts.items() if times > 1] == []
    assert {waiting[key] for key in waiting if sent_counts[key]} >= {"deferral_notice", "reflection_prompt"}
    introductions = [key for key in sent_counts if key.startswith("introduction")]
    assert introductions == []
    mail_counts = Counter(
        (mail["To"], mail["Subject"], str(mail.get_body(("plain",)))) for _, mail in upgraded.mailer.sent
    )
    assert [mail for mail, times in mail_counts.items() if times > 1] == []


def test_t19_upgrade_keeps_deferral_counts(upgraded: Office) -> None:
    counts_before = {row["id"]: row["count"] for row in list_rows(DEFERRAL_COUNTS)}
    assert sorted(counts_before.values())[-2:] == [1, 2]  # two sessions were deferred, one of them twice
    upgraded.run(timedelta(days=7))
    sessions = upgraded.sessions_by_id()
    assert {session_id: sessions[session_id].count for session_id in counts_before} == counts_before


def test_t19_reviews_without_a_contract_are_cancelled_without_a_mail(
    upgraded: Office, earlier_state: EarlierState
) -> None:
    """T-9: reviews without a contract are cancelled without a mail, and other reviews stay booked."""
    cancelled_ids = {row["id"] for row in list_rows(REVIEWS_WITHOUT_CONTRACT)}
    kept_ids = {row["id"] for row in list_rows(BOOKED_SESSIONS) if row["kind"] == "review"} - cancelled_ids
    assert cancelled_ids
    assert kept_ids
    starts = {row["id"]: row["start"] for row in list_rows(BOOKED_SESSIONS)}
    upgraded.run(timedelta(days=13))  # pairs are planned at the latest a week before a review
    sessions = upgraded.sessions_by_id()
    assert {sessions[session_id].state for session_id in cancelled_ids} == {SessionState.CANCELLED}
    assert all(
        upgraded.calendar.find(sessions[session_id].pair.manager, sessions[session_id].key) is None
        for session_id in cancelled_ids
    )
    assert {sessions[session_id].state for session_id in kept_ids} <= {SessionState.BOOKED, SessionState.HELD}
    assert {session_id: sessions[session_id].start for session_id in kept_ids} == {
        session_id: datetime.fromtimestamp(starts[session_id], UTC) for session_id in kept_ids
    }
    (last_row,) = list_rows("SELECT max(id) AS id FROM history")
    mails = [line for line in upgraded.store.queries.list_history_after(last_row["id"]) if line["what"] == "mail"]
    assert [line for line in mails if line["session"] in cancelled_ids] == []


def test_t19_contract_draft_is_opened_with_the_key_of_the_earlier_version(upgraded: Office) -> None:
    (row,) = list_rows(CONTRACT_DRAFTS)
    draft = upgraded.store.content.get_contract_draft(row["session"])
    assert draft is not None
    assert draft.fields == {"theirs": [["Draft one page", "2026-11-01"]]}  # as `before/scene.py` wrote it
    contracts = [row["session"] for row in list_rows("SELECT session FROM contract")]
    assert all(upgraded.store.content.list_revisions(session) for session in contracts)


def test_t18_settings_of_the_earlier_version_are_accepted_and_retired_ones_listed() -> None:
    settings = load_settings(SETTINGS, {"LONGARC_KEY": KEY})
    assert settings.operator == "ops@corp.example"
    problems = " ".join(str(problem) for problem in list_retired_settings(SETTINGS))
    assert "first_within_days" in problems
    assert "learning" in problems
