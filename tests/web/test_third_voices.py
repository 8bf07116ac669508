"""R-30: a third voice. A report asks somebody one question; only the report can read the answer."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.companies import DANA, DAY, HOUR, KIM, OPERATOR, SAM, Fails, texts
from tests.support.web_company import (
    ALEX,
    LEE,
    PRIYA,
    QUESTION,
    SavedCompany,
    WebCompany,
    hidden_value,
    send_form,
    text,
)
from worker.domain.model import MAX_OPEN_VOICES, VOICE_PERIOD, PairId, PersonAlias
from worker.domain.model.people import AliasSource
from worker.errors import Forbidden
from worker.links import Purpose

#: The word "wintergreen" is in no other text; "peppermint" is such a word of QUESTION.
ANSWER = "You explain things <b>well</b>.\n\nDo more wintergreen talks."
#: The question that tests ask as Sam.
NEW_QUESTION = "What should I do more of?"


def ask_as_sam(company: WebCompany, address: str = LEE, question: str = NEW_QUESTION) -> int:
    """Send Sam's form with a question, and return the status of the answer."""
    client = company.visitor(SAM, Purpose.ME)
    return send_form(client, "/me", "/me/voice", address=address, question=question).status_code


def list_request_recipients(company: WebCompany) -> list[str]:
    """Return the recipients of all mails that ask a third voice."""
    return [str(mail["To"]) for mail in company.office.mails("third_voice_request")]


def test_r30_the_request_mail_names_the_report_and_not_the_question(company: WebCompany) -> None:
    assert ask_as_sam(company) == 303
    company.office.run(3 * DAY)
    (mail,) = (mail for mail in company.office.mails("third_voice_request"))
    assert [address.addr_spec for address in mail["To"].addresses] == [LEE]
    assert mail["From"].addresses[0].display_name == "Sam Okafor"
    assert mail["From"].addresses[0].addr_spec == "longarc@corp.example"
    assert [address.addr_spec for address in mail["Reply-To"].addresses] == [SAM]
    assert mail["Subject"] == "Sam Okafor would like to ask you one question"
    assert NEW_QUESTION not in texts([mail]) and "/in/" in texts([mail])
    assert not {"Cc", "Bcc", "In-Reply-To"} & set(mail.keys())
    company.office.run(10 * DAY)
    assert len(list_request_recipients(company)) == 1


def test_r30_only_the_report_can_read_the_answer(company: WebCompany) -> None:
    priya, page = company.visitor(PRIYA, Purpose.VOICE, company.third_voice_id()), f"/voice/{company.third_voice_id()}"
    question_page = text(priya.get(page))
    assert (
        "Sam Okafor asks you" in question_page
        and QUESTION in question_page
        and "no manager, nobody else" in question_page
    )
    assert send_form(priya, page, page, answer=ANSWER).headers["Location"] == page
    page_after_answer = text(priya.get(page))
    assert (
        "Sam has your answer" in page_after_answer
        and QUESTION not in page_after_answer
        and "wintergreen" not in page_after_answer
    )
    company.office.run(2 * DAY)
    mails = company.office.mails("third_voice_answered")
    assert [str(mail["To"]) for mail in mails] == ["Sam Okafor <sam@corp.example>"]
    assert "wintergreen" not in texts(mails) and "priya" not in texts(mails).lower()
    sams_page = text(company.visitor(SAM, Purpose.ME).get("/me"))
    assert "You explain things <b>well</b>. Do more wintergreen talks." in sams_page and PRIYA in sams_page
    for address, purpose, path in (
        (DANA, Purpose.TEAM, "/team"), (DANA, Purpose.TEAM, "/team/data"), (KIM, Purpose.ME, "/me"),
        (OPERATOR, Purpose.STATUS, "/status"),
    ):  # fmt: skip
        other_page = company.visitor(address, purpose).get(path).get_data(as_text=True)
        for word in ("wintergreen", "peppermint", "priya", "third_voice"):
            assert word not in other_page, (path, word)
    assert "third_voice" not in str(company.office.history())
    (row,) = company.office.effects("third_voice_request")
    assert row.to and "@" not in row.to, "the row holds no tag in the place of the address"


def test_r30_a_question_is_answered_only_once(company: WebCompany) -> None:
    page = f"/voice/{company.third_voice_id()}"
    first, second = (company.visitor(PRIYA, Purpose.VOICE, company.third_voice_id()) for _ in range(2))
    token = hidden_value(second.get(page), "token")
    assert send_form(first, page, page, answer="").status_code == 422
    assert send_form(first, page, page, answer="x" * 5000).status_code == 422
    assert send_form(first, page, page, answer="one").status_code == 303
    second_answer = second.post(page, data={"token": token, "answer": "two"})
    assert second_answer.status_code == 410 and "This question is closed" in text(second_answer)
    (voice,) = company.office.worker.third_voices.list_voices(SAM)
    assert voice.answer == "one"


def test_r30_control_characters_are_removed_from_an_answer(company: WebCompany) -> None:
    page = f"/voice/{company.third_voice_id()}"
    priya = company.visitor(PRIYA, Purpose.VOICE, company.third_voice_id())
    assert send_form(priya, page, page, answer="\x1b[31mOne\0 \u202eline\u2028\r\n\r\nand  more\x07").status_code == 303
    (voice,) = company.office.worker.third_voices.list_voices(SAM)
    assert voice.answer == "[31mOne line\n\n\nand more"


def test_r30_logs_do_not_mention_questions_or_answers(company: WebCompany, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    assert ask_as_sam(company) == 303
    priya, page = company.visitor(PRIYA, Purpose.VOICE, company.third_voice_id()), f"/voice/{company.third_voice_id()}"
    assert send_form(priya, page, page, answer="one").status_code == 303
    client = company.visitor(SAM, Purpose.ME)
    assert send_form(client, "/me", f"/me/voice/{company.third_voice_id()}/erase").status_code == 303
    log_lines = [record.getMessage() for record in caplog.records]
    assert "GET /me 200" in log_lines and "voice" not in repr(log_lines)


def test_r30_the_link_of_a_third_voice_expires(company: WebCompany) -> None:
    page, link = f"/voice/{company.third_voice_id()}", company.link(PRIYA, Purpose.VOICE, company.third_voice_id())
    (voice,) = company.office.worker.third_voices.list_voices(SAM)
    company.office.clock.move_to(voice.expires_at - HOUR)
    visitor = company.visitor(PRIYA, Purpose.VOICE, company.third_voice_id())
    token = hidden_value(visitor.get(page), "token")
    company.office.clock.advance(HOUR)
    assert visitor.get(page).status_code == 410
    assert visitor.post(page, data={"token": token, "answer": "late"}).status_code == 410
    company.office.clock.advance(30 * DAY)
    answer = company.browser().get(link)
    assert answer.status_code == 410 and "This question is closed" in text(answer)
    assert "It was not answered" in text(company.visitor(SAM, Purpose.ME).get("/me"))


def test_r30_opening_changes_nothing_and_forged_forms_are_refused(company: WebCompany) -> None:
    page, before = f"/voice/{company.third_voice_id()}", company.read_database()
    client = company.visitor(PRIYA, Purpose.VOICE, company.third_voice_id())
    assert client.get(page).status_code == client.head(page).status_code == 200
    assert client.post(page, data={"answer": "x"}).status_code == 403
    assert client.post(page, data={"answer": "x", "token": "y" * 43}).status_code == 403
    assert company.browser().get(page).status_code == 403
    assert company.read_database() == before


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("priya", "Write one mail address"),
        ("priya@elsewhere.example", "not one of your company"),
        (DANA, "somebody other than you"),
        ("DANA@corp.example", "somebody other than you"),
        (SAM, "somebody other than you"),
        (OPERATOR, "somebody other than you"),
    ],
)
def test_r30_a_question_to_an_address_that_is_not_allowed_is_refused(
    company: WebCompany, address: str, reason: str
) -> None:
    before = company.read_database()
    client = company.visitor(SAM, Purpose.ME)
    answer = send_form(client, "/me", "/me/voice", address=address, question=NEW_QUESTION)
    assert answer.status_code == 422 and reason in text(answer)
    assert 'aria-describedby="third-wrong"' in answer.get_data(as_text=True)
    assert NEW_QUESTION in answer.get_data(as_text=True), "the form lost the question"
    assert company.read_database() == before


@pytest.mark.parametrize("address", [OPERATOR, LEE, "boss@corp.example", "sammy@corp.example"])
def test_r30_aliases_of_people_who_may_not_be_asked_are_refused(company: WebCompany, address: str) -> None:
    """The operator's address is an alias of Lee, so that neither may be asked; Dana and Sam have an alias each."""
    office = company.office
    aliases = [(LEE, OPERATOR), (DANA, "boss@corp.example"), (SAM, "sammy@corp.example")]
    person_aliases = [
        PersonAlias(alias, address_of_person, AliasSource.PEOPLE_FILE) for address_of_person, alias in aliases
    ]
    office.store.people.apply_import(office.persons, office.pairs, office.clock(), person_aliases)
    before = company.read_database()
    assert ask_as_sam(company, address) == 422
    assert company.read_database() == before


def test_t17_r30_a_person_who_left_is_not_asked_and_cannot_answer(saved_company: SavedCompany, tmp_path: Path) -> None:
    """R-30: a waiting mail is not sent, and links are closed. The report still gets an answer that came before."""
    company = WebCompany.of(saved_company, tmp_path, pages={"outside_voices": True})
    company.office.run_to(company.office.clock().replace(hour=22))  # at night, when the mail to Alex waits
    assert ask_as_sam(company, ALEX) == 303
    question = company.office.worker.third_voices.list_voices(SAM)[0]  # the latest
    link, visitor = company.link(ALEX, Purpose.VOICE, question.id), company.visitor(ALEX, Purpose.VOICE, question.id)
    assert ask_as_sam(company, ALEX) == 303
    company.office.worker.third_voices.answer(company.office.worker.third_voices.list_voices(SAM)[0].id, "Good luck!")
    del company.office.persons[ALEX], company.office.pairs[PairId(LEE, ALEX)]
    company.office.apply()
    assert visitor.get(f"/voice/{question.id}").status_code == 403
    assert company.browser().get(link).status_code == 404
    company.office.run(3 * DAY)
    assert list_request_recipients(company) == []
    assert len(company.office.mails("third_voice_answered")) == 1
    assert ask_as_sam(company, ALEX) == 422
    company.office.close()


def test_r30_a_setting_allows_questions_to_people_outside_the_company(
    saved_company: SavedCompany, tmp_path: Path
) -> None:
    company = WebCompany.of(saved_company, tmp_path, pages={"outside_voices": True})
    assert ask_as_sam(company, "mentor@elsewhere.example") == 303
    company.office.run(3 * DAY)
    assert list_request_recipients(company) == ["mentor@elsewhere.example"]
    assert "Hello," in texts(company.office.mails("third_voice_request"))
    company.office.close()


def test_r30_at_most_three_questions_are_open_and_erased_ones_count(company: WebCompany) -> None:
    """Otherwise a report could ask everybody by erasing one question after the other. The one to Priya is open too."""
    statuses = [ask_as_sam(company, question=f"Question {number}?") for number in range(MAX_OPEN_VOICES)]
    assert statuses == [303] * (MAX_OPEN_VOICES - 1) + [422]
    client = company.visitor(SAM, Purpose.ME)
    send_form(client, "/me", f"/me/voice/{company.third_voice_id()}/erase")
    assert ask_as_sam(company) == 422
    kims_client = company.visitor(KIM, Purpose.ME)
    assert send_form(kims_client, "/me", "/me/voice", address=LEE, question="And I?").status_code == 303
    company.office.clock.advance(VOICE_PERIOD + DAY)  # the questions can no longer be answered
    assert ask_as_sam(company) == 303
    assert send_form(company.visitor(SAM, Purpose.ME), "/me", "/me/voice", address=LEE, question=" ").status_code == 422


def test_r30_an_erased_question_has_no_answer_no_link_and_no_mail(company: WebCompany) -> None:
    voice_id, page = company.third_voice_id(), f"/voice/{company.third_voice_id()}"
    priya, sam = company.visitor(PRIYA, Purpose.VOICE, voice_id), company.visitor(SAM, Purpose.ME)
    token = hidden_value(priya.get(page), "token")
    assert send_form(company.visitor(KIM, Purpose.ME), "/me", f"/me/voice/{voice_id}/erase").status_code == 404
    assert send_form(sam, "/me", f"/me/voice/{voice_id}/erase").headers["Location"] == "/me?said=erased#voices"
    assert company.office.worker.third_voices.list_voices(SAM) == []
    assert priya.get(page).status_code == 403
    assert priya.post(page, data={"token": token, "answer": "x"}).status_code == 403
    assert ask_as_sam(company) == 303
    (new_voice,) = company.office.worker.third_voices.list_voices(SAM)
    assert company.office.worker.third_voices.answer(new_voice.id, "yes")
    send_form(sam, "/me", f"/me/voice/{new_voice.id}/erase")
    company.office.run(3 * DAY)
    assert company.office.mails("third_voice_answered") == [], "a mail mentions an erased question"


def test_r30_only_the_reports_file_has_question_and_answer(company: WebCompany) -> None:
    company.office.worker.third_voices.answer(company.third_voice_id(), ANSWER)
    file = json.loads(company.visitor(SAM, Purpose.ME).get("/me/data").get_data(as_text=True))
    (voice,) = file["third_voices"]
    assert (voice["to"], voice["question"], voice["answer"]) == (PRIYA, QUESTION, ANSWER)
    managers_file = json.loads(company.visitor(DANA, Purpose.TEAM).get("/team/data").get_data(as_text=True))
    assert "third_voices" not in managers_file


def test_r30_a_refused_mail_is_shown_to_the_report_and_causes_no_alert(company: WebCompany) -> None:
    company.office.mailer.fail = Fails(lambda: Forbidden(f"no mailbox {LEE}"), "send", times=1)
    assert ask_as_sam(company) == 303
    due = next(effect.due_at for effect in company.office.effects("third_voice_request") if effect.is_pending)
    alert_count = len(company.office.mails("operator_alert"))
    company.office.clock.move_to(max(due, company.office.clock()))
    company.office.worker.outbox.run(holder="test")
    assert company.office.mailer.fail.left == 0, "the mail was not attempted"
    assert "The mail could not be delivered." in text(company.visitor(SAM, Purpose.ME).get("/me"))
    company.office.mailer.fail = None
    company.office.run(HOUR)
    assert len(company.office.mails("operator_alert")) == alert_count
    assert company.office.store.outbox.list_failing_effects() == []
    # the table of mails
    rows = [row for row in company.read_database()["message"] if "third_voice_request" in row]
    assert rows and LEE not in str(rows)


def test_r30_questions_are_found_after_their_askers_address_has_changed(company: WebCompany) -> None:
    """Longarc knows from the directory's id that both are one person. The stored row holds neither address."""
    office, new_address = company.office, "sam.o@corp.example"
    questions = office.worker.third_voices.list_voices(SAM)
    assert [question.question for question in questions] == [QUESTION]
    assert office.worker.third_voices.list_voices(new_address) == []
    for address in (SAM, new_address):
        sam = replace(office.persons[SAM], email=address)
        persons = {**{email: known for email, known in office.persons.items() if email != SAM}, address: sam}
        pair = replace(office.pairs[PairId(DANA, SAM)], report=address)
        other_pairs = {pair_id: known for pair_id, known in office.pairs.items() if SAM not in pair_id.people}
        directory_id = PersonAlias("id-of-the-report", address, AliasSource.DIRECTORY)
        office.store.people.apply_import(persons, {**other_pairs, pair.id: pair}, office.clock(), [directory_id])
    assert office.worker.third_voices.list_voices(new_address) == questions
    assert QUESTION in text(company.visitor(new_address, Purpose.ME).get("/me"))
    assert "@corp.example" not in str(company.read_database()["third_voice"])


def test_r30_questions_of_a_person_who_left_are_closed(company: WebCompany) -> None:
    priya, page = company.visitor(PRIYA, Purpose.VOICE, company.third_voice_id()), f"/voice/{company.third_voice_id()}"
    del company.office.persons[SAM]
    company.office.pairs = {
        pair_id: known_pair for pair_id, known_pair in company.office.pairs.items() if SAM not in pair_id.people
    }
    company.office.apply()
    assert priya.get(page).status_code == 403
    assert not company.office.worker.third_voices.answer(company.third_voice_id(), "too late")
