"""R-35: a manager's sentence about their own learning goes into the next prompt of each report, once."""

import pytest

from tests.support.companies import DANA, DAY, HOUR, KIM, SAM, Fails, Office, pair, pairs, people, texts
from tests.support.effects import LEASE, make_uncertain_failure
from worker.domain.model import AliasSource, Owner, PairId, PersonAlias, SessionKind, Trigger
from worker.errors import Unavailable

SENTENCE = "I advise before I have asked."
PAIRS = (PairId(DANA, SAM), PairId(DANA, KIM))


def company(url: str) -> Office:
    office = Office(url, people(DANA, SAM, KIM), pairs(*(pair(*one.people) for one in PAIRS)))
    office.tick()
    return office


def run_past_prompts(office: Office) -> None:
    """Until both of the next conversations have begun."""
    ends = [office.session(SessionKind.CAREER, one).span.start for one in PAIRS]
    office.run_to(max(ends) + 2 * HOUR)


def list_readers(office: Office) -> list[str]:
    """Whose mails hold the sentence, one address for each mail."""
    return sorted(str(mail["To"]).rpartition("<")[2].strip(">") for mail in office.mails() if SENTENCE in texts([mail]))


def test_r35_each_report_reads_it_once_and_after_that_it_is_spent(database_url: str) -> None:
    office = company(database_url)
    office.store.learnings.write(PAIRS, SENTENCE, office.clock())
    office.run(2 * DAY)
    assert list_readers(office) == [] and len(office.store.learnings.load_waiting(PAIRS)) == 2
    run_past_prompts(office)
    assert list_readers(office) == [KIM, SAM]
    assert office.store.learnings.load_waiting(PAIRS) == {}
    office.run(120 * DAY)  # the next prompts go out without it
    assert len(office.mails("reflection_prompt")) >= 4
    assert list_readers(office) == [KIM, SAM]
    office.close()


def test_r35_a_new_sentence_is_shown_again_and_an_empty_one_withdraws_it(database_url: str) -> None:
    office = company(database_url)
    for text in ("Never mind.", SENTENCE):
        office.store.learnings.write(PAIRS, text, office.clock())
    office.store.learnings.write(PAIRS[1:], "", office.clock())
    run_past_prompts(office)
    assert list_readers(office) == [SAM]
    assert "Never mind." not in texts(office.mails())
    office.store.learnings.write(PAIRS, SENTENCE, office.clock())
    office.run(120 * DAY)
    assert list_readers(office) == [KIM, SAM, SAM]
    office.close()


def test_r35_of_a_pair_that_ended_no_sentence_waits_for_a_later_one(database_url: str) -> None:
    """Nobody could withdraw it any more, and a year later it would be told as news."""
    office = company(database_url)
    office.store.learnings.write(PAIRS, SENTENCE, office.clock())
    all_pairs, office.pairs = office.pairs, {PAIRS[1]: office.pairs[PAIRS[1]]}
    office.apply()
    assert list(office.store.learnings.load_waiting(PAIRS)) == [PAIRS[1]]
    office.pairs = all_pairs
    office.apply()
    office.run(120 * DAY)
    assert list_readers(office) == [KIM]
    office.close()


def test_r35_a_prompt_that_failed_has_spent_nothing(database_url: str) -> None:
    office = company(database_url)
    office.store.learnings.write(PAIRS, SENTENCE, office.clock())
    office.mailer.fail = Fails(Unavailable, "send", times=2)
    run_past_prompts(office)
    assert list_readers(office) == [KIM, SAM]
    assert office.store.learnings.load_waiting(PAIRS) == {}
    office.close()


def test_r35_a_prompt_of_unknown_fate_counts_as_read(database_url: str) -> None:
    """Nobody reads the sentence twice; at worst once less."""
    office = company(database_url)
    office.run_to(office.clock() + 2 * DAY)
    office.store.learnings.write(PAIRS, SENTENCE, office.clock())
    office.mailer.forgetful = True
    office.mailer.fail = Fails(make_uncertain_failure, "send.done")
    run_past_prompts(office)
    assert office.store.learnings.load_waiting(PAIRS) == {}
    office.close()


def test_r35_a_process_that_dies_after_the_mail_left_has_spent_the_sentence(database_url: str) -> None:
    office = Office(database_url)
    office.run(2 * DAY)
    office.store.learnings.write(PAIRS[:1], SENTENCE, office.clock())

    def die(operation: str) -> None:
        if operation == "send.done" and office.mailer.sent[-1][0].startswith("reflection_prompt"):
            raise SystemExit

    office.mailer.fail = die
    with pytest.raises(SystemExit):
        office.run_to(office.session().span.start)
    office.mailer.fail = None
    assert list_readers(office) == [SAM]
    assert list(office.store.learnings.load_waiting(PAIRS)) == [PAIRS[0]]  # it left, and nothing was stored yet
    office.clock.advance(LEASE + HOUR)
    office.run(120 * DAY)
    assert list_readers(office) == [SAM]
    assert office.store.learnings.load_waiting(PAIRS) == {}
    office.close()


def test_r35_a_talk_that_the_report_asked_for_is_about_the_report_and_spends_nothing(database_url: str) -> None:
    office = company(database_url)
    office.store.learnings.write(PAIRS[:1], SENTENCE, office.clock())
    office.worker.actions.request_talk(PAIRS[0], Trigger.DOUBT, by=Owner.REPORT)
    office.run(9 * DAY)
    assert "You asked for this talk" in texts(office.mails("reflection_prompt"))
    assert list_readers(office) == []
    assert list(office.store.learnings.load_waiting(PAIRS)) == [PAIRS[0]]
    office.close()


def test_r35_it_is_sealed_anew_with_a_new_key_and_follows_a_new_address(database_url: str) -> None:
    office = company(database_url)
    office.store.learnings.write(PAIRS, SENTENCE, office.clock())
    assert office.store.content.reseal_all() >= 2
    new = "kim.tran@corp.example"
    persons, listed = people(DANA, SAM, new), pairs(pair(), pair(DANA, new))
    aliases = [PersonAlias(KIM, new, AliasSource.PEOPLE_FILE)]
    office.store.people.apply_import(persons, listed, office.clock(), aliases)
    waiting = office.store.learnings.load_waiting([PairId(DANA, SAM), PairId(DANA, new)])
    assert [one.text for one in waiting.values()] == [SENTENCE, SENTENCE]
    office.close()
