"""When a channel is trusted, so that its calendar is polled seldom, and what ends that trust."""

from datetime import timedelta

from tests.support.companies import DANA, DAY, HOUR, MINUTE, SECOND, Fails, span
from tests.support.notifying import NotifyingOffice
from worker.domain.channels import MAX_ECHO_DELAY
from worker.errors import Unavailable
from worker.store import tables
from worker.store.channels import expect_echo


def count_polls(office: NotifyingOffice, length: timedelta) -> int:
    """Let time pass, and return how often Dana's calendar was read."""
    operations: list[str] = []
    office.calendar.fail = operations.append
    office.run(length)
    office.calendar.fail = None
    return operations.count("changes")


def test_a_calendar_with_a_trusted_channel_is_polled_seldom_and_others_every_five_minutes(
    office: NotifyingOffice,
) -> None:
    office.prove_channels()
    office.run(2 * HOUR)
    assert 7 <= count_polls(office, DAY) <= 12  # on trial, about once in each working hour
    office.run(6 * DAY)
    assert 3 <= count_polls(office, DAY) <= 6  # after the trial of a week
    office.calendar.loses_notifications = True
    office.calendar.service_channels.clear()
    with office.store.database.write() as connection:
        connection.execute(tables.channel.update().values(proven_at=None))
    office.store.calendars.make_due([DANA], office.clock())
    office.run(2 * HOUR)
    assert 40 <= count_polls(office, 4 * HOUR) <= 50  # every five minutes


def test_a_channel_is_trusted_after_the_echo_of_our_own_write(office: NotifyingOffice) -> None:
    office.tick()  # opens the channels, and writes an event
    assert office.watched_calendar().proven_at is None and office.watched_calendar().awaiting_since
    office.deliver_notifications()
    assert office.watched_calendar().proven_at and not office.watched_calendar().awaiting_since


def test_a_silent_channel_is_replaced_and_its_calendar_is_polled_often(office: NotifyingOffice) -> None:
    office.prove_channels()
    office.calendar.loses_notifications = True
    first = office.watched_calendar()
    office.worker.actions.request_another_time(office.session().id)
    office.tick()
    office.run(MAX_ECHO_DELAY + 2 * MINUTE)
    second = office.watched_calendar()
    assert second.id != first.id and second.proven_at is None and second.failures == 1
    assert "did not report our own changes" in second.problem
    assert [channel.id for channel in office.calendar.channels_of(DANA)] == [second.id]
    assert count_polls(office, HOUR) >= 11  # every five minutes


def test_an_echo_before_our_write_is_stored_counts(office: NotifyingOffice) -> None:
    """Google delivers within milliseconds. The echo must not be missed later."""
    office.prove_channels()
    office.worker.actions.request_another_time(office.session().id)

    def deliver(operation: str) -> None:
        if operation != "changes":
            office.deliver_notifications()

    office.calendar.fail = deliver
    office.tick()
    office.calendar.fail = None
    office.deliver_notifications()
    assert office.watched_calendar().awaiting_since is None
    office.run(MAX_ECHO_DELAY + 2 * MINUTE)
    assert office.watched_calendar().failures == 0


def test_a_change_found_without_a_notification_ends_the_trust_until_the_next_notification(
    office: NotifyingOffice,
) -> None:
    office.prove_channels()
    office.calendar.loses_notifications = True
    office.calendar.add(DANA, span(office.session().span.end + 5 * HOUR))
    office.run(DAY)
    assert office.watched_calendar().proven_at is None
    assert count_polls(office, HOUR) >= 11  # every five minutes
    office.calendar.loses_notifications = False
    office.calendar.add(DANA, span(office.session().span.end + 7 * HOUR))
    office.run(MINUTE)
    assert office.watched_calendar().proven_at
    office.run(2 * HOUR)
    assert count_polls(office, HOUR) <= 2


def test_a_late_notification_restores_the_trust(office: NotifyingOffice) -> None:
    office.prove_channels()
    office.clock.advance(HOUR)
    office.calendar.add(DANA, span(office.session().span.end + 5 * HOUR))
    late_notifications, office.calendar.undelivered = office.calendar.undelivered, []
    office.store.calendars.make_due([DANA], office.clock())
    office.tick()
    assert office.watched_calendar().proven_at is None
    office.calendar.undelivered = late_notifications
    office.tick()
    assert office.watched_calendar().proven_at


def test_the_echo_of_an_earlier_attempt_is_not_awaited_again(office: NotifyingOffice) -> None:
    """The write succeeds, its answer is lost, and its echo arrives. The next attempt finds the event written, and no
    second echo comes."""
    office.prove_channels()
    office.worker.actions.request_another_time(office.session().id)
    lost_answer = Fails(lambda: Unavailable("away", uncertain=True), "update.done", times=1)
    office.calendar.fail = lost_answer
    office.tick()
    assert not lost_answer.left
    office.run(HOUR)
    assert office.event(office.session()).span == office.session().span
    assert office.watched_calendar().failures == 0 and office.watched_calendar().awaiting_since is None
    assert office.calendar.operations.count("open_channel") == 2


def test_the_echo_of_a_write_before_the_channel_was_opened_is_not_awaited(office: NotifyingOffice) -> None:
    office.prove_channels()
    with office.store.database.write() as connection:
        connection.execute(tables.channel.update().values(notified_at=None))
        expect_echo(connection, DANA, office.clock() - HOUR)
    assert office.watched_calendar().awaiting_since is None


def test_a_notification_during_a_reading_counts_for_the_change_that_it_found(office: NotifyingOffice) -> None:
    office.prove_channels()
    office.clock.advance(HOUR)
    office.tick_until_quiet()
    office.clock.advance(10 * SECOND)

    def change(operation: str) -> None:
        if operation == "changes":
            office.calendar.fail = None
            office.calendar.add(DANA, span(office.clock() + 30 * DAY))
            office.clock.advance(SECOND)
            office.deliver_notifications()

    office.store.calendars.make_due([DANA], office.clock())
    office.calendar.fail = change
    office.tick()
    office.tick_until_quiet()
    assert office.watched_calendar().proven_at is not None


def test_a_failed_reading_keeps_the_notification_for_the_next_reading(office: NotifyingOffice) -> None:
    """The second attempt finds the change. Its notification has arrived, so the channel stays trusted."""
    office.prove_channels()
    office.clock.advance(HOUR)
    office.calendar.add(DANA, span(office.session().span.end + 5 * HOUR))
    office.calendar.fail = Fails(lambda: Unavailable("away"), "changes", times=1)
    office.tick()
    office.run(20 * MINUTE)
    assert office.calendar.undelivered == [] and office.watched_calendar().proven_at


def test_a_change_found_by_the_daily_full_reading_ends_the_trust(office: NotifyingOffice) -> None:
    office.prove_channels()
    office.clock.advance(DAY + HOUR)
    office.calendar.loses_notifications = True
    office.calendar.add(DANA, span(office.session().span.end + 5 * HOUR))
    office.tick()
    assert office.watched_calendar().proven_at is None


def test_a_channel_that_stays_silent_is_replaced_after_longer_and_longer_waits(office: NotifyingOffice) -> None:
    office.calendar.loses_notifications = True
    for _ in range(12):
        office.tick()
        office.worker.actions.request_another_time(office.session().id)
        office.run(2 * HOUR)
    open_count = office.calendar.operations.count("open_channel")
    assert open_count == 5  # Dana's at once, after 5 minutes, 2 and 6 hours; Sam's once
