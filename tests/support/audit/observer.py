"""Reads a ledger line by line and sees that each line is followed by what has to follow; `rules` judges one moment."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from itertools import chain

from tests.support.audit import offers, reminders, rules
from tests.support.audit.absences import Absences
from tests.support.audit.known import (
    ANSWERED,
    MAY_FOLLOW,
    SEEN_BY_THEN,
    Block,
    Line,
    Nearby,
    Talk,
    Timers,
    Violation,
    instant,
    span_of,
    why_is_known,
)
from tests.support.audit.mail_hours import MailHours
from tests.support.audit.mails import Mails
from tests.support.audit.rules import ACTS, AHEAD, CONTRACT, LAST_HOURS, LOSES_ITS_TIME, OWED, TICK
from tests.support.audit.turns import Turns
from worker.domain.model import Address, Pair, PairId, Person, ReviewMode, Span
from worker.domain.time.worktime import add_working_days, get_local_date, wall_to_utc


class Auditor:
    """Reads line after line; what has to follow a line is looked for when its time has come."""

    def __init__(self, persons: Mapping[Address, Person], pairs: Mapping[PairId, Pair], start: datetime) -> None:
        self._persons = persons
        self._pairs = {str(pair.id): pair for pair in pairs.values()}  #: by what a ledger calls them
        self._found: list[Violation] = []
        self._doubts: list[Violation] = []  #: what no human did, it is said; void in a ledger without humans
        self._humans = False
        self._now = self._last = datetime.min.replace(tzinfo=UTC)
        self._timers = Timers()
        self._talks: dict[str, Talk] = {}
        self._careers: dict[PairId, list[Talk]] = defaultdict(list)  #: by pair
        self._near = Nearby()
        self._bare: dict[PairId, datetime] = {}  #: pairs without a future career session, since when
        self._resting = {pair.id for pair in pairs.values() if not pair.is_active}
        self._turns = Turns(persons, self._pairs.values(), self._careers, self._resting)
        self._keys: dict[str, bool] = {}  #: of events, true while the event stands
        self._blocks: dict[str, Block] = {}
        self._blocks_of: dict[Address, dict[str, Block]] = defaultdict(dict)
        self._made: dict[PairId, list[datetime]] = defaultdict(list)  #: when a pair's commitments got their events
        self._done: set[str] = set()  #: commitments
        self._hours = MailHours(persons, self._pairs.values(), self._resting)
        self._absences = Absences(persons)
        self._mails = Mails(self._flag, persons, self._pairs, self._talks, self._blocks_of, self._hours, self._turns)
        self._readers = dict.fromkeys(("event.create", "event.update", "event.cancel"), self._event)
        self._readers |= {"mail.folded": self._fold, "mail": self._mail, "human": self._human, "session": self._session}
        self._readers |= {"unplaceable": self._unplaceable, "contract": self._summary_due, "offer": self._offer}
        self._states = {"booked": self._booked, "owed": self._owed, "deferred": self._deferred, "held": self._held}
        self._states |= {"contracted": self._contracted, "unfinished": self._unfinished, "cancelled": self._cancelled}
        for pair in pairs.values():
            seen = datetime.combine(pair.first_seen, time(), UTC)
            first = max(start, seen, rules.notice(pair, self._persons[pair.manager]))
            self._timers.add(first, partial(self._cover, pair))

    def read(self, line: Line) -> None:
        at = instant(line["at"])
        if at < self._last:
            self._flag("D-8", line.get("pair", ""), f"{line['what']} at {line['at']} stands after a later line")
        self._pass(at)
        self._now = self._last = max(at, self._last)
        if reader := self._readers.get(line["what"]):
            reader(line)

    def close(self, end: datetime) -> list[Violation]:
        """Look for what had to come until `end`; everything that was found."""
        self._pass(end + timedelta(microseconds=1))
        return sorted(self._found + (self._doubts if self._humans else []), key=lambda violation: violation.at)

    def _pass(self, until: datetime) -> None:
        for at, check in self._timers.pop_before(until):
            self._now = max(at, self._last)
            check()

    def _flag(self, rule: str, pair: Pair | str, what: str) -> None:
        self._found.append(Violation(rule, self._now, pair if isinstance(pair, str) else str(pair.id), what))

    def _doubt(self, rule: str, talk: Talk, what: str) -> None:
        self._doubts.append(Violation(rule, self._now, str(talk.pair.id), f"{talk.id} {what}"))

    def _flag_all(self, pair: Pair, faults: Iterable[rules.Fault]) -> None:
        for rule, what in faults:
            self._flag(rule, pair, what)

    def _people(self, pair: Pair) -> tuple[Person, Person]:
        return self._persons[pair.manager], self._persons[pair.report]

    # --- sessions ---

    def _talk(self, line: Line) -> Talk | None:
        """The session of a line; None, and a violation, when its pair is not in the people file."""
        pair = self._pairs.get(line.get("pair", ""))
        if pair is None or not line.get("session"):
            self._flag("D-8", line.get("pair", ""), f"a line of {line['what']} names no known pair or no session")
            return None
        talk = self._talks.get(line["session"])
        if talk is None:
            kind, asked_for = line.get("kind", "career"), line.get("state") == "owed"  # the rhythm's come with a time
            talk = Talk(line["session"], pair, kind, line.get("topic", "all"), asked_for, self._now, self._now)
            self._talks[talk.id] = talk
            if kind == "career":
                self._careers[pair.id].append(talk)
        talk.topic = line.get("topic", talk.topic)
        return talk

    def _session(self, line: Line) -> None:
        talk, state = self._talk(line), line["state"]
        if talk is None:
            return
        if state not in MAY_FOLLOW.get(talk.state, ()):
            self._flag("R-8", talk.pair, f"{talk.id} became {state} though it was {talk.state}")
        expected = talk.count + (state == "deferred")
        if line.get("count", expected) != expected:
            self._flag("T-10", talk.pair, f"{talk.id}, {state}, counts {line['count']} deferrals instead of {expected}")
        talk.count = line.get("count", expected)
        if state in ("booked", "owed"):
            self._resting.discard(talk.pair.id)
        talk.changed, talk.turn = self._now, talk.turn + 1
        talk.offered, talk.offered_until = (), None
        self._states[state](talk, line)
        self._cover(talk.pair)

    def _booked(self, talk: Talk, line: Line) -> None:
        was, moved = talk.state, line.get("cause") == "moved"
        hand = moved or "A person chose this time." in line.get("reason", "")
        talk.inside = talk.kind == "review" and talk.pair.review is ReviewMode.IN_1ON1 and "key" not in line
        span = span_of(line)
        if moved:
            self._moved(talk, span)
        elif was == "booked" and not hand and not talk.inside and self._keys.get(talk.key):
            self._flag("T-10", talk.pair, f"{talk.id} got another time without a cause")
        talk.reason = line.get("reason", "")
        talk.was = talk.start
        talk.state, talk.start, talk.end, talk.since = "booked", span.start, span.end, self._now
        talk.key, talk.why_told, talk.held, talk.wish = line.get("key", talk.key), False, None, None
        talk.chosen = self._now if hand else None
        self._near.add(talk)
        if not hand and not talk.inside:
            talk.acts.clear()
            self._placed(talk, span, was)
        self._expect(talk, span)

    def _offer(self, line: Line) -> None:
        talk = self._talk(line)
        if talk is not None:
            self._flag_all(talk.pair, offers.read_offer(talk, line, self._people(talk.pair)[0], self._now))

    def _moved(self, talk: Talk, span: Span) -> None:
        """T-11, R-9: a human's time is taken as it is, if it is long enough."""
        talk.event = span
        if talk.wish is None:
            self._doubt("R-9", talk, "was taken as moved by hand, and nobody moved it")
        elif talk.wish != span:
            self._flag("R-9", talk.pair, f"{talk.id} was moved by hand to {talk.wish.start}, not to {span.start}")
        if talk.kind == "career" and span.minutes < 45:
            self._flag("T-1", talk.pair, f"{talk.id} was accepted with {span.minutes} minutes")
        elif talk.kind == "career" and span.minutes < 60:
            self._mail_due(talk, "R-1", "is short, and the manager was not told", "short_session")

    def _mail_due(self, talk: Talk, rule: str, what: str, mail: str, to: str = "") -> None:
        """That mail has to go out now, unless the session loses the time it just got; to that person, if one is
        given."""
        since, turn = self._now, talk.turn
        due = self._hours.next_time(to or talk.pair.manager, since)

        def check() -> None:
            may_be_away = self._hours.may_be_away(to or talk.pair.manager, since, self._now)  # known since
            if talk.booked and talk.turn == turn and not may_be_away and not talk.went_out(mail, since, to):
                self._flag(rule, talk.pair, f"{talk.id} {what}")

        if due is not None:
            self._timers.add(due + TICK, check)

    def _expect(self, talk: Talk, span: Span) -> None:
        """What has to follow a session that got a time."""
        since, turn = self._now, talk.turn

        def still() -> bool:
            return talk.booked and talk.turn == turn

        def on_calendar() -> None:
            if still() and talk.event != span:
                self._flag("T-4", talk.pair, f"{talk.id} is booked for {span.start}, and not on the calendar")

        def came_of_it() -> None:
            if still():
                self._flag("R-8", talk.pair, f"{talk.id} ended at {span.end}, and nothing became of it")

        if not talk.inside:
            self._timers.add(since + TICK, on_calendar)
        self._timers.add(span.end, lambda: self._cover(talk.pair))
        self._timers.add(span.end + TICK, came_of_it)
        names = ("reflection_prompt", "brief") if talk.kind == "career" else ("review_note",) if talk.inside else ()
        for name in names:
            wish = max(rules.ahead_at(name, self._people(talk.pair), span.start), since)
            due = self._hours.next_time(self._mails.reader(name, talk), wish)
            if due and span.start - due >= (LAST_HOURS + TICK if talk.kind == "career" else 3 * TICK):
                self._timers.add(due + TICK, partial(self._prepared, name, talk, span.start, turn))

    def _prepared(self, name: str, talk: Talk, start: datetime, turn: int) -> None:
        in_office = not self._hours.may_be_away(self._mails.reader(name, talk), start - 15 * rules.DAY, start)
        told = rules.told_of(name, talk, start, self._people(talk.pair))
        if in_office and talk.booked and talk.turn == turn and not told:
            self._flag(AHEAD[name][0], talk.pair, f"no {name} went out for {talk.id} at {start}")

    def _owed(self, talk: Talk, line: Line) -> None:
        if talk.booked and talk.start and talk.start - self._now <= LAST_HOURS and not talk.acts & LOSES_ITS_TIME:
            self._flag("T-10", talk.pair, f"{talk.id} lost its time by itself inside its last four hours")
        if line.get("cause") == "left":
            talk.leave(rules.one_rhythm_after(talk.pair, talk.start or self._now))
        talk.state, talk.start, talk.end = "owed", None, None
        self._must_place(talk, "T-14" if talk.adhoc else "T-4")

    def _must_place(self, talk: Talk, rule: str) -> None:
        since, turn = self._now, talk.turn

        def check() -> None:
            if talk.state in OWED and talk.turn == turn and not self._turns.may_wait(talk):
                self._flag(rule, talk.pair, f"{talk.id} is owed since {since}, and nobody was told a time or a reason")

        self._timers.add(since + TICK, check)

    def _deferred(self, talk: Talk, line: Line) -> None:
        cause = line.get("cause", "")
        working = self._hours.next_time(talk.pair.manager, self._now)
        self._flag_all(talk.pair, rules.deferral(talk, cause, self._now, working))
        if cause in ACTS and ACTS[cause] not in talk.acts:
            self._doubt("T-10", talk, f"was deferred as {cause}, which nobody did")
        if cause in ("booked_over", "out_of_office") and self._near.is_intended(talk):
            self._doubt("T-11", talk, f"was deferred as {cause}, though nothing came since a person put it there")
        talk.lose_time(cause, self._now, line.get("who", ""))
        self._must_place(talk, "T-10")

    def _held(self, talk: Talk, line: Line) -> None:
        span, since = span_of(line), self._now
        if span.end > since:
            self._flag("T-7", talk.pair, f"{talk.id} was taken as held before its end")
        talk.state, talk.start, talk.end, talk.held, talk.missed = "held", span.start, span.end, span.end, False
        self._flag_all(talk.pair, self._turns.judge_held(talk, self._mails.introduced))
        if not talk.closes:
            return
        talk.mails["contract_request"], talk.mails["contract_reminder"] = [], []
        manager, deadline = self._persons[talk.pair.manager], span.end + CONTRACT
        self._timers.add(since + TICK, partial(self._while_held, talk, span.end, reminders.unasked(talk)))
        if since <= span.end + TICK:
            self._timers.add(deadline, partial(self._while_held, talk, span.end, reminders.unreminded(talk, manager)))
        last = wall_to_utc(
            manager.zone, add_working_days(manager, get_local_date(manager.zone, max(deadline, since)), 5), 0
        )
        self._timers.add(last, partial(self._while_held, talk, span.end, reminders.open_ended(talk)))

    def _contracted(self, talk: Talk, line: Line) -> None:
        talk.state, talk.held, talk.contracted = "contracted", talk.held or talk.end, talk.contracted or self._now
        self._summary_due(line)

    def _unfinished(self, talk: Talk, line: Line) -> None:
        weekly = self._hours.count_weekly(talk.pair.manager, talk.held or self._now, self._now)
        self._flag_all(talk.pair, reminders.unfinished(talk, self._now, weekly))
        talk.state = "unfinished"

    def _cancelled(self, talk: Talk, line: Line) -> None:
        reason = line.get("reason", "")
        if not reason:
            self._flag("R-8", talk.pair, f"{talk.id} was cancelled without a reason")
        if "pair" in reason and ("paused" in reason or "ended" in reason):
            self._resting.add(talk.pair.id)
        talk.state, talk.start, talk.end = "cancelled", None, None

    def _unplaceable(self, line: Line) -> None:
        talk = self._talk(line)
        if talk is None:
            return
        since, turn = self._now, talk.turn + 1
        if not line.get("reason") or talk.kind == "review":
            self._flag("T-4", talk.pair, f"{talk.id} is unplaceable for no reason, or a review (T-9)")
        talk.state = talk.state if talk.state in OWED else "owed"
        talk.start, talk.end, talk.why_told, talk.changed, talk.turn = None, None, True, since, turn
        talk.once_told = True

        def told() -> None:
            if talk.why_told and talk.turn == turn and not why_is_known(talk.pair, self._talks.values()):
                self._flag("T-4", talk.pair, f"{talk.id} is unplaceable, and no person was told")

        due = [self._hours.next_time(who, since) for who in (talk.pair.manager, talk.pair.report)]
        if all(due):
            self._timers.add(max(at for at in due if at) + TICK, told)
        self._cover(talk.pair)

    def _cover(self, pair: Pair) -> None:
        """T-4, R-3: a future career session, or a person who knows why there is none."""
        careers = self._careers[pair.id]
        ahead = any((t.booked and t.end and t.end > self._now) or (t.why_told and t.state in OWED) for t in careers)
        if ahead or pair.id in self._resting:
            self._bare.pop(pair.id, None)
        elif pair.id not in self._bare:
            since = self._bare[pair.id] = self._now
            self._timers.add(since + TICK, lambda: self._still_bare(pair, since))

    def _still_bare(self, pair: Pair, since: datetime) -> None:
        if self._bare.get(pair.id) == since:
            self._flag("T-4", pair, f"no career session lies ahead since {since}, and nobody was told why")

    # --- a time that we gave ---

    def _placed(self, talk: Talk, span: Span, was: str) -> None:
        people, careers = self._people(talk.pair), self._careers[talk.pair.id]
        near = {one.id: one for person in people for one in self._around(person.email)}
        faults = [rules.length(talk, span), rules.hours(talk, span, people)]
        faults.append(rules.neighbours(talk, span, near.values(), self._standing(*people)))
        faults.append(self._absences.judge(talk, span))
        faults.append(offers.held_times(talk, span, near.values(), self._now))
        if talk.kind == "career":
            faults.append(rules.one_a_day(talk, span, people[0], near.values()))
            faults.append(rules.not_before_start(talk, span, people[0]))
            self._turns.note_first(talk, self._now)
            faults.append(rules.two_a_week(talk, span, people[0], self._turns.list_careers(people[0].email)))
        in_series = was == "owed" and not talk.adhoc and talk.topic in ("direction", "gap")  # placed anew after another
        if talk.count and not in_series:
            faults.append(rules.after_deferral(talk, span, careers, people, self._now))
        elif talk.adhoc:
            faults.append(rules.soon(talk, span, people))
        elif talk.kind != "checkin":
            faults.append(self._turns.judge_place(talk, span, people, self._now))
        self._flag_all(talk.pair, chain.from_iterable(faults))
        if was == "deferred" and talk.kind == "career":
            for person in people:
                if talk.knows_of_move(person.email):
                    continue
                what = f"was deferred and got another time, and {person.email} was not told"
                self._mail_due(talk, "T-12", what, "deferral_notice", person.email)

    def _around(self, person: Address) -> list[Talk]:
        """The person's sessions that have a time, but for those long past and those whose event was taken off."""
        near = self._near.list_near(person, self._now)
        return [one for one in near if not (one.booked and self._keys.get(one.key) is False)]

    def _standing(self, *people: Person) -> list[Block]:
        """The commitments on these people's calendars."""
        return [block for who in people for block in self._blocks_of[who.email].values() if self._keys.get(block.key)]

    # --- events ---

    def _event(self, line: Line) -> None:
        key, what = line["key"], line["what"]
        if (key in self._keys) if what == "event.create" else not self._keys.get(key):
            words = "was made once already" if what == "event.create" else "does not stand"
            self._flag("D-5", line["pair"], f"{what} of {key}, which {words}")
        self._keys[key] = what != "event.cancel"
        pair = self._pairs.get(line["pair"])
        if pair is None:
            self._flag("D-8", line["pair"], f"{what} for a pair that is not in the people file")
            return
        commits = line.get("kind") == "commitment" or line["session"] in self._blocks
        guests = [] if commits else [pair.report]
        if line.get("calendar", pair.manager) != pair.manager or line.get("attendees", guests) != guests:
            self._flag("R-23", pair, f"{key} stands with {line.get('calendar')} for {line.get('attendees')}")
        self._flag_all(pair, self._turns.find_heard_early(pair, f"{key} was written", self._now))
        if commits:
            self._commitment(pair, line)
        else:
            self._session_event(pair, line)

    def _session_event(self, pair: Pair, line: Line) -> None:
        talk, key = self._talks.get(line["session"]), line["key"]
        if talk is None:
            self._flag("D-8", pair, f"{line['what']} for {line['session']}, of which nothing was told")
        elif line["what"] == "event.cancel":
            if talk.booked and talk.key == key:
                self._flag("D-5", pair, f"the event {key} was cancelled though {talk.id} is booked")
            talk.event = None if talk.key == key else talk.event
        else:
            span = span_of(line)
            if not talk.booked or talk.span != span:
                self._flag("D-5", pair, f"{key} was written for {span.start} though {talk.id} is {talk.state}")
            talk.event, talk.key = span, key

    def _commitment(self, pair: Pair, line: Line) -> None:
        if line["what"] == "event.cancel":
            self._blocks_of[pair.manager].pop(line["session"], None)
            return
        due = date.fromisoformat(line["due"]) if "due" in line else None
        new = Block(line["session"], pair, line["key"], span_of(line), due)
        if new.id in self._done:
            self._flag("T-8", pair, f"{new.id} is on the calendar again though it is done")
        self._blocks[new.id] = self._blocks_of[pair.manager][new.id] = new
        self._made[pair.id].append(self._now)
        manager = self._persons[pair.manager]
        faults = rules.commitment(new, manager, self._now, self._around(pair.manager), self._standing(manager))
        self._flag_all(pair, faults)

    # --- mails ---

    def _mail(self, line: Line) -> None:
        self._mails.read(line, self._now)

    def _fold(self, line: Line) -> None:
        self._mails.fold(line, self._now)

    # --- the contract ---

    def _while_held(self, talk: Talk, end: datetime, missing: Iterable[rules.Fault]) -> None:
        """What is missing is looked at now, and only if that very conversation still waits for its contract."""
        may_be_away = self._hours.may_be_away(talk.pair.manager, end, self._now)  # fewer mails are right then
        if talk.state == "held" and talk.held == end and (not may_be_away or not talk.mails["contract_request"]):
            self._flag_all(talk.pair, missing)

    def _summary_due(self, line: Line) -> None:
        """R-15: the summary reaches both at once."""
        talk, since = self._talk(line), self._now
        if talk is None or talk.recorded == since:
            return
        talk.recorded = since

        def check() -> None:
            reached = {one.to for one in talk.mails["contract_summary"] if one.at >= since}
            for missing in {talk.pair.manager, talk.pair.report} - reached:
                self._flag("R-15", talk.pair, f"the contract of {talk.id}, of {since}, was not summed up for {missing}")

        self._timers.add(since + TICK, check)

    # --- what humans do ---

    def _human(self, line: Line) -> None:
        self._humans = True
        act, name = line.get("act", ""), line.get("session", "")
        if act == "out_of_office" and "start" in line:
            self._out_of_office(line["calendar"], span_of(line), is_whole=not name)
        self._near.note_act(act, self._pairs.get(line.get("pair", "")), self._now)
        self._done |= {name} if act == "complete" else set()
        if name in self._blocks:
            self._on_block(self._blocks[name], act, line)
        elif name in self._talks:
            self._on_talk(self._talks[name], act, line)

    def _out_of_office(self, who: Address, span: Span, *, is_whole: bool) -> None:
        """Somebody is out of office: in that span and no other, or for a session in it."""
        if is_whole:
            self._absences.note(who, span)
            self._near.note_taken(who, self._now)
        self._hours.note_away(who, span.start, span.end if is_whole else span.start)

    def _on_block(self, block: Block, act: str, line: Line) -> None:
        if act == "delete":
            self._keys[block.key] = False
        elif act == "move":
            block.span = span_of(line)
        elif act == "complete":
            block.open = False
            self._timers.add(self._now + TICK, lambda: self._taken_off(block.id))

    def _taken_off(self, name: str) -> None:
        if self._keys.get((block := self._blocks[name]).key):
            self._flag("T-8", block.pair, f"{block.id} is done and still on the calendar")

    def _on_talk(self, talk: Talk, act: str, line: Line) -> None:
        since = self._now
        talk.acts.add("decline" if act == "delete" and line.get("calendar") == talk.pair.report else act)
        talk.wish = span_of(line) if act == "move" else talk.wish
        if act in ANSWERED:
            self._timers.add(since + TICK, lambda: self._answered(talk, since, ANSWERED[act], act))
        elif act in ("book_over", "out_of_office") and talk.booked and talk.start:
            if talk.start - since >= SEEN_BY_THEN:
                self._timers.add(talk.start, partial(self._overlooked, talk, talk.turn, act))
        elif act == "record_contract":
            self._record(talk, line)

    def _answered(self, talk: Talk, since: datetime, rule: str, act: str) -> None:
        if talk.changed < since:
            self._flag(rule, talk.pair, f"somebody did {act} {talk.id} at {since}, and nothing followed")

    def _overlooked(self, talk: Talk, turn: int, act: str) -> None:
        if talk.turn == turn and not talk.was_asked:
            self._flag("T-10", talk.pair, f"{talk.id} kept its time, {talk.start}, in spite of {act} long before")

    def _record(self, talk: Talk, line: Line) -> None:
        """R-19, T-8: the commitments of a first contract come onto the calendar; `count` of them, else at least one."""
        since, wanted, first = self._now, line.get("count", 1), talk.state != "contracted"

        def check() -> None:
            if talk.state != "contracted":
                self._flag("T-7", talk.pair, f"the contract of {talk.id} was recorded at {since}; it is {talk.state}")
            made = sum(at >= since for at in self._made[talk.pair.id])
            if first and made < wanted:
                self._flag("T-8", talk.pair, f"{made} of the commitments of {talk.id} came onto the calendar at once")

        self._summary_due(line)
        self._timers.add(since + TICK, check)
