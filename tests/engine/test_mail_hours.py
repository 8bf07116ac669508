"""Tests of mail hours: people get mails in their working hours, up to three a day, and one overflow mail (T-16)."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.engine.test_identities import COLUMNS_WITH_FORMER_ADDRESSES, list_columns_with_address
from tests.support.companies import DAY, HOUR, START, WEEK, Office, contract, pair, pairs, people, person
from tests.support.pairs import DANA, state_of
from worker.domain.model import (
    BusyTime,
    Effect,
    EffectKind,
    EffectProgress,
    EndReason,
    FreeBusy,
    FreeBusySnapshot,
    MailName,
    PairId,
    PersonAlias,
    ShowAs,
    Span,
)
from worker.domain.model.people import AliasSource
from worker.domain.planning.contract_mails import list_late_reminder_times
from worker.domain.time.absences import update_absences
from worker.store import tables

REPORTS = [f"r{n}@corp.example" for n in range(8)]
BOSS = "boss@corp.example"
EVENING = START.replace(hour=19)


@pytest.fixture
def office() -> Iterator[Office]:
    persons = {email: person(email) for email in (BOSS, *REPORTS)}
    office = Office(persons=persons, listed_pairs=pairs(*(pair(BOSS, report) for report in REPORTS)))
    yield office
    office.close()


def add_mails(office: Office, count: int, name: str = MailName.PAIR_ENDED, to: str = BOSS) -> list[str]:
    """Add mails about different pairs to the outbox, due now and counted for the daily limit. Returns their keys."""
    now = office.clock()
    mails = [
        Effect(
            key=f"{name}:{n}:{now:%d%H%M}",
            kind=EffectKind.MAIL,
            pair=PairId(BOSS, REPORTS[n]),
            subject=f"s{n}",
            due_at=now,
            decided_at=now,
            name=name,
            to=to,
            is_limited=True,
        )
        for n in range(count)
    ]
    for mail in mails:
        office.store.outbox.add_mail(mail)
    return [mail.key for mail in mails]


def test_manager_gets_one_introduction_with_all_reports(office: Office) -> None:
    """R-23, T-16: each of the eight reports gets an introduction too."""
    office.run(2 * DAY)
    (mail,) = [mail for mail in office.mails("introduction") if BOSS in str(mail["To"])]
    text = mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert all(f"R{n}: " in text for n in range(8))
    assert len(office.mails("introduction")) == 9


def test_mail_that_is_due_at_night_waits_for_the_morning(office: Office) -> None:
    """T-16: the mail is sent when the working hours of its reader begin."""
    office.clock.move_to(EVENING)
    (key,) = add_mails(office, 1, MailName.CONTENT_ACCESSED)
    office.worker.outbox.run(holder="worker")
    (row,) = [effect for effect in office.effects("content_accessed") if effect.key == key]
    assert row.progress is EffectProgress.WAITING
    assert row.due_at == (START + DAY).replace(hour=7)  # nine o'clock in Berlin


@pytest.mark.parametrize(
    ("first", "last"),  # days of the window, counted from the start; the absence is from 6 to 8
    [(3, 5), (10, 12), (4, 9), (6, 7), (0, 12)],
    ids=["before", "after", "just around", "within", "far around"],
)
def test_reading_a_part_of_a_calendar_does_not_change_an_absence(first: int, last: int) -> None:
    """T-16: this holds when the window that was read is before, after, within or around the absence."""
    away = Span(START + 6 * DAY, START + 8 * DAY)
    window = Span(START + first * DAY, START + last * DAY)
    busy = (BusyTime(away.clip(window), ShowAs.AWAY),) if away.overlaps(window) else ()
    snapshot = FreeBusySnapshot(windows={DANA.email: window}, free_busy={DANA.email: FreeBusy(busy)})
    state, changes = update_absences(state_of(manager=replace(DANA, absences=(away,))), snapshot, START)
    assert state.manager.absences == (away,)
    assert changes == {}


def test_past_absence_is_kept_while_reminders_depend_on_it() -> None:
    """T-7, T-16: a manager who comes back has three working days for a contract that became late during the absence."""
    away = Span(START - 10 * DAY, START + 4 * DAY)
    window = Span(START, START + 30 * DAY)
    snapshot = FreeBusySnapshot(
        windows={DANA.email: window}, free_busy={DANA.email: FreeBusy((BusyTime(away.clip(window), ShowAs.AWAY),))}
    )
    state, changes = update_absences(state_of(manager=replace(DANA, absences=(away,))), snapshot, START)
    assert state.manager.absences == (away,) and changes == {}
    reminder_times = list_late_reminder_times(state.manager, START - 8 * DAY)
    assert reminder_times[0] >= away.end
    long_ago = Span(START - 90 * DAY, START - 70 * DAY)
    state, _ = update_absences(state_of(manager=replace(DANA, absences=(long_ago, away))), snapshot, START)
    assert state.manager.absences == (away,)


def test_mail_waits_until_the_end_of_an_absence(office: Office) -> None:
    """T-16: the stored absences count, which were read from the calendar."""
    office.run(HOUR)
    with office.store.database.write() as connection:
        absences = [Span(START, START + 2 * DAY)]
        connection.execute(tables.person.update().where(tables.person.c.email == BOSS).values(away=absences))
    add_mails(office, 1, MailName.CONTENT_ACCESSED)
    office.worker.outbox.run(holder="worker")
    (row,) = office.effects("content_accessed")
    assert row.due_at == START + 2 * DAY


def end_pairs(office: Office) -> None:
    """End all pairs, so that mails which say so are valid."""
    with office.store.database.write() as connection:
        connection.execute(tables.pair.update().values(ended=EndReason.CHANGED))


def test_mails_above_three_a_day_are_folded_into_one_the_next_morning(office: Office) -> None:
    """T-16: the limit holds across processes. Each folded mail has one line in the overflow mail, and none is lost."""
    end_pairs(office)
    keys = add_mails(office, 6)
    second = office.add_worker("second")
    assert office.worker.outbox.run(holder="worker", limit=2) == 2
    assert second.outbox.run(holder="worker", limit=2) == 1
    assert second.outbox.run(holder="worker") == 0
    assert office.worker.outbox.run(holder="worker") == 0
    assert len(office.mails("pair_ended")) == 3
    assert {effect.progress for effect in office.effects("pair_ended")} == {EffectProgress.DONE}
    folded = office.history("mail.folded")
    assert len(folded) == 3 and {line["fields"]["told_in"] for line in folded} == {f"overflow:{BOSS}:2026-09-07"}
    (overflow,) = office.effects("overflow")
    assert overflow.due_at == START + DAY
    office.clock.move_to(START + DAY)
    assert office.worker.outbox.run(holder="worker") == 1
    (mail,) = office.mails("overflow")
    text = mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    numbers_in_overflow = [n for n in range(8) if f"with R{n} have come to an end" in text]
    assert len(numbers_in_overflow) == 3
    # `add_mails` gives the mail about the pair with report n the subject `s` and n
    folded_keys = {
        effect.key for effect in office.effects("pair_ended") if int(effect.subject[1:]) in numbers_in_overflow
    }
    sent_keys = {key for key, _ in office.mailer.sent if key.startswith("pair_ended")}
    assert sent_keys == set(keys) - folded_keys


def test_personal_mail_has_no_session_and_no_pair_in_the_history(office: Office) -> None:
    """The field `session` of the history, and so of the ledger, is never an address."""
    office.run(4 * WEEK)
    lines = [line for line in office.history("mail") if line["fields"]["message"] in ("introduction", "weekly")]
    assert {line["fields"]["message"] for line in lines if line["pair"] is None} == {"introduction", "weekly"}
    assert not [line for line in office.history() if "@" in line["session"]]


def test_manager_with_a_new_address_gets_no_personal_mail_twice(office: Office) -> None:
    """R-20, T-16: no second introduction, and no second weekly mail in the week in which the address changed."""
    office.run(3 * WEEK + 2 * HOUR)
    (weekly,) = [effect for effect in office.effects("weekly") if effect.decided_at >= START + 3 * WEEK]
    new = "chief@corp.example"
    office.persons = {
        **{report: office.persons[report] for report in REPORTS},
        new: replace(office.persons[BOSS], email=new),
    }
    office.pairs = pairs(*(pair(new, report) for report in REPORTS))
    aliases = [PersonAlias(BOSS, new, AliasSource.PEOPLE_FILE)]
    office.store.people.apply_import(office.persons, office.pairs, office.clock(), aliases)
    assert list_columns_with_address(office, BOSS) == COLUMNS_WITH_FORMER_ADDRESSES
    office.run(2 * DAY)
    assert [effect.key for effect in office.effects("weekly") if effect.decided_at >= START + 3 * WEEK] == [weekly.key]
    assert not [mail for mail in office.mails("introduction") if new in str(mail["To"])]


def test_overflow_mail_without_a_valid_line_is_dropped(office: Office) -> None:
    """T-16, R-24: the folded mails say that pairs have ended; when the pairs continue, these lines are left out."""
    end_pairs(office)
    add_mails(office, 5)
    office.worker.outbox.run(holder="worker")
    with office.store.database.write() as connection:
        connection.execute(tables.pair.update().values(ended=EndReason.NO))
    office.clock.move_to(START + DAY)
    office.worker.outbox.run(holder="worker")
    assert office.mails("overflow") == []
    assert [effect.progress for effect in office.effects("overflow")] == [EffectProgress.DROPPED]


def test_manager_of_eight_gets_one_weekly_mail_on_mondays(office: Office) -> None:
    """R-20: the weekly mail replaces the mails about single commitments."""
    office.run(8 * WEEK)
    weeklies = [effect for effect in office.effects("weekly") if effect.progress is EffectProgress.DONE]
    assert weeklies and all(mail.due_at.weekday() == 0 for mail in weeklies)
    assert len({mail.key for mail in weeklies}) == len(weeklies) <= 8
    assert not [effect for effect in office.effects("commitment_due") if effect.to == BOSS]


@pytest.mark.parametrize(("report_count", "mail_name"), [(2, "commitment_due"), (3, "weekly")])
def test_only_a_manager_of_three_gets_a_weekly_for_single_commitments(report_count: int, mail_name: str) -> None:
    """R-20: only a manager of three reports or more gets a weekly mail in their place."""
    reports = REPORTS[:report_count]
    office = Office(persons=people(BOSS, *reports), listed_pairs=pairs(*(pair(BOSS, report) for report in reports)))
    office.tick()
    session = office.session(pair_id=PairId(BOSS, REPORTS[0]))
    office.run_to(session.span.end)
    office.worker.contracts.record(session.id, contract(office.clock()))
    office.run(8 * WEEK)
    mail_names = {
        effect.name for effect in office.effects() if effect.to == BOSS and effect.progress is EffectProgress.DONE
    }
    assert {"commitment_due", "weekly"} & mail_names == {mail_name}
    office.close()
