"""`longarc status`: one screen that says whether it runs, what waits, and what needs a person, with the remedy."""

from datetime import timedelta
from socket import gethostname
from typing import Any

import pytest
from sqlalchemy import insert

from tests.support.companies import DANA, DAY, HOUR, KIM, SAM, START
from tests.support.terminal import Terminal
from worker.clock import utcnow
from worker.commands.status_screen import CHANNEL_REMEDY, HEIGHT, WIDTH, build_screen
from worker.store.heartbeats import Heartbeat
from worker.store.tables import channel

PAIR = f"{DANA}>{SAM}"


def report(**fields: Any) -> dict[str, Any]:
    """A company where all is well, but for these fields."""
    worker = {"host": "one", "pid": 7, "version": "1.0", "started_at": START, "seen_at": START, "lives": True}
    well: dict[str, Any] = {
        "people": 3,
        "pairs": {"active": 2, "paused": 0, "outside": 0, "ended": 0},
        "rollout": ["The rollout is for everybody."],
        "retention": {"months": None, "erased_pairs": 0},
        "workers": [worker],
        "calendars": {"read": 1, "never_read": [], "behind": [], "unreachable": []},
        "channels": channels(),
        "mail": {"smtp": ""},
        "sessions": {"booked": 2},
        "outbox": {"done": 4},
    }
    empty = ("unreachable", "suspended", "due", "tried_again", "troubled", "owed", "unplaceable")
    return {**well, **{name: [] for name in empty}, **fields}


def channels(*troubles: dict[str, Any], **counts: int) -> dict[str, Any]:
    known = {"trusted": 0, "unproven": 0, "silent": 0, "failing": 0, **counts}
    return {**known, "total": sum(known.values()), "troubles": list(troubles)}


def untold(standing: str, count: int, problem: str = "") -> dict[str, Any]:
    return {"standing": standing, "service": "outlook", "count": count, "calendar": DANA, "problem": problem}


def shown(**fields: Any) -> str:
    return "\n".join(line.text for line in build_screen(report(**fields)))


def unreachable(person: str, why: str = "the log-in was refused.") -> dict[str, Any]:
    times = {"since": START, "again": START + HOUR}
    return {"person": person, "service": "caldav", "failures": 3, "why": why, **times}


def troubled(progress: str, name: str = "brief", to: str = DANA) -> dict[str, Any]:
    return {"progress": progress, "what": "mail", "name": name, "pair": PAIR, "to": to, "problem": "The line broke."}


def test_where_all_is_well_it_says_so_and_since_when_it_runs() -> None:
    assert shown().splitlines() == [
        "Longarc 1.0 has run since Mon 7 Sep 2026 07:00 UTC: 1 worker on one.",
        "3 people, 2 active pairs.",
        "Sessions: 2 booked.",
        "Calendars: 1 read. Mail: smtp.",
        "The rollout is for everybody.",
        "",
        "Nothing needs a person.",
    ]


def test_what_is_erased_by_itself_is_said() -> None:
    text = shown(retention={"months": 24, "erased_pairs": 1})
    assert "What a pair wrote is erased 24 months after it ended. 1 pair was erased so far." in text


def test_where_services_tell_of_changes_it_says_on_how_many_calendars() -> None:
    assert "Notifications come for 12 of 12 calendars." in shown(channels=channels(trusted=12))
    text = shown(channels=channels(trusted=12, unproven=2, silent=1))
    assert "Notifications come for 12 of 15 calendars (2 not yet proven, 1 silent)." in text
    assert "Nothing needs a person." in text


def test_calendars_whose_changes_are_not_told_need_a_person_with_the_problem_of_one() -> None:
    troubles = [untold("failing", 2, f"{DANA}: no right answer from the address."), untold("silent", 3)]
    text = " ".join(shown(channels=channels(*troubles, failing=2, silent=3)).split())
    assert f"There is no channel for 2 calendars (outlook): {DANA}: no right answer from the address." in text
    assert "The channel is silent for 3 calendars (outlook): No notification came after our own change on" in text
    assert CHANNEL_REMEDY in text


def test_what_waits_is_said_with_its_time() -> None:
    due = {"what": "mail", "message": "brief", "count": 2, "since": START}
    owed = {"session": "c1", "pair": PAIR, "again": START + DAY}
    text = shown(outbox={"waiting": 5, "done": 4}, due=[due], owed=[owed])
    assert "3 mails and changes that are not due yet" in text
    assert "due since Mon 7 Sep 2026 07:00 UTC: 2 brief" in text
    assert "1 session without a time yet, next search at Tue 8 Sep 2026 07:00 UTC" in text
    assert "Nothing needs a person." in text


@pytest.mark.parametrize(
    ("fields", "what", "remedy"),
    [
        ({"workers": []}, "No worker runs", "Start `longarc run`."),
        ({"suspended": [{"person": DANA, "until": START}]}, f"{DANA}: no access", f"`longarc retry {DANA}`"),
        (
            {"suspended": [{"person": who, "until": START} for who in (DANA, KIM)]},
            f"{DANA}, {KIM}: no access",
            "`longarc retry --all`",
        ),
        ({"unreachable": [unreachable(DANA)]}, "not read since", "`longarc check`"),
        ({"troubled": [troubled("uncertain")]}, f"1 uncertain: brief to {DANA}: The line broke.", "ask a recipient"),
        ({"troubled": [troubled("dead")]}, "1 dead: brief", "Fix the cause."),
        ({"channels": channels(untold("failing", 2, "It said no."), failing=2)}, "There is no channel", CHANNEL_REMEDY),
        (
            {"unplaceable": [{"session": "c1", "pair": PAIR, "reason": "Dana is never there."}]},
            "Dana is never there.",
            "`longarc why c1`",
        ),
    ],
    ids=["no worker", "access", "access of two", "unreachable", "uncertain", "dead", "channel", "no time"],
)
def test_what_needs_a_person_comes_with_what_helps(fields: dict[str, Any], what: str, remedy: str) -> None:
    text = " ".join(shown(**fields).split())
    assert "Nothing needs a person" not in text
    assert text.index(what) < text.index(remedy)


def test_same_troubles_are_one_line_with_a_count() -> None:
    text = shown(unreachable=[unreachable(f"p{number}@corp.example") for number in range(9)])
    assert "p0@corp.example, p1@corp.example and 7 more: not read since" in text
    text = shown(troubled=[troubled("uncertain", to=f"p{number}@corp.example") for number in range(4)])
    assert "4 uncertain: brief to p0@corp.example, p1@corp.example and 2 more" in text


@pytest.mark.parametrize(("dead_count", "more"), [(2, "and 1 more worker."), (3, "and 2 more workers.")])
def test_dead_workers_are_one_line_with_a_count(dead_count: int, more: str) -> None:
    live_worker = report()["workers"][0]
    dead_workers = [{**live_worker, "host": f"dead{number}", "lives": False} for number in range(dead_count)]
    text = " ".join(shown(workers=[live_worker, *dead_workers]).split())
    assert f"no heartbeat since Mon 7 Sep 2026 07:00 UTC, {more}" in text


def test_the_worst_day_fits_one_screen() -> None:
    """And says how much more there is."""
    long = "it answered something that nobody could read, " * 9
    lines = build_screen(
        report(
            workers=[],
            outbox={"waiting": 900},
            due=[{"what": "mail", "message": f"kind{n}", "count": n, "since": START} for n in range(20)],
            tried_again=[{"what": "mail", "message": "x", "count": 1, "again": START, "why": long}] * 9,
            suspended=[{"person": f"s{n}@corp.example", "until": START} for n in range(40)],
            unreachable=[unreachable(f"u{n}@corp.example", f"{n} {long}") for n in range(40)],
            troubled=[troubled("dead"), troubled("uncertain")] * 20,
            unplaceable=[{"session": f"c{n}", "pair": PAIR, "reason": long} for n in range(40)],
            channels=channels(untold("failing", 9, long), untold("silent", 9, long), failing=9, silent=9, trusted=2),
            calendars={"read": 9, "never_read": ["a@corp.example"] * 30, "behind": [], "unreachable": []},
        )
    )
    assert len(lines) <= HEIGHT
    assert max(len(line.text) for line in lines) <= WIDTH
    assert "`longarc status --all` shows all." in lines[-1].text
    assert lines[0].text == "Longarc does not run."


def test_channels_are_shown_as_long_as_there_are_any(terminal: Terminal) -> None:
    assert terminal.json_of("status")["channels"]["total"] == 0
    assert "Notifications come" not in terminal.output_of("status") + terminal.output_of("status", "--all")
    store = terminal.open_store()
    with store.database.write() as connection:
        refused = {"calendar": DANA, "service": "google", "failures": 2, "problem": "The address is refused."}
        connection.execute(insert(channel), [{**refused, "due_at": utcnow()}])
    store.close()
    assert terminal.json_of("status")["channels"]["failing"] == 1
    for shown_text in (terminal.output_of("status"), terminal.output_of("status", "--all")):
        text = " ".join(shown_text.split())
        assert "Notifications come for 0 of 1 calendar (1 refused)." in text
        assert "There is no channel for 1 calendar (google): The address is refused." in text
        assert CHANNEL_REMEDY in text


def test_health_is_about_the_workers_of_this_machine(terminal: Terminal) -> None:
    now = utcnow()

    def beat(host: str, age: timedelta) -> None:
        store = terminal.open_store()
        store.heartbeats.save_heartbeat(Heartbeat(host, host, 1, now - DAY, now - age, "1.0"))
        store.close()

    beat("elsewhere", timedelta())
    assert terminal.error_of("status", "--health") == f"No worker runs on {gethostname()}."
    beat(gethostname(), HOUR)
    terminal.error_of("status", "--health")
    beat(gethostname(), timedelta())
    assert terminal.output_of("status", "--health").strip() == f"A worker runs on {gethostname()}."
