"""Whose calendars are to have a channel, when two processes find it out and change it at the same moment."""

from dataclasses import replace
from threading import Thread

import pytest
from sqlalchemy import update

from tests.support.companies import DANA, SAM, Office
from worker.store import tables
from worker.store.participation import schedule_calendars


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_a_change_of_people_at_the_moment_of_a_refresh_is_not_lost(office: Office) -> None:
    """Nothing has been found out since the start, and somebody leaves while it is: SQLite has one writer at a time."""
    office.persons = {one: replace(who, calendar="google") for one, who in office.persons.items()}
    office.apply()
    other = office.another("second").store
    refresh = Thread(target=other.channels.refresh, args=(("google",), office.clock()), daemon=True)
    with office.store.database.write() as connection:
        connection.execute(update(tables.person).where(tables.person.c.email == SAM).values(left_at=office.clock()))
        schedule_calendars(office.store.database, connection, office.clock())
        refresh.start()
        refresh.join(1)  # it ends, or waits for us
    refresh.join(10)
    assert not refresh.is_alive()
    office.store.channels.refresh(("google",), office.clock())
    assert [one.calendar for one in office.store.channels.list_watched()] == [DANA]
