"""`longarc status`: one screen with the running workers, what waits, and what needs a person, with the remedy."""

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


def make_report(**fields: Any) -> dict[str, Any]:
    """Return the report of a company without troubles, except for these fields."""
    worker = {"host": "one", "pid": 7, "version": "1.0", "started_at": START, "seen_at": START, "lives": True}
    without_troubles: dict[str, Any] = {
        "people": 3,
        "pairs": {"active": 2, "paused": 0, "outside": 0, "ended": 0},
        "rollout": ["The rollout is for everybody."],
        "retention": {"months": None, "erased_pairs": 0},
        "workers": [worker],
        "calendars": {"read": 1, "never_read": [], "behind": [], "unreachable": []},
        "channels": make_channels(),
        "mail": {"smtp": ""},
        "sessions": {"booked": 2},
        "outbox": {"done": 4},
    }
    empty_lists = ("unreachable", "suspended", "due", "tried_again", "troubled", "owed", "unplaceable")
    return {**without_troubles, **{name: [] for name in empty_lists}, **fields}


def make_channels(*troubles: dict[str, Any], **counts: int) -> dict[str, Any]:
    """Return the part of the report about channels, with these counts by standing, such as `silent=1`."""
    standings = {"trusted": 0, "unproven": 0, "silent": 0, "failing": 0, **counts}
    return {**standings, "total": sum(standings.values()), "troubles": list(troubles)}


def make_channel_trouble(standing: str, count: int, problem: str = "") -> dict[str, Any]:
    return {"standing": standing, "service": "outlook", "count": count, "calendar": DANA, "problem": problem}


def render_screen(**fields: Any) -> str:
    return "\n".join(line.text for line in build_screen(make_report(**fields)))


def make_unreachable(person: str, why: str = "the log-in was refused.") -> dict[str, Any]:
    times = {"since": START, "again": START + HOUR}
    return {"person": person, "service": "caldav", "failures": 3, "why": why, **times}


def make_troubled_mail(progress: str, name: str = "brief", to: str = DANA) -> dict[str, Any]:
    return {"progress": progress, "what": "mail", "name": name, "pair": PAIR, "to": to, "problem": "The line broke."}


def test_the_screen_of_a_company_without_troubles() -> None:
    assert render_screen().splitlines() == [
        "Longarc 1.0 has run since Mon 7 Sep 2026 07:00 UTC: 1 worker on one.",
        "3 people, 2 active pairs.",
        "Sessions: 2 booked.",
        "Calendars: 1 read. Mail: smtp.",
        "The rollout is for everybody.",
        "",
        "Nothing needs a person.",
    ]


def test_the_screen_shows_the_retention_and_the_erased_pairs() -> None:
    text = render_screen(retention={"months": 24, "erased_pairs": 1})
    assert "What a pair wrote is erased 24 months after it ended. 1 pair was erased so far." in text


def test_the_screen_counts_calendars_with_notifications() -> None:
    assert "Notifications come for 12 of 12 calendars." in render_screen(channels=make_channels(trusted=12))
    text = render_screen(channels=make_channels(trusted=12, unproven=2, silent=1))
    assert "Notifications come for 12 of 15 calendars (2 not yet proven, 1 silent)." in text
    assert "Nothing needs a person." in text


def test_failing_and_silent_channels_need_a_person() -> None:
    troubles = [
        make_channel_trouble("failing", 2, f"{DANA}: no right answer from the address."),
        make_channel_trouble("silent", 3),
    ]
    text = " ".join(render_screen(channels=make_channels(*troubles, failing=2, silent=3)).split())
    assert f"There is no channel for 2 calendars (outlook): {DANA}: no right answer from the address." in text
    assert "The channel is silent for 3 calendars (outlook): No notification came after our own change on" in text
    assert CHANNEL_REMEDY in text


def test_waiting_effects_and_owed_sessions_are_shown_with_their_time() -> None:
    due = {"what": "mail", "message": "brief", "count": 2, "since": START}
    owed = {"session": "c1", "pair": PAIR, "again": START + DAY}
    text = render_screen(outbox={"waiting": 5, "done": 4}, due=[due], owed=[owed])
    assert "3 mails and changes that are not due yet" in text
    assert "due since Mon 7 Sep 2026 07:00 UTC: 2 brief" in text
    assert "1 session without a time yet, next search at Tue 8 Sep 2026 07:00 UTC" in text
    assert "Nothing needs a person." in text


@pytest.mark.parametrize(
    ("fields", "trouble", "remedy"),
    [
        ({"workers": []}, "No worker runs", "Start `longarc run`."),
        ({"suspended": [{"person": DANA, "until": START}]}, f"{DANA}: no access", f"`longarc retry {DANA}`"),
        (
            {"suspended": [{"person": who, "until": START} for who in (DANA, KIM)]},
            f"{DANA}, {KIM}: no access",
            "`longarc retry --all`",
        ),
        ({"unreachable": [make_unreachable(DANA)]}, "not read since", "`longarc check`"),
        (
            {"troubled": [make_troubled_mail("uncertain")]},
            f"1 uncertain: brief to {DANA}: The line broke.",
            "ask a recipient",
        ),
        ({"troubled": [make_troubled_mail("dead")]}, "1 dead: brief", "Fix the cause."),
        (
            {"channels": make_channels(make_channel_trouble("failing", 2, "The address is refused."), failing=2)},
            "There is no channel",
            CHANNEL_REMEDY,
        ),
        (
            {"unplaceable": [{"session": "c1", "pair": PAIR, "reason": "Dana is never free."}]},
            "Dana is never free.",
            "`longarc why c1`",
        ),
    ],
    ids=["no worker", "access", "access of two", "unreachable", "uncertain", "dead", "channel", "no time"],
)
def test_each_trouble_is_shown_before_its_remedy(fields: dict[str, Any], trouble: str, remedy: str) -> None:
    text = " ".join(render_screen(**fields).split())
    assert "Nothing needs a person" not in text
    assert text.index(trouble) < text.index(remedy)


def test_equal_troubles_are_one_line_with_a_count() -> None:
    text = render_screen(unreachable=[make_unreachable(f"p{number}@corp.example") for number in range(9)])
    assert "p0@corp.example, p1@corp.example and 7 more: not read since" in text
    text = render_screen(
        troubled=[make_troubled_mail("uncertain", to=f"p{number}@corp.example") for number in range(4)]
    )
    assert "4 uncertain: brief to p0@corp.example, p1@corp.example and 2 more" in text


@pytest.mark.parametrize(("dead_count", "more"), [(2, "and 1 more worker."), (3, "and 2 more workers.")])
def test_dead_workers_are_one_line_with_a_count(dead_count: int, more: str) -> None:
    live_worker = make_report()["workers"][0]
    dead_workers = [{**live_worker, "host": f"dead{number}", "lives": False} for number in range(dead_count)]
    text = " ".join(render_screen(workers=[live_worker, *dead_workers]).split())
    assert f"no heartbeat since Mon 7 Sep 2026 07:00 UTC, {more}" in text


def test_many_troubles_fit_one_screen() -> None:
    """The last line says how to see all."""
    long_text = "the answer of the service can't be read, " * 9
    lines = build_screen(
        make_report(
            workers=[],
            outbox={"waiting": 900},
            due=[{"what": "mail", "message": f"kind{n}", "count": n, "since": START} for n in range(20)],
            tried_again=[{"what": "mail", "message": "x", "count": 1, "again": START, "why": long_text}] * 9,
            suspended=[{"person": f"s{n}@corp.example", "until": START} for n in range(40)],
            unreachable=[make_unreachable(f"u{n}@corp.example", f"{n} {long_text}") for n in range(40)],
            troubled=[make_troubled_mail("dead"), make_troubled_mail("uncertain")] * 20,
            unplaceable=[{"session": f"c{n}", "pair": PAIR, "reason": long_text} for n in range(40)],
            channels=make_channels(
                make_channel_trouble("failing", 9, long_text),
                make_channel_trouble("silent", 9, long_text),
                failing=9,
                silent=9,
                trusted=2,
            ),
            calendars={"read": 9, "never_read": ["a@corp.example"] * 30, "behind": [], "unreachable": []},
        )
    )
    assert len(lines) <= HEIGHT
    assert max(len(line.text) for line in lines) <= WIDTH
    assert "`longarc status --all` shows all." in lines[-1].text
    assert lines[0].text == "Longarc does not run."


def test_channels_are_shown_only_if_there_are_any(terminal: Terminal) -> None:
    assert terminal.json_of("status")["channels"]["total"] == 0
    assert "Notifications come" not in terminal.output_of("status") + terminal.output_of("status", "--all")
    store = terminal.open_store()
    with store.database.write() as connection:
        failing_channel = {"calendar": DANA, "service": "google", "failures": 2, "problem": "The address is refused."}
        connection.execute(insert(channel), [{**failing_channel, "due_at": utcnow()}])
    store.close()
    assert terminal.json_of("status")["channels"]["failing"] == 1
    for output in (terminal.output_of("status"), terminal.output_of("status", "--all")):
        text = " ".join(output.split())
        assert "Notifications come for 0 of 1 calendar (1 refused)." in text
        assert "There is no channel for 1 calendar (google): The address is refused." in text
        assert CHANNEL_REMEDY in text


def test_health_counts_only_workers_of_this_machine(terminal: Terminal) -> None:
    now = utcnow()

    def save_heartbeat(host: str, age: timedelta) -> None:
        store = terminal.open_store()
        store.heartbeats.save_heartbeat(
            Heartbeat(holder=host, host=host, pid=1, started_at=now - DAY, seen_at=now - age, version="1.0")
        )
        store.close()

    save_heartbeat("elsewhere", timedelta())
    assert terminal.error_of("status", "--health") == f"No worker runs on {gethostname()}."
    save_heartbeat(gethostname(), HOUR)
    terminal.error_of("status", "--health")
    save_heartbeat(gethostname(), timedelta())
    assert terminal.output_of("status", "--health").strip() == f"A worker runs on {gethostname()}."
