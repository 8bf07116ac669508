"""A property test: people act at random, and the rules hold after each action (R-3, R-8; T-4, T-8 to T-14).

R-3: the next session is always on both calendars. R-8: a session that loses its time stays owed. T-4: it gets a time as
soon as one fits. T-13: the parts of a series keep their order.
"""

from collections.abc import Callable
from datetime import date, datetime

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.pairs import DANA, DAY, HOUR, MINUTE, SAM, WEEK, pair_of
from tests.support.stories import Story
from worker.domain.model import (
    CommitmentStanding,
    EffectKind,
    EffectProgress,
    Format,
    IdentifiedCommitment,
    Owner,
    Policy,
    ReviewMode,
    Session,
    SessionKind,
    SessionState,
    ShowAs,
    Span,
    Topic,
    Trigger,
)
from worker.domain.planning import actions
from worker.domain.planning.offers import list_open_times
from worker.domain.planning.plan_builder import PlanBuilder
from worker.domain.planning.reviews import is_waiting_for_1on1
from worker.errors import Refused

#: What people do. The number, `n` in each action, is random and chooses among the possibilities.
Action = Callable[[Story, int], object]


def _pick_session(story: Story, n: int, *states: SessionState) -> Session | None:
    """Return the n-th of the sessions in these states, counted in a circle; None without such a session."""
    sessions = [s for s in story.state.sessions if s.state in states]
    return sessions[n % len(sessions)] if sessions else None


def _pick_session_with_event(story: Story, n: int) -> Session | None:
    """Return the n-th of the booked sessions with an event, counted in a circle; None without such a session."""
    sessions = [s for s in story.state.sessions if s.booked and story.placed_event(s)]
    return sessions[n % len(sessions)] if sessions else None


def _decline_event(story: Story, n: int) -> None:
    if session := _pick_session_with_event(story, n):
        story.decline(session, (DANA, SAM)[n % 2])


def _delete_event(story: Story, n: int) -> None:
    if session := _pick_session_with_event(story, n):
        story.delete(session)


def _move_event(story: Story, n: int) -> None:
    """Move an event by up to 20 days in either direction, with a length that may be too short."""
    if session := _pick_session_with_event(story, n):
        start = max(story.now + HOUR, session.span.start + (n % 41 - 20) * DAY)
        story.move(session, start.replace(minute=0), minutes=(30, 45, 60, 75)[n % 4])


def _add_clash(story: Story, n: int) -> None:
    """Add an event of any kind at the time of a booked session to a calendar."""
    if session := _pick_session(story, n, SessionState.BOOKED):
        story.book((DANA, SAM)[n % 2], session.span, list(ShowAs)[n % 3])


def _clear_calendars(story: Story, _: int) -> None:
    story.clear()


def _fill_calendar(story: Story, n: int) -> None:
    """Make the report busy from tomorrow on for 4 to 43 days."""
    story.book(SAM, Span(story.now + DAY, story.now + (5 + n % 40) * DAY))


def _record_not_held(story: Story, n: int) -> None:
    """Record that a session of the last 60 days did not take place."""
    session = _pick_session(
        story, n, SessionState.HELD, SessionState.UNFINISHED, SessionState.BOOKED, SessionState.CONTRACTED
    )
    if session and session.start and session.start > story.now - 60 * DAY:
        # planning does not read sessions that were closed long ago, but a command still names them
        story.act(lambda builder: actions.record_not_held(builder, builder.sessions.get(session.id, session)))


def _record_held(story: Story, n: int) -> None:
    """Record that a session took place, and ended up to four hours ago."""
    if session := _pick_session(
        story, n, SessionState.BOOKED, SessionState.OWED, SessionState.DEFERRED, SessionState.HELD
    ):
        story.act(
            lambda builder: actions.record_held(
                builder, builder.sessions.get(session.id, session), story.now - (n % 5) * HOUR
            )
        )


def _request_time(story: Story, n: int) -> None:
    """Request another time for a session: for two `n` of three a certain hour, else the last offered time."""
    if session := _pick_session(story, n, SessionState.BOOKED, SessionState.OWED, SessionState.DEFERRED):
        start = story.now.replace(minute=0) + (2 + n % 60) * DAY
        wish = Span(start, start + HOUR) if n % 3 else (session.options or (None,))[-1]
        story.act(lambda builder: actions.request_time(builder, builder.sessions.get(session.id, session), wish))


def _request_talk(story: Story, n: int) -> None:
    story.act(lambda builder: actions.request_ad_hoc_session(builder, list(Trigger)[n % len(Trigger)]))


def _request_check_in(story: Story, _: int) -> None:
    story.act(actions.request_check_in)


def _record_contract(story: Story, n: int) -> None:
    """Record a contract with a commitment of each person; for an odd `n`, open commitments are kept."""
    if session := _pick_session(story, n, SessionState.HELD, SessionState.CONTRACTED, SessionState.UNFINISHED):
        due: date = story.now.date() + (n % 50) * DAY
        kept_ids = {c.owner: c.id for c in story.state.commitments if c.is_open and c.session == session.id and n % 2}
        new_id = f"p{len(story.state.commitments)}"
        commitments = [
            IdentifiedCommitment(id=kept_ids.get(owner, f"{new_id}{owner[0]}"), owner=owner, due=due) for owner in Owner
        ]
        revision = 1 + len([effect for effect in story.state.effects if effect.name == "contract_summary"])
        story.act(
            lambda builder: actions.record_contract(
                builder, builder.sessions.get(session.id, session), commitments, revision=revision
            )
        )


def _close_commitment(story: Story, n: int) -> None:
    commitments = [c for c in story.state.commitments if c.is_open]
    if commitments:
        story.act(
            lambda builder: actions.close_commitment(
                builder, builder.commitments[commitments[n % len(commitments)].id], CommitmentStanding.DONE
            )
        )


def _change_block(story: Story, n: int) -> None:
    """Delete a block, or move it by up to nine hours from now."""
    commitments = [c for c in story.state.commitments if c.is_open and story.placed_event(c)]
    if commitments and n % 2:
        story.delete(commitments[n % len(commitments)])
    elif commitments:
        story.move(commitments[n % len(commitments)], story.now + (n % 9 + 1) * HOUR, minutes=30)


def _pause_or_resume(story: Story, _: int) -> None:
    story.change(paused=not story.pair.paused)


def _set_1on1s(story: Story, n: int) -> None:
    """Give the two up to 18 weekly 1:1s."""
    story.set_meetings([story.now.replace(minute=0) + k * WEEK + (n % 9) * HOUR for k in range(1, n % 20)])


def _change_wishes(story: Story, n: int) -> None:
    """Change the review mode and the transition of the pair."""
    story.change(review=list(ReviewMode)[n % 3], transition_until=story.now.date() + 90 * DAY if n % 2 else None)


def _set_refusal(story: Story, n: int) -> None:
    """Let the calendar refuse every write from now on for one `n` of three, else let it accept them."""
    story.refuses = bool(n % 3 == 0)
    story.tick()


ACTIONS: list[Action] = [
    _decline_event,
    _delete_event,
    _move_event,
    _add_clash,
    _clear_calendars,
    _fill_calendar,
    _record_not_held,
    _record_held,
    _request_time,
    _request_talk,
    _request_check_in,
    _record_contract,
    _close_commitment,
    _change_block,
    _pause_or_resume,
    _set_1on1s,
    _change_wishes,
    _set_refusal,
]


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(list(Format)),
    st.integers(1, 2),
    st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 10_000), st.integers(1, 21 * 24)), max_size=12),
)
def test_every_owed_session_gets_a_time_after_hostile_actions(
    format_: Format, ahead: int, steps: list[tuple[Action, int, int]]
) -> None:
    """Every owed session has a time in the end, unless a rule says otherwise (R-8, T-4).

    The story also asserts that planning again changes nothing and that no effect has the key of another one.
    """
    story = Story(pair_of(format=format_), policy=Policy(ahead=ahead))
    story.tick()
    for perform, n, hours in steps:
        story.until(story.now + hours * HOUR)
        try:
            perform(story, n)
        except Refused:
            story.tick()
        assert_rules_hold(story)
    story.refuses = False
    story.change(paused=False)
    story.clear()
    story.until(story.now + 2 * DAY)
    assert_rules_hold(story)
    assert [s for s in story.state.sessions if s.owed and not is_allowed_to_wait(story, s)] == []


def assert_rules_hold(story: Story) -> None:
    """Assert what holds at every moment."""
    open_sessions = [s for s in story.state.sessions if s.owed or s.booked]
    if story.pair.paused:
        assert open_sessions == []
        assert list_unrefused_future_keys(story) == set()
        return
    regular = [s for s in open_sessions if s.kind is SessionKind.CAREER and not s.adhoc]
    assert len(regular) >= story.policy.ahead
    if not story.refuses:
        for session in open_sessions:
            reasons = (
                session.booked,
                session.unplaceable,
                is_allowed_to_wait(story, session),
                is_waiting_for_retry(story, session.id),
            )
            assert any(reasons) or any(part.owed for part in list_earlier_parts(story, session))
        expected_keys = {s.key for s in open_sessions if s.booked or is_waiting_for_retry(story, s.id)}
        assert list_unrefused_future_keys(story) <= expected_keys | {c.key for c in story.state.commitments}
    for session in story.state.sessions:
        numbers = [d.number for d in story.state.deferrals if d.session == session.id]
        assert numbers == list(range(1, session.count + 1))
        if not story.refuses and session.booked and session.topic in (Topic.DIRECTION, Topic.GAP):
            assert session.start is not None and all(
                end <= session.start for end in list_earlier_part_ends(story, session)
            )
        assert session.owed == (session.start is None) or session.state is SessionState.CANCELLED


def list_unrefused_future_keys(story: Story) -> set[str]:
    """Return the keys of our future events, without those whose cancellation the calendar refused."""
    refused_keys = {
        effect.event
        for effect in story.state.effects
        if effect.kind is EffectKind.CANCEL and effect.progress is EffectProgress.DEAD
    }
    return {event.key for event in story.our_events() if event.span.start > story.now} - refused_keys


def list_earlier_parts(story: Story, session: Session) -> list[Session]:
    """Return the earlier parts of the session's series (T-13)."""
    topics = [Topic.NOW, Topic.DIRECTION, Topic.GAP]
    earlier_topics = topics[: topics.index(session.topic)] if session.topic in topics else []
    sessions = [s for s in story.sessions_of_kind(SessionKind.CAREER) if s.state is not SessionState.CANCELLED]
    return [s for s in sessions if s.cycle == session.cycle and s.topic in earlier_topics and not s.adhoc]


def list_earlier_part_ends(story: Story, session: Session) -> list[datetime]:
    """Return the ends of the earlier parts that are booked; none when the session begins within four hours (T-13).

    A session that begins within four hours is not moved any more, so it may be before an earlier part.
    """
    last_hours_end = story.now + 4 * HOUR
    if session.start is None or session.start <= last_hours_end:
        return []
    return [s.end for s in list_earlier_parts(story, session) if s.booked and s.end]


def is_allowed_to_wait(story: Story, session: Session) -> bool:
    """Return whether the session may lack a time: a review that waits for a 1:1, or a session with an offer (T-14)."""
    builder = PlanBuilder(story.now, story.state, snapshot=None, policy=story.policy)
    return is_waiting_for_1on1(builder, session) or bool(list_open_times(session, story.now))


def is_waiting_for_retry(story: Story, session_id: str) -> bool:
    """Return whether a refused write of that session's event is not tried again yet."""
    retry_time = PlanBuilder(story.now, story.state, snapshot=None, policy=story.policy).find_retry_time(session_id)
    return retry_time is not None and story.now < retry_time + MINUTE
