"""Tests of the monthly review, which has an event of its own or takes place inside a 1:1 (R-7, T-9).

R-14: a contract may have revisions. T-19: sessions that an earlier version of Longarc planned keep their times.
"""

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
from tests.support.stories import (
    Story,
    booked_story,
    changes_nothing,
    deferral_causes,
    fill_days,
    first_session,
    session_of_state,
)
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

END = utc(2026, 9, 28, 9, 15)  # of the first session
#: Mondays at 15:00 in Berlin, from the first one after the session on; summer time ends on 25 October.
MONDAY_1ON1S = [utc(2026, 10, 5, 13) + n * WEEK for n in range(3)] + [
    utc(2026, 10, 26, 14) + n * WEEK for n in range(9)
]


def make_story_with_contract(
    review: ReviewMode = ReviewMode.ALONE, meetings: Sequence[datetime] = (), recorded_at: datetime = END
) -> Story:
    """Return a story in which a contract without commitments was just recorded, at the session's end by default."""
    story = booked_story(Story(starting_pair(review=review)))
    story.set_meetings(meetings)
    story.until(recorded_at)
    session_id = story.sessions_of_kind(SessionKind.CAREER)[0].id
    story.act(
        lambda builder: actions.record_contract(builder, builder.sessions[session_id], commitments=[], revision=1)
    )
    return story


def list_reviews(story: Story) -> list[Session]:
    """Return the reviews that are not cancelled."""
    return [s for s in story.sessions_of_kind(SessionKind.REVIEW) if s.state is not SessionState.CANCELLED]


def list_review_days(story: Story) -> list[date]:
    return [s.span.start.date() for s in list_reviews(story)]


# --- reviews with an event of their own ---


def test_reviews_are_booked_one_and_two_months_after_the_contract() -> None:
    """Two reviews of 25 minutes are booked, one and two months after the contract (T-9, R-7)."""
    story = make_story_with_contract()
    assert list_review_days(story) == [date(2026, 10, 28), date(2026, 11, 30)]  # 28 November is a Saturday
    assert {s.span.minutes for s in list_reviews(story)} == {25}
    assert all(story.placed_event(s) for s in list_reviews(story))


def test_session_without_a_contract_has_no_reviews() -> None:
    """This holds even after the deadline of the contract (T-9)."""
    story = booked_story(Story(starting_pair()))
    story.until(END + 40 * DAY)
    assert list_reviews(story) == []


def test_reviews_are_counted_from_the_date_of_a_late_contract() -> None:
    """The first review is a month after the contract; a second one would be too near the next session (T-9)."""
    story = booked_story(Story(state=make_state_with_past_session(state=SessionState.HELD), now=END + 28 * DAY))
    session_id = first_session(story).id
    story.act(
        lambda builder: actions.record_contract(builder, builder.sessions[session_id], commitments=[], revision=1)
    )
    assert list_review_days(story) == [date(2026, 11, 25)]  # the target is 26 November, a Thursday


def make_state_with_past_session(**fields: object) -> PairState:
    """Return a state with one past session that has these fields."""
    booked_session = session_of(END - 75 * MINUTE)
    past_session = replace(booked_session, held_at=END, **fields)  # type: ignore[arg-type]
    return replace(state_of(booked_session), sessions=(past_session,))


def test_revision_of_a_contract_adds_no_reviews() -> None:
    """Reviews are counted from the first revision (R-14, T-9)."""
    story = make_story_with_contract()
    session_id = story.sessions_of_kind(SessionKind.CAREER)[0].id
    story.tick_at(END + DAY)
    story.act(
        lambda builder: actions.record_contract(builder, builder.sessions[session_id], commitments=[], revision=2)
    )
    assert len(list_reviews(story)) == 2


def test_people_file_can_turn_reviews_off() -> None:
    """The mode of the pair is then `none` (R-7)."""
    assert list_reviews(make_story_with_contract(ReviewMode.NONE)) == []


def test_ad_hoc_contract_replaces_the_reviews_of_the_contract_before() -> None:
    """The new reviews end ten weekdays before the next regular session (T-9)."""
    story = make_story_with_contract()
    old_ids = {s.id for s in list_reviews(story)}
    story.tick_at(END + 14 * DAY)
    story.act(lambda builder: actions.request_ad_hoc_session(builder, Trigger.DOUBT))
    adhoc_id = next(s.id for s in story.sessions_of_kind(SessionKind.CAREER) if s.adhoc)
    story.until(story.session(adhoc_id).span.end)
    story.act(lambda builder: actions.record_contract(builder, builder.sessions[adhoc_id], commitments=[], revision=1))
    assert list_reviews(story) and not old_ids & {s.id for s in list_reviews(story)}
    next_session = next(s for s in story.sessions_of_kind(SessionKind.CAREER) if s.booked)
    assert all(add_weekdays(day, 10) <= next_session.span.start.date() for day in list_review_days(story))


def test_series_has_its_reviews_after_the_last_part() -> None:
    """Only the last part asks for a contract (T-13, T-9)."""
    story = booked_story(Story(pair_of(format=Format.SERIES)))
    part_ids = [s.id for s in story.sessions_of_kind(SessionKind.CAREER)]
    story.until(story.session(part_ids[1]).span.end + HOUR)
    assert list_reviews(story) == []
    story.until(story.session(part_ids[2]).span.end)
    story.act(
        lambda builder: actions.record_contract(builder, builder.sessions[part_ids[2]], commitments=[], revision=1)
    )
    assert len(list_reviews(story)) == 2


@pytest.mark.parametrize(("every", "count"), [(Interval(weeks=4), 0), (Interval(months=6), 5)])
def test_number_of_reviews_follows_the_rhythm(every: Interval, count: int) -> None:
    """They are monthly, up to ten weekdays before the next session (R-7, R-1)."""
    story = booked_story(Story(pair_of(every=every)))
    story.until(END)
    session_id = story.sessions_of_kind(SessionKind.CAREER)[0].id
    story.act(
        lambda builder: actions.record_contract(builder, builder.sessions[session_id], commitments=[], revision=1)
    )
    assert len(list_reviews(story)) == count


@pytest.mark.parametrize("action", ["decline", "delete", "book_over", "away", "move_out", "ask"])
def test_review_that_loses_its_time_moves_without_mail_or_deferral(action: str) -> None:
    """There is no mail, no warning and no offer, and nothing counts as a deferral (T-9)."""
    story = make_story_with_contract()
    review = list_reviews(story)[0]
    story.tick_at(END + 26 * DAY)
    mail_count = len([effect for effect in story.state.effects if effect.kind is EffectKind.MAIL])
    late_start = review.latest + DAY
    lost_start = late_start if action == "move_out" else review.span.start
    {
        "decline": lambda: story.decline(review),
        "delete": lambda: story.delete(review),
        "book_over": lambda: story.book(SAM, review.span),
        "away": lambda: story.book(DANA, review.span, ShowAs.AWAY),
        "move_out": lambda: story.move(review, late_start, minutes=25),
        "ask": lambda: story.act(
            lambda builder: actions.request_time(builder, builder.sessions[review.id], requested_time=None)
        ),
    }[action]()
    moved_review = story.session(review.id)
    assert moved_review.booked and moved_review.span.start != lost_start
    assert (moved_review.count, moved_review.warned_at, moved_review.options, deferral_causes(story)) == (
        0,
        None,
        (),
        [],
    )
    assert moved_review.span in [event.span for event in story.our_events()]
    assert len([effect for effect in story.state.effects if effect.kind is EffectKind.MAIL]) == mail_count
    assert abs((moved_review.span.start.date() - review.target.date()).days) <= 14


def test_review_moves_away_from_an_ad_hoc_session() -> None:
    """The ad hoc session is booked near the review, which moves without a mail (T-9)."""
    story = make_story_with_contract()
    first, second = list_reviews(story)
    story.tick_at(utc(2026, 10, 26, 5))
    story.act(lambda builder: actions.request_ad_hoc_session(builder, Trigger.DOUBT))
    adhoc_session = next(s for s in story.sessions_of_kind(SessionKind.CAREER) if s.adhoc)
    moved_review = story.session(first.id)
    assert moved_review.booked and add_weekdays(adhoc_session.span.start.date(), 10) <= moved_review.span.start.date()
    assert story.session(second.id).booked
    assert deferral_causes(story) == [] and story.mails("unplaceable") == []


def test_review_moves_ahead_of_a_session_that_comes_near() -> None:
    """The review moves to at least ten weekdays before the session (T-9)."""
    story = make_story_with_contract()
    second = list_reviews(story)[1]
    session = story.next
    story.move(session, second.span.start + 2 * DAY, minutes=75)
    moved_review = story.session(second.id)
    assert moved_review.booked and moved_review.span.start.date() == date(2026, 11, 18) < second.span.start.date()
    assert all(add_weekdays(day, 10) <= story.next.span.start.date() for day in list_review_days(story))
    assert story.mails("unplaceable") == []


def test_session_not_held_adds_no_reviews_of_the_last_contract() -> None:
    """Reviews end ten weekdays before the next session, even while that session has no time (T-9)."""
    story = make_story_with_contract()
    review_count = len(list_reviews(story))
    next_session = next(s for s in story.sessions_of_kind(SessionKind.CAREER) if s.booked)
    story.until(next_session.span.end)
    story.until(next_session.span.end + 10 * HOUR)
    story.act(lambda builder: actions.record_not_held(builder, builder.sessions[next_session.id]))
    assert story.session(next_session.id).booked
    assert len(list_reviews(story)) == review_count


def test_new_contract_replaces_the_reviews_and_a_revision_does_not() -> None:
    """Those of a new contract are after the session that it belongs to (T-9, R-14)."""
    story = make_story_with_contract()
    session_id = story.sessions_of_kind(SessionKind.CAREER)[0].id
    review_ids = {s.id for s in list_reviews(story)}
    story.act(
        lambda builder: actions.record_contract(builder, builder.sessions[session_id], commitments=[], revision=2)
    )
    assert {s.id for s in list_reviews(story)} == review_ids
    story.until(story.next.span.end)
    held_session = next(s for s in story.sessions_of_kind(SessionKind.CAREER) if s.state is SessionState.HELD)
    story.act(
        lambda builder: actions.record_contract(builder, builder.sessions[held_session.id], commitments=[], revision=1)
    )
    assert [day for day in list_review_days(story) if day > story.now.date()] == [date(2027, 1, 27), date(2027, 3, 1)]


def test_past_review_is_held_and_closed() -> None:
    """A review needs no contract (T-9)."""
    story = make_story_with_contract()
    review = list_reviews(story)[0]
    story.until(review.span.end)
    assert story.session(review.id).state is SessionState.HELD
    assert story.session(review.id).is_closed
    assert review.id not in {m.subject for m in story.mails("contract_request")}


def test_manager_gets_the_review_note_on_the_day_of_the_review() -> None:
    """The note leaves at the start of the manager's working day (T-9, R-7)."""
    story = make_story_with_contract()
    story.until(utc(2026, 10, 29))
    assert [(m.to, m.due_at) for m in story.mails("review_note")] == [(DANA.email, utc(2026, 10, 28, 8))]


# --- reviews inside a 1:1 ---


def test_a_review_inside_a_1on1_has_no_event_of_its_own() -> None:
    """The review takes the time of the first 1:1 from its target day on, without an event of its own (T-9, R-7)."""
    story = make_story_with_contract(ReviewMode.IN_1ON1, MONDAY_1ON1S)
    assert [s.start for s in list_reviews(story)] == [utc(2026, 11, 2, 14), utc(2026, 11, 30, 14)]
    assert [s.span.minutes for s in list_reviews(story)] == [30, 30]
    assert not any(story.placed_event(s) for s in list_reviews(story))
    assert {effect.subject for effect in story.state.effects if effect.event} == {
        s.id for s in story.sessions_of_kind(SessionKind.CAREER)
    }


def test_review_inside_a_1on1_does_not_change_when_planned_again() -> None:
    """The history has one decision for each review (T-9)."""
    story = make_story_with_contract(ReviewMode.IN_1ON1, MONDAY_1ON1S)
    for n in range(1, 20):
        story.tick_at(END + n * DAY)
    decisions = [d for d in story.decisions if "inside the 1:1" in d.reason]
    assert len(decisions) == 2
    assert {s.generation for s in list_reviews(story)} == {1}


def test_the_review_note_is_sent_on_the_morning_of_the_1on1() -> None:
    """The manager gets the review note, and the report gets none (T-9)."""
    story = make_story_with_contract(ReviewMode.IN_1ON1, MONDAY_1ON1S)
    story.until(utc(2026, 12, 1))
    assert [(m.to, m.due_at) for m in story.mails("review_note")] == [
        (DANA.email, utc(2026, 11, 2, 8)),
        (DANA.email, utc(2026, 11, 30, 8)),
    ]
    assert {s.state for s in list_reviews(story)} == {SessionState.HELD}


def test_review_moves_with_its_1on1() -> None:
    """The people move their 1:1 of 2 November by a day; the review note follows it (T-9)."""
    story = make_story_with_contract(ReviewMode.IN_1ON1, MONDAY_1ON1S)
    moved_1on1s = [utc(2026, 11, 3, 10) if start == utc(2026, 11, 2, 14) else start for start in MONDAY_1ON1S]
    story.tick_at(END + 3 * DAY)
    story.set_meetings(moved_1on1s)
    assert list_reviews(story)[0].start == utc(2026, 11, 3, 10)
    assert deferral_causes(story) == []
    story.until(utc(2026, 11, 3, 12))
    assert [m.due_at for m in story.mails("review_note")] == [utc(2026, 11, 3, 8)]


def test_review_of_a_cancelled_1on1_takes_the_next_1on1() -> None:
    """The next 1:1 is at most ten weekdays from the review's target (T-9)."""
    story = make_story_with_contract(ReviewMode.IN_1ON1, MONDAY_1ON1S)
    story.set_meetings([start for start in MONDAY_1ON1S if start != utc(2026, 11, 2, 14)])
    assert list_reviews(story)[0].start == utc(2026, 11, 9, 14)


def test_review_without_1on1s_waits_and_is_dropped_at_the_end_of_its_window() -> None:
    """A review inside a 1:1 never gets an event; the next brief mentions the contract instead (T-9)."""
    story = make_story_with_contract(ReviewMode.IN_1ON1, MONDAY_1ON1S)
    story.set_meetings([])
    review = list_reviews(story)[0]
    assert review.state is SessionState.OWED
    story.until(review.latest - HOUR)
    assert story.session(review.id).owed
    story.until(review.latest)
    assert story.session(review.id).state is SessionState.CANCELLED
    assert story.mails("unplaceable") == []


def test_pair_without_1on1s_has_no_review_and_no_mail_about_it() -> None:
    """It is dropped without a word at the end of its window (T-9)."""
    story = make_story_with_contract(ReviewMode.IN_1ON1)
    assert [s.state for s in list_reviews(story)] == [SessionState.OWED, SessionState.OWED]
    story.until(utc(2026, 12, 24))
    assert list_reviews(story) == [] and story.mails("unplaceable") == []
    review_ids = {s.id for s in story.sessions_of_kind(SessionKind.REVIEW)}
    assert [effect for effect in story.state.effects if effect.subject in review_ids] == []


def test_review_takes_a_1on1_that_appears_later() -> None:
    """The 1:1 is at most ten weekdays after the review's target (T-9)."""
    story = make_story_with_contract(ReviewMode.IN_1ON1)
    story.tick_at(utc(2026, 11, 3, 5))
    story.set_meetings(MONDAY_1ON1S)
    assert [s.start for s in list_reviews(story)] == [utc(2026, 11, 9, 14), utc(2026, 11, 30, 14)]


def test_review_takes_no_1on1_more_than_ten_weekdays_from_its_target() -> None:
    """Without a suitable 1:1 from the target on, the review takes the last one before it (T-9)."""
    story = make_story_with_contract(ReviewMode.IN_1ON1, [utc(2026, 10, 13, 13), utc(2026, 11, 12, 13)])
    assert list_reviews(story)[0].state is SessionState.OWED
    story.set_meetings([utc(2026, 10, 15, 13), utc(2026, 10, 22, 13)])
    assert list_reviews(story)[0].start == utc(2026, 10, 22, 13)


def test_reviews_get_events_when_the_mode_changes_to_alone() -> None:
    """The people file changes the mode from inside the 1:1 to alone (R-7)."""
    story = make_story_with_contract(ReviewMode.IN_1ON1, MONDAY_1ON1S)
    story.change(review=ReviewMode.ALONE)
    assert all(story.placed_event(s) for s in list_reviews(story))
    assert [s.span.minutes for s in list_reviews(story)] == [25, 25]
    assert deferral_causes(story) == []


def test_booked_reviews_keep_their_events_when_the_mode_changes_to_1on1s() -> None:
    """The people file changes the mode from alone to inside the 1:1 (R-7)."""
    story = make_story_with_contract()
    spans = [s.span for s in list_reviews(story)]
    story.change(review=ReviewMode.IN_1ON1)
    assert [s.span for s in list_reviews(story)] == spans


def test_event_over_a_1on1_does_not_defer_its_review() -> None:
    """The 1:1 belongs to the two people (T-9, T-10)."""
    story = make_story_with_contract(ReviewMode.IN_1ON1, MONDAY_1ON1S)
    review = list_reviews(story)[0]
    story.tick_at(utc(2026, 11, 2, 5))
    story.book(SAM, Span(review.span.start - HOUR, review.span.end + HOUR), ShowAs.AWAY)
    assert story.session(review.id).span == review.span
    assert deferral_causes(story) == []
    story.until(review.span.end)
    assert story.session(review.id).state is SessionState.HELD


# --- reviews without a reason or a time ---


def test_review_without_a_contract_is_cancelled_without_mail() -> None:
    """An earlier version added reviews to sessions without a contract (T-9, T-19)."""
    review = session_of(END + 28 * DAY, minutes=25, kind=SessionKind.REVIEW, id="r1")
    story = Story(state=state_of(session_of_state(SessionState.UNFINISHED), review))
    effect_count = len(story.state.effects)
    story.tick()
    assert story.session("r1").state is SessionState.CANCELLED
    assert review.key not in {event.key for event in story.our_events()}
    names = {effect.name for effect in story.state.effects[effect_count:] if effect.subject == "r1"}
    assert names == {""}, "a mail was planned besides the cancellation of the event, which has no name"


def test_booked_review_of_an_earlier_version_keeps_its_time() -> None:
    """No second review is added for the same month (T-19)."""
    contracted_session = session_of_state(SessionState.CONTRACTED, contracted_at=NOW - 2 * DAY)
    review = session_of(utc(2026, 10, 1, 8), minutes=25, kind=SessionKind.REVIEW, id="r1")
    story = Story(state=state_of(contracted_session, review))
    story.tick()
    assert story.session("r1").span == review.span
    assert len([s for s in list_reviews(story) if s.target < utc(2026, 10, 20)]) == 1


def test_reviews_without_a_free_time_are_dropped_without_mail() -> None:
    """They are not added again when the calendar is free again; the next brief mentions the contract instead (T-9)."""
    story = booked_story(Story(starting_pair()))
    story.until(END)
    fill_days(story, SAM, date(2026, 10, 10), days=70)
    session_id = story.sessions_of_kind(SessionKind.CAREER)[0].id
    story.act(
        lambda builder: actions.record_contract(builder, builder.sessions[session_id], commitments=[], revision=1)
    )
    assert list_reviews(story) == [] and story.mails("unplaceable") == []
    dropped_count = len(story.sessions_of_kind(SessionKind.REVIEW))
    assert dropped_count and {s.state for s in story.sessions_of_kind(SessionKind.REVIEW)} == {SessionState.CANCELLED}
    story.calendars.busy.clear()
    story.until(utc(2026, 9, 30, 5))
    assert len(story.sessions_of_kind(SessionKind.REVIEW)) == dropped_count


def test_planning_reviews_again_changes_nothing() -> None:
    """This holds in each mode (T-9)."""
    for review in ReviewMode:
        story = make_story_with_contract(review, MONDAY_1ON1S)
        assert bool(list_reviews(story)) is (review is not ReviewMode.NONE)
        assert changes_nothing(story.tick())
