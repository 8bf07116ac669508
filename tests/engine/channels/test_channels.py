"""Channels: whose calendars have one, and how it is opened, renewed, replaced and closed."""

from contextlib import closing
from dataclasses import replace

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from tests.support.companies import DANA, DAY, MINUTE, SAM, SECOND, Fails, pair, pairs
from tests.support.notifying import OTHER_KEY, PUBLIC, NotifyingOffice, notification_settings
from worker.domain.channels import MAX_ECHO_DELAY, is_trusted
from worker.domain.model import AliasSource, Answer, PersonAlias
from worker.engine.channels import REINSTATE_ADDRESS_AFTER
from worker.errors import Permanent
from worker.providers.base import Notification, NotificationKind
from worker.store import tables
from worker.store.channels import expect_echo

# --- which calendars have one ---


def test_both_calendars_of_a_pair_get_a_channel(office: NotifyingOffice) -> None:
    office.tick()
    assert [len(office.calendar.channels_of(who)) for who in (DANA, SAM)] == [1, 1]
    assert office.calendar.operations.count("open_channel") == 2


def test_without_an_address_none_is_opened() -> None:
    with closing(NotifyingOffice(known=notification_settings(notify_url=""))) as office:
        office.tick_until_quiet()
        assert office.calendar.operations == [] and not office.channels.is_on


def test_the_channels_are_closed_when_the_address_is_taken_out_of_the_settings(office: NotifyingOffice) -> None:
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


@pytest.mark.parametrize("change", ["address", "key", "key, the old one kept"])
def test_all_are_replaced_when_the_address_or_the_key_changes(office: NotifyingOffice, change: str) -> None:
    """What comes through those there were would go elsewhere or be refused: they are not trusted for days."""
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
    assert office.channels.refresh() and not office.channels.refresh()
    assert not is_trusted(office.watched_calendar(), office.clock())
    office.tick_until_quiet()
    (new,) = office.calendar.channels_of(DANA)
    assert new.id == office.watched_calendar().id != old.id and new.replaces == old.remote_id
    assert office.watched_calendar().proven_at is None, "it has to be shown that the new one works"
    office.clock.advance(10 * SECOND)
    office.calendar.notify(DANA)
    assert office.deliver_notifications() == 1 and office.watched_calendar().proven_at


@pytest.mark.parametrize("address", ["https://new.corp.example", ""])
def test_processes_with_the_old_address_leave_the_channels_alone(office: NotifyingOffice, address: str) -> None:
    """While processes are restarted one after the other: a tick of one must not undo what another has done."""
    office.tick_until_quiet()
    old, opened = office.worker, office.calendar.operations.count("open_channel")
    office.calendar.public = address
    office.settings = notification_settings(notify_url=address)
    new = office.worker = office.add_worker("new")
    office.tick_until_quiet()
    live = dict(office.calendar.service_channels)
    for _ in range(5):
        office.clock.advance(MINUTE)
        for worker in (old, new):
            worker.tick()
    assert office.calendar.service_channels == live
    assert office.calendar.operations.count("open_channel") == opened + len(live)


def test_an_address_comes_into_force_again_an_hour_after_another_replaced_it(office: NotifyingOffice) -> None:
    """A process that is restarted with the old settings by mistake must not end the notifications of the others."""
    office.tick_until_quiet()
    right = office.worker
    office.calendar.public = "https://old.corp.example"
    office.settings = notification_settings(notify_url=office.calendar.public)
    office.add_worker("mistaken").tick()
    office.calendar.public = PUBLIC
    office.clock.advance(REINSTATE_ADDRESS_AFTER - MINUTE)
    right.tick()
    assert {live.channel.url for live in office.calendar.service_channels.values()} == {
        "https://old.corp.example/notify/google"
    }
    office.clock.advance(MINUTE)
    right.tick()
    assert {live.channel.url for live in office.calendar.service_channels.values()} == {f"{PUBLIC}/notify/google"}


def test_a_new_address_is_tried_at_once_where_the_old_one_was_refused(office: NotifyingOffice) -> None:
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
    before, new = office.watched_calendar(), "dana.moreau@corp.example"
    persons = {new: replace(office.persons[DANA], email=new), SAM: office.persons[SAM]}
    alias = PersonAlias(DANA, new, AliasSource.PEOPLE_FILE)
    office.store.people.apply_import(persons, pairs(pair(new)), office.clock(), [alias])
    office.channels.refresh()
    assert office.watched_calendar(new) == replace(before, calendar=new)
    assert office.store.channels.load(DANA) is None and not office.rows(select(tables.retired_channel))
    office.calendar.notify(DANA)
    assert office.deliver_notifications() == 1


def test_the_address_that_services_are_told_is_the_setting_s(office: NotifyingOffice) -> None:
    office.tick()
    assert {one.channel.url for one in office.calendar.service_channels.values()} == {f"{PUBLIC}/notify/google"}


# --- its life ---


@pytest.mark.parametrize("renews", [False, True])
def test_a_channel_is_prolonged_or_replaced_at_half_of_its_life_without_a_gap(
    office: NotifyingOffice, renews: bool
) -> None:
    office.prove_channels()
    office.calendar.can_renew = renews
    first = office.watched_calendar()
    for _ in range(14 * 4):
        office.run(DAY / 4)
        assert office.calendar.channels_of(DANA), "there is a gap"
        assert len(office.calendar.channels_of(DANA)) == 1
    assert (office.watched_calendar().id == first.id) is renews
    assert office.watched_calendar().proven_at == first.proven_at, "trust is handed on"
    assert 6 <= office.calendar.operations.count("renew_channel") <= 8, "three or four for each of the two"


def test_a_channel_that_the_service_removed_is_opened_anew_and_the_calendar_read(office: NotifyingOffice) -> None:
    office.prove_channels()
    (gone,) = office.calendar.channels_of(DANA)
    office.calendar.notify(DANA, NotificationKind.REMOVED)
    office.calendar.service_channels.pop(gone.remote_id)
    office.calendar.answer(DANA, office.session().key, SAM, Answer.DECLINED)  # nobody tells of it
    office.clock.advance(10 * SECOND)
    office.tick_until_quiet()
    (new,) = office.calendar.channels_of(DANA)
    assert new.id != gone.id and office.session().count == 1


def test_a_channel_is_renewed_when_the_service_asks(office: NotifyingOffice) -> None:
    office.prove_channels()
    office.calendar.can_renew = True
    office.calendar.notify(DANA, NotificationKind.RENEW)
    office.tick()
    assert office.calendar.operations[-1] == "renew_channel"


def test_missed_notifications_make_the_calendar_due(office: NotifyingOffice) -> None:
    office.prove_channels()
    office.calendar.loses_notifications = True
    office.calendar.answer(DANA, office.session().key, SAM, Answer.DECLINED)
    office.calendar.loses_notifications = False
    office.clock.advance(10 * SECOND)
    office.calendar.notify(DANA, NotificationKind.MISSED)
    office.tick_until_quiet()
    assert office.session().count == 1


def test_a_silent_channel_that_its_service_asks_to_renew_is_renewed_once(office: NotifyingOffice) -> None:
    """Silence is answered by another channel only after hours; meanwhile nothing is done again and again."""
    office.prove_channels()
    office.calendar.can_renew = True
    office.calendar.loses_notifications = True
    for _ in range(2):
        office.worker.actions.defer_session(office.session().id)
        office.run(MAX_ECHO_DELAY + 2 * MINUTE)
    watched = office.watched_calendar()
    assert watched.failures == 1 and watched.awaiting_since
    asked = office.calendar.operations.count("renew_channel")
    office.store.channels.renew_now(DANA, office.clock())
    assert office.channels.run("first") == 1
    assert office.channels.run("first") == 0, "it is due again at once"
    assert office.calendar.operations.count("renew_channel") == asked + 1


def test_a_channel_that_is_removed_while_it_is_renewed_is_opened_anew(office: NotifyingOffice) -> None:
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
    assert [one.id for one in office.calendar.channels_of(DANA)] == [office.watched_calendar().id] != [old.id]


def test_our_own_write_while_the_channel_is_renewed_is_awaited(office: NotifyingOffice) -> None:
    """The renewal must not put the check of its notification off for days."""
    office.prove_channels()
    office.calendar.can_renew = True

    def write(operation: str) -> None:
        if operation == "renew_channel answered":
            office.clock.advance(MINUTE)
            with office.store.database.write() as connection:
                expect_echo(connection, DANA, office.clock())

    office.store.channels.renew_now(DANA, office.clock())
    office.calendar.fail = write
    office.channels.run("first")
    office.calendar.fail = None
    (row,) = office.rows(select(tables.channel.c.due_at).where(tables.channel.c.calendar == DANA))
    assert row["due_at"] == office.clock() + MAX_ECHO_DELAY
