"""A contract that is recorded or revised, and commitments that end (R-14, R-15, R-17, R-18; T-7)."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from tests.support.pairs import DANA, DAY, HOUR, MINUTE, NOW, SAM, WEEK, commitment_of, session_of, state_of
from tests.support.stories import Story, booked_story, first_session, get_refusal, session_of_state, story_at_end
from worker.domain.model import (
    CommitmentStanding,
    IdentifiedCommitment,
    Owner,
    Policy,
    Session,
    SessionKind,
    SessionState,
    Topic,
)
from worker.domain.planning import actions
from worker.domain.planning.plan_builder import PlanBuilder
from worker.errors import Refused

DUE = date(2026, 10, 30)

MINE, YOURS = (
    IdentifiedCommitment(id="p1", owner=Owner.MANAGER, due=DUE),
    IdentifiedCommitment(id="p2", owner=Owner.REPORT, due=DUE),
)


def record(story: Story, *promises: IdentifiedCommitment, revision: int = 1) -> None:
    session_id = first_session(story).id
    story.act(lambda p: actions.record_contract(p, p.sessions[session_id], promises, revision))


# --- the contract ---


def test_a_contract_closes_the_conversation_and_both_get_it() -> None:
    """T-7, R-14, R-15: the summary is due at once, for both."""
    story = story_at_end()
    story.now += HOUR
    record(story, MINE, YOURS)
    assert first_session(story).state is SessionState.CONTRACTED
    summaries = story.mails("contract_summary")
    assert [(m.to, m.number) for m in summaries] == [(DANA.email, 1), (SAM.email, 1)]
    assert {m.due_at for m in summaries} == {story.now}
    assert {(c.id, c.owner, c.due, c.recorded_at) for c in story.state.commitments} == {
        ("p1", Owner.MANAGER, DUE, story.now),
        ("p2", Owner.REPORT, DUE, story.now),
    }
    assert story.commitment("p1").block  # R-19, T-8: within the same minute


@pytest.mark.parametrize(("hours", "late"), [(47, None), (48, None), (49, True)])
def test_lateness_is_recorded(hours: int, late: bool | None) -> None:
    """R-15, R-22."""
    story = story_at_end()
    story.tick_at(story.now + hours * HOUR)
    record(story)
    told = next(d for d in story.decisions if d.fields.get("state") == "contracted")
    assert told.fields.get("late") is late
    assert ("after its deadline" in told.reason) is bool(late)


def test_a_contract_is_a_live_document() -> None:
    """R-14, R-18: each revision goes to both; what is kept stays, what is new begins, what is gone ends as changed."""
    story = story_at_end()
    record(story, MINE, YOURS)
    story.tick_at(story.now + 30 * DAY)
    other = IdentifiedCommitment(id="p3", owner=Owner.REPORT, due=DUE)
    record(story, replace(MINE, due=DUE + WEEK), other, revision=2)
    assert [(m.to, m.number) for m in story.mails("contract_summary")] == [
        (DANA.email, 1),
        (SAM.email, 1),
        (DANA.email, 2),
        (SAM.email, 2),
    ]
    standing = {c.id: (c.standing, c.due) for c in story.state.commitments}
    assert standing == {
        "p1": (CommitmentStanding.OPEN, DUE + WEEK),
        "p2": (CommitmentStanding.CHANGED, DUE),
        "p3": (CommitmentStanding.OPEN, DUE),
    }
    assert "Revision 2" in [d for d in story.decisions if d.what == "contract"][-1].reason


def test_a_revision_leaves_what_was_done_alone() -> None:
    """R-18."""
    story = story_at_end()
    record(story, MINE, YOURS)
    story.act(lambda p: actions.close_commitment(p, p.commitments["p2"], CommitmentStanding.DONE))
    record(story, MINE, revision=2)
    assert story.commitment("p2").standing is CommitmentStanding.DONE


def test_an_unfinished_conversation_is_finished_by_its_contract() -> None:
    """R-17: late is better than never."""
    story = story_at_end()
    story.until(story.now + 20 * DAY)
    assert first_session(story).state is SessionState.UNFINISHED
    record(story)
    assert first_session(story).state is SessionState.CONTRACTED
    assert len(story.mails("contract_summary")) == 2


def test_a_contract_may_be_recorded_while_the_two_still_talk() -> None:
    """R-15: once it has begun; the end is that of the calendar."""
    story = booked_story()
    was = story.next
    story.tick_at(was.span.start + 50 * MINUTE)
    record(story)
    assert first_session(story).state is SessionState.CONTRACTED
    assert first_session(story).held_at == was.span.end


@pytest.mark.parametrize(
    ("session", "words"),
    [
        (session_of(NOW + DAY), "has not taken place yet"),
        (session_of(None), "has not taken place yet"),
        (session_of_state(SessionState.HELD, kind=SessionKind.REVIEW), "of a kind that has no contract"),
        (session_of_state(SessionState.CANCELLED), "is cancelled"),
    ],
)
def test_what_has_no_contract(session: Session, words: str) -> None:
    assert words in get_refusal(session, actions.record_contract, [], 1)


def test_an_early_contract_ends_a_series() -> None:
    """R-4, T-13: who agrees in the second conversation has agreed; the third still stands."""
    start = NOW - 2 * HOUR
    direction = session_of(start, topic=Topic.DIRECTION, state=SessionState.HELD, held_at=start + HOUR)
    p = PlanBuilder(NOW, state_of(direction), None, Policy())
    actions.record_contract(p, direction, [MINE], 1)
    assert p.sessions["c1"].state is SessionState.CONTRACTED


# --- commitments ---


@pytest.mark.parametrize(
    ("standing", "words"),
    [(CommitmentStanding.DONE, "done"), (CommitmentStanding.LET_GO, "let go"), (CommitmentStanding.CHANGED, "changed")],
)
def test_a_commitment_ends_without_blame(standing: CommitmentStanding, words: str) -> None:
    """R-18, R-24: when and how, and nothing of what."""
    story = Story(state=state_of(commitments=(commitment_of(DUE, Owner.REPORT),)))
    story.act(lambda p: actions.close_commitment(p, p.commitments["p1"], standing))
    assert (story.commitment().standing, story.commitment().closed_at) == (standing, NOW)
    assert f"A commitment of the report ended as {words}." in [d.reason for d in story.decisions]


def test_a_commitment_ends_once() -> None:
    """R-18."""
    given = commitment_of(DUE, standing=CommitmentStanding.DONE, closed_at=NOW)
    p = PlanBuilder(NOW + timedelta(days=1), state_of(commitments=(given,)), None, Policy())
    with pytest.raises(Refused, match="ended already, as done"):
        actions.close_commitment(p, given, CommitmentStanding.LET_GO)
