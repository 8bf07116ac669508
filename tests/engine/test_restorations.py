"""A database that was restored from a backup: what happened meanwhile happens only once.

The calendars and mailboxes go on as they are; the database goes back to the moment of the backup.
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
    Session,
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
    """A backup of a company, and what is restored from it."""

    def __init__(self, office: Office, file: Path, make_url: Callable[[], str], stack: ExitStack) -> None:
        self._office, self._file, self._make_url, self._stack = office, BackupFile(file), make_url, stack
        with file.open("wb") as out:
            write_backup(office.store.database, out, office.clock(), lambda done: None)

    def restore(self, *, is_moved: bool = False) -> Office:
        """The company as it goes on after its database was restored."""
        lost, url = self._office, self._make_url()
        database = Database(url)
        restore_backup(database, self._file, Seal([KEY]), lost.clock(), lambda done: None, is_moved=is_moved)
        database.close()
        known = lost.settings.model_copy(update={"database": url})
        made = Office(url, lost.persons, lost.pairs, at=lost.clock(), known=known)
        made.calendar, made.mailer = lost.calendar, lost.mailer
        made.worker.services.use(calendars={SERVICE: lost.calendar}, mailers={SERVICE: lost.mailer})
        self._stack.callback(made.close)
        return made


@pytest.fixture
def take_backup(backend: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[[Office], Backup]]:
    """Takes a backup of a company; what is restored from it is in a database of the same kind."""

    def make_url() -> str:
        if backend == "sqlite":
            return f"sqlite:///{tmp_path / 'restored.db'}"
        server: Postgres = request.getfixturevalue("postgres")
        return server.empty()

    with ExitStack() as stack:
        yield lambda office: Backup(office, tmp_path / "longarc.backup", make_url, stack)


def count_mails(office: Office) -> Counter[str]:
    """How often each mail went out, by its key."""
    return Counter(key for key, _ in office.mailer.sent)


def list_twice(office: Office) -> list[str]:
    """The mails that went out more than once."""
    return [key for key, number in count_mails(office).items() if number > 1]


def list_events(office: Office, calendar: Address = DANA) -> list[tuple[str, Span]]:
    """Key and time of our events on a calendar, from the company's beginning to a year ahead."""
    window = Span(START - DAY, office.clock() + 365 * DAY)
    listed = office.calendar.changes(calendar, None, window).events
    return sorted((event.key, event.span) for event in listed if event.key)


def sessions(office: Office) -> dict[str, Session]:
    return {session.id: session for session in office.store.queries.list_sessions()}


TakeBackup = Callable[[Office], Backup]


def test_what_happened_after_the_backup_happens_only_once(office: Office, take_backup: TakeBackup) -> None:
    """A talk was held after the backup, the next one booked, and mails went out: none of it a second time."""
    office.run(2 * DAY)
    backup = take_backup(office)
    held = office.hold()
    office.run(3 * DAY)
    events, mails, following = list_events(office), count_mails(office), office.session()
    restored = backup.restore()
    restored.run(HOUR)
    assert list_events(restored) == events
    assert sessions(restored)[held.id].state is SessionState.HELD
    known = sessions(restored)[following.id]
    assert (known.start, known.cycle) == (following.start, following.cycle)
    restored.run(10 * DAY)
    assert list_events(restored) == events
    assert list_twice(restored) == []
    assert set(mails) <= set(count_mails(restored))


def test_a_busy_company_gets_nothing_twice(database_url: str, take_backup: TakeBackup) -> None:
    """People decline, delete and move after the backup; two weeks later everybody has one talk to come."""
    office = Office(database_url, *company(6, reports=3))
    office.run(3 * DAY)
    backup = take_backup(office)
    booked = sorted((session for session in sessions(office).values() if session.booked), key=lambda one: one.id)
    for number, session in enumerate(booked):
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
    mails = count_mails(office)
    restored = backup.restore()
    restored.run(HOUR)
    assert {manager: list_events(restored, manager) for manager in managers} == events
    restored.run(7 * DAY)
    assert list_twice(restored) == [key for key, number in mails.items() if number > 1] == []
    coming = Counter(s.pair for s in sessions(restored).values() if s.booked and not s.adhoc)
    assert set(coming.values()) == {1}
    office.close()


def test_a_pair_that_began_after_the_backup_keeps_its_talk(office: Office, take_backup: TakeBackup) -> None:
    backup = take_backup(office)
    office.persons |= people(KIM)
    office.pairs |= pairs(pair(DANA, KIM))
    office.apply()
    office.run(5 * DAY)
    events = list_events(office)
    restored = backup.restore()
    restored.run(DAY)
    assert list_events(restored) == events
    assert list_twice(restored) == []
    assert {s.pair.report for s in sessions(restored).values() if s.booked} == {SAM, KIM}


def test_a_series_that_began_after_the_backup_keeps_its_parts(database_url: str, take_backup: TakeBackup) -> None:
    """T-13: three parts in order, and a fourth is not booked."""
    office = Office(database_url, people(DANA, SAM), pairs(pair(format=Format.SERIES)))
    backup = take_backup(office)
    office.run(3 * DAY)
    topics = {s.id: s.topic for s in sessions(office).values()}
    assert len(topics) == 3
    restored = backup.restore()
    restored.run(3 * DAY)
    assert {s.id: s.topic for s in sessions(restored).values()} == topics
    office.close()


def test_a_talk_on_request_after_the_backup_is_known_as_one(office: Office, take_backup: TakeBackup) -> None:
    """R-6: it does not take the place of the regular one, and why it was asked for is lost."""
    office.run(2 * DAY)
    backup = take_backup(office)
    regular = office.session()
    asked = office.worker.actions.request_talk(PairId(DANA, SAM), Trigger.DOUBT, "something", by=Owner.REPORT)
    office.run(HOUR)
    events = list_events(office)
    assert len(events) == 2
    restored = backup.restore()
    restored.run(HOUR)
    assert list_events(restored) == events
    assert sessions(restored)[asked].adhoc and not sessions(restored)[regular.id].adhoc


def test_a_contract_recorded_after_the_backup_is_recorded_again(office: Office, take_backup: TakeBackup) -> None:
    """The contract is lost. Once it is recorded again, promises and reviews have the events they had."""
    office.run(DAY)
    backup = take_backup(office)
    held = office.hold()
    agreed = contract(office.clock())
    office.worker.contracts.record(held.id, agreed)
    office.run(DAY)
    kept = {key: span for key, span in list_events(office) if not key.startswith("r")}
    restored = backup.restore()
    restored.run(HOUR)
    restored.worker.contracts.record(held.id, agreed)
    restored.run(DAY)
    events = dict(list_events(restored))
    assert {key: span for key, span in events.items() if not key.startswith("r")} == kept
    reviews = [s for s in sessions(restored).values() if s.kind is SessionKind.REVIEW and s.booked]
    assert {s.key for s in reviews} == {key for key in events if key.startswith("r")}
    assert len({s.target.month for s in reviews}) == len(reviews)


def test_a_calendar_out_of_reach_is_read_before_its_pairs_are_planned(office: Office, take_backup: TakeBackup) -> None:
    backup = take_backup(office)
    office.run(2 * DAY)
    events = list_events(office)
    restored = backup.restore()
    office.calendar.fail = Fails(lambda: Unavailable("away"), "changes")
    restored.run(HOUR)
    assert sessions(restored) == {}
    office.calendar.fail = None
    restored.run(HOUR)
    assert list_events(restored) == events
    assert len(sessions(restored)) == 1


def test_a_mail_service_that_cannot_tell_gets_no_mail_twice_but_those_that_bear_it(
    office: Office, take_backup: TakeBackup
) -> None:
    """What was due, and what is decided on catching up, stays uncertain, and the operator sees it."""
    office.mailer.forgetful = True
    office.run(2 * DAY)
    backup = take_backup(office)
    office.hold()
    office.run(DAY)
    before = count_mails(office)
    restored = backup.restore()
    restored.run(HOUR)
    repeated = {key.partition(":")[0] for key in list_twice(restored)}
    assert repeated <= {name for name, kind in KINDS.items() if kind.is_repeatable}
    uncertain = {message.key for message in restored.messages() if message.progress is EffectProgress.UNCERTAIN}
    assert uncertain and uncertain <= set(before)
    assert MailName.CONTRACT_REQUEST.value in {key.partition(":")[0] for key in uncertain}


def test_a_database_that_was_only_moved_goes_on_as_if_nothing_had_been(office: Office, take_backup: TakeBackup) -> None:
    """Mails that fell due while it was moved are sent, also by a service that can't tell."""
    office.mailer.forgetful = True
    office.run(2 * DAY)
    start = office.session().span.start
    backup = take_backup(office)
    office.clock.move_to(start - HOUR)
    restored = backup.restore(is_moved=True)
    restored.run(HOUR)
    names = Counter(key.partition(":")[0] for key, _ in restored.mailer.sent)
    assert names[MailName.BRIEF.value] == 1
    assert {message.progress for message in restored.messages()} <= {EffectProgress.DONE, EffectProgress.DROPPED}


def test_leases_of_processes_that_are_gone_hold_nothing_up(office: Office, take_backup: TakeBackup) -> None:
    office.store.plans.claim(office.clock(), "gone", office.clock() + WEEK, 10)
    office.store.calendars.claim(office.clock(), "gone", office.clock() + WEEK, 10)
    restored = take_backup(office).restore()
    restored.run(HOUR)
    assert len(sessions(restored)) == 1
