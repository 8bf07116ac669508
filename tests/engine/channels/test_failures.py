"""Channels when a service refuses or is slow, and when processes are killed or work at the same time."""

from contextlib import closing
from dataclasses import replace
from email.utils import parsedate_to_datetime

import pytest
from sqlalchemy import select

from tests.support.companies import DANA, DAY, HOUR, MINUTE, SAM, SECOND, START, Fails, company
from tests.support.notifying import NOTIFYING_SERVICE, NotifyingOffice, ProcessEnded, end_process_at
from worker.domain.channels import ChannelStanding
from worker.engine.channels import BATCH, LEASE, MAX_LEASED
from worker.errors import AuthRevoked, Permanent, Unavailable
from worker.store import tables
from worker.store.channel_standings import count_channels
from worker.store.channels import Lease

BUDGET = 30 * SECOND


# --- refusals ---


def test_a_refusal_is_told_once_a_day_and_tried_again_ever_more_seldom(office: NotifyingOffice) -> None:
    office.calendar.fail = Fails(lambda: Permanent("The address is not allowed."), "open_channel")
    office.run(3 * DAY)
    assert office.calendar.operations.count("open_channel") == 10
    alerts = [mail for mail in office.mails() if "not allowed" in mail.as_string()]
    assert len(alerts) == len({parsedate_to_datetime(mail["Date"]).date() for mail in alerts}) == 3
    assert office.watched_calendar().problem == "The address is not allowed."
    office.calendar.fail = None
    office.run(DAY + HOUR)
    assert len(office.calendar.channels_of(DANA)) == 1


def test_a_report_s_calendar_that_may_not_be_watched_is_nobody_s_trouble(office: NotifyingOffice) -> None:
    """Where the company gives the right to managers' calendars alone."""

    def refuse(operation: str) -> None:
        if operation == "open_channel answered" and office.calendar.channels_of(SAM):
            office.calendar.service_channels.popitem()
            raise Permanent("Access is denied.")

    office.calendar.fail = refuse
    office.run(2 * DAY)
    assert office.watched_calendar(SAM).failures >= 2 and office.watched_calendar(DANA).proven_at
    assert [mail for mail in office.mails() if "denied" in mail.as_string()] == []
    counts = count_channels(office.store.database, office.clock())
    assert [(one.standing, one.count) for one in counts] == [(ChannelStanding.TRUSTED, 1)]


def test_a_service_that_is_away_is_asked_again_in_minutes(office: NotifyingOffice) -> None:
    office.calendar.fail = Fails(lambda: Unavailable("away"), "open_channel", times=2)
    office.tick()
    assert office.watched_calendar().failures == 0
    office.run(10 * MINUTE)
    assert len(office.calendar.channels_of(DANA)) == 1


@pytest.mark.parametrize("by_hand", [False, True])
def test_a_calendar_that_is_suspended_no_more_gets_its_channel_with_it(office: NotifyingOffice, by_hand: bool) -> None:
    office.calendar.fail = Fails(lambda: AuthRevoked("revoked"), "open_channel", "changes")
    office.run(12 * HOUR)
    assert office.watched_calendar().failures > 2 and office.store.people.load_suspensions()
    office.calendar.fail = None
    if by_hand:
        office.store.calendars.lift_suspension(DANA, office.clock())
    else:
        office.run(HOUR + MINUTE)
    office.tick()
    assert len(office.calendar.channels_of(DANA)) == 1


def test_a_revoked_grant_stops_no_other_calendar(office: NotifyingOffice) -> None:
    office.calendar.fail = Fails(lambda: AuthRevoked("revoked"), "open_channel", times=1)
    office.tick()
    assert sum(len(office.calendar.channels_of(who)) for who in (DANA, SAM)) == 1


# --- several processes ---

CALLS = tuple(f"{one}_channel{answered}" for one in ("open", "renew", "close") for answered in ("", " answered"))


@pytest.mark.parametrize("renews", [False, True])
def test_killed_at_any_call_another_process_brings_the_channels_to_the_same_end(renews: bool) -> None:
    for number in range(1, 12):
        with closing(NotifyingOffice()) as office:
            office.calendar.can_renew = renews
            office.calendar.fail = end_process_at(number, CALLS)
            died = False
            for _ in range(2):
                try:
                    office.run(5 * DAY)
                except ProcessEnded:
                    died = True
                    office.worker = office.add_worker("second")
                    office.clock.advance(HOUR)
            office.run(8 * DAY)
            for who in (DANA, SAM):
                assert [one.id for one in office.calendar.channels_of(who)] == [office.watched_calendar(who).id], number
            assert office.rows(select(tables.retired_channel)) == []
            assert len(office.events()) == len({one.key for one in office.events()})
            if not died:
                assert number > 4
                break


def test_two_processes_open_one_channel_for_each_calendar(office: NotifyingOffice) -> None:
    other = office.add_worker("second")
    for worker in (other, office.worker):
        worker.channels.refresh()
    assert other.channels.run("second") + office.channels.run("first") == 2
    assert office.calendar.operations.count("open_channel") == 2


def test_a_slow_service_keeps_few_workers_and_none_for_long(office: NotifyingOffice) -> None:
    """When all channels of a company are opened, calendars are read and conversations planned meanwhile."""
    office.persons, office.pairs = company(30)
    office.persons = {one: replace(who, calendar=NOTIFYING_SERVICE) for one, who in office.persons.items()}
    office.apply()
    others: list[int] = []

    def be_slow(operation: str) -> None:
        if operation != "open_channel":
            return
        office.clock.advance(SECOND * 10)
        if not others:
            office.calendar.fail = None
            others.extend(office.add_worker(f"other {number}").channels.run("other") for number in range(3))
            office.calendar.fail = be_slow

    office.channels.refresh()
    office.calendar.fail = be_slow
    office.channels.run_until("first", lambda: office.clock() >= START + BUDGET)
    assert others == [BATCH, BATCH, BATCH], "each is done at once, and leaves room"
    assert office.clock() - START <= BUDGET + BATCH * 10 * SECOND
    due = office.store.channels
    lease = Lease("dead", office.clock() + LEASE)
    leased = [len(due.claim(office.clock(), lease, BATCH, MAX_LEASED)) for _ in range(3)]
    assert leased == [BATCH, MAX_LEASED - BATCH, 0]
    assert office.channels.run("first") == 0
    office.clock.advance(LEASE)
    assert office.channels.run("first") == BATCH, "its leases have ended"
