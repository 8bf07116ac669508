"""`longarc undo` at a terminal: what it would do is said first, what is left with its remedy, and `status` tells."""

from pathlib import Path

import pytest
from sqlalchemy import func, select

from tests.support.companies import DANA
from tests.support.terminal import PEOPLE, Terminal
from worker.providers.quiet_cancels import QUIET_CANCELS, QUIET_INVITATIONS
from worker.store import tables


def count_standing(terminal: Terminal) -> int:
    store = terminal.open_store()
    with store.database.read() as connection:
        standing = select(func.count()).select_from(tables.event).where(tables.event.c.gone.is_(False))
        found = int(connection.execute(standing).scalar_one())
    store.close()
    return found


def test_nothing_happens_before_the_operator_says_yes(terminal: Terminal) -> None:
    before = terminal.read_database()
    for answer in ("n\n", ""):
        assert "Nothing was changed. Say --yes" in terminal.error_of("undo", given=answer)
    assert terminal.read_database() == before


@pytest.mark.parametrize("past", [(), ("--past",)], ids=["to come", "past"])
def test_events_come_off_and_everybody_is_paused(terminal: Terminal, past: tuple[str, ...]) -> None:
    """The calendar in memory has lost them with the process before, which is as if they were gone already."""
    before = count_standing(terminal)
    told = terminal.output_of("undo", *past, given="y\n")
    assert "of Longarc would be removed from 1 calendar. Then everybody is paused." in told
    assert "Everybody is paused. `longarc resume --everybody` ends that." in told
    assert "removed." in told
    assert count_standing(terminal) == (0 if past else before - 2)
    status = terminal.output_of("status")
    assert "Everybody is paused." in status
    assert "The undo ended at" in status
    assert terminal.json_of("undo", "--yes", *past)["complete"]
    terminal.output_of("resume", "--everybody", "--yes")
    assert "The undo ended at" not in terminal.output_of("status")


def test_what_is_left_is_named_and_the_command_fails(terminal: Terminal) -> None:
    terminal.write("people.csv", PEOPLE.replace("memory,memory", "caldav,memory"))
    toml = (terminal.folder / "longarc.toml").read_text()
    terminal.write("longarc.toml", toml + '[calendars.caldav]\nurl = "http://127.0.0.1:9/{email}/"\n')
    terminal.output_of("people", "--apply")
    result = terminal.run("undo", "--yes", "--quiet")
    assert result.exit_code == 1
    assert f"{DANA}: 2 events are still there: Nothing answers at http://127.0.0.1:9/" in result.stdout
    assert "Some events are left. Fix what is named above, and run `longarc undo` again." in result.stderr
    for sentence in (QUIET_CANCELS["caldav"], QUIET_INVITATIONS):
        assert sentence in result.stdout
    assert "2 events are still on calendars. `longarc undo` continues it." in terminal.output_of("status")


def test_each_service_that_takes_events_has_its_truth_about_quiet_cancels() -> None:
    from worker.providers.base import CALENDAR_FACTORIES

    assert set(QUIET_CANCELS) == set(CALENDAR_FACTORIES) - {"memory"}
    page = Path(__file__).parents[2].joinpath("docs", "how-to", "remove.md").read_text(encoding="utf-8")
    for sentence in (*QUIET_CANCELS.values(), QUIET_INVITATIONS):
        assert " ".join(sentence.split()) in " ".join(page.split())
