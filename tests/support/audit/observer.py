"""The auditor reads a ledger line by line, and checks that what has to follow each line does follow.

The module `rules` judges what can be judged at one moment. For D-5 and D-8, see `known.Violation`.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time
from functools import partial
from itertools import chain

from tests.support.audit import offers, reminders, rules
from tests.support.audit.known import (
    ANSWER_RULES,
    LEAST_MINUTES_BY_HAND,
    NEXT_STATES,
    PREPARING_PERIOD,
    TIME_TO_NOTICE,
    Block,
    Line,
    Talk,
    flag_all,
    is_reason_known,
    parse_instant,
    read_span,
)
from tests.support.audit.rules import (
    ACT_OF_CAUSE,
    ACTS_LOSING_TIME,
    ALLOWED_DELAY,
    CONTRACT_DEADLINE,
    LAST_HOURS,
    OWED_STATES,
    PREPARING_MAILS,
)
from tests.support.audit.state import AuditState
from worker.domain.model import Address, Pair, PairId, Person, ReviewMode, Span
from worker.domain.time.worktime import add_working_days, get_local_date, wall_to_utc


class Auditor(AuditState):
    """Reads a ledger line by line; what has to follow a line is checked when it is due."""

    def __init__(self, persons: Mapping[Address, Person], pairs: Mapping[PairId, Pair], start: datetime) -> None:
        super().__init__(persons, pairs)
        self._readers = dict.fromkeys(("event.create", "event.update", "event.cancel"), self._read_event)
        self._readers |= {
            "mail.folded": self._read_folded,
            "mail": self._read_mail,
            "human": self._read_human,
            "session": self._read_session,
        }
        self._readers |= {
            "unplaceable": self._read_unplaceable,
            "contract": self._expect_summary,
            "offer": self._read_offer,
        }
        self._states = {
            "booked": self._read_booked,
            "owed": self._read_owed,
            "deferred": self._read_deferred,
            "held": self._read_held,
        }
        self._states |= {
            "contracted": self._read_contracted,
            "unfinished": self._read_unfinished,
            "cancelled": self._read_cancelled,
        }
        for pair in pairs.values():
            first_seen = datetime.combine(pair.first_seen, time(), UTC)
            first = max(start, first_seen, rules.find_first_notice(pair, self._persons[pair.manager]))
            self._timers.add(first, partial(self._note_future_session, pair))

    def read(self, line: Line) -> None:
        """Run the checks that are due before the line, then judge the line."""
        at = parse_instant(line["at"])
        if at < self._last:
            self._flag("D-8", line.get("pair", ""), f"{line['what']} at {line['at']} stands after a later line")
        self._run_checks(at)
        self._now = self._last = max(at, self._last)
        if reader := self._readers.get(line["what"]):
            reader(line)

    # --- sessions ---

    def _read_session(self, line: Line) -> None:
        talk, state = self._find_talk(line), line["state"]
        if talk is None:
            return
        if state not in NEXT_STATES.get(talk.state, ()):
            self._flag("R-8", talk.pair, f"{talk.id} became {state} though it was {talk.state}")
        expected = talk.deferral_count + (state == "deferred")
        if line.get("count", expected) != expected:
            self._flag("T-10", talk.pair, f"{talk.id}, {state}, counts {line['count']} deferrals instead of {expected}")
        talk.deferral_count = line.get("count", expected)
        if state in ("booked", "owed"):
            self._inactive.discard(talk.pair.id)
        talk.changed_at, talk.line_count = self._now, talk.line_count + 1
        talk.offered_times, talk.offered_until = (), None
        self._states[state](talk, line)
        self._note_future_session(talk.pair)

    def _read_booked(self, talk: Talk, line: Line) -> None:
        state_before, is_moved = talk.state, line.get("cause") == "moved"
        is_chosen = is_moved or "A person chose this time." in line.get("reason", "")  # the words of the program
        talk.is_in_1on1 = talk.kind == "review" and talk.pair.review is ReviewMode.IN_1ON1 and "key" not in line
        span = read_span(line)
        if is_moved:
            self._read_moved(talk, span)
        elif state_before == "booked" and not is_chosen and not talk.is_in_1on1 and self._event_stands.get(talk.key):
            self._flag("T-10", talk.pair, f"{talk.id} got another time without a cause")
        talk.reason = line.get("reason", "")
        talk.previous_start = talk.start
        talk.state, talk.start, talk.end, talk.booked_at = "booked", span.start, span.end, self._now
        talk.key, talk.is_reason_told, talk.held_end, talk.moved_to = line.get("key", talk.key), False, None, None
        talk.chosen_at = self._now if is_chosen else None
        self._calendars.add(talk)
        if not is_chosen and not talk.is_in_1on1:
            talk.human_acts.clear()
            self._judge_new_time(talk, span, state_before)
        self._expect_after_booking(talk, span)

    def _read_offer(self, line: Line) -> None:
        talk = self._find_talk(line)
        if talk is not None:
            flag_all(self._flag, talk.pair, offers.read_offer(talk, line, self._people(talk.pair)[0], self._now))

    def _read_moved(self, talk: Talk, span: Span) -> None:
        """Judge a time that a human gave: it is kept as it is, if it is long enough (T-11, R-9)."""
        talk.event_span = span
        if talk.moved_to is None:
            self._flag_missing_act("R-9", talk, "was taken as moved by hand, and nobody moved it")
        elif talk.moved_to != span:
            self._flag("R-9", talk.pair, f"{talk.id} was moved by hand to {talk.moved_to.start}, not to {span.start}")
        usual_least, _ = rules.LENGTHS[talk.kind]
        if talk.kind == "career" and span.minutes < LEAST_MINUTES_BY_HAND:
            self._flag("T-1", talk.pair, f"{talk.id} was accepted with {span.minutes} minutes")
        elif talk.kind == "career" and span.minutes < usual_least:
            self._expect_mail(talk, "R-1", "is short, and the manager was not told", "short_session")

    def _expect_mail(self, talk: Talk, rule: str, what: str, mail: str, to: str = "") -> None:
        """Expect that mail about the session's new time, to the given person or to anybody, unless the time changes."""
        since, line_count = self._now, talk.line_count
        due = self._mail_hours.next_time(to or talk.pair.manager, since)

        def check() -> None:
            # asked again: an absence may have become known in the meantime
            may_be_away = self._mail_hours.may_be_away(to or talk.pair.manager, since, self._now)
            has_time = talk.is_booked and talk.line_count == line_count
            if has_time and not may_be_away and not talk.went_out(mail, since, to):
                self._flag(rule, talk.pair, f"{talk.id} {what}")

        if due is not None:
            self._timers.add(due + ALLOWED_DELAY, check)

    def _expect_after_booking(self, talk: Talk, span: Span) -> None:
        """Expect what has to follow when a session got a time."""
        since, line_count = self._now, talk.line_count

        def has_this_time() -> bool:
            return talk.is_booked and talk.line_count == line_count

        def check_calendar() -> None:
            if has_this_time() and talk.event_span != span:
                self._flag("T-4", talk.pair, f"{talk.id} is booked for {span.start}, and not on the calendar")

        def check_end() -> None:
            if has_this_time():
                self._flag("R-8", talk.pair, f"{talk.id} ended at {span.end}, and nothing became of it")

        if not talk.is_in_1on1:
            self._timers.add(since + ALLOWED_DELAY, check_calendar)
        self._timers.add(span.end, lambda: self._note_future_session(talk.pair))
        self._timers.add(span.end + ALLOWED_DELAY, check_end)
        names = ("reflection_prompt", "brief") if talk.kind == "career" else ("review_note",) if talk.is_in_1on1 else ()
        for name in names:
            earliest = max(rules.find_due_instant(name, self._people(talk.pair), span.start), since)
            due = self._mail_hours.next_time(self._mails.reader(name, talk), earliest)
            # with less time than this, the program may leave the mail out
            least_time = LAST_HOURS + ALLOWED_DELAY if talk.kind == "career" else 3 * ALLOWED_DELAY
            if due and span.start - due >= least_time:
                self._timers.add(due + ALLOWED_DELAY, partial(self._check_prepared, name, talk, span.start, line_count))

    def _check_prepared(self, name: str, talk: Talk, start: datetime, line_count: int) -> None:
        """Check that this mail went out before the session, unless its reader may have been out of office."""
        is_present = not self._mail_hours.may_be_away(self._mails.reader(name, talk), start - PREPARING_PERIOD, start)
        was_sent = rules.was_sent_for(name, talk, start, self._people(talk.pair))
        if is_present and talk.is_booked and talk.line_count == line_count and not was_sent:
            self._flag(PREPARING_MAILS[name].rule, talk.pair, f"no {name} went out for {talk.id} at {start}")

    def _read_owed(self, talk: Talk, line: Line) -> None:
        is_near = talk.is_booked and talk.start is not None and talk.start - self._now <= LAST_HOURS
        if is_near and not talk.human_acts & ACTS_LOSING_TIME:
            self._flag("T-10", talk.pair, f"{talk.id} lost its time by itself inside its last four hours")
        if line.get("cause") == "left":
            talk.leave(rules.add_one_rhythm(talk.pair, talk.start or self._now))
        talk.state, talk.start, talk.end = "owed", None, None
        self._expect_time_or_reason(talk, "T-14" if talk.adhoc else "T-4")

    def _expect_time_or_reason(self, talk: Talk, rule: str) -> None:
        """Expect that an owed session gets a time, or that it is said why there is none."""
        since, line_count = self._now, talk.line_count

        def check() -> None:
            if talk.state in OWED_STATES and talk.line_count == line_count and not self._turns.may_wait(talk):
                self._flag(rule, talk.pair, f"{talk.id} is owed since {since}, and nobody was told a time or a reason")

        self._timers.add(since + ALLOWED_DELAY, check)

    def _read_deferred(self, talk: Talk, line: Line) -> None:
        cause = line.get("cause", "")
        next_hour = self._mail_hours.next_time(talk.pair.manager, self._now)
        flag_all(self._flag, talk.pair, rules.judge_deferral(talk, cause, self._now, next_hour))
        if cause in ACT_OF_CAUSE and ACT_OF_CAUSE[cause] not in talk.human_acts:
            self._flag_missing_act("T-10", talk, f"was deferred as {cause}, which nobody did")
        if cause in ("booked_over", "out_of_office") and self._calendars.is_intended(talk):
            what = f"was deferred as {cause}, though nothing came since a person put it there"
            self._flag_missing_act("T-11", talk, what)
        talk.lose_time(cause, self._now, line.get("who", ""))
        self._expect_time_or_reason(talk, "T-10")

    def _read_held(self, talk: Talk, line: Line) -> None:
        span, since = read_span(line), self._now
        if span.end > since:
            self._flag("T-7", talk.pair, f"{talk.id} was taken as held before its end")
        talk.state, talk.start, talk.end, talk.held_end, talk.was_missed = "held", span.start, span.end, span.end, False
        flag_all(self._flag, talk.pair, self._turns.judge_held(talk, self._mails.introduced))
        if not talk.needs_contract:
            return
        talk.mails["contract_request"], talk.mails["contract_reminder"] = [], []
        manager, deadline = self._persons[talk.pair.manager], span.end + CONTRACT_DEADLINE
        check_contract = partial(self._check_contract, talk, span.end)
        self._timers.add(since + ALLOWED_DELAY, partial(check_contract, reminders.find_missing_request(talk)))
        if since <= span.end + ALLOWED_DELAY:
            self._timers.add(deadline, partial(check_contract, reminders.find_missing_reminders(talk, manager)))
        last_day = add_working_days(manager, get_local_date(manager.zone, max(deadline, since)), 5)
        last = wall_to_utc(manager.zone, last_day, 0)
        self._timers.add(last, partial(check_contract, reminders.find_missing_end(talk)))

    def _read_contracted(self, talk: Talk, line: Line) -> None:
        talk.state, talk.held_end = "contracted", talk.held_end or talk.end
        talk.contracted_at = talk.contracted_at or self._now
        self._expect_summary(line)

    def _read_unfinished(self, talk: Talk, line: Line) -> None:
        weekly = self._mail_hours.count_weekly(talk.pair.manager, talk.held_end or self._now, self._now)
        flag_all(self._flag, talk.pair, reminders.judge_unfinished(talk, self._now, weekly))
        talk.state = "unfinished"

    def _read_cancelled(self, talk: Talk, line: Line) -> None:
        reason = line.get("reason", "")
        if not reason:
            self._flag("R-8", talk.pair, f"{talk.id} was cancelled without a reason")
        if "pair" in reason and ("paused" in reason or "ended" in reason):
            self._inactive.add(talk.pair.id)
        talk.state, talk.start, talk.end = "cancelled", None, None

    def _read_unplaceable(self, line: Line) -> None:
        talk = self._find_talk(line)
        if talk is None:
            return
        since, line_count = self._now, talk.line_count + 1
        if not line.get("reason") or talk.kind == "review":
            self._flag("T-4", talk.pair, f"{talk.id} is unplaceable for no reason, or a review (T-9)")
        talk.state = talk.state if talk.state in OWED_STATES else "owed"
        talk.start, talk.end, talk.changed_at, talk.line_count = None, None, since, line_count
        talk.is_reason_told = talk.was_reason_told = True

        def check() -> None:
            is_current = talk.is_reason_told and talk.line_count == line_count
            if is_current and not is_reason_known(talk.pair, self._talks.values()):
                self._flag("T-4", talk.pair, f"{talk.id} is unplaceable, and no person was told")

        due = [self._mail_hours.next_time(who, since) for who in (talk.pair.manager, talk.pair.report)]
        if all(due):
            self._timers.add(max(at for at in due if at) + ALLOWED_DELAY, check)
        self._note_future_session(talk.pair)

    # --- a time that the program gave ---

    def _judge_new_time(self, talk: Talk, span: Span, state_before: str) -> None:
        """Judge a time that the program gave to a session."""
        people, careers = self._people(talk.pair), self._careers[talk.pair.id]
        others = {one.id: one for person in people for one in self._list_standing_talks(person.email)}
        faults = [rules.judge_length(talk, span), rules.judge_hours(talk, span, people)]
        faults.append(rules.judge_neighbours(talk, span, others.values(), self._list_standing_blocks(*people)))
        faults.append(self._absences.judge(talk, span))
        faults.append(offers.judge_against_offers(talk, span, others.values(), self._now))
        if talk.kind == "career":
            faults.append(rules.judge_one_a_day(talk, span, people[0], others.values()))
            faults.append(rules.judge_not_before_start(talk, span, people[0]))
            self._turns.note_first(talk, self._now)
            faults.append(rules.judge_two_a_week(talk, span, people[0], self._turns.list_careers(people[0].email)))
        # an owed part of a series is placed by the part before it, even when it was deferred earlier
        in_series = state_before == "owed" and not talk.adhoc and talk.topic in ("direction", "gap")
        if talk.deferral_count and not in_series:
            faults.append(rules.judge_time_after_deferral(talk, span, careers, people, self._now))
        elif talk.adhoc:
            faults.append(rules.judge_adhoc_time(talk, span, people))
        elif talk.kind != "checkin":
            faults.append(self._turns.judge_place(talk, span, people, self._now))
        flag_all(self._flag, talk.pair, chain.from_iterable(faults))
        if state_before == "deferred" and talk.kind == "career":
            for person in people:
                if talk.knows_of_move(person.email):
                    continue
                what = f"was deferred and got another time, and {person.email} was not told"
                self._expect_mail(talk, "T-12", what, "deferral_notice", person.email)

    # --- events ---

    def _read_event(self, line: Line) -> None:
        key, what = line["key"], line["what"]
        if what == "event.create" and key in self._event_stands:
            self._flag("D-5", line["pair"], f"{what} of {key}, which was made once already")
        elif what != "event.create" and not self._event_stands.get(key):
            self._flag("D-5", line["pair"], f"{what} of {key}, which does not stand")
        self._event_stands[key] = what != "event.cancel"
        pair = self._pairs.get(line["pair"])
        if pair is None:
            self._flag("D-8", line["pair"], f"{what} for a pair that is not in the people file")
            return
        is_commitment = line.get("kind") == "commitment" or line["session"] in self._blocks
        guests = [] if is_commitment else [pair.report]
        if line.get("calendar", pair.manager) != pair.manager or line.get("attendees", guests) != guests:
            self._flag("R-23", pair, f"{key} stands with {line.get('calendar')} for {line.get('attendees')}")
        flag_all(self._flag, pair, self._turns.find_heard_early(pair, f"{key} was written", self._now))
        if is_commitment:
            self._read_commitment_event(pair, line)
        else:
            self._read_session_event(pair, line)

    def _read_session_event(self, pair: Pair, line: Line) -> None:
        talk, key = self._talks.get(line["session"]), line["key"]
        if talk is None:
            self._flag("D-8", pair, f"{line['what']} for {line['session']}, of which nothing was told")
        elif line["what"] == "event.cancel":
            if talk.is_booked and talk.key == key:
                self._flag("D-5", pair, f"the event {key} was cancelled though {talk.id} is booked")
            talk.event_span = None if talk.key == key else talk.event_span
        else:
            span = read_span(line)
            if not talk.is_booked or talk.span != span:
                self._flag("D-5", pair, f"{key} was written for {span.start} though {talk.id} is {talk.state}")
            talk.event_span, talk.key = span, key

    def _read_commitment_event(self, pair: Pair, line: Line) -> None:
        if line["what"] == "event.cancel":
            self._blocks_of[pair.manager].pop(line["session"], None)
            return
        due = date.fromisoformat(line["due"]) if "due" in line else None
        new = Block(line["session"], pair, line["key"], read_span(line), due)
        if new.id in self._done_commitments:
            self._flag("T-8", pair, f"{new.id} is on the calendar again though it is done")
        self._blocks[new.id] = self._blocks_of[pair.manager][new.id] = new
        self._blocks_made[pair.id].append(self._now)
        manager = self._persons[pair.manager]
        faults = rules.judge_commitment(
            new, manager, self._now, self._list_standing_talks(pair.manager), self._list_standing_blocks(manager)
        )
        flag_all(self._flag, pair, faults)

    # --- mails ---

    def _read_mail(self, line: Line) -> None:
        self._mails.read(line, self._now)

    def _read_folded(self, line: Line) -> None:
        self._mails.fold(line, self._now)

    # --- the contract ---

    def _check_contract(self, talk: Talk, end: datetime, missing: Iterable[rules.Fault]) -> None:
        """Flag what is missing, if the conversation that ended then still has no contract.

        `missing` is a generator: it looks at the session only now, not when this check was planned.
        """
        may_be_away = self._mail_hours.may_be_away(talk.pair.manager, end, self._now)  # who is away gets fewer mails
        if talk.state == "held" and talk.held_end == end and (not may_be_away or not talk.mails["contract_request"]):
            flag_all(self._flag, talk.pair, missing)

    def _expect_summary(self, line: Line) -> None:
        """Expect that the summary of the contract reaches both people at once (R-15)."""
        talk, since = self._find_talk(line), self._now
        if talk is None or talk.recorded_at == since:
            return
        talk.recorded_at = since

        def check() -> None:
            reached = {one.to for one in talk.mails["contract_summary"] if one.at >= since}
            for missing in {talk.pair.manager, talk.pair.report} - reached:
                self._flag("R-15", talk.pair, f"the contract of {talk.id}, of {since}, was not summed up for {missing}")

        self._timers.add(since + ALLOWED_DELAY, check)

    # --- what humans do ---

    def _read_human(self, line: Line) -> None:
        self._has_humans = True
        act, name = line.get("act", ""), line.get("session", "")  # of a session or a commitment
        if act == "out_of_office" and "start" in line:
            # a line about a session has the time of the session, not that of the absence
            self._note_out_of_office(line["calendar"], read_span(line), is_whole=not name)
        self._calendars.note_act(act, self._pairs.get(line.get("pair", "")), self._now)
        self._done_commitments |= {name} if act == "complete" else set()
        if name in self._blocks:
            self._read_block_act(self._blocks[name], act, line)
        elif name in self._talks:
            self._read_talk_act(self._talks[name], act, line)

    def _note_out_of_office(self, who: Address, span: Span, *, is_whole: bool) -> None:
        """Note an absence. One that was entered over a session is not `is_whole`: only its begin is known."""
        if is_whole:
            self._absences.note(who, span)
            self._calendars.note_addition(who, self._now)
        self._mail_hours.note_away(who, span.start, span.end if is_whole else span.start)

    def _read_block_act(self, block: Block, act: str, line: Line) -> None:
        if act == "delete":
            self._event_stands[block.key] = False
        elif act == "move":
            block.span = read_span(line)
        elif act == "complete":
            block.is_open = False
            self._timers.add(self._now + ALLOWED_DELAY, lambda: self._check_taken_off(block.id))

    def _check_taken_off(self, name: str) -> None:
        block = self._blocks[name]
        if self._event_stands.get(block.key):
            self._flag("T-8", block.pair, f"{block.id} is done and still on the calendar")

    def _read_talk_act(self, talk: Talk, act: str, line: Line) -> None:
        since = self._now
        talk.human_acts.add("decline" if act == "delete" and line.get("calendar") == talk.pair.report else act)
        talk.moved_to = read_span(line) if act == "move" else talk.moved_to
        if act in ANSWER_RULES:
            self._timers.add(since + ALLOWED_DELAY, lambda: self._check_answered(talk, since, ANSWER_RULES[act], act))
        elif act in ("book_over", "out_of_office") and talk.is_booked and talk.start:
            if talk.start - since >= TIME_TO_NOTICE:
                self._timers.add(talk.start, partial(self._check_not_overlooked, talk, talk.line_count, act))
        elif act == "record_contract":
            self._expect_commitments(talk, line)

    def _check_answered(self, talk: Talk, since: datetime, rule: str, act: str) -> None:
        if talk.changed_at < since:
            self._flag(rule, talk.pair, f"somebody did {act} {talk.id} at {since}, and nothing followed")

    def _check_not_overlooked(self, talk: Talk, line_count: int, act: str) -> None:
        if talk.line_count == line_count and not talk.was_asked:
            self._flag("T-10", talk.pair, f"{talk.id} kept its time, {talk.start}, in spite of {act} long before")

    def _expect_commitments(self, talk: Talk, line: Line) -> None:
        """Expect events for the commitments of a first contract (R-19, T-8): `count` of them, else at least one."""
        since, expected = self._now, line.get("count", 1)
        is_first = talk.state != "contracted"

        def check() -> None:
            if talk.state != "contracted":
                self._flag("T-7", talk.pair, f"the contract of {talk.id} was recorded at {since}; it is {talk.state}")
            made = sum(at >= since for at in self._blocks_made[talk.pair.id])
            if is_first and made < expected:
                self._flag("T-8", talk.pair, f"{made} of the commitments of {talk.id} came onto the calendar at once")

        self._expect_summary(line)
        self._timers.add(since + ALLOWED_DELAY, check)
