"""Invitations by mail to reports whom the manager's calendar service does not invite (RFC 5546, RFC 6047)."""

from dataclasses import replace

import pytest

from tests.support.pairs import DANA, DAY, HOUR, NOW, SAM, WEEK, pair_of, person
from tests.support.stories import DEFAULT_POLICY, Story, booked_story
from worker.domain.model import EffectProgress, EndReason, Policy, Span

#: Dana's calendar service, CalDAV, invites nobody outside of it.
POLICY_WITHOUT_INVITATIONS = replace(DEFAULT_POLICY, providers_without_invitations=frozenset({"caldav"}))
#: Only another service than Dana's invites nobody.
POLICY_OF_ANOTHER_SERVICE = replace(DEFAULT_POLICY, providers_without_invitations=frozenset({"memory"}))
SAM_WITHOUT_CALENDAR = person("Sam", "Europe/London", "GB", calendar="none")


def make_story(policy: Policy = POLICY_WITHOUT_INVITATIONS) -> Story:
    """A story with a booked session whose report has no calendar, some hours after the booking."""
    story = booked_story(Story(pair_of(DANA, SAM_WITHOUT_CALENDAR), DANA, SAM_WITHOUT_CALENDAR, policy=policy))
    story.until(story.now + 5 * HOUR)
    return story


def list_mails_to_report(story: Story) -> list[tuple[str, str, int]]:
    """Return the invitation mails to the report in order: name of the mail, key of the event, number of the mail."""
    mails = [*story.mails("invitation"), *story.mails("invitation_withdrawn")]
    assert {m.to for m in mails} <= {SAM.email}
    return [(m.name, m.event, m.number) for m in sorted(mails, key=lambda m: m.number)]


def test_r2_report_whom_no_service_invites_gets_one_invitation_mail() -> None:
    story = make_story()
    assert list_mails_to_report(story) == [("invitation", story.next.key, 0)]
    assert story.mails("invitation")[0].start == story.next.start


@pytest.mark.parametrize(
    "policy", [DEFAULT_POLICY, POLICY_OF_ANOTHER_SERVICE], ids=["every service invites", "another service does not"]
)
def test_no_invitation_mail_is_sent_where_the_service_invites(policy: Policy) -> None:
    assert list_mails_to_report(make_story(policy)) == []


def test_report_on_the_same_service_gets_no_invitation_mail() -> None:
    """The service puts a copy of the event on the report's calendar."""
    assert list_mails_to_report(booked_story(Story(policy=POLICY_WITHOUT_INVITATIONS))) == []


def test_t11_hand_move_sends_an_invitation_with_a_higher_number() -> None:
    story = make_story()
    start = story.next.span.start + DAY
    story.move(story.next, start, minutes=75)
    story.until(story.now + HOUR)
    assert list_mails_to_report(story) == [("invitation", story.next.key, 0), ("invitation", story.next.key, 1)]
    assert story.mails("invitation")[-1].start == start


def test_t10_deferred_session_sends_an_invitation_with_its_new_time() -> None:
    story = make_story()
    first_start = story.next.start
    story.decline(story.next, SAM_WITHOUT_CALENDAR)
    story.until(story.now + HOUR)
    assert [m.start for m in story.mails("invitation")] == [first_start, story.next.start]
    assert story.next.start != first_start


@pytest.mark.parametrize("change", ["moved", "declined", "deleted", "paused"])
def test_outdated_invitation_that_waits_is_dropped(change: str) -> None:
    """The mail service refused the invitation for a while, and the session changed before the next attempt."""
    story = make_story()
    (invitation,) = (effect for effect in story.state.effects if effect.name == "invitation")
    waiting = replace(invitation, progress=EffectProgress.WAITING, due_at=story.now + HOUR)
    story.state = replace(
        story.state, effects=tuple(waiting if effect == invitation else effect for effect in story.state.effects)
    )
    {
        "moved": lambda: story.move(story.next, story.next.span.start + DAY, minutes=75),
        "declined": lambda: story.decline(story.next, SAM_WITHOUT_CALENDAR),
        "deleted": lambda: story.delete(story.next),
        "paused": lambda: story.change(paused=True),
    }[change]()
    story.until(waiting.due_at)
    assert (
        next(effect for effect in story.state.effects if effect.key == invitation.key).progress
        is EffectProgress.DROPPED
    )


def test_invitation_that_waits_is_sent_while_it_is_current() -> None:
    story = make_story()
    (invitation,) = (effect for effect in story.state.effects if effect.name == "invitation")
    waiting = replace(invitation, progress=EffectProgress.WAITING, due_at=story.now + HOUR)
    story.state = replace(
        story.state, effects=tuple(waiting if effect == invitation else effect for effect in story.state.effects)
    )
    story.until(waiting.due_at)
    assert [m.key for m in story.sent("invitation")] == [invitation.key]


def test_new_event_of_a_session_withdraws_the_invitation_to_the_old_one() -> None:
    story = make_story()
    old_key = story.next.key
    story.delete(story.next)
    story.until(story.now + HOUR)
    assert story.next.key != old_key
    assert list_mails_to_report(story) == [
        ("invitation", old_key, 0),
        ("invitation_withdrawn", old_key, 1),
        ("invitation", story.next.key, 2),
    ]


def test_invitation_to_an_unplaceable_session_is_withdrawn_and_sent_again_with_a_time() -> None:
    story = make_story()
    key = story.next.key
    story.calendars.book(DANA, NOW, NOW + 40 * WEEK)
    story.recheck_free_busy()
    story.decline(story.next, SAM_WITHOUT_CALENDAR)
    story.until(story.now + HOUR)
    assert list_mails_to_report(story)[-1] == ("invitation_withdrawn", key, 1)
    story.clear()
    story.until(story.now + 2 * DAY)
    assert story.next.booked
    last_name, _, last_number = list_mails_to_report(story)[-1]
    assert (last_name, last_number) == ("invitation", 2)


@pytest.mark.parametrize("fields", [{"paused": True}, {"ended": EndReason.CHANGED}], ids=["paused", "ended"])
def test_invitation_is_withdrawn_when_the_pair_is_paused_or_ends(fields: dict[str, object]) -> None:
    story = make_story()
    key = story.next.key
    story.change(**fields)
    assert list_mails_to_report(story)[-1] == ("invitation_withdrawn", key, 1)


def test_invitation_to_a_held_session_is_not_withdrawn() -> None:
    story = make_story()
    first = story.next
    story.until(first.span.end + HOUR)
    assert [name for name, event, _ in list_mails_to_report(story) if event == first.key] == ["invitation"]


def test_hand_move_after_the_invitation_sends_one_with_the_new_time() -> None:
    story = booked_story(
        Story(pair_of(DANA, SAM_WITHOUT_CALENDAR), DANA, SAM_WITHOUT_CALENDAR, policy=POLICY_WITHOUT_INVITATIONS)
    )
    story.until(story.now + HOUR)
    first_session = story.next
    story.state = replace(
        story.state,
        placed_events={
            first_session.key: replace(
                story.state.placed_events[first_session.key], span=_shift_by_an_hour(first_session.span)
            )
        },
    )
    story.tick()
    assert [m.start for m in story.mails("invitation")] == [first_session.start, story.next.start]


def _shift_by_an_hour(span: Span) -> Span:
    return Span(span.start + HOUR, span.end + HOUR)
