"""Performs the actions of people: loads the pair, decides, and writes the decision in one transaction.

Commands, pages and simulations use it. Content is stored sealed, and never appears in an error's text or a log.
"""

import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta

from sqlalchemy import Connection

from worker.clock import Clock
from worker.domain.model import (
    Address,
    Format,
    FreeBusySnapshot,
    Owner,
    PairId,
    PairState,
    Policy,
    Session,
    Span,
    Trigger,
)
from worker.domain.planning import actions, moves
from worker.domain.planning.moves import Press
from worker.domain.planning.plan_builder import PlanBuilder
from worker.errors import LeaseLost, UnknownName
from worker.store.store import Store

log = logging.getLogger(__name__)

LEASE = timedelta(minutes=1)
#: How often an action tries to lease a pair that a sweep has leased.
MAX_TRIES = 100
RETRY_SECONDS = 0.1

#: Writes something in the transaction that writes a plan.
Write = Callable[[Connection], None]
#: Changes the plan of a pair. Returns what else is written in its transaction; None for nothing.
PairAction = Callable[[PlanBuilder], Write | None]


def combine_writes(*writes: Write | None) -> Write:
    """Return a function that writes all of these, in order."""

    def write_all(connection: Connection) -> None:
        for write in writes:
            if write is not None:
                write(connection)

    return write_all


class Actions:
    """The actions of managers and reports, on pages and by commands."""

    def __init__(self, store: Store, clock: Clock, policy: Policy, holder: str) -> None:
        self._store = store
        self._clock = clock
        self._policy = policy
        self._holder = holder

    # --- sessions ---

    def record_not_held(self, session_id: str) -> bool:
        """Record that a session did not take place: it is owed again. False when that was recorded before."""
        repeated: list[str] = []

        def apply(builder: PlanBuilder, session: Session) -> None:
            if actions.is_recorded_not_held(builder, session):
                repeated.append(session.id)
            else:
                actions.record_not_held(builder, session)

        self.apply_to_session(session_id, apply)
        return not repeated

    def record_held(self, session_id: str, end: datetime | None = None) -> None:
        """Record that a session took place. `end` is given when it was not at its booked time."""
        self.apply_to_session(session_id, lambda builder, session: actions.record_held(builder, session, end))

    def defer_session(
        self,
        session_id: str,
        requested_time: Span | None = None,
        by: Address = "",
        *,
        reason: str = "",
        also: Write | None = None,
    ) -> None:
        """Give a session another time: the requested one, or one that the next sweep finds.

        Choosing a time that is offered is no deferral (T-12). `by`: who asks, where that is known.
        `reason`: why, when the report asks; it is kept sealed, and told to the manager (R-18). `also` writes in the
        same transaction.
        """

        def apply(builder: PlanBuilder, session: Session) -> Write:
            actions.request_time(builder, session, requested_time, by)
            return combine_writes(self._plan_reason(builder, session, reason) if reason else None, also)

        self.apply_to_session(session_id, apply)

    def move_session(self, session_id: str, press: Press, snapshot: FreeBusySnapshot) -> None:
        """Give a session the time that one of the two pressed on a page: a move by hand (R-38, T-11).

        `snapshot` is the free/busy of both calendars as read for this press; what other pairs have taken is read here,
        where nobody else plans the two. Raises MovedMeanwhile, TimeTaken and CalendarUnread, and Refused for a time
        that nobody can choose; then nothing is changed.
        """

        def apply(builder: PlanBuilder, session: Session) -> None:
            taken_times = self._store.plans.load_taken_time(builder.state.addresses, builder.now)
            state = replace(builder.state, taken_times=taken_times)
            moves.move_session(builder, session, press, PlanBuilder(builder.now, state, snapshot, self._policy))

        self.apply_to_session(session_id, apply)

    def explain_deferral(self, session_id: str, reason: str) -> bool:
        """Store what the report says about the last time that a session lost, and have the manager told (R-18).

        It takes the place of what the report said before; an empty text deletes that. Returns False when it says so
        already. Raises Refused when the session has lost no time, or is over.
        """
        changes: list[bool] = []

        def apply(builder: PlanBuilder, session: Session) -> Write | None:
            number = actions.find_deferral_to_explain(builder, session).number
            known = self._store.content.load_deferral_reasons([session.id]).get(session.id, {})
            changes.append(known.get(number, "") != reason)
            return self._plan_reason(builder, session, reason) if changes[-1] else None

        self.apply_to_session(session_id, apply)
        return changes[-1]

    def _plan_reason(self, builder: PlanBuilder, session: Session, reason: str) -> Write:
        lost = actions.find_deferral_to_explain(builder, builder.sessions.get(session.id, session))
        return lambda connection: self._store.content.save_deferral_reason(connection, lost, reason, builder.now)

    def choose_offered_time(self, session_id: str, requested_time: Span) -> None:
        """Give a session one of the times that are offered for it, which is no deferral (T-12).

        Raises NotOffered when it no longer is one of them, as when the other one of the pair has chosen just now.
        """
        self.apply_to_session(
            session_id, lambda builder, session: actions.choose_offered_time(builder, session, requested_time)
        )

    def leave_until_next_cycle(self, session_id: str) -> None:
        """Leave a session until the next quarter. Raises Refused unless the two were asked (T-11)."""
        self.apply_to_session(session_id, actions.leave_until_next_cycle)

    def request_talk(
        self,
        pair_id: PairId,
        trigger: Trigger,
        reason: str = "",
        *,
        at_once: bool = False,
        by: Owner = Owner.MANAGER,
    ) -> str:
        """Add an ad hoc session at the request of the manager or the report; returns its id. The reason is sealed."""
        session_ids: list[str] = []

        def apply(builder: PlanBuilder) -> Write:
            session = actions.request_talk(builder, trigger, at_once=at_once)
            session_ids.append(session.id)
            return lambda connection: self._store.content.save_trigger(connection, session.id, trigger, reason, by)

        self.apply_to_pair(pair_id, apply)
        return session_ids[-1]

    def request_check_in(self, pair_id: PairId) -> str:
        """Add an informal check-in; returns the session's id."""
        session_ids: list[str] = []

        def apply(builder: PlanBuilder) -> None:
            session_ids.append(actions.request_check_in(builder).id)

        self.apply_to_pair(pair_id, apply)
        return session_ids[-1]

    # --- choices of a pair ---

    def choose_format(self, pair_id: PairId, wanted: Format) -> None:
        """Set the format that the report wants: one session or three (R-4). Applies from the next one not yet fixed."""
        self._save_choice(pair_id, lambda builder: actions.choose_format(builder, wanted), format=wanted.value)

    def set_trust(self, pair_id: PairId, *, has_trust: bool) -> None:
        """Set whether the brief contains the hardest questions (R-12)."""
        self._save_choice(pair_id, lambda _: None, trust=has_trust)

    def set_transition(self, pair_id: PairId, until: date | None) -> None:
        """Set a tighter rhythm until that day, or end it with None (R-5). The next sweep moves the session (T-18)."""
        self._save_choice(pair_id, lambda _: None, transition_until=until.isoformat() if until else None)

    def _save_choice(
        self, pair_id: PairId, decide: Callable[[PlanBuilder], None], **choices: str | bool | None
    ) -> None:
        def apply(builder: PlanBuilder) -> Write:
            decide(builder)
            return lambda connection: self._store.people.save_choices(connection, pair_id, **choices)

        self.apply_to_pair(pair_id, apply)

    # --- applying an action ---

    def apply_to_session(self, session_id: str, act: Callable[[PlanBuilder, Session], Write | None]) -> None:
        """Apply an action to a session. Raises UnknownName, LeaseLost, and what the action raises."""
        pair = self._store.queries.get_pair_id(session_id)
        if pair is None:
            raise UnknownName(f"There is no session {session_id}. `longarc sessions` lists those there are.")

        def act_on_session(builder: PlanBuilder) -> Write | None:
            session = builder.sessions.get(session_id) or self._store.queries.get_session(session_id)
            if session is None:
                raise UnknownName(f"There is no session {session_id}.")
            return act(builder, session)

        self.apply_to_pair(pair, act_on_session)

    def apply_to_pair(self, pair_id: PairId, act: PairAction) -> None:
        """Apply an action to a leased pair, write it, and have the pair planned at the next tick."""
        holder = f"{self._holder}-{uuid.uuid4().hex[:6]}"
        for _ in range(MAX_TRIES):
            now = self._clock()
            if self._store.plans.claim_pairs([pair_id], now, holder, now + LEASE):
                break
            if pair_id not in self._store.people.load_all_pairs():
                raise UnknownName(f"There is no pair {pair_id}. Give it as manager>report, by address.")
            time.sleep(RETRY_SECONDS)
        else:
            raise LeaseLost(f"{pair_id} is being planned just now. Try again in a moment.")
        try:
            loaded = self._store.plans.load([pair_id], now)
            state: PairState = loaded.states[0]
            builder = PlanBuilder(now, state, None, self._policy)
            write = act(builder) or (lambda _: None)
            builder.plan_again_at(now)
            self._store.plans.commit([builder.build()], loaded.wakes, holder, now, write)
        except BaseException:
            self._store.plans.release(holder)
            raise
