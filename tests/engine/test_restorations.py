"""A database that is restored from a backup: events and mails from after the backup are not repeated.

The calendars and mailboxes stay as they are, and the database goes back to the time of the backup.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import Postgres
from tests.support.companies import (
    DANA,
    DAY,
    HOUR,
    KEY,
    KIM,
    SAM,
    SERVICE,
    START,
    WEEK,
    Fails,
    Office,
    company,
    contract,
    pair,
    pairs,
    people,
)
from worker.domain.model import (
    Address,
    Answer,
    EffectProgress,
    Format,
    MailName,
    Owner,
    PairId,
    SessionKind,
    SessionState,
    Span,
    Trigger,
)
from worker.errors import Unavailable
from worker.mail.kinds import KINDS
from worker.seal import Seal
from worker.store.backup import restore_backup, write_backup
from worker.store.backup_file import BackupFile
from worker.store.database import Database


class Backup:
    """A backup of a company's database, from which the company is restored."""

    def __init__(self, office: Office, file: Path, make_url: Callable[[], str], stack: ExitStack) -> None:
        self._office, self._file, self._make_url, self._stack = office, BackupFile(file), make_url, stack
        with file.open("wb") as out:
            write_backup(office.store.database, out, office.clock(), report_progress=lambda done: None)

    def restore(self, *, is_moved: bool = False) -> Office:
        """Return the company with a restored database, and with the calendars and mails that it has now.

        If `is_moved`, nothing happened after the backup: the database was moved to another place.
        """
        office, url = self._office, self._make_url()
        database = Database(url)
        restore_backup(
            database, self._file, Seal([KEY]), office.clock(), report_progress=lambda done: None, is_moved=is_moved
        )
        database.close()
        settings = office.settings.model_copy(update={"database": url})
        restored = Office(url, office.persons, office.pairs, at=office.clock(), office_settings=settings)
        restored.calendar, restored.mailer = office.calendar, office.mailer
        restored.worker.services.use(calendars={SERVICE: office.calendar}, mailers={SERVICE: office.mailer})
        self._stack.callback(restored.close)
        return restored


@pytest.fixture
def take_backup(backend: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[[Office], Backup]]:
    """A function that takes a backup of a company. The restored database is of the same kind."""

    def make_url() -> str:
        if backend == "sqlite":
            return f"sqlite:///{tmp_path / 'restored.db'}"
        server: Postgres = request.getfixturevalue("postgres")
        return server.create_empty()

    with ExitStack() as stack:
        yield lambda office: Backup(office, tmp_path / "longarc.backup", make_url, stack)


def count_mails(office: Office) -> Counter[str]:
    """Return how often each mail was sent, by its key."""
    return Counter(key for key, _ in office.mailer.sent)


def list_repeated_mails(office: Office) -> list[str]:
    """Return the keys of the mails that were sent more than once."""
    return [key for key, number in count_mails(office).items() if number > 1]


def list_events(office: Office, calendar: Address = DANA) -> list[tuple[str, Span]]:
    """Return key and time of our events on a calendar, from the company's first day to a year ahead."""
    window = Span(START - DAY, office.clock() + 365 * DAY)
    events = office.calendar.changes(calendar, None, window).events
    return sorted((event.key, event.span) for event in events if event.key)


TakeBackup = Callable[[Office], Backup]


def test_a_restored_database_repeats_no_event_and_no_mail(office: Office, take_backup: TakeBackup) -> None:
    """After the backup a session was held, the next one was booked, and mails were sent."""
    office.run(2 * DAY)
    backup = take_backup(office)
    held = office.hold()
    office.run(3 * DAY)
    events, mails, following = list_events(office), count_mails(office), office.session()
    restored = backup.restore()
    restored.run(HOUR)
    assert list_events(restored) == events
    assert restored.sessions_by_id()[held.id].state is SessionState.HELD
    recovered = restored.sessions_by_id()[following.id]
    assert (recovered.start, recovered.cycle) == (following.start, following.cycle)
    restored.run(10 * DAY)
    assert list_events(restored) == events
    assert list_repeated_mails(restored) == []
    assert set(mails) <= set(count_mails(restored))


def test_a_restored_company_keeps_changed_events_and_repeats_no_mail(
    database_url: str, take_backup: TakeBackup
) -> None:
    """After the backup people decline, delete and move events, and leave every fourth as it is. A week after the
    restore, each pair has one regular session ahead."""
    office = Office(database_url, *company(6, reports=3))
    office.run(3 * DAY)
    backup = take_backup(office)
    booked_sessions = sorted((s for s in office.sessions_by_id().values() if s.booked), key=lambda session: session.id)
    for number, session in enumerate(booked_sessions):
        manager, report = session.pair.people
        if number % 4 == 0:
            office.calendar.answer(manager, session.key, report, Answer.DECLINED)
        elif number % 4 == 1:
            office.calendar.remove(manager, session.key)
        elif number % 4 == 2:
            office.calendar.move(manager, session.key, Span(session.span.start + DAY, session.span.end + DAY))
        office.run(DAY)
    office.run(10 * DAY)
    managers = sorted({pair_id.manager for pair_id in office.pairs})
    events = {manager: list_events(office, manager) for manager in managers}
    mail_counts = count_mails(office)
    restored = backup.restore()
    restored.run(HOUR)
    assert {manager: list_events(restored, manager) for manager in managers} == events
    restored.run(7 * DAY)
    assert list_repeated_mails(restored) == [key for key, count in mail_counts.items() if count > 1] == []
    booked_counts = Counter(s.pair for s in restored.sessions_by_id().values() if s.booked and not s.adhoc)
    assert set(booked_counts.values()) == {1}
    office.close()


def test_a_pair_that_began_after_the_backup_keeps_its_session(office: Office, take_backup: TakeBackup) -> None:
    backup = take_backup(office)
    office.persons |= people(KIM)
    office.pairs |= pairs(pair(DANA, KIM))
    office.apply()
    office.run(5 * DAY)
    events = list_events(office)
    restored = backup.restore()
    restored.run(DAY)
    assert list_events(restored) == events
    assert list_repeated_mails(restored) == []
    assert {s.pair.report for s in restored.sessions_by_id().values() if s.booked} == {SAM, KIM}


def test_a_series_that_began_after_the_backup_keeps_its_parts(database_url: str, take_backup: TakeBackup) -> None:
    """T-13: the three parts keep their order, and no fourth is booked."""
    office = Office(database_url, people(DANA, SAM), pairs(pair(format=Format.SERIES)))
    backup = take_backup(office)
    office.run(3 * DAY)
    topics = {s.id: s.topic for s in office.sessions_by_id().values()}
    assert len(topics) == 3
    restored = backup.restore()
    restored.run(3 * DAY)
    assert {s.id: s.topic for s in restored.sessions_by_id().values()} == topics
    office.close()


def test_an_ad_hoc_session_requested_after_the_backup_is_recovered_as_one(
    office: Office, take_backup: TakeBackup
) -> None:
    """R-6: it does not replace the regular session."""
    office.run(2 * DAY)
    backup = take_backup(office)
    regular = office.session()
    ad_hoc_id = office.worker.actions.request_ad_hoc_session(
        PairId(DANA, SAM), Trigger.DOUBT, "something", by=Owner.REPORT
    )
    office.run(HOUR)
    events = list_events(office)
    assert len(events) == 2
    restored = backup.restore()
    restored.run(HOUR)
    assert list_events(restored) == events
    assert restored.sessions_by_id()[ad_hoc_id].adhoc and not restored.sessions_by_id()[regular.id].adhoc


def test_a_contract_that_is_recorded_again_gets_the_same_events(office: Office, take_backup: TakeBackup) -> None:
    """The restored database lacks the contract. When it is recorded again, its promises get the events that they had,
    and each review has one event, at the time of its event before."""
    office.run(DAY)
    backup = take_backup(office)
    held = office.hold()
    new_contract = contract(office.clock())
    office.worker.contracts.record(held.id, new_contract)
    office.run(DAY)
    events_before = list_events(office)
    restored = backup.restore()
    restored.run(HOUR)
    restored.worker.contracts.record(held.id, new_contract)
    restored.run(DAY)
    events = dict(list_events(restored))
    assert sorted(events.values()) == sorted(span for _, span in events_before)
    # the keys of reviews begin with "r"
    assert {key: span for key, span in events.items() if not key.startswith("r")} == {
        key: span for key, span in events_before if not key.startswith("r")
    }
    reviews = [s for s in restored.sessions_by_id().values() if s.kind is SessionKind.REVIEW and s.booked]
    assert {s.key for s in reviews} == {key for key in events if key.startswith("r")}
    assert len({s.target.month for s in reviews}) == len(reviews)


def test_pairs_are_planned_only_after_their_calendar_was_read(office: Office, take_backup: TakeBackup) -> None:
    backup = take_backup(office)
    office.run(2 * DAY)
    events = list_events(office)
    restored = backup.restore()
    office.calendar.fail = Fails(lambda: Unavailable("away"), "changes")
    restored.run(HOUR)
    assert restored.sessions_by_id() == {}
    office.calendar.fail = None
    restored.run(HOUR)
    assert list_events(restored) == events
    assert len(restored.sessions_by_id()) == 1


def test_only_repeatable_mails_are_repeated_when_the_mail_service_keeps_no_record(
    office: Office, take_backup: TakeBackup
) -> None:
    """The mail service can't say which mails it has sent. A mail that may have been sent before stays uncertain, for
    the operator to see."""
    office.mailer.forgetful = True
    office.run(2 * DAY)
    backup = take_backup(office)
    office.hold()
    office.run(DAY)
    counts_before = count_mails(office)
    restored = backup.restore()
    restored.run(HOUR)
    repeated_names = {key.partition(":")[0] for key in list_repeated_mails(restored)}
    assert repeated_names <= {name for name, kind in KINDS.items() if kind.is_repeatable}
    uncertain_keys = {effect.key for effect in restored.effects() if effect.progress is EffectProgress.UNCERTAIN}
    assert uncertain_keys and uncertain_keys <= set(counts_before)
    assert MailName.CONTRACT_REQUEST.value in {key.partition(":")[0] for key in uncertain_keys}


def test_a_moved_database_loses_no_mail_and_leaves_none_uncertain(office: Office, take_backup: TakeBackup) -> None:
    """Mails that became due during the move are sent, even by a mail service that keeps no record of what it has
    sent."""
    office.mailer.forgetful = True
    office.run(2 * DAY)
    start = office.session().span.start
    backup = take_backup(office)
    office.clock.move_to(start - HOUR)
    restored = backup.restore(is_moved=True)
    restored.run(HOUR)
    names = Counter(key.partition(":")[0] for key, _ in restored.mailer.sent)
    assert names[MailName.BRIEF.value] == 1
    assert {effect.progress for effect in restored.effects()} <= {EffectProgress.DONE, EffectProgress.DROPPED}


def test_leases_in_a_backup_do_not_delay_the_restored_database(office: Office, take_backup: TakeBackup) -> None:
    # a process that has ended before the backup, and whose leases hold for a week
    office.store.plans.claim(office.clock(), "gone", office.clock() + WEEK, limit=10)
    office.store.calendars.claim(office.clock(), "gone", office.clock() + WEEK, limit=10)
    restored = take_backup(office).restore()
    restored.run(HOUR)
    assert len(restored.sessions_by_id()) == 1
