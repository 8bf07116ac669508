"""Which conversations have notes, which notes no contract has taken up, and what is news (R-28, R-32)."""

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


def held(
    topic: Topic = Topic.NOW, state: SessionState = SessionState.HELD, days_ago: int = 3, session_id: str = "s1"
) -> Session:
    end = START - days_ago * DAY
    return Session(
        id=session_id, pair=PAIR, kind=SessionKind.CAREER, topic=topic, cycle=1, state=state, minutes=75,
        earliest=end, target=end, latest=end, start=end - timedelta(minutes=75), end=end, held_at=end,
    )  # fmt: skip


def note(author: Owner = Owner.MANAGER, days_ago: int = 3, session_id: str = "s1") -> SharedNote:
    return SharedNote(pair=PAIR, session=session_id, author=author, held_at=START - days_ago * DAY, lines=("x",))


@pytest.mark.parametrize(
    ("session", "taken"),
    [
        (held(Topic.NOW), True),
        (held(Topic.DIRECTION), True),
        (held(Topic.GAP), False),
        (held(Topic.ALL), False),
        (held(Topic.ALL, SessionState.UNFINISHED), True),
        (held(Topic.GAP, SessionState.UNFINISHED), True),
        (held(Topic.ALL, SessionState.CONTRACTED), False),
        (replace(held(Topic.NOW), state=SessionState.BOOKED, held_at=None), False),
        (replace(held(Topic.ALL), kind=SessionKind.REVIEW), False),
    ],
)
def test_r28_notes_belong_to_parts_of_a_series_and_to_what_ended_unfinished(session: Session, *, taken: bool) -> None:
    assert can_have_notes(session) is taken


def test_r28_the_note_is_about_the_last_conversation() -> None:
    part, later = held(days_ago=20), held(Topic.ALL, SessionState.CONTRACTED, 5, "s2")
    assert find_note_session([part], START) == part
    assert find_note_session([part, later], START) is None
    assert find_note_session([held(days_ago=200)], START) is None
    assert find_note_session([], START) is None


def test_r28_notes_stand_in_the_brief_until_a_contract_takes_them_up() -> None:
    first, second = note(days_ago=30), note(Owner.REPORT, 15, "s2")
    parts = [held(days_ago=30), held(Topic.DIRECTION, days_ago=15, session_id="s2")]
    assert select_open_notes([second, first], parts) == [first, second]
    gap = held(Topic.GAP, SessionState.CONTRACTED, 2, "s3")
    assert select_open_notes([second, first], [*parts, gap]) == []
    before = held(Topic.GAP, SessionState.CONTRACTED, 20, "s0")
    assert select_open_notes([second, first], [*parts, before]) == [second]


def test_r28_a_note_is_three_lines_that_say_something() -> None:
    lines = ["", " one ", "x" * 999, "three", "four"]
    assert clean_note_lines(lines) == ("one", "x" * MAX_NOTE_CHARACTERS, "three")


def test_r28_who_has_left_a_note_is_not_invited() -> None:
    session = held()
    assert find_session_without_note([session], [note(Owner.REPORT)], Owner.MANAGER, START) == session
    assert find_session_without_note([session], [note(Owner.MANAGER)], Owner.MANAGER, START) is None


def commitment(owner: Owner, standing: CommitmentStanding, days_ago: int, name: str = "c1") -> Commitment:
    closed_at = START - days_ago * DAY
    return Commitment(
        id=name, pair=PAIR, session="s1", owner=owner, due=START.date(), recorded_at=closed_at - 30 * DAY,
        standing=standing, closed_at=None if standing is CommitmentStanding.OPEN else closed_at,
    )  # fmt: skip


def test_r32_only_what_the_other_one_has_done_lately_is_news() -> None:
    done, mine = CommitmentStanding.DONE, Owner.MANAGER
    theirs = [commitment(Owner.REPORT, done, 1, "c2"), commitment(Owner.REPORT, done, 9, "c1")]
    others = [
        commitment(Owner.MANAGER, done, 1),
        commitment(Owner.REPORT, CommitmentStanding.LET_GO, 1),
        commitment(Owner.REPORT, CommitmentStanding.CHANGED, 1),
        commitment(Owner.REPORT, CommitmentStanding.OPEN, 1),
        commitment(Owner.REPORT, done, NEWS_PERIOD.days),
    ]
    assert [c.id for c in list_kept_commitments([*theirs, *others], mine, START)] == ["c1", "c2"]


def test_r36_each_line_of_last_years_notes_can_go_on_the_newest_conversation_first() -> None:
    """R-28, R-36: with whose it is, and the day of the conversation where the report is."""
    old, early = note(days_ago=HANDOVER_PERIOD.days), note(Owner.MANAGER, days_ago=90)
    theirs, own = note(Owner.MANAGER, days_ago=3), replace(note(Owner.REPORT, days_ago=3), lines=("y", "z"))
    day, then = (START - days * DAY for days in (3, 90))
    lines = [
        (HandoverLineKind.REPORT_NOTE, "y", day),
        (HandoverLineKind.REPORT_NOTE, "z", day),
        (HandoverLineKind.MANAGER_NOTE, "x", day),
    ]
    lines.append((HandoverLineKind.MANAGER_NOTE, "x", then))
    assert list_note_lines([old, theirs, early, own], "UTC", START) == [
        HandoverLine(kind=kind, text=words, due=at.date()) for kind, words, at in lines
    ]
    at_noon = replace(theirs, held_at=day.replace(hour=12))
    assert [line.due for line in list_note_lines([at_noon], "Pacific/Kiritimati", START)] == [(day + DAY).date()]
