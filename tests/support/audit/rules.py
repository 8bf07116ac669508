"""The rules an audit holds a run to, one by one, without a state of their own.

Each takes what is known at that moment and yields what is wrong, with the name of the rule. They are written from the
rules of time alone; `tests.support.audit.auditor` reads the ledger and asks them.
"""

import calendar
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from tests.support.audit.known import Block, Line, Talk, instant
from worker.domain.model import DeferralCause, Format, Interval, Pair, Person, Policy, Span
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

#: The rule, and what is wrong.
Fault = tuple[str, str]
People = tuple[Person, Person]  #: manager and report

#: What is to happen "at once" happens within this.
TICK = timedelta(minutes=5)
DAY = timedelta(days=1)
GAP = timedelta(minutes=15)
CONTRACT = timedelta(hours=48)
LAST_HOURS = timedelta(hours=4)
#: A regular session follows an ad hoc one no sooner.
CLEAR = timedelta(weeks=3)
MOVED_FAR = timedelta(days=14)
#: A note is for the 1:1 of that day: another day is another note.
ANOTHER_DAY = timedelta(hours=12)

LENGTHS = {"career": (60, 90), "review": (20, 30), "checkin": (10, 15)}
OWED = ("owed", "deferred")
#: Mails ahead of a session: rule, for whom, and how long before it at least.
AHEAD = {
    "reflection_prompt": ("T-5", "report", LAST_HOURS),
    "brief": ("T-6", "manager", timedelta(hours=1)),
    "review_note": ("T-9", "manager", GAP),
}
#: Mails about a session, with the rule each breaks when it isn't true.
ABOUT = {
    **{name: rule for name, (rule, *_) in AHEAD.items()},
    "contract_request": "T-7",
    "contract_reminder": "T-7",
    "contract_summary": "R-15",
    "deferral_notice": "T-12",
    "booked_over_warning": "T-10",
    "unplaceable": "T-4",
    "short_session": "R-1",
}
#: Those of them that tell of a time to come.
OF_A_TIME = {*AHEAD, "deferral_notice", "booked_over_warning", "short_session"}
#: What only the manager is to read.
FOR_MANAGER = {"brief", "review_note", "contract_request", "contract_reminder", "short_session"}
#: What a human must have done before a session may be deferred for it.
ACTS = {"declined": "decline", "deleted": "delete", "not_held": "no_show", "moved_out": "move"}
#: What humans do that takes a session's time away however near it is.
LOSES_ITS_TIME = {"decline", "delete", "move"}
#: What never moves a session inside its last four hours.
BY_ITSELF = ("booked_over", "out_of_office", "holiday")


# --- a time that we gave ---


def length(talk: Talk, span: Span) -> Iterator[Fault]:
    """T-1, R-7; a wished length is never exceeded."""
    least, most = LENGTHS[talk.kind]
    if talk.kind == "career":
        most = max(min(most, talk.pair.minutes), least)
    if not least <= span.minutes <= most:
        yield "T-1", f"{talk.id} was given {span.minutes} minutes; {least} to {most} are allowed"


def hours(talk: Talk, span: Span, people: People) -> Iterator[Fault]:
    """T-2: on the quarter hour, in both people's working hours, on a working day of both."""
    if span.start.minute % 15 or span.start.second or span.start.microsecond:
        yield "T-2", f"{talk.id} starts off the quarter hour, at {span.start}"
    for person in people:
        name = find_holiday(person.country, get_local_date(person.zone, span.start))
        if not works(person, span):
            yield "T-2", f"{talk.id}, {span.start}, lies outside {person.email}'s working hours {name or ''}".rstrip()


def works(person: Person, span: Span) -> bool:
    """Whether the person works all the time of a span."""
    worked = sum((spell.end - spell.start for spell in list_working_spans(person, span)), timedelta())
    return worked == span.end - span.start


def neighbours(talk: Talk, span: Span, others: Iterable[Talk], blocks: Iterable[Block]) -> Iterator[Fault]:
    """T-2: over nothing of ours, and a quarter of an hour from it; blocks need only not be overlapped.

    The buffer of an ad hoc session may yield (T-14), and only its manager may know whether it had to.
    """
    gap = timedelta() if talk.adhoc else GAP
    wide = Span(span.start - gap, span.end + gap)
    for other in others:
        if other is talk or not other.booked or other.inside or other.start is None or other.end is None:
            continue
        if other.start < wide.end and wide.start < other.end:
            yield "T-2", f"{talk.id}, {span.start}, overlaps or touches {other.id}, {other.start}, of {other.pair.id}"
    for block in blocks:
        if not block.all_day and block.span.overlaps(span):
            yield "T-2", f"{talk.id}, {span.start}, overlaps the commitment {block.id}"


def one_a_day(talk: Talk, span: Span, manager: Person, others: Iterable[Talk]) -> Iterator[Fault]:
    """T-2: at most one career session a day per manager; one held that day counts."""
    day = get_local_date(manager.zone, span.start)
    for other in others:
        if other is talk or other.kind != "career" or other.start is None or abs(other.start - span.start) > 2 * DAY:
            continue
        if other.pair.manager == manager.email and get_local_date(manager.zone, other.start) == day:
            yield "T-2", f"{talk.id} is the manager's second career session on {day}, after {other.id}"


def after_deferral(talk: Talk, span: Span, careers: Sequence[Talk], people: People, now: datetime) -> Iterator[Fault]:
    """T-10: from two working days ahead, and five before the time it lost, to twenty after that time or today; as T-4
    opens it, one rhythm more. Not before half a rhythm after the last one held. An ad hoc one (T-14) may be sooner."""
    zone = people[0].zone
    today, day, lost = (get_local_date(zone, at) for at in (now, span.start, talk.lost or now))
    first = max(add_weekdays(today, 2), add_weekdays(lost, -10 if talk.left else -5))
    last = add_weekdays(max(today, lost), 20) + _opening(talk, today)
    if not (talk.adhoc or first <= day) or day > last:
        yield "T-10", f"{talk.id}, deferred, got {span.start}; {first} to {last} are allowed"
    if talk.kind == "career" and not talk.adhoc and talk.topic in ("all", "now"):
        earlier = [one for one in careers if one.asked < talk.asked and not one.adhoc]  # no parts of the same series
        held = max((one.held for one in earlier if one.held), default=None)
        if held and (span.start - held).days < min(_rhythm_days(talk.pair, held.date())) // 2:
            yield "T-10", f"{talk.id} got {span.start}, less than half a rhythm after {held}"


def _opening(talk: Talk, day: date) -> timedelta:
    """T-4: how far its window was opened: one rhythm, at least 13 weeks, and only where the booking says so."""
    return timedelta(days=max(91, *_rhythm_days(talk.pair, day)) if "after its window" in talk.reason else 0)


def one_rhythm_after(pair: Pair, start: datetime) -> datetime:
    """T-11: where a session is looked for that was left until the next quarter."""
    return start + timedelta(days=max(_rhythm_days(pair, start.date())))


def _rhythm_days(pair: Pair, day: date) -> list[int]:
    return [(plus(day, every) - day).days for every in rhythms(pair, day)]


def deferral(talk: Talk, cause: str, now: datetime, working: datetime | None) -> Iterator[Fault]:
    """T-10, T-11: for a cause there is, not in the last hours, not for a move that is respected, not before the day is
    over that a warning named. `working`: the manager's first working hour from now on; None when that is unknown."""
    left = (talk.start or now) - now
    if talk.kind == "review":
        yield "T-9", f"{talk.id}, a review, was deferred ({cause}); it only moves"
    if cause not in list(DeferralCause):
        yield "T-10", f"{talk.id} was deferred for no known cause: {cause or 'none'}"
    if cause in BY_ITSELF and left <= LAST_HOURS:
        yield "T-10", f"{talk.id} was deferred ({cause}) inside its last four hours"
    if cause == "booked_over" and talk.kind != "review":
        warned = [one.at for one in talk.mails["booked_over_warning"] if talk.since and one.at >= talk.since]
        could_wait = working is not None and talk.start is not None and talk.start - working >= CONTRACT
        if (warned and now - warned[-1] < DAY - TICK) or (could_wait and not warned):
            yield "T-10", f"{talk.id} was booked over, and did not wait a day after a warning"
    if cause == "booked_over" and talk.was_asked:
        yield "T-11", f"{talk.id} was booked over and moved by itself, though the two were asked"
    wish = talk.wish if cause == "moved_out" else None
    enough = wish is not None and (talk.kind != "career" or wish.minutes >= 45)
    if wish and enough and talk.start and wish.start <= talk.start:  # not later, so not past its window
        yield "R-9", f"{talk.id} was moved by hand within the rules, and deferred for it"


def soon(talk: Talk, span: Span, people: People) -> Iterator[Fault]:
    """T-14: within five working days of the asking; a later day only once a person knows that this can't be."""
    if talk.once_told:
        return
    zone = people[0].zone
    last = add_weekdays(get_local_date(zone, talk.asked), 5)
    if talk.kind == "career" and get_local_date(zone, span.start) > last:
        yield "T-14", f"{talk.id}, asked for at {talk.asked}, got {span.start}; {last} is the last day"


def rhythm(talk: Talk, span: Span, careers: Sequence[Talk], people: People, now: datetime) -> Iterator[Fault]:
    """T-3, T-4: from two weeks before the day that the rhythm gives to three after, or, where that is full, one rhythm
    more; what is overdue counts from today.

    Only where nothing else is open: a series, a deferred or a second owed session move the day by rules of their own.
    """
    pair, zone = talk.pair, people[0].zone
    others = [other for other in careers if other is not talk and not other.adhoc]
    if pair.format is Format.SERIES or any(o.state in OWED or (o.booked and o.count) for o in others):
        return
    ends = [o.held for o in others if o.held] + [o.end for o in others if o.booked and o.end and o.end < span.start]
    anchor = max((get_local_date(zone, end) for end in ends), default=None)
    if anchor is None:
        return
    day, days = get_local_date(zone, span.start), [plus(anchor, every) for every in rhythms(pair, anchor)]
    today, after = get_local_date(zone, now), timedelta(days=21) + _opening(talk, anchor)
    shifted = [after_adhoc(d, careers, zone) for d in days]
    after += make_way(max(*days, *shifted, today) + after, careers, zone)
    if not any(d - timedelta(days=14) <= day <= max(d, s, today) + after for d, s in zip(days, shifted, strict=True)):
        yield "T-3", f"{talk.id} got {day}; after {anchor} the rhythm asks for {' or '.join(map(str, days))}"
    elif shifted != days and day < min(shifted):
        yield (
            "T-14",
            f"{talk.id} got {day}, less than three weeks after an ad hoc conversation; {min(shifted)} was right",
        )


def after_adhoc(day: date, careers: Iterable[Talk], zone: str) -> date:
    """T-14: the day that a regular session is wanted, moved to three weeks after an ad hoc one shortly before it."""
    instants = [o.held or (o.end if o.booked else None) for o in careers if o.adhoc]
    ends = [get_local_date(zone, at) for at in instants if at]
    return max([day, *(end + CLEAR for end in ends if end <= day < end + CLEAR)])


def make_way(latest: date, careers: Sequence[Talk], zone: str) -> timedelta:
    """T-14: by how much a regular session may be later when an ad hoc one takes from it the last day that it may have,
    or leaves less than two weeks up to it."""
    days = (latest, latest - timedelta(days=14))
    return CLEAR if any(after_adhoc(day, careers, zone) > day for day in days) else timedelta()


# --- first sessions (T-3a) ---


class Waiting(NamedTuple):
    """A pair of a manager: when its last regular session was held, and when its report last had a career talk."""

    pair: Pair
    held: datetime | None
    talked: datetime | None


def notice(pair: Pair, manager: Person) -> datetime:
    """T-3a: from when on the two may hear of us; long ago for a pair without a start."""
    day = pair.start - timedelta(days=7) if pair.start else date(2000, 1, 1)
    return wall_to_utc(manager.zone, day, 0)


def begins(pair: Pair, today: date) -> bool:
    """T-3a: whether its start lies ahead, or less than five weeks before the pair was first seen, or ago."""
    return pair.start is not None and pair.start > max(pair.first_seen, today) - timedelta(weeks=5)


def overdue(pair: Pair, held: datetime | None, today: date) -> bool:
    """T-3a: whether it never met, or the day that its rhythm gives is over."""
    return held is None or max(plus(held.date(), every) for every in rhythms(pair, held.date())) < today


def turn(pair: Pair, team: Iterable[Waiting], today: date) -> date:
    """T-3a: the day on which it is this pair's turn among those of its manager that wait."""

    def order(one: Waiting) -> tuple[bool, float, str]:
        until = one.pair.transition_until
        return until is None or until < today, one.talked.timestamp() if one.talked else 0, one.pair.report

    waiting = [
        w for w in team if w.pair.id == pair.id or (not begins(w.pair, today) and overdue(w.pair, w.held, today))
    ]
    ids = [one.pair.id for one in sorted(waiting, key=order)]
    spread = min(91, max(_rhythm_days(pair, today)))
    step = min(14.0, max(spread - 14, 0) / len(ids))
    return today + timedelta(days=14 + int(ids.index(pair.id) * step))


def first(
    talk: Talk, span: Span, team: Iterable[Waiting], careers: Sequence[Talk], people: People, now: datetime
) -> Iterator[Fault]:
    """T-3a: two to five weeks after the start of a pair that begins, else around its turn; never before the start."""
    zone, pair = people[0].zone, talk.pair
    day, asked, today = (get_local_date(zone, at) for at in (span.start, talk.asked, now))
    if pair.start and begins(pair, asked):
        earliest, latest = pair.start + timedelta(weeks=2), pair.start + timedelta(weeks=5)
    else:
        target, days = turn(pair, team, asked), max(_rhythm_days(pair, asked))
        earliest = target - timedelta(days=min(14, days // 4))
        latest = after_adhoc(target, careers, zone) + timedelta(days=min(21, days // 3 + 1))
    if today + timedelta(days=4) > latest:  # its time is over: as soon as may be
        latest = today + timedelta(days=21)
    latest += make_way(latest, careers, zone)
    if not earliest <= day <= latest + _opening(talk, asked):
        yield "T-3a", f"{talk.id}, the first, got {day}; {earliest} to {latest} are allowed"


def not_before_start(talk: Talk, span: Span, manager: Person) -> Iterator[Fault]:
    """T-3a, T-10: no regular session lies before the pair's start."""
    if talk.pair.start and not talk.adhoc and get_local_date(manager.zone, span.start) < talk.pair.start:
        yield "T-3a", f"{talk.id} got {span.start}, before the pair's start, {talk.pair.start}"


def two_a_week(talk: Talk, span: Span, manager: Person, others: Iterable[Talk]) -> Iterator[Fault]:
    """T-3a: at most two first sessions of a manager from Monday to Sunday; those held count."""
    week = get_local_date(manager.zone, span.start).isocalendar()[:2]
    same = [
        other.id
        for other in others
        if other is not talk
        and other.first
        and other.start
        and other.pair.manager == manager.email
        and get_local_date(manager.zone, other.start).isocalendar()[:2] == week
    ]
    if talk.first and len(same) >= 2:
        yield "T-3a", f"{talk.id}, {span.start}, is a first session too many in its week, after {' and '.join(same)}"


def series(talk: Talk, span: Span, careers: Sequence[Talk], people: People, now: datetime) -> Iterator[Fault]:
    """T-13, T-4: five to ten working days after the part before, while neither was deferred, or, where those are full,
    one rhythm more."""
    before = {"direction": "now", "gap": "direction"}[talk.topic]
    part = next((one for one in reversed(careers) if one.topic == before), None)
    if part is None or part.end is None or part.count:
        return
    zone = people[0].zone
    day = get_local_date(zone, part.end)
    first, last = add_weekdays(day, 5), add_weekdays(day, 10)
    last = max(last, get_local_date(zone, now + 21 * DAY)) + _opening(talk, day)
    if not first <= get_local_date(zone, span.start) <= last:
        yield "T-13", f"{talk.id} got {span.start}; after {before} on {day}, {first} to {last} are allowed"


def rhythms(pair: Pair, anchor: date) -> list[Interval]:
    """R-5: the tighter one until the date; where the two meet, either."""
    tight = Policy().transition_every
    if pair.transition_until is None or anchor >= pair.transition_until:
        return [pair.every]
    return [tight] if plus(anchor, tight) <= pair.transition_until else [tight, pair.every]


def plus(day: date, every: Interval) -> date:
    """So many weeks or months on; a month too short gives its last day."""
    if every.weeks:
        return day + timedelta(weeks=every.weeks)
    year, month = divmod(day.year * 12 + day.month - 1 + every.months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def commitment(
    block: Block, manager: Person, now: datetime, others: Iterable[Talk], mine: Iterable[Block]
) -> Iterator[Fault]:
    """T-8: half an hour of working time, free, the working day before it is due or on it; else a note for the day."""
    day = get_local_date(manager.zone, block.span.start)
    if block.due:
        allowed = {max(block.due, get_local_date(manager.zone, now))}
        allowed |= set() if block.all_day else {add_working_days(manager, block.due, -1)}
        if day not in allowed:
            yield "T-8", f"{block.id}, due {block.due}, was put on {day}"
    if block.all_day:
        return
    if block.span.minutes != 30 or not works(manager, block.span):
        yield "T-8", f"{block.id} is not half an hour of working time: {block.span.start} to {block.span.end}"
    spans = [(o.id, o.span) for o in others if o.booked and not o.inside and o.span]
    spans += [(o.id, o.span) for o in mine if o.id != block.id and not o.all_day]
    for other, span in spans:
        if span.overlaps(block.span):
            yield "T-8", f"{block.id}, {block.span.start}, overlaps {other}"


# --- mails ---


def audience(name: str, to: str, pair: Pair) -> Iterator[Fault]:
    """R-23: each of the two sees only what is theirs."""
    allowed = {pair.manager} if name in FOR_MANAGER else {pair.manager, pair.report}
    allowed = {pair.report} if name == "reflection_prompt" else allowed
    if name != "operator_alert" and to not in allowed:
        yield "R-23", f"{name} went to {to or 'nobody'}"


def ahead_at(name: str, people: People, start: datetime) -> datetime:
    """T-5, T-6, T-9: the instant at which a mail ahead of a session is due, to somebody who is never out of office."""
    return _ahead_at(name, people[AHEAD[name][1] == "report"], start)


@lru_cache(maxsize=4096)
def _ahead_at(name: str, person: Person, start: datetime) -> datetime:
    day = get_local_date(person.zone, start)
    begins = {n: spells[0].start for n in range(60) if (spells := list_spells(person, day - n * DAY))}
    if name == "reflection_prompt":
        asked = [n for n in begins if 2 <= n <= 7] or [n for n in begins if begins[n] + LAST_HOURS <= start]
        return begins[min(asked)]
    if name == "brief":
        before = min(n for n in begins if n)
        that_morning = begins.get(0)
        late = before > 3 and that_morning is not None and that_morning + timedelta(hours=1) + GAP <= start
        return that_morning if late and that_morning else begins[before]
    return begins[min(n for n in begins if begins[n] + 2 * GAP <= start)]


def ahead(
    name: str, talk: Talk, people: People, now: datetime, latest: datetime | None, *, surely_in: bool
) -> Iterator[Fault]:
    """T-5, T-6, T-9: at its instant, or, when the time was given later, at `latest`, the first instant of the reader's
    hours since; once, unless moved far. Whoever is not `surely_in` may be out of office: another day is right then."""
    rule, _, lead = AHEAD[name]
    start, since = talk.start, talk.since
    if start is None or since is None:
        return
    due = ahead_at(name, people, start)
    right = max(due, latest or due, since if latest is None else due)
    if surely_in and not due <= now <= right + TICK:
        yield rule, f"{name} for {talk.id} went out at {now}; {right} was right"
    if start - now < lead:
        yield rule, f"{name} for {talk.id} went out at {now}, too late to be of use"
    if told_of(name, talk, start, people):
        yield rule, f"{name} for {talk.id} went out once more, though it did not move far"


def told_of(name: str, talk: Talk, start: datetime, people: People) -> bool:
    """Whether a mail that went out for this session is good for a session at this time."""
    return any(sent.start and not _is_far(name, sent.start, start, people[0]) for sent in talk.mails[name])


def _is_far(name: str, was: datetime, start: datetime, manager: Person) -> bool:
    """T-5: more than 14 days; T-6: more than three of the manager's working days."""
    if name == "brief":
        first, last = sorted(get_local_date(manager.zone, at) for at in (was, start))
        days = (first + n * DAY for n in range(1, (last - first).days + 1))
        return sum(is_working_day(manager, day) for day in days) > 3
    return abs(start - was) > (ANOTHER_DAY if name == "review_note" else MOVED_FAR)


def untrue(name: str, talk: Talk, line: Line, now: datetime) -> str:
    """What is not true in a mail that was sent; empty when all is."""
    if talk.kind == "review" and name in ("deferral_notice", "booked_over_warning", "unplaceable"):
        return f"{talk.id} is a review, and moves without a mail (T-9)"
    if name in OF_A_TIME:
        if not talk.booked or talk.start is None or talk.start <= now:
            return f"{talk.id} is not booked for a time to come; it is {talk.state}"
        if "start" in line and instant(line["start"]) != talk.start:
            return f"{talk.id} is booked for {talk.start}, not for {line['start']}"
    if name == "deferral_notice" and line.get("number", talk.count) != talk.count:
        return f"{talk.id} was deferred {talk.count} times, not {line['number']}"
    if name in ("contract_request", "contract_reminder") and talk.state != "held":
        return f"{talk.id} is {talk.state}"
    if name == "contract_summary" and talk.recorded is None:
        return f"no contract was recorded for {talk.id}"
    if name == "unplaceable" and not (talk.why_told and talk.state in OWED):
        return f"{talk.id} is {talk.state}, and not unplaceable"
    return ""
