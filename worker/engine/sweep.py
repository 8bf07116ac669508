"""The sweep: leases due pairs, reads free/busy, plans the pairs, and writes the plans with their effects.

Free/busy is read for all pairs of a sweep together. Pairs are planned one after the other; the times that one pair
gets are taken for the next.
"""

import logging
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from worker.clock import Clock
from worker.domain.model import (
    Address,
    Decision,
    EffectKind,
    EndReason,
    FreeBusy,
    FreeBusyRequest,
    FreeBusySnapshot,
    Pair,
    PairId,
    PairState,
    Plan,
    Policy,
    Span,
    TakenTime,
)
from worker.domain.planning.planner import plan
from worker.domain.time.absences import update_absences
from worker.domain.time.blockers import never_work_together
from worker.errors import AuthRevoked, LeaseLost, Permanent, Refused, Transient, describe_unexpected_error
from worker.logs import Action
from worker.process_metrics import count_plan
from worker.providers.base import CalendarProvider
from worker.store.store import Store

log = logging.getLogger(__name__)

LEASE = timedelta(minutes=10)
BATCH = 200
#: People in one free/busy request, for providers that don't set `people_per_request`: the lowest limit of all services.
PEOPLE_PER_REQUEST = 20
#: How often free/busy is read for a pair within one sweep: what was read may lead to another request.
MAX_FREE_BUSY_REQUESTS = 10
#: When a pair is planned again whose plan was refused or failed.
RETRY_AFTER = timedelta(hours=1)

#: Groups addresses by calendar service: the service and its people, by name.
GroupByService = Callable[[Sequence[Address]], Mapping[str, tuple[CalendarProvider, Sequence[Address]]]]
#: Called while plans are previewed, with how many calendars were read and pairs planned so far.
Watch = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class PlannedPair:
    """A pair as it is, and its plan as of now."""

    state: PairState
    plan: Plan


class Sweep:
    """Plans pairs that are due."""

    def __init__(
        self, store: Store, group_by_service: GroupByService, clock: Clock, policy: Policy, operator: str
    ) -> None:
        self._store = store
        self._group_by_service = group_by_service
        self._clock = clock
        self._policy = policy
        self._operator = operator

    def run(self, holder: str, limit: int = BATCH) -> int:
        """Plan up to `limit` due pairs. Returns how many they were."""
        now = self._clock()
        holder = f"{holder}:{uuid.uuid4().hex[:8]}"  # unique for each run: threads of a process run at once
        pairs = self._store.plans.claim(now, holder, now + LEASE, limit)
        if pairs:
            self._plan_and_commit(pairs, holder, now)
        return len(pairs)

    def preview(self, watch: Watch = lambda done: None) -> Iterator[PlannedPair]:
        """Yield all pairs with their plans as of now, in the order in which sweeps would plan them. Writes nothing, and
        takes no lease. `watch` is told of each person whose calendar was read, and of each pair that was planned."""
        now = self._clock()
        pairs = sorted(self._store.people.load_all_pairs(), key=str)
        read: set[Address] = set()
        taken = _TakenTimeIndex(self._store, now)
        for n in range(0, len(pairs), BATCH):

            def count(emails: Sequence[Address], planned: int = n) -> None:
                read.update(emails)
                watch(len(read) + planned)

            states = self._store.plans.load(pairs[n : n + BATCH], now).states
            plans = self.plan_pairs(states, now, taken, count)
            count([who for state in states for who in state.addresses], n + len(states))
            yield from (PlannedPair(state, made) for state, made in zip(states, plans, strict=True))

    def _plan_and_commit(self, pairs: Sequence[PairId], holder: str, now: datetime) -> None:
        try:
            loaded = self._store.plans.load_readable(pairs, now)
            plans = self.plan_pairs(loaded.states, now)
            plans += [_build_failed_plan(pair, problem, now) for pair, problem in loaded.unreadable.items()]
            current_pairs = {state.pair.id for state in loaded.states if not _is_withdrawn(state.pair)}
            refused = self._refuse_mass_cancels(plans, current_pairs, now)
            postponed = [Plan(pair=pair, due_at=now + RETRY_AFTER) for pair in sorted(refused)]
            plans = [plan for plan in plans if plan.pair not in refused] + postponed
            self._store.plans.commit(plans, loaded.wakes, holder, now)
            self._alert_failed_plans(plans, now)
            self._alert_hours_apart(loaded.states, plans, now)
        except LeaseLost:
            self._store.plans.release(holder)
            log.warning("the lease was lost; nothing was written", extra={"action": Action.LEASE_LOST})
            return
        except BaseException:
            self._store.plans.release(holder)
            raise
        written_at = self._clock()
        for committed in plans:
            count_plan(loaded.due.get(committed.pair), written_at, has_failed=bool(committed.problem))
            for decision in committed.decisions:
                log.info(
                    "%s: %s",
                    decision.pair,
                    _summarize(decision),
                    extra={"action": Action.DECISION, "what": decision.what, "session": decision.session},
                )

    def plan_pairs(
        self,
        states: Sequence[PairState],
        now: datetime,
        taken: "_TakenTimeIndex | None" = None,
        count: Callable[[Sequence[Address]], None] = lambda emails: None,
    ) -> list[Plan]:
        """Plan these pairs one after the other, reading free/busy for all of them at once.

        `taken` has what pairs before them have taken; `count` is told whose free/busy was read.
        """
        first_plans = {state.pair.id: self._plan_one(now, state, None) for state in states}
        requesting = [state for state in states if first_plans[state.pair.id].needs]
        if not requesting:
            return list(first_plans.values())
        snapshot = self._read_free_busy([plan.needs for plan in first_plans.values() if plan.needs], now, count)
        taken = taken or _TakenTimeIndex(self._store, now)
        taken.load(
            who for state in requesting if _needs_taken_time(first_plans[state.pair.id]) for who in state.addresses
        )
        plans: list[Plan] = []
        for state in states:
            new_plan = first_plans[state.pair.id]
            if new_plan.needs:
                new_plan = self._plan_with_free_busy(state, new_plan.needs, snapshot, taken, now)
            taken.add(state, new_plan)
            plans.append(new_plan)
        return plans

    def _plan_with_free_busy(
        self,
        state: PairState,
        needs: FreeBusyRequest,
        snapshot: FreeBusySnapshot,
        taken: "_TakenTimeIndex",
        now: datetime,
    ) -> Plan:
        away: dict[Address, tuple[Span, ...]] = {}
        for _ in range(MAX_FREE_BUSY_REQUESTS):
            if needs.includes_taken:
                state = replace(state, taken_times=taken.get(state))
            state, changes = update_absences(state, snapshot, now)
            away |= changes
            new_plan = self._plan_one(now, state, snapshot)
            if new_plan.needs is None:
                return replace(new_plan, away=away) if away else new_plan
            needs = new_plan.needs  # a longer window: read for this pair alone
            earlier = [
                FreeBusyRequest((who,), snapshot.windows[who]) for who in needs.people if who in snapshot.windows
            ]
            snapshot = _merge_snapshots(snapshot, self._read_free_busy([needs, *earlier], now))
        return _build_failed_plan(state.pair.id, "it does not come to an end", now)

    def _plan_one(self, now: datetime, state: PairState, snapshot: FreeBusySnapshot | None) -> Plan:
        """Plan a pair. An unexpected error becomes a failed plan, so that other pairs are planned all the same."""
        try:
            return plan(now, state, snapshot, self._policy)
        except Exception as error:
            return _build_failed_plan(state.pair.id, describe_unexpected_error(error), now)

    def read_free_busy(self, request: FreeBusyRequest) -> FreeBusySnapshot:
        """Return the free/busy of these people, for `LiveFreeBusy`."""
        return self._read_free_busy([request], self._clock())

    # --- free/busy ---

    def _read_free_busy(
        self,
        requests: Sequence[FreeBusyRequest],
        now: datetime,
        count: Callable[[Sequence[Address]], None] = lambda emails: None,
    ) -> FreeBusySnapshot:
        """Read free/busy for all requests, many people at once. The reports of a manager are asked for together: some
        services read the manager's calendar for each group of people that has one of them."""
        windows: dict[Address, Span] = {}
        for request in sorted(requests, key=lambda request: request.people):
            for who in request.people:
                earlier = windows.get(who, request.window)
                windows[who] = Span(min(earlier.start, request.window.start), max(earlier.end, request.window.end))
        free_busy: dict[Address, FreeBusy] = {}
        unavailable = {who for who, until in self._store.people.load_suspensions().items() if until > now}
        for provider, emails in self._group_by_service([who for who in windows if who not in unavailable]).values():
            size = getattr(provider, "people_per_request", PEOPLE_PER_REQUEST)
            for n in range(0, len(emails), size):
                chunk = emails[n : n + size]
                window = Span(min(windows[who].start for who in chunk), max(windows[who].end for who in chunk))
                windows.update(dict.fromkeys(chunk, window))
                self._request_free_busy(provider, chunk, window, free_busy, unavailable)
                count(chunk)
        missing = {who: FreeBusy(is_known=False, reason="no calendar service is set up for it") for who in windows}
        return FreeBusySnapshot(windows=windows, free_busy={**missing, **free_busy}, unavailable=frozenset(unavailable))

    def _request_free_busy(
        self,
        provider: CalendarProvider,
        emails: Sequence[Address],
        window: Span,
        free_busy: dict[Address, FreeBusy],
        unavailable: set[Address],
    ) -> None:
        """Read free/busy of some people of a provider into `free_busy`; adds those who failed to `unavailable`."""
        try:
            answers = provider.free_busy(emails, window)
            unavailable.update(who for who, answer in answers.items() if answer.is_temporary)
            free_busy.update({who: answer for who, answer in answers.items() if not answer.is_temporary})
            for reason in sorted({answer.reason for answer in answers.values() if answer.is_temporary}):
                log.warning("free/busy failed: %s", reason, extra={"action": Action.FREE_BUSY_FAILED})
        except (Transient, AuthRevoked) as error:
            log.warning("free/busy failed: %s", error, extra={"action": Action.FREE_BUSY_FAILED})
            unavailable.update(emails)
        except Permanent as error:
            free_busy.update({who: FreeBusy(is_known=False, reason=str(error)) for who in emails})

    # --- safeguards ---

    def _alert_failed_plans(self, plans: Sequence[Plan], now: datetime) -> None:
        for failed in plans:
            if failed.problem:
                self._store.outbox.alert(f"plan:{failed.pair}:{now:%Y-%m-%d}", failed.problem, now, self._operator)

    def _alert_hours_apart(self, states: Sequence[PairState], plans: Sequence[Plan], now: datetime) -> None:
        """T-4: the operator hears once of two people who never work at the same time; nobody else can fix that."""
        without_time = {plan.pair for plan in plans if any(session.unplaceable for session in plan.sessions)}
        for state in states:
            if state.pair.id in without_time and never_work_together((state.manager, state.report), now):
                text = (
                    f"{state.manager.email} and {state.report.email} never work at the same time, so no conversation"
                    " of theirs can be booked. Correct their hours and zones in the people file, or ask them for hours"
                    " that both can keep free."
                )
                self._store.outbox.alert(f"hours:{state.pair.id}", text, now, self._operator)

    def _refuse_mass_cancels(self, plans: Sequence[Plan], current_pairs: Set[PairId], now: datetime) -> set[PairId]:
        """Return the pairs whose plans are not written, because all plans together cancel more than the policy allows.

        Withdrawn pairs don't count: the operator asked for that, or confirmed it.
        """
        cancels = {p.pair: _count_cancels(p) for p in plans if p.pair in current_pairs}
        total = sum(cancels.values())
        if total <= self._policy.max_cancels:
            return set()
        refused = Refused(
            f"One sweep was about to cancel {total} events, more than the {self._policy.max_cancels} allowed. "
            "They stay. "
            "If that is right, raise rules.max_cancels; if not, look at the people file and at the calendars first."
        )
        log.error("%s", refused, extra={"action": Action.CANCELS_REFUSED})
        self._store.outbox.alert(f"cancels:{now:%Y-%m-%d}", str(refused), now, self._operator)
        return {pair for pair, count in cancels.items() if count}


def _is_withdrawn(pair: Pair) -> bool:
    """Return whether the pair ended, or the operator or the rollout holds it back: T-17 was heeded at that time."""
    return pair.ended is not EndReason.NO or pair.is_held_back


def _summarize(decision: Decision) -> str:
    """Return what was decided, for the log. Its reason names people, and is in the history alone."""
    told = [decision.fields[name] for name in ("kind", "state", "cause") if name in decision.fields]
    return " ".join([decision.what, *map(str, told)])


def _count_cancels(plan: Plan) -> int:
    """Count the sessions whose events a plan cancels; the manager's own blocks for commitments don't count."""
    sessions = {session.id for session in plan.sessions}
    return sum(effect.kind is EffectKind.CANCEL and effect.subject in sessions for effect in plan.effects)


def _build_failed_plan(pair: PairId, reason: str, now: datetime) -> Plan:
    problem = f"Planning {pair} failed: {reason.rstrip('.')}. It is tried again in an hour."
    log.error("%s", problem, extra={"action": Action.PLAN_FAILED})
    return Plan(pair=pair, due_at=now + RETRY_AFTER, problem=problem)


class _TakenTimeIndex:
    """The taken time of people: from the database, and from the plans of this sweep."""

    def __init__(self, store: Store, now: datetime) -> None:
        self._store = store
        self._now = now
        self._stored: dict[Address, tuple[TakenTime, ...]] = {}
        self._planned: dict[Address, list[TakenTime]] = defaultdict(list)

    def load(self, people: Iterable[Address]) -> None:
        """Load the taken time of these people from the database, unless it is loaded."""
        new = sorted({who for who in people if who not in self._stored})
        if new:
            self._stored |= dict.fromkeys(new, ()) | self._store.plans.load_taken_time(new, self._now)

    def get(self, state: PairState) -> dict[Address, tuple[TakenTime, ...]]:
        """Return the taken time of both people of a pair."""
        self.load(state.addresses)
        return {who: (*self._stored[who], *self._planned[who]) for who in state.addresses}

    def add(self, state: PairState, plan: Plan) -> None:
        """Add the time that a plan takes."""
        for who, spans in _collect_taken(state, plan).items():
            self._planned[who] += spans


def _needs_taken_time(plan: Plan) -> bool:
    return plan.needs is not None and plan.needs.includes_taken


def _merge_snapshots(earlier: FreeBusySnapshot, later: FreeBusySnapshot) -> FreeBusySnapshot:
    """Merge two snapshots. The later one has precedence."""
    return FreeBusySnapshot(
        windows={**earlier.windows, **later.windows},
        free_busy={**earlier.free_busy, **later.free_busy},
        unavailable=earlier.unavailable | later.unavailable,
    )


def _collect_taken(state: PairState, plan: Plan) -> dict[Address, list[TakenTime]]:
    """Return the time that a plan takes, by person."""
    taken: dict[Address, list[TakenTime]] = defaultdict(list)
    for session in plan.sessions:
        spans = [session.span] if session.booked else []
        for span in (*spans, *session.options):
            for who in state.addresses:
                taken[who].append(TakenTime(span, session.id, session.kind, plan.pair, session.in_turn))
    for commitment in plan.commitments:
        if commitment.block and commitment.is_open and not commitment.all_day:
            taken[state.manager.email].append(TakenTime(commitment.block, commitment.id, None, plan.pair))
    return taken
