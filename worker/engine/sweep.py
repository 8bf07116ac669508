"""One sweep: which pairs are due, what was seen, what is decided; guard it; write it with its effects.

Free/busy is read for all pairs of a sweep together. Pairs are planned one after the other, and what one is given
counts as taken for the next.
"""

import logging
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import replace
from datetime import datetime, timedelta

from worker.clock import Clock
from worker.domain.model import (
    Address,
    EffectKind,
    EndReason,
    FreeBusy,
    FreeBusyRequest,
    FreeBusySnapshot,
    PairId,
    PairState,
    Plan,
    Policy,
    Span,
    TakenTime,
)
from worker.domain.planning.planner import plan
from worker.errors import AuthRevoked, LeaseLost, Permanent, Refused, Transient, describe_unexpected_error
from worker.providers.base import CalendarProvider
from worker.store.store import Store

log = logging.getLogger(__name__)

LEASE = timedelta(minutes=10)
BATCH = 200
#: People per free/busy request: what the narrowest of the services takes, unless a provider says that it takes more.
PEOPLE_PER_REQUEST = 20
#: How often a pair may ask within one sweep: what is seen may lead to another question.
MAX_LOOKS = 10
#: A pair whose plan was refused, or failed, is planned again after so long.
RETRY_AFTER = timedelta(hours=1)

#: The people of each calendar service, given addresses.
GroupByService = Callable[[Sequence[Address]], Mapping[str, tuple[CalendarProvider, Sequence[Address]]]]


class Sweep:
    """Plans pairs that are due."""

    def __init__(self, store: Store, services: GroupByService, clock: Clock, policy: Policy, operator: str) -> None:
        self._store = store
        self._services = services
        self._clock = clock
        self._policy = policy
        self._operator = operator

    def run(self, holder: str, limit: int = BATCH) -> int:
        """Plan up to `limit` pairs that are due; how many that were."""
        now = self._clock()
        holder = f"{holder}:{uuid.uuid4().hex[:8]}"  # each run by itself: one process may have several
        pairs = self._store.plans.claim(now, holder, now + LEASE, limit)
        if pairs:
            self._plan_and_commit(pairs, holder, now)
        return len(pairs)

    def preview(self) -> list[Plan]:
        """What would be decided for every pair now. Writes nothing, takes no lease."""
        now = self._clock()
        pairs = list(self._store.people.load_all_pairs())
        plans: list[Plan] = []
        for n in range(0, len(pairs), BATCH):
            states = self._store.plans.load(pairs[n : n + BATCH], now).states
            plans += self.plan_pairs(states, now)
        return plans

    def _plan_and_commit(self, pairs: Sequence[PairId], holder: str, now: datetime) -> None:
        try:
            loaded = self._store.plans.load_readable(pairs, now)
            plans = self.plan_pairs(loaded.states, now)
            plans += [_build_failed_plan(pair, why, now) for pair, why in loaded.unreadable.items()]
            going_on = {state.pair.id for state in loaded.states if state.pair.ended is EndReason.NO}
            refused = self._refuse_mass_cancels(plans, going_on, now)
            later = [Plan(pair=pair, due_at=now + RETRY_AFTER) for pair in sorted(refused)]
            plans = [p for p in plans if p.pair not in refused] + later
            self._store.plans.commit(plans, loaded.wakes, holder, now)
            self._alert_failed_plans(plans, now)
        except LeaseLost:
            self._store.plans.release(holder)
            log.warning("the lease was lost; nothing was written", extra={"action": "lease_lost"})
            return
        except BaseException:
            self._store.plans.release(holder)
            raise
        for done in plans:
            for decision in done.decisions:
                log.info(
                    "%s: %s",
                    decision.pair,
                    decision.reason,
                    extra={"action": decision.what, "session": decision.session},
                )

    def plan_pairs(self, states: Sequence[PairState], now: datetime) -> list[Plan]:
        """Plan these pairs one after the other, reading free/busy for all of them at once."""
        first = {state.pair.id: self._plan_one(now, state, None) for state in states}
        asking = [state for state in states if first[state.pair.id].needs]
        if not asking:
            return list(first.values())
        seen = self._read_free_busy([p.needs for p in first.values() if p.needs], now)
        taken = _TakenTime(self._store, now)
        taken.load(who for state in asking if _is_giving(first[state.pair.id]) for who in state.addresses)
        plans: list[Plan] = []
        for state in states:
            made = first[state.pair.id]
            if made.needs:
                made = self._plan_with_free_busy(state, made.needs, seen, taken, now)
            taken.add(state, made)
            plans.append(made)
        return plans

    def _plan_with_free_busy(
        self, state: PairState, needs: FreeBusyRequest, seen: FreeBusySnapshot, taken: "_TakenTime", now: datetime
    ) -> Plan:
        for _ in range(MAX_LOOKS):
            if needs.includes_taken:
                state = replace(state, taken_times=taken.get(state))
            made = self._plan_one(now, state, seen)
            if made.needs is None:
                return made
            # what was seen made more of the calendars matter: read that, for this pair alone
            needs = made.needs
            before = [FreeBusyRequest((who,), seen.windows[who]) for who in needs.people if who in seen.windows]
            seen = _merge_seen(seen, self._read_free_busy([needs, *before], now))
        return _build_failed_plan(state.pair.id, "it does not come to an end", now)

    def _plan_one(self, now: datetime, state: PairState, seen: FreeBusySnapshot | None) -> Plan:
        """One pair that can't be planned keeps no other from being planned."""
        try:
            return plan(now, state, seen, self._policy)
        except Exception as error:  # nobody foresaw it, so nobody knows its kind
            return _build_failed_plan(state.pair.id, describe_unexpected_error(error), now)

    def read_free_busy(self, need: FreeBusyRequest) -> FreeBusySnapshot:
        """What somebody who picks a time by hand has to know of two calendars."""
        return self._read_free_busy([need], self._clock())

    # --- seeing ---

    def _read_free_busy(self, needs: Sequence[FreeBusyRequest], now: datetime) -> FreeBusySnapshot:
        """Everybody's time that is needed, many people a request; who needs a short look is not read far ahead."""
        windows: dict[Address, Span] = {}
        for need in needs:
            for who in need.people:
                old = windows.get(who, need.window)
                windows[who] = Span(min(old.start, need.window.start), max(old.end, need.window.end))
        found: dict[Address, FreeBusy] = {}
        unavailable = {who for who, until in self._store.people.load_suspensions().items() if until > now}
        for provider, emails in self._services(sorted(windows.keys() - unavailable)).values():
            by_reach = sorted(emails, key=lambda who: (windows[who].end, who))
            size = getattr(provider, "people_per_request", PEOPLE_PER_REQUEST)
            for n in range(0, len(by_reach), size):
                some = by_reach[n : n + size]
                hull = Span(min(windows[w].start for w in some), max(windows[w].end for w in some))
                windows.update(dict.fromkeys(some, hull))
                self._request_free_busy(provider, some, hull, found, unavailable)
        missing = {who: FreeBusy(known=False, reason="no calendar service is set up for it") for who in windows}
        return FreeBusySnapshot(windows=windows, free_busy={**missing, **found}, unavailable=frozenset(unavailable))

    def _request_free_busy(
        self,
        provider: CalendarProvider,
        emails: Sequence[Address],
        window: Span,
        found: dict[Address, FreeBusy],
        unavailable: set[Address],
    ) -> None:
        try:
            answers = provider.free_busy(emails, window)
            unavailable.update(who for who, one in answers.items() if one.temporary)
            found.update({who: one for who, one in answers.items() if not one.temporary})
            for why in sorted({one.reason for one in answers.values() if one.temporary}):
                log.warning("free/busy failed: %s", why, extra={"action": "free_busy_failed"})
        except (Transient, AuthRevoked) as error:
            log.warning("free/busy failed: %s", error, extra={"action": "free_busy_failed"})
            unavailable.update(emails)
        except Permanent as error:
            found.update({who: FreeBusy(known=False, reason=str(error)) for who in emails})

    # --- guarding ---

    def _alert_failed_plans(self, plans: Sequence[Plan], now: datetime) -> None:
        for made in plans:
            if made.problem:
                self._store.outbox.alert(f"plan:{made.pair}:{now:%Y-%m-%d}", made.problem, now, self._operator)

    def _refuse_mass_cancels(self, plans: Sequence[Plan], going_on: Set[PairId], now: datetime) -> set[PairId]:
        """The pairs whose plans are not carried out: more cancels at once than the policy allows.

        Of pairs that ended it was asked when the people file was taken over.
        """
        cancels = {p.pair: _count_cancels(p) for p in plans if p.pair in going_on}
        total = sum(cancels.values())
        if total <= self._policy.max_cancels:
            return set()
        refused = Refused(
            f"One sweep was about to cancel {total} events, more than the {self._policy.max_cancels} allowed. "
            "They stay. "
            "If that is right, raise rules.max_cancels; if not, look at the people file and at the calendars first."
        )
        log.error("%s", refused, extra={"action": "guard"})
        self._store.outbox.alert(f"cancels:{now:%Y-%m-%d}", str(refused), now, self._operator)
        return {pair for pair, count in cancels.items() if count}


def _count_cancels(made: Plan) -> int:
    """How many conversations a plan takes off the calendar; the manager's own blocks come and go."""
    sessions = {s.id for s in made.sessions}
    return sum(m.kind is EffectKind.CANCEL and m.subject in sessions for m in made.effects)


def _build_failed_plan(pair: PairId, why: str, now: datetime) -> Plan:
    words = f"Planning {pair} failed: {why.rstrip('.')}. It is tried again in an hour."
    log.error("%s", words, extra={"action": "plan_failed"})
    return Plan(pair=pair, due_at=now + RETRY_AFTER, problem=words)


class _TakenTime:
    """What is taken of people's time: what was read of it, and what this sweep has given away since."""

    def __init__(self, store: Store, now: datetime) -> None:
        self._store = store
        self._now = now
        self._known: dict[Address, tuple[TakenTime, ...]] = {}
        self._given: dict[Address, list[TakenTime]] = defaultdict(list)

    def load(self, people: Iterable[Address]) -> None:
        """Have these people's time known."""
        new = sorted(set(people) - self._known.keys())
        if new:
            self._known |= dict.fromkeys(new, ()) | self._store.plans.load_taken_time(new, self._now)

    def get(self, state: PairState) -> dict[Address, tuple[TakenTime, ...]]:
        """The two people's."""
        self.load(state.addresses)
        return {who: (*self._known[who], *self._given[who]) for who in state.addresses}

    def add(self, state: PairState, made: Plan) -> None:
        """Count what a plan takes."""
        for who, spans in _collect_taken(state, made).items():
            self._given[who] += spans


def _is_giving(made: Plan) -> bool:
    return made.needs is not None and made.needs.includes_taken


def _merge_seen(one: FreeBusySnapshot, other: FreeBusySnapshot) -> FreeBusySnapshot:
    """What was seen in two readings; the later one counts."""
    return FreeBusySnapshot(
        windows={**one.windows, **other.windows},
        free_busy={**one.free_busy, **other.free_busy},
        unavailable=one.unavailable | other.unavailable,
    )


def _collect_taken(state: PairState, made: Plan) -> dict[Address, list[TakenTime]]:
    """What a plan takes of people's time."""
    given: dict[Address, list[TakenTime]] = defaultdict(list)
    for session in made.sessions:
        spans = [session.span] if session.booked else []
        for span in (*spans, *session.options):
            for who in state.addresses:
                given[who].append(TakenTime(span, session.id, session.kind, made.pair, session.in_turn))
    for commitment in made.commitments:
        if commitment.block and commitment.is_open and not commitment.all_day:
            given[state.manager.email].append(TakenTime(commitment.block, commitment.id, None, made.pair))
    return given
