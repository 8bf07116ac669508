"""`longarc undo`: it asks before it removes events, names events that are left, and `longarc status` shows it."""

from pathlib import Path

import pytest
from sqlalchemy import func, select

from tests.support.companies import DANA
from tests.support.terminal import PEOPLE_CSV, Terminal
from worker.providers.quiet_cancels import QUIET_CANCELS, QUIET_INVITATIONS
from worker.store import tables


def count_events(terminal: Terminal) -> int:
    store = terminal.open_store()
    with store.database.read() as connection:
        query = select(func.count()).select_from(tables.event).where(tables.event.c.gone.is_(False))
        count = int(connection.execute(query).scalar_one())
    store.close()
    return count


def test_undo_changes_nothing_until_the_operator_confirms(terminal: Terminal) -> None:
    before = terminal.read_database()
    for answer in ("n\n", ""):
        assert "Nothing was changed. Say --yes" in terminal.error_of("undo", given=answer)
    assert terminal.read_database() == before


@pytest.mark.parametrize("past", [(), ("--past",)], ids=["to come", "past"])
def test_undo_removes_events_and_pauses_everybody(terminal: Terminal, past: tuple[str, ...]) -> None:
    """The calendar in memory of this process has no events. The program treats them as removed by somebody."""
    before = count_events(terminal)
    output = terminal.output_of("undo", *past, given="y\n")
    assert "of Longarc would be removed from 1 calendar. Then everybody is paused." in output
    assert "Everybody is paused. `longarc resume --everybody` ends that." in output
    assert "removed." in output
    assert count_events(terminal) == (0 if past else before - 2)  # two events, one of each pair, are to come
    status = terminal.output_of("status")
    assert "Everybody is paused." in status
    assert "The undo ended at" in status
    assert terminal.json_of("undo", "--yes", *past)["complete"]
    terminal.output_of("resume", "--everybody", "--yes")
    assert "The undo ended at" not in terminal.output_of("status")


def test_undo_fails_and_names_events_that_are_left(terminal: Terminal) -> None:
    terminal.write("people.csv", PEOPLE_CSV.replace("memory,memory", "caldav,memory"))
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


def test_the_documentation_says_how_each_service_cancels_quietly() -> None:
    from worker.providers.base import CALENDAR_FACTORIES

    assert set(QUIET_CANCELS) == set(CALENDAR_FACTORIES) - {"memory"}
    page = Path(__file__).parents[2].joinpath("docs", "how-to", "remove.md").read_text(encoding="utf-8")
    for sentence in (*QUIET_CANCELS.values(), QUIET_INVITATIONS):
        assert " ".join(sentence.split()) in " ".join(page.split())
