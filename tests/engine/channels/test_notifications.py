"""What channels tell: it is seen within seconds, nothing is lost, and what is forged changes nothing."""

from dataclasses import replace

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from tests.support.companies import DANA, DAY, HOUR, SAM, SECOND
from tests.support.notifying import OTHER_KEY, NotifyingOffice
from worker.domain.channels import HINT_MERGE_PERIOD
from worker.domain.model import Answer
from worker.providers.base import Notification, NotificationKind
from worker.store import tables


def test_a_decline_is_answered_without_waiting_for_a_poll(office: NotifyingOffice) -> None:
    office.prove_channels()
    office.clock.advance(10 * SECOND)
    before = office.session().span
    office.calendar.answer(DANA, office.session().key, SAM, Answer.DECLINED)
    office.tick_until_quiet()
    after = office.session()
    assert after.count == 1 and after.span != before and office.event(after).span == after.span


def test_a_meeting_on_the_report_s_calendar_is_seen_as_well(office: NotifyingOffice) -> None:
    office.prove_channels()
    office.clock.advance(10 * SECOND)
    office.calendar.add(SAM, office.session().span)
    office.tick_until_quiet()
    assert office.session().warned_at == office.clock(), "T-10: a warning first, then another time"


def test_what_comes_within_five_seconds_is_folded_into_one_look_and_the_last_is_not_lost(
    office: NotifyingOffice,
) -> None:
    office.prove_channels()
    office.clock.advance(HOUR)
    office.tick_until_quiet()
    office.clock.advance(10 * SECOND)
    begin, (channel,) = office.clock(), office.calendar.channels_of(DANA)
    told = Notification(channel.token, NotificationKind.CHANGED)
    looks = []
    for _ in range(12):
        accepted = office.channels.accept(told)
        assert accepted is not None
        looks.append(accepted.poll_at)
        office.clock.advance(SECOND)
    asked_for = [look for look in looks if look]
    assert asked_for == [begin, begin + HINT_MERGE_PERIOD, begin + 2 * HINT_MERGE_PERIOD, begin + 3 * HINT_MERGE_PERIOD]


def test_a_clock_that_was_ahead_drops_no_notification(office: NotifyingOffice) -> None:
    """The clock was an hour ahead for a while: the last look was asked for at an instant that is still to come."""
    office.prove_channels()
    office.clock.advance(HOUR)
    office.tick_until_quiet()
    (channel,) = office.calendar.channels_of(DANA)
    with office.store.database.write() as connection:
        connection.execute(tables.channel.update().values(hinted_at=office.clock() + HOUR))
    accepted = office.channels.accept(Notification(channel.token, NotificationKind.CHANGED))
    assert accepted is not None and accepted.poll_at == office.clock()


def test_a_change_while_the_calendar_is_being_read_is_read_after_that(office: NotifyingOffice) -> None:
    """The reading has passed the change already, and its end must not put the calendar off for an hour."""
    office.prove_channels()
    office.clock.advance(HOUR)
    (channel,) = office.calendar.channels_of(DANA)
    seen: list[str] = []

    def change(operation: str) -> None:
        seen.append(operation)
        if operation == "changes" and seen.count("changes") == 1:
            office.clock.advance(10 * SECOND)
            office.channels.accept(Notification(channel.token, NotificationKind.CHANGED))

    office.store.calendars.make_due([DANA], office.clock())
    office.calendar.fail = change
    office.tick()
    office.tick()
    assert seen.count("changes") == 2


@pytest.mark.parametrize(
    "forge",
    [
        lambda one: replace(one, token=""),
        lambda one: replace(one, token=one.token[:-1] + ("0" if one.token[-1] != "0" else "1")),
        lambda one: replace(one, token=f"{'0' * 32}.{one.token.partition('.')[2]}"),
        lambda one: replace(one, token=one.token + "0"),
        lambda one: replace(one, channel_id="0" * 32),
        lambda one: replace(one, remote_id="of-somebody-else"),
    ],
    ids=["no token", "altered", "of another id", "longer", "other channel", "other resource"],
)
def test_a_forged_notification_changes_nothing(office: NotifyingOffice, forge: object) -> None:
    office.prove_channels()
    (channel,) = office.calendar.channels_of(DANA)
    genuine = Notification(channel.token, NotificationKind.CHANGED, channel.id, channel.remote_id)
    before = office.rows(select(tables.channel)), office.rows(select(tables.calendar))
    assert callable(forge)
    assert office.channels.accept(forge(genuine)) is None
    assert (office.rows(select(tables.channel)), office.rows(select(tables.calendar))) == before
    assert office.channels.accept(genuine) is not None


def test_a_channel_of_another_installation_is_refused(office: NotifyingOffice) -> None:
    """The same address and another key: its token is not ours."""
    office.prove_channels()
    (channel,) = office.calendar.channels_of(DANA)
    told = Notification(channel.token, NotificationKind.CHANGED)
    office.settings = office.settings.model_copy(update={"keys": (SecretStr(OTHER_KEY),)})
    other = office.add_worker("second")  # on the same database: only the key differs
    assert other.channels.is_on and other.channels.accept(told) is None
    assert office.channels.accept(told) is not None


def test_what_trails_a_closed_channel_is_refused(office: NotifyingOffice) -> None:
    office.prove_channels()
    (old,) = office.calendar.channels_of(DANA)
    office.run(5 * DAY)
    assert office.watched_calendar().id != old.id
    assert office.channels.accept(Notification(old.token, NotificationKind.CHANGED)) is None


def test_the_first_notification_may_come_before_the_service_answers(office: NotifyingOffice) -> None:
    accepted: list[bool] = []

    def hear(operation: str) -> None:
        if operation == "open_channel answered":
            accepted.append(office.deliver_notifications() == 1)

    office.calendar.fail = hear
    office.tick()
    assert accepted == [True, True]


def test_half_of_what_is_told_is_lost_and_no_change_is(office: NotifyingOffice) -> None:
    office.prove_channels()
    for number in range(6):
        office.clock.advance(HOUR)
        office.calendar.loses_notifications = number % 2 == 0
        office.calendar.answer(DANA, office.session().key, SAM, Answer.DECLINED)
        office.calendar.loses_notifications = False
        office.run(DAY)
        assert office.event(office.session()).answers[SAM] is not Answer.DECLINED, "this decline was never seen"
