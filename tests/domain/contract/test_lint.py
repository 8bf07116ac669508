"""Questions about commitments before a contract is recorded (R-16, R-31), and which commitments are urgent (R-21)."""

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.domain.contract.lint import QUESTION_TEXTS, LintQuestion, is_urgent, lint_contract
from worker.domain.contract.lint_rules import english
from worker.domain.model import Contract, Owner, WrittenCommitment
from worker.i18n import domain_texts
from worker.i18n.language import Languages
from worker.mail.templates import find_template_folder

TODAY = date(2027, 1, 15)
DUE = date(2027, 3, 1)

#: Commitments with a verb, and with an outcome that their owner can bring about.
GOOD_TEXTS = """\
Introduce Sam to the head of platform
I will introduce Sam to two staff engineers
Set up a shadowing day with the incident team
Ask Ana whether she will mentor Sam
Advocate for Sam's promotion in the March committee
Write Sam's promotion case and show it to Sam
Talk to my manager about Sam's progression
Find out what the salary band for staff is and tell Sam
Ask for headcount in the spring plan
Nominate Sam for the architecture forum
Let Sam lead the billing design review
Put Sam forward to run the quarterly demo
Connect Sam with a mentor outside our department
Bring Sam's storage work to the directors' meeting
Promote Sam's work in the platform forum
Promote the guild to the whole team
向平台负责人介绍小山
Raise Sam's profile: a talk at the guild in February
Raise the promotion timeline with my manager
Read the draft of the RFC and comment on every section
Run the retrospective for the outage
Publish the on-call guide
Finish the distributed systems course
Present the cost study to the finance team
Shepherd the storage RFC through review
Pair with Mei on two incidents
Decide between the staff and the manager track
Sam will write a one-page career story
We will meet the design lead together
Review the role description for staff engineer with Sam
Discuss the title question with HR and report back
Prepare three questions for the director
Send the notes of the talk as soon as the video is online
Hand over the release rota to Jonas
Kickstart the reading group with four people
Mentor a new joiner through the first month
Ship the retry queue to production
Try-out sessions: book two with the data team
Be a role model in code review: leave a reason with each comment
Take the question of the pay review to the panel and say what I hear
Die Ergebnisse der Umfrage im Team vorstellen
Escalate the tooling budget to Ana
Get Sam onto the interview panel
Secure a seat for Sam at the leadership course
Raise with Ana that Sam's title does not match the work
Sponsor Sam in the spring talent review
Block two hours a week for Sam's certificate
Make Sam the owner of the incident review
Get Sam's promotion packet read by two directors
Unblock the country rollout before the retry""".splitlines()

#: Commitments with vague words, or with a thing in place of a verb: questioned for managers and reports.
VAGUE_TEXTS = """\
Look into a mentor
Talk soon
I will try to find a project
Try public speaking
Think about the staff track
Explore leadership
Consider a course
At some point introduce Sam to Ana
Eventually lead a project
Work on communication
Sam will work on presence
Be more visible
More visibility
Better communication with the team
Improved confidence
Mentoring
Feedback
The architecture forum
A stretch assignment
Participation in the guild
Python course
Check in regularly
See if there is budget for a course
Maybe write a blog post
Write a talk when possible
Look\u2019s fine, but let's touch base
Get better at estimating
Send the notes as soon as possible
Hope for an opening
Keep learning
Be a better listener
I'd like to get into design
Keep an eye on openings""".splitlines()

#: Outcomes that others decide: questioned for managers.
OUTCOME_TEXTS = """\
Promote Sam to senior engineer
Promote Sam.
Make Sam a senior
Fight for a raise
Push through the promotion
I will promote Sam
Get Sam promoted
Sam will be promoted in spring
I will get you the promotion
A promotion to staff
Give Sam a pay rise
Raise Sam's salary by ten per cent
Secure a bonus for the launch
Make sure the salary goes up
Give Sam the title of principal
Offer Sam the role of team lead
Create a position for Sam
Get headcount for a second designer
I guarantee a place on the new team
Sort out the pay raise
Deliver Sam's promotion""".splitlines()


GOOD_GERMAN_TEXTS = """\
Ich stelle Sam bei Priya vor
Sam bei Priya vorstellen und beim ersten Treffen dabei sein
Den Beförderungsantrag schreiben und Sam zeigen
Mich im März-Komitee für Sams Beförderung einsetzen
Ich spreche mit Jordan darüber, was der Schritt zur Staff-Stelle braucht
Mit meiner Chefin über Sams Gehalt sprechen und berichten, was ich höre
Das Gehaltsband für Senior heraussuchen und erklären
Ich setze mich dafür ein, dass Sam die Rolle bekommt, und berichte
Zwei Architektur-Reviews begleiten und aufschreiben, was entschieden wurde
Zwei Versuche mit dem neuen Werkzeug auswerten
Versuche auswerten
Die Ergebnisse der Umfrage im Team vorstellen
Leite das Review für den Abrechnungsdienst
Mentoring finden
Stelle Sam der Bereichsleitung vor
Ich stelle Sam vor und gebe die Notizen weiter
Jeden zweiten Dienstag mit Mei zwei Vorfälle durchgehen
Sam leitet das Abrechnungs-Review
Sam wird die Demo im Quartal halten
Wir treffen die Design-Leitung gemeinsam
Sobald das Video online ist, schicke ich die Notizen
Die langfristige Planung im Leitungskreis vorstellen
Anna nach Budget für die Konferenz fragen
Kurs abschließen
Ich lade dich zur Runde der Staff-Engineers ein
Alle zwei Wochen eine Stunde für das Zertifikat blocken
Die Titelfrage mit der Personalabteilung klären
Introduce Sam to the head of platform
Write Sam's promotion case and show it to Sam""".splitlines()

VAGUE_GERMAN_TEXTS = """\
Ich schaue mal, ob es Budget gibt: mal schauen
Ich kümmere mich bald darum
Bei Gelegenheit Priya ansprechen
Ich versuche, einen Mentor zu finden
Sam wird versuchen, öfter zu präsentieren
Zeitnah ein Treffen ansetzen
An der Kommunikation arbeiten
Ich arbeite an meiner Sichtbarkeit
Mehr Sichtbarkeit
Bessere Kommunikation mit dem Team
Irgendwann ein Projekt leiten
Wenn möglich einen Vortrag halten
Mir Gedanken machen, wie es weitergeht
Das Thema im Auge behalten
Ich möchte ins Design
Regelmäßig Rückmeldung geben
Vielleicht einen Blogartikel schreiben
Mentoring
Eine Mentorin
Die Architekturrunde
Teilnahme an der Gilde
Vorstellung bei Priya
Look into a mentor
Talk soon""".splitlines()

OUTCOME_GERMAN_TEXTS = """\
Ich befördere Sam zum Senior Engineer
Sam wird im Frühjahr befördert
Ich sorge dafür, dass Sam befördert wird
Die Gehaltserhöhung durchsetzen
Ich verspreche dir die Beförderung
Ich garantiere einen Platz im neuen Team
Mehr Gehalt ab April
Einen Bonus für den Launch organisieren
Ich mache Sam zur Teamleiterin
Sam zum Staff Engineer ernennen
Sam bekommt die Stelle im Plattform-Team
Ich sichere dir die Rolle
Eine Planstelle für Sam schaffen
Promote Sam to senior engineer""".splitlines()


#: The line of a commitment in its file.
LINE = 7


def list_questions(text: str, owner: Owner, due: date | None = DUE, locale: str = "en") -> tuple[LintQuestion, ...]:
    """Return the questions about a contract with this one commitment."""
    commitments = (WrittenCommitment(text=text, due=due, line=LINE),)
    contract = Contract(manager=commitments) if owner is Owner.MANAGER else Contract(report=commitments)
    return lint_contract(contract, TODAY, locale)


@pytest.mark.parametrize("text", GOOD_TEXTS)
@pytest.mark.parametrize("owner", Owner)
def test_r16_good_commitment_has_no_question(text: str, owner: Owner) -> None:
    assert list_questions(text, owner) == ()


@pytest.mark.parametrize("text", VAGUE_TEXTS)
@pytest.mark.parametrize("owner", Owner)
def test_r16_vague_words_and_missing_verbs_are_questioned(text: str, owner: Owner) -> None:
    (question,) = list_questions(text, owner)
    assert (question.line, question.owner) == (LINE, owner)
    assert question.sentence.startswith(("`", "It names a thing"))  # the backquote begins the vague word
    assert question.advice


@pytest.mark.parametrize("text", OUTCOME_TEXTS)
def test_r16_an_outcome_that_others_decide_is_questioned(text: str) -> None:
    (question,) = [q for q in list_questions(text, Owner.MANAGER) if "others decide" in q.sentence]
    assert "I can advocate" in question.advice
    assert "the outcome is not mine" in question.advice


@pytest.mark.parametrize("text", GOOD_GERMAN_TEXTS)
@pytest.mark.parametrize("owner", Owner)
def test_r16_good_german_commitment_has_no_question(text: str, owner: Owner) -> None:
    assert list_questions(text, owner, locale="de-CH") == ()


@pytest.mark.parametrize("text", VAGUE_GERMAN_TEXTS)
@pytest.mark.parametrize("owner", Owner)
def test_r16_vague_words_and_missing_verbs_are_questioned_in_german(text: str, owner: Owner) -> None:
    (question,) = list_questions(text, owner, locale="de")
    assert question.code in ("vague", "thing")
    assert question.word in text.lower()


@pytest.mark.parametrize("text", OUTCOME_GERMAN_TEXTS)
def test_r16_an_outcome_that_others_decide_is_questioned_in_german(text: str) -> None:
    assert "outcome" in [question.code for question in list_questions(text, Owner.MANAGER, locale="de")]


def test_r16_german_rules_apply_only_in_german_locales() -> None:
    assert list_questions("Die Runde bald leiten", Owner.MANAGER, locale="fr") == ()
    assert list_questions("Die Runde bald leiten", Owner.MANAGER, locale="de_AT") != ()


def test_question_is_translated_into_the_language_of_its_reader() -> None:
    german = Languages([find_template_folder() / "locale"]).find_language("de")
    (question,) = list_questions("Bald reden", Owner.MANAGER, locale="de")
    sentence, advice = domain_texts.translate_question(question, german)
    assert "„bald“" in sentence
    assert sentence != question.sentence and advice != question.advice


def test_r16_outcome_of_a_report_is_not_questioned() -> None:
    assert list_questions("Get the promotion", Owner.REPORT) == ()


@pytest.mark.parametrize(
    ("due", "sentence"),
    [
        (None, "It has no date."),
        (TODAY - timedelta(days=1), "Its date has passed."),
        (date(2028, 1, 16), "It is due more than a year from now."),
    ],
)
def test_r16_missing_past_or_distant_due_date_is_questioned(due: date | None, sentence: str) -> None:
    assert [question.sentence for question in list_questions("Introduce Sam to Ana", Owner.REPORT, due)] == [sentence]


@pytest.mark.parametrize("due", [TODAY, date(2028, 1, 15)])
def test_r16_due_date_from_today_to_a_year_from_today_has_no_question(due: date) -> None:
    assert list_questions("Introduce Sam to Ana", Owner.REPORT, due) == ()


def test_questions_are_in_the_order_of_lines() -> None:
    contract = Contract(
        report=(WrittenCommitment(text="Try Rust", due=None, line=9),),
        manager=(WrittenCommitment(text="Promise a promotion soon", due=DUE, line=4),),
    )
    questions = lint_contract(contract, TODAY)
    assert [question.line for question in questions] == [4, 4, 9, 9]
    assert [question.owner for question in questions] == [Owner.MANAGER] * 2 + [Owner.REPORT] * 2


@settings(max_examples=100)
@given(st.text(max_size=80), st.none() | st.dates(), st.dates())
def test_r23_questions_repeat_only_words_of_the_rules(text: str, due: date | None, today: date) -> None:
    """A word that is in no rule, `zebra`, never appears in a question."""
    words = {*english.VAGUE, *english.VAGUE_AT_START}
    sentences = {sentence % {"word": word} for sentence, _ in QUESTION_TEXTS.values() for word in words}
    commitment = WrittenCommitment(text=f"zebra {text} soon {text} zebra", due=due, line=1)
    for question in lint_contract(Contract(manager=(commitment,)), today):
        assert "zebra" not in question.sentence + question.advice
        assert question.sentence in sentences


@pytest.mark.parametrize(("days", "expected"), [(0, True), (7, True), (8, False), (-1, True)])
def test_r21_a_commitment_due_within_seven_days_is_urgent(days: int, expected: bool) -> None:
    assert is_urgent(TODAY + timedelta(days=days), TODAY) is expected


@pytest.mark.parametrize(
    ("text", "locale"),
    [
        ("Give Sam feedback on written proposals, twice", "en"),
        ("I will share my feedback on the talk with Sam", "en"),
        ("Read the draft and give feedback on the argument", "en"),
        ("Write Mara feedback", "en"),
        ("Ich gebe Sam Rückmeldung zu ihrer Rolle im Projekt", "de"),
        ("Sam nach jedem Vortrag Feedback geben", "de"),
    ],
)
@pytest.mark.parametrize("owner", Owner)
def test_r31_a_promise_of_feedback_gets_a_hint(text: str, locale: str, owner: Owner) -> None:
    """The hint names what was done, what it led to and what to try next.

    It does not keep the contract from being recorded.
    """
    (question,) = list_questions(text, owner, locale=locale)
    assert question.code == "feedback" and question.word == ""
    for passage in ("what was done", "what it led to", "what to try next"):
        assert passage in question.advice


@pytest.mark.parametrize(
    ("text", "locale"),
    [
        ("Get feedback on the talk from two people", "en"),
        ("Ask Ana to give Sam feedback on the talk", "en"),
        ("Give the feedback form to HR", "en"),
        ("Collect feedback from the guild", "en"),
        ("Ana bitten, Sam Feedback zu geben", "de"),
        ("Ich hole Rückmeldung von zwei Teams ein", "de"),
        ("Die Feedbackrunde vorbereiten", "de"),
    ],
)
def test_r31_a_request_for_feedback_gets_no_hint(text: str, locale: str) -> None:
    assert "feedback" not in [question.code for question in list_questions(text, Owner.MANAGER, locale=locale)]
