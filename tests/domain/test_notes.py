"""Sessions with notes, open notes, kept commitments as news, and handover lines (R-28, R-32, R-36)."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.support.companies import DANA, DAY, SAM, START
from worker.domain.model import (
    Commitment,
    CommitmentStanding,
    HandoverLine,
    HandoverLineKind,
    Owner,
    PairId,
    Session,
    SessionKind,
    SessionState,
    SharedNote,
    Topic,
)
from worker.domain.notes import (
    HANDOVER_PERIOD,
    MAX_NOTE_CHARACTERS,
    NEWS_PERIOD,
    can_have_notes,
    clean_note_lines,
    find_note_session,
    find_session_without_note,
    list_kept_commitments,
    list_note_lines,
    select_open_notes,
)

PAIR = PairId(DANA, SAM)


def make_held_session(
    topic: Topic = Topic.NOW, state: SessionState = SessionState.HELD, days_ago: int = 3, session_id: str = "s1"
) -> Session:
    end = START - days_ago * DAY
    return Session(
        id=session_id, pair=PAIR, kind=SessionKind.CAREER, topic=topic, cycle=1, state=state, minutes=75,
        earliest=end, target=end, latest=end, start=end - timedelta(minutes=75), end=end, held_at=end,
    )  # fmt: skip


def make_note(author: Owner = Owner.MANAGER, days_ago: int = 3, session_id: str = "s1") -> SharedNote:
    return SharedNote(pair=PAIR, session=session_id, author=author, held_at=START - days_ago * DAY, lines=("x",))


@pytest.mark.parametrize(
    ("session", "expected"),
    [
        (make_held_session(Topic.NOW), True),
        (make_held_session(Topic.DIRECTION), True),
        (make_held_session(Topic.GAP), False),
        (make_held_session(Topic.ALL), False),
        (make_held_session(Topic.ALL, SessionState.UNFINISHED), True),
        (make_held_session(Topic.GAP, SessionState.UNFINISHED), True),
        (make_held_session(Topic.ALL, SessionState.CONTRACTED), False),
        (replace(make_held_session(Topic.NOW), state=SessionState.BOOKED, held_at=None), False),
        (replace(make_held_session(Topic.ALL), kind=SessionKind.REVIEW), False),
    ],
)
def test_r28_notes_belong_to_early_parts_and_unfinished_sessions(session: Session, *, expected: bool) -> None:
    """R-28: the last part of a series and a combined session can have notes only if they end unfinished."""
    assert can_have_notes(session) is expected


def test_r28_note_is_about_the_last_session_within_the_period() -> None:
    first_part, later_session = (
        make_held_session(days_ago=20),
        make_held_session(Topic.ALL, SessionState.CONTRACTED, 5, "s2"),
    )
    assert find_note_session([first_part], START) == first_part
    assert find_note_session([first_part, later_session], START) is None
    assert find_note_session([make_held_session(days_ago=200)], START) is None  # its notes would have expired
    assert find_note_session([], START) is None


def test_r28_notes_stay_open_until_the_next_contract() -> None:
    """R-28: a contract closes the notes of the sessions before it."""
    first, second = make_note(days_ago=30), make_note(Owner.REPORT, 15, "s2")
    parts = [make_held_session(days_ago=30), make_held_session(Topic.DIRECTION, days_ago=15, session_id="s2")]
    assert select_open_notes([second, first], parts) == [first, second]
    gap = make_held_session(Topic.GAP, SessionState.CONTRACTED, 2, "s3")
    assert select_open_notes([second, first], [*parts, gap]) == []
    earlier_contract = make_held_session(Topic.GAP, SessionState.CONTRACTED, 20, "s0")
    assert select_open_notes([second, first], [*parts, earlier_contract]) == [second]


def test_r28_note_keeps_the_first_three_lines_that_are_not_empty() -> None:
    lines = ["", " one ", "x" * 999, "three", "four"]
    assert clean_note_lines(lines) == ("one", "x" * MAX_NOTE_CHARACTERS, "three")


def test_r28_person_who_wrote_a_note_is_not_invited_to_write_one() -> None:
    session = make_held_session()
    assert find_session_without_note([session], [make_note(Owner.REPORT)], Owner.MANAGER, START) == session
    assert find_session_without_note([session], [make_note(Owner.MANAGER)], Owner.MANAGER, START) is None


def make_commitment(owner: Owner, standing: CommitmentStanding, days_ago: int, name: str = "c1") -> Commitment:
    closed_at = START - days_ago * DAY
    return Commitment(
        id=name, pair=PAIR, session="s1", owner=owner, due=START.date(), recorded_at=closed_at - 30 * DAY,
        standing=standing, closed_at=None if standing is CommitmentStanding.OPEN else closed_at,
    )  # fmt: skip


def test_r32_only_recently_kept_commitments_of_the_other_are_listed() -> None:
    """R-32: commitments that changed, were let go or are open are left out."""
    done, reader = CommitmentStanding.DONE, Owner.MANAGER
    kept_lately = [make_commitment(Owner.REPORT, done, 1, "c2"), make_commitment(Owner.REPORT, done, 9, "c1")]
    other_commitments = [
        make_commitment(Owner.MANAGER, done, 1),
        make_commitment(Owner.REPORT, CommitmentStanding.LET_GO, 1),
        make_commitment(Owner.REPORT, CommitmentStanding.CHANGED, 1),
        make_commitment(Owner.REPORT, CommitmentStanding.OPEN, 1),
        make_commitment(Owner.REPORT, done, NEWS_PERIOD.days),
    ]
    assert [c.id for c in list_kept_commitments([*kept_lately, *other_commitments], reader, START)] == ["c1", "c2"]


def test_r36_note_lines_of_the_handover_period_are_listed_newest_first() -> None:
    """R-28, R-36: each line names its author and the day of the session in the report's time zone."""
    expired_note, early_note = make_note(days_ago=HANDOVER_PERIOD.days), make_note(Owner.MANAGER, days_ago=90)
    manager_note, report_note = (
        make_note(Owner.MANAGER, days_ago=3),
        replace(make_note(Owner.REPORT, days_ago=3), lines=("y", "z")),
    )
    day, early_day = (START - days * DAY for days in (3, 90))
    lines = [
        (HandoverLineKind.REPORT_NOTE, "y", day),
        (HandoverLineKind.REPORT_NOTE, "z", day),
        (HandoverLineKind.MANAGER_NOTE, "x", day),
    ]
    lines.append((HandoverLineKind.MANAGER_NOTE, "x", early_day))
    assert list_note_lines([expired_note, manager_note, early_note, report_note], "UTC", START) == [
        HandoverLine(kind=kind, text=text, due=instant.date()) for kind, text, instant in lines
    ]
    note_at_noon = replace(manager_note, held_at=day.replace(hour=12))
    assert [line.due for line in list_note_lines([note_at_noon], "Pacific/Kiritimati", START)] == [(day + DAY).date()]
