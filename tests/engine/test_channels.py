"""Channels: whose calendars have one, how it is opened, renewed and closed, and when it is trusted."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from email.utils import parsedate_to_datetime

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from tests.support.companies import DANA, DAY, HOUR, MINUTE, SAM, START, Fails, company, pair, pairs, span
from tests.support.telling import KIND, OTHER_KEY, PUBLIC, Died, TellingOffice, dies_at, telling_settings
from worker.domain.channels import MAX_ECHO_DELAY, ChannelStanding, is_trusted
from worker.domain.model import AliasSource, Answer, PersonAlias
from worker.engine.channels import BATCH, LEASE, MAX_LEASED
from worker.errors import AuthRevoked, Permanent, Unavailable
from worker.providers.base import Notification, NotificationKind
from worker.store import tables
from worker.store.channel_standings import count_channels
from worker.store.channels import Lease, expect_echo

SECOND = timedelta(seconds=1)
BUDGET = 30 * SECOND


@pytest.fixture
def office() -> Iterator[TellingOffice]:
    made = TellingOffice()
    yield made
    made.close()


def reads(office: TellingOffice, length: timedelta) -> int:
    """How often Dana's calendar is read meanwhile, full readings aside."""
    seen: list[str] = []
    office.calendar.fail = seen.append
    office.run(length)
    office.calendar.fail = None
    return seen.count("changes")


# --- which calendars have one ---


def test_both_calendars_of_a_pair_get_a_channel(office: TellingOffice) -> None:
    office.tick()
    assert [len(office.calendar.channels_of(who)) for who in (DANA, SAM)] == [1, 1]
    assert office.calendar.asked.count("open_channel") == 2


def test_without_an_address_none_is_opened() -> None:
    office = TellingOffice(known=telling_settings(notify_url=""))
    office.settle()
    assert office.calendar.asked == [] and not office.channels.is_on


def test_the_channels_are_closed_when_the_address_is_taken_out_of_the_settings(office: TellingOffice) -> None:
    office.settle()
    office.settings = telling_settings(notify_url="")
    office.another("second").tick()
    assert office.calendar.live == {}
    assert office.rows(select(tables.channel)) == office.rows(select(tables.retired_channel)) == []


def test_the_channels_of_a_person_who_leaves_are_closed(office: TellingOffice) -> None:
    office.prove_channels()
    office.store.people.apply_import({DANA: office.persons[DANA]}, {}, office.clock())
    office.clock.advance(MINUTE)
    office.settle()
    assert office.calendar.live == {}


@pytest.mark.parametrize("change", ["address", "key", "key, the old one kept"])
def test_all_are_replaced_when_the_address_or_the_key_changes(office: TellingOffice, change: str) -> None:
    """What comes through those there were would go elsewhere or be refused: they are not trusted for days."""
    office.prove_channels()
    office.calendar.renews = True
    old = office.watched()
    if change == "address":
        office.calendar.public = "https://new.corp.example"
        office.settings = telling_settings(notify_url=office.calendar.public)
    else:
        keys = (SecretStr(OTHER_KEY), *(office.settings.keys if "kept" in change else ()))
        office.settings = office.settings.model_copy(update={"keys": keys})
    office.worker = office.another("second")
    assert office.channels.refresh() and not office.channels.refresh()
    assert not is_trusted(office.watched(), office.clock())
    office.settle()
    (new,) = office.calendar.channels_of(DANA)
    assert new.id == office.watched().id != old.id and new.replaces == old.remote_id
    assert office.watched().proven_at is None, "it has to be shown that the new one works"
    office.clock.advance(10 * SECOND)
    office.calendar.tell_of(DANA)
    assert office.hear() == 1 and office.watched().proven_at


def test_a_new_address_is_tried_at_once_where_the_old_one_was_refused(office: TellingOffice) -> None:
    office.calendar.fail = Fails(lambda: Permanent("The address is not allowed."), "open_channel")
    office.run(DAY)
    assert office.watched().failures > 2
    office.calendar.fail = None
    office.calendar.public = "https://new.corp.example"
    office.settings = telling_settings(notify_url=office.calendar.public)
    office.worker = office.another("second")
    office.tick()
    assert len(office.calendar.channels_of(DANA)) == 1


def test_a_channel_stays_with_a_person_who_gets_another_address(office: TellingOffice) -> None:
    office.prove_channels()
    before, new = office.watched(), "dana.moreau@corp.example"
    persons = {new: replace(office.persons[DANA], email=new), SAM: office.persons[SAM]}
    alias = PersonAlias(DANA, new, AliasSource.PEOPLE_FILE)
    office.store.people.apply_import(persons, pairs(pair(new)), office.clock(), [alias])
    office.channels.refresh()
    assert office.watched(new) == replace(before, calendar=new)
    assert office.store.channels.load(DANA) is None and not office.rows(select(tables.retired_channel))
    office.calendar.tell_of(DANA)
    assert office.hear() == 1


# --- trust ---


def test_a_trusted_calendar_is_read_a_few_times_a_day_and_others_every_five_minutes(office: TellingOffice) -> None:
    office.prove_channels()
    office.run(2 * HOUR)
    assert 7 <= reads(office, DAY) <= 12, "first about each hour of work"
    office.run(6 * DAY)
    assert 3 <= reads(office, DAY) <= 6
    office.calendar.is_deaf = True
    office.calendar.live.clear()
    with office.store.database.write() as connection:
        connection.execute(tables.channel.update().values(proven_at=None))
    office.store.calendars.make_due([DANA], office.clock())
    office.run(2 * HOUR)
    assert 40 <= reads(office, 4 * HOUR) <= 50


def test_a_channel_is_trusted_when_our_own_write_came_back(office: TellingOffice) -> None:
    office.tick()  # opens the channels, and books
    assert office.watched().proven_at is None and office.watched().awaiting_since
    office.hear()
    assert office.watched().proven_at and not office.watched().awaiting_since


def test_a_channel_that_stays_silent_is_opened_anew_and_its_calendar_is_polled(office: TellingOffice) -> None:
    office.prove_channels()
    office.calendar.is_deaf = True
    first = office.watched()
    office.worker.actions.defer_session(office.session().id)
    office.tick()
    office.run(MAX_ECHO_DELAY + 2 * MINUTE)
    second = office.watched()
    assert second.id != first.id and second.proven_at is None and second.failures == 1
    assert "did not report our own changes" in second.problem
    assert [one.id for one in office.calendar.channels_of(DANA)] == [second.id]
    assert reads(office, HOUR) >= 11


def test_the_echo_may_come_before_our_write_is_stored(office: TellingOffice) -> None:
    """Google delivers within milliseconds: then nothing is missed later."""
    office.prove_channels()
    office.worker.actions.defer_session(office.session().id)

    def hear(operation: str) -> None:
        if operation != "changes":
            office.hear()

    office.calendar.fail = hear
    office.tick()
    office.calendar.fail = None
    office.hear()
    assert office.watched().awaiting_since is None
    office.run(MAX_ECHO_DELAY + 2 * MINUTE)
    assert office.watched().failures == 0


def test_a_change_that_a_poll_finds_untold_ends_the_trust_until_one_is_told(office: TellingOffice) -> None:
    office.prove_channels()
    office.calendar.is_deaf = True
    office.calendar.add(DANA, span(office.session().span.end + 5 * HOUR))
    office.run(DAY)
    assert office.watched().proven_at is None
    assert reads(office, HOUR) >= 11
    office.calendar.is_deaf = False
    office.calendar.add(DANA, span(office.session().span.end + 7 * HOUR))
    office.run(MINUTE)
    assert office.watched().proven_at
    office.run(2 * HOUR)
    assert reads(office, HOUR) <= 2


def test_what_is_told_late_restores_the_trust_of_a_poll_that_came_first(office: TellingOffice) -> None:
    office.prove_channels()
    office.clock.advance(HOUR)
    office.calendar.add(DANA, span(office.session().span.end + 5 * HOUR))
    late, office.calendar.told = office.calendar.told, []
    office.store.calendars.make_due([DANA], office.clock())
    office.tick()
    assert office.watched().proven_at is None
    office.calendar.told = late
    office.tick()
    assert office.watched().proven_at


def test_what_an_earlier_attempt_wrote_and_was_told_then_is_not_awaited(office: TellingOffice) -> None:
    """The answer was lost, not the write: the next attempt finds it there, and nothing is told again."""
    office.prove_channels()
    office.worker.actions.defer_session(office.session().id)
    lost = Fails(lambda: Unavailable("away", uncertain=True), "update.done", times=1)
    office.calendar.fail = lost
    office.tick()
    assert not lost.left
    office.run(HOUR)
    assert office.event(office.session()).span == office.session().span
    assert office.watched().failures == 0 and office.watched().awaiting_since is None
    assert office.calendar.asked.count("open_channel") == 2


def test_what_was_written_before_a_channel_was_open_is_not_awaited(office: TellingOffice) -> None:
    office.prove_channels()
    with office.store.database.write() as connection:
        connection.execute(tables.channel.update().values(notified_at=None))
        expect_echo(connection, DANA, office.clock() - HOUR)
    assert office.watched().awaiting_since is None


def test_what_is_told_while_the_calendar_is_read_may_be_what_the_reading_found(office: TellingOffice) -> None:
    office.prove_channels()
    office.clock.advance(HOUR)
    office.settle()
    office.clock.advance(10 * SECOND)

    def change(operation: str) -> None:
        if operation == "changes":
            office.calendar.fail = None
            office.calendar.add(DANA, span(office.clock() + 30 * DAY))
            office.clock.advance(SECOND)
            office.hear()

    office.store.calendars.make_due([DANA], office.clock())
    office.calendar.fail = change
    office.tick()
    office.settle()
    assert office.watched().proven_at is not None


def test_a_reading_that_fails_keeps_what_was_told_for_the_next_one(office: TellingOffice) -> None:
    """The change is found by the second attempt; it was told, so that the trust stays."""
    office.prove_channels()
    office.clock.advance(HOUR)
    office.calendar.add(DANA, span(office.session().span.end + 5 * HOUR))
    office.calendar.fail = Fails(lambda: Unavailable("away"), "changes", times=1)
    office.tick()
    office.run(20 * MINUTE)
    assert office.calendar.told == [] and office.watched().proven_at


def test_a_change_that_the_daily_look_finds_untold_ends_the_trust(office: TellingOffice) -> None:
    office.prove_channels()
    office.clock.advance(DAY + HOUR)
    office.calendar.is_deaf = True
    office.calendar.add(DANA, span(office.session().span.end + 5 * HOUR))
    office.tick()
    assert office.watched().proven_at is None


def test_silence_again_and_again_is_answered_ever_more_seldom(office: TellingOffice) -> None:
    office.calendar.is_deaf = True
    for _ in range(12):
        office.tick()
        office.worker.actions.defer_session(office.session().id)
        office.run(2 * HOUR)
    opened = office.calendar.asked.count("open_channel")
    assert opened == 5, "Dana's at once, after 5 minutes, 2 and 6 hours; Sam's once"


# --- its life ---


@pytest.mark.parametrize("renews", [False, True])
def test_a_channel_is_prolonged_or_replaced_at_half_of_its_life_without_a_gap(
    office: TellingOffice, renews: bool
) -> None:
    office.prove_channels()
    office.calendar.renews = renews
    first = office.watched()
    for _ in range(14 * 4):
        office.run(DAY / 4)
        assert office.calendar.channels_of(DANA), "there is a gap"
        assert len(office.calendar.channels_of(DANA)) == 1
    assert (office.watched().id == first.id) is renews
    assert office.watched().proven_at == first.proven_at, "trust is handed on"
    assert 6 <= office.calendar.asked.count("renew_channel") <= 8, "three or four for each of the two"


def test_a_channel_that_the_service_removed_is_opened_anew_and_the_calendar_read(office: TellingOffice) -> None:
    office.prove_channels()
    (gone,) = office.calendar.channels_of(DANA)
    office.calendar.tell_of(DANA, NotificationKind.REMOVED)
    office.calendar.live.pop(gone.remote_id)
    office.calendar.answer(DANA, office.session().key, SAM, Answer.DECLINED)  # nobody tells of it
    office.clock.advance(10 * SECOND)
    office.settle()
    (new,) = office.calendar.channels_of(DANA)
    assert new.id != gone.id and office.session().count == 1


def test_a_channel_is_renewed_when_the_service_asks(office: TellingOffice) -> None:
    office.prove_channels()
    office.calendar.renews = True
    office.calendar.tell_of(DANA, NotificationKind.RENEW)
    office.tick()
    assert office.calendar.asked[-1] == "renew_channel"


def test_missed_notifications_make_the_calendar_due(office: TellingOffice) -> None:
    office.prove_channels()
    office.calendar.is_deaf = True
    office.calendar.answer(DANA, office.session().key, SAM, Answer.DECLINED)
    office.calendar.is_deaf = False
    office.clock.advance(10 * SECOND)
    office.calendar.tell_of(DANA, NotificationKind.MISSED)
    office.settle()
    assert office.session().count == 1


def test_a_silent_channel_that_its_service_asks_to_renew_is_renewed_once(office: TellingOffice) -> None:
    """Silence is answered by another channel only after hours; meanwhile nothing is done again and again."""
    office.prove_channels()
    office.calendar.renews = True
    office.calendar.is_deaf = True
    for _ in range(2):
        office.worker.actions.defer_session(office.session().id)
        office.run(MAX_ECHO_DELAY + 2 * MINUTE)
    watched = office.watched()
    assert watched.failures == 1 and watched.awaiting_since
    asked = office.calendar.asked.count("renew_channel")
    office.store.channels.renew_now(DANA, office.clock())
    assert office.channels.run("first") == 1
    assert office.channels.run("first") == 0, "it is due again at once"
    assert office.calendar.asked.count("renew_channel") == asked + 1


def test_a_channel_that_is_removed_while_it_is_renewed_is_opened_anew(office: TellingOffice) -> None:
    office.prove_channels()
    office.calendar.renews = True
    (old,) = office.calendar.channels_of(DANA)

    def remove(operation: str) -> None:
        if operation == "renew_channel answered":
            office.calendar.live.pop(old.remote_id)
            office.channels.accept(Notification(old.token, NotificationKind.REMOVED))

    office.store.channels.renew_now(DANA, office.clock())
    office.calendar.fail = remove
    office.tick()
    office.calendar.fail = None
    office.tick()
    assert [one.id for one in office.calendar.channels_of(DANA)] == [office.watched().id] != [old.id]


def test_our_own_write_while_the_channel_is_renewed_is_awaited(office: TellingOffice) -> None:
    """The renewal must not put the check of its notification off for days."""
    office.prove_channels()
    office.calendar.renews = True

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


# --- refusals ---


def test_a_refusal_is_told_once_a_day_and_tried_again_ever_more_seldom(office: TellingOffice) -> None:
    office.calendar.fail = Fails(lambda: Permanent("The address is not allowed."), "open_channel")
    office.run(3 * DAY)
    assert office.calendar.asked.count("open_channel") == 10
    alerts = [mail for mail in office.mails() if "not allowed" in mail.as_string()]
    assert len(alerts) == len({parsedate_to_datetime(mail["Date"]).date() for mail in alerts}) == 3
    assert office.watched().problem == "The address is not allowed."
    office.calendar.fail = None
    office.run(DAY + HOUR)
    assert len(office.calendar.channels_of(DANA)) == 1


def test_a_report_s_calendar_that_may_not_be_watched_is_nobody_s_trouble(office: TellingOffice) -> None:
    """Where the company gives the right to managers' calendars alone."""

    def refuse(operation: str) -> None:
        if operation == "open_channel answered" and office.calendar.channels_of(SAM):
            office.calendar.live.popitem()
            raise Permanent("Access is denied.")

    office.calendar.fail = refuse
    office.run(2 * DAY)
    assert office.watched(SAM).failures >= 2 and office.watched(DANA).proven_at
    assert [mail for mail in office.mails() if "denied" in mail.as_string()] == []
    counts = count_channels(office.store.database, office.clock())
    assert [(one.standing, one.count) for one in counts] == [(ChannelStanding.TRUSTED, 1)]


def test_a_service_that_is_away_is_asked_again_in_minutes(office: TellingOffice) -> None:
    office.calendar.fail = Fails(lambda: Unavailable("away"), "open_channel", times=2)
    office.tick()
    assert office.watched().failures == 0
    office.run(10 * MINUTE)
    assert len(office.calendar.channels_of(DANA)) == 1


@pytest.mark.parametrize("by_hand", [False, True])
def test_a_calendar_that_is_suspended_no_more_gets_its_channel_with_it(office: TellingOffice, by_hand: bool) -> None:
    office.calendar.fail = Fails(lambda: AuthRevoked("revoked"), "open_channel", "changes")
    office.run(12 * HOUR)
    assert office.watched().failures > 2 and office.store.people.load_suspensions()
    office.calendar.fail = None
    if by_hand:
        office.store.calendars.lift_suspension(DANA, office.clock())
    else:
        office.run(HOUR + MINUTE)
    office.tick()
    assert len(office.calendar.channels_of(DANA)) == 1


def test_a_revoked_grant_stops_no_other_calendar(office: TellingOffice) -> None:
    office.calendar.fail = Fails(lambda: AuthRevoked("revoked"), "open_channel", times=1)
    office.tick()
    assert sum(len(office.calendar.channels_of(who)) for who in (DANA, SAM)) == 1


# --- killed ---

CALLS = tuple(f"{one}_channel{answered}" for one in ("open", "renew", "close") for answered in ("", " answered"))


@pytest.mark.parametrize("renews", [False, True])
def test_killed_at_any_call_another_process_brings_the_channels_to_the_same_end(renews: bool) -> None:
    for number in range(1, 12):
        office = TellingOffice()
        office.calendar.renews = renews
        office.calendar.fail = dies_at(number, CALLS)
        died = False
        for _ in range(2):
            try:
                office.run(5 * DAY)
            except Died:
                died = True
                office.worker = office.another("second")
                office.clock.advance(HOUR)
        office.run(8 * DAY)
        for who in (DANA, SAM):
            assert [one.id for one in office.calendar.channels_of(who)] == [office.watched(who).id], number
        assert office.rows(select(tables.retired_channel)) == []
        assert len(office.events()) == len({one.key for one in office.events()})
        if not died:
            assert number > 4
            break


def test_two_processes_open_one_channel_for_each_calendar(office: TellingOffice) -> None:
    other = office.another("second")
    for worker in (other, office.worker):
        worker.channels.refresh()
    assert other.channels.run("second") + office.channels.run("first") == 2
    assert office.calendar.asked.count("open_channel") == 2


def test_a_slow_service_keeps_few_workers_and_none_for_long() -> None:
    """When all channels of a company are opened, calendars are read and conversations planned meanwhile."""
    office = TellingOffice()
    office.persons, office.pairs = company(30)
    office.persons = {one: replace(who, calendar=KIND) for one, who in office.persons.items()}
    office.apply()
    others: list[int] = []

    def be_slow(operation: str) -> None:
        if operation != "open_channel":
            return
        office.clock.advance(SECOND * 10)
        if not others:
            office.calendar.fail = None
            others.extend(office.another(f"other {number}").channels.run("other") for number in range(3))
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
    office.close()


def test_the_address_that_services_are_told_is_the_setting_s(office: TellingOffice) -> None:
    office.tick()
    assert {one.channel.url for one in office.calendar.live.values()} == {f"{PUBLIC}/notify/google"}
