"""Times held for the manager to choose from, when a session was put off again and again (R-10; T-12)."""

from tests.support.pairs import DAY, HOUR, pair_of
from tests.support.stories import Story, booked
from worker.domain.model import Format, SessionKind, Trigger
from worker.domain.planning import actions


def thrice() -> Story:
    story = booked()
    for _ in range(3):
        story.now += DAY
        story.decline(story.next)
    return story


def test_from_the_third_deferral_on_three_times_are_held() -> None:
    """T-12, R-10: on three different days, one of them booked."""
    story = thrice()
    options = story.next.options
    assert len(options) == 3
    assert len({option.start.date() for option in options}) == 3
    assert story.next.span == options[0]
    assert [m.number for m in story.mails("deferral_notice")] == [1, 2, 3]
    assert "asked to choose" in [d for d in story.told if d.what == "warning"][-1].reason


def test_before_the_third_there_is_nothing_to_choose() -> None:
    """T-12."""
    story = booked()
    for _ in range(2):
        story.decline(story.next)
        assert story.next.options == ()


def test_the_times_held_to_choose_from_are_taken() -> None:
    """T-12: neither another session of the pair nor a block gets them."""
    story = thrice()
    held = story.next.options
    story.say(lambda p: actions.request_talk(p, Trigger.DOUBT))
    adhoc = next(s for s in story.of_kind(SessionKind.CAREER) if s.adhoc)
    assert not any(adhoc.span.overlaps(option) for option in held)


def test_choosing_one_of_them_is_no_deferral() -> None:
    """T-12."""
    story = thrice()
    chosen = story.next.options[2]
    story.say(lambda p: actions.request_time(p, p.sessions[story.next.id], chosen))
    assert story.next.span == chosen
    assert story.next.count == 3
    assert story.next.options == ()
    assert [p.span for p in story.standing()] == [chosen]


def test_deferrals_are_counted_over_the_cycle() -> None:
    """T-12, R-10: each part of a series once is three times."""
    story = booked(Story(pair_of(format=Format.SERIES)))
    parts = [s.id for s in story.of_kind(SessionKind.CAREER)]
    for part in parts:
        story.now += HOUR
        story.decline(story.session(part))
    assert [story.session(part).count for part in parts] == [1, 1, 1]
    assert [len(story.session(part).options) for part in parts] == [0, 0, 3]
