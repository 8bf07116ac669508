"""Counts of a ledger. A count of faults lists each one in words, so that it can be looked up in the ledger.

They check the rules of time as a person would do with the ledger and the calendars. They use only the model and the
arithmetic of working hours of the product.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import combinations, pairwise
from typing import Any
from zoneinfo import ZoneInfo

from tests.support.audit.known import Line, parse_instant
from tests.support.counts.history import (
    PARTS,
    Conversation,
    History,
    SessionHistory,
    compute_shortest_rhythm,
    read_history,
)
from worker.domain.model import Address, Pair, Person, Span
from worker.domain.time.worktime import list_spells

DAY = timedelta(days=1)
#: A session gets no time that is earlier by more than this than the time it lost (T-10).
MAX_EARLIER = 14 * DAY
#: The parts of a series that a person put out of order may stay so until the program has read the calendar.
MAX_DISORDER = DAY
#: T-16: a mail about a change this near may come at any hour.
NEAR_CHANGE = DAY
#: T-16: three mails a day, and the overflow mail with the mails of the day before that were too many.
MAX_MAILS_A_DAY = 4
#: T-16: mails that may come at any hour.
MAILS_AT_ONCE = frozenset(
    {"invitation", "invitation_withdrawn", "contract_request", "contract_summary", "operator_alert", "fresh_link"}
)
#: T-16: mails that do not count for the most mails a day.
UNCOUNTED_MAILS = MAILS_AT_ONCE | {"contract_reminder"}
#: Mails that a session's time is lost, in danger or changed.
CHANGE_MAILS = frozenset({"deferral_notice", "booked_over_warning", "unplaceable", "short_session"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Year:
    """The people and pairs of a simulated company, and its time: what a ledger does not tell."""

    persons: Mapping[Address, Person]
    pairs: Mapping[str, Pair]  #: as a ledger names them
    away: Mapping[Address, tuple[Span, ...]]  #: absences, as the calendars show them at the end
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Counts:
    """All counts of one ledger. Lists hold one text for each fault."""

    rebooked_long_before: tuple[str, ...]  #: sessions that got a time long before the one they lost
    too_close: tuple[str, ...]  #: conversations less than half a rhythm apart
    out_of_order: tuple[str, ...]  #: parts of a series before the part that they follow
    before_start: tuple[str, ...]  #: conversations before the start of their pair
    reviews_without_reason: tuple[str, ...]  #: reviews without a contract to review
    review_notices: tuple[str, ...]  #: mails about a change of a review, which should move without a mail
    outside_hours: tuple[str, ...]  #: mails outside working hours that could have waited
    waitable_mails: int  #: mails that may wait for working hours
    crowded_days: tuple[str, ...]  #: days on which a person got too many mails
    mails: int
    conversations: int  #: regular conversations held
    promised: float  #: regular conversations that the rhythms promise

    @property
    def outside_share(self) -> float:
        """Of the mails that may wait for working hours, the part that did not."""
        return len(self.outside_hours) / self.waitable_mails if self.waitable_mails else 0.0

    @property
    def mails_per_conversation(self) -> float:
        """All mails for each regular conversation held."""
        return self.mails / self.conversations if self.conversations else float("inf")

    @property
    def held_share(self) -> float:
        """The part of the promised conversations that was held."""
        return self.conversations / self.promised if self.promised else 1.0


def count_ledger(lines: Iterable[Line], year: Year) -> Counts:
    """Return every count of a ledger that tells of the time from `year.start` to `year.end`."""
    history = read_history(lines)
    conversations = history.list_conversations()
    all_held = [c for each in conversations.values() for c in each if c.find_held_span()]
    waitable = [mail for mail in history.mails if can_wait(mail, history)]
    return Counts(
        rebooked_long_before=tuple(_list_rebooked_long_before(history)),
        too_close=tuple(_list_too_close(conversations, year)),
        out_of_order=tuple(_list_out_of_order(conversations, year)),
        before_start=tuple(_list_before_start(history, year)),
        reviews_without_reason=tuple(_list_reviews_without_reason(history, conversations)),
        review_notices=tuple(_list_review_notices(history)),
        outside_hours=tuple(_describe(mail) for mail in waitable if not is_in_working_hours(mail, year)),
        waitable_mails=len(waitable),
        crowded_days=tuple(_list_crowded_days(history, year)),
        mails=len(history.mails),
        conversations=len(all_held),
        promised=sum(compute_promised(pair, year) for pair in year.pairs.values()),
    )


def add_counts(several: Iterable[Counts]) -> Counts:
    """Return the counts of several ledgers together."""
    listed = list(several)
    fields = Counts.__dataclass_fields__
    # lists are joined, and numbers added: the sum of each field begins with an empty list or with zero
    empty: dict[str, Any] = {name: () if "tuple" in str(field.type) else 0 for name, field in fields.items()}
    return Counts(**{name: sum((getattr(one, name) for one in listed), start) for name, start in empty.items()})


# --- sessions ---


def _list_rebooked_long_before(history: History) -> Iterator[str]:
    """T-10, T-13: times that the program gave to a session long before the lost one; not those that people chose."""
    for session in history.iter_regular():
        lost: datetime | None = None
        for step in session.steps:
            if step.state == "deferred" and step.cause == "not_held":
                lost = step.at
            elif step.state == "booked" and step.start is not None:
                if lost is not None and step.cause != "moved" and lost - step.start > MAX_EARLIER:
                    yield f"{session.pair} {session.id}: {lost} became {step.start} at {step.at}"
                lost = step.start


def _list_too_close(conversations: Mapping[str, list[Conversation]], year: Year) -> Iterator[str]:
    """T-10: conversations held less than half a rhythm after the one before."""
    for pair, each in conversations.items():
        half = compute_shortest_rhythm(year.pairs[pair]) / 2
        spans = sorted(span for conversation in each if (span := conversation.find_held_span()))
        for (_, end), (start, _) in pairwise(spans):
            if start - end < half:
                yield f"{pair}: {start} came {(start - end).days} days after {end}"


def _list_out_of_order(conversations: Mapping[str, list[Conversation]], year: Year) -> Iterator[str]:
    """T-13: parts that were held, or were on the calendar for more than a day, before the part that they follow."""
    for conversation in (one for each in conversations.values() for one in each):
        parts = sorted(conversation.parts, key=lambda part: PARTS.index(part.topic) if part.topic in PARTS else 0)
        for first, second in combinations(parts, 2):
            since: datetime | None = None
            moments = sorted({step.at for step in (*first.steps, *second.steps)} | {year.end})
            for moment, following in pairwise(moments):
                if not _is_reversed(first, second, moment):
                    since = None
                    continue
                since = since or moment
                if following - since > MAX_DISORDER:
                    yield f"{first.pair}: {second.id} ({second.topic}) before {first.id} ({first.topic}) at {moment}"
                    break


def _is_reversed(first: SessionHistory, second: SessionHistory, at: datetime) -> bool:
    """Whether, as known at that instant, the second part comes before the first."""
    first_step, second_step = first.find_step(at), second.find_step(at)
    if first_step is None or second_step is None:
        return False
    first_start, second_start = (
        None if step.state in ("owed", "deferred", "cancelled") else step.start for step in (first_step, second_step)
    )
    if second_start is not None and first_start is None:
        return first_step.state in ("owed", "deferred") and second_start < at
    return first_start is not None and second_start is not None and second_start < first_start


def _list_before_start(history: History, year: Year) -> Iterator[str]:
    """T-10: conversations before the first day of the two together."""
    for session in history.sessions.values():
        pair = year.pairs[session.pair]
        zone = ZoneInfo(year.persons[pair.manager].zone)
        starts = {step.start for step in session.steps if step.state in ("booked", "held") and step.start}
        if pair.start is not None and session.kind == "career" and pair.start > year.start.date():
            for start in sorted(starts):
                if start.astimezone(zone).date() < pair.start:
                    yield f"{session.pair} {session.id}: {start} is before {pair.start}"


# --- reviews ---


def _list_reviews_without_reason(history: History, conversations: Mapping[str, list[Conversation]]) -> Iterator[str]:
    """T-9: reviews that were held though there was no contract to review, or a newer one since they were placed."""
    contracts: dict[str, list[datetime]] = defaultdict(list)
    for session in history.sessions.values():
        contracts[session.pair] += [step.at for step in session.steps if step.state == "contracted"][:1]
    for review in (session for session in history.sessions.values() if session.kind == "review"):
        held = review.find_held_step()
        if held is None or held.start is None:
            continue
        before = [at for at in contracts[review.pair] if at <= held.start]
        ends = [span[1] for one in conversations.get(review.pair, []) if (span := one.find_held_span())]
        last_end = max((end for end in ends if end <= held.start), default=None)
        if not before:
            yield f"{review.pair} {review.id}: {held.start} has no contract to review"
        elif max(before) > review.steps[0].at:
            yield f"{review.pair} {review.id}: {held.start} is of a contract that was replaced at {max(before)}"
        elif last_end is not None and max(before) < last_end:
            yield f"{review.pair} {review.id}: {held.start} comes after {last_end}, which left no contract"


def _list_review_notices(history: History) -> Iterator[str]:
    """T-9: mails that a review lost its time, is in danger, or has none."""
    for mail in history.mails:
        session = history.sessions.get(mail.get("session", ""))
        if session is not None and session.kind == "review" and mail["message"] in CHANGE_MAILS:
            yield _describe(mail)


# --- mails ---


def changes_next_day(mail: Line, history: History) -> bool:
    """Whether a mail tells of a change of a session whose old or new time is less than a day ahead (T-16)."""
    session = history.sessions.get(mail.get("session", ""))
    if session is None or mail["message"] not in CHANGE_MAILS:
        return False
    at = parse_instant(mail["at"])
    step = session.find_step(at)
    starts = [session.find_lost_start(at), step.start if step else None]
    return any(start is not None and timedelta() <= start - at <= NEAR_CHANGE for start in starts)


def can_wait(mail: Line, history: History) -> bool:
    """Whether a mail may wait for its reader's working hours (T-16)."""
    return mail["message"] not in MAILS_AT_ONCE and not changes_next_day(mail, history)


def is_in_working_hours(mail: Line, year: Year) -> bool:
    """Whether a mail leaves in its reader's working hours, on no public holiday, when they are not out of office."""
    reader, at = year.persons[mail["to"]], parse_instant(mail["at"])
    day = at.astimezone(ZoneInfo(reader.zone)).date()
    spells = [spell for each in (day - DAY, day) for spell in list_spells(reader, each)]
    away = year.away.get(reader.email, ())
    return any(s.start <= at <= s.end for s in spells) and not any(s.start <= at < s.end for s in away)


def _list_crowded_days(history: History, year: Year) -> Iterator[str]:
    """T-16: days of a person, in their zone, with more mails than are allowed."""
    counts: Counter[tuple[Address, date]] = Counter()
    for mail in history.mails:
        if (
            mail["message"] not in UNCOUNTED_MAILS
            and mail["to"] in year.persons
            and not changes_next_day(mail, history)
        ):
            zone = ZoneInfo(year.persons[mail["to"]].zone)
            counts[mail["to"], parse_instant(mail["at"]).astimezone(zone).date()] += 1
    yield from (f"{to} got {n} mails on {day}" for (to, day), n in sorted(counts.items()) if n > MAX_MAILS_A_DAY)


def _describe(mail: Line) -> str:
    return " ".join(str(mail.get(name, "")) for name in ("at", "message", "to", "session")).strip()


# --- conversations and the table ---


def compute_promised(pair: Pair, year: Year) -> float:
    """Return how many rhythms of the pair fit into the time from its start, or from when it was first seen."""
    first = max(pair.first_seen, pair.start or pair.first_seen)
    rhythm = timedelta(weeks=pair.every.weeks) if pair.every.weeks else timedelta(days=365.25 / 12 * pair.every.months)
    return max((year.end.date() - first) / rhythm, 0.0)


#: For the printed table: what is counted, its value, whether that value is as good as promised, and the promised value.
ROWS: tuple[tuple[str, Callable[[Counts], float], Callable[[float], bool], str], ...] = (
    ("rebooked more than 14 days before the lost time", lambda c: len(c.rebooked_long_before), lambda v: v == 0, "0"),
    ("conversations less than half a rhythm apart", lambda c: len(c.too_close), lambda v: v == 0, "0"),
    ("series out of order", lambda c: len(c.out_of_order), lambda v: v == 0, "0"),
    ("conversations before `start`", lambda c: len(c.before_start), lambda v: v == 0, "0"),
    ("reviews without a contract to review", lambda c: len(c.reviews_without_reason), lambda v: v == 0, "0"),
    ("notices about reviews", lambda c: len(c.review_notices), lambda v: v == 0, "0"),
    ("mails outside working hours that could wait, %", lambda c: 100 * c.outside_share, lambda v: v <= 2, "≤ 2"),
    ("days with more than 4 mails to one person", lambda c: len(c.crowded_days), lambda v: v == 0, "0"),
    ("mails for each regular conversation", lambda c: c.mails_per_conversation, lambda v: v <= 8.5, "≤ 8.5"),
    ("conversations held of those promised, %", lambda c: 100 * c.held_share, lambda v: v >= 95, "≥ 95"),
)


def format_table(columns: Mapping[str, Counts]) -> str:
    """Return a Markdown table: a row for each count, a column for each company or kind of people."""
    lines = [f"| what | promised | {' | '.join(columns)} |", "|---|---" + "|---" * len(columns) + "|"]
    for name, measure, _, bound in ROWS:
        values = " | ".join(f"{measure(counts):.3g}" for counts in columns.values())
        lines.append(f"| {name} | {bound} | {values} |")
    return "\n".join(lines) + "\n"
