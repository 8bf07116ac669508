"""The monthly review, as an event of its own or inside the 1:1 the two have anyway (R-7, T-9)."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime

import pytest

from tests.support.pairs import (
    DANA,
    DAY,
    HOUR,
    MINUTE,
    NOW,
    SAM,
    WEEK,
    pair_of,
    session_of,
    starting_pair,
    state_of,
    utc,
)
from tests.support.stories import Story, booked_story, changes_nothing, deferral_causes, fill_days, session_of_state
from worker.domain.model import (
    EffectKind,
    Format,
    Interval,
    PairState,
    ReviewMode,
    Session,
    SessionKind,
    SessionState,
    ShowAs,
    Span,
    Trigger,
)
from worker.domain.planning import actions
from worker.domain.time.worktime import add_weekdays

END = utc(2026, 9, 28, 9, 15)
#: Mondays at three in the afternoon in Berlin, from the first after the session on.
MONDAYS = [utc(2026, 10, 5, 13) + n * WEEK for n in range(3)] + [utc(2026, 10, 26, 14) + n * WEEK for n in range(9)]


def contracted(review: ReviewMode = ReviewMode.ALONE, meetings: Sequence[datetime] = (), at: datetime = END) -> Story:
    """A story in which a contract was just recorded at that instant."""
    story = booked_story(Story(starting_pair(review=review)))
    story.set_meetings(meetings)
    story.until(at)
    first = story.sessions_of_kind(SessionKind.CAREER)[0].id
    story.act(lambda p: actions.record_contract(p, p.sessions[first], [], 1))
    return story


def reviews(story: Story) -> list[Session]:
    return [s for s in story.sessions_of_kind(SessionKind.REVIEW) if s.state is not SessionState.CANCELLED]


def days(story: Story) -> list[date]:
    return [s.span.start.date() for s in reviews(story)]


# --- alone ---


def test_reviews_are_booked_when_the_contract_is_there() -> None:
    """T-9, R-7: about one and two months after the session, 25 minutes, on both calendars."""
    story = contracted()
    assert days(story) == [date(2026, 10, 28), date(2026, 11, 30)]
    assert {s.span.minutes for s in reviews(story)} == {25}
    assert all(story.placed_event(s) for s in reviews(story))


def test_without_a_contract_there_is_nothing_to_review() -> None:
    """T-9: not even when it is overdue."""
    story = booked_story(Story(starting_pair()))
    story.until(END + 40 * DAY)
    assert reviews(story) == []


def test_a_contract_that_comes_weeks_late_has_its_reviews_from_then_on() -> None:
    """T-9: a month after it was recorded, and none near the next session."""
    story = booked_story(Story(state=_held(state=SessionState.HELD), now=END + 28 * DAY))
    story.act(lambda p: actions.record_contract(p, p.sessions["c1"], [], 1))
    assert days(story) == [date(2026, 11, 25)]


def _held(**fields: object) -> PairState:
    given = session_of(END - 75 * MINUTE)
    one = replace(given, held_at=END, **fields)  # type: ignore[arg-type]
    return replace(state_of(given), sessions=(one,))


def test_reviews_are_wanted_once_however_often_the_contract_is_revised() -> None:
    """R-14, T-9."""
    story = contracted()
    first = story.sessions_of_kind(SessionKind.CAREER)[0].id
    story.tick_at(END + DAY)
    story.act(lambda p: actions.record_contract(p, p.sessions[first], [], 2))
    assert len(reviews(story)) == 2


def test_a_pair_may_do_without() -> None:
    """R-7: as the people file says."""
    assert reviews(contracted(ReviewMode.NONE)) == []


def test_an_ad_hoc_contract_has_reviews_until_the_next_session() -> None:
    """T-9: and it takes the place of the contract before it."""
    story = contracted()
    before = {s.id for s in reviews(story)}
    story.tick_at(END + 14 * DAY)
    story.act(lambda p: actions.request_talk(p, Trigger.DOUBT))
    talk = next(s.id for s in story.sessions_of_kind(SessionKind.CAREER) if s.adhoc)
    story.until(story.session(talk).span.end)
    story.act(lambda p: actions.record_contract(p, p.sessions[talk], [], 1))
    assert reviews(story) and not before & {s.id for s in reviews(story)}
    following = next(s for s in story.sessions_of_kind(SessionKind.CAREER) if s.booked)
    assert all(add_weekdays(day, 10) <= following.span.start.date() for day in days(story))


def test_a_series_has_its_reviews_after_the_last_part() -> None:
    """T-13, T-9."""
    story = booked_story(Story(pair_of(format=Format.SERIES)))
    parts = [s.id for s in story.sessions_of_kind(SessionKind.CAREER)]
    story.until(story.session(parts[1]).span.end + HOUR)
    assert reviews(story) == []
    story.until(story.session(parts[2]).span.end)
    story.act(lambda p: actions.record_contract(p, p.sessions[parts[2]], [], 1))
    assert len(reviews(story)) == 2


@pytest.mark.parametrize(("every", "count"), [(Interval(weeks=4), 0), (Interval(months=6), 5)])
def test_how_many_there_are_follows_the_rhythm(every: Interval, count: int) -> None:
    """R-7, R-1."""
    story = booked_story(Story(pair_of(every=every)))
    story.until(END)
    first = story.sessions_of_kind(SessionKind.CAREER)[0].id
    story.act(lambda p: actions.record_contract(p, p.sessions[first], [], 1))
    assert len(reviews(story)) == count


@pytest.mark.parametrize("act", ["decline", "delete", "book_over", "away", "move_out", "ask"])
def test_a_review_that_loses_its_time_moves_by_a_calendar_update_alone(act: str) -> None:
    """T-9: no mail, no count, no warning."""
    story = contracted()
    first = reviews(story)[0]
    story.tick_at(END + 26 * DAY)
    mails = len([m for m in story.state.effects if m.kind is EffectKind.MAIL])
    {
        "decline": lambda: story.decline(first),
        "delete": lambda: story.delete(first),
        "book_over": lambda: story.book(SAM, first.span),
        "away": lambda: story.book(DANA, first.span, ShowAs.AWAY),
        "move_out": lambda: story.move(first, first.latest + DAY, 25),
        "ask": lambda: story.act(lambda p: actions.request_time(p, p.sessions[first.id], None)),
    }[act]()
    again = story.session(first.id)
    assert again.booked and (again.span != first.span or act == "move_out")
    assert (again.count, again.warned_at, again.options, deferral_causes(story)) == (0, None, (), [])
    assert again.span in [p.span for p in story.our_events()]
    assert len([m for m in story.state.effects if m.kind is EffectKind.MAIL]) == mails
    assert abs((again.span.start.date() - first.target.date()).days) <= 14


def test_a_review_keeps_away_from_career_sessions() -> None:
    """T-9: a talk on request comes near to it, and it moves without a word."""
    story = contracted()
    first, second = reviews(story)
    story.tick_at(utc(2026, 10, 26, 5))
    story.act(lambda p: actions.request_talk(p, Trigger.DOUBT))
    talk = next(s for s in story.sessions_of_kind(SessionKind.CAREER) if s.adhoc)
    moved = story.session(first.id)
    assert moved.booked and add_weekdays(talk.span.start.date(), 10) <= moved.span.start.date()
    assert story.session(second.id).booked
    assert deferral_causes(story) == [] and story.mails("unplaceable") == []


def test_a_review_that_a_next_session_comes_near_to_moves_ahead_of_it() -> None:
    """T-9: at least ten working days ahead."""
    story = contracted()
    second = reviews(story)[1]
    career = story.next
    story.move(career, second.span.start + 2 * DAY, 75)
    moved = story.session(second.id)
    assert moved.booked and moved.span.start.date() == date(2026, 11, 18) < second.span.start.date()
    assert all(add_weekdays(day, 10) <= story.next.span.start.date() for day in days(story))
    assert story.mails("unplaceable") == []


def test_a_session_that_was_not_held_brings_no_more_reviews_of_the_contract_before() -> None:
    """T-9: they end ten working days before the next session, also while that has no time just now."""
    story = contracted()
    before = len(reviews(story))
    following = next(s for s in story.sessions_of_kind(SessionKind.CAREER) if s.booked)
    story.until(following.span.end)
    story.until(following.span.end + 10 * HOUR)
    story.act(lambda p: actions.record_not_held(p, p.sessions[following.id]))
    assert story.session(following.id).booked
    assert len(reviews(story)) == before


def test_a_new_contract_ends_the_reviews_of_the_one_before_and_a_revision_does_not() -> None:
    """T-9, R-14."""
    story = contracted()
    first = story.sessions_of_kind(SessionKind.CAREER)[0].id
    before = {s.id for s in reviews(story)}
    story.act(lambda p: actions.record_contract(p, p.sessions[first], [], 2))
    assert {s.id for s in reviews(story)} == before
    story.until(story.next.span.end)
    held = next(s for s in story.sessions_of_kind(SessionKind.CAREER) if s.state is SessionState.HELD)
    story.act(lambda p: actions.record_contract(p, p.sessions[held.id], [], 1))
    assert [day for day in days(story) if day > story.now.date()] == [date(2027, 1, 27), date(2027, 3, 1)]


def test_a_review_that_was_due_is_held_and_closed() -> None:
    """T-9: it needs no contract."""
    story = contracted()
    first = reviews(story)[0]
    story.until(first.span.end)
    assert story.session(first.id).state is SessionState.HELD
    assert story.session(first.id).is_closed
    assert first.id not in {m.subject for m in story.mails("contract_request")}


def test_the_manager_gets_a_note_on_the_day() -> None:
    """T-9, R-7: at the start of the manager's working day."""
    story = contracted()
    story.until(utc(2026, 10, 29))
    assert [(m.to, m.due_at) for m in story.mails("review_note")] == [(DANA.email, utc(2026, 10, 28, 8))]


# --- inside a 1:1 ---


def test_inside_a_1on1_there_is_no_event() -> None:
    """T-9, R-7: the review takes the time of the next 1:1 from its day on."""
    story = contracted(ReviewMode.IN_1ON1, MONDAYS)
    assert [s.start for s in reviews(story)] == [utc(2026, 11, 2, 14), utc(2026, 11, 30, 14)]
    assert [s.span.minutes for s in reviews(story)] == [30, 30]
    assert not any(story.placed_event(s) for s in reviews(story))
    assert {m.subject for m in story.state.effects if m.event} == {
        s.id for s in story.sessions_of_kind(SessionKind.CAREER)
    }


def test_a_review_inside_a_1on1_stays_as_it_is() -> None:
    """T-9: planned again and again, nothing is lost, and the history tells it once."""
    story = contracted(ReviewMode.IN_1ON1, MONDAYS)
    for n in range(1, 20):
        story.tick_at(END + n * DAY)
    told = [d for d in story.decisions if "inside the 1:1" in d.reason]
    assert len(told) == 2
    assert {s.generation for s in reviews(story)} == {1}


def test_the_note_leaves_at_the_start_of_the_day_of_the_1on1() -> None:
    """T-9: to the manager, and nothing to the report."""
    story = contracted(ReviewMode.IN_1ON1, MONDAYS)
    story.until(utc(2026, 12, 1))
    assert [(m.to, m.due_at) for m in story.mails("review_note")] == [
        (DANA.email, utc(2026, 11, 2, 8)),
        (DANA.email, utc(2026, 11, 30, 8)),
    ]
    assert {s.state for s in reviews(story)} == {SessionState.HELD}


def test_a_1on1_that_moves_takes_the_review_with_it() -> None:
    """T-9."""
    story = contracted(ReviewMode.IN_1ON1, MONDAYS)
    moved = [utc(2026, 11, 3, 10) if at == utc(2026, 11, 2, 14) else at for at in MONDAYS]
    story.tick_at(END + 3 * DAY)
    story.set_meetings(moved)
    assert reviews(story)[0].start == utc(2026, 11, 3, 10)
    assert deferral_causes(story) == []
    story.until(utc(2026, 11, 3, 12))
    assert [m.due_at for m in story.mails("review_note")] == [utc(2026, 11, 3, 8)]


def test_a_1on1_that_goes_leaves_the_review_to_the_next_one() -> None:
    """T-9: within ten working days of its day."""
    story = contracted(ReviewMode.IN_1ON1, MONDAYS)
    story.set_meetings([at for at in MONDAYS if at != utc(2026, 11, 2, 14)])
    assert reviews(story)[0].start == utc(2026, 11, 9, 14)


def test_1on1s_that_vanish_leave_the_review_waiting_and_then_it_is_dropped() -> None:
    """T-9: it never gets an event; the next brief takes the contract up."""
    story = contracted(ReviewMode.IN_1ON1, MONDAYS)
    story.set_meetings([])
    first = reviews(story)[0]
    assert first.state is SessionState.OWED
    story.until(first.latest - HOUR)
    assert story.session(first.id).owed
    story.until(first.latest)
    assert story.session(first.id).state is SessionState.CANCELLED
    assert story.mails("unplaceable") == []


def test_without_1on1s_no_review_takes_place_and_nobody_is_told() -> None:
    """T-9."""
    story = contracted(ReviewMode.IN_1ON1)
    assert [s.state for s in reviews(story)] == [SessionState.OWED, SessionState.OWED]
    story.until(utc(2026, 12, 24))
    assert reviews(story) == [] and story.mails("unplaceable") == []
    made = {s.id for s in story.sessions_of_kind(SessionKind.REVIEW)}
    assert [m for m in story.state.effects if m.subject in made] == []


def test_a_1on1_that_appears_later_is_used() -> None:
    """T-9: up to ten working days after the day of the review."""
    story = contracted(ReviewMode.IN_1ON1)
    story.tick_at(utc(2026, 11, 3, 5))
    story.set_meetings(MONDAYS)
    assert [s.start for s in reviews(story)] == [utc(2026, 11, 9, 14), utc(2026, 11, 30, 14)]


def test_a_1on1_far_from_the_review_s_day_is_none_of_it() -> None:
    """T-9: ten working days before to ten after; where none follows in time, the last one before it is taken."""
    story = contracted(ReviewMode.IN_1ON1, [utc(2026, 10, 13, 13), utc(2026, 11, 12, 13)])
    assert reviews(story)[0].state is SessionState.OWED
    story.set_meetings([utc(2026, 10, 15, 13), utc(2026, 10, 22, 13)])
    assert reviews(story)[0].start == utc(2026, 10, 22, 13)


def test_a_pair_that_changes_its_mind_gets_events() -> None:
    """R-7: from inside the 1:1 to alone, as the people file says."""
    story = contracted(ReviewMode.IN_1ON1, MONDAYS)
    story.change(review=ReviewMode.ALONE)
    assert all(story.placed_event(s) for s in reviews(story))
    assert [s.span.minutes for s in reviews(story)] == [25, 25]
    assert deferral_causes(story) == []


def test_a_pair_that_changes_its_mind_keeps_the_events_it_has() -> None:
    """R-7: from alone to inside the 1:1; those to come will be inside."""
    story = contracted()
    before = [s.span for s in reviews(story)]
    story.change(review=ReviewMode.IN_1ON1)
    assert [s.span for s in reviews(story)] == before


def test_what_stands_over_a_1on1_is_not_ours_to_judge() -> None:
    """T-9, T-10: the 1:1 belongs to the two."""
    story = contracted(ReviewMode.IN_1ON1, MONDAYS)
    story.tick_at(utc(2026, 10, 26, 5))
    story.book(SAM, Span(utc(2026, 10, 26, 13), utc(2026, 10, 26, 16)))
    assert deferral_causes(story) == []


# --- a conversation that did not take place ---


def test_reviews_that_no_longer_have_a_reason_end_silently() -> None:
    """T-9, T-19: those of an earlier version, of a conversation without a contract."""
    review = session_of(END + 28 * DAY, 25, kind=SessionKind.REVIEW, id="r1")
    story = Story(state=state_of(session_of_state(SessionState.UNFINISHED), review))
    mails = len(story.state.effects)
    story.tick()
    assert story.session("r1").state is SessionState.CANCELLED
    assert review.key not in {p.key for p in story.our_events()}
    assert {m.name for m in story.state.effects[mails:] if m.subject == "r1"} == {""}


def test_reviews_of_an_earlier_version_stay_where_they_are() -> None:
    """T-19: what is booked stays, and is there once."""
    talk = session_of_state(SessionState.CONTRACTED, contracted_at=NOW - 2 * DAY)
    review = session_of(utc(2026, 10, 1, 8), 25, kind=SessionKind.REVIEW, id="r1")
    story = Story(state=state_of(talk, review))
    story.tick()
    assert story.session("r1").span == review.span
    assert len([s for s in reviews(story) if s.target < utc(2026, 10, 20)]) == 1


def test_reviews_that_find_no_time_are_dropped_without_a_word() -> None:
    """T-9: the next brief takes the contract up; they are not wanted again."""
    story = booked_story(Story(starting_pair()))
    story.until(END)
    fill_days(story, SAM, date(2026, 10, 10), 70)
    first = story.sessions_of_kind(SessionKind.CAREER)[0].id
    story.act(lambda p: actions.record_contract(p, p.sessions[first], [], 1))
    assert reviews(story) == [] and story.mails("unplaceable") == []
    dropped = len(story.sessions_of_kind(SessionKind.REVIEW))
    assert dropped and {s.state for s in story.sessions_of_kind(SessionKind.REVIEW)} == {SessionState.CANCELLED}
    story.calendars.busy.clear()
    story.until(utc(2026, 9, 30, 5))
    assert len(story.sessions_of_kind(SessionKind.REVIEW)) == dropped


def test_planning_reviews_twice_changes_nothing() -> None:
    """T-9."""
    for review in ReviewMode:
        story = contracted(review, MONDAYS)
        assert changes_nothing(story.tick())
        assert story.now > NOW
