"""The rules that an audit checks, as functions without a state.

A function that begins with `judge_` takes what is known at one moment, and yields what is wrong, with the name of the
rule. They follow the rules of time, not the product's code; `tests.support.audit.observer` calls them.
"""

import calendar
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache

from tests.support.audit.known import LEAST_MINUTES_BY_HAND, Block, Line, PreparingMail, Talk, TeamPair, parse_instant
from worker.domain.model import DeferralCause, Format, Interval, Owner, Pair, Person, Policy, Span
from worker.domain.time.worktime import (
    add_weekdays,
    add_working_days,
    find_holiday,
    get_local_date,
    is_working_day,
    list_spells,
    list_working_spans,
    wall_to_utc,
)

#: The name of the broken rule, and what is wrong.
Fault = tuple[str, str]
People = tuple[Person, Person]  #: manager and report

#: What has to happen at once may take this long: the program looks for due work once a minute.
ALLOWED_DELAY = timedelta(minutes=5)
DAY = timedelta(days=1)
BUFFER = timedelta(minutes=15)
CONTRACT_DEADLINE = timedelta(hours=48)  #: from the end of the session
#: So shortly before its start the program takes a session's time away only for an act of a person (T-10).
LAST_HOURS = timedelta(hours=4)
#: A session that is booked over later than this before its start is deferred without a warning (T-10).
WARNED_BEFORE = timedelta(hours=48)
#: A regular session comes at least this long after an ad hoc one (T-14).
GAP_AFTER_ADHOC = timedelta(weeks=3)
#: A session that moves further than this gets another prompt (T-5).
MOVED_FAR = timedelta(days=14)
#: A review note belongs to the 1:1 of one day; a review that moves further than this gets another note.
NOTE_MOVED_FAR = timedelta(hours=12)

#: The shortest and the longest session of each kind, in minutes.
LENGTHS = {"career": (60, 90), "review": (20, 30), "checkin": (10, 15)}
OWED_STATES = ("owed", "deferred")
PREPARING_MAILS = {
    "reflection_prompt": PreparingMail("T-5", Owner.REPORT, timedelta(hours=4)),
    "brief": PreparingMail("T-6", Owner.MANAGER, timedelta(hours=1)),
    "review_note": PreparingMail("T-9", Owner.MANAGER, BUFFER),
}
#: Mails about a session, each with the rule that it breaks when it says something untrue.
SESSION_MAILS = {
    **{name: preparing.rule for name, preparing in PREPARING_MAILS.items()},
    "contract_request": "T-7",
    "contract_reminder": "T-7",
    "contract_summary": "R-15",
    "deferral_notice": "T-12",
    "booked_over_warning": "T-10",
    "unplaceable": "T-4",
    "short_session": "R-1",
}
#: The mails about a session that name a time in the future.
MAILS_OF_FUTURE_TIMES = {*PREPARING_MAILS, "deferral_notice", "booked_over_warning", "short_session"}
#: Mails that only the manager may read.
FOR_MANAGER = {"brief", "review_note", "contract_request", "contract_reminder", "short_session"}
#: For causes of deferrals that need an act of a human: that act.
ACT_OF_CAUSE = {"declined": "decline", "deleted": "delete", "not_held": "no_show", "moved_out": "move"}
#: Acts of humans that may take a session's time away even in its last four hours.
ACTS_LOSING_TIME = {"decline", "delete", "move"}
#: Causes that must not defer a session inside its last four hours.
AUTOMATIC_CAUSES = ("booked_over", "out_of_office", "holiday")


# --- a time that the program gave ---


def judge_length(talk: Talk, span: Span) -> Iterator[Fault]:
    """T-1, R-7: a session has the length of its kind; a career session is no longer than the pair wishes."""
    least, most = LENGTHS[talk.kind]
    if talk.kind == "career":
        most = max(min(most, talk.pair.minutes), least)
    if not least <= span.minutes <= most:
        yield "T-1", f"{talk.id} was given {span.minutes} minutes; {least} to {most} are allowed"


def judge_hours(talk: Talk, span: Span, people: People) -> Iterator[Fault]:
    """T-2: a session starts on the quarter hour, in both people's working hours, on a working day of both."""
    if span.start.minute % 15 or span.start.second or span.start.microsecond:
        yield "T-2", f"{talk.id} starts off the quarter hour, at {span.start}"
    for person in people:
        name = find_holiday(person.country, get_local_date(person.zone, span.start))
        if not is_working(person, span):
            yield "T-2", f"{talk.id}, {span.start}, lies outside {person.email}'s working hours {name or ''}".rstrip()


def is_working(person: Person, span: Span) -> bool:
    """Whether the whole span lies in the person's working hours."""
    worked = sum((spell.end - spell.start for spell in list_working_spans(person, span)), timedelta())
    return worked == span.end - span.start


def judge_neighbours(talk: Talk, span: Span, others: Iterable[Talk], blocks: Iterable[Block]) -> Iterator[Fault]:
    """T-2: a session overlaps no other session or block, and has the buffer before and after other sessions.

    An ad hoc session may do without the buffer when nothing else is free (T-14); the ledger can't tell whether it was.
    """
    gap = timedelta() if talk.adhoc else BUFFER
    wide = Span(span.start - gap, span.end + gap)
    for other in others:
        if other is talk or not other.is_booked or other.is_in_1on1 or other.start is None or other.end is None:
            continue
        if other.start < wide.end and wide.start < other.end:
            yield "T-2", f"{talk.id}, {span.start}, overlaps or touches {other.id}, {other.start}, of {other.pair.id}"
    for block in blocks:
        if not block.all_day and block.span.overlaps(span):
            yield "T-2", f"{talk.id}, {span.start}, overlaps the commitment {block.id}"


def judge_one_a_day(talk: Talk, span: Span, manager: Person, others: Iterable[Talk]) -> Iterator[Fault]:
    """T-2: a manager has at most one career session a day; one that was held that day counts."""
    day = get_local_date(manager.zone, span.start)
    for other in others:
        if other is talk or other.kind != "career" or other.start is None or abs(other.start - span.start) > 2 * DAY:
            continue
        if other.pair.manager == manager.email and get_local_date(manager.zone, other.start) == day:
            yield "T-2", f"{talk.id} is the manager's second career session on {day}, after {other.id}"


def judge_time_after_deferral(
    talk: Talk, span: Span, careers: Sequence[Talk], people: People, now: datetime
) -> Iterator[Fault]:
    """T-10: the new time lies at least two working days ahead, and at most five working days before the lost time.

    After a session was left until the next quarter, ten working days before are allowed (T-11). The new time is at most
    twenty working days after the lost time or today, whichever is later; one rhythm more where T-4 extends the window.
    It comes at least half a rhythm after the last held session. An ad hoc session may be sooner (T-14).
    """
    zone = people[0].zone
    today, day, lost = (get_local_date(zone, at) for at in (now, span.start, talk.lost_start or now))
    first = max(add_weekdays(today, 2), add_weekdays(lost, -10 if talk.is_left_for_quarter else -5))
    last = add_weekdays(max(today, lost), 20) + _compute_extension(talk, today)
    if not (talk.adhoc or first <= day) or day > last:
        yield "T-10", f"{talk.id}, deferred, got {span.start}; {first} to {last} are allowed"
    if talk.kind == "career" and not talk.adhoc and talk.topic in ("all", "now"):
        # the parts of its own series came later, so they do not count
        earlier = [one for one in careers if one.created_at < talk.created_at and not one.adhoc]
        last_held = max((one.held_end for one in earlier if one.held_end), default=None)
        if last_held and (span.start - last_held).days < min(_rhythm_days(talk.pair, last_held.date())) // 2:
            yield "T-10", f"{talk.id} got {span.start}, less than half a rhythm after {last_held}"


def _compute_extension(talk: Talk, day: date) -> timedelta:
    """T-4: by how much its window was extended: one rhythm, at least 13 weeks, where the reason of its time says so."""
    is_extended = "after its window" in talk.reason  # the words of the program
    return timedelta(days=max(91, *_rhythm_days(talk.pair, day)) if is_extended else 0)


def add_one_rhythm(pair: Pair, start: datetime) -> datetime:
    """T-11: the instant around which a session is placed that was left until the next quarter."""
    return start + timedelta(days=max(_rhythm_days(pair, start.date())))


def _rhythm_days(pair: Pair, day: date) -> list[int]:
    """Return the days from that day to the next, for each rhythm that the pair may have then."""
    return [(add_interval(day, every) - day).days for every in list_rhythms(pair, day)]


def judge_deferral(talk: Talk, cause: str, now: datetime, next_hour: datetime | None) -> Iterator[Fault]:
    """T-10, T-11: a deferral has a known cause and does not come in the last hours.

    It answers no move that the rules allow, and a session that was booked over waits for a day after a warning.
    `next_hour` is the manager's first working instant from now on; None when that is unknown.
    """
    left = (talk.start or now) - now
    if talk.kind == "review":
        yield "T-9", f"{talk.id}, a review, was deferred ({cause}); it only moves"
    if cause not in list(DeferralCause):
        yield "T-10", f"{talk.id} was deferred for no known cause: {cause or 'none'}"
    if cause in AUTOMATIC_CAUSES and left <= LAST_HOURS:
        yield "T-10", f"{talk.id} was deferred ({cause}) inside its last four hours"
    if cause == "booked_over" and talk.kind != "review":
        warned = [one.at for one in talk.mails["booked_over_warning"] if talk.booked_at and one.at >= talk.booked_at]
        could_wait = next_hour is not None and talk.start is not None and talk.start - next_hour >= WARNED_BEFORE
        if (warned and now - warned[-1] < DAY - ALLOWED_DELAY) or (could_wait and not warned):
            yield "T-10", f"{talk.id} was booked over, and did not wait a day after a warning"
    if cause == "booked_over" and talk.was_asked:
        yield "T-11", f"{talk.id} was booked over and moved by itself, though the two were asked"
    moved_to = talk.moved_to if cause == "moved_out" else None
    is_long_enough = moved_to is not None and (talk.kind != "career" or moved_to.minutes >= LEAST_MINUTES_BY_HAND)
    # a move to an earlier time stays inside the window; whether one to a later time does, the ledger does not tell
    if moved_to and is_long_enough and talk.start and moved_to.start <= talk.start:
        yield "R-9", f"{talk.id} was moved by hand within the rules, and deferred for it"


def judge_adhoc_time(talk: Talk, span: Span, people: People) -> Iterator[Fault]:
    """T-14: an ad hoc session comes within five working days; later only after a person was told that this fails."""
    if talk.was_reason_told:
        return
    zone = people[0].zone
    last = add_weekdays(get_local_date(zone, talk.created_at), 5)
    if talk.kind == "career" and get_local_date(zone, span.start) > last:
        yield "T-14", f"{talk.id}, asked for at {talk.created_at}, got {span.start}; {last} is the last day"


def judge_rhythm(talk: Talk, span: Span, careers: Sequence[Talk], people: People, now: datetime) -> Iterator[Fault]:
    """T-3, T-4: a session comes from two weeks before the day that the rhythm gives to three weeks after it.

    Where that is full, it may come one rhythm later. The three weeks of an overdue session count from today. Pairs with
    a series, or with another owed or deferred session, are not judged here: other rules move their day.
    """
    pair, zone = talk.pair, people[0].zone
    others = [other for other in careers if other is not talk and not other.adhoc]
    has_other_rules = any(o.state in OWED_STATES or (o.is_booked and o.deferral_count) for o in others)
    if pair.format is Format.SERIES or has_other_rules:
        return
    ends = [o.held_end for o in others if o.held_end]
    ends += [o.end for o in others if o.is_booked and o.end and o.end < span.start]
    anchor = max((get_local_date(zone, end) for end in ends), default=None)
    if anchor is None:
        return
    day, today = get_local_date(zone, span.start), get_local_date(zone, now)
    wanted_days = [add_interval(anchor, every) for every in list_rhythms(pair, anchor)]
    shifted_days = [move_after_adhoc(wanted, careers, zone) for wanted in wanted_days]
    allowance = timedelta(days=21) + _compute_extension(talk, anchor)
    allowance += compute_adhoc_allowance(max(*wanted_days, *shifted_days, today) + allowance, careers, zone)
    if not any(
        wanted - timedelta(days=14) <= day <= max(wanted, shifted, today) + allowance
        for wanted, shifted in zip(wanted_days, shifted_days, strict=True)
    ):
        yield "T-3", f"{talk.id} got {day}; after {anchor} the rhythm asks for {' or '.join(map(str, wanted_days))}"
    elif shifted_days != wanted_days and day < min(shifted_days):
        what = f"{talk.id} got {day}, less than three weeks after an ad hoc conversation"
        yield "T-14", f"{what}; {min(shifted_days)} was right"


def move_after_adhoc(day: date, careers: Iterable[Talk], zone: str) -> date:
    """T-14: the wanted day of a regular session, moved to three weeks after an ad hoc one shortly before it."""
    instants = [o.held_end or (o.end if o.is_booked else None) for o in careers if o.adhoc]
    ends = [get_local_date(zone, at) for at in instants if at]
    return max([day, *(end + GAP_AFTER_ADHOC for end in ends if end <= day < end + GAP_AFTER_ADHOC)])


def compute_adhoc_allowance(latest: date, careers: Sequence[Talk], zone: str) -> timedelta:
    """T-14: how much later than `latest` a regular session may be because of an ad hoc one.

    It may be later when the ad hoc session leaves less than two weeks of its window, or nothing.
    """
    days = (latest, latest - timedelta(days=14))
    return GAP_AFTER_ADHOC if any(move_after_adhoc(day, careers, zone) > day for day in days) else timedelta()


# --- first sessions (T-3a) ---


def find_first_notice(pair: Pair, manager: Person) -> datetime:
    """T-3a: the instant from which the two may hear of Longarc; long ago for a pair without a start."""
    day = pair.start - timedelta(days=7) if pair.start else date(2000, 1, 1)
    return wall_to_utc(manager.zone, day, 0)


def is_beginning(pair: Pair, today: date) -> bool:
    """T-3a: whether the pair starts in the future, or started less than five weeks before today or `first_seen`."""
    return pair.start is not None and pair.start > max(pair.first_seen, today) - timedelta(weeks=5)


def is_overdue(pair: Pair, last_held: datetime | None, today: date) -> bool:
    """T-3a: whether the pair never met, or the day that its rhythm gives is over.

    `last_held` is the end of its last regular session.
    """
    if last_held is None:
        return True
    day = last_held.date()
    return max(add_interval(day, every) for every in list_rhythms(pair, day)) < today


def find_turn(pair: Pair, team: Iterable[TeamPair], today: date) -> date:
    """T-3a: the day on which it is this pair's turn among the waiting pairs of its manager."""

    def order(one: TeamPair) -> tuple[bool, float, str]:
        """First reports in a transition, then those whose last career session is longest ago or never was."""
        until = one.pair.transition_until
        return (
            until is None or until < today,
            one.report_last_held.timestamp() if one.report_last_held else 0,
            one.pair.report,
        )

    waiting = [
        w
        for w in team
        if w.pair.id == pair.id or (not is_beginning(w.pair, today) and is_overdue(w.pair, w.last_held, today))
    ]
    ids = [one.pair.id for one in sorted(waiting, key=order)]
    # the turns lie evenly in one rhythm or 91 days, from two weeks ahead on and at most two weeks apart
    spread = min(91, max(_rhythm_days(pair, today)))
    step = min(14.0, max(spread - 14, 0) / len(ids))
    return today + timedelta(days=14 + int(ids.index(pair.id) * step))


def judge_first(
    talk: Talk, span: Span, team: Iterable[TeamPair], careers: Sequence[Talk], people: People, now: datetime
) -> Iterator[Fault]:
    """T-3a: a pair that begins meets two to five weeks after its start, any other pair around its turn.

    That is from two weeks before the turn to three weeks after it, or a quarter and a third of a shorter rhythm.
    """
    zone, pair = people[0].zone, talk.pair
    day, created, today = (get_local_date(zone, at) for at in (span.start, talk.created_at, now))
    if pair.start and is_beginning(pair, created):
        earliest, latest = pair.start + timedelta(weeks=2), pair.start + timedelta(weeks=5)
    else:
        target, days = find_turn(pair, team, created), max(_rhythm_days(pair, created))
        earliest = target - timedelta(days=min(14, days // 4))
        latest = move_after_adhoc(target, careers, zone) + timedelta(days=min(21, days // 3 + 1))
    if today + timedelta(days=4) > latest:  # its time is over, so it comes as soon as possible
        latest = today + timedelta(days=21)
    latest += compute_adhoc_allowance(latest, careers, zone)
    if not earliest <= day <= latest + _compute_extension(talk, created):
        yield "T-3a", f"{talk.id}, the first, got {day}; {earliest} to {latest} are allowed"


def judge_not_before_start(talk: Talk, span: Span, manager: Person) -> Iterator[Fault]:
    """T-3a, T-10: no regular session lies before the pair's start."""
    if talk.pair.start and not talk.adhoc and get_local_date(manager.zone, span.start) < talk.pair.start:
        yield "T-3a", f"{talk.id} got {span.start}, before the pair's start, {talk.pair.start}"


def judge_two_a_week(talk: Talk, span: Span, manager: Person, others: Iterable[Talk]) -> Iterator[Fault]:
    """T-3a: a manager has at most two first sessions from Monday to Sunday; those that were held count."""
    week = get_local_date(manager.zone, span.start).isocalendar()[:2]
    same = [
        other.id
        for other in others
        if other is not talk
        and other.is_first
        and other.start
        and other.pair.manager == manager.email
        and get_local_date(manager.zone, other.start).isocalendar()[:2] == week
    ]
    if talk.is_first and len(same) >= 2:
        yield "T-3a", f"{talk.id}, {span.start}, is a first session too many in its week, after {' and '.join(same)}"


def judge_series(talk: Talk, span: Span, careers: Sequence[Talk], people: People, now: datetime) -> Iterator[Fault]:
    """T-13, T-4: a part comes five to ten working days after the part before it, unless that one was deferred.

    Where those days are full, it may come one rhythm later.
    """
    before = {"direction": "now", "gap": "direction"}[talk.topic]
    part_before = next((one for one in reversed(careers) if one.topic == before), None)
    if part_before is None or part_before.end is None or part_before.deferral_count:
        return
    zone = people[0].zone
    day = get_local_date(zone, part_before.end)
    first, last = add_weekdays(day, 5), add_weekdays(day, 10)
    last = max(last, get_local_date(zone, now + 21 * DAY)) + _compute_extension(talk, day)
    if not first <= get_local_date(zone, span.start) <= last:
        yield "T-13", f"{talk.id} got {span.start}; after {before} on {day}, {first} to {last} are allowed"


def list_rhythms(pair: Pair, anchor: date) -> list[Interval]:
    """R-5: the rhythms that may follow a session of that day: the closer one in a transition, either near its end."""
    closer = Policy().transition_every
    if pair.transition_until is None or anchor >= pair.transition_until:
        return [pair.every]
    return [closer] if add_interval(anchor, closer) <= pair.transition_until else [closer, pair.every]


def add_interval(day: date, every: Interval) -> date:
    """Return the day so many weeks or months later; in a month that is too short, its last day."""
    if every.weeks:
        return day + timedelta(weeks=every.weeks)
    year, month = divmod(day.year * 12 + day.month - 1 + every.months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def judge_commitment(
    block: Block, manager: Person, now: datetime, talks: Iterable[Talk], blocks: Iterable[Block]
) -> Iterator[Fault]:
    """T-8: a block is half a free working hour on the day it is due or the working day before; else an all-day note."""
    day = get_local_date(manager.zone, block.span.start)
    if block.due:
        allowed = {max(block.due, get_local_date(manager.zone, now))}
        allowed |= set() if block.all_day else {add_working_days(manager, block.due, -1)}
        if day not in allowed:
            yield "T-8", f"{block.id}, due {block.due}, was put on {day}"
    if block.all_day:
        return
    if block.span.minutes != 30 or not is_working(manager, block.span):
        yield "T-8", f"{block.id} is not half an hour of working time: {block.span.start} to {block.span.end}"
    other_spans = [(t.id, t.span) for t in talks if t.is_booked and not t.is_in_1on1 and t.span]
    other_spans += [(b.id, b.span) for b in blocks if b.id != block.id and not b.all_day]
    for other_id, span in other_spans:
        if span.overlaps(block.span):
            yield "T-8", f"{block.id}, {block.span.start}, overlaps {other_id}"


# --- mails ---


def judge_recipient(name: str, to: str, pair: Pair) -> Iterator[Fault]:
    """R-23: each of the two gets only mails that are meant for this role."""
    if name in FOR_MANAGER:
        allowed = {pair.manager}
    else:
        allowed = {pair.report} if name == "reflection_prompt" else {pair.manager, pair.report}
    if name != "operator_alert" and to not in allowed:
        yield "R-23", f"{name} went to {to or 'nobody'}"


def find_due_instant(name: str, people: People, start: datetime) -> datetime:
    """T-5, T-6, T-9: when a preparing mail is due, if its reader is never out of office."""
    manager, report = people
    return _find_due_instant(name, report if PREPARING_MAILS[name].reader is Owner.REPORT else manager, start)


@lru_cache(maxsize=4096)
def _find_due_instant(name: str, person: Person, start: datetime) -> datetime:
    day = get_local_date(person.zone, start)
    # the begin of each working day, by how many days before the session it is
    begins = {n: spells[0].start for n in range(60) if (spells := list_spells(person, day - n * DAY))}
    if name == "reflection_prompt":
        # the last working day that is two to seven days before; if there is none, the last that is early enough
        usual = [n for n in begins if 2 <= n <= 7]
        return begins[min(usual or [n for n in begins if begins[n] + LAST_HOURS <= start])]
    if name == "brief":
        # the working day before; if that is more than three days before, the morning of the session
        days_before = min(n for n in begins if n)
        that_morning = begins.get(0)
        is_early = that_morning is not None and that_morning + timedelta(hours=1) + BUFFER <= start
        return that_morning if days_before > 3 and is_early and that_morning else begins[days_before]
    # a review note: the last working day that begins half an hour before the 1:1 or earlier
    return begins[min(n for n in begins if begins[n] + 2 * BUFFER <= start)]


def judge_preparing_mail(
    name: str, talk: Talk, people: People, now: datetime, latest: datetime | None, *, is_surely_present: bool
) -> Iterator[Fault]:
    """T-5, T-6, T-9: a preparing mail goes out when it is due, and once, unless the session moved far.

    When the session got its time after that, the mail goes out at `latest`, the reader's first working instant since;
    None when that is unknown. A reader who is not surely present may be out of office: then another day is right, too.
    """
    rule, _, least_lead = PREPARING_MAILS[name]
    start, booked_at = talk.start, talk.booked_at
    if start is None or booked_at is None:
        return
    due = find_due_instant(name, people, start)
    right = max(due, booked_at if latest is None else latest)
    if is_surely_present and not due <= now <= right + ALLOWED_DELAY:
        yield rule, f"{name} for {talk.id} went out at {now}; {right} was right"
    if start - now < least_lead:
        yield rule, f"{name} for {talk.id} went out at {now}, too late to be of use"
    if was_sent_for(name, talk, start, people):
        yield rule, f"{name} for {talk.id} went out once more, though it did not move far"


def was_sent_for(name: str, talk: Talk, start: datetime, people: People) -> bool:
    """Whether a mail of that name went out for this session, and for a start that is not far from this one."""
    return any(sent.start and not _is_far(name, sent.start, start, people[0]) for sent in talk.mails[name])


def _is_far(name: str, sent_for: datetime, start: datetime, manager: Person) -> bool:
    """Whether a session moved so far that it needs another mail (T-5, T-6, T-9)."""
    if name == "brief":
        first, last = sorted(get_local_date(manager.zone, at) for at in (sent_for, start))
        days = (first + n * DAY for n in range(1, (last - first).days + 1))
        return sum(is_working_day(manager, day) for day in days) > 3
    return abs(start - sent_for) > (NOTE_MOVED_FAR if name == "review_note" else MOVED_FAR)


def describe_untruth(name: str, talk: Talk, line: Line, now: datetime) -> str:
    """Return what is not true in a mail that was sent now; empty when all is true."""
    if talk.kind == "review" and name in ("deferral_notice", "booked_over_warning", "unplaceable"):
        return f"{talk.id} is a review, and moves without a mail (T-9)"
    if name in MAILS_OF_FUTURE_TIMES:
        if not talk.is_booked or talk.start is None or talk.start <= now:
            return f"{talk.id} is not booked for a time to come; it is {talk.state}"
        if "start" in line and parse_instant(line["start"]) != talk.start:
            return f"{talk.id} is booked for {talk.start}, not for {line['start']}"
    if name == "deferral_notice" and line.get("number", talk.deferral_count) != talk.deferral_count:
        return f"{talk.id} was deferred {talk.deferral_count} times, not {line['number']}"
    if name in ("contract_request", "contract_reminder") and talk.state != "held":
        return f"{talk.id} is {talk.state}"
    if name == "contract_summary" and talk.recorded_at is None:
        return f"no contract was recorded for {talk.id}"
    if name == "unplaceable" and not (talk.is_reason_told and talk.state in OWED_STATES):
        return f"{talk.id} is {talk.state}, and not unplaceable"
    return ""
