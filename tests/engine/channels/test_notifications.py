"""Notifications: a change is read within seconds, no change is lost, and a forged notification changes nothing."""

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


def test_a_declined_session_gets_a_new_time_without_waiting_for_a_poll(office: NotifyingOffice) -> None:
    office.prove_channels()
    office.clock.advance(10 * SECOND)
    before = office.session().span
    office.calendar.answer(DANA, office.session().key, SAM, Answer.DECLINED)
    office.tick_until_quiet()
    after = office.session()
    assert after.count == 1 and after.span != before and office.event(after).span == after.span


def test_a_clash_on_the_report_s_calendar_is_found_at_once(office: NotifyingOffice) -> None:
    office.prove_channels()
    office.clock.advance(10 * SECOND)
    office.calendar.add(SAM, office.session().span)
    office.tick_until_quiet()
    assert office.session().warned_at == office.clock()  # T-10: a warning comes before the deferral


def test_notifications_within_five_seconds_cause_one_poll_and_the_last_one_is_not_lost(
    office: NotifyingOffice,
) -> None:
    office.prove_channels()
    office.clock.advance(HOUR)
    office.tick_until_quiet()
    office.clock.advance(10 * SECOND)
    start, (channel,) = office.clock(), office.calendar.channels_of(DANA)
    notification = Notification(channel.token, NotificationKind.CHANGED)
    poll_times = []
    for _ in range(12):
        accepted = office.channels.accept(notification)
        assert accepted is not None
        poll_times.append(accepted.poll_at)
        office.clock.advance(SECOND)
    # notifications of twelve seconds: the fourth poll is for those after the third
    assert [time for time in poll_times if time] == [start + number * HINT_MERGE_PERIOD for number in range(4)]


def test_a_notification_counts_after_the_clock_was_ahead(office: NotifyingOffice) -> None:
    """The clock was an hour ahead for a while, so the stored time of the last notification is in the future."""
    office.prove_channels()
    office.clock.advance(HOUR)
    office.tick_until_quiet()
    (channel,) = office.calendar.channels_of(DANA)
    with office.store.database.write() as connection:
        connection.execute(tables.channel.update().values(hinted_at=office.clock() + HOUR))
    accepted = office.channels.accept(Notification(channel.token, NotificationKind.CHANGED))
    assert accepted is not None and accepted.poll_at == office.clock()


def test_a_change_during_a_reading_is_read_afterwards(office: NotifyingOffice) -> None:
    """The reading may not contain the change. Its end must not delay the next reading by an hour."""
    office.prove_channels()
    office.clock.advance(HOUR)
    (channel,) = office.calendar.channels_of(DANA)
    operations: list[str] = []

    def change(operation: str) -> None:
        operations.append(operation)
        if operation == "changes" and operations.count("changes") == 1:
            office.clock.advance(10 * SECOND)
            office.channels.accept(Notification(channel.token, NotificationKind.CHANGED))

    office.store.calendars.make_due([DANA], office.clock())
    office.calendar.fail = change
    office.tick()
    office.tick()
    assert operations.count("changes") == 2


@pytest.mark.parametrize(
    "forge",
    [
        lambda genuine: replace(genuine, token=""),
        lambda genuine: replace(genuine, token=genuine.token[:-1] + ("0" if genuine.token[-1] != "0" else "1")),
        lambda genuine: replace(genuine, token=f"{'0' * 32}.{genuine.token.partition('.')[2]}"),
        lambda genuine: replace(genuine, token=genuine.token + "0"),
        lambda genuine: replace(genuine, channel_id="0" * 32),
        lambda genuine: replace(genuine, remote_id="of-somebody-else"),
    ],
    ids=["no token", "altered token", "token of another id", "longer token", "other channel id", "other remote id"],
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


def test_a_notification_for_another_installation_is_refused(office: NotifyingOffice) -> None:
    """The other installation has the same address and another key, so the token is not valid."""
    office.prove_channels()
    (channel,) = office.calendar.channels_of(DANA)
    notification = Notification(channel.token, NotificationKind.CHANGED)
    office.settings = office.settings.model_copy(update={"keys": (SecretStr(OTHER_KEY),)})
    other = office.add_worker("second")  # on the same database: only the key differs
    assert other.channels.is_on and other.channels.accept(notification) is None
    assert office.channels.accept(notification) is not None


def test_a_notification_of_a_closed_channel_is_refused(office: NotifyingOffice) -> None:
    office.prove_channels()
    (old,) = office.calendar.channels_of(DANA)
    office.run(5 * DAY)  # by then the channel, whose life is seven days, was replaced
    assert office.watched_calendar().id != old.id
    assert office.channels.accept(Notification(old.token, NotificationKind.CHANGED)) is None


def test_the_first_notification_is_accepted_before_the_service_answers(office: NotifyingOffice) -> None:
    results: list[bool] = []

    def deliver(operation: str) -> None:
        if operation == "open_channel answered":
            results.append(office.deliver_notifications() == 1)

    office.calendar.fail = deliver
    office.tick()
    assert results == [True, True]


def test_lost_notifications_lose_no_change(office: NotifyingOffice) -> None:
    """The notifications of every other change are lost."""
    office.prove_channels()
    for number in range(6):
        office.clock.advance(HOUR)
        office.calendar.loses_notifications = number % 2 == 0
        office.calendar.answer(DANA, office.session().key, SAM, Answer.DECLINED)
        office.calendar.loses_notifications = False
        office.run(DAY)
        assert office.event(office.session()).answers[SAM] is not Answer.DECLINED, (
            "the decline was not answered within a day"
        )
