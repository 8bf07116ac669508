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

#: How long the worker of the test may open channels.
BUDGET = 30 * SECOND


# --- refusals ---


def test_a_refused_channel_causes_one_alert_a_day_and_is_tried_after_longer_waits(office: NotifyingOffice) -> None:
    office.calendar.fail = Fails(lambda: Permanent("The address is not allowed."), "open_channel")
    office.run(3 * DAY)
    # for each of the two calendars at once, and 1, 4, 24 and 24 hours after the last attempt
    assert office.calendar.operations.count("open_channel") == 10
    alerts = [mail for mail in office.mails() if "not allowed" in mail.as_string()]
    assert len(alerts) == len({parsedate_to_datetime(mail["Date"]).date() for mail in alerts}) == 3
    assert office.watched_calendar().problem == "The address is not allowed."
    office.calendar.fail = None
    office.run(DAY + HOUR)
    assert len(office.calendar.channels_of(DANA)) == 1


def test_a_report_s_calendar_without_a_channel_causes_no_alert(office: NotifyingOffice) -> None:
    """Some companies give access to managers' calendars alone."""

    def refuse(operation: str) -> None:
        if operation == "open_channel answered" and office.calendar.channels_of(SAM):
            office.calendar.service_channels.popitem()
            raise Permanent("Access is denied.")

    office.calendar.fail = refuse
    office.run(2 * DAY)
    assert office.watched_calendar(SAM).failures >= 2 and office.watched_calendar(DANA).proven_at
    assert [mail for mail in office.mails() if "denied" in mail.as_string()] == []
    counts = count_channels(office.store.database, office.clock())
    assert [(group.standing, group.count) for group in counts] == [(ChannelStanding.TRUSTED, 1)]


def test_a_channel_is_opened_minutes_after_an_outage(office: NotifyingOffice) -> None:
    office.calendar.fail = Fails(lambda: Unavailable("away"), "open_channel", times=2)
    office.tick()
    assert office.watched_calendar().failures == 0
    office.run(10 * MINUTE)
    assert len(office.calendar.channels_of(DANA)) == 1


@pytest.mark.parametrize("by_hand", [False, True])
def test_a_calendar_gets_its_channel_as_soon_as_its_suspension_ends(office: NotifyingOffice, by_hand: bool) -> None:
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


def test_a_revoked_grant_for_one_calendar_stops_no_other_channel(office: NotifyingOffice) -> None:
    office.calendar.fail = Fails(lambda: AuthRevoked("revoked"), "open_channel", times=1)
    office.tick()
    assert sum(len(office.calendar.channels_of(person)) for person in (DANA, SAM)) == 1


# --- several processes ---

#: The moments before and after each call to the service.
CALLS = tuple(f"{call}_channel{moment}" for call in ("open", "renew", "close") for moment in ("", " answered"))


@pytest.mark.parametrize("can_renew", [False, True])
def test_another_process_completes_the_channels_after_a_kill_at_any_call(can_renew: bool) -> None:
    """Round n ends the first process at its n-th call. The rounds stop when a process makes fewer calls than that."""
    for number in range(1, 60):
        with closing(NotifyingOffice()) as office:
            office.calendar.can_renew = can_renew
            office.calendar.fail = end_process_at(number, CALLS)
            was_killed = False
            for _ in range(2):
                try:
                    office.run(5 * DAY)  # long enough for a renewal of each channel
                except ProcessEnded:
                    was_killed = True
                    office.worker = office.add_worker("second")
                    office.clock.advance(HOUR)
            office.calendar.fail = None
            office.run(8 * DAY)
            for person in (DANA, SAM):
                (channel,) = office.calendar.channels_of(person)
                assert channel.id == office.watched_calendar(person).id, f"killed at call {number}"
            assert office.rows(select(tables.retired_channel)) == []
            assert len(office.events()) == len({event.key for event in office.events()})
            if not was_killed:
                assert number > 4, "the process made too few calls to be killed at each kind of them"
                break
    else:
        pytest.fail("A process was killed in each round, so that later calls were not tried.")


def test_two_processes_open_one_channel_for_each_calendar(office: NotifyingOffice) -> None:
    other = office.add_worker("second")
    for worker in (other, office.worker):
        worker.channels.refresh()
    assert other.channels.run(holder="second") + office.channels.run(holder="first") == 2
    assert office.calendar.operations.count("open_channel") == 2


def test_a_slow_service_occupies_few_workers_for_a_short_time(office: NotifyingOffice) -> None:
    """When all channels of a company have to be opened, other workers must read calendars and plan sessions
    meanwhile."""
    office.persons, office.pairs = company(30)
    office.persons = {
        address: replace(person, calendar=NOTIFYING_SERVICE) for address, person in office.persons.items()
    }
    office.apply()
    other_counts: list[int] = []

    def answer_slowly(operation: str) -> None:
        if operation != "open_channel":
            return
        office.clock.advance(SECOND * 10)
        if not other_counts:
            office.calendar.fail = None
            other_counts.extend(
                office.add_worker(f"other {number}").channels.run(holder="other") for number in range(3)
            )
            office.calendar.fail = answer_slowly

    office.channels.refresh()
    office.calendar.fail = answer_slowly
    office.channels.run_until("first", lambda: office.clock() >= START + BUDGET)
    assert other_counts == [BATCH, BATCH, BATCH]  # each of three other workers opens one batch and stops
    assert office.clock() - START <= BUDGET + BATCH * 10 * SECOND
    channels = office.store.channels
    lease = Lease("dead", office.clock() + LEASE)
    leased_counts = [len(channels.claim(office.clock(), lease, BATCH, MAX_LEASED)) for _ in range(3)]
    assert leased_counts == [BATCH, MAX_LEASED - BATCH, 0]
    assert office.channels.run(holder="first") == 0
    office.clock.advance(LEASE)
    assert office.channels.run(holder="first") == BATCH, "the leases of the dead worker have not ended"
