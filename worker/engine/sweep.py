"""The sweep: leases the pairs that are due, reads free/busy, plans the pairs, and writes the plans with their effects.

Free/busy is read for all pairs of a sweep together. The pairs are planned one after the other. The times that the plan
of one pair takes are not free for the next pairs: they are taken times.
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
from worker.domain.planning import planner
from worker.domain.time.absences import update_absences
from worker.domain.time.blockers import never_work_together
from worker.errors import AuthRevoked, LeaseLost, Permanent, Refused, Transient, describe_unexpected_error
from worker.logs import Action
from worker.process_metrics import count_plan
from worker.providers.base import CalendarProvider
from worker.store.store import Store

log = logging.getLogger(__name__)

#: For how long a run holds the pairs that it has claimed.
LEASE = timedelta(minutes=10)
#: The most pairs that are planned in one sweep.
BATCH = 200
#: The number of people in one free/busy request, unless the provider sets `people_per_request`. No service allows less.
PEOPLE_PER_REQUEST = 20
#: How often free/busy may be read for a pair within one sweep. Each plan may need a longer window than the last one.
MAX_FREE_BUSY_REQUESTS = 10
#: After how long a pair is planned again when its plan was refused or planning it failed.
RETRY_AFTER = timedelta(hours=1)

#: Groups addresses by calendar service: returns the service and its people, by the name of the service.
GroupByService = Callable[[Sequence[Address]], Mapping[str, tuple[CalendarProvider, Sequence[Address]]]]
#: Called to report the progress of a preview, with the number of calendars read plus the number of pairs planned.
ReportProgress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class PlannedPair:
    """A pair, and the plan that a sweep would make for it now."""

    state: PairState
    plan: Plan


class Sweep:
    """Plans the pairs that are due, and previews the plans of all pairs."""

    def __init__(
        self, store: Store, group_by_service: GroupByService, clock: Clock, policy: Policy, operator: str
    ) -> None:
        self._store = store
        self._group_by_service = group_by_service
        self._clock = clock
        self._policy = policy
        self._operator = operator

    def run(self, holder: str, limit: int = BATCH) -> int:
        """Plan up to `limit` due pairs, and return how many were claimed."""
        now = self._clock()
        # the holder is unique for each run, since several threads of a process may run this at once
        holder = f"{holder}:{uuid.uuid4().hex[:8]}"
        pairs = self._store.plans.claim(now, holder, now + LEASE, limit)
        if pairs:
            self._plan_and_commit(pairs, holder, now)
        return len(pairs)

    def preview(self, report_progress: ReportProgress = lambda done: None) -> Iterator[PlannedPair]:
        """Yield all pairs with the plans that sweeps would make now, in the order of planning.

        Writes nothing, and takes no lease. `report_progress` is called whenever calendars were read or pairs planned.
        """
        now = self._clock()
        pairs = sorted(self._store.people.load_all_pairs(), key=str)
        people_read: set[Address] = set()
        taken_times = _TakenTimeIndex(self._store, now)
        for first in range(0, len(pairs), BATCH):
            # `planned_count` is bound once for each batch, as a default value, while `first` changes with the loop
            def note_people_read(people: Sequence[Address], planned_count: int = first) -> None:
                people_read.update(people)
                report_progress(len(people_read) + planned_count)

            states = self._store.plans.load(pairs[first : first + BATCH], now).states
            plans = self.plan_pairs(states, now, taken_times, note_people_read)
            # people whose free/busy no plan needed count as read, too, so that the progress ends at the total
            note_people_read([person for state in states for person in state.addresses], first + len(states))
            yield from (PlannedPair(state, new_plan) for state, new_plan in zip(states, plans, strict=True))

    def _plan_and_commit(self, pairs: Sequence[PairId], holder: str, now: datetime) -> None:
        try:
            loaded = self._store.plans.load_readable(pairs, now)
            plans = self.plan_pairs(loaded.states, now)
            # the sealed values of unreadable pairs can't be opened, for example with a wrong key
            plans += [_build_failed_plan(pair, problem, now) for pair, problem in loaded.unreadable.items()]
            limited_pairs = {state.pair.id for state in loaded.states if not _is_withdrawn(state.pair)}
            refused_pairs = self._refuse_mass_cancels(plans, limited_pairs, now)
            postponed = [Plan(pair=pair, due_at=now + RETRY_AFTER) for pair in sorted(refused_pairs)]
            plans = [plan for plan in plans if plan.pair not in refused_pairs] + postponed
            self._store.plans.commit(plans, loaded.wake_counts, holder, now)
            self._alert_failed_plans(plans, now)
            self._alert_no_common_hours(loaded.states, plans, now)
        except LeaseLost:
            self._store.plans.release(holder)
            log.warning("the lease was lost; nothing was written", extra={"action": Action.LEASE_LOST})
            return
        except BaseException:
            self._store.plans.release(holder)
            raise
        written_at = self._clock()
        for committed in plans:
            count_plan(loaded.due_times.get(committed.pair), written_at, has_failed=bool(committed.problem))
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
        taken_times: "_TakenTimeIndex | None" = None,
        note_people_read: Callable[[Sequence[Address]], None] = lambda people: None,
    ) -> list[Plan]:
        """Plan these pairs one after the other, with free/busy that is read for all of them at once.

        Each pair is first planned without free/busy. Most plans need none, since nothing has to be booked; the others
        contain the request for the free/busy that they need. `taken_times` holds the times that earlier pairs took.
        `note_people_read` is called with the people whose free/busy was read.
        """
        first_plans = {state.pair.id: self._plan_pair(now, state, snapshot=None) for state in states}
        requesting_states = [state for state in states if first_plans[state.pair.id].needed_free_busy]
        if not requesting_states:
            return list(first_plans.values())
        requests = [plan.needed_free_busy for plan in first_plans.values() if plan.needed_free_busy]
        snapshot = self._read_free_busy(requests, now, note_people_read)
        taken_times = taken_times or _TakenTimeIndex(self._store, now)
        taken_times.load(
            person
            for state in requesting_states
            if _needs_taken_time(first_plans[state.pair.id])
            for person in state.addresses
        )
        plans: list[Plan] = []
        for state in states:
            new_plan = first_plans[state.pair.id]
            if new_plan.needed_free_busy:
                new_plan = self._plan_with_free_busy(state, new_plan.needed_free_busy, snapshot, taken_times, now)
            taken_times.add(state, new_plan)
            plans.append(new_plan)
        return plans

    def _plan_with_free_busy(
        self,
        state: PairState,
        request: FreeBusyRequest,
        snapshot: FreeBusySnapshot,
        taken_times: "_TakenTimeIndex",
        now: datetime,
    ) -> Plan:
        """Plan a pair with free/busy. When the plan needs a longer window, read that, and plan again."""
        absences: dict[Address, tuple[Span, ...]] = {}
        for _ in range(MAX_FREE_BUSY_REQUESTS):
            if request.includes_taken:
                state = replace(state, taken_times=taken_times.get(state))
            state, changed_absences = update_absences(state, snapshot, now)
            absences |= changed_absences
            new_plan = self._plan_pair(now, state, snapshot)
            if new_plan.needed_free_busy is None:
                return replace(new_plan, new_absences=absences) if absences else new_plan
            request = new_plan.needed_free_busy
            # earlier windows are requested again too, since the new free/busy of a person replaces the earlier one
            earlier_requests = [
                FreeBusyRequest((person,), snapshot.windows[person])
                for person in request.people
                if person in snapshot.windows
            ]
            snapshot = _merge_snapshots(snapshot, self._read_free_busy([request, *earlier_requests], now))
        return _build_failed_plan(state.pair.id, "it asked for free/busy again and again", now)

    def _plan_pair(self, now: datetime, state: PairState, snapshot: FreeBusySnapshot | None) -> Plan:
        """Plan a pair. An unexpected error results in a failed plan, so that the other pairs are still planned."""
        try:
            return planner.plan(now, state, snapshot, self._policy)
        except Exception as error:
            return _build_failed_plan(state.pair.id, describe_unexpected_error(error), now)

    def read_free_busy(self, request: FreeBusyRequest) -> FreeBusySnapshot:
        """Read and return the free/busy of the people in a request."""
        return self._read_free_busy([request], self._clock())

    # --- free/busy ---

    def _read_free_busy(
        self,
        requests: Sequence[FreeBusyRequest],
        now: datetime,
        note_people_read: Callable[[Sequence[Address]], None] = lambda people: None,
    ) -> FreeBusySnapshot:
        """Read and return the free/busy for all requests, many people at once.

        The reports of a manager are kept together, since some services read the calendar of the manager once for each
        group of people that contains a report.
        """
        windows: dict[Address, Span] = {}
        for request in sorted(requests, key=lambda request: request.people):
            for person in request.people:
                window = windows.get(person, request.window)
                windows[person] = Span(min(window.start, request.window.start), max(window.end, request.window.end))
        free_busy: dict[Address, FreeBusy] = {}
        suspensions = self._store.people.load_suspensions()
        unavailable = {person for person, until in suspensions.items() if until > now}
        available = [person for person in windows if person not in unavailable]
        for provider, people in self._group_by_service(available).values():
            size = getattr(provider, "people_per_request", PEOPLE_PER_REQUEST)
            for first in range(0, len(people), size):
                chunk = people[first : first + size]
                # one request has one window, which has to include the window of each person
                start = min(windows[person].start for person in chunk)
                chunk_window = Span(start, max(windows[person].end for person in chunk))
                windows.update(dict.fromkeys(chunk, chunk_window))
                self._request_free_busy(provider, chunk, chunk_window, free_busy, unavailable)
                note_people_read(chunk)
        unknown = FreeBusy(is_known=False, reason="no calendar service is set up for this person")
        return FreeBusySnapshot(
            windows=windows,
            free_busy={**dict.fromkeys(windows, unknown), **free_busy},
            unavailable=frozenset(unavailable),
        )

    def _request_free_busy(
        self,
        provider: CalendarProvider,
        people: Sequence[Address],
        window: Span,
        free_busy: dict[Address, FreeBusy],
        unavailable: set[Address],
    ) -> None:
        """Read free/busy of these people into `free_busy`, and add those with a temporary failure to `unavailable`."""
        try:
            answers = provider.free_busy(people, window)
            unavailable.update(person for person, answer in answers.items() if answer.is_temporary)
            free_busy.update({person: answer for person, answer in answers.items() if not answer.is_temporary})
            for reason in sorted({answer.reason for answer in answers.values() if answer.is_temporary}):
                log.warning("free/busy failed: %s", reason, extra={"action": Action.FREE_BUSY_FAILED})
        except (Transient, AuthRevoked) as error:
            log.warning("free/busy failed: %s", error, extra={"action": Action.FREE_BUSY_FAILED})
            unavailable.update(people)
        except Permanent as error:
            free_busy.update({person: FreeBusy(is_known=False, reason=str(error)) for person in people})

    # --- safeguards ---

    def _alert_failed_plans(self, plans: Sequence[Plan], now: datetime) -> None:
        for new_plan in plans:
            if new_plan.problem:
                self._store.outbox.alert(f"plan:{new_plan.pair}:{now:%Y-%m-%d}", new_plan.problem, now, self._operator)

    def _alert_no_common_hours(self, states: Sequence[PairState], plans: Sequence[Plan], now: datetime) -> None:
        """Alert the operator, once for each pair, when the two people never work at the same time (T-4)."""
        pairs_without_time = {plan.pair for plan in plans if any(session.unplaceable for session in plan.sessions)}
        for state in states:
            people, shortest_minutes = (state.manager, state.report), self._policy.min_minutes
            if state.pair.id in pairs_without_time and never_work_together(people, now, shortest_minutes):
                text = (
                    f"{state.manager.email} and {state.report.email} never work at the same time, so their"
                    " conversations can't be booked. Correct their working hours and time zones in the people file, or"
                    " ask them for hours that both can keep free."
                )
                self._store.outbox.alert(f"hours:{state.pair.id}", text, now, self._operator)

    def _refuse_mass_cancels(self, plans: Sequence[Plan], limited_pairs: Set[PairId], now: datetime) -> set[PairId]:
        """Return the pairs whose plans must not be written, because together the plans cancel too many events.

        Only the cancels of `limited_pairs` count. Those of withdrawn pairs don't, since the operator has requested or
        confirmed the withdrawal. Alerts the operator.
        """
        cancels = {plan.pair: _count_cancels(plan) for plan in plans if plan.pair in limited_pairs}
        total = sum(cancels.values())
        if total <= self._policy.max_cancels:
            return set()
        refused = Refused(
            f"One sweep was about to cancel {total} events, more than the {self._policy.max_cancels} allowed. "
            "It cancelled none. If all of them are to be cancelled, raise rules.max_cancels; otherwise check the "
            "people file and the calendars."
        )
        log.error("%s", refused, extra={"action": Action.CANCELS_REFUSED})
        self._store.outbox.alert(f"cancels:{now:%Y-%m-%d}", str(refused), now, self._operator)
        return {pair for pair, count in cancels.items() if count}


def _is_withdrawn(pair: Pair) -> bool:
    """Return whether the pair has ended, or is kept from taking part by the operator or the rollout.

    The limit on cancelled events (T-17) was applied when the pair was withdrawn.
    """
    return pair.ended is not EndReason.NO or pair.is_held_back


def _summarize(decision: Decision) -> str:
    """Return a summary of a decision for the log, without its reason, which names people."""
    details = [decision.fields[name] for name in ("kind", "state", "cause") if name in decision.fields]
    return " ".join([decision.what, *map(str, details)])


def _count_cancels(plan: Plan) -> int:
    """Return how many events of sessions a plan cancels. Blocks for the manager's commitments don't count."""
    session_ids = {session.id for session in plan.sessions}
    return sum(effect.kind is EffectKind.CANCEL and effect.subject in session_ids for effect in plan.effects)


def _build_failed_plan(pair: PairId, reason: str, now: datetime) -> Plan:
    """Log that planning failed, and return a plan that changes nothing and makes the pair due again in an hour."""
    problem = f"Planning {pair} failed: {reason.rstrip('.')}. It is tried again in an hour."
    log.error("%s", problem, extra={"action": Action.PLAN_FAILED})
    return Plan(pair=pair, due_at=now + RETRY_AFTER, problem=problem)


class _TakenTimeIndex:
    """The times of people that other pairs have taken, in the database or in the plans of this sweep."""

    def __init__(self, store: Store, now: datetime) -> None:
        self._store = store
        self._now = now
        self._stored: dict[Address, tuple[TakenTime, ...]] = {}
        self._planned: dict[Address, list[TakenTime]] = defaultdict(list)

    def load(self, people: Iterable[Address]) -> None:
        """Load the taken times of these people from the database, unless they are loaded already."""
        new_people = sorted({person for person in people if person not in self._stored})
        if new_people:
            self._stored |= dict.fromkeys(new_people, ()) | self._store.plans.load_taken_time(new_people, self._now)

    def get(self, state: PairState) -> dict[Address, tuple[TakenTime, ...]]:
        """Return the taken times of both people of a pair."""
        self.load(state.addresses)
        return {person: (*self._stored[person], *self._planned[person]) for person in state.addresses}

    def add(self, state: PairState, plan: Plan) -> None:
        """Add the times that the plan of a pair takes."""
        for person, taken_times in _collect_taken_times(state, plan).items():
            self._planned[person] += taken_times


def _needs_taken_time(plan: Plan) -> bool:
    return plan.needed_free_busy is not None and plan.needed_free_busy.includes_taken


def _merge_snapshots(earlier: FreeBusySnapshot, later: FreeBusySnapshot) -> FreeBusySnapshot:
    """Return a snapshot with the data of both; the later one has precedence."""
    return FreeBusySnapshot(
        windows={**earlier.windows, **later.windows},
        free_busy={**earlier.free_busy, **later.free_busy},
        unavailable=earlier.unavailable | later.unavailable,
    )


def _collect_taken_times(state: PairState, plan: Plan) -> dict[Address, list[TakenTime]]:
    """Return the times that a plan takes, by person: of booked sessions, offered times, and blocks of commitments."""
    taken: dict[Address, list[TakenTime]] = defaultdict(list)
    for session in plan.sessions:
        booked_spans = [session.span] if session.booked else []
        for span in (*booked_spans, *session.options):
            for person in state.addresses:
                taken[person].append(TakenTime(span, session.id, session.kind, plan.pair, session.in_turn))
    for commitment in plan.commitments:
        if commitment.block and commitment.is_open and not commitment.all_day:
            taken[state.manager.email].append(TakenTime(commitment.block, commitment.id, pair=plan.pair))
    return taken
