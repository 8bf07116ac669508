"""When a channel is trusted, so that its calendar is polled seldom, and what ends that trust."""

from datetime import timedelta

from tests.support.companies import DANA, DAY, HOUR, MINUTE, SECOND, Fails, span
from tests.support.notifying import NotifyingOffice
from worker.domain.channels import MAX_ECHO_DELAY
from worker.errors import Unavailable
from worker.store import tables
from worker.store.channels import expect_echo


def reads(office: NotifyingOffice, length: timedelta) -> int:
    """How often Dana's calendar is read meanwhile, full readings aside."""
    seen: list[str] = []
    office.calendar.fail = seen.append
    office.run(length)
    office.calendar.fail = None
    return seen.count("changes")


def test_a_trusted_calendar_is_read_a_few_times_a_day_and_others_every_five_minutes(office: NotifyingOffice) -> None:
    office.prove_channels()
    office.run(2 * HOUR)
    assert 7 <= reads(office, DAY) <= 12, "first about each hour of work"
    office.run(6 * DAY)
    assert 3 <= reads(office, DAY) <= 6
    office.calendar.loses_notifications = True
    office.calendar.service_channels.clear()
    with office.store.database.write() as connection:
        connection.execute(tables.channel.update().values(proven_at=None))
    office.store.calendars.make_due([DANA], office.clock())
    office.run(2 * HOUR)
    assert 40 <= reads(office, 4 * HOUR) <= 50


def test_a_channel_is_trusted_when_our_own_write_came_back(office: NotifyingOffice) -> None:
    office.tick()  # opens the channels, and books
    assert office.watched_calendar().proven_at is None and office.watched_calendar().awaiting_since
    office.deliver_notifications()
    assert office.watched_calendar().proven_at and not office.watched_calendar().awaiting_since


def test_a_channel_that_stays_silent_is_opened_anew_and_its_calendar_is_polled(office: NotifyingOffice) -> None:
    office.prove_channels()
    office.calendar.loses_notifications = True
    first = office.watched_calendar()
    office.worker.actions.defer_session(office.session().id)
    office.tick()
    office.run(MAX_ECHO_DELAY + 2 * MINUTE)
    second = office.watched_calendar()
    assert second.id != first.id and second.proven_at is None and second.failures == 1
    assert "did not report our own changes" in second.problem
    assert [one.id for one in office.calendar.channels_of(DANA)] == [second.id]
    assert reads(office, HOUR) >= 11


def test_the_echo_may_come_before_our_write_is_stored(office: NotifyingOffice) -> None:
    """Google delivers within milliseconds: then nothing is missed later."""
    office.prove_channels()
    office.worker.actions.defer_session(office.session().id)

    def hear(operation: str) -> None:
        if operation != "changes":
            office.deliver_notifications()

    office.calendar.fail = hear
    office.tick()
    office.calendar.fail = None
    office.deliver_notifications()
    assert office.watched_calendar().awaiting_since is None
    office.run(MAX_ECHO_DELAY + 2 * MINUTE)
    assert office.watched_calendar().failures == 0


def test_a_change_that_a_poll_finds_untold_ends_the_trust_until_one_is_told(office: NotifyingOffice) -> None:
    office.prove_channels()
    office.calendar.loses_notifications = True
    office.calendar.add(DANA, span(office.session().span.end + 5 * HOUR))
    office.run(DAY)
    assert office.watched_calendar().proven_at is None
    assert reads(office, HOUR) >= 11
    office.calendar.loses_notifications = False
    office.calendar.add(DANA, span(office.session().span.end + 7 * HOUR))
    office.run(MINUTE)
    assert office.watched_calendar().proven_at
    office.run(2 * HOUR)
    assert reads(office, HOUR) <= 2


def test_what_is_told_late_restores_the_trust_of_a_poll_that_came_first(office: NotifyingOffice) -> None:
    office.prove_channels()
    office.clock.advance(HOUR)
    office.calendar.add(DANA, span(office.session().span.end + 5 * HOUR))
    late, office.calendar.undelivered = office.calendar.undelivered, []
    office.store.calendars.make_due([DANA], office.clock())
    office.tick()
    assert office.watched_calendar().proven_at is None
    office.calendar.undelivered = late
    office.tick()
    assert office.watched_calendar().proven_at


def test_what_an_earlier_attempt_wrote_and_was_told_then_is_not_awaited(office: NotifyingOffice) -> None:
    """The answer was lost, not the write: the next attempt finds it there, and nothing is told again."""
    office.prove_channels()
    office.worker.actions.defer_session(office.session().id)
    lost = Fails(lambda: Unavailable("away", uncertain=True), "update.done", times=1)
    office.calendar.fail = lost
    office.tick()
    assert not lost.left
    office.run(HOUR)
    assert office.event(office.session()).span == office.session().span
    assert office.watched_calendar().failures == 0 and office.watched_calendar().awaiting_since is None
    assert office.calendar.operations.count("open_channel") == 2


def test_what_was_written_before_a_channel_was_open_is_not_awaited(office: NotifyingOffice) -> None:
    office.prove_channels()
    with office.store.database.write() as connection:
        connection.execute(tables.channel.update().values(notified_at=None))
        expect_echo(connection, DANA, office.clock() - HOUR)
    assert office.watched_calendar().awaiting_since is None


def test_what_is_told_while_the_calendar_is_read_may_be_what_the_reading_found(office: NotifyingOffice) -> None:
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


def test_a_reading_that_fails_keeps_what_was_told_for_the_next_one(office: NotifyingOffice) -> None:
    """The change is found by the second attempt; it was told, so that the trust stays."""
    office.prove_channels()
    office.clock.advance(HOUR)
    office.calendar.add(DANA, span(office.session().span.end + 5 * HOUR))
    office.calendar.fail = Fails(lambda: Unavailable("away"), "changes", times=1)
    office.tick()
    office.run(20 * MINUTE)
    assert office.calendar.undelivered == [] and office.watched_calendar().proven_at


def test_a_change_that_the_daily_look_finds_untold_ends_the_trust(office: NotifyingOffice) -> None:
    office.prove_channels()
    office.clock.advance(DAY + HOUR)
    office.calendar.loses_notifications = True
    office.calendar.add(DANA, span(office.session().span.end + 5 * HOUR))
    office.tick()
    assert office.watched_calendar().proven_at is None


def test_silence_again_and_again_is_answered_ever_more_seldom(office: NotifyingOffice) -> None:
    office.calendar.loses_notifications = True
    for _ in range(12):
        office.tick()
        office.worker.actions.defer_session(office.session().id)
        office.run(2 * HOUR)
    opened = office.calendar.operations.count("open_channel")
    assert opened == 5, "Dana's at once, after 5 minutes, 2 and 6 hours; Sam's once"
