"""Mails reach people in their working hours, three a day, and the rest in one (T-16)."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.engine.test_identities import list_columns_with_address
from tests.support.companies import DAY, HOUR, START, WEEK, Office, pair, pairs, person
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
    known = {who: person(who) for who in (BOSS, *REPORTS)}
    made = Office(persons=known, listed=pairs(*(pair(BOSS, report) for report in REPORTS)))
    yield made
    made.close()


def notices(office: Office, count: int, name: str = MailName.PAIR_ENDED, to: str = BOSS) -> list[str]:
    """Mails about as many pairs, due now, that can wait."""
    now = office.clock()
    made = [
        Effect(
            key=f"{name}:{n}:{now:%d%H%M}",
            kind=EffectKind.MAIL,
            pair=PairId(BOSS, REPORTS[n]),
            subject=f"s{n}",
            due_at=now,
            snapshot_at=now,
            name=name,
            to=to,
            counts=True,
        )
        for n in range(count)
    ]
    for mail in made:
        office.store.outbox.add_mail(mail)
    return [mail.key for mail in made]


def test_one_introduction_names_all_reports(office: Office) -> None:
    """R-23, T-16: however many reports; each report has one of their own."""
    office.run(2 * DAY)
    (mail,) = [m for m in office.mails("introduction") if BOSS in str(m["To"])]
    text = mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert all(f"R{n}: " in text for n in range(8))
    assert len(office.mails("introduction")) == 9


def test_what_can_wait_waits_for_the_morning(office: Office) -> None:
    """T-16: decided or left over at night, it leaves when the reader's day begins."""
    office.clock.move_to(EVENING)
    (key,) = notices(office, 1, MailName.CONTENT_ACCESSED)
    office.worker.outbox.run("w")
    (row,) = [m for m in office.messages("content_accessed") if m.key == key]
    assert row.progress is EffectProgress.WAITING
    assert row.due_at == (START + DAY).replace(hour=7)


@pytest.mark.parametrize(("first", "last"), [(3, 5), (10, 12), (4, 9), (6, 7), (0, 12)])
def test_reading_a_part_of_the_calendar_makes_no_one_away_longer(first: int, last: int) -> None:
    """T-16: an absence before, after or around what was read stays as long as it is, and no longer."""
    away = Span(START + 6 * DAY, START + 8 * DAY)
    window = Span(START + first * DAY, START + last * DAY)
    busy = (BusyTime(away.clip(window), ShowAs.AWAY),) if away.overlaps(window) else ()
    snapshot = FreeBusySnapshot(windows={DANA.email: window}, free_busy={DANA.email: FreeBusy(busy)})
    state, changes = update_absences(state_of(manager=replace(DANA, absences=(away,))), snapshot, START)
    assert state.manager.absences == (away,)
    assert changes == {}


def test_an_absence_is_remembered_while_mails_count_from_a_day_in_it() -> None:
    """T-7, T-16: a manager who comes back still has three working days for a contract that became late meanwhile."""
    away = Span(START - 10 * DAY, START + 4 * DAY)
    window = Span(START, START + 30 * DAY)
    snapshot = FreeBusySnapshot(
        windows={DANA.email: window}, free_busy={DANA.email: FreeBusy((BusyTime(away.clip(window), ShowAs.AWAY),))}
    )
    state, changes = update_absences(state_of(manager=replace(DANA, absences=(away,))), snapshot, START)
    assert state.manager.absences == (away,) and changes == {}
    late = list_late_reminder_times(state.manager, START - 8 * DAY)
    assert late[0] >= away.end
    long_ago = Span(START - 90 * DAY, START - 70 * DAY)
    state, _ = update_absences(state_of(manager=replace(DANA, absences=(long_ago, away))), snapshot, START)
    assert state.manager.absences == (away,)


def test_out_of_office_is_no_working_day(office: Office) -> None:
    """T-16: as far as the calendar told when it was last read."""
    office.run(HOUR)
    with office.store.database.write() as connection:
        away = [Span(START, START + 2 * DAY)]
        connection.execute(tables.person.update().where(tables.person.c.email == BOSS).values(away=away))
    notices(office, 1, MailName.CONTENT_ACCESSED)
    office.worker.outbox.run("w")
    (row,) = office.messages("content_accessed")
    assert row.due_at == START + 2 * DAY


def end_pairs(office: Office) -> None:
    with office.store.database.write() as connection:
        connection.execute(tables.pair.update().values(ended=EndReason.CHANGED))


def test_three_mails_leave_a_day_and_the_rest_is_one_the_next_morning(office: Office) -> None:
    """T-16: whichever process sends them; a line each, told once, and nothing is lost."""
    end_pairs(office)
    keys = notices(office, 6)
    second = office.add_worker("second")
    assert office.worker.outbox.run("w", limit=2) == 2
    assert second.outbox.run("w", limit=2) == 1
    assert second.outbox.run("w") == 0
    assert office.worker.outbox.run("w") == 0
    assert len(office.mails("pair_ended")) == 3
    assert {m.progress for m in office.messages("pair_ended")} == {EffectProgress.DONE}
    folded = office.history("mail.folded")
    assert len(folded) == 3 and {line["fields"]["told_in"] for line in folded} == {f"overflow:{BOSS}:2026-09-07"}
    (overflow,) = office.messages("overflow")
    assert overflow.due_at == START + DAY
    office.clock.move_to(START + DAY)
    assert office.worker.outbox.run("w") == 1
    (mail,) = office.mails("overflow")
    text = mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    told = [n for n in range(8) if f"with R{n} have come to an end" in text]
    assert len(told) == 3
    assert {key for key, _ in office.mailer.sent if key.startswith("pair_ended")} == set(keys) - {
        m.key for m in office.messages("pair_ended") if int(m.subject[1:]) in told
    }


def test_a_mail_that_belongs_to_no_session_names_none_in_the_history(office: Office) -> None:
    """The history's `session`, and so the ledger's, is never an address."""
    office.run(4 * WEEK)
    told = [line for line in office.history("mail") if line["fields"]["message"] in ("introduction", "weekly")]
    assert {line["fields"]["message"] for line in told if line["pair"] is None} == {"introduction", "weekly"}
    assert not [line for line in office.history() if "@" in line["session"]]


def test_a_changed_address_keeps_the_mails_about_several_pairs(office: Office) -> None:
    """R-20, T-16: one introduction, and one mail in the week in which the address changed."""
    office.run(3 * WEEK + 2 * HOUR)
    (weekly,) = [m for m in office.messages("weekly") if m.snapshot_at >= START + 3 * WEEK]
    new = "chief@corp.example"
    office.persons = {**{r: office.persons[r] for r in REPORTS}, new: replace(office.persons[BOSS], email=new)}
    office.pairs = pairs(*(pair(new, report) for report in REPORTS))
    renamed = [PersonAlias(BOSS, new, AliasSource.PEOPLE_FILE)]
    office.store.people.apply_import(office.persons, office.pairs, office.clock(), renamed)
    assert list_columns_with_address(office, BOSS) == set()
    office.run(2 * DAY)
    assert [m.key for m in office.messages("weekly") if m.snapshot_at >= START + 3 * WEEK] == [weekly.key]
    assert len([m for m in office.mails("introduction") if new in str(m["To"])]) == 0


def test_what_is_no_longer_true_is_not_told_in_the_overflow_either(office: Office) -> None:
    """T-16, R-24: of pairs that go on again nothing is said; without a line the mail does not leave."""
    end_pairs(office)
    notices(office, 5)
    office.worker.outbox.run("w")
    with office.store.database.write() as connection:
        connection.execute(tables.pair.update().values(ended=EndReason.NO))
    office.clock.move_to(START + DAY)
    office.worker.outbox.run("w")
    assert office.mails("overflow") == []
    assert [m.progress for m in office.messages("overflow")] == [EffectProgress.DROPPED]


def test_a_manager_of_eight_gets_one_mail_a_week(office: Office) -> None:
    """R-20: on Monday morning, in place of a mail for each commitment; a manager of one keeps those."""
    office.run(8 * WEEK)
    weeklies = [m for m in office.messages("weekly") if m.progress is EffectProgress.DONE]
    assert weeklies and all(m.due_at.weekday() == 0 for m in weeklies)
    assert len({m.key for m in weeklies}) == len(weeklies) <= 8
    assert not [m for m in office.messages("commitment_due") if m.to == BOSS]
