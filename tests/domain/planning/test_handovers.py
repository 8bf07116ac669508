"""A change of the report's manager: its mails, and the open commitments of the former manager (R-36, T-18).

T-17: mails about the end of a pair leave on the next working day, since the roster may be wrong.
"""

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

FORMER_PAIR = PairId("old@corp.example", SAM.email)
NEXT_PAIR = PairId("new@corp.example", SAM.email)


def make_story_with_contract() -> Story:
    """A story of a pair with a contract, whose manager has an open commitment (p1) and a done one (p3)."""
    story = booked_story(Story(pair_of(format=Format.COMBINED)))
    story.until(story.next.span.end)
    first = story.sessions_of_kind(SessionKind.CAREER)[0].id
    due = date(2026, 11, 27)
    commitments = [IdentifiedCommitment(id=name, owner=owner, due=due) for name, owner in (
        ("p1", Owner.MANAGER), ("p2", Owner.REPORT), ("p3", Owner.MANAGER))]  # fmt: skip
    story.act(lambda builder: actions.record_contract(builder, builder.sessions[first], commitments, revision=1))
    story.act(lambda builder: actions.close_commitment(builder, builder.commitments["p3"], CommitmentStanding.DONE))
    return story


def end_pair(story: Story, reason: EndReason, successor: PairId | None = NEXT_PAIR) -> None:
    """End the pair, as the roster does when it names another manager or none."""
    handover = Handover(former_pair=story.pair.id, pair=successor, ended_at=story.now)
    story.state = replace(story.state, outgoing_handover=handover)
    story.change(ended=reason)


def run_days(story: Story, days: int) -> None:
    """Let so many days pass, and plan at their end."""
    story.until(story.now + days * DAY)
    story.tick_at(story.now)


def list_sent_mails(story: Story) -> list[tuple[str, str]]:
    """Return the mails about the change that were sent, with their recipients."""
    names = ("pair_ended", "new_manager", "open_promises")
    return sorted((name, mail.to) for name in names for mail in story.sent(name))


@pytest.mark.parametrize(
    ("reason", "successor", "expected_mails"),
    [
        (EndReason.CHANGED, NEXT_PAIR, [("open_promises", DANA.email)]),
        (EndReason.CHANGED, None, [("open_promises", DANA.email), ("pair_ended", SAM.email)]),
        (EndReason.MANAGER_LEFT, NEXT_PAIR, []),
        (EndReason.MANAGER_LEFT, None, [("pair_ended", SAM.email)]),
        (EndReason.REPORT_LEFT, None, [("pair_ended", DANA.email)]),
    ],
)
def test_each_person_gets_one_mail_about_the_end_of_a_pair(
    reason: EndReason, successor: PairId | None, expected_mails: list[tuple[str, str]]
) -> None:
    """R-36, T-17: no mail is sent before the next day.

    If there is a new manager, the report learns of the change from the mail about that manager.
    """
    story = make_story_with_contract()
    end_pair(story, reason, successor)
    story.tick_at(story.now + 2 * HOUR)
    assert list_sent_mails(story) == []
    run_days(story, 5)
    assert list_sent_mails(story) == expected_mails
    run_days(story, 100)
    assert list_sent_mails(story) == expected_mails


def test_former_manager_without_open_commitments_gets_the_mail_about_the_end_only() -> None:
    story = make_story_with_contract()
    story.act(lambda builder: actions.close_commitment(builder, builder.commitments["p1"], CommitmentStanding.DONE))
    end_pair(story, EndReason.CHANGED)
    run_days(story, 5)
    assert list_sent_mails(story) == [("pair_ended", DANA.email)]


def test_commitment_that_ends_later_causes_no_second_mail() -> None:
    """R-36: the former manager gets one mail."""
    story = make_story_with_contract()
    end_pair(story, EndReason.CHANGED)
    run_days(story, 5)
    story.act(lambda builder: actions.close_commitment(builder, builder.commitments["p1"], CommitmentStanding.LET_GO))
    run_days(story, 5)
    assert list_sent_mails(story) == [("open_promises", DANA.email)]


def test_block_of_a_former_manager_s_commitment_stays_until_it_ends() -> None:
    """The promise still holds, and so does the time for it (R-36, T-8)."""
    story = make_story_with_contract()
    end_pair(story, EndReason.CHANGED)
    run_days(story, 5)
    assert story.placed_event(story.commitment("p1")) is not None
    story.act(lambda builder: actions.close_commitment(builder, builder.commitments["p1"], CommitmentStanding.LET_GO))
    story.tick_at(story.now + HOUR)
    assert story.placed_event(story.commitment("p1")) is None


def test_t18_commitments_of_a_manager_who_left_end_with_the_mail_to_the_report() -> None:
    """T-17: they do not end before the next day, so that an error in the people file ends none."""
    story = make_story_with_contract()
    end_pair(story, EndReason.MANAGER_LEFT)
    story.tick_at(story.now + 2 * HOUR)
    assert story.commitment("p1").is_open
    run_days(story, 5)
    assert story.commitment("p1").standing is CommitmentStanding.LET_GO
    assert story.commitment("p2").is_open, "the report's own commitment has ended"
    assert story.commitment("p3").standing is CommitmentStanding.DONE


def test_t18_roster_error_that_is_corrected_at_once_ends_no_commitment() -> None:
    story = make_story_with_contract()
    end_pair(story, EndReason.MANAGER_LEFT)
    story.tick_at(story.now + 2 * HOUR)
    story.state = replace(story.state, outgoing_handover=None)
    story.change(ended=EndReason.NO)
    run_days(story, 5)
    assert story.commitment("p1").is_open


def make_story_with_new_manager() -> Story:
    """A story of a report whose former manager was another person."""
    story = Story(pair_of(format=Format.COMBINED))
    story.state = replace(
        story.state, incoming_handover=Handover(former_pair=FORMER_PAIR, pair=story.pair.id, ended_at=NOW)
    )
    return booked_story(story)


def test_report_gets_one_mail_about_the_new_manager_after_the_first_day() -> None:
    """On the first day the roster may still be wrong (R-36, T-17)."""
    story = make_story_with_new_manager()
    story.tick_at(NOW + 2 * HOUR)
    assert list_sent_mails(story) == []
    run_days(story, 4)
    assert list_sent_mails(story) == [("new_manager", SAM.email)]
    run_days(story, 120)
    assert list_sent_mails(story) == [("new_manager", SAM.email)]


def test_r36_report_with_a_new_manager_gets_no_second_introduction() -> None:
    """R-23, R-36: the report knows Longarc already."""
    story = make_story_with_new_manager()
    run_days(story, 4)
    assert [mail.to for mail in story.mails("introduction")] == [DANA.email]
    assert {mail.to for mail in booked_story().mails("introduction")} == {DANA.email, SAM.email}


def test_handover_lines_can_be_chosen_until_the_first_session_begins() -> None:
    """The new manager reads the chosen lines in the brief before that session (R-36)."""
    story = make_story_with_new_manager()
    assert can_choose_lines(story.state, story.now)
    start = story.next.span.start
    assert not can_choose_lines(story.state, start)
    story.until(story.next.span.end)
    assert not can_choose_lines(story.state, story.now)


def test_pair_without_a_former_manager_has_no_handover() -> None:
    story = booked_story()
    run_days(story, 3)
    assert not can_choose_lines(story.state, story.now)
    assert story.mails("new_manager") == []
