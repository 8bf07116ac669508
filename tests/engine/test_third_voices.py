"""Third voices (R-30): limits and single answers hold for simultaneous requests, and mails keep mail hours."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from tests.support.companies import DANA, DAY, HOUR, KEY, SAM, START, Fails, Office, texts
from worker.domain.model import (
    MAX_OPEN_VOICES,
    MAX_VOICE_QUESTION,
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
    """Have Sam ask Priya the question with that number."""
    return office.worker.third_voices.ask(office.persons[SAM], PRIYA, f"Question {number}?")


@pytest.mark.databases("sqlite", "postgresql")
def test_r30_simultaneous_questions_do_not_exceed_the_limit(office: Office) -> None:
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
def test_r30_one_of_several_simultaneous_answers_is_stored(office: Office) -> None:
    voice = ask(office)
    with ThreadPoolExecutor(4) as pool:
        results = list(
            pool.map(lambda number: office.worker.third_voices.answer(voice.id, f"Answer {number}"), range(4))
        )
    (stored,) = office.worker.third_voices.list_voices(SAM)
    assert results.count(True) == 1 and stored.answer == f"Answer {results.index(True)}"
    office.run(3 * DAY)
    assert len(office.mails("third_voice_answered")) == 1


def test_r30_an_answer_to_an_erased_or_ended_question_is_not_stored(office: Office) -> None:
    voices, first, second = office.worker.third_voices, ask(office, 1), ask(office, 2)
    assert not voices.erase(DANA, first.id), "Dana erased Sam's question"
    assert voices.erase(SAM, first.id)
    assert not voices.answer(first.id, "too late")
    office.clock.advance(VOICE_PERIOD)
    assert not voices.answer(second.id, "too late")
    assert [voice.answer for voice in voices.list_voices(SAM)] == [""]
    assert "Question 1" not in repr(office.store.third_voices.list_voices([SAM]))
    ask(office, 3)
    assert len(office.rows(select(tables.third_voice))) == 2, "the erased question still has a row"


def test_r30_a_request_is_sent_in_working_hours_unless_it_is_erased(office: Office) -> None:
    office.run_to(START.replace(hour=20))
    ask(office)
    office.run(timedelta(days=2))
    (mail,) = office.mails("third_voice_request")
    sent_at = mail["Date"].datetime
    # Priya's hours are unknown, so the report's hours count
    assert is_working_time(office.persons[SAM], Span(sent_at, sent_at + HOUR))
    erased = ask(office, 2)
    office.worker.third_voices.erase(SAM, erased.id)
    office.run(timedelta(days=3))
    assert len(office.mails("third_voice_request")) == 1


def ask_as_other_report(office: Office, number: int) -> None:
    """Have another report ask Priya."""
    report = replace(office.persons[SAM], email=f"r{number}@corp.example", name=f"R{number}")
    office.persons[report.email] = report
    office.apply()
    office.worker.third_voices.ask(report, PRIYA, "What do I do well?")


def test_t16_a_person_gets_at_most_three_questions_a_day(office: Office) -> None:
    """T-16, R-30: the other mails wait for the next working day. The rows of the outbox show only a tag of the
    person, which changes each day."""
    for number in range(5):
        ask_as_other_report(office, number)
    office.run(6 * HOUR)
    assert len(office.mails("third_voice_request")) == 3
    office.run(DAY)
    assert len(office.mails("third_voice_request")) == 5
    tags = [mail.to for mail in office.effects("third_voice_request")]
    assert len(set(tags)) == 2 and PRIYA not in tags  # one tag for each day


def add_mails(office: Office, count: int) -> None:
    """Add mails to Sam that are due now, are valid, and can be folded into one overflow mail."""
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
                decided_at=now,
                name=MailName.PAIR_ENDED,
                to=SAM,
                is_limited=True,
            )
        )


def test_t16_the_mail_about_an_answer_counts_against_the_report_s_daily_limit(office: Office) -> None:
    """T-16: it leaves less room for other mails. Above the limit, it waits for the next working day."""
    first, second = ask(office, 1), ask(office, 2)
    office.run(HOUR)
    office.run_to(START + DAY)  # the introduction came on the first day, and does not count on this one
    assert office.worker.third_voices.answer(first.id, "You listen")
    add_mails(office, 3)  # with the mail about the answer, these are four
    office.worker.outbox.run(holder="worker")
    assert len(office.history("mail.folded")) == 1
    assert office.worker.third_voices.answer(second.id, "You ask")
    office.run(HOUR)
    assert len(office.mails("third_voice_answered")) == 1
    office.run(DAY)
    assert len(office.mails("third_voice_answered")) == 2


def test_r30_a_failing_mail_server_delays_the_mail_and_reveals_nothing(office: Office) -> None:
    office.mailer.fail = Fails(lambda: Unavailable(f"busy with {PRIYA}"), "send", times=2)
    ask(office)
    for _ in range(3):  # the first attempt and two more
        assert "third_voice" not in repr(collect_status(office.store, office.clock()))
        office.worker.outbox.run(holder="worker")
    office.run(3 * DAY)
    assert len(office.mails("third_voice_request")) == 1
    assert PRIYA not in repr(office.effects()) and PRIYA not in texts(office.mails("operator_alert"))
    assert "third_voice" not in repr(office.history())


def test_r30_questions_are_found_after_a_change_of_keys(office: Office) -> None:
    question, new_key = ask(office), generate_key()
    both_keys, only_new_key = Seal((new_key, KEY)), Seal((new_key,))
    rows_of_both_keys = ThirdVoiceRows(office.store.database, both_keys)
    rows_of_new_key = ThirdVoiceRows(office.store.database, only_new_key)
    assert [voice.id for voice in rows_of_both_keys.list_voices([SAM])] == [question.id]  # found by the old key's tag
    assert rows_of_new_key.list_voices([SAM]) == []
    Content(office.store.database, both_keys).reseal_all()
    rows_of_both_keys.renew_tags()
    assert [voice.id for voice in rows_of_new_key.list_voices([SAM])] == [question.id]


@pytest.mark.parametrize("question", ["", "x" * (MAX_VOICE_QUESTION + 1)], ids=["empty", "too long"])
def test_r30_an_empty_or_too_long_question_is_refused(office: Office, question: str) -> None:
    with pytest.raises(UnfitVoice) as error_info:
        office.worker.third_voices.ask(office.persons[SAM], PRIYA, question)
    assert error_info.value.fault is VoiceFault.QUESTION
    assert not question or question not in str(error_info.value)
