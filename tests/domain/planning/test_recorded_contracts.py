"""Tests of recording and revising a contract, and of ending commitments.

R-14: both receive each revision. R-15 and T-7: a late contract is recorded as late. R-17: without a contract, a session
ends unfinished. R-18: a commitment is done, changed or let go. R-4 and T-13 are about series.
"""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from tests.support.pairs import DANA, DAY, HOUR, MINUTE, NOW, SAM, WEEK, commitment_of, session_of, state_of
from tests.support.stories import Story, booked_story, first_session, get_refusal_text, session_of_state, story_at_end
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

MANAGERS_COMMITMENT, REPORTS_COMMITMENT = (
    IdentifiedCommitment(id="p1", owner=Owner.MANAGER, due=DUE),
    IdentifiedCommitment(id="p2", owner=Owner.REPORT, due=DUE),
)


def record_first_contract(story: Story, *commitments: IdentifiedCommitment, revision: int = 1) -> None:
    """Record the contract of the first session."""
    session_id = first_session(story).id
    story.act(
        lambda builder: actions.record_contract(builder, builder.sessions[session_id], commitments, revision=revision)
    )


# --- the contract ---


def test_a_contract_closes_the_session_and_both_get_the_summary() -> None:
    """Both people get the summary at once (T-7, R-14, R-15)."""
    story = story_at_end()
    story.now += HOUR
    record_first_contract(story, MANAGERS_COMMITMENT, REPORTS_COMMITMENT)
    assert first_session(story).state is SessionState.CONTRACTED
    summaries = story.mails("contract_summary")
    assert [(m.to, m.number) for m in summaries] == [(DANA.email, 1), (SAM.email, 1)]
    assert {m.due_at for m in summaries} == {story.now}
    assert {(c.id, c.owner, c.due, c.recorded_at) for c in story.state.commitments} == {
        ("p1", Owner.MANAGER, DUE, story.now),
        ("p2", Owner.REPORT, DUE, story.now),
    }
    assert story.commitment("p1").block  # R-19, T-8: planned at once


@pytest.mark.parametrize(("hours", "late"), [(47, None), (48, None), (49, True)])  # None: there is no such field
def test_the_history_records_a_contract_after_its_deadline(hours: int, late: bool | None) -> None:
    """The history says that the contract was recorded after its deadline of 48 hours (R-15, R-22)."""
    story = story_at_end()
    story.tick_at(story.now + hours * HOUR)
    record_first_contract(story)
    decision = next(d for d in story.decisions if d.fields.get("state") == "contracted")
    assert decision.fields.get("late") is late
    assert ("after its deadline" in decision.reason) is bool(late)


def test_a_revision_reaches_both_and_ends_omitted_commitments() -> None:
    """Both people get each revision. A commitment that a revision omits ends as changed (R-14, R-18)."""
    story = story_at_end()
    record_first_contract(story, MANAGERS_COMMITMENT, REPORTS_COMMITMENT)
    story.tick_at(story.now + 30 * DAY)
    new_commitment = IdentifiedCommitment(id="p3", owner=Owner.REPORT, due=DUE)
    record_first_contract(story, replace(MANAGERS_COMMITMENT, due=DUE + WEEK), new_commitment, revision=2)
    assert [(m.to, m.number) for m in story.mails("contract_summary")] == [
        (DANA.email, 1),
        (SAM.email, 1),
        (DANA.email, 2),
        (SAM.email, 2),
    ]
    standings = {c.id: (c.standing, c.due) for c in story.state.commitments}
    assert standings == {
        "p1": (CommitmentStanding.OPEN, DUE + WEEK),
        "p2": (CommitmentStanding.CHANGED, DUE),
        "p3": (CommitmentStanding.OPEN, DUE),
    }
    assert "Revision 2" in [d for d in story.decisions if d.what == "contract"][-1].reason


def test_revision_does_not_change_a_done_commitment() -> None:
    """It omits the commitment, which would end an open one as changed (R-18)."""
    story = story_at_end()
    record_first_contract(story, MANAGERS_COMMITMENT, REPORTS_COMMITMENT)
    story.act(lambda builder: actions.close_commitment(builder, builder.commitments["p2"], CommitmentStanding.DONE))
    record_first_contract(story, MANAGERS_COMMITMENT, revision=2)
    assert story.commitment("p2").standing is CommitmentStanding.DONE


def test_a_late_contract_closes_an_unfinished_session() -> None:
    """R-17: both people get the summary."""
    story = story_at_end()
    story.until(story.now + 20 * DAY)
    assert first_session(story).state is SessionState.UNFINISHED
    record_first_contract(story)
    assert first_session(story).state is SessionState.CONTRACTED
    assert len(story.mails("contract_summary")) == 2


def test_contract_can_be_recorded_during_the_session() -> None:
    """The session counts as held until its booked end (R-15)."""
    story = booked_story()
    session = story.next
    story.tick_at(session.span.start + 50 * MINUTE)
    record_first_contract(story)
    assert first_session(story).state is SessionState.CONTRACTED
    assert first_session(story).held_at == session.span.end


@pytest.mark.parametrize(
    ("session", "words"),
    [
        (session_of(NOW + DAY), "has not taken place yet"),
        (session_of(None), "has not taken place yet"),
        (session_of_state(SessionState.HELD, kind=SessionKind.REVIEW), "of a kind that has no contract"),
        (session_of_state(SessionState.CANCELLED), "is cancelled"),
    ],
)
def test_contract_is_refused_for_a_session_that_can_not_have_one(session: Session, words: str) -> None:
    """It was not held, or is no career session (R-15)."""
    assert words in get_refusal_text(session, actions.record_contract, [], 1)


def test_second_part_of_a_series_can_have_the_contract() -> None:
    """Contracts are requested after the last part, but an earlier one is taken (R-4, T-13)."""
    start = NOW - 2 * HOUR
    direction = session_of(start, topic=Topic.DIRECTION, state=SessionState.HELD, held_at=start + HOUR)
    builder = PlanBuilder(NOW, state_of(direction), snapshot=None, policy=Policy())
    actions.record_contract(builder, direction, [MANAGERS_COMMITMENT], revision=1)
    assert builder.sessions[direction.id].state is SessionState.CONTRACTED


# --- commitments ---


@pytest.mark.parametrize(
    ("standing", "words"),
    [(CommitmentStanding.DONE, "done"), (CommitmentStanding.LET_GO, "let go"), (CommitmentStanding.CHANGED, "changed")],
)
def test_the_history_records_how_a_commitment_ended(standing: CommitmentStanding, words: str) -> None:
    """The history says when and how the commitment ended, and nothing of its text (R-18, R-24)."""
    story = Story(state=state_of(commitments=(commitment_of(DUE, Owner.REPORT),)))
    story.act(lambda builder: actions.close_commitment(builder, builder.commitments["p1"], standing))
    assert (story.commitment().standing, story.commitment().closed_at) == (standing, NOW)
    assert f"A commitment of the report ended as {words}." in [d.reason for d in story.decisions]


def test_ended_commitment_can_not_end_again() -> None:
    """Its first end stays (R-18)."""
    commitment = commitment_of(DUE, standing=CommitmentStanding.DONE, closed_at=NOW)
    builder = PlanBuilder(NOW + timedelta(days=1), state_of(commitments=(commitment,)), snapshot=None, policy=Policy())
    with pytest.raises(Refused, match="ended already, as done"):
        actions.close_commitment(builder, commitment, CommitmentStanding.LET_GO)
