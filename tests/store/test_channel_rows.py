"""What two processes do at the same moment to the rows of channels. SQLite has one writer at a time."""

from dataclasses import replace
from threading import Thread

import pytest
from sqlalchemy import select, update

from tests.support.companies import DANA, MINUTE, SAM, Office
from tests.support.notifying import NotifyingOffice
from worker.store import tables
from worker.store.participation import lock_calendars, schedule_calendars


@pytest.mark.databases("postgresql")
def test_a_change_of_people_at_the_moment_of_a_refresh_is_not_lost(office: Office) -> None:
    """Nothing has been found out since the start, and somebody leaves while it is."""
    office.persons = {one: replace(who, calendar="google") for one, who in office.persons.items()}
    office.apply()
    other = office.add_worker("second").store
    refresh = Thread(target=other.channels.refresh, args=(("google",), office.clock()), daemon=True)
    with office.store.database.write() as connection:
        lock_calendars(office.store.database, connection)
        connection.execute(update(tables.person).where(tables.person.c.email == SAM).values(left_at=office.clock()))
        schedule_calendars(office.store.database, connection, office.clock())
        refresh.start()
        refresh.join(1)  # it ends, or waits for us
    refresh.join(10)
    assert not refresh.is_alive()
    office.store.channels.refresh(("google",), office.clock())
    assert [one.calendar for one in office.store.channels.list_watched()] == [DANA]


@pytest.mark.databases("postgresql")
def test_a_write_of_ours_that_waits_for_a_notification_keeps_no_reading_waiting(database_url: str) -> None:
    """A notification locks the channel, then the calendar; a reading the calendar, then the events. So whoever stores
    a write of ours must not lock the event before the channel: the three would wait for each other."""
    office = NotifyingOffice(database_url)
    office.tick_until_quiet()
    office.clock.advance(MINUTE)
    office.worker.actions.defer_session(office.session().id)
    office.worker.sweep.run("first")
    key = office.session().key
    other, delivered = office.add_worker("second"), []
    deliver = Thread(target=lambda: delivered.append(other.outbox.run("second")), daemon=True)
    with office.store.database.write() as connection:
        connection.execute(select(tables.channel).with_for_update())
        deliver.start()
        deliver.join(1)  # it waits for us
        assert deliver.is_alive()
        connection.execute(update(tables.event).where(tables.event.c.key == key).values(gone=False))
    deliver.join(10)
    assert delivered, "PostgreSQL has ended it"
    office.close()
