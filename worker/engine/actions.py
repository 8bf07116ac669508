"""Performs the actions of people, such as asking for another time: leases the pair, decides, and writes the plan.

The module `actions` of the domain decides; the class `Actions` leases the pair, calls that module, and writes. The plan
and all other rows of an action are written in one transaction. Commands, pages and simulations use this module. Content
is stored sealed, and never appears in an error's text or in the log.
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

#: For how long an action leases its pair.
LEASE = timedelta(minutes=1)
#: How often an action tries to lease a pair that another process, such as a sweep, has leased.
MAX_TRIES = 100
#: How long an action waits between two tries, in seconds.
RETRY_SECONDS = 0.1

#: A function that writes rows in the transaction that writes a plan.
Writer = Callable[[Connection], None]
#: A function that changes the plan of a pair. It may return a writer of more rows.
PairAction = Callable[[PlanBuilder], Writer | None]


def combine_writers(*writers: Writer | None) -> Writer:
    """Return a writer that calls these writers in order; None is skipped."""

    def write_all(connection: Connection) -> None:
        for write in writers:
            if write is not None:
                write(connection)

    return write_all


class Actions:
    """Performs the actions of managers and reports: on pages, or for them with commands of an operator."""

    def __init__(self, store: Store, clock: Clock, policy: Policy, holder: str) -> None:
        self._store = store
        self._clock = clock
        self._policy = policy
        self._holder = holder

    # --- sessions ---

    def record_not_held(self, session_id: str) -> bool:
        """Record that a session did not take place, so that it becomes due again.

        Returns False when that was recorded before.
        """
        has_changed = True

        def apply(builder: PlanBuilder, session: Session) -> None:
            nonlocal has_changed
            if actions.is_recorded_as_not_held(builder, session):
                has_changed = False
            else:
                actions.record_not_held(builder, session)

        self.apply_to_session(session_id, apply)
        return has_changed

    def record_held(self, session_id: str, end: datetime | None = None) -> None:
        """Record that a session took place. `end` is when it ended, if that was not its booked time."""
        self.apply_to_session(session_id, lambda builder, session: actions.record_held(builder, session, end))

    def request_another_time(
        self,
        session_id: str,
        requested_time: Span | None = None,
        by: Address = "",
        *,
        reason: str = "",
        also_write: Writer | None = None,
    ) -> None:
        """Give a session the requested time, or, without one, a time that the next sweep finds.

        This counts as a deferral, unless the requested time is one that is offered (T-12). `by` is the person who asks,
        if known. `reason` is the report's reason, which is stored sealed, and shown to the manager (R-18). `also_write`
        writes more rows in the same transaction.
        """

        def apply(builder: PlanBuilder, session: Session) -> Writer:
            actions.request_time(builder, session, requested_time, by)
            write_reason = self._make_reason_writer(builder, session, reason) if reason else None
            return combine_writers(write_reason, also_write)

        self.apply_to_session(session_id, apply)

    def move_session(self, session_id: str, press: Press, snapshot: FreeBusySnapshot) -> None:
        """Give a session the time that one of the two chose on a page, which counts as a move by a person (R-38, T-11).

        `press` is the press of the button, with the chosen time. `snapshot` is the free/busy of both people, as read
        for this request. The times that other pairs have taken are read here, while this pair is leased. Raises
        MovedMeanwhile, TimeTaken or CalendarUnread, and Refused for a time that the rules do not allow.
        """

        def apply(builder: PlanBuilder, session: Session) -> None:
            taken_times = self._store.plans.load_taken_time(builder.state.addresses, builder.now)
            state = replace(builder.state, taken_times=taken_times)
            # only read, to see whether the time is free; `builder`, whose plan is written, has no free/busy
            free_busy_builder = PlanBuilder(builder.now, state, snapshot, self._policy)
            moves.move_session(builder, session, press, free_busy_builder)

        self.apply_to_session(session_id, apply)

    def explain_deferral(self, session_id: str, reason: str) -> bool:
        """Store the report's reason for the last deferral of a session, and show it to the manager by mail (R-18).

        The text replaces the earlier reason; an empty text deletes it. Returns False when the stored reason is the
        same. Raises NothingToExplain when the session was not deferred, or is over.
        """
        has_changed = False

        def apply(builder: PlanBuilder, session: Session) -> Writer | None:
            nonlocal has_changed
            number = actions.find_deferral_to_explain(builder, session).number
            stored_reasons = self._store.content.load_deferral_reasons([session.id]).get(session.id, {})
            has_changed = stored_reasons.get(number, "") != reason
            return self._make_reason_writer(builder, session, reason) if has_changed else None

        self.apply_to_session(session_id, apply)
        return has_changed

    def _make_reason_writer(self, builder: PlanBuilder, session: Session, reason: str) -> Writer:
        """Return the writer that stores the reason for the last deferral of a session."""
        # the copy in the builder, since the action may just have changed the session
        deferral = actions.find_deferral_to_explain(builder, builder.sessions.get(session.id, session))
        return lambda connection: self._store.content.save_deferral_reason(connection, deferral, reason, builder.now)

    def choose_offered_time(self, session_id: str, requested_time: Span) -> None:
        """Give a session one of the times that are offered for it. This does not count as a deferral (T-12).

        Raises NotOffered when the time is no longer offered, for example because the other person has just chosen one.
        """
        self.apply_to_session(
            session_id, lambda builder, session: actions.choose_offered_time(builder, session, requested_time)
        )

    def leave_until_next_cycle(self, session_id: str) -> None:
        """Postpone a session to the next cycle. Raises QuestionClosed unless the two are asked about it (T-11)."""
        self.apply_to_session(session_id, actions.leave_until_next_cycle)

    def request_ad_hoc_session(
        self,
        pair_id: PairId,
        trigger: Trigger,
        reason: str = "",
        *,
        at_once: bool = False,
        by: Owner = Owner.MANAGER,
    ) -> str:
        """Add an ad hoc session at the request of the manager or the report, and return its id.

        `trigger` is the kind of occasion, and `reason` the requester's own words; both are stored sealed. With
        `at_once`, the session is to take place within two working days, whatever the trigger. `by` is which of the two
        requests it.
        """
        session_id = ""

        def apply(builder: PlanBuilder) -> Writer:
            nonlocal session_id
            session = actions.request_ad_hoc_session(builder, trigger, at_once=at_once)
            session_id = session.id
            return lambda connection: self._store.content.save_trigger(connection, session.id, trigger, reason, by)

        self.apply_to_pair(pair_id, apply)
        return session_id

    def request_check_in(self, pair_id: PairId) -> str:
        """Add an informal check-in, and return the id of the session."""
        session_id = ""

        def apply(builder: PlanBuilder) -> None:
            nonlocal session_id
            session_id = actions.request_check_in(builder).id

        self.apply_to_pair(pair_id, apply)
        return session_id

    # --- choices of a pair ---

    def choose_format(self, pair_id: PairId, wanted_format: Format) -> None:
        """Set the format that the report wants: one session per cycle, or a series of three (R-4).

        The format applies from the next cycle whose format is not fixed yet.
        """
        self._save_choice(
            pair_id, lambda builder: actions.choose_format(builder, wanted_format), format=wanted_format.value
        )

    def set_trust(self, pair_id: PairId, *, has_trust: bool) -> None:
        """Set whether the two trust each other enough for the hardest questions in the manager's brief (R-12)."""
        self._save_choice(pair_id, lambda _: None, trust=has_trust)

    def set_transition(self, pair_id: PairId, until: date | None) -> None:
        """Set a shorter rhythm until that day, or end it with None (R-5). The next sweep moves the session (T-18)."""
        self._save_choice(pair_id, lambda _: None, transition_until=until.isoformat() if until else None)

    def _save_choice(
        self, pair_id: PairId, decide: Callable[[PlanBuilder], None], **choices: str | bool | None
    ) -> None:
        """Store choices in these columns of a pair, after `decide` has changed the plan accordingly."""

        def apply(builder: PlanBuilder) -> Writer:
            decide(builder)
            return lambda connection: self._store.people.save_choices(connection, pair_id, **choices)

        self.apply_to_pair(pair_id, apply)

    # --- applying an action ---

    def apply_to_session(self, session_id: str, act: Callable[[PlanBuilder, Session], Writer | None]) -> None:
        """Apply an action to a session, as `apply_to_pair` applies one to its pair. Raises the same errors."""
        pair = self._store.queries.get_pair_id(session_id)
        if pair is None:
            raise UnknownName(f"There is no session {session_id}. `longarc sessions` lists the sessions.")

        def act_on_session(builder: PlanBuilder) -> Writer | None:
            # the builder does not have the sessions that were closed long ago
            session = builder.sessions.get(session_id) or self._store.queries.get_session(session_id)
            if session is None:
                raise UnknownName(f"There is no session {session_id}.")
            return act(builder, session)

        self.apply_to_pair(pair, act_on_session)

    def apply_to_pair(self, pair_id: PairId, act: PairAction) -> None:
        """Lease a pair, apply an action to its plan, write the plan, and make the pair due at the next tick.

        Raises UnknownName, LeaseLost when another process keeps the pair leased, and the action's errors.
        """
        # the holder is unique for each action, since several threads of a process may act at once
        holder = f"{self._holder}-{uuid.uuid4().hex[:6]}"
        for _ in range(MAX_TRIES):
            now = self._clock()
            if self._store.plans.claim_pairs([pair_id], now, holder, now + LEASE):
                break
            if pair_id not in self._store.people.load_all_pairs():
                raise UnknownName(f"There is no pair {pair_id}. Give it as manager>report, by address.")
            time.sleep(RETRY_SECONDS)
        else:
            raise LeaseLost(f"{pair_id} is being planned at the moment. Try again in a moment.")
        try:
            loaded = self._store.plans.load([pair_id], now)
            state: PairState = loaded.states[0]
            builder = PlanBuilder(now, state, snapshot=None, policy=self._policy)
            write = act(builder) or (lambda _: None)
            builder.plan_again_at(now)  # the sweep plans what follows from the action, such as a time for the session
            self._store.plans.commit([builder.build()], loaded.wake_counts, holder, now, write)
        except BaseException:
            self._store.plans.release(holder)
            raise
