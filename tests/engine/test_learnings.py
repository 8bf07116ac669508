"""Tests of R-35: a learning of the manager is in the next reflection prompt of each report, and in no other mail."""

import pytest

from tests.support.companies import DANA, DAY, HOUR, KIM, SAM, Fails, Office, pair, pairs, people, texts
from tests.support.effects import LEASE, make_uncertain_failure
from worker.domain.model import AliasSource, Owner, PairId, PersonAlias, SessionKind, Trigger
from worker.errors import Unavailable

SENTENCE = "I advise before I have asked."
SAM_PAIR, KIM_PAIR = PairId(DANA, SAM), PairId(DANA, KIM)
PAIRS = (SAM_PAIR, KIM_PAIR)


def make_office(url: str) -> Office:
    """Return an office where Dana leads Sam and Kim, whose sessions are booked."""
    office = Office(url, people(DANA, SAM, KIM), pairs(*(pair(*pair_id.people) for pair_id in PAIRS)))
    office.tick()
    return office


def run_past_prompts(office: Office) -> None:
    """Let time pass until the next career sessions of both pairs have begun."""
    starts = [office.session(SessionKind.CAREER, pair_id).span.start for pair_id in PAIRS]
    office.run_to(max(starts) + 2 * HOUR)


def list_readers(office: Office) -> list[str]:
    """Return the readers of the mails with the sentence: an address for each mail, sorted."""
    return sorted(str(mail["To"]).rpartition("<")[2].strip(">") for mail in office.mails() if SENTENCE in texts([mail]))


def test_r35_each_report_reads_a_learning_once(database_url: str) -> None:
    office = make_office(database_url)
    office.store.learnings.write(PAIRS, SENTENCE, office.clock())
    office.run(2 * DAY)
    assert list_readers(office) == [] and len(office.store.learnings.load_waiting(PAIRS)) == 2
    run_past_prompts(office)
    assert list_readers(office) == [KIM, SAM]
    assert office.store.learnings.load_waiting(PAIRS) == {}
    office.run(120 * DAY)  # the next prompts do not contain the sentence
    assert len(office.mails("reflection_prompt")) >= 4  # two to each report
    assert list_readers(office) == [KIM, SAM]
    office.close()


def test_r35_a_new_learning_replaces_the_old_and_an_empty_one_withdraws_it(database_url: str) -> None:
    office = make_office(database_url)
    for text in ("Never mind.", SENTENCE):
        office.store.learnings.write(PAIRS, text, office.clock())
    office.store.learnings.write([KIM_PAIR], "", office.clock())
    run_past_prompts(office)
    assert list_readers(office) == [SAM]
    assert "Never mind." not in texts(office.mails())
    office.store.learnings.write(PAIRS, SENTENCE, office.clock())
    office.run(120 * DAY)
    assert list_readers(office) == [KIM, SAM, SAM]
    office.close()


def test_r35_learning_of_an_ended_pair_is_deleted(database_url: str) -> None:
    """The manager of an ended pair can't withdraw it, so it must not be sent when the pair continues."""
    office = make_office(database_url)
    office.store.learnings.write(PAIRS, SENTENCE, office.clock())
    all_pairs, office.pairs = office.pairs, {KIM_PAIR: office.pairs[KIM_PAIR]}
    office.apply()
    assert list(office.store.learnings.load_waiting(PAIRS)) == [KIM_PAIR]
    office.pairs = all_pairs
    office.apply()
    office.run(120 * DAY)
    assert list_readers(office) == [KIM]
    office.close()


def test_r35_failed_prompt_contains_the_sentence_when_it_is_sent_later(database_url: str) -> None:
    office = make_office(database_url)
    office.store.learnings.write(PAIRS, SENTENCE, office.clock())
    office.mailer.fail = Fails(Unavailable, "send", times=2)
    run_past_prompts(office)
    assert list_readers(office) == [KIM, SAM]
    assert office.store.learnings.load_waiting(PAIRS) == {}
    office.close()


def test_r35_prompt_of_unknown_outcome_counts_as_read(database_url: str) -> None:
    """A report may miss the sentence, and never reads it twice."""
    office = make_office(database_url)
    office.run_to(office.clock() + 2 * DAY)
    office.store.learnings.write(PAIRS, SENTENCE, office.clock())
    office.mailer.forgetful = True
    office.mailer.fail = Fails(make_uncertain_failure, "send.done")
    run_past_prompts(office)
    assert office.store.learnings.load_waiting(PAIRS) == {}
    office.run(120 * DAY)  # the next prompts do not contain the sentence
    assert len(office.mails("reflection_prompt")) >= 4  # two to each report
    assert list_readers(office) == [KIM, SAM]
    office.close()


def test_r35_a_crash_after_the_send_does_not_repeat_the_learning(database_url: str) -> None:
    office = Office(database_url)
    office.run(2 * DAY)
    office.store.learnings.write([SAM_PAIR], SENTENCE, office.clock())

    def die(operation: str) -> None:
        if operation == "send.done" and office.mailer.sent[-1][0].startswith("reflection_prompt"):
            raise SystemExit

    office.mailer.fail = die
    with pytest.raises(SystemExit):
        office.run_to(office.session().span.start)
    office.mailer.fail = None
    assert list_readers(office) == [SAM]
    # the prompt was sent, but the process ended before it stored that
    assert list(office.store.learnings.load_waiting(PAIRS)) == [SAM_PAIR]
    office.clock.advance(LEASE + HOUR)
    office.run(120 * DAY)
    assert list_readers(office) == [SAM]
    assert office.store.learnings.load_waiting(PAIRS) == {}
    office.close()


def test_r35_prompt_of_a_talk_requested_by_the_report_has_no_learning(database_url: str) -> None:
    office = make_office(database_url)
    office.store.learnings.write([SAM_PAIR], SENTENCE, office.clock())
    office.worker.actions.request_ad_hoc_session(SAM_PAIR, Trigger.DOUBT, by=Owner.REPORT)
    office.run(9 * DAY)
    assert "You asked for this talk" in texts(office.mails("reflection_prompt"))
    assert list_readers(office) == []
    assert list(office.store.learnings.load_waiting(PAIRS)) == [SAM_PAIR]
    office.close()


def test_r35_learning_is_resealed_and_stays_with_a_person_whose_address_changes(database_url: str) -> None:
    office = make_office(database_url)
    office.store.learnings.write(PAIRS, SENTENCE, office.clock())
    assert office.store.content.reseal_all() >= 2
    new = "kim.tran@corp.example"
    persons, listed = people(DANA, SAM, new), pairs(pair(), pair(DANA, new))
    aliases = [PersonAlias(KIM, new, AliasSource.PEOPLE_FILE)]
    office.store.people.apply_import(persons, listed, office.clock(), aliases)
    waiting = office.store.learnings.load_waiting([PairId(DANA, SAM), PairId(DANA, new)])
    assert [learning.text for learning in waiting.values()] == [SENTENCE, SENTENCE]
    office.close()
