"""The people of the demo at work: each beat of the script is done when it is due, through a calendar program or through
what people say to Longarc.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from examples.northlight import people
from examples.northlight.caldav_hands import Entry
from examples.northlight.contracts import ContractFiles
from examples.northlight.script import About, Beat, threads
from examples.northlight.stage import Stage
from worker.domain.model import Commitment, Owner, Session, Span, State, Trigger
from worker.simulation.world import Line

CAREER, BLOCK = "Career conversation", "A promise to"
#: Who is invited accepts in the morning of the next weekday.
ACCEPTS_AT = "09:20"


class Crew:
    """Everybody, acting by the script."""

    def __init__(self, stage: Stage, work: Path) -> None:
        self._stage = stage
        self._contracts = ContractFiles(work / "contracts")
        self._threads: list[list[Beat]] = [list(thread) for thread in threads()]
        self._invited: list[tuple[datetime, str, str]] = []  # when it is accepted, session, event's key
        self._next: datetime | None = None
        self._stale = True

    # --- what the stage asks ----------------------------------------------------------------------------------------

    def next_at(self) -> datetime | None:
        if self._stale:
            instants = [at for at, _ in self._upcoming()] + [at for at, *_ in self._invited]
            self._next = min(instants, default=None)
            self._stale = False
        return self._next

    def act(self, now: datetime) -> Iterator[Line]:
        if self._stale or (self._next is not None and self._next <= now):
            self._accept(now)
            for at, thread in self._upcoming():
                if at <= now:
                    yield from self._do(thread.pop(0), now)
            self._stale = True

    def notice(self, line: Mapping[str, Any]) -> None:
        self._stale = True
        if line["what"] in ("event.create", "event.update") and line["attendees"]:
            report = line["attendees"][0]
            day = _weekday(_local(self._stage.clock(), report).date(), 1)
            self._invited.append((_wall(report, day, ACCEPTS_AT), line["session"], line["key"]))

    # --- when -------------------------------------------------------------------------------------------------------

    def _upcoming(self) -> list[tuple[datetime, list[Beat]]]:
        """The first beat of each thread that can be dated, with its instant."""
        found = [(self._due(thread[0]), thread) for thread in self._threads if thread]
        return sorted(((at, thread) for at, thread in found if at is not None), key=lambda one: one[0])

    def _due(self, beat: Beat) -> datetime | None:
        when = beat.when
        if when.on:
            return _wall(beat.who, date.fromisoformat(when.on), when.at)
        session = self._session(beat)
        if session is None:
            return None
        if when.ahead:
            return _dated(beat, session.start) if session.booked else None
        over = session.state in (State.HELD, State.CONTRACTED, State.UNFINISHED)
        return _dated(beat, session.held_at) if over else None

    def _session(self, beat: Beat) -> Session | None:
        found = [s for s in self._stage.worker.store.register.sessions(beat.pair) if _meant(s, beat.about)]
        return found[beat.about.number] if len(found) > beat.about.number else None

    # --- doing ------------------------------------------------------------------------------------------------------

    def _do(self, beat: Beat, now: datetime) -> Iterator[Line]:
        """Do it, and tell of it as the ledger does."""
        session = self._session(beat) if not beat.when.on else None
        told: Line = getattr(self, f"_{beat.act}")(beat, session, **beat.what) or {}
        line: Line = {"at": _stamp(now), "what": "human", "act": beat.act, "pair": str(beat.pair), "who": beat.who}
        if session is not None:
            line |= {"session": session.id, "kind": session.kind.value, "key": session.key}
            if session.start and session.end:
                line |= {"start": _stamp(session.start), "end": _stamp(session.end)}
        yield line | ({"reason": beat.why} if beat.why else {}) | told

    def _accept(self, now: datetime) -> None:
        """Those invited say yes, if it is still what they were invited to."""
        ready = [one for one in self._invited if one[0] <= now]
        self._invited = [one for one in self._invited if one[0] > now]
        for session_id, key in dict.fromkeys((session, key) for _, session, key in ready):
            session = self._stage.worker.store.register.session(session_id)
            if session and session.booked and session.key == key and session.span.start > now:
                self._stage.desk(session.pair.report).answer(_title(session), session.span, "ACCEPTED")

    # --- on calendars -----------------------------------------------------------------------------------------------

    def _decline(self, beat: Beat, session: Session, visit: str) -> Line:
        day = _local(session.span.start, beat.who).date()
        self._write(beat, Entry(title=visit, start=day, end=day + timedelta(days=1)))
        self._stage.desk(beat.who).answer(_title(session), session.span, "DECLINED")
        return self._stirred(beat)

    def _move(self, beat: Beat, session: Session, days: int, at: str) -> Line:
        return self._drag(beat, session, _moved(beat, session.span, days, at))

    def _shorten(self, beat: Beat, session: Session, minutes: int) -> Line:
        start = session.span.start
        return self._drag(beat, session, Span(start, start + timedelta(minutes=minutes))) | {"act": "move"}

    def _drag(self, beat: Beat, session: Session, to: Span) -> Line:
        self._stage.desk(beat.who).move(_title(session), session.span, to)
        return self._stirred(beat) | {"start": _stamp(to.start), "end": _stamp(to.end)}

    def _delete(self, beat: Beat, session: Session) -> Line:
        self._stage.desk(beat.who).delete(_title(session), session.span)
        return self._stirred(beat)

    def _book_over(self, beat: Beat, session: Session, title: str, minutes: int) -> Line:
        start = _local(session.span.start, beat.who).replace(tzinfo=None)
        self._write(beat, Entry(title=title, start=start, end=start + timedelta(minutes=minutes)))
        return self._stirred(beat)

    def _out_of_office(self, beat: Beat, session: Session, title: str, days: int) -> Line:
        first = _local(session.span.start, beat.who).date()
        self._write(beat, Entry(title=title, start=first, end=first + timedelta(days=days), away=True))
        return self._stirred(beat)

    def _write(self, beat: Beat, entry: Entry) -> None:
        self._stage.desk(beat.who).add(entry, self._stage.clock())

    def _move_block(self, beat: Beat, session: Session, text: str, days: int, at: str) -> Line:
        commitment = self._commitment(session, text)
        if commitment.block is None:
            raise LookupError(f"{text!r} stands on no calendar")
        to = _moved(beat, commitment.block, days, at)
        self._stage.desk(beat.who).move(BLOCK, commitment.block, to)
        told = _of(commitment) | {"act": "move", "key": commitment.key}
        return self._stirred(beat) | told | {"start": _stamp(to.start), "end": _stamp(to.end)}

    def _stirred(self, beat: Beat) -> Line:
        self._stage.stir(beat.who)
        return {"calendar": beat.who}

    # --- in words ---------------------------------------------------------------------------------------------------

    def _record_contract(self, beat: Beat, session: Session, contract: str, ask: bool = False) -> Line:
        """Write the file, have it read, and record it; with `ask`, only hear what is asked of the promises in it."""
        day = _local(self._stage.clock(), beat.who).date()
        written = self._contracts.write(contract, day)
        asked = self._stage.worker.contracts.check(session.id, written).questions
        questions = [f"{one.what} {one.better}" for one in asked]
        if ask:
            return {"act": "write_contract", "asked": questions}
        if questions:
            raise LookupError(f"{contract} is questioned: {questions}")
        self._stage.worker.contracts.record(session.id, written)
        return {}

    def _no_show(self, beat: Beat, session: Session) -> None:
        self._stage.worker.acts.not_held(session.id)

    def _ask(self, beat: Beat, session: Session) -> None:
        self._stage.worker.acts.defer(session.id)

    def _choose(self, beat: Beat, session: Session, option: int) -> Line:
        chosen = session.options[option]
        self._stage.worker.acts.defer(session.id, chosen)
        return {"start": _stamp(chosen.start), "end": _stamp(chosen.end)}

    def _talk(self, beat: Beat, _: None, trigger: str) -> Line:
        made = self._stage.worker.acts.talk(beat.pair, Trigger(trigger), beat.why)
        return {"session": made, "kind": "career", "reason": "The reason is sealed; only the manager's brief says it."}

    def _check_in(self, beat: Beat, _: None) -> Line:
        return {"session": self._stage.worker.acts.check_in(beat.pair), "kind": "checkin"}

    def _complete(self, beat: Beat, session: Session, text: str) -> Line:
        commitment = self._commitment(session, text)
        self._stage.worker.contracts.mark_done(commitment.id, beat.why)
        return _of(commitment)

    def _let_go(self, beat: Beat, session: Session, text: str) -> Line:
        commitment = self._commitment(session, text)
        self._stage.worker.contracts.let_go(commitment.id, beat.why)
        return _of(commitment)

    def _change(self, beat: Beat, session: Session, text: str, days: int) -> Line:
        commitment = self._commitment(session, text)
        due = commitment.due + timedelta(days=days)
        self._stage.worker.contracts.change(commitment.id, due=due, reason=beat.why)
        return _of(commitment) | {"due": due.isoformat()}

    def _commitment(self, session: Session, text: str) -> Commitment:
        """The open commitment whose words begin so. Raises LookupError."""
        store = self._stage.worker.store
        known = {c.id: c for c in store.register.commitments_of(session.id) if c.open}
        for one, promise in store.content.promises(known).items():
            if promise.text.startswith(text):
                return known[one]
        raise LookupError(f"nobody promised {text!r}")

    # --- in the office ----------------------------------------------------------------------------------------------

    def _join(self, beat: Beat, _: None) -> None:
        self._stage.arrive(beat.who)
        self._stage.write_people(people.WITH_LIAM)

    def _put_right(self, beat: Beat, _: None) -> None:
        self._stage.write_people(people.PUT_RIGHT)


def _meant(session: Session, about: About) -> bool:
    return (
        session.kind == about.kind
        and session.adhoc == about.adhoc
        and (about.adhoc or session.cycle == about.cycle)
        and session.topic == (about.topic or session.topic)
        and session.state is not State.CANCELLED
    )


def _dated(beat: Beat, anchor: datetime | None) -> datetime | None:
    if anchor is None:
        return None
    if not beat.when.at:
        return anchor + timedelta(minutes=beat.when.minutes)
    return _wall(beat.who, _weekday(_local(anchor, beat.who).date(), beat.when.days), beat.when.at)


def _weekday(day: date, count: int) -> date:
    """So many weekdays later, or earlier."""
    step = timedelta(days=1 if count > 0 else -1)
    while count:
        day += step
        count -= step.days if day.weekday() < 5 else 0
    return day


def _moved(beat: Beat, span: Span, days: int, at: str) -> Span:
    start = _wall(beat.who, _weekday(_local(span.start, beat.who).date(), days), at)
    return Span(start, start + (span.end - span.start))


def _wall(who: str, day: date, at: str) -> datetime:
    return datetime.combine(day, time.fromisoformat(at), ZoneInfo(people.ZONES[who])).astimezone(UTC)


def _local(instant: datetime, who: str) -> datetime:
    return instant.astimezone(ZoneInfo(people.ZONES[who]))


def _title(session: Session) -> str:
    return {"career": CAREER, "review": "Contract review", "checkin": "Check-in"}[session.kind.value]


def _stamp(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"


def _of(commitment: Commitment) -> Line:
    """A ledger holds no words of a conversation: whose commitment it was, and its date."""
    whose = "manager" if commitment.owner is Owner.MANAGER else "report"
    return {"kind": "commitment", "due": commitment.due.isoformat(), "owner": whose, "session": commitment.id}
