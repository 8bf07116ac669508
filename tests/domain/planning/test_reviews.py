"""The monthly review, as an event of its own or inside the 1:1 the two have anyway (R-7, T-9)."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime

import pytest

from tests.support.pairs import DANA, DAY, HOUR, MINUTE, NOW, SAM, WEEK, beginning, pair_of, session_of, state_of, utc
from tests.support.stories import Story, booked, causes, fill, nothing
from worker.domain.model import (
    EffectKind,
    Format,
    Interval,
    PairState,
    ReviewMode,
    Session,
    SessionKind,
    SessionState,
    Span,
)
from worker.domain.planning import actions

END = utc(2026, 9, 28, 9, 15)
#: Mondays at three in the afternoon in Berlin, from the first after the session on.
MONDAYS = [utc(2026, 10, 5, 13) + n * WEEK for n in range(3)] + [utc(2026, 10, 26, 14) + n * WEEK for n in range(9)]


def contracted(review: ReviewMode = ReviewMode.ALONE, meetings: Sequence[datetime] = (), at: datetime = END) -> Story:
    """A story in which a contract was just recorded at that instant."""
    story = booked(Story(beginning(review=review)))
    story.meet(meetings)
    story.until(at)
    first = story.of_kind(SessionKind.CAREER)[0].id
    story.say(lambda p: actions.record_contract(p, p.sessions[first], [], 1))
    return story


def reviews(story: Story) -> list[Session]:
    return [s for s in story.of_kind(SessionKind.REVIEW) if s.state is not SessionState.CANCELLED]


def days(story: Story) -> list[date]:
    return [s.span.start.date() for s in reviews(story)]


# --- alone ---


def test_reviews_are_booked_when_the_contract_is_there() -> None:
    """T-9, R-7: about one and two months after the session, 25 minutes, on both calendars."""
    story = contracted()
    assert days(story) == [date(2026, 10, 28), date(2026, 11, 30)]
    assert {s.span.minutes for s in reviews(story)} == {25}
    assert all(story.placed(s) for s in reviews(story))


def test_without_a_contract_reviews_come_once_it_is_overdue() -> None:
    """R-17, R-7: there is something to talk about all the more."""
    story = booked(Story(beginning()))
    story.until(END + DAY)
    assert reviews(story) == []
    story.until(utc(2026, 10, 7))
    assert len(reviews(story)) == 2


def test_a_contract_that_comes_weeks_late_gets_no_review_in_the_past() -> None:
    """T-9: the next session is nearer."""
    story = booked(Story(state=_held(state=SessionState.HELD), now=END + 28 * DAY))
    story.say(lambda p: actions.record_contract(p, p.sessions["c1"], [], 1))
    assert reviews(story) == []


def _held(**fields: object) -> PairState:
    given = session_of(END - 75 * MINUTE)
    one = replace(given, held_at=END, **fields)  # type: ignore[arg-type]
    return replace(state_of(given), sessions=(one,))


def test_reviews_are_wanted_once_however_often_the_contract_is_revised() -> None:
    """R-14, T-9."""
    story = contracted()
    first = story.of_kind(SessionKind.CAREER)[0].id
    story.at(END + DAY)
    story.say(lambda p: actions.record_contract(p, p.sessions[first], [], 2))
    assert len(reviews(story)) == 2


def test_a_pair_may_do_without() -> None:
    """R-7: as the people file says."""
    assert reviews(contracted(ReviewMode.NONE)) == []


def test_an_ad_hoc_conversation_has_no_reviews() -> None:
    """T-9: the rhythm's own do."""
    given = session_of(END - 75 * MINUTE, adhoc=True)
    story = Story(state=state_of(given), now=END)
    story.tick()
    story.say(lambda p: actions.record_contract(p, p.sessions["c1"], [], 1))
    assert reviews(story) == []


def test_a_series_has_its_reviews_after_the_last_part() -> None:
    """T-13, T-9."""
    story = booked(Story(pair_of(format=Format.SERIES)))
    parts = [s.id for s in story.of_kind(SessionKind.CAREER)]
    story.until(story.session(parts[1]).span.end + HOUR)
    assert reviews(story) == []
    story.until(story.session(parts[2]).span.end)
    story.say(lambda p: actions.record_contract(p, p.sessions[parts[2]], [], 1))
    assert len(reviews(story)) == 2


@pytest.mark.parametrize(("every", "count"), [(Interval(weeks=4), 0), (Interval(months=6), 5)])
def test_how_many_there_are_follows_the_rhythm(every: Interval, count: int) -> None:
    """R-7, R-1."""
    story = booked(Story(pair_of(every=every)))
    story.until(END)
    first = story.of_kind(SessionKind.CAREER)[0].id
    story.say(lambda p: actions.record_contract(p, p.sessions[first], [], 1))
    assert len(reviews(story)) == count


def test_a_review_of_its_own_that_is_declined_is_owed() -> None:
    """R-8, T-10: a new time soon, and no mail that asks anybody to choose."""
    story = contracted()
    first = reviews(story)[0]
    story.at(END + 20 * DAY)
    story.decline(story.session(first.id))
    again = story.session(first.id)
    assert again.booked
    assert again.count == 1
    assert again.span.minutes == 25
    assert again.options == ()


def test_a_review_that_was_due_is_held_and_closed() -> None:
    """T-9: it needs no contract."""
    story = contracted()
    first = reviews(story)[0]
    story.until(first.span.end)
    assert story.session(first.id).state is SessionState.HELD
    assert story.session(first.id).is_closed
    assert first.id not in {m.subject for m in story.mails("contract_request")}


def test_the_manager_gets_a_note_on_the_day() -> None:
    """T-9, R-7: at eight on the manager's clocks."""
    story = contracted()
    story.until(utc(2026, 10, 29))
    assert [(m.to, m.snapshot_at) for m in story.mails("review_note")] == [(DANA.email, utc(2026, 10, 28, 7))]


# --- inside a 1:1 ---


def test_inside_a_1on1_there_is_no_event() -> None:
    """T-9, R-7: the review takes the time of the 1:1 nearest to its day."""
    story = contracted(ReviewMode.IN_1ON1, MONDAYS)
    assert [s.start for s in reviews(story)] == [utc(2026, 10, 26, 14), utc(2026, 11, 30, 14)]
    assert [s.span.minutes for s in reviews(story)] == [30, 30]
    assert not any(story.placed(s) for s in reviews(story))
    assert {m.subject for m in story.state.effects if m.event} == {s.id for s in story.of_kind(SessionKind.CAREER)}


def test_a_review_inside_a_1on1_stays_as_it_is() -> None:
    """T-9: planned again and again, nothing is lost, and the history tells it once."""
    story = contracted(ReviewMode.IN_1ON1, MONDAYS)
    for n in range(1, 20):
        story.at(END + n * DAY)
    told = [d for d in story.told if "inside the 1:1" in d.reason]
    assert len(told) == 2
    assert {s.generation for s in reviews(story)} == {1}


def test_the_note_leaves_at_eight_on_the_day_of_the_1on1() -> None:
    """T-9: to the manager, and nothing to the report."""
    story = contracted(ReviewMode.IN_1ON1, MONDAYS)
    story.until(utc(2026, 12, 1))
    assert [(m.to, m.snapshot_at) for m in story.mails("review_note")] == [
        (DANA.email, utc(2026, 10, 26, 7)),
        (DANA.email, utc(2026, 11, 30, 7)),
    ]
    assert {s.state for s in reviews(story)} == {SessionState.HELD}


def test_a_1on1_that_moves_takes_the_review_with_it() -> None:
    """T-9."""
    story = contracted(ReviewMode.IN_1ON1, MONDAYS)
    moved = [utc(2026, 10, 27, 9) if at == utc(2026, 10, 26, 14) else at for at in MONDAYS]
    story.at(END + 3 * DAY)
    story.meet(moved)
    assert reviews(story)[0].start == utc(2026, 10, 27, 9)
    assert causes(story) == []
    story.until(utc(2026, 10, 27, 12))
    assert [m.snapshot_at for m in story.mails("review_note")] == [utc(2026, 10, 27, 7)]


def test_a_1on1_that_goes_leaves_the_review_to_the_next_one() -> None:
    """T-9: inside the window of the review."""
    story = contracted(ReviewMode.IN_1ON1, MONDAYS)
    story.meet([at for at in MONDAYS if at != utc(2026, 10, 26, 14)])
    assert reviews(story)[0].start == utc(2026, 11, 2, 14)


def test_1on1s_that_vanish_leave_the_review_owed_and_then_booked_on_its_own() -> None:
    """T-9, R-8: it waits for a 1:1 until its day, then it gets an event."""
    story = contracted(ReviewMode.IN_1ON1, MONDAYS)
    story.meet([])
    first = reviews(story)[0]
    assert first.state is SessionState.OWED
    story.until(first.target - MINUTE)
    assert story.session(first.id).owed
    story.until(first.target)
    again = story.session(first.id)
    assert again.booked
    assert story.placed(again)
    assert again.span.minutes == 25
    assert first.target <= again.span.start <= again.latest


def test_1on1s_that_never_were_leave_every_review_on_its_own() -> None:
    """T-9."""
    story = contracted(ReviewMode.IN_1ON1)
    assert [s.state for s in reviews(story)] == [SessionState.OWED, SessionState.OWED]
    story.until(utc(2026, 12, 24))
    assert [s.state for s in reviews(story)] == [SessionState.HELD, SessionState.HELD]
    assert [m.kind for m in story.state.effects if m.subject in {s.id for s in reviews(story)} and m.event] == [
        EffectKind.CREATE,
        EffectKind.CREATE,
    ]


def test_a_1on1_that_appears_later_is_used() -> None:
    """T-9: before the day of the review has come."""
    story = contracted(ReviewMode.IN_1ON1)
    story.at(END + 10 * DAY)
    story.meet(MONDAYS)
    assert [s.start for s in reviews(story)] == [utc(2026, 10, 26, 14), utc(2026, 11, 30, 14)]


def test_a_1on1_that_appears_too_late_leaves_the_event() -> None:
    """T-9: the two have it on their calendars by now."""
    story = contracted(ReviewMode.IN_1ON1)
    story.until(utc(2026, 10, 28, 13))
    before = reviews(story)[0]
    assert before.booked
    story.meet(MONDAYS)
    assert story.session(before.id).span == before.span
    assert story.placed(before)


def test_a_1on1_far_from_the_review_s_day_is_none_of_it() -> None:
    """T-9: a week before to ten days after."""
    story = contracted(ReviewMode.IN_1ON1, [utc(2026, 10, 20, 13), utc(2026, 11, 8, 13)])
    assert [s.state for s in reviews(story)] == [SessionState.OWED, SessionState.OWED]


def test_a_pair_that_changes_its_mind_gets_events() -> None:
    """R-7: from inside the 1:1 to alone, as the people file says."""
    story = contracted(ReviewMode.IN_1ON1, MONDAYS)
    story.change(review=ReviewMode.ALONE)
    assert all(story.placed(s) for s in reviews(story))
    assert [s.span.minutes for s in reviews(story)] == [25, 25]
    assert causes(story) == []


def test_a_pair_that_changes_its_mind_keeps_the_events_it_has() -> None:
    """R-7: from alone to inside the 1:1; those to come will be inside."""
    story = contracted()
    before = [s.span for s in reviews(story)]
    story.change(review=ReviewMode.IN_1ON1)
    assert [s.span for s in reviews(story)] == before


def test_what_stands_over_a_1on1_is_not_ours_to_judge() -> None:
    """T-9, T-10: the 1:1 belongs to the two."""
    story = contracted(ReviewMode.IN_1ON1, MONDAYS)
    story.at(utc(2026, 10, 26, 5))
    story.book(SAM, Span(utc(2026, 10, 26, 13), utc(2026, 10, 26, 16)))
    assert causes(story) == []


# --- a conversation that did not take place ---


@pytest.mark.parametrize("review", [ReviewMode.ALONE, ReviewMode.IN_1ON1])
def test_reviews_of_a_conversation_that_did_not_take_place_go(review: ReviewMode) -> None:
    """R-8, T-9: and come back with the contract of the one that did."""
    story = booked(Story(beginning(review=review)))
    story.meet(MONDAYS)
    story.until(utc(2026, 10, 7))
    first = story.of_kind(SessionKind.CAREER)[0].id
    assert story.session(first).state is SessionState.UNFINISHED
    assert len(reviews(story)) == 2
    story.say(lambda p: actions.record_not_held(p, p.sessions[first]))
    assert reviews(story) == []
    assert {(s.start, s.end) for s in story.of_kind(SessionKind.REVIEW)} == {(None, None)}
    ahead = {p.key for p in story.standing() if p.span.start > story.now}
    assert ahead == {s.key for s in story.of_kind(SessionKind.CAREER) if s.booked}
    story.until(story.session(first).span.end)
    story.say(lambda p: actions.record_contract(p, p.sessions[first], [], 1))
    assert len(reviews(story)) == 2
    assert all(s.booked for s in reviews(story))


def test_reviews_that_find_no_time_are_told_of_and_tried_again() -> None:
    """R-8, T-4."""
    story = booked(Story(beginning()))
    story.until(END)
    fill(story, SAM, date(2026, 10, 15), 60)
    first = story.of_kind(SessionKind.CAREER)[0].id
    story.say(lambda p: actions.record_contract(p, p.sessions[first], [], 1))
    assert all(s.unplaceable for s in reviews(story))
    assert [m.subject for m in story.mails("unplaceable")] == [reviews(story)[0].id], "one mail speaks for both"
    story.calendars.busy.clear()
    story.until(utc(2026, 9, 29, 5))
    assert all(s.booked for s in reviews(story))


def test_planning_reviews_twice_changes_nothing() -> None:
    """T-9."""
    for review in ReviewMode:
        story = contracted(review, MONDAYS)
        assert nothing(story.tick())
        assert story.now > NOW
