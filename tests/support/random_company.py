"""A company in which anything may happen in any order, and what has to be true after each step.

A Hypothesis machine lives in a simulated company: people accept, decline, move, delete, book over, go away, don't show
up, record, keep and drop what they promised, pause, leave and come back; services fail before and after they did what
was asked; cursors die; the process is killed and started again. After each step in which nothing is broken, the
calendars, the database and the mails are compared with what was promised.
"""

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import select

from tests.support import companies
from tests.support.companies import (
    DANA,
    DAY,
    HOUR,
    KEY,
    KIM,
    MINUTE,
    SAM,
    SERVICE,
    START,
    contract,
    pair,
    pairs,
    people,
    person,
)
from tests.support.faulty_services import ERRORS, OPERATIONS, CheckingMailer, ProcessKilled, is_true_now
from worker.app import build
from worker.domain.model import (
    Answer,
    Commitment,
    Deferral,
    Effect,
    EffectProgress,
    Format,
    Pair,
    PairId,
    Person,
    ReviewMode,
    Session,
    SessionKind,
    SessionState,
    ShowAs,
    Span,
    Trigger,
)
from worker.domain.planning.unplaceable import has_same_cause
from worker.domain.time.worktime import find_holiday, get_local_date, list_working_spans
from worker.engine.people_import import IMPORT_VERSION_NAME
from worker.errors import LongarcError
from worker.seal import Seal
from worker.simulation.world import SimulatedWorld, make_simulation_settings
from worker.store import rows, tables

EVE, PAT = "eve@corp.example", "pat@corp.example"
#: After this time without faults nothing is left to do. The longest wait is that of a write that a calendar
#: refused: it is tried again after a day.
SETTLING_TIME = 26 * HOUR


class Company(RuleBasedStateMachine):
    """Dana leads Sam and Kim, who leads Eve; Pat, elsewhere in the world, reports to Kim."""

    def __init__(self) -> None:
        super().__init__()
        everybody = {**people(DANA, SAM, KIM, EVE), PAT: person(PAT, zone="America/New_York", country="US")}
        self.everybody = everybody
        listed = pairs(
            pair(DANA, SAM),
            pair(DANA, KIM, format=Format.SERIES),
            pair(KIM, EVE, review=ReviewMode.NONE, minutes=60),
            pair(KIM, PAT),
        )
        self.listed = listed  #: the pairs in the people file
        self.world = self.make_world(everybody, listed)
        self.mailer = CheckingMailer(self._find_untruth)
        self.world.mailer = self.mailer
        self._connect_services()
        self.failing = ""  #: a description of what fails now; empty when everything works
        self.well_since = START  #: since when everything works
        self.recorded: dict[tuple[str, int], datetime] = {}  #: when each revision was recorded, by session and number
        self.deferral_counts: dict[str, int] = {}  #: by session
        self.restart_count = 0

    def make_world(self, everybody: dict[str, Person], listed: dict[PairId, Pair]) -> SimulatedWorld:
        """Return the world of the company, with the calendar in memory. Subclasses use doubles of services."""
        return SimulatedWorld(make_simulation_settings(companies.settings()), everybody, listed, START)

    # --- reading ---

    @property
    def now(self) -> datetime:
        return self.world.clock()

    def sessions(self, *states: SessionState) -> list[Session]:
        return [s for s in self.world.worker.store.queries.list_sessions() if s.state in states]

    def upcoming(self) -> list[Session]:
        """The sessions that are on the manager's calendar and have not begun."""
        booked = [s for s in self.sessions(SessionState.BOOKED) if s.span.start > self.now]
        return [s for s in booked if self._is_on_calendar(s.pair.manager, s.key)]

    def _is_on_calendar(self, calendar: str, key: str) -> bool:
        """Whether the event is on that calendar. Faults are off meanwhile: people see calendars all the same."""
        fail, self.world.calendar.fail = self.world.calendar.fail, None
        found = self.world.calendar.find(calendar, key)
        self.world.calendar.fail = fail
        return found is not None

    def draw_one(self, data: st.DataObject, choices: list[Any]) -> Any:
        """Let Hypothesis draw one of these; None if there are none."""
        return choices[data.draw(st.integers(0, len(choices) - 1))] if choices else None

    def _rows(self, table: Any, read: Callable[[Any], Any]) -> list[Any]:
        with self.world.worker.store.database.read() as connection:
            return [read(row) for row in connection.execute(select(table)).mappings()]

    def effects(self) -> list[Effect]:
        return self._rows(tables.outbox, rows.read_effect)

    # --- time ---

    @rule(hours=st.integers(1, 60))
    def hours_pass(self, hours: int) -> None:
        self._live(hours * HOUR)

    @rule(days=st.sampled_from((5, 14, 40)))
    def days_pass(self, days: int) -> None:
        self._live(days * DAY)

    @rule(data=st.data())
    def until_one_ends(self, data: st.DataObject) -> None:
        if session := self.draw_one(data, self.upcoming()):
            self._live(session.span.end - self.now)

    def _live(self, length: timedelta) -> None:
        self.world.run_until(self.now + length)

    # --- on calendars ---

    @rule(data=st.data(), answer=st.sampled_from((Answer.ACCEPTED, Answer.DECLINED, Answer.TENTATIVE)))
    def answers(self, data: st.DataObject, answer: Answer) -> None:
        if session := self.draw_one(data, self.upcoming()):
            self.world.calendar.answer(session.pair.manager, session.key, session.pair.report, answer)

    @rule(
        data=st.data(), days=st.integers(-5, 5), quarter_hours=st.integers(-8, 8), cut=st.sampled_from((0, 0, 30, 45))
    )
    def moves(self, data: st.DataObject, days: int, quarter_hours: int, cut: int) -> None:
        """Somebody drags an event, inside the rules or not; half of the time it is made shorter, by `cut` minutes."""
        if session := self.draw_one(data, self.upcoming()):
            start = session.span.start + days * DAY + quarter_hours * 15 * MINUTE
            minutes = max(session.span.minutes - cut, 15)
            if start > self.now + HOUR:
                self.world.calendar.move(session.pair.manager, session.key, companies.span(start, minutes))

    @rule(data=st.data(), by_report=st.booleans())
    def deletes(self, data: st.DataObject, by_report: bool) -> None:
        if session := self.draw_one(data, self.upcoming()):
            who = session.pair.report if by_report else session.pair.manager
            if self._is_on_calendar(who, session.key):
                self.world.calendar.remove(who, session.key)

    @rule(data=st.data(), by_report=st.booleans(), away=st.booleans())
    def books_over(self, data: st.DataObject, by_report: bool, away: bool) -> None:
        """Somebody has a meeting of half an hour at the time of a session or, with `away`, an absence around it."""
        if session := self.draw_one(data, self.upcoming()):
            who = session.pair.report if by_report else session.pair.manager
            start, end = session.span.start, session.span.end
            span = Span(start - 2 * DAY, end + DAY) if away else companies.span(start, 30)
            self.world.calendar.add(who, span, show=ShowAs.AWAY if away else ShowAs.BUSY)

    @rule(data=st.data(), days=st.integers(-3, 3))
    def moves_a_block(self, data: st.DataObject, days: int) -> None:
        blocks = [c for c in self._commitments() if c.is_open and c.block and c.block.start > self.now]
        commitment = self.draw_one(data, [c for c in blocks if self._is_on_calendar(c.pair.manager, c.key)])
        if commitment and commitment.block.start + days * DAY > self.now:
            moved = Span(commitment.block.start + days * DAY, commitment.block.end + days * DAY)
            self.world.calendar.move(commitment.pair.manager, commitment.key, moved)

    # --- saying something ---

    def _try_action(self, act: Callable[[], object]) -> None:
        """Let a person do an action. When the rules don't allow it, the program refuses it with an error, rightly."""
        try:
            act()
        except LongarcError as error:
            note(f"refused: {error}")

    @rule(data=st.data())
    def did_not_show_up(self, data: st.DataObject) -> None:
        if session := self.draw_one(data, self.sessions(SessionState.HELD)):
            self._try_action(lambda: self.world.worker.actions.record_not_held(session.id))

    @rule(data=st.data())
    def says_it_was_held(self, data: st.DataObject) -> None:
        if session := self.draw_one(data, self.sessions(SessionState.BOOKED, SessionState.DEFERRED)):
            self._try_action(lambda: self.world.worker.actions.record_held(session.id, self.now - HOUR))

    @rule(data=st.data(), days_ahead=st.none() | st.integers(1, 30))
    def asks_for_another_time(self, data: st.DataObject, days_ahead: int | None) -> None:
        """For 9:00 UTC so many days ahead or any time (None), or for one of the times that were offered."""
        if session := self.draw_one(data, self.sessions(SessionState.BOOKED, SessionState.DEFERRED)):
            start = START.replace(hour=9) + ((self.now - START).days + (days_ahead or 0)) * DAY
            requested_time = self.draw_one(data, [companies.span(start) if days_ahead else None, *session.options])
            self._try_action(lambda: self.world.worker.actions.request_another_time(session.id, requested_time))

    @rule(data=st.data(), trigger=st.sampled_from(Trigger))
    def asks_to_talk(self, data: st.DataObject, trigger: Trigger) -> None:
        if pair_id := self.draw_one(data, sorted(self.listed)):
            self._try_action(lambda: self.world.worker.actions.request_ad_hoc_session(pair_id, trigger, "It came up."))

    @rule(data=st.data())
    def asks_for_a_check_in(self, data: st.DataObject) -> None:
        if pair_id := self.draw_one(data, sorted(self.listed)):
            self._try_action(lambda: self.world.worker.actions.request_check_in(pair_id))

    @rule(data=st.data(), days=st.integers(2, 60))
    def records(self, data: st.DataObject, days: int) -> None:
        held = self.sessions(SessionState.HELD, SessionState.UNFINISHED, SessionState.CONTRACTED)
        if session := self.draw_one(data, [s for s in held if s.kind is SessionKind.CAREER]):

            def act() -> None:
                result = self.world.worker.contracts.record(session.id, contract(self.now, days=days))
                if result.is_new:
                    self.recorded[session.id, result.revision] = self.now

            self._try_action(act)

    def _commitments(self) -> list[Commitment]:
        return self.world.worker.store.queries.list_commitments()

    @rule(data=st.data(), how=st.sampled_from(("done", "let go", "later", "other words")))
    def a_commitment_ends_or_changes(self, data: st.DataObject, how: str) -> None:
        commitment = self.draw_one(data, [c for c in self._commitments() if c.is_open])
        contracts = self.world.worker.contracts
        if commitment is None:
            return
        actions: dict[str, Callable[[], object]] = {
            "done": lambda: contracts.mark_done(commitment.id),
            "let go": lambda: contracts.let_go(commitment.id, "It is not needed."),
            "later": lambda: contracts.change(commitment.id, due=get_local_date("UTC", self.now) + timedelta(days=20)),
            "other words": lambda: contracts.change(commitment.id, text="Something else entirely"),
        }
        self._try_action(actions[how])

    # --- who there is ---

    @rule(data=st.data(), is_paused=st.booleans())
    def pauses_or_resumes(self, data: st.DataObject, is_paused: bool) -> None:
        if pair_id := self.draw_one(data, sorted(self.listed)):
            self.world.worker.store.people.set_paused(pair_id, is_paused=is_paused, now=self.now)

    @rule(who=st.sampled_from((SAM, KIM, EVE, PAT, DANA)), comes_back=st.booleans())
    def leaves_or_comes_back(self, who: str, comes_back: bool) -> None:
        before = {p.email for p in self.world.worker.store.people.load_current_people().values()}
        after = before | {who} if comes_back else before - {who}
        everybody = {email: self.world.persons[email] for email in sorted(after)}
        listed = {one.id: one for one in self.world.pairs.values() if one.manager in after and one.report in after}
        self.world.worker.store.people.apply_import(everybody, listed, self.now)
        # a text that differs between imports: the services load the people again when it changes
        self.world.worker.store.people.set_stored_value(IMPORT_VERSION_NAME, f"{sorted(after)} at {self.now}")
        self.listed = listed

    # --- what breaks ---

    @rule(
        error=st.sampled_from(sorted(ERRORS)),
        operations=st.sets(st.sampled_from(OPERATIONS), min_size=1, max_size=3),
        after=st.booleans(),
        times=st.sampled_from((1, 2, 1000)),  # 1000: as good as always
    )
    def fails(self, error: str, operations: set[str], after: bool, times: int) -> None:
        """These operations fail: before the service does anything or, with `after`, although it has done it."""
        names = [f"{one}.done" if after else one for one in sorted(operations)]  # as the services in memory name them
        self.failing = f"{error} at {names}, {times} times"
        failure = companies.Fails(ERRORS[error], *names, times=times)
        self.world.calendar.fail = self.mailer.fail = failure

    @precondition(lambda self: self.failing)
    @rule()
    def heals(self) -> None:
        """Everything works again, and there was time for it."""
        self.world.calendar.fail = self.mailer.fail = None
        self.failing = ""
        self._live(SETTLING_TIME)
        self.well_since = self.now

    @rule(who=st.sampled_from((DANA, KIM)))
    def a_cursor_dies(self, who: str) -> None:
        self.world.calendar.forget_cursors(who)

    @rule()
    def is_restarted(self) -> None:
        """Another process takes over. The leases of the old one remain until they expire."""
        self.restart_count += 1
        settings, store = self.world.worker.settings, self.world.worker.store
        self.world.worker = build(settings, self.world.clock, store=store, holder=f"process{self.restart_count}")
        self._connect_services()

    @rule(
        operation=st.sampled_from(("create", "update", "cancel", "send", "changes", "free_busy")), after=st.booleans()
    )
    def is_killed(self, operation: str, after: bool) -> None:
        """At the next such operation within two weeks: before the service does it or, with `after`, afterwards."""
        boundary = f"{operation}.done" if after else operation

        def kill(seen: str) -> None:
            if seen == boundary:
                raise ProcessKilled

        fail = self.world.calendar.fail
        self.world.calendar.fail = self.mailer.fail = kill
        try:
            self._live(14 * DAY)
        except ProcessKilled:
            note(f"killed at {boundary}, {self.now}")
        self.world.calendar.fail = self.mailer.fail = fail
        self.is_restarted()
        self._live(SETTLING_TIME)
        self.well_since = self.now

    def _connect_services(self) -> None:
        """Give the worker the services of the world, and the key that seals content."""
        self.world.worker.services.use(calendars={SERVICE: self.world.calendar}, mailers={SERVICE: self.mailer})
        self.world.worker.store.content._seal = Seal([KEY])  # the same key after each restart

    @initialize()
    def begins(self) -> None:
        self.world.step()

    # --- what holds, always ---

    def _find_untruth(self, key: str) -> str:
        """Return what is not true in the mail with this key, which is about to leave; empty when all of it is true."""
        effect = next(effect for effect in self.effects() if effect.key == key)
        name, session = effect.name, self.world.worker.store.queries.get_session(effect.subject)
        all_pairs = self.world.worker.store.people.load_all_pairs()
        if name in ("operator_alert", "pair_ended"):
            return ""
        if name == "contract_summary":
            revisions = self.world.worker.store.content.list_revisions(effect.subject)
            return "" if len(revisions) >= effect.number else "no such contract"
        assert effect.pair is not None
        if not all_pairs[effect.pair].is_active:
            return "the pair is paused or has ended"
        if name == "commitment_due":
            due = [c for c in self._commitments() if c.is_open and effect.start and c.due == effect.start.date()]
            return "" if due else "nothing is due"
        return "" if session is None or is_true_now(effect, session, self.now) else f"{session.state} {session.start}"

    @invariant()
    def no_unexpected_error_was_caught(self) -> None:
        """An error in planning a pair or reading a calendar stops no other; an operator alert is its only trace."""
        alerts = [text for _, text in self.world.worker.store.outbox.list_alerts(self.now - 4000 * DAY)]
        assert [text for text in alerts if text.startswith("Planning ") or "could not be read" in text] == []

    @invariant()
    def every_mail_was_true(self) -> None:
        assert self.mailer.untrue == []

    @invariant()
    def no_mail_went_out_twice_without_need(self) -> None:
        # after an attempt of unknown result, these are rather sent twice than not at all
        sent_again = {key for key, count in Counter(key for key, _ in self.mailer.sent).items() if count > 1}
        assert {key.partition(":")[0] for key in sent_again} <= {"contract_summary", "operator_alert"}

    @invariant()
    def deferrals_are_kept_with_their_cause(self) -> None:
        """R-8: a deferred session stays owed however often it is deferred; it is never dropped."""
        deferrals: list[Deferral] = self._rows(tables.deferral, rows.read_deferral)
        stored_counts = Counter(one.session for one in deferrals if one.is_counted)
        all_pairs = self.world.worker.store.people.load_all_pairs()
        for session in self.world.worker.store.queries.list_sessions():
            assert session.count == stored_counts[session.id] >= self.deferral_counts.get(session.id, 0)
            self.deferral_counts[session.id] = session.count
            if session.count and session.state is SessionState.CANCELLED:
                is_inactive = self._was_pair_inactive(session) or not all_pairs[session.pair].is_active
                assert is_inactive or session.kind is SessionKind.REVIEW, session

    def _was_pair_inactive(self, session: Session) -> bool:
        """Whether the history of the session says that its pair was paused or ended."""
        lines = self.world.worker.store.queries.list_history(session_id=session.id)
        return any("paused" in line["reason"] or "ended" in line["reason"] for line in lines)

    # --- what holds when nothing is broken ---

    @invariant()
    def it_has_settled(self) -> None:
        if self.failing:
            return
        self.world.step()
        self._nothing_is_left_undone()
        self._there_is_always_a_next_session()
        self._calendar_and_database_agree()
        self._what_we_placed_is_inside_the_rules()
        self._no_time_is_taken_twice()
        self._summaries_left_at_once()

    def _nothing_is_left_undone(self) -> None:
        undone = [effect for effect in self.effects() if effect.is_pending and effect.due_at <= self.now]
        assert not undone, undone

    def _there_is_always_a_next_session(self) -> None:
        """T-4: each pair has a career session ahead, or a human was told why there is none."""
        mails = [effect for effect in self.effects() if effect.name == "unplaceable"]
        told_subjects = {m.subject for m in mails if m.progress is not EffectProgress.WAITING}
        for pair_id, listed_pair in self.world.worker.store.people.load_all_pairs().items():
            if not listed_pair.is_active:
                continue
            sessions = self.world.worker.store.queries.list_sessions(pair_id)
            careers = [s for s in sessions if s.kind is SessionKind.CAREER]
            ahead = [s for s in careers if s.booked and s.span.end > self.now]
            unplaceable = [s for s in sessions if s.owed and s.unplaceable]
            assert ahead or set(unplaceable) & set(careers), (pair_id, [(s.id, s.state, s.start) for s in careers])
            # one mail tells the cause for all sessions of the pair that have the same
            told = [s for s in unplaceable if s.id in told_subjects]
            untold = [s for s in unplaceable if s.id not in told_subjects]
            assert all(any(has_same_cause(s, other) for other in told) for s in untold), untold

    def _calendar_and_database_agree(self) -> None:
        """Each session to come has one live event at its time; nothing else of ours is on any calendar."""
        wanted: dict[str, Span] = {}
        for session in self.sessions(SessionState.BOOKED):
            if session.span.start > self.now:
                wanted[session.key] = session.span
        for commitment in self._commitments():
            if commitment.is_open and commitment.block and commitment.block.start > self.now:
                wanted[commitment.key] = commitment.block
        window = Span(self.now, self.now + 400 * DAY)
        on_calendar: dict[str, Span] = {}
        for manager in (DANA, KIM):
            for event in self.world.calendar.changes(manager, None, window).events:
                if event.key and event.organizer in ("", manager) and event.span.start > self.now:
                    assert event.key not in on_calendar
                    on_calendar[event.key] = event.span
        assert on_calendar == wanted, (_find_differing(on_calendar, wanted), _find_differing(wanted, on_calendar))

    def _what_we_placed_is_inside_the_rules(self) -> None:
        """A session has an allowed length (T-1), on a quarter hour in working time (T-2), unless a human moved it."""
        for session in self.sessions(SessionState.BOOKED):
            if session.by_hand or session.span.start <= self.now:
                continue
            span = session.span
            # a career session is shortened when nothing longer is free
            is_short_career = session.kind is SessionKind.CAREER and span.minutes >= 60
            assert span.minutes == session.minutes or is_short_career, session
            assert span.start.minute % 15 == 0 and span.start.second == 0
            for who in (session.pair.manager, session.pair.report):
                attending = self.everybody[who]
                worked = sum((s.end - s.start for s in list_working_spans(attending, span)), timedelta())
                assert worked == span.end - span.start, (session, who)
                assert not find_holiday(attending.country, get_local_date(attending.zone, span.start)), session

    def _no_time_is_taken_twice(self) -> None:
        taken: dict[str, list[tuple[Span, str]]] = {}
        for session in self.sessions(SessionState.BOOKED):
            if not session.by_hand and session.span.end > self.now:
                for who in (session.pair.manager, session.pair.report):
                    taken.setdefault(who, []).append((session.span, session.id))
        for commitment in self._commitments():
            block = commitment.block if commitment.is_open and not (commitment.all_day or commitment.by_hand) else None
            if block and block.end > self.now:
                taken.setdefault(commitment.pair.manager, []).append((block, commitment.id))
        for who, spans in taken.items():
            spans.sort()
            for (a, first), (b, second) in pairwise(spans):
                assert not a.overlaps(b), (who, a, first, b, second)

    def _summaries_left_at_once(self) -> None:
        """R-15: when nothing was broken, both people's summaries of a contract were sent as soon as it was recorded."""
        sent = {
            (effect.subject, effect.number, effect.to)
            for effect in self.effects()
            if effect.name == "contract_summary" and not effect.is_pending
        }
        for (session_id, revision), at in self.recorded.items():
            if at >= self.well_since:
                pair_id = self.world.worker.store.queries.get_pair_id(session_id)
                for who in pair_id.people if pair_id else ():
                    assert (session_id, revision, who) in sent, (session_id, revision, who, at)

    def teardown(self) -> None:
        self.world.worker.close()


def _find_differing(one: dict[str, Span], other: dict[str, Span]) -> dict[str, Span]:
    """Return the items of the first that the second lacks or has with another value."""
    return {key: span for key, span in one.items() if other.get(key) != span}
