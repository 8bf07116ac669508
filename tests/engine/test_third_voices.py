"""A third voice (R-30) on both databases: limits and single answers hold when two come at once; mails keep hours."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from tests.support.companies import DANA, DAY, HOUR, KEY, SAM, START, Fails, Office, texts
from worker.domain.model import (
    MAX_OPEN_VOICES,
    VOICE_PERIOD,
    Effect,
    EffectKind,
    EndReason,
    MailName,
    PairId,
    Span,
    ThirdVoice,
    VoiceFault,
)
from worker.domain.time.worktime import is_working_time
from worker.engine.third_voices import UnfitVoice
from worker.errors import Unavailable
from worker.ops.status import collect_status
from worker.seal import Seal, generate_key
from worker.store import tables
from worker.store.content import Content
from worker.store.third_voices import ThirdVoiceRows

PRIYA = "priya@corp.example"


def ask(office: Office, number: int = 0) -> ThirdVoice:
    return office.worker.third_voices.ask(office.persons[SAM], PRIYA, f"Question {number}?")


@pytest.mark.databases("sqlite", "postgresql")
def test_r30_two_forms_at_once_do_not_exceed_the_limit(office: Office) -> None:
    def try_to_ask(number: int) -> VoiceFault | None:
        try:
            ask(office, number)
        except UnfitVoice as error:
            return error.fault
        return None

    with ThreadPoolExecutor(4) as pool:
        faults = list(pool.map(try_to_ask, range(2 * MAX_OPEN_VOICES)))
    assert faults.count(None) == MAX_OPEN_VOICES
    assert faults.count(VoiceFault.MANY) == MAX_OPEN_VOICES


@pytest.mark.databases("sqlite", "postgresql")
def test_r30_of_two_answers_at_once_one_is_kept(office: Office) -> None:
    voice = ask(office)
    with ThreadPoolExecutor(4) as pool:
        kept = list(pool.map(lambda n: office.worker.third_voices.answer(voice.id, f"Answer {n}"), range(4)))
    (stored,) = office.worker.third_voices.list_voices(SAM)
    assert kept.count(True) == 1 and stored.answer == f"Answer {kept.index(True)}"
    office.run(3 * DAY)
    assert len(office.mails("third_voice_answered")) == 1


def test_r30_an_answer_to_what_was_erased_or_has_ended_is_not_kept(office: Office) -> None:
    voices, first, second = office.worker.third_voices, ask(office, 1), ask(office, 2)
    assert not voices.erase(DANA, first.id), "it is Sam's"
    assert voices.erase(SAM, first.id)
    assert not voices.answer(first.id, "too late")
    office.clock.advance(VOICE_PERIOD)
    assert not voices.answer(second.id, "too late")
    assert [voice.answer for voice in voices.list_voices(SAM)] == [""]
    assert "Question 1" not in repr(office.store.third_voices.list_voices([SAM]))
    ask(office, 3)
    assert len(office.rows(select(tables.third_voice))) == 2, "what was erased leaves no row"


def test_r30_mails_come_in_working_hours_and_only_while_they_are_wanted(office: Office) -> None:
    office.run_to(START.replace(hour=20))
    ask(office)
    office.run(timedelta(days=2))
    (mail,) = office.mails("third_voice_request")
    sent_at = mail["Date"].datetime
    assert is_working_time(office.persons[SAM], Span(sent_at, sent_at + HOUR)), "for a stranger those of the report"
    erased = ask(office, 2)
    office.worker.third_voices.erase(SAM, erased.id)
    office.run(timedelta(days=3))
    assert len(office.mails("third_voice_request")) == 1


def ask_from(office: Office, number: int) -> None:
    """Another report asks Priya."""
    report = replace(office.persons[SAM], email=f"r{number}@corp.example", name=f"R{number}")
    office.persons[report.email] = report
    office.apply()
    office.worker.third_voices.ask(report, PRIYA, "What do I do well?")


def test_t16_at_most_three_a_day_reach_whom_many_ask(office: Office) -> None:
    """T-16, R-30: the others wait for the next working day; no row says that they are for one person."""
    for number in range(5):
        ask_from(office, number)
    office.run(6 * HOUR)
    assert len(office.mails("third_voice_request")) == 3
    office.run(DAY)
    assert len(office.mails("third_voice_request")) == 5
    asked = [mail.to for mail in office.messages("third_voice_request")]
    assert len(set(asked)) == 2 and PRIYA not in asked, "another tag for another day"


def add_mails(office: Office, count: int) -> None:
    """Mails to Sam that are due now, are true, and could be told in one."""
    now = office.clock()
    with office.store.database.write() as connection:
        connection.execute(tables.pair.update().values(ended=EndReason.CHANGED))
    for n in range(count):
        office.store.outbox.add_mail(
            Effect(
                key=f"pair_ended:{n}:{now:%d%H%M}",
                kind=EffectKind.MAIL,
                pair=PairId(DANA, SAM),
                subject=f"s{n}",
                due_at=now,
                snapshot_at=now,
                name=MailName.PAIR_ENDED,
                to=SAM,
                counts=True,
            )
        )


def test_t16_that_there_is_an_answer_is_one_of_the_report_s_three_mails_a_day(office: Office) -> None:
    """T-16: it leaves less room for others; where there is none, it waits for the next working day."""
    first, second = ask(office, 1), ask(office, 2)
    office.run(HOUR)
    office.run_to(START + DAY)  # the introduction came on the first day
    assert office.worker.third_voices.answer(first.id, "You listen")
    add_mails(office, 3)
    office.worker.outbox.run("w")
    assert len(office.history("mail.folded")) == 1
    assert office.worker.third_voices.answer(second.id, "You ask")
    office.run(HOUR)
    assert len(office.mails("third_voice_answered")) == 1
    office.run(DAY)
    assert len(office.mails("third_voice_answered")) == 2


def test_r30_a_mail_server_that_fails_delays_the_mail_and_tells_nobody(office: Office) -> None:
    office.mailer.fail = Fails(lambda: Unavailable(f"busy with {PRIYA}"), "send", times=2)
    ask(office)
    for _ in range(3):  # due, and tried again
        assert "third_voice" not in repr(collect_status(office.store, office.clock()))
        office.worker.outbox.run("w")
    office.run(3 * DAY)
    assert len(office.mails("third_voice_request")) == 1
    assert PRIYA not in repr(office.messages()) and PRIYA not in texts(office.mails("operator_alert"))
    assert "third_voice" not in repr(office.history())


def test_r30_after_a_change_of_keys_the_questions_are_found(office: Office) -> None:
    voice, new = ask(office), generate_key()
    stores = {keys: ThirdVoiceRows(office.store.database, Seal(keys)) for keys in ((new, KEY), (new,))}
    assert [one.id for one in stores[new, KEY].list_voices([SAM])] == [voice.id], "found by the old key's tag"
    assert stores[new,].list_voices([SAM]) == []
    Content(office.store.database, Seal((new, KEY))).reseal_all()
    stores[new, KEY].renew_tags()
    assert [one.id for one in stores[new,].list_voices([SAM])] == [voice.id]


@pytest.mark.parametrize("question", ["", "x" * 601])
def test_r30_a_question_is_short_and_says_something(office: Office, question: str) -> None:
    with pytest.raises(UnfitVoice) as caught:
        office.worker.third_voices.ask(office.persons[SAM], PRIYA, question)
    assert caught.value.fault is VoiceFault.QUESTION
    assert not question or question not in str(caught.value)
