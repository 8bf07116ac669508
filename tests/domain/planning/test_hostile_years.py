"""A year in which people do whatever they like, in any order: what always holds (R-3, R-8; T-4, T-8 … T-12)."""

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

Act = Callable[[Story, int], object]


def _any(story: Story, n: int, *states: SessionState) -> Session | None:
    found = [s for s in story.state.sessions if s.state in states]
    return found[n % len(found)] if found else None


def _standing(story: Story, n: int) -> Session | None:
    found = [s for s in story.state.sessions if s.booked and story.placed_event(s)]
    return found[n % len(found)] if found else None


def _decline(story: Story, n: int) -> None:
    if session := _standing(story, n):
        story.decline(session, (DANA, SAM)[n % 2])


def _delete(story: Story, n: int) -> None:
    if session := _standing(story, n):
        story.delete(session)


def _move(story: Story, n: int) -> None:
    if session := _standing(story, n):
        start = max(story.now + HOUR, session.span.start + (n % 41 - 20) * DAY)
        story.move(session, start.replace(minute=0), (30, 45, 60, 75)[n % 4])


def _book_over(story: Story, n: int) -> None:
    if session := _any(story, n, SessionState.BOOKED):
        story.book((DANA, SAM)[n % 2], session.span, list(ShowAs)[n % 3])


def _clear(story: Story, _: int) -> None:
    story.clear()


def _fill(story: Story, n: int) -> None:
    story.book(SAM, Span(story.now + DAY, story.now + (5 + n % 40) * DAY))


def _not_held(story: Story, n: int) -> None:
    """Of one that is still fresh in memory."""
    session = _any(story, n, SessionState.HELD, SessionState.UNFINISHED, SessionState.BOOKED, SessionState.CONTRACTED)
    if session and session.start and session.start > story.now - 60 * DAY:
        story.act(lambda p: actions.record_not_held(p, p.sessions.get(session.id, session)))


def _held(story: Story, n: int) -> None:
    if session := _any(story, n, SessionState.BOOKED, SessionState.OWED, SessionState.DEFERRED, SessionState.HELD):
        story.act(lambda p: actions.record_held(p, p.sessions.get(session.id, session), story.now - (n % 5) * HOUR))


def _ask(story: Story, n: int) -> None:
    if session := _any(story, n, SessionState.BOOKED, SessionState.OWED, SessionState.DEFERRED):
        start = story.now.replace(minute=0) + (2 + n % 60) * DAY
        wish = Span(start, start + HOUR) if n % 3 else (session.options or (None,))[-1]
        story.act(lambda p: actions.request_time(p, p.sessions.get(session.id, session), wish))


def _talk(story: Story, n: int) -> None:
    story.act(lambda p: actions.request_talk(p, list(Trigger)[n % 6]))


def _check_in(story: Story, _: int) -> None:
    story.act(actions.request_check_in)


def _record(story: Story, n: int) -> None:
    if session := _any(story, n, SessionState.HELD, SessionState.CONTRACTED, SessionState.UNFINISHED):
        due: date = story.now.date() + (n % 50) * DAY
        known = {c.owner: c.id for c in story.state.commitments if c.is_open and c.session == session.id and n % 2}
        new = f"p{len(story.state.commitments)}"
        listed = [
            IdentifiedCommitment(id=known.get(owner, f"{new}{owner[0]}"), owner=owner, due=due) for owner in Owner
        ]
        revision = 1 + len([m for m in story.state.effects if m.name == "contract_summary"])
        story.act(lambda p: actions.record_contract(p, p.sessions.get(session.id, session), listed, revision))


def _close(story: Story, n: int) -> None:
    found = [c for c in story.state.commitments if c.is_open]
    if found:
        story.act(
            lambda p: actions.close_commitment(p, p.commitments[found[n % len(found)].id], CommitmentStanding.DONE)
        )


def _block(story: Story, n: int) -> None:
    found = [c for c in story.state.commitments if c.is_open and story.placed_event(c)]
    if found and n % 2:
        story.delete(found[n % len(found)])
    elif found:
        story.move(found[n % len(found)], story.now + (n % 9 + 1) * HOUR, 30)


def _rest(story: Story, _: int) -> None:
    story.change(paused=not story.pair.paused)


def _meet(story: Story, n: int) -> None:
    story.set_meetings([story.now.replace(minute=0) + k * WEEK + (n % 9) * HOUR for k in range(1, n % 20)])


def _change(story: Story, n: int) -> None:
    story.change(review=list(ReviewMode)[n % 3], transition_until=story.now.date() + 90 * DAY if n % 2 else None)


def _refuse(story: Story, n: int) -> None:
    story.refuses = bool(n % 3 == 0)
    story.tick()


ACTS: list[Act] = [
    *(_decline, _delete, _move, _book_over, _clear, _fill, _not_held, _held, _ask, _talk, _check_in, _record, _close),
    *(_block, _rest, _meet, _change, _refuse),
]


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(list(Format)),
    st.integers(1, 2),
    st.lists(st.tuples(st.sampled_from(ACTS), st.integers(0, 10_000), st.integers(1, 21 * 24)), max_size=12),
)
def test_whatever_people_do_nothing_is_lost(form: Format, ahead: int, storm: list[tuple[Act, int, int]]) -> None:
    """R-8, T-4: the story asserts besides that no plan repeats itself and that no message's key comes twice."""
    story = Story(pair_of(format=form), policy=Policy(ahead=ahead))
    story.tick()
    for act, n, hours in storm:
        story.until(story.now + hours * HOUR)
        try:
            act(story, n)
        except Refused:
            story.tick()
        holds(story)
    story.refuses = False
    story.change(paused=False)
    story.clear()
    story.until(story.now + 2 * DAY)
    holds(story)
    assert all(s.booked for s in story.state.sessions if s.owed and not waiting(story, s))


def holds(story: Story) -> None:
    """What is true at any moment."""
    wanted = [s for s in story.state.sessions if s.owed or s.booked]
    if story.pair.paused:
        assert wanted == []
        assert ahead_of(story) == set()
        return
    regular = [s for s in wanted if s.kind is SessionKind.CAREER and not s.adhoc]
    assert len(regular) >= story.policy.ahead
    if not story.refuses:
        for session in wanted:
            reasons = (session.booked, session.unplaceable, waiting(story, session), blocked(story, session.id))
            assert any(reasons) or any(part.owed for part in parts_before(story, session))
        there = {s.key for s in wanted if s.booked or blocked(story, s.id)}
        assert ahead_of(story) <= there | {c.key for c in story.state.commitments}
    for session in story.state.sessions:
        numbers = [d.number for d in story.state.deferrals if d.session == session.id]
        assert numbers == list(range(1, session.count + 1))
        if not story.refuses and session.booked and session.topic in (Topic.DIRECTION, Topic.GAP):
            assert session.start is not None and all(end <= session.start for end in ends_before(story, session))
        assert session.owed == (session.start is None) or session.state is SessionState.CANCELLED


def ahead_of(story: Story) -> set[str]:
    """The keys of our events to come; those whose cancelling was refused aside, which the operator was told of."""
    refused = {
        m.event for m in story.state.effects if m.kind is EffectKind.CANCEL and m.progress is EffectProgress.DEAD
    }
    return {p.key for p in story.our_events() if p.span.start > story.now} - refused


def parts_before(story: Story, session: Session) -> list[Session]:
    """The parts of its series before it (T-13)."""
    topics = [Topic.NOW, Topic.DIRECTION, Topic.GAP]
    earlier = topics[: topics.index(session.topic)] if session.topic in topics else []
    there = [s for s in story.sessions_of_kind(SessionKind.CAREER) if s.state is not SessionState.CANCELLED]
    return [s for s in there if s.cycle == session.cycle and s.topic in earlier and not s.adhoc]


def ends_before(story: Story, session: Session) -> list[datetime]:
    """T-13: when the parts before it end that are still to be held; what is about to happen may not move any more."""
    last_moment = story.now + 4 * HOUR
    if session.start is None or session.start <= last_moment:
        return []
    return [s.end for s in parts_before(story, session) if s.booked and s.end]


def waiting(story: Story, session: Session) -> bool:
    """A review that may still find its 1:1, or a talk that fits nowhere in time and whose two may choose (T-14)."""
    p = PlanBuilder(story.now, story.state, None, story.policy)
    return is_waiting_for_1on1(p, session) or bool(list_open_times(session, story.now))


def blocked(story: Story, session_id: str) -> bool:
    """A calendar that refused is not asked again at once."""
    until = PlanBuilder(story.now, story.state, None, story.policy).find_retry_time(session_id)
    return until is not None and story.now < until + MINUTE
