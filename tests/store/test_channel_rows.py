"""Concurrent changes of channels by two processes on PostgreSQL. SQLite has one writer at a time."""

from dataclasses import replace
from threading import Thread

import pytest
from sqlalchemy import select, update

from tests.support.companies import DANA, MINUTE, SAM, Office
from tests.support.notifying import NotifyingOffice
from worker.store import tables
from worker.store.participation import lock_calendars, schedule_calendar_readings


@pytest.mark.databases("postgresql")
def test_departure_during_a_refresh_of_channels_is_not_lost(office: Office) -> None:
    """Channels are refreshed for the first time, and meanwhile a person leaves."""
    office.persons = {email: replace(person, calendar="google") for email, person in office.persons.items()}
    office.apply()
    other_store = office.add_worker("second").store
    refresh = Thread(
        target=other_store.channels.update_watched_calendars, args=(("google",), office.clock()), daemon=True
    )
    with office.store.database.write() as connection:
        lock_calendars(office.store.database, connection)
        connection.execute(update(tables.person).where(tables.person.c.email == SAM).values(left_at=office.clock()))
        schedule_calendar_readings(office.store.database, connection, office.clock())
        refresh.start()
        refresh.join(1)  # it ends, or waits for this transaction
    refresh.join(10)
    assert not refresh.is_alive()
    office.store.channels.update_watched_calendars(("google",), office.clock())
    assert [watched.calendar for watched in office.store.channels.list_watched()] == [DANA]


@pytest.mark.databases("postgresql")
def test_storing_a_write_locks_the_channel_before_the_event(database_url: str) -> None:
    """A notification locks the channel and then the calendar. A reading locks the calendar and then the events. Storing
    a write must not lock the event before the channel, because the three would then wait for each other."""
    office = NotifyingOffice(database_url)
    office.tick_until_quiet()
    office.clock.advance(MINUTE)
    office.worker.actions.request_another_time(office.session().id)
    office.worker.sweep.run("first")
    key = office.session().key
    other_worker, delivered = office.add_worker("second"), []
    deliver = Thread(target=lambda: delivered.append(other_worker.outbox.run("second")), daemon=True)
    with office.store.database.write() as connection:
        connection.execute(select(tables.channel).with_for_update())
        deliver.start()
        deliver.join(1)  # it waits for this transaction
        assert deliver.is_alive()
        # locks the event as a reading does; nothing changes
        connection.execute(update(tables.event).where(tables.event.c.key == key).values(gone=False))
    deliver.join(10)
    assert delivered, "PostgreSQL ended the transaction because of a deadlock"
    office.close()
