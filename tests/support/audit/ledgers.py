"""Ledgers to test the auditor with: a quarter without faults, written by hand, and changes that break one rule.

Functions named by a noun, such as `session` or `mail`, return a line of a ledger. `drop`, `edit` and others named by a
verb return a change, which is a function from one ledger to another.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from tests.support.audit.auditor import Violation, audit
from worker.domain.model import Pair, Person
from worker.domain.time.worktime import parse_hours

Line = dict[str, Any]
#: Returns a changed ledger.
Change = Callable[[list[Line]], list[Line]]

#: A manager (M), and three reports (R, R2, R3).
M, R, R2, R3 = "maya@example.com", "robin@example.com", "sasha@example.com", "toni@example.com"
FIRST_PAIR_NAME, SECOND_PAIR_NAME = f"{M}>{R}", f"{M}>{R2}"  # as a ledger names pairs
OFFICE_HOURS = parse_hours("Mon-Fri 09:00-17:00")
PERSONS = {
    M: Person(email=M, name="Maya", zone="Europe/London", country="GB-ENG", hours=OFFICE_HOURS),
    R: Person(email=R, name="Robin", zone="Europe/Berlin", country="DE-BE", hours=OFFICE_HOURS),
    R2: Person(email=R2, name="Sasha", zone="Europe/London", country="GB-ENG", hours=OFFICE_HOURS),
    R3: Person(email=R3, name="Toni", zone="Europe/London", country="GB-ENG", hours=OFFICE_HOURS),
}
START, END = datetime(2026, 9, 7, 5, tzinfo=UTC), datetime(2026, 12, 31, tzinfo=UTC)
FIRST_PAIR = Pair(manager=M, report=R, first_seen=date(2026, 9, 7), start=date(2026, 6, 15))
SECOND_PAIR = Pair(manager=M, report=R2, first_seen=date(2026, 9, 7), start=date(2026, 9, 1))


# --- writing a ledger ---


def stamp(text: str) -> str:
    """Return an instant as the ledger writes it, for a text such as `09-07 05:00`; the year is 2026 unless given."""
    return datetime.fromisoformat(text if text[:2] == "20" else f"2026-{text}").strftime("%Y-%m-%dT%H:%M:%SZ")


def line(at: str, what: str, session: str = "", start: str = "", minutes: int = 75, **fields: Any) -> Line:
    """Return a line of the first pair; `start` and `minutes` give it a time."""
    fixed: Line = {"at": stamp(at), "what": what, "pair": FIRST_PAIR_NAME, **({"session": session} if session else {})}
    if start:
        end = datetime.fromisoformat(stamp(start)) + timedelta(minutes=minutes)
        fixed |= {"start": stamp(start), "end": f"{end:%Y-%m-%dT%H:%M:%SZ}"}
    return fixed | fields


def session(at: str, name: str, state: str, start: str = "", minutes: int = 75, **fields: Any) -> Line:
    """Return a line about a session, which is a review when its name begins with `r`."""
    usual = {"state": state, "kind": "review" if name[0] == "r" else "career", "topic": "all", "count": 0}
    return line(at, "session", name, start, minutes, **usual | fields)


def event(at: str, what: str, key: str, start: str, minutes: int = 75, **fields: Any) -> Line:
    """Return a line about an event; `what` is `create`, `update` or `cancel`."""
    usual = {"kind": "career", "calendar": M, "attendees": [R], "key": key}
    return line(at, f"event.{what}", key.partition(".")[0], start, minutes, **usual | fields)


def mail(at: str, message: str, to: str, name: str = "", start: str = "", **fields: Any) -> Line:
    """Return a line about a mail of the kind `message`; `name` is its session."""
    usual = {"message": message, "to": to, "from": "longarc@example.com", "message_id": f"{message}-{at}-{to}"}
    return line(at, "mail", name, start, **usual | fields)


def offer(at: str, name: str, until: str = "", *starts: str) -> Line:
    """Return a line about an offer of these times that is open until then; without times, about its end."""
    if not starts:
        return line(at, "offer", name, state="ended")
    spans = [line(at, "", name, start, 75) for start in starts]
    times = " ".join(f"{span['start']}/{span['end']}" for span in spans)
    return line(at, "offer", name, state="open", times=times, until=stamp(until))


def introduction(at: str) -> Line:
    """Return a line about the introduction of the manager, which is one mail for all pairs."""
    return personal_mail(at, "introduction", M)


def personal_mail(at: str, message: str, to: str) -> Line:
    """Return a line about a mail that belongs to no single pair."""
    sent = mail(at, message, to)
    return {name: value for name, value in sent.items() if name != "pair"}


def human(at: str, act: str, name: str, start: str = "", minutes: int = 75, **fields: Any) -> Line:
    """Return a line about what somebody did; `name` is the session or commitment."""
    return line(at, "human", name, start, minutes, act=act, **fields)


def first_booking(at: str, name: str, start: str, minutes: int = 75, **fields: Any) -> list[Line]:
    """Return the lines by which a session gets its first time and its event."""
    kind = {"kind": fields["kind"]} if "kind" in fields else {}
    booked = session(at, name, "booked", start, minutes, key=f"{name}.1", reason="It is near the target.", **fields)
    return [booked, event(at, "create", f"{name}.1", start, minutes, **kind)]


def make_good_quarter() -> list[Line]:
    """Return a quarter without faults: a declined session, then held, with a contract; and one without a contract."""
    first, second, third = "09-17 09:00", "12-16 10:00", "2027-03-16 10:00"
    block = {"kind": "commitment", "attendees": [], "due": "2026-10-01"}
    return [
        *first_booking("09-07 05:00", "c1", "09-15 09:00"),
        mail("09-07 07:00", "introduction", R),
        introduction("09-07 08:00"),
        human("09-08 08:00", "decline", "c1", "09-15 09:00", calendar=R),
        session("09-08 08:00", "c1", "deferred", count=1, cause="declined", who=R),
        session("09-08 08:00", "c1", "booked", first, count=1, key="c1.1", reason="It is soon."),
        event("09-08 08:00", "update", "c1.1", first),
        offer("09-08 08:00", "c1", "2026-09-11 16:00", first, "09-18 09:00", "09-16 09:00"),
        mail("09-08 08:00", "deferral_notice", M, "c1", first, number=1),
        mail("09-08 08:00", "deferral_notice", R, "c1", first, number=1),
        offer("09-11 16:00", "c1"),
        mail("09-15 07:00", "reflection_prompt", R, "c1", first),
        mail("09-16 08:00", "brief", M, "c1", first),
        session("09-17 10:15", "c1", "held", first, count=1),
        *first_booking("09-17 10:15", "c2", "12-15 10:00"),
        mail("09-17 10:15", "contract_request", M, "c1", first),
        mail("09-18 08:00", "contract_reminder", M, "c1", first, number=1),
        human("09-18 14:00", "record_contract", "c1", first),
        session("09-18 14:00", "c1", "contracted", first, count=1),
        mail("09-18 14:00", "contract_summary", M, "c1", first),
        mail("09-18 14:00", "contract_summary", R, "c1", first),
        event("09-18 14:00", "create", "p1.1", "09-30 10:00", 30, **block),
        *first_booking("09-18 14:00", "r1", "10-19 09:00", 25, kind="review"),
        mail("10-01 08:00", "commitment_due", M, due="2026-10-01"),
        human("10-01 09:00", "complete", "p1", due="2026-10-01"),
        event("10-01 09:00", "cancel", "p1.1", "09-30 10:00", 30, **block),
        mail("10-19 08:00", "review_note", M, "r1", "10-19 09:00"),
        session("10-19 09:25", "r1", "held", "10-19 09:00", 25),
        human("12-01 11:00", "move", "c2", second, calendar=M),
        session("12-01 11:00", "c2", "booked", second, cause="moved", reason="Moved by hand; respected."),
        mail("12-14 08:00", "reflection_prompt", R, "c2", second, number=1),
        mail("12-15 09:00", "brief", M, "c2", second),
        session("12-16 11:15", "c2", "held", second),
        *first_booking("12-16 11:15", "c3", third),
        mail("12-16 11:15", "contract_request", M, "c2", second),
        mail("12-17 10:00", "contract_reminder", M, "c2", second, number=1),
        mail("12-18 09:00", "contract_reminder", M, "c2", second, number=2),
        mail("12-21 10:00", "contract_reminder", M, "c2", second, number=3),
        mail("12-22 10:00", "contract_reminder", M, "c2", second, number=4),
        mail("12-23 10:00", "contract_reminder", M, "c2", second, number=5),
        session("12-24 10:00", "c2", "unfinished", second),
    ]


# --- changing a ledger ---


def matches(one: Line, match: Line) -> bool:
    """Whether a line has all these fields."""
    return all(one.get(name) == (stamp(value) if name == "at" else value) for name, value in match.items())


def drop(**match: Any) -> Change:
    """Return a change that removes the lines that match; there has to be one."""

    def change(lines: list[Line]) -> list[Line]:
        assert any(matches(one, match) for one in lines)
        return [one for one in lines if not matches(one, match)]

    return change


def edit(match: Line, **fields: Any) -> Change:
    """Return a change of these fields in the lines that match; there has to be one."""

    def change(lines: list[Line]) -> list[Line]:
        assert any(matches(one, match) for one in lines)
        changed = [{**one, **fields} if matches(one, match) else one for one in lines]
        return sorted(changed, key=lambda one: str(one["at"]))

    return change


def add(*more: Line) -> Change:
    """Return a change that adds lines, each behind those of the same instant."""
    return lambda lines: sorted([*lines, *more], key=lambda one: str(one["at"]))


def combine(*changes: Change) -> Change:
    """Return a change that makes all these changes, one after the other."""

    def change_all(lines: list[Line]) -> list[Line]:
        for change in changes:
            lines = change(lines)
        return lines

    return change_all


def cut_after(at: str) -> Change:
    """Return a change that removes the lines after that instant."""
    return lambda lines: [one for one in lines if one["at"] <= stamp(at)]


def find_violations(lines: list[Line], *pairs: Pair, end: datetime = END) -> list[Violation]:
    """Audit a ledger of these pairs, or of the first pair; return what is wrong."""
    audited_pairs = {pair.id: pair for pair in pairs or (FIRST_PAIR,)}
    return audit(lines, PERSONS, audited_pairs, start=START, end=end)


def replace_time(at: str, old_start: str, start: str, minutes: int = 75) -> Change:
    """Return a change that cuts the ledger after an instant, and changes the time that the program gave then."""
    span = {"start": stamp(start), "end": line(at, "", "", start, minutes)["end"]}
    match = {"at": at, "start": stamp(old_start)}
    return lambda lines: [
        {**one, **span} if one["what"] != "human" and matches(one, match) else one for one in cut_after(at)(lines)
    ]


def set_moved_length(minutes: int) -> Change:
    """Return a change that cuts the ledger after the second session was moved, and changes its length."""
    end = line("12-01 11:00", "", "", "12-16 10:00", minutes)["end"]
    second = stamp("12-16 10:00")  # the time to which the second session was moved
    return lambda lines: [
        {**one, "end": end} if one.get("start") == second else one for one in cut_after("12-01 11:00")(lines)
    ]


def find_end(lines: list[Line]) -> datetime:
    """Return the end of the audit: of the whole time, or half an hour after the last line of a ledger that was cut."""
    last = str(lines[-1]["at"]) if lines else stamp("12-31 00:00")
    return END if last >= stamp("12-20 00:00") else datetime.fromisoformat(last) + timedelta(minutes=30)


def list_broken_rules(*lines: Line, pairs: tuple[Pair, ...] = (FIRST_PAIR,), last_line_at: str = "") -> list[str]:
    """Return the rules broken in a ledger, sorted. The audit ends half an hour after the last line.

    `last_line_at`: the instant of one more line, which tells nothing, so that the audit lasts longer.
    """
    ledger = [*lines, *([line(last_line_at, "warning")] if last_line_at else [])]
    return sorted({violation.rule for violation in find_violations(ledger, *pairs, end=find_end(ledger))})


def of_other_pair(*lines: Line) -> list[Line]:
    """Return the same lines about the second pair, of M and R2."""
    return [{**one, "pair": SECOND_PAIR_NAME, **({"attendees": [R2]} if one.get("attendees") else {})} for one in lines]


#: The first session of the first pair gets its time: 75 minutes from 09:00 UTC on Tuesday, 15 September.
BOOKED = first_booking("09-07 05:00", "c1", "09-15 09:00")
#: The mails that prepare the first session.
PREPARED = [
    mail("09-11 07:00", "reflection_prompt", R, "c1", "09-15 09:00"),
    mail("09-14 08:00", "brief", M, "c1", "09-15 09:00"),
]
#: Fields of a line about a career session that lost no time yet.
CAREER_FIELDS: Line = {"kind": "career", "count": 0}
#: The first session from its booking to the request for its contract.
HELD_AND_ASKED = [
    *BOOKED,
    *(mail("09-07 08:00", "introduction", R), introduction("09-07 08:00")),
    *PREPARED,
    session("09-15 10:15", "c1", "held", "09-15 09:00"),
    mail("09-15 10:15", "contract_request", M, "c1", "09-15 09:00"),
]
