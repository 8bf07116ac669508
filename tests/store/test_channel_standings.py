"""Counts of channels by standing, and the channels about which the operator is told."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, insert

from tests.support.companies import DANA, DAY, HOUR, KIM, SAM, START, new_store
from worker.domain.channels import MAX_ECHO_DELAY, ChannelStanding, is_trusted
from worker.domain.model import WatchedCalendar
from worker.ops.status import collect_status
from worker.store.channel_standings import count_channels
from worker.store.store import Store
from worker.store.tables import channel

MINUTE = timedelta(minutes=1)
REFUSED: dict[str, Any] = {"failures": 1, "problem": "The address is refused."}
OPENED: dict[str, Any] = {
    "id": "a",
    "remote_id": "r",
    "opened_at": START - DAY,
    "renew_at": START + DAY,
    "expires_at": START + 6 * DAY,
}
PROVEN: dict[str, Any] = {**OPENED, "proven_at": START - HOUR}


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    store = new_store(database_url)
    yield store
    store.close()


def add_channel(store: Store, calendar: str, service: str = "google", **columns: Any) -> None:
    with store.database.write() as connection:
        row = {"calendar": calendar, "service": service, "due_at": START, **columns}
        connection.execute(insert(channel), [row])


@pytest.mark.parametrize(
    ("columns", "standing"),
    [
        ({}, ChannelStanding.UNPROVEN),
        (OPENED, ChannelStanding.UNPROVEN),
        (PROVEN, ChannelStanding.TRUSTED),
        ({**PROVEN, **REFUSED}, ChannelStanding.TRUSTED),
        ({**PROVEN, "awaiting_since": START - MAX_ECHO_DELAY + MINUTE}, ChannelStanding.TRUSTED),
        ({**PROVEN, "awaiting_since": START - MAX_ECHO_DELAY}, ChannelStanding.SILENT),
        ({**OPENED, "awaiting_since": START - MAX_ECHO_DELAY}, ChannelStanding.SILENT),
        ({**OPENED, "awaiting_since": START - MINUTE}, ChannelStanding.UNPROVEN),
        ({**OPENED, **REFUSED}, ChannelStanding.SILENT),
        ({**PROVEN, "expires_at": START}, ChannelStanding.UNPROVEN),
        ({**PROVEN, "expires_at": START, **REFUSED}, ChannelStanding.FAILING),
        (REFUSED, ChannelStanding.FAILING),
    ],
)
def test_each_channel_has_one_standing_that_agrees_with_the_domain(
    store: Store, columns: dict[str, Any], standing: ChannelStanding
) -> None:
    add_channel(store, DANA, **columns)
    [count] = count_channels(store.database, START)
    assert (count.service, count.standing, count.count, count.calendar) == ("google", standing, 1, DANA)
    assert count.problem == columns.get("problem", "")
    watched = WatchedCalendar(calendar=DANA, service="google", **columns)
    assert is_trusted(watched, START) is (standing is ChannelStanding.TRUSTED)


def test_silent_channels_need_the_operator_from_a_fifth_of_their_service_on(store: Store) -> None:
    for number in range(5):
        add_channel(store, f"p{number}@corp.example", **PROVEN)
    add_channel(store, SAM, **OPENED, failures=1, problem="It did not come back.")
    assert collect_status(store, START)["channels"]["troubles"] == []  # one of six is silent, less than a fifth
    add_channel(store, KIM, "outlook", **REFUSED)  # a failing channel, which always needs the operator
    for number in range(20):  # channels of another service do not change the share
        add_channel(store, f"q{number}@corp.example", "outlook", **PROVEN)
    channels = collect_status(store, START)["channels"]
    assert channels["total"] == (5 + 1) + (1 + 20)
    assert [trouble["calendar"] for trouble in channels["troubles"]] == [KIM]
    with store.database.write() as connection:
        connection.execute(delete(channel).where(channel.c.calendar == "p0@corp.example"))  # now it is one of five
    assert [trouble["calendar"] for trouble in collect_status(store, START)["channels"]["troubles"]] == [SAM, KIM]
