"""R-36, T-18: the manager of a report changes; who is told what, and what becomes of open promises."""

from dataclasses import replace
from datetime import date

import pytest

from tests.support.pairs import DANA, DAY, HOUR, NOW, SAM, pair_of
from tests.support.stories import Story, booked_story
from worker.domain.model import (
    CommitmentStanding,
    EndReason,
    Format,
    Handover,
    IdentifiedCommitment,
    Owner,
    PairId,
    SessionKind,
)
from worker.domain.planning import actions
from worker.domain.planning.handovers import can_choose_lines

FORMER = PairId("old@corp.example", SAM.email)
NEXT = PairId("new@corp.example", SAM.email)


def promised() -> Story:
    """A pair with a contract, whose manager has one promise open and one done."""
    story = booked_story(Story(pair_of(format=Format.COMBINED)))
    story.until(story.next.span.end)
    first = story.sessions_of_kind(SessionKind.CAREER)[0].id
    due = date(2026, 11, 27)
    promises = [IdentifiedCommitment(id=name, owner=owner, due=due) for name, owner in (
        ("p1", Owner.MANAGER), ("p2", Owner.REPORT), ("p3", Owner.MANAGER))]  # fmt: skip
    story.act(lambda p: actions.record_contract(p, p.sessions[first], promises, 1))
    story.act(lambda p: actions.close_commitment(p, p.commitments["p3"], CommitmentStanding.DONE))
    return story


def end(story: Story, why: EndReason, successor: PairId | None = NEXT) -> None:
    outgoing = Handover(former_pair=story.pair.id, pair=successor, ended_at=story.now)
    story.state = replace(story.state, outgoing_handover=outgoing)
    story.change(ended=why)


def wait(story: Story, days: int) -> None:
    """Let so many days pass; what waits to be sent by then is sent."""
    story.until(story.now + days * DAY)
    story.tick_at(story.now)


def told(story: Story) -> list[tuple[str, str]]:
    names = ("pair_ended", "new_manager", "open_promises")
    return sorted((name, mail.to) for name in names for mail in story.sent(name))


@pytest.mark.parametrize(
    ("why", "successor", "expected"),
    [
        (EndReason.CHANGED, NEXT, [("open_promises", DANA.email)]),
        (EndReason.CHANGED, None, [("open_promises", DANA.email), ("pair_ended", SAM.email)]),
        (EndReason.MANAGER_LEFT, NEXT, []),
        (EndReason.MANAGER_LEFT, None, [("pair_ended", SAM.email)]),
        (EndReason.REPORT_LEFT, None, [("pair_ended", DANA.email)]),
    ],
)
def test_each_is_told_once_of_a_change(
    why: EndReason, successor: PairId | None, expected: list[tuple[str, str]]
) -> None:
    """R-36, T-17: the report by the mail about the new manager when there is one; nobody before the next day."""
    story = promised()
    end(story, why, successor)
    story.tick_at(story.now + 2 * HOUR)
    assert told(story) == []
    wait(story, 5)
    assert told(story) == expected
    wait(story, 100)
    assert told(story) == expected


def test_without_an_open_promise_the_old_manager_is_only_told_that_it_ended() -> None:
    story = promised()
    story.act(lambda p: actions.close_commitment(p, p.commitments["p1"], CommitmentStanding.DONE))
    end(story, EndReason.CHANGED)
    wait(story, 5)
    assert told(story) == [("pair_ended", DANA.email)]


def test_promises_that_end_later_bring_no_second_mail() -> None:
    """R-36: one mail to the old manager."""
    story = promised()
    end(story, EndReason.CHANGED)
    wait(story, 5)
    story.act(lambda p: actions.close_commitment(p, p.commitments["p1"], CommitmentStanding.LET_GO))
    wait(story, 5)
    assert told(story) == [("open_promises", DANA.email)]


def test_a_promise_stays_on_the_old_managers_calendar_until_it_ends() -> None:
    """R-36, T-8: also where the manager moves it."""
    story = promised()
    end(story, EndReason.CHANGED)
    wait(story, 5)
    block = story.placed_event(story.commitment("p1"))
    assert block is not None and not block.is_gone
    story.act(lambda p: actions.close_commitment(p, p.commitments["p1"], CommitmentStanding.LET_GO))
    story.tick_at(story.now + HOUR)
    assert story.placed_event(story.commitment("p1")) is None or story.placed_event(story.commitment("p1")).gone  # type: ignore[union-attr]


def test_t18_promises_of_a_manager_who_left_end_when_the_report_is_told() -> None:
    """T-17: not before the next day, so that a slip of the file ends none."""
    story = promised()
    end(story, EndReason.MANAGER_LEFT)
    story.tick_at(story.now + 2 * HOUR)
    assert story.commitment("p1").is_open
    wait(story, 5)
    assert story.commitment("p1").standing is CommitmentStanding.LET_GO
    assert story.commitment("p2").is_open, "what the report wants to do is the report's"
    assert story.commitment("p3").standing is CommitmentStanding.DONE


def test_t18_a_slip_of_the_file_ends_no_promise() -> None:
    story = promised()
    end(story, EndReason.MANAGER_LEFT)
    story.tick_at(story.now + 2 * HOUR)
    story.state = replace(story.state, outgoing_handover=None)
    story.change(ended=EndReason.NO)
    wait(story, 5)
    assert story.commitment("p1").is_open


def begun() -> Story:
    story = Story(pair_of(format=Format.COMBINED))
    story.state = replace(story.state, incoming_handover=Handover(former_pair=FORMER, pair=story.pair.id, ended_at=NOW))
    return booked_story(story)


def test_the_report_is_told_of_the_new_manager_once_and_not_on_the_same_day() -> None:
    """R-36, T-17."""
    story = begun()
    story.tick_at(NOW + 2 * HOUR)
    assert told(story) == []
    wait(story, 4)
    assert told(story) == [("new_manager", SAM.email)]
    wait(story, 120)
    assert told(story) == [("new_manager", SAM.email)]


def test_r36_who_has_a_new_manager_is_not_introduced_once_more() -> None:
    """R-23, R-36: one mail tells of the change, and what this is they know."""
    story = begun()
    wait(story, 4)
    assert [mail.to for mail in story.mails("introduction")] == [DANA.email]
    assert {mail.to for mail in booked_story().mails("introduction")} == {DANA.email, SAM.email}


def test_lines_can_be_chosen_until_the_first_session_with_the_new_manager() -> None:
    """R-36."""
    story = begun()
    assert can_choose_lines(story.state, story.now)
    start = story.next.span.start
    assert not can_choose_lines(story.state, start)
    story.until(story.next.span.end)
    assert not can_choose_lines(story.state, story.now)


def test_a_pair_without_another_before_it_has_no_handover() -> None:
    story = booked_story()
    wait(story, 3)
    assert not can_choose_lines(story.state, story.now)
    assert story.mails("new_manager") == []
