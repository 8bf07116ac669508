"""The people of the demo: they perform each beat of the script when it is due, in a calendar program or in Longarc."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from examples.northlight import people
from examples.northlight.caldav_program import CalendarEntry
from examples.northlight.contracts import ContractFiles
from examples.northlight.script import Beat, SessionSelector, list_threads
from examples.northlight.stage import DemoStage
from worker.domain.model import Address, Commitment, Owner, Session, SessionState, Span, Trigger
from worker.engine.handovers import PromiseDecision
from worker.simulation.world import LedgerLine

#: Title of the event of a career session.
CAREER = "Career conversation"
#: The first words in the title of a block.
BLOCK = "A promise to"
#: Marks the line of an action that is private to the people concerned (R-28, R-30): the story on the page contains it,
#: the file of the ledger does not.
PRIVATE: LedgerLine = {"private": True}
#: The local time at which attendees accept, on the weekday after the invitation.
ACCEPTS_AT = "09:20"


class Invitation(NamedTuple):
    """An invitation that an attendee has got and will accept."""

    accept_at: datetime
    session_id: str
    key: str  #: of the event


class ScriptedHumans:
    """All people of the demo, who act as the script says.

    Each `act` of the script is a method with a leading `_`. It takes the beat, its session (None for a beat on a date)
    and the arguments of the beat, and returns further fields of the ledger line.
    """

    def __init__(self, stage: DemoStage, work: Path) -> None:
        self._stage = stage
        self._contracts = ContractFiles(work / "contracts")
        self._threads: list[list[Beat]] = [list(thread) for thread in list_threads()]
        self._invitations: list[Invitation] = []
        self._next_at: datetime | None = None
        self._is_next_at_stale = True

    # --- called by the stage ------------------------------------------------------------------------------------------

    def find_next_time(self) -> datetime | None:
        if self._is_next_at_stale:
            instants = [at for at, _ in self._list_upcoming()]
            instants += [invitation.accept_at for invitation in self._invitations]
            self._next_at = min(instants, default=None)
            self._is_next_at_stale = False
        return self._next_at

    def act(self, now: datetime) -> Iterator[LedgerLine]:
        if self._is_next_at_stale or (self._next_at is not None and self._next_at <= now):
            self._accept_invitations(now)
            for at, thread in self._list_upcoming():
                if at <= now:
                    yield from self._play_beat(thread.pop(0), now)
            self._is_next_at_stale = True

    def handle_line(self, line: Mapping[str, Any]) -> None:
        self._is_next_at_stale = True
        if line["what"] in ("event.create", "event.update") and line["attendees"]:
            report = line["attendees"][0]
            day = _add_weekdays(_to_local(self._stage.clock(), report).date(), 1)
            self._invitations.append(Invitation(_to_utc(report, day, ACCEPTS_AT), line["session"], line["key"]))

    # --- times of beats -----------------------------------------------------------------------------------------------

    def _list_upcoming(self) -> list[tuple[datetime, list[Beat]]]:
        """Return the threads whose next beat has a time, with that time, in order."""
        due_threads = [(self._find_due_time(thread[0]), thread) for thread in self._threads if thread]
        return sorted(
            ((at, thread) for at, thread in due_threads if at is not None), key=lambda due_thread: due_thread[0]
        )

    def _find_due_time(self, beat: Beat) -> datetime | None:
        """Return the time of a beat; None while its session has no time, or has not ended."""
        when = beat.when
        if when.on:
            return _to_utc(beat.who, date.fromisoformat(when.on), when.at)
        session = self._find_session(beat)
        if session is None:
            return None
        if when.is_ahead:
            return _find_beat_time(beat, session.start) if session.booked else None
        has_ended = session.state in (SessionState.HELD, SessionState.CONTRACTED, SessionState.UNFINISHED)
        return _find_beat_time(beat, session.held_at) if has_ended else None

    def _find_session(self, beat: Beat) -> Session | None:
        matching = [s for s in self._stage.worker.store.queries.list_sessions(beat.pair) if _matches(s, beat.about)]
        return matching[beat.about.number] if len(matching) > beat.about.number else None

    # --- beats --------------------------------------------------------------------------------------------------------

    def _play_beat(self, beat: Beat, now: datetime) -> Iterator[LedgerLine]:
        """Perform a beat, and yield its ledger line."""
        session = self._find_session(beat) if not beat.when.on else None
        details: LedgerLine = getattr(self, f"_{beat.act}")(beat, session, **beat.arguments) or {}
        line: LedgerLine = {
            "at": _format_instant(now),
            "what": "human",
            "act": beat.act,
            "pair": str(beat.pair),
            "who": beat.who,
        }
        if session is not None:
            line |= {"session": session.id, "kind": session.kind.value, "key": session.key}
            if session.start and session.end:
                line |= {"start": _format_instant(session.start), "end": _format_instant(session.end)}
        yield line | ({"reason": beat.why} if beat.why else {}) | details

    def _accept_invitations(self, now: datetime) -> None:
        """Accept the invitations that are due and still valid."""
        ready = [invitation for invitation in self._invitations if invitation.accept_at <= now]
        self._invitations = [invitation for invitation in self._invitations if invitation.accept_at > now]
        # an event that was created and updated since then is accepted once
        for session_id, key in dict.fromkeys((invitation.session_id, invitation.key) for invitation in ready):
            session = self._stage.worker.store.queries.get_session(session_id)
            if session and session.booked and session.key == key and session.span.start > now:
                self._stage.open_calendar(session.pair.report).answer(_get_title(session), session.span, "ACCEPTED")

    # --- actions on calendars -----------------------------------------------------------------------------------------

    def _decline(self, beat: Beat, session: Session, visit: str) -> LedgerLine:
        """Add the all-day event `visit` to the calendar, and decline the session of that day."""
        day = _to_local(session.span.start, beat.who).date()
        self._add_entry(beat, CalendarEntry(title=visit, start=day, end=day + timedelta(days=1)))
        self._stage.open_calendar(beat.who).answer(_get_title(session), session.span, "DECLINED")
        return self._report_change(beat)

    def _move(self, beat: Beat, session: Session, days: int, at: str) -> LedgerLine:
        return self._move_session(beat, session, _move_span(beat, session.span, days, at))

    def _shorten(self, beat: Beat, session: Session, minutes: int) -> LedgerLine:
        start = session.span.start
        return self._move_session(beat, session, Span(start, start + timedelta(minutes=minutes))) | {"act": "move"}

    def _move_session(self, beat: Beat, session: Session, to: Span) -> LedgerLine:
        self._stage.open_calendar(beat.who).move(_get_title(session), session.span, to)
        return self._report_change(beat) | {"start": _format_instant(to.start), "end": _format_instant(to.end)}

    def _delete(self, beat: Beat, session: Session) -> LedgerLine:
        self._stage.open_calendar(beat.who).delete(_get_title(session), session.span)
        return self._report_change(beat)

    def _book_over(self, beat: Beat, session: Session, title: str, minutes: int) -> LedgerLine:
        start = _to_local(session.span.start, beat.who).replace(tzinfo=None)
        self._add_entry(beat, CalendarEntry(title=title, start=start, end=start + timedelta(minutes=minutes)))
        return self._report_change(beat)

    def _out_of_office(self, beat: Beat, session: Session, title: str, days: int) -> LedgerLine:
        first = _to_local(session.span.start, beat.who).date()
        self._add_entry(
            beat, CalendarEntry(title=title, start=first, end=first + timedelta(days=days), is_out_of_office=True)
        )
        return self._report_change(beat)

    def _add_entry(self, beat: Beat, entry: CalendarEntry) -> None:
        self._stage.open_calendar(beat.who).add(entry, self._stage.clock())

    def _move_block(self, beat: Beat, session: Session, text: str, days: int, at: str) -> LedgerLine:
        commitment = self._find_commitment(beat, session, text)
        if commitment.block is None:
            raise LookupError(f"The commitment {text!r} has no event.")
        to = _move_span(beat, commitment.block, days, at)
        self._stage.open_calendar(beat.who).move(BLOCK, commitment.block, to)
        details = _describe_commitment(commitment) | {"act": "move", "key": commitment.key}
        return (
            self._report_change(beat) | details | {"start": _format_instant(to.start), "end": _format_instant(to.end)}
        )

    def _report_change(self, beat: Beat) -> LedgerLine:
        """Tell the stage that the calendar of the person has changed. Return the field that names the calendar."""
        self._stage.report_change(beat.who)
        return {"calendar": beat.who}

    # --- actions in Longarc -------------------------------------------------------------------------------------------

    def _record_contract(self, beat: Beat, session: Session, contract: str, check_only: bool = False) -> LedgerLine:
        """Write a contract file and record it; with `check_only`, only return the questions about its commitments."""
        day = _to_local(self._stage.clock(), beat.who).date()
        persons = self._stage.worker.store.people.load_all_people()
        pair_people = [persons[address] for address in session.pair.people]
        filled_contract = self._contracts.write(contract, day, pair_people)
        lint_questions = self._stage.worker.contracts.check(session.id, filled_contract).questions
        questions = [f"{question.sentence} {question.advice}" for question in lint_questions if not question.is_hint]
        if check_only:
            return {"act": "write_contract", "asked": questions}
        if questions:
            raise LookupError(f"Longarc has questions about {contract}: {questions}")
        self._stage.worker.contracts.record(session.id, filled_contract)
        return {}

    def _no_show(self, beat: Beat, session: Session) -> None:
        self._stage.worker.actions.record_not_held(session.id)

    def _ask(self, beat: Beat, session: Session) -> None:
        self._stage.worker.actions.request_another_time(session.id, by=beat.who)

    def _choose(self, beat: Beat, session: Session, option: int) -> LedgerLine:
        chosen = session.options[option]
        self._stage.worker.actions.request_another_time(session.id, chosen, by=beat.who)
        return {"start": _format_instant(chosen.start), "end": _format_instant(chosen.end)}

    def _talk(self, beat: Beat, _: None, trigger: str) -> LedgerLine:
        session_id = self._stage.worker.actions.request_ad_hoc_session(beat.pair, Trigger(trigger), beat.why)
        return {
            "session": session_id,
            "kind": "career",
            "reason": "The reason is sealed; only the manager's brief says it.",
        }

    def _check_in(self, beat: Beat, _: None) -> LedgerLine:
        return {"session": self._stage.worker.actions.request_check_in(beat.pair), "kind": "checkin"}

    def _complete(self, beat: Beat, session: Session | None, text: str) -> LedgerLine:
        commitment = self._find_commitment(beat, session, text)
        self._stage.worker.contracts.mark_done(commitment.id, beat.why)
        return _describe_commitment(commitment)

    def _let_go(self, beat: Beat, session: Session, text: str) -> LedgerLine:
        commitment = self._find_commitment(beat, session, text)
        self._stage.worker.contracts.let_go(commitment.id, beat.why, by=beat.pair.get_owner(beat.who))
        return _describe_commitment(commitment)

    def _change(self, beat: Beat, session: Session, text: str, days: int) -> LedgerLine:
        commitment = self._find_commitment(beat, session, text)
        due = commitment.due + timedelta(days=days)
        self._stage.worker.contracts.change(commitment.id, due=due, reason=beat.why, by=beat.pair.get_owner(beat.who))
        return _describe_commitment(commitment) | {"due": due.isoformat()}

    def _find_commitment(self, beat: Beat, session: Session | None, text: str) -> Commitment:
        """Return the open commitment, of that session or of any, whose text begins with `text`. Raises LookupError."""
        store = self._stage.worker.store
        if session:
            all_commitments = store.queries.list_commitments_of_session(session.id)
        else:
            all_commitments = store.queries.list_commitments(beat.pair)
        commitments = {c.id: c for c in all_commitments if c.is_open}
        for commitment_id, promise in store.content.get_written_commitments(commitments).items():
            if promise.text.startswith(text):
                return commitments[commitment_id]
        raise LookupError(f"No open commitment begins with {text!r}.")

    # --- actions on pages ---------------------------------------------------------------------------------------------

    def _leave_note(self, beat: Beat, session: Session, lines: Sequence[str]) -> LedgerLine:
        self._stage.worker.notes.save(session.id, beat.pair.get_owner(beat.who), lines)
        return PRIVATE

    def _ask_third_voice(self, beat: Beat, _: None, to: Address, question: str) -> LedgerLine:
        report = self._stage.worker.store.people.load_current_people()[beat.who]
        self._stage.worker.third_voices.ask(report, to, question)
        return PRIVATE

    def _answer_third_voice(self, beat: Beat, _: None, answer: str) -> LedgerLine:
        voices = self._stage.worker.third_voices
        open_voices = [voice for voice in voices.list_voices(beat.pair.report) if voice.to == beat.who]
        if not voices.answer(open_voices[0].id, answer):
            raise LookupError(f"{beat.who} has no open question to answer.")
        return PRIVATE

    def _pass_on(self, beat: Beat, _: None, lines: Sequence[str]) -> None:
        """Pass on the lines of the contract with the former manager that begin with `lines`, and no others (R-36)."""
        choice = self._stage.worker.handovers.load_choice(beat.pair, is_open=True)
        chosen_ids = [line.id for line in choice.lines if line.text.startswith(tuple(lines))] if choice else []
        if len(chosen_ids) != len(lines):
            raise LookupError(f"{beat.who} finds {len(chosen_ids)} lines of {lines} to pass on.")
        self._stage.worker.handovers.pass_on(beat.pair, chosen_ids)

    def _keep_promise(self, beat: Beat, session: Session | None, text: str) -> LedgerLine:
        """Keep a promise to a report who has another manager now (R-36)."""
        commitment = self._find_commitment(beat, session, text)
        self._stage.worker.handovers.decide_promise(commitment.id, PromiseDecision.KEEP)
        return _describe_commitment(commitment)

    # --- changes of the people file -----------------------------------------------------------------------------------

    def _change_manager(self, beat: Beat, _: None) -> None:
        self._stage.write_people(people.ROWS_WITH_GRACE_MOVED)

    def _join(self, beat: Beat, _: None) -> None:
        self._stage.add_person(beat.who)
        self._stage.write_people(people.ROWS_WITH_LIAM)

    def _put_right(self, beat: Beat, _: None) -> None:
        self._stage.write_people(people.CORRECTED_ROWS)


def _matches(session: Session, about: SessionSelector) -> bool:
    """Whether the selector fits the session. The cycle of an ad hoc session and an empty topic don't matter."""
    return (
        session.kind == about.kind
        and session.adhoc == about.adhoc
        and (about.adhoc or session.cycle == about.cycle)
        and (not about.topic or session.topic == about.topic)
        and session.state is not SessionState.CANCELLED
    )


def _find_beat_time(beat: Beat, anchor: datetime | None) -> datetime | None:
    """Return the time of a beat relative to `anchor`, the start or end of its session; None without an anchor."""
    if anchor is None:
        return None
    if not beat.when.at:
        return anchor + timedelta(minutes=beat.when.minutes)
    return _to_utc(beat.who, _add_weekdays(_to_local(anchor, beat.who).date(), beat.when.days), beat.when.at)


def _add_weekdays(day: date, count: int) -> date:
    """Return the day so many weekdays later, or earlier when `count` is negative."""
    step = 1 if count > 0 else -1
    while count:
        day += timedelta(days=step)
        if day.weekday() < 5:
            count -= step
    return day


def _move_span(beat: Beat, span: Span, days: int, at: str) -> Span:
    start = _to_utc(beat.who, _add_weekdays(_to_local(span.start, beat.who).date(), days), at)
    return Span(start, start + (span.end - span.start))


def _to_utc(who: str, day: date, at: str) -> datetime:
    return datetime.combine(day, time.fromisoformat(at), ZoneInfo(people.ZONES[who])).astimezone(UTC)


def _to_local(instant: datetime, who: str) -> datetime:
    return instant.astimezone(ZoneInfo(people.ZONES[who]))


def _get_title(session: Session) -> str:
    return {"career": CAREER, "review": "Contract review", "checkin": "Check-in"}[session.kind.value]


def _format_instant(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"


def _describe_commitment(commitment: Commitment) -> LedgerLine:
    """Return owner and due date of a commitment. The ledger holds no content."""
    whose = "manager" if commitment.owner is Owner.MANAGER else "report"
    return {"kind": "commitment", "due": commitment.due.isoformat(), "owner": whose, "session": commitment.id}
