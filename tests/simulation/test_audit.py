"""The auditor finds no violation in a ledger that keeps all rules, and names each rule that a ledger breaks.

Every case changes the good quarter (`make_good_quarter`) in one way. The auditor has to name exactly the rules that
this change breaks.

In the good quarter, the manager M in London and the report R in Berlin have the career sessions c1, which R declines
once and which is held on 17 September; c2, which M moves by a day and which is held on 16 December, without a contract;
and c3, booked for 16 March. r1 is the review of the contract of c1, and p1 the manager's commitment in it, due on
1 October. Instants are in UTC. `session`, `event`, `mail` and `human` return lines of a ledger, and `drop`, `edit` and
`add` return changes.

The rules: T-1 length of a session; T-2 quarter-hours and working hours; T-3 the days that the rhythm allows; T-3a those
of a first session; T-4 a pair has a session ahead, or hears why not; T-5 the reflection prompt; T-6 the brief; T-7 from
the end of a session to its contract; T-8 blocks and mails for commitments; T-9 reviews; T-10 a deferral has a cause, a
count and a new time soon; T-12 notices and offers after a deferral; T-16 hours and number of mails; R-1 a mail says
that a session is short; R-8 each session is held, booked again or cancelled for a reason; R-9 people's moves are
respected; R-15 both get the summary at once; R-17 a session without a contract becomes unfinished; R-23 nobody gets
what is meant for somebody else.
"""

import ast
import json
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.support.audit.auditor import main, report, summary
from tests.support.audit.ledgers import (
    Change,
    M,
    R,
    add,
    combine,
    cut_after,
    drop,
    edit,
    event,
    find_end,
    find_violations,
    first_booking,
    human,
    introduction,
    line,
    mail,
    make_good_quarter,
    offer,
    personal_mail,
    replace_time,
    session,
    set_moved_length,
    stamp,
)


def test_good_quarter_has_no_violations() -> None:
    assert find_violations(make_good_quarter()) == []


OFFER_OF_FOUR_TIMES = str(
    offer("09-08 08:00", "c1", "09-11 16:00", *(f"09-{day} 09:00" for day in (17, 18, 21, 22)))["times"]
)
HELD_C2 = {"session": "c2", "state": "held"}
#: By case: the change of the good quarter, and the rules that it breaks. `replace_time` takes the instant of a line,
#: the start in that line, and the start that takes its place.
BROKEN_QUARTERS: dict[str, tuple[Change, set[str]]] = {
    # every pair has a future session
    "no line at all, and so no session": (lambda _: [], {"T-4"}),
    "the next session is booked two hours late": (
        combine(drop(session="c3"), add(*first_booking("12-16 13:15", "c3", "2027-03-16 10:00"))),
        {"T-4"},
    ),
    "booked without an event": (drop(what="event.create", session="c3"), {"T-4"}),
    "the first session is six weeks late": (replace_time("09-07 05:00", "09-15 09:00", "11-03 09:00"), {"T-3a"}),
    # length and place
    "booked for 45 minutes": (
        edit({"session": "c3"}, end=stamp("2027-03-16 10:45")),
        {"T-1"},
    ),
    "booked for two hours": (edit({"session": "c3"}, end=stamp("2027-03-16 12:00")), {"T-1"}),
    "a review of 45 minutes": (edit({"session": "r1"}, end=stamp("10-19 09:45")), {"T-1", "T-7"}),
    "30 minutes by a hand move are accepted": (set_moved_length(minutes=30), {"T-1"}),
    "50 minutes by a hand move without a mail": (set_moved_length(minutes=50), {"R-1"}),
    "a start off the quarter-hour": (
        edit({"session": "c3"}, start=stamp("2027-03-16 10:05"), end=stamp("2027-03-16 11:20")),
        {"T-2"},
    ),
    "before the manager's working hours": (
        edit({"session": "c3"}, start=stamp("2027-03-16 08:00"), end=stamp("2027-03-16 09:15")),
        {"T-2"},
    ),
    "after the report's working hours": (
        edit({"session": "c3"}, start=stamp("2027-03-16 15:00"), end=stamp("2027-03-16 16:15")),
        {"T-2"},
    ),
    "on a public holiday of the report": (
        edit({"session": "c3"}, start=stamp("2027-03-08 10:00"), end=stamp("2027-03-08 11:15")),
        {"T-2"},
    ),
    "booked three weeks early": (
        edit({"session": "c3"}, start=stamp("2027-02-24 10:00"), end=stamp("2027-02-24 11:15")),
        {"T-3"},
    ),
    "booked four weeks late": (
        edit({"session": "c3"}, start=stamp("2027-04-14 10:00"), end=stamp("2027-04-14 11:15")),
        {"T-3"},
    ),
    # mails before a session
    "no prompt": (drop(message="reflection_prompt", session="c2"), {"T-5"}),
    "a prompt at a time in the manager's zone": (
        edit({"message": "reflection_prompt", "session": "c2"}, at=stamp("12-14 09:00")),
        {"T-5"},
    ),
    "a prompt a day early": (
        edit({"message": "reflection_prompt", "session": "c2"}, at=stamp("12-11 08:00")),
        {"T-5"},
    ),
    "a prompt twice": (add(mail("12-14 08:01", "reflection_prompt", R, "c2", "12-16 10:00", number=2)), {"T-5"}),
    "a prompt for a session that lost its time": (
        add(mail("09-08 08:00", "reflection_prompt", R, "c1", "09-15 09:00")),
        {"T-5"},
    ),
    "a prompt to the manager": (edit({"message": "reflection_prompt", "session": "c2"}, to=M), {"R-23", "T-16"}),
    "no brief": (drop(message="brief", session="c1"), {"T-6"}),
    "a brief at a time in the report's zone": (
        edit({"message": "brief", "session": "c1"}, at=stamp("09-16 07:00")),
        {"T-6", "T-16"},
    ),
    "a brief to the report": (edit({"message": "brief", "session": "c1"}, to=R), {"R-23"}),
    "a review note the day before": (edit({"message": "review_note"}, at=stamp("10-16 08:00")), {"T-9"}),
    # times of mails
    "a notice at night": (
        edit({"message": "deferral_notice"}, at=stamp("09-08 20:00")),
        {"T-12", "T-16"},
    ),
    "a fourth mail on one day": (
        add(*(mail(f"11-10 1{number}:00", "pair_ended", M) for number in range(4))),
        {"T-16"},
    ),
    "a brief folded into an overflow mail": (
        add(line("12-14 08:30", "mail.folded", "c2", message="brief", to=M, told_in="overflow:1")),
        {"T-16", "T-6"},
    ),
    "an overflow mail without folded mails": (add(personal_mail("11-10 09:00", "overflow", M)), {"D-5"}),
    "an overflow mail at noon": (
        add(
            line("11-09 12:00", "mail.folded", "c2", message="short_session", to=M, told_in="overflow:1"),
            personal_mail("11-10 12:00", "overflow", M),
        ),
        {"T-16"},
    ),
    "a weekly mail for one report": (add(personal_mail("11-09 09:00", "weekly", M)), {"T-16"}),
    "a prompt with the same wording again": (
        edit({"message": "reflection_prompt", "session": "c2"}, number=0),
        {"T-5"},
    ),
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
    "three reminders before the deadline": (
        add(mail("12-18 09:05", "contract_reminder", M, "c2", "12-16 10:00")),
        {"T-7"},
    ),
    "one reminder only": (drop(message="contract_reminder", session="c2", number=1), {"T-7"}),
    "a reminder after the contract": (
        add(mail("09-19 08:00", "contract_reminder", M, "c1", "09-17 09:00")),
        {"T-7"},
    ),
    "two reminders after the deadline on one day": (
        edit({"message": "contract_reminder", "number": 4}, at=stamp("12-21 11:00")),
        {"T-7"},
    ),
    "a reminder after the deadline on a Saturday": (
        edit({"message": "contract_reminder", "number": 3}, at=stamp("12-19 12:00")),
        {"T-7"},
    ),
    "unfinished after two reminders past the deadline": (drop(message="contract_reminder", number=5), {"T-7"}),
    "unfinished before the deadline": (
        combine(cut_after("12-17 12:00"), add(session("12-17 12:00", "c2", "unfinished", "12-16 10:00"))),
        {"T-7"},
    ),
    "never unfinished": (drop(state="unfinished"), {"R-17"}),
    "held before it ended": (edit(HELD_C2, end=stamp("12-16 11:30")), {"T-7"}),
    "no summary for the report": (drop(message="contract_summary", to=R), {"R-15"}),
    "a summary an hour late": (edit({"message": "contract_summary", "to": M}, at=stamp("09-18 15:00")), {"R-15"}),
    "a summary without a contract": (add(mail("12-17 11:00", "contract_summary", M, "c2", "12-16 10:00")), {"R-15"}),
    "a recorded contract without any effect": (
        add(human("12-17 09:00", "record_contract", "c2")),
        {"T-7", "T-8", "R-15"},
    ),
    # commitments
    "a commitment without a block": (
        combine(drop(session="p1"), drop(message="commitment_due")),
        {"T-8"},
    ),
    "a block two days before the day": (
        edit({"session": "p1"}, start=stamp("09-28 10:00"), end=stamp("09-28 10:30")),
        {"T-8"},
    ),
    "a block at night": (edit({"session": "p1"}, start=stamp("09-30 20:00"), end=stamp("09-30 20:30")), {"T-8"}),
    "a block with guests": (edit({"session": "p1", "what": "event.create"}, attendees=[R]), {"R-23"}),
    "a block that stays when the commitment is done": (drop(what="event.cancel", session="p1"), {"T-8"}),
    "a block that is created again when the commitment is done": (
        add(
            event("10-05 09:00", "create", "p1.2", "10-12 10:00", 30, kind="commitment", attendees=[], due="2026-10-13")
        ),
        {"T-8"},
    ),
    "a mail about a due commitment that is done": (
        add(mail("10-02 08:00", "commitment_due", M, due="2026-10-01")),
        {"T-8"},
    ),
    # deferrals
    "an unknown cause": (edit({"state": "deferred"}, cause="mood"), {"T-10"}),
    "a decline that nobody made": (drop(what="human", act="decline"), {"T-10"}),
    "the count does not grow": (
        lambda lines: [{**one, "count": 0} if one.get("session") == "c1" and "count" in one else one for one in lines],
        {"T-10", "T-12"},
    ),
    "a new time on the next day": (
        combine(
            combine(replace_time("09-08 08:00", "09-17 09:00", "09-09 09:00"), drop(what="offer")),
            add(
                mail("09-08 08:00", "reflection_prompt", R, "c1", "09-09 09:00"),
                mail("09-08 08:00", "brief", M, "c1", "09-09 09:00"),
            ),
        ),
        {"T-10"},
    ),
    "a new time in six weeks": (
        combine(replace_time("09-08 08:00", "09-17 09:00", "10-20 09:00"), drop(what="offer")),
        {"T-10"},
    ),
    # of the lines that count one deferral, only the deferral itself stays
    "deferred without a new time": (
        lambda lines: [one for one in cut_after("09-08 08:00")(lines) if one.get("count") != 1 or "cause" in one],
        {"T-4", "T-10", "D-5", "T-12"},
    ),
    "a decline without a deferral": (
        add(human("12-08 09:00", "decline", "c2", "12-16 10:00", calendar=R)),
        {"T-10"},
    ),
    "held during an out-of-office event": (
        add(human("12-08 09:00", "out_of_office", "c2", "12-16 10:00", calendar=R)),
        {"T-10"},
    ),
    "no notice of the deferral": (drop(message="deferral_notice"), {"T-12"}),
    "a notice to the manager alone": (drop(message="deferral_notice", to=R), {"T-12"}),
    "offered times that are reserved for one day only": (
        edit({"what": "offer", "state": "open"}, until=stamp("09-09 16:00")),
        {"T-12"},
    ),
    "an offer of four times": (edit({"what": "offer", "state": "open"}, times=OFFER_OF_FOUR_TIMES), {"T-12"}),
    "another session at a reserved time": (
        add(*first_booking("09-08 09:00", "r7", "09-18 09:30", 25, kind="review")),
        {"T-12", "T-9", "R-8"},
    ),
    "a deferral notice with another count": (edit({"message": "deferral_notice"}, number=2), {"T-12"}),
    # moves by people
    "a hand move that is ignored": (combine(cut_after("12-01 11:00"), drop(cause="moved")), {"R-9"}),
    "a hand move that is stored with another time": (
        combine(cut_after("12-01 11:00"), edit({"act": "move"}, start=stamp("12-17 10:00"), end=stamp("12-17 11:15"))),
        {"R-9"},
    ),
    # the end of each session
    "a booked session that ended and stays booked": (
        combine(cut_after("12-16 11:00"), add(line("12-16 11:30", "warning"))),
        {"R-8", "T-4"},
    ),
    "cancelled without a reason": (
        combine(
            cut_after("12-14 07:00"),
            add(session("12-14 07:30", "c2", "cancelled"), *first_booking("12-14 07:30", "c3", "12-21 10:00")),
        ),
        {"R-8"},
    ),
    "a deferral after the contract": (
        add(session("09-21 09:00", "c1", "deferred", count=2, cause="asked")),
        {"R-8", "T-10"},
    ),
    "reported as not held without a new session": (add(human("12-17 09:00", "no_show", "c2")), {"R-8"}),
    # each effect once, in order, about a known subject
    "an event that is created twice": (add(event("12-16 11:16", "create", "c3.1", "2027-03-16 10:00")), {"D-5"}),
    "an update of an event that does not exist": (edit({"what": "event.update"}, key="c1.9"), {"D-5"}),
    "a cancelled event of a booked session": (add(event("12-20 09:00", "cancel", "c3.1", "2027-03-16 10:00")), {"D-5"}),
    "a mail twice": (edit({"message": "brief"}, message_id="one"), {"D-5"}),
    "the introduction twice": (add(introduction("09-21 09:00")), {"R-23"}),
    "the report never introduced": (drop(message="introduction", to=R), {"R-23"}),
    "a hand move that nobody made": (drop(act="move"), {"R-9"}),
    "a line out of order": (lambda lines: [*lines, line("12-01 00:00", "warning")], {"D-8"}),
    "an unknown pair": (add(session("12-30 09:00", "c9", "owed", pair="a>b")), {"D-8"}),
    "an event of an unknown pair": (
        add(event("12-30 09:00", "create", "c9.1", "12-31 10:00", pair="a>b")),
        {"D-8"},
    ),
    "a mail to an unknown pair": (add({**mail("12-30 09:00", "brief", M), "pair": "a>b"}), {"D-8"}),
    "a mail about an unknown session": (add(mail("12-30 09:00", "brief", M, "c9")), {"D-8"}),
    "an event of an unknown session": (add(event("12-30 09:00", "create", "c9.1", "12-31 10:00")), {"D-8"}),
    "an event in the report's name": (edit({"what": "event.create", "session": "c3"}, calendar=R), {"R-23"}),
}


@pytest.mark.parametrize(("break_quarter", "expected"), BROKEN_QUARTERS.values(), ids=BROKEN_QUARTERS.keys())
def test_auditor_names_exactly_the_broken_rules(break_quarter: Change, expected: set[str]) -> None:
    lines = break_quarter(make_good_quarter())
    assert {violation.rule for violation in find_violations(lines, end=find_end(lines))} == expected


# --- output ---


def test_summary_counts_sessions_deferrals_and_mails() -> None:
    counts = summary(make_good_quarter())
    # booked: c1, c2 and r1 once, and again c1 after the decline, c2 after the move; then c3
    assert (counts["booked"], counts["held"], counts["contracted"], counts["contracted in time"]) == (6, 3, 1, 1)
    assert counts["deferred by cause"] == {"declined": 1}
    assert counts["mails"]["contract_reminder"] == 6


def test_contract_after_its_deadline_is_not_counted_as_in_time() -> None:
    # c1 ended on 17 September at 10:15, so its contract was due 48 hours later, a minute before
    late_quarter = edit({"state": "contracted"}, at=stamp("09-19 10:16"))(make_good_quarter())
    assert summary(late_quarter)["contracted in time"] == 0


def test_report_groups_violations_by_rule() -> None:
    text = report(find_violations([]), examples=1)  # an empty ledger: the pair has no session ahead
    assert text.splitlines()[:2] == ["1 violations", "T-4: 1"]


def test_command_reads_the_ledger_and_the_people_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    people = tmp_path / "people.csv"
    people.write_text(
        "email,name,manager,time_zone,country,start\n"
        f"{M},Maya,,Europe/London,GB-ENG,\n"
        f"{R},Robin,{M},Europe/Berlin,DE-BE,2026-06-15\n",
        encoding="utf-8",
    )
    ledger = tmp_path / "ledger.jsonl"
    ledger.write_text("".join(json.dumps(ledger_line) + "\n" for ledger_line in make_good_quarter()), encoding="utf-8")
    command = [str(ledger), str(people), "--from", "2026-09-07", "--days", "115"]
    assert main(command) == 0
    assert "0 violations" in capsys.readouterr().out
    ledger.write_text(
        "".join(json.dumps(ledger_line) + "\n" for ledger_line in drop(message="brief")(make_good_quarter())),
        encoding="utf-8",
    )
    assert main(command) == 1
    assert "T-6: 2" in capsys.readouterr().out  # of the briefs for c1 and c2


def test_auditor_imports_only_the_model_and_working_time() -> None:
    """The auditor imports no module that decides, writes or sends. Only its command reads the people file."""
    allowed_modules = {"worker.domain.model", "worker.domain.time.worktime"}
    folder = ROOT / "tests/support/audit"
    for module in ("known.py", "rules.py", "observer.py", "state.py", "auditor.py"):
        tree = ast.parse((folder / module).read_text(encoding="utf-8"))
        names = {node.module for node in tree.body if isinstance(node, ast.ImportFrom)}
        names |= {name.name for node in tree.body if isinstance(node, ast.Import) for name in node.names}
        assert {name for name in names if name and name.startswith("worker")} <= allowed_modules
