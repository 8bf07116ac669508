"""Invitations by mail, where the manager's calendar service invites nobody outside of it (RFC 5546, RFC 6047)."""

from dataclasses import replace

import pytest

from tests.support.pairs import DANA, DAY, HOUR, NOW, SAM, WEEK, pair_of, person
from tests.support.stories import DEFAULT_POLICY, Story, booked_story
from worker.domain.model import EndReason, Policy, Span

SILENT = replace(DEFAULT_POLICY, providers_without_invitations=frozenset({"caldav"}))
OTHER_SILENT = replace(DEFAULT_POLICY, providers_without_invitations=frozenset({"memory"}))
ELSEWHERE = person("Sam", "Europe/London", "GB", calendar="none")


def story(policy: Policy = SILENT) -> Story:
    made = booked_story(Story(pair_of(DANA, ELSEWHERE), DANA, ELSEWHERE, policy=policy))
    made.until(made.now + 5 * HOUR)
    return made


def told(one: Story) -> list[tuple[str, str, int]]:
    """What the report was told: the mail's name, the event it is about, its number."""
    mails = [*one.mails("invitation"), *one.mails("invitation_withdrawn")]
    assert {m.to for m in mails} <= {SAM.email}
    return [(m.name, m.event, m.number) for m in sorted(mails, key=lambda m: m.number)]


def test_r2_a_report_whom_no_server_invites_is_invited_by_mail_once() -> None:
    one = story()
    assert told(one) == [("invitation", one.next.key, 0)]
    assert one.mails("invitation")[0].start == one.next.start


@pytest.mark.parametrize("policy", [DEFAULT_POLICY, OTHER_SILENT], ids=["tells all", "another"])
def test_a_service_that_invites_leaves_nothing_to_say(policy: Policy) -> None:
    assert told(story(policy)) == []


def test_a_report_on_the_same_service_has_a_copy_and_gets_no_mail() -> None:
    assert told(booked_story(Story(policy=SILENT))) == []


def test_t11_a_hand_move_is_told_with_a_higher_number() -> None:
    one = story()
    start = one.next.span.start + DAY
    one.move(one.next, start, 75)
    one.until(one.now + HOUR)
    assert told(one) == [("invitation", one.next.key, 0), ("invitation", one.next.key, 1)]
    assert one.mails("invitation")[-1].start == start


def test_t10_a_session_that_moves_is_told_at_its_new_time() -> None:
    one = story()
    first = one.next.start
    one.decline(one.next, ELSEWHERE)
    one.until(one.now + HOUR)
    assert [m.start for m in one.mails("invitation")] == [first, one.next.start]
    assert one.next.start != first


def test_an_event_that_is_made_anew_takes_the_old_one_back() -> None:
    one = story()
    old = one.next.key
    one.delete(one.next)
    one.until(one.now + HOUR)
    assert one.next.key != old
    assert told(one) == [("invitation", old, 0), ("invitation_withdrawn", old, 1), ("invitation", one.next.key, 2)]


def test_what_finds_no_time_is_taken_back_and_told_again_when_it_does() -> None:
    one = story()
    key = one.next.key
    one.calendars.book(DANA, NOW, NOW + 40 * WEEK)
    one.recheck_free_busy()
    one.decline(one.next, ELSEWHERE)
    one.until(one.now + HOUR)
    assert told(one)[-1] == ("invitation_withdrawn", key, 1)
    one.clear()
    one.until(one.now + 2 * DAY)
    assert one.next.booked
    assert told(one)[-1][::2] == ("invitation", 2)


@pytest.mark.parametrize("fields", [{"paused": True}, {"ended": EndReason.CHANGED}], ids=["paused", "ended"])
def test_who_needs_not_come_any_more_is_told(fields: dict[str, object]) -> None:
    one = story()
    key = one.next.key
    one.change(**fields)
    assert told(one)[-1] == ("invitation_withdrawn", key, 1)


def test_a_session_that_was_held_takes_nothing_back() -> None:
    one = story()
    first = one.next
    one.until(first.span.end + HOUR)
    assert [name for name, event, _ in told(one) if event == first.key] == ["invitation"]


def test_an_invitation_that_is_overtaken_does_not_leave() -> None:
    one = booked_story(Story(pair_of(DANA, ELSEWHERE), DANA, ELSEWHERE, policy=SILENT))
    one.until(one.now + HOUR)
    first = one.next
    one.state = replace(
        one.state, placed_events={first.key: replace(one.state.placed_events[first.key], span=_later(first.span))}
    )
    one.tick()
    assert [m.start for m in one.mails("invitation")] == [first.start, one.next.start]


def _later(span: Span) -> Span:
    return Span(span.start + HOUR, span.end + HOUR)
