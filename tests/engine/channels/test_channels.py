"""Channels: which calendars have one, and how it is opened, renewed, replaced and closed."""

from contextlib import closing
from dataclasses import replace

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from tests.support.companies import BASE_URL, DANA, DAY, MINUTE, SAM, SECOND, Fails, pair, pairs
from tests.support.notifying import OTHER_KEY, NotifyingOffice, notification_settings
from worker.domain.channels import MAX_ECHO_DELAY, is_trusted
from worker.domain.model import AliasSource, Answer, PersonAlias
from worker.engine.channels import REINSTATE_ADDRESS_AFTER
from worker.errors import Permanent
from worker.providers.base import Notification, NotificationKind
from worker.store import tables
from worker.store.channels import expect_echo

# --- which calendars have a channel ---


def test_both_calendars_of_a_pair_get_a_channel(office: NotifyingOffice) -> None:
    office.tick()
    assert [len(office.calendar.channels_of(person)) for person in (DANA, SAM)] == [1, 1]
    assert office.calendar.operations.count("open_channel") == 2


def test_no_channel_is_opened_without_an_address() -> None:
    with closing(NotifyingOffice(office_settings=notification_settings(notify_url=""))) as office:
        office.tick_until_quiet()
        assert office.calendar.operations == [] and not office.channels.is_on


def test_all_channels_are_closed_when_the_address_is_removed_from_the_settings(office: NotifyingOffice) -> None:
    office.tick_until_quiet()
    office.settings = notification_settings(notify_url="")
    office.add_worker("second").tick()
    assert office.calendar.service_channels == {}
    assert office.rows(select(tables.channel)) == office.rows(select(tables.retired_channel)) == []


def test_the_channels_of_a_person_who_leaves_are_closed(office: NotifyingOffice) -> None:
    office.prove_channels()
    office.store.people.apply_import({DANA: office.persons[DANA]}, {}, office.clock())
    office.clock.advance(MINUTE)
    office.tick_until_quiet()
    assert office.calendar.service_channels == {}


@pytest.mark.parametrize("change", ["address", "key", "key, with the old one kept"])
def test_all_channels_are_replaced_when_the_address_or_the_key_changes(office: NotifyingOffice, change: str) -> None:
    """Notifications through the old channels would go to the old address or be refused, so the old channels are no
    longer trusted."""
    office.prove_channels()
    office.calendar.can_renew = True
    old = office.watched_calendar()
    if change == "address":
        office.calendar.public = "https://new.corp.example"
        office.settings = notification_settings(notify_url=office.calendar.public)
    else:
        keys = (SecretStr(OTHER_KEY), *(office.settings.keys if "kept" in change else ()))
        office.settings = office.settings.model_copy(update={"keys": keys})
    office.worker = office.add_worker("second")
    assert office.channels.refresh(), "the change was not noticed"
    assert not office.channels.refresh(), "the change was noticed twice"
    assert not is_trusted(office.watched_calendar(), office.clock())
    office.tick_until_quiet()
    (new,) = office.calendar.channels_of(DANA)
    assert new.id == office.watched_calendar().id != old.id and new.replaces == old.remote_id
    assert office.watched_calendar().proven_at is None  # no notification has come through the new channel yet
    office.clock.advance(10 * SECOND)
    office.calendar.notify(DANA)
    assert office.deliver_notifications() == 1 and office.watched_calendar().proven_at


@pytest.mark.parametrize("address", ["https://new.corp.example", ""])
def test_processes_with_the_old_address_do_not_change_the_channels(office: NotifyingOffice, address: str) -> None:
    """Processes are restarted one after the other. Old processes must not undo what new ones did."""
    office.tick_until_quiet()
    old_worker, open_count = office.worker, office.calendar.operations.count("open_channel")
    office.calendar.public = address
    office.settings = notification_settings(notify_url=address)
    new_worker = office.worker = office.add_worker("new")
    office.tick_until_quiet()
    channels = dict(office.calendar.service_channels)
    for _ in range(5):
        office.clock.advance(MINUTE)
        for worker in (old_worker, new_worker):
            worker.tick()
    assert office.calendar.service_channels == channels
    assert office.calendar.operations.count("open_channel") == open_count + len(channels)


def test_an_address_comes_into_force_again_an_hour_after_another_replaced_it(office: NotifyingOffice) -> None:
    """A process that is started with old settings by mistake must not end the notifications of the others."""
    office.tick_until_quiet()
    right_worker = office.worker
    office.calendar.public = "https://old.corp.example"
    office.settings = notification_settings(notify_url=office.calendar.public)
    office.add_worker("mistaken").tick()
    office.calendar.public = BASE_URL
    office.clock.advance(REINSTATE_ADDRESS_AFTER - MINUTE)
    right_worker.tick()
    assert list_urls(office) == {"https://old.corp.example/notify/google"}
    office.clock.advance(MINUTE)
    right_worker.tick()
    assert list_urls(office) == {f"{BASE_URL}/notify/google"}


def list_urls(office: NotifyingOffice) -> set[str]:
    """Return the addresses to which the service sends notifications."""
    return {opened.channel.url for opened in office.calendar.service_channels.values()}


def test_a_new_address_is_tried_at_once_after_the_old_one_was_refused(office: NotifyingOffice) -> None:
    office.calendar.fail = Fails(lambda: Permanent("The address is not allowed."), "open_channel")
    office.run(DAY)
    assert office.watched_calendar().failures > 2
    office.calendar.fail = None
    office.calendar.public = "https://new.corp.example"
    office.settings = notification_settings(notify_url=office.calendar.public)
    office.worker = office.add_worker("second")
    office.tick()
    assert len(office.calendar.channels_of(DANA)) == 1


def test_a_channel_stays_with_a_person_who_gets_another_address(office: NotifyingOffice) -> None:
    office.prove_channels()
    before, new_address = office.watched_calendar(), "dana.moreau@corp.example"
    persons = {new_address: replace(office.persons[DANA], email=new_address), SAM: office.persons[SAM]}
    alias = PersonAlias(DANA, new_address, AliasSource.PEOPLE_FILE)
    office.store.people.apply_import(persons, pairs(pair(new_address)), office.clock(), [alias])
    office.channels.refresh()
    assert office.watched_calendar(new_address) == replace(before, calendar=new_address)
    assert office.store.channels.load(DANA) is None and not office.rows(select(tables.retired_channel))
    office.calendar.notify(DANA)
    assert office.deliver_notifications() == 1


def test_channels_are_opened_at_the_address_of_the_settings(office: NotifyingOffice) -> None:
    office.tick()
    assert list_urls(office) == {f"{BASE_URL}/notify/google"}


# --- the life of a channel ---


@pytest.mark.parametrize("can_renew", [False, True])
def test_a_channel_is_renewed_or_replaced_at_half_its_life_without_a_gap(
    office: NotifyingOffice, can_renew: bool
) -> None:
    office.prove_channels()
    office.calendar.can_renew = can_renew
    first = office.watched_calendar()
    for _ in range(14 * 4):  # two weeks, which are twice the life of a channel
        office.run(DAY / 4)
        assert office.calendar.channels_of(DANA), "the calendar has no channel"
        assert len(office.calendar.channels_of(DANA)) == 1
    assert (office.watched_calendar().id == first.id) is can_renew
    assert office.watched_calendar().proven_at == first.proven_at, "the new channel is not trusted like the one before"
    assert 6 <= office.calendar.operations.count("renew_channel") <= 8  # three or four for each calendar


def test_a_channel_that_the_service_removed_is_replaced_and_the_calendar_is_read(office: NotifyingOffice) -> None:
    office.prove_channels()
    (removed,) = office.calendar.channels_of(DANA)
    office.calendar.notify(DANA, NotificationKind.REMOVED)
    office.calendar.service_channels.pop(removed.remote_id)
    office.calendar.answer(DANA, office.session().key, SAM, Answer.DECLINED)  # causes no notification
    office.clock.advance(10 * SECOND)
    office.tick_until_quiet()
    (replacement,) = office.calendar.channels_of(DANA)
    assert replacement.id != removed.id and office.session().count == 1


def test_a_channel_is_renewed_when_the_service_requires_it(office: NotifyingOffice) -> None:
    office.prove_channels()
    office.calendar.can_renew = True
    office.calendar.notify(DANA, NotificationKind.RENEW)
    office.tick()
    assert office.calendar.operations[-1] == "renew_channel"


def test_a_notification_that_others_were_missed_makes_the_calendar_due(office: NotifyingOffice) -> None:
    office.prove_channels()
    office.calendar.loses_notifications = True
    office.calendar.answer(DANA, office.session().key, SAM, Answer.DECLINED)
    office.calendar.loses_notifications = False
    office.clock.advance(10 * SECOND)
    office.calendar.notify(DANA, NotificationKind.MISSED)
    office.tick_until_quiet()
    assert office.session().count == 1


def test_a_silent_channel_is_renewed_once_for_each_request_of_the_service(office: NotifyingOffice) -> None:
    """A silent channel is replaced only hours after the last attempt. Until then it must not be due again and
    again."""
    office.prove_channels()
    office.calendar.can_renew = True
    office.calendar.loses_notifications = True
    for _ in range(2):
        office.worker.actions.request_another_time(office.session().id)
        office.run(MAX_ECHO_DELAY + 2 * MINUTE)
    watched = office.watched_calendar()
    assert watched.failures == 1 and watched.awaiting_since
    renewal_count = office.calendar.operations.count("renew_channel")
    office.store.channels.renew_now(DANA, office.clock())
    assert office.channels.run(holder="first") == 1
    assert office.channels.run(holder="first") == 0, "the channel is due again at once"
    assert office.calendar.operations.count("renew_channel") == renewal_count + 1


def test_a_channel_that_is_removed_during_its_renewal_is_replaced(office: NotifyingOffice) -> None:
    office.prove_channels()
    office.calendar.can_renew = True
    (old,) = office.calendar.channels_of(DANA)

    def remove(operation: str) -> None:
        if operation == "renew_channel answered":
            office.calendar.service_channels.pop(old.remote_id)
            office.channels.accept(Notification(old.token, NotificationKind.REMOVED))

    office.store.channels.renew_now(DANA, office.clock())
    office.calendar.fail = remove
    office.tick()
    office.calendar.fail = None
    office.tick()
    assert [channel.id for channel in office.calendar.channels_of(DANA)] == [office.watched_calendar().id] != [old.id]


def test_the_echo_of_a_write_during_a_renewal_is_awaited(office: NotifyingOffice) -> None:
    """The renewal must not delay the check of that echo for days."""
    office.prove_channels()
    office.calendar.can_renew = True

    def write(operation: str) -> None:
        if operation == "renew_channel answered":
            office.clock.advance(MINUTE)
            with office.store.database.write() as connection:
                expect_echo(connection, DANA, office.clock())

    office.store.channels.renew_now(DANA, office.clock())
    office.calendar.fail = write
    office.channels.run(holder="first")
    office.calendar.fail = None
    (row,) = office.rows(select(tables.channel.c.due_at).where(tables.channel.c.calendar == DANA))
    assert row["due_at"] == office.clock() + MAX_ECHO_DELAY
