"""What people say to the program, performed: each act reads the pair, decides purely, and writes it in one transaction.

The commands use it, and so does whoever stands in for people in a simulation. Content comes in as values, goes into
the database sealed, and is never in an error's text or a log.
"""

import logging
import time
import uuid
from collections.abc import Callable
from datetime import date, datetime, timedelta

from sqlalchemy import Connection

from worker.clock import Clock
from worker.domain.model import Format, Owner, PairId, PairState, Policy, Session, Span, Trigger
from worker.domain.planning import actions
from worker.domain.planning.plan_builder import PlanBuilder
from worker.errors import LeaseLost, UnknownName
from worker.store.store import Store

log = logging.getLogger(__name__)

LEASE = timedelta(minutes=1)
#: A sweep may have the two in its hands: how often, and how long between, an act asks again. Seconds.
MAX_TRIES, RETRY_SECONDS = 100, 0.1

#: Writes what goes with a plan, in the transaction of that plan.
Write = Callable[[Connection], None]
#: Changes the working copy of a pair; returns what has to be written with it, if anything.
Action = Callable[[PlanBuilder], Write | None]


class Actions:
    """What a manager, a report or a command may do."""

    def __init__(self, store: Store, clock: Clock, policy: Policy, holder: str) -> None:
        self._store = store
        self._clock = clock
        self._policy = policy
        self._holder = holder

    # --- sessions ---

    def record_not_held(self, session_id: str) -> bool:
        """It did not take place; it is owed. False when that is recorded already, and nothing else happens."""
        repeated: list[str] = []

        def apply(p: PlanBuilder, session: Session) -> None:
            if actions.is_missed(p, session):
                repeated.append(session.id)
            else:
                actions.record_not_held(p, session)

        self.on_session(session_id, apply)
        return not repeated

    def record_held(self, session_id: str, end: datetime | None = None) -> None:
        """It took place; `end` when it was not at its time."""
        self.on_session(session_id, lambda p, s: actions.record_held(p, s, end))

    def defer_session(self, session_id: str, wish: Span | None = None) -> None:
        """Another time: ours, or the one wished for."""
        self.on_session(session_id, lambda p, s: actions.request_time(p, s, wish))

    def request_talk(
        self,
        pair_id: PairId,
        trigger: Trigger,
        reason: str = "",
        *,
        at_once: bool = False,
        by: Owner = Owner.MANAGER,
    ) -> str:
        """A conversation soon, which one of the two asked for; returns the session's id. Why is sealed."""
        made: list[str] = []

        def apply(p: PlanBuilder) -> Write:
            session = actions.request_talk(p, trigger, at_once=at_once)
            made.append(session.id)
            return lambda connection: self._store.content.save_trigger(connection, session.id, trigger, reason, by)

        self.on_pair(pair_id, apply)
        return made[-1]

    def request_check_in(self, pair_id: PairId) -> str:
        """An informal check-in soon; returns the session's id."""
        made: list[str] = []

        def apply(p: PlanBuilder) -> None:
            made.append(actions.request_check_in(p).id)

        self.on_pair(pair_id, apply)
        return made[-1]

    # --- how a pair wants it ---

    def choose_format(self, pair_id: PairId, wanted: Format) -> None:
        """R-4: one conversation or three, as the report wants it, from the next that can still be changed."""
        self._save_choice(pair_id, lambda p: actions.choose_format(p, wanted), format=wanted.value)

    def set_trust(self, pair_id: PairId, *, there: bool) -> None:
        """R-12: whether the hardest questions belong into the brief."""
        self._save_choice(pair_id, lambda _: None, trust=there)

    def set_transition(self, pair_id: PairId, until: date | None) -> None:
        """R-5: a tighter rhythm until that day, or no longer."""
        self._save_choice(
            pair_id,
            lambda p: actions.replan_for_transition(p, until),
            transition_until=until.isoformat() if until else None,
        )

    def _save_choice(self, pair_id: PairId, decide: Callable[[PlanBuilder], None], **chosen: str | bool | None) -> None:
        def apply(p: PlanBuilder) -> Write:
            decide(p)
            return lambda connection: self._store.people.save_choice(connection, pair_id, **chosen)

        self.on_pair(pair_id, apply)

    # --- how ---

    def on_session(self, session_id: str, act: Callable[[PlanBuilder, Session], Write | None]) -> None:
        pair = self._store.queries.get_pair_id(session_id)
        if pair is None:
            raise UnknownName(f"There is no session {session_id}. `longarc sessions` lists those there are.")

        def act_on_session(p: PlanBuilder) -> Write | None:
            session = p.sessions.get(session_id) or self._store.queries.get_session(session_id)
            if session is None:
                raise UnknownName(f"There is no session {session_id}.")
            return act(p, session)

        self.on_pair(pair, act_on_session)

    def on_pair(self, pair_id: PairId, act: Action) -> None:
        """Decide with the two in our hands, write, and have the pair planned at the next tick."""
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
            p = PlanBuilder(now, state, None, self._policy)
            also = act(p) or (lambda _: None)
            p.wake_at(now)
            self._store.plans.commit([p.build()], loaded.wakes, holder, now, also)
        except BaseException:
            self._store.plans.release(holder)
            raise
