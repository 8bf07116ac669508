"""The auditor earns its trust here: a good quarter yields nothing, and each promise broken in it is named.

Every case takes the good quarter and breaks one thing. What the auditor says then has to be exactly what was broken.
"""

import ast
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.audit import Violation, audit, main, report, summary
from worker.domain.model import Every, Format, Pair, Person, Review
from worker.domain.worktime import parse_hours

Line = dict[str, Any]
Break = Callable[[list[Line]], list[Line]]

M, R, R2 = "maya@example.com", "robin@example.com", "sasha@example.com"
PAIR, OTHER = f"{M}>{R}", f"{M}>{R2}"
OFFICE = parse_hours("Mon-Fri 09:00-17:00")
PERSONS = {
    M: Person(email=M, name="Maya", zone="Europe/London", country="GB-ENG", hours=OFFICE),
    R: Person(email=R, name="Robin", zone="Europe/Berlin", country="DE-BE", hours=OFFICE),
    R2: Person(email=R2, name="Sasha", zone="Europe/London", country="GB-ENG", hours=OFFICE),
}
START, END = datetime(2026, 9, 7, 5, tzinfo=UTC), datetime(2026, 12, 31, tzinfo=UTC)
ONE = Pair(manager=M, report=R, first_seen=date(2026, 9, 7), start=date(2026, 6, 15))
TWO = Pair(manager=M, report=R2, first_seen=date(2026, 9, 7))


# --- writing a ledger ---


def stamp(text: str) -> str:
    """`09-07 05:00`, in 2026 unless a year stands before it, as the ledger writes it."""
    return datetime.fromisoformat(text if text[:2] == "20" else f"2026-{text}").strftime("%Y-%m-%dT%H:%M:%SZ")


def line(at: str, what: str, session: str = "", start: str = "", minutes: int = 75, **fields: Any) -> Line:
    made: Line = {"at": stamp(at), "what": what, "pair": PAIR, **({"session": session} if session else {})}
    if start:
        end = datetime.fromisoformat(stamp(start)) + timedelta(minutes=minutes)
        made |= {"start": stamp(start), "end": f"{end:%Y-%m-%dT%H:%M:%SZ}"}
    return made | fields


def session(at: str, name: str, state: str, start: str = "", minutes: int = 75, **fields: Any) -> Line:
    told = {"state": state, "kind": "review" if name[0] == "r" else "career", "topic": "all", "count": 0}
    return line(at, "session", name, start, minutes, **told | fields)


def event(at: str, what: str, key: str, start: str, minutes: int = 75, **fields: Any) -> Line:
    told = {"kind": "career", "calendar": M, "attendees": [R], "key": key}
    return line(at, f"event.{what}", key.partition(".")[0], start, minutes, **told | fields)


def mail(at: str, message: str, to: str, name: str = "", start: str = "", **fields: Any) -> Line:
    told = {"message": message, "to": to, "from": "longarc@example.com", "message_id": f"{message}-{at}-{to}"}
    return line(at, "mail", name, start, **told | fields)


def human(at: str, act: str, name: str, start: str = "", minutes: int = 75, **fields: Any) -> Line:
    return line(at, "human", name, start, minutes, act=act, **fields)


def given(at: str, name: str, start: str, minutes: int = 75, **fields: Any) -> list[Line]:
    """A session that gets its first time, and its event."""
    kind = {"kind": fields["kind"]} if "kind" in fields else {}
    booked = session(at, name, "booked", start, minutes, key=f"{name}.1", reason="It is near the target.", **fields)
    return [booked, event(at, "create", f"{name}.1", start, minutes, **kind)]


def quarter() -> list[Line]:
    """A declined first session, held on its second time and closed with a contract; a second one without."""
    first, second, third = "09-17 09:00", "12-16 10:00", "2027-03-16 10:00"
    block = {"kind": "commitment", "attendees": [], "due": "2026-10-01"}
    return [
        *given("09-07 05:00", "c1", "09-15 09:00"),
        mail("09-07 05:00", "introduction", M),
        mail("09-07 05:00", "introduction", R),
        human("09-08 08:00", "decline", "c1", "09-15 09:00", calendar=R),
        session("09-08 08:00", "c1", "deferred", count=1, cause="declined", who=R),
        session("09-08 08:00", "c1", "booked", first, count=1, key="c1.1", reason="It is soon."),
        event("09-08 08:00", "update", "c1.1", first),
        mail("09-08 08:00", "deferral_notice", M, "c1", first, number=1),
        mail("09-14 07:00", "reflection_prompt", R, "c1", first),
        mail("09-16 08:00", "brief", M, "c1", first),
        session("09-17 10:15", "c1", "held", first, count=1),
        *given("09-17 10:15", "c2", "12-15 10:00"),
        mail("09-17 10:15", "contract_request", M, "c1", first),
        mail("09-18 08:00", "contract_reminder", M, "c1", first, number=1),
        human("09-18 14:00", "record_contract", "c1", first),
        session("09-18 14:00", "c1", "contracted", first, count=1),
        mail("09-18 14:00", "contract_summary", M, "c1", first),
        mail("09-18 14:00", "contract_summary", R, "c1", first),
        event("09-18 14:00", "create", "p1.1", "09-30 10:00", 30, **block),
        *given("09-18 14:00", "r1", "10-19 09:00", 25, kind="review"),
        mail("10-01 08:00", "commitment_due", M, due="2026-10-01"),
        human("10-01 09:00", "complete", "p1", due="2026-10-01"),
        event("10-01 09:00", "cancel", "p1.1", "09-30 10:00", 30, **block),
        mail("10-19 07:00", "review_note", M, "r1", "10-19 09:00"),
        session("10-19 09:25", "r1", "held", "10-19 09:00", 25),
        human("12-01 11:00", "move", "c2", second, calendar=M),
        session("12-01 11:00", "c2", "booked", second, cause="moved", reason="Moved by hand; respected."),
        mail("12-11 08:00", "reflection_prompt", R, "c2", second),
        mail("12-15 09:00", "brief", M, "c2", second),
        session("12-16 11:15", "c2", "held", second),
        *given("12-16 11:15", "c3", third),
        mail("12-16 11:15", "contract_request", M, "c2", second),
        mail("12-17 10:00", "contract_reminder", M, "c2", second, number=1),
        mail("12-18 09:00", "contract_reminder", M, "c2", second, number=2),
        mail("12-21 10:00", "contract_reminder", M, "c2", second, number=3),
        mail("12-22 10:00", "contract_reminder", M, "c2", second, number=4),
        mail("12-23 10:00", "contract_reminder", M, "c2", second, number=5),
        session("12-24 10:00", "c2", "unfinished", second),
    ]


# --- breaking it ---


def fits(one: Line, match: Line) -> bool:
    return all(one.get(name) == (stamp(value) if name == "at" else value) for name, value in match.items())


def drop(**match: Any) -> Break:
    """The same without the lines that match; there has to be one."""

    def broken(lines: list[Line]) -> list[Line]:
        assert any(fits(one, match) for one in lines)
        return [one for one in lines if not fits(one, match)]

    return broken


def edit(match: Line, **fields: Any) -> Break:
    """The same with fields of the lines that match changed, in order of time."""

    def broken(lines: list[Line]) -> list[Line]:
        assert any(fits(one, match) for one in lines)
        changed = [{**one, **fields} if fits(one, match) else one for one in lines]
        return sorted(changed, key=lambda one: str(one["at"]))

    return broken


def add(*more: Line) -> Break:
    """The same with lines added, each behind those of its moment."""
    return lambda lines: sorted([*lines, *more], key=lambda one: str(one["at"]))


def both(*breaks: Break) -> Break:
    def broken(lines: list[Line]) -> list[Line]:
        for one in breaks:
            lines = one(lines)
        return lines

    return broken


def until(at: str) -> Break:
    """The same up to that moment."""
    return lambda lines: [one for one in lines if one["at"] <= stamp(at)]


def found(lines: list[Line], *pairs: Pair, end: datetime = END) -> list[Violation]:
    known = {pair.id: pair for pair in pairs or (ONE,)}
    return audit(lines, PERSONS, known, start=START, end=end)


def retimed(at: str, was: str, start: str, minutes: int = 75) -> Break:
    """The ledger up to a moment, the time given at that moment being another one."""
    span = {"start": stamp(start), "end": line(at, "", "", start, minutes)["end"]}
    same = {"at": stamp(at), "start": stamp(was)}
    return lambda lines: [
        {**one, **span}
        if one["what"] != "human" and all(one.get(name) == value for name, value in same.items())
        else one
        for one in until(at)(lines)
    ]


def by_hand(minutes: int) -> Break:
    """The second session as long as a human left it, wherever it is told."""
    end = line("12-01 11:00", "", "", "12-16 10:00", minutes)["end"]
    same = stamp("12-16 10:00")
    return lambda lines: [{**x, "end": end} if x.get("start") == same else x for x in until("12-01 11:00")(lines)]


def test_a_good_quarter_yields_nothing() -> None:
    assert found(quarter()) == []


C2_HELD = {"session": "c2", "state": "held"}
BROKEN: dict[str, tuple[Break, set[str]]] = {
    # a future session, always
    "no session from the first sweep on": (lambda _: [], {"T-4"}),
    "the next one comes two hours late": (
        both(drop(session="c3"), add(*given("12-16 13:15", "c3", "2027-03-16 10:00"))),
        {"T-4"},
    ),
    "booked, never on the calendar": (drop(what="event.create", session="c3"), {"T-4"}),
    # length and place
    "45 minutes by us": (
        edit({"session": "c3"}, end=stamp("2027-03-16 10:45")),
        {"T-1"},
    ),
    "two hours by us": (edit({"session": "c3"}, end=stamp("2027-03-16 12:00")), {"T-1"}),
    "a review of 45 minutes": (edit({"session": "r1"}, end=stamp("10-19 09:45")), {"T-1", "T-7"}),
    "30 minutes by hand, accepted": (by_hand(30), {"T-1"}),
    "50 minutes by hand, nobody told": (by_hand(50), {"R-1"}),
    "off the quarter hour": (
        edit({"session": "c3"}, start=stamp("2027-03-16 10:05"), end=stamp("2027-03-16 11:20")),
        {"T-2"},
    ),
    "before the manager's day": (
        edit({"session": "c3"}, start=stamp("2027-03-16 08:00"), end=stamp("2027-03-16 09:15")),
        {"T-2"},
    ),
    "after the report's day": (
        edit({"session": "c3"}, start=stamp("2027-03-16 15:00"), end=stamp("2027-03-16 16:15")),
        {"T-2"},
    ),
    "on a public holiday of the report": (
        edit({"session": "c3"}, start=stamp("2027-03-08 10:00"), end=stamp("2027-03-08 11:15")),
        {"T-2"},
    ),
    "three weeks early": (
        edit({"session": "c3"}, start=stamp("2027-02-24 10:00"), end=stamp("2027-02-24 11:15")),
        {"T-3"},
    ),
    "four weeks late": (
        edit({"session": "c3"}, start=stamp("2027-04-14 10:00"), end=stamp("2027-04-14 11:15")),
        {"T-3"},
    ),
    # mails ahead
    "no prompt": (drop(message="reflection_prompt", session="c2"), {"T-5"}),
    "a prompt in the manager's zone": (
        edit({"message": "reflection_prompt", "session": "c2"}, at=stamp("12-11 09:00")),
        {"T-5"},
    ),
    "a prompt a day early": (
        edit({"message": "reflection_prompt", "session": "c2"}, at=stamp("12-10 08:00")),
        {"T-5"},
    ),
    "a prompt twice": (add(mail("12-11 08:01", "reflection_prompt", R, "c2", "12-16 10:00")), {"T-5"}),
    "a prompt for a session that lost its time": (
        add(mail("09-08 08:00", "reflection_prompt", R, "c1", "09-15 09:00")),
        {"T-5"},
    ),
    "a prompt to the manager": (edit({"message": "reflection_prompt", "session": "c2"}, to=M), {"R-23"}),
    "no brief": (drop(message="brief", session="c1"), {"T-6"}),
    "a brief in the report's zone": (edit({"message": "brief", "session": "c1"}, at=stamp("09-16 07:00")), {"T-6"}),
    "a brief to the report": (edit({"message": "brief", "session": "c1"}, to=R), {"R-23"}),
    "a review note the day before": (edit({"message": "review_note"}, at=stamp("10-18 07:00")), {"T-9"}),
    # the contract
    "no request": (drop(message="contract_request", session="c1"), {"T-7"}),
    "a request an hour late": (
        edit({"message": "contract_request", "session": "c1"}, at=stamp("09-17 11:15")),
        {"T-7"},
    ),
    "a request twice": (add(mail("09-17 10:16", "contract_request", M, "c1", "09-17 09:00")), {"T-7"}),
    "a reminder at night": (
        edit({"message": "contract_reminder", "session": "c2", "number": 1}, at=stamp("12-17 20:00")),
        {"T-7"},
    ),
    "a reminder an hour before the deadline": (
        edit({"message": "contract_reminder", "session": "c2", "number": 2}, at=stamp("12-18 10:15")),
        {"T-7"},
    ),
    "one reminder only": (drop(message="contract_reminder", session="c2", number=1), {"T-7"}),
    "a reminder after the contract": (
        add(mail("09-19 08:00", "contract_reminder", M, "c1", "09-17 09:00")),
        {"T-7"},
    ),
    "two late mails on one day": (
        edit({"message": "contract_reminder", "number": 4}, at=stamp("12-21 11:00")),
        {"T-7"},
    ),
    "a late mail on a Saturday": (
        edit({"message": "contract_reminder", "number": 3}, at=stamp("12-19 12:00")),
        {"T-7"},
    ),
    "unfinished after two late mails": (drop(message="contract_reminder", number=5), {"T-7"}),
    "unfinished before the deadline": (
        both(until("12-17 12:00"), add(session("12-17 12:00", "c2", "unfinished", "12-16 10:00"))),
        {"T-7"},
    ),
    "never unfinished": (drop(state="unfinished"), {"R-17"}),
    "held before it ended": (edit(C2_HELD, end=stamp("12-16 11:30")), {"T-7"}),
    "no summary for the report": (drop(message="contract_summary", to=R), {"R-15"}),
    "a summary an hour late": (edit({"message": "contract_summary", "to": M}, at=stamp("09-18 15:00")), {"R-15"}),
    "a summary of nothing": (add(mail("12-17 11:00", "contract_summary", M, "c2", "12-16 10:00")), {"R-15"}),
    "recorded, and nothing came of it": (
        add(human("12-17 09:00", "record_contract", "c2")),
        {"T-7", "T-8", "R-15"},
    ),
    # commitments
    "no block": (
        both(drop(session="p1"), drop(message="commitment_due")),
        {"T-8"},
    ),
    "a block two days before the day": (
        edit({"session": "p1"}, start=stamp("09-28 10:00"), end=stamp("09-28 10:30")),
        {"T-8"},
    ),
    "a block at night": (edit({"session": "p1"}, start=stamp("09-30 20:00"), end=stamp("09-30 20:30")), {"T-8"}),
    "a block with guests": (edit({"session": "p1", "what": "event.create"}, attendees=[R]), {"R-23"}),
    "done, and still there": (drop(what="event.cancel", session="p1"), {"T-8"}),
    "done, and back again": (
        add(
            event("10-05 09:00", "create", "p1.2", "10-12 10:00", 30, kind="commitment", attendees=[], due="2026-10-13")
        ),
        {"T-8"},
    ),
    "due, though done": (add(mail("10-02 08:00", "commitment_due", M, due="2026-10-01")), {"T-8"}),
    # deferrals
    "an unknown cause": (edit({"state": "deferred"}, cause="mood"), {"T-10"}),
    "a cause nobody gave": (drop(what="human", act="decline"), {"T-10"}),
    "the count does not grow": (
        lambda lines: [{**one, "count": 0} if one.get("session") == "c1" and "count" in one else one for one in lines],
        {"T-10", "T-12"},
    ),
    "a new time tomorrow": (
        both(
            retimed("09-08 08:00", "09-17 09:00", "09-09 09:00"),
            add(
                mail("09-08 08:00", "reflection_prompt", R, "c1", "09-09 09:00"),
                mail("09-08 08:00", "brief", M, "c1", "09-09 09:00"),
            ),
        ),
        {"T-10"},
    ),
    "a new time in six weeks": (retimed("09-08 08:00", "09-17 09:00", "10-20 09:00"), {"T-10"}),
    "deferred and forgotten": (
        lambda lines: [one for one in until("09-08 08:00")(lines) if one.get("count") != 1 or "cause" in one],
        {"T-4", "T-10", "D-5", "T-12"},
    ),
    "declined and ignored": (
        add(human("12-08 09:00", "decline", "c2", "12-16 10:00", calendar=R)),
        {"T-10"},
    ),
    "out of office, and held all the same": (
        add(human("12-08 09:00", "out_of_office", "c2", "12-16 10:00", calendar=R)),
        {"T-10"},
    ),
    "no notice of the deferral": (drop(message="deferral_notice"), {"T-12"}),
    "a notice of another count": (edit({"message": "deferral_notice"}, number=2), {"T-12"}),
    # what humans move
    "a move that is ignored": (both(until("12-01 11:00"), drop(cause="moved")), {"R-9"}),
    # nothing vanishes
    "booked, past, and nothing became of it": (
        both(until("12-16 11:00"), add(line("12-16 11:30", "warning"))),
        {"R-8", "T-4"},
    ),
    "cancelled without a reason": (
        both(
            until("12-14 00:00"),
            add(session("12-14 10:00", "c2", "cancelled"), *given("12-14 10:00", "c3", "12-21 10:00")),
        ),
        {"R-8"},
    ),
    "back from a contract": (
        add(session("09-21 09:00", "c1", "deferred", count=2, cause="asked")),
        {"R-8", "T-10"},
    ),
    "not held, and nothing followed": (add(human("12-17 09:00", "no_show", "c2")), {"R-8"}),
    # once, in order, of something known
    "an event made twice": (add(event("12-16 11:16", "create", "c3.1", "2027-03-16 10:00")), {"D-5"}),
    "an update of no event": (edit({"what": "event.update"}, key="c1.9"), {"D-5"}),
    "an event cancelled though booked": (add(event("12-20 09:00", "cancel", "c3.1", "2027-03-16 10:00")), {"D-5"}),
    "a mail twice": (edit({"message": "brief"}, message_id="one"), {"D-5"}),
    "the introduction twice": (add(mail("09-20 09:00", "introduction", M)), {"R-23"}),
    "a line out of order": (lambda lines: [*lines, line("12-01 00:00", "warning")], {"D-8"}),
    "a pair nobody knows": (add(session("12-30 09:00", "c9", "owed", pair="a>b")), {"D-8"}),
    "a mail about a session nobody knows": (add(mail("12-30 09:00", "brief", M, "c9")), {"D-8"}),
    "an event of a session nobody knows": (add(event("12-30 09:00", "create", "c9.1", "12-31 10:00")), {"D-8"}),
    "an event in the report's name": (edit({"what": "event.create", "session": "c3"}, calendar=R), {"R-23"}),
}


@pytest.mark.parametrize(("broken", "expected"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_promise_is_named(broken: Break, expected: set[str]) -> None:
    lines = broken(quarter())
    assert {violation.rule for violation in found(lines, end=end_of(lines))} == expected


def end_of(lines: list[Line]) -> datetime:
    """The whole time, or half an hour after the last line of a ledger that was cut."""
    last = str(lines[-1]["at"]) if lines else stamp("12-31 00:00")
    return END if last >= stamp("12-20 00:00") else datetime.fromisoformat(last) + timedelta(minutes=30)


# --- short stories, for what the quarter does not tell ---


def rules(*lines: Line, pairs: tuple[Pair, ...] = (ONE,), last: str = "") -> list[str]:
    """The rules broken in a ledger, up to half an hour after its last line."""
    ledger = [*lines, *([line(last, "warning")] if last else [])]
    return sorted({violation.rule for violation in found(ledger, *pairs, end=end_of(ledger))})


def other(*lines: Line) -> list[Line]:
    """The same of the manager's other pair."""
    return [{**one, "pair": OTHER, **({"attendees": [R2]} if one.get("attendees") else {})} for one in lines]


FIRST = given("09-07 05:00", "c1", "09-15 09:00")
HELD = [
    mail("09-10 07:00", "reflection_prompt", R, "c1", "09-15 09:00"),
    mail("09-14 08:00", "brief", M, "c1", "09-15 09:00"),
]
WHY: Line = {"kind": "career", "count": 0}


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([line("09-07 05:00", "unplaceable", "c1", reason="Nothing is free.", **WHY)], ["T-4"]),
        ([mail("09-07 05:00", "unplaceable", M, "c1")], ["D-8", "T-4"]),
        (
            [
                line("09-07 05:00", "unplaceable", "c1", reason="Nothing is free.", **WHY),
                mail("09-07 05:00", "unplaceable", M, "c1"),
            ],
            [],
        ),
        (
            [
                line("09-07 05:00", "unplaceable", "c1", **WHY),
                mail("09-07 05:00", "unplaceable", M, "c1"),
            ],
            ["T-4"],
        ),
        ([*FIRST, mail("09-07 06:00", "unplaceable", M, "c1")], ["T-4"]),
    ],
)
def test_who_has_no_session_knows_why(lines: list[Line], expected: list[str]) -> None:
    """T-4: unplaceable only with a reason, told to a person, while it is so."""
    assert rules(*lines, last="09-07 06:00") == expected


@pytest.mark.parametrize(
    ("kind", "start", "minutes", "expected"),
    [
        ("review", "09-15 10:15", 25, ["T-2"]),
        ("review", "09-15 09:30", 25, ["T-2"]),
        ("review", "09-15 08:30", 25, ["T-2"]),
        ("review", "09-15 10:30", 25, []),
        ("career", "09-15 14:00", 75, ["T-2"]),
        ("career", "09-16 09:00", 75, []),
    ],
)
def test_two_pairs_share_a_manager(kind: str, start: str, minutes: int, expected: list[str]) -> None:
    """T-2: no overlap, a quarter of an hour between, one career session a day."""
    name = "r9" if kind == "review" else "d1"
    there = other(*given("09-07 05:01", name, start, minutes, kind=kind))
    ahead = [] if kind == "career" else other(*given("09-07 05:00", "d1", "09-22 09:00"))
    assert rules(*FIRST, *ahead, *there, pairs=(ONE, TWO)) == expected


def test_what_a_human_did_is_not_ours() -> None:
    """T-2, T-11: a hand move onto another session, outside the hours, is respected; what we place then is not."""
    hand = "09-22 06:10"
    ours = other(*given("09-07 05:00", "d1", "09-22 09:00"))
    theirs = [
        human("09-07 06:00", "move", "c1", hand, calendar=M),
        session("09-07 06:00", "c1", "booked", hand, cause="moved"),
    ]
    assert rules(*FIRST, *ours, *theirs, pairs=(ONE, TWO)) == []
    late = other(*given("09-07 07:00", "d1", "09-22 09:00"))
    assert rules(*FIRST, *theirs, *late, pairs=(ONE, TWO)) == ["T-2", "T-4"]


def test_what_a_person_chose_is_not_ours() -> None:
    chosen = given("09-07 05:00", "c1", "09-19 06:10")
    chosen[0]["reason"] = "A person chose this time."
    assert rules(*chosen) == []


BLOCK: Line = {"kind": "commitment", "attendees": [], "due": "2026-09-16"}


def test_a_commitment_takes_no_time_of_a_session() -> None:
    """T-8, T-2: whichever comes second is at fault; a note for the day takes no time."""
    block = event("09-07 05:30", "create", "p1.1", "09-15 09:00", 30, **BLOCK)
    assert rules(*FIRST, block) == ["T-8"]
    first = {**block, "at": stamp("09-07 05:00")}
    assert rules(first, *FIRST) == ["T-2"]
    note = event("09-07 05:30", "create", "p1.1", "09-15 23:00", 1440, **BLOCK)
    assert rules(*FIRST, note) == []
    beside = event("09-07 05:30", "create", "p2.1", "09-15 10:15", 30, **BLOCK)
    assert rules(*FIRST, beside) == []
    again = {**beside, "session": "p3", "key": "p3.1"}
    assert rules(*FIRST, beside, again) == ["T-8"]


@pytest.mark.parametrize("moved_by", ["booked_over", "out_of_office", "holiday"])
def test_the_last_hours_are_quiet(moved_by: str) -> None:
    """T-10: inside the last four hours only a decline or a deletion moves it."""
    after = [
        session("09-15 06:00", "c1", "booked", "09-21 09:00", count=1, key="c1.1"),
        event("09-15 06:00", "update", "c1.1", "09-21 09:00"),
        mail("09-15 06:00", "deferral_notice", M, "c1", "09-21 09:00", number=1),
    ]
    lost = session("09-15 06:00", "c1", "deferred", count=1, cause=moved_by)
    assert rules(*FIRST, *HELD, lost, *after) == ["T-10"]
    declined = {**lost, "cause": "declined"}
    said = human("09-15 06:00", "decline", "c1", "09-15 09:00", calendar=R)
    assert rules(*FIRST, *HELD, said, declined, *after) == []
    drifted = {**lost, "state": "owed", "count": 0, "cause": ""}
    assert rules(*FIRST, *HELD, drifted, *given("09-15 06:00", "c2", "09-21 09:00"))[0] == "T-10"


@pytest.mark.parametrize(("hours", "expected"), [(24, []), (20, ["T-10"]), (None, ["T-10"])])
def test_booked_over_waits_a_day_after_a_warning(hours: int | None, expected: list[str]) -> None:
    """T-10."""
    warned = datetime(2026, 9, 9, 9, tzinfo=UTC) - timedelta(hours=hours or 0)
    warning = mail(f"{warned:%m-%d %H:%M}", "booked_over_warning", M, "c1", "09-15 09:00")
    lines = [
        *FIRST,
        *([warning] if hours else []),
        session("09-09 09:00", "c1", "deferred", count=1, cause="booked_over"),
        session("09-09 09:00", "c1", "booked", "09-17 09:00", count=1, key="c1.1"),
        event("09-09 09:00", "update", "c1.1", "09-17 09:00"),
        mail("09-09 09:00", "deferral_notice", M, "c1", "09-17 09:00", number=1),
    ]
    assert rules(*lines) == expected


def test_nothing_moves_without_a_cause() -> None:
    """T-10: another time for a booked session, with no deferral and no human."""
    again = session("09-08 09:00", "c1", "booked", "09-16 09:00", key="c1.1")
    assert rules(*FIRST, again, event("09-08 09:00", "update", "c1.1", "09-16 09:00")) == ["T-10"]


@pytest.mark.parametrize(("minutes", "start", "expected"), [(75, "09-14 09:00", ["R-9"]), (30, "09-15 09:00", [])])
def test_a_move_within_the_rules_is_respected(minutes: int, start: str, expected: list[str]) -> None:
    """R-9, T-11: it may be deferred only when it got too short or too late."""
    lines = [
        human("09-08 09:00", "move", "c1", start, minutes, calendar=M),
        session("09-08 09:00", "c1", "deferred", count=1, cause="moved_out"),
        session("09-08 09:00", "c1", "booked", "09-17 09:00", count=1, key="c1.1"),
        event("09-08 09:00", "update", "c1.1", "09-17 09:00"),
        mail("09-08 09:00", "deferral_notice", M, "c1", "09-17 09:00", number=1),
    ]
    assert rules(*FIRST, *lines) == expected


@pytest.mark.parametrize(
    ("start", "expected"), [("09-11 09:00", []), ("09-14 09:00", []), ("09-17 09:00", ["T-14"]), ("", ["T-14"])]
)
def test_who_asks_to_talk_soon_talks_soon(start: str, expected: list[str]) -> None:
    """T-14: within five working days of the asking."""
    given_time = [
        session("09-07 06:00", "c5", "booked", start, key="c5.1"),
        event("09-07 06:00", "create", "c5.1", start),
    ]
    ahead = given("09-07 05:00", "c1", "09-22 09:00")
    asked = [human("09-07 06:00", "talk", "c5"), session("09-07 06:00", "c5", "owed")]
    assert rules(*ahead, *asked, *(given_time if start else []), last="09-07 07:00") == expected


@pytest.mark.parametrize(("start", "expected"), [("09-23 09:00", []), ("09-17 09:00", ["T-13"])])
def test_a_series_is_five_to_ten_working_days_apart(start: str, expected: list[str]) -> None:
    """T-13."""
    pair = replace(ONE, format=Format.SERIES)
    parts = given("09-07 05:00", "c1", "09-15 09:00", topic="now")
    assert rules(*parts, *given("09-07 05:00", "c2", start, topic="direction"), pairs=(pair,)) == expected


QUARTERLY = Every(weeks=13)


@pytest.mark.parametrize(
    ("every", "transition", "began", "start", "expected"),
    [
        (QUARTERLY, None, "2026-06-15", "09-15 09:00", []),
        (QUARTERLY, None, "2026-06-15", "12-15 10:00", ["T-3"]),
        (Every(months=6), None, "2026-06-15", "12-15 10:00", []),
        (Every(months=6), None, "2026-06-15", "11-24 10:00", ["T-3"]),
        (QUARTERLY, "2026-12-01", "2026-08-03", "09-15 09:00", []),
        (QUARTERLY, "2026-12-01", "2026-08-03", "10-19 09:00", ["T-3"]),
        (QUARTERLY, "2026-08-01", "2026-08-03", "10-19 09:00", []),
    ],
)
def test_each_pair_has_its_rhythm(
    every: Every, transition: str | None, began: str, start: str, expected: list[str]
) -> None:
    """T-3, R-5: the pair's own rhythm, the tighter one in transition."""
    ends = date.fromisoformat(transition) if transition else None
    pair = replace(ONE, every=every, transition_until=ends, start=date.fromisoformat(began))
    assert rules(*given("09-07 05:00", "c1", start), pairs=(pair,)) == expected


def test_a_prompt_follows_a_far_move_once_more() -> None:
    """T-5: again when the session moved by more than 14 days after it went out, and only then."""
    far = [
        human("09-11 09:00", "move", "c1", "10-02 09:00", calendar=M),
        session("09-11 09:00", "c1", "booked", "10-02 09:00", cause="moved"),
    ]
    again = mail("09-29 07:00", "reflection_prompt", R, "c1", "10-02 09:00")
    assert rules(*FIRST, HELD[0], *far, again) == []
    assert rules(*FIRST, HELD[0], *far, last="09-29 09:00") == ["T-5"]


def test_a_prompt_for_a_late_booking_goes_out_at_once() -> None:
    """T-5: at once with four hours left, later not at all."""
    moved = [
        human("09-14 09:00", "move", "c1", "09-14 15:00", calendar=M),
        session("09-14 09:00", "c1", "booked", "09-14 15:00", cause="moved"),
        mail("09-14 09:00", "brief", M, "c1", "09-14 15:00"),
    ]
    lines = given("09-07 05:00", "c1", "09-24 09:00")
    at_once = mail("09-14 09:00", "reflection_prompt", R, "c1", "09-14 15:00")
    assert rules(*lines, *moved, last="09-14 09:30") == ["T-5"]
    assert rules(*lines, *moved, at_once) == []
    short = [{**one, "at": stamp("09-14 11:30")} for one in moved]
    assert rules(*lines, *short) == []
    assert rules(*lines, *short, {**at_once, "at": stamp("09-14 11:30")}) == ["T-5"]


def test_a_resting_pair_is_left_alone() -> None:
    """T-4 holds for active pairs; a pause ends what was booked, with its reason."""
    assert rules(pairs=(replace(ONE, paused=True),)) == []
    off = session("09-08 09:00", "c1", "cancelled", reason="The pair is paused.")
    assert rules(*FIRST, off, event("09-08 09:00", "cancel", "c1.1", "09-15 09:00"), last="12-31 00:00") == []
    why = {**off, "reason": "No longer wanted."}
    assert rules(*FIRST, why, last="12-31 00:00") == ["T-4"]


def test_a_review_inside_a_1on1_has_no_event() -> None:
    """T-9: it takes the time of the 1:1, whatever that is."""
    pair = replace(ONE, review=Review.IN_1ON1)
    inside = session("09-07 06:00", "r1", "booked", "09-15 10:20", 30)
    assert rules(*FIRST, inside, pairs=(pair,)) == []
    assert rules(*FIRST, inside) == ["T-2", "T-4"]


# --- what is printed ---


def test_a_summary_counts() -> None:
    counted = summary(quarter())
    assert (counted["booked"], counted["held"], counted["contracted"], counted["contracted in time"]) == (6, 3, 1, 1)
    assert counted["deferred by cause"] == {"declined": 1}
    assert counted["mails"]["contract_reminder"] == 6


def test_a_contract_after_its_deadline_is_not_in_time() -> None:
    late = edit({"state": "contracted"}, at=stamp("09-19 10:16"))(quarter())
    assert summary(late)["contracted in time"] == 0


def test_a_report_groups_by_rule() -> None:
    text = report(found([]), examples=1)
    assert text.splitlines()[:2] == ["1 violations", "T-4: 1"]


def test_the_command_reads_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    people = tmp_path / "people.csv"
    people.write_text(
        "email,name,manager,time_zone,country,start\n"
        f"{M},Maya,,Europe/London,GB-ENG,\n"
        f"{R},Robin,{M},Europe/Berlin,DE-BE,2026-06-15\n",
        encoding="utf-8",
    )
    ledger = tmp_path / "ledger.jsonl"
    ledger.write_text("".join(json.dumps(one) + "\n" for one in quarter()), encoding="utf-8")
    command = [str(ledger), str(people), "--from", "2026-09-07", "--days", "115"]
    assert main(command) == 0
    assert "0 violations" in capsys.readouterr().out
    ledger.write_text("".join(json.dumps(one) + "\n" for one in drop(message="brief")(quarter())), encoding="utf-8")
    assert main(command) == 1
    assert "T-6: 2" in capsys.readouterr().out


def test_it_looks_with_eyes_of_its_own() -> None:
    """Nothing that decides, writes or sends is imported; only the command reads the people file."""
    allowed = {"worker.domain.model", "worker.domain.worktime"}
    here = Path(__file__).parent
    for module in ("audit_known.py", "audit_rules.py", "audit_eye.py", "audit.py"):
        tree = ast.parse((here / module).read_text(encoding="utf-8"))
        names = {node.module for node in tree.body if isinstance(node, ast.ImportFrom)}
        names |= {name.name for node in tree.body if isinstance(node, ast.Import) for name in node.names}
        assert {name for name in names if name and name.startswith("worker")} <= allowed
