"""The texts of the prompt, the brief and the review note (R-6, R-11, R-12, R-20, R-25, R-27)."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.read_mails import SAMPLES, TO_MANAGER, TO_REPORT, HtmlText, Mail, commitment_with_standing, render
from worker.domain.model import (
    CommitmentStanding,
    Interval,
    Topic,
    Trigger,
)
from worker.i18n.domain_texts import TRIGGER_TEXTS
from worker.mail.samples import (
    COMMITMENTS,
    DEFERRALS,
    NOW,
    OPENINGS,
    PAIR,
    SESSION,
)

# --- the prompt ---


@pytest.mark.parametrize("topic", list(Topic))
def test_the_prompt_has_no_form_no_list_and_no_link(topic: Topic) -> None:
    """R-11: no heading, nothing to fill in, no answer expected, nothing stored, and short."""
    mail = render(replace(TO_REPORT, session=replace(SESSION, topic=topic)))
    assert not {"h1", "h2", "h3", "ul", "li", "b", "strong", "table", "a"} & set(HtmlText(mail.html).tags)
    assert mail.omits("Longarc")
    assert mail.says("nothing to write down, nothing to prepare and no need to reply")
    assert mail.says("not stored anywhere")
    assert mail.text.endswith("\n\nDana\n")
    assert len(mail.text.split()) < 230


def test_each_topic_has_a_prompt_of_its_own() -> None:
    """R-4, R-11: the text differs, and the prompt of a combined session has a question on each topic."""
    prompts = {topic: render(replace(TO_REPORT, session=replace(SESSION, topic=topic))) for topic in Topic}
    assert len({mail.text for mail in prompts.values()}) == len(Topic)
    for words in ("gives you energy", "go to waste", "three to five years", "not yet said aloud"):
        assert prompts[Topic.ALL].says(words)


def test_the_prompt_asks_for_reflection_and_may_contain_a_learning() -> None:
    """R-25: the manager's own learning is in the prompt as an example if the manager wrote one."""
    plain = render(TO_REPORT)
    assert plain.says("what have you learned these past months, what surprised you, and what would you do differently?")
    assert plain.omits("My own answer")
    with_learning = render(replace(TO_REPORT, learning="I still talk\ntoo early."))
    assert with_learning.says("My own answer, to go first: I still talk too early.")


def test_r27_the_prompt_depends_on_the_reports_trigger_and_never_names_it() -> None:
    """R-6, R-27: somebody else may see the screen of the report. A trigger of the manager changes nothing."""
    neutral, texts = render(TO_REPORT), set()
    for trigger in Trigger:
        mail = render(replace(TO_REPORT, trigger=trigger.value, asked_by_report=True))
        assert mail.says("You asked for this talk")
        assert mail.omits(TRIGGER_TEXTS[trigger])
        assert not {"h1", "h2", "h3", "ul", "li"} & set(HtmlText(mail.html).tags)
        texts.add(mail.text)
        asked_by_manager = render(replace(TO_REPORT, trigger=trigger.value))
        assert asked_by_manager.text == neutral.text
    assert len(texts) == len(Trigger)
    assert neutral.omits("You asked for this talk")


def test_r33_the_review_note_asks_whether_the_direction_still_feels_right() -> None:
    mail = render(replace(TO_MANAGER, name="review_note", commitments=COMMITMENTS))
    assert mail.says("whether the direction still feels right")
    assert mail.says("nobody has failed: goals change.")
    assert mail.says("change together or let go")


def test_r34_the_introduction_names_the_current_rhythm_of_the_pair() -> None:
    """R-34, R-5: in a transition the shorter one; only a rhythm of 13 weeks is called a quarter."""
    introduction = replace(TO_MANAGER, name="introduction", pair=replace(PAIR, every=Interval(months=6)))
    assert render(introduction).says("every 6 months: 75 minutes")
    shorter = render(replace(introduction, every=Interval(weeks=6)))
    assert shorter.says("every 6 weeks: 75 minutes") and shorter.omits("quarter")


def test_the_prompt_asks_what_changed_only_after_a_contract() -> None:
    """R-13: without an earlier contract, the prompt does not mention a last time."""
    assert render(TO_REPORT).says("what has changed since last time?")
    assert render(replace(TO_REPORT, contract=None)).omits("since last time")


# --- the brief ---


def render_brief(**fields: object) -> Mail:
    """Return the brief to the manager, a day before the session."""
    context = replace(TO_MANAGER, commitments=COMMITMENTS, now=NOW + timedelta(days=1))  # November 4
    return render(replace(context, **fields))  # type: ignore[arg-type]


def test_the_brief_begins_with_the_managers_own_commitments() -> None:
    """R-12, R-20: each says whether it is done, and how late it is."""
    mail = render_brief()
    order = ["First, your own promises", "What the two of you agreed", "When you meet", "Think through", "Questions to"]
    for form in (mail.text, mail.html_text):
        places = [form.index(words) for words in order]
        assert places == sorted(places)
    assert mail.says("not done, due Friday, October 23, 12 days late")
    assert mail.says("done on Thursday, September 24")
    assert mail.says("done on Monday, October 26")
    assert mail.text.count("late") == 1, "a commitment that is done is called late"


def test_a_commitment_changed_or_let_go_is_not_called_late() -> None:
    """R-18: goals change, without blame."""
    mail = render_brief(
        commitments=(
            commitment_with_standing(CommitmentStanding.CHANGED),
            commitment_with_standing(CommitmentStanding.LET_GO),
        )
    )
    assert mail.says("changed on Tuesday, November 3")
    assert mail.says("let go on Tuesday, November 3")
    assert mail.omits("late")


def test_the_brief_lists_six_points_and_what_not_to_prepare() -> None:
    """R-12, R-13: it also asks what has changed since last time."""
    mail = render_brief()
    for words in (
        "What does this person care about",
        "What can the organisation really offer?",
        "Which paths are realistic",
        "What are the limits",
        "What are you willing to commit to",
        "What have you been avoiding?",
        "No slides,",
        "no list of what is missing",
        "no statement of what the organisation needs",
        "Ask what has changed since last time.",
    ):
        assert mail.says(words), words


@pytest.mark.parametrize("topic", list(Topic))
def test_only_a_pair_with_trust_gets_the_hardest_questions(topic: Topic) -> None:
    """R-12: the brief has them if the people file sets `trust` for the pair."""
    session = replace(SESSION, topic=topic)
    without_trust = render_brief(session=session)
    with_trust = render_brief(session=session, pair=replace(PAIR, trust=True))
    assert without_trust.omits("hardest")
    assert with_trust.says("The hardest ones")
    assert with_trust.text.count("?") > without_trust.text.count("?")


@pytest.mark.parametrize(
    ("topic", "present", "absent"),
    [
        (Topic.NOW, ["Where are you now?"], ["Where do you want to go?", "How do we close the gap?"]),
        (Topic.DIRECTION, ["Where do you want to go?"], ["Where are you now?", "How do we close the gap?"]),
        (Topic.GAP, ["How do we close the gap?"], ["Where are you now?", "Where do you want to go?"]),
        (Topic.ALL, ["Where are you now?", "Where do you want to go?", "How do we close the gap?"], []),
    ],
)
def test_the_brief_has_the_questions_of_its_topic(topic: Topic, present: list[str], absent: list[str]) -> None:
    """R-4, R-12: the brief of a combined session has the questions of all three topics."""
    mail = render_brief(session=replace(SESSION, topic=topic))
    assert all(mail.says(words) for words in present)
    assert all(mail.omits(words) for words in absent)


def test_the_brief_names_deferrals_and_unfinished_sessions() -> None:
    """R-10, R-17: it has the number of moves and the day of the unfinished session."""
    mail = render_brief(count=2, deferrals=DEFERRALS[:2], unfinished=(datetime(2026, 7, 31, 15, tzinfo=UTC),))
    assert mail.says("This conversation was moved 2 times before it came to this time.")
    assert mail.says("The conversation on Friday, July 31 ended without a contract.")
    assert render_brief(deferrals=DEFERRALS[:1]).says("This conversation was moved once before it came to this time.")


def test_r34_the_brief_counts_the_deferrals_of_its_session_alone() -> None:
    """R-34: `count` includes moves of earlier sessions of the cycle, which would confuse the manager."""
    mail = render_brief(count=3, deferrals=DEFERRALS[:1])
    assert mail.says("moved once") and mail.omits("moved 3 times")
    assert render_brief(count=2).omits("moved")


def test_r34_the_brief_first_asks_for_the_reports_goal_from_memory() -> None:
    mail = render_brief()
    for form in (mail.text, mail.html_text):
        flat = " ".join(form.split())
        assert flat.index("Before you read on: where does Sam want to go in three years?") < flat.index(
            "First, your own"
        )


def test_r34_the_brief_suggests_one_way_to_begin_the_session() -> None:
    """R-13, R-34: what has changed, then the manager's own commitments, if there are any."""
    mail = render_brief()
    by_link = render_brief(by_link=True, contract=None, commitments=(), links={"contract": "https://x.example/c"})
    without_promises = render_brief(contract=None, commitments=())
    both_sentences = "Ask what has changed since last time. Then say what you did of yours, and what you did not."
    assert mail.says(both_sentences) and mail.omits("Begin there")
    assert by_link.says(both_sentences)
    assert without_promises.says("Ask what has changed since last time.")
    assert without_promises.omits("what you did of yours")


def test_r27_the_brief_asks_what_the_manager_must_not_promise() -> None:
    """R-27: except for the topic `now`, it also advises to say plainly that a wish cannot be met here."""
    for topic in Topic:
        mail = render_brief(session=replace(SESSION, topic=topic))
        assert mail.says("What must you not promise: a promotion, money, a role that is not yours to give?")
        assert mail.says("is not to be had here, say so plainly") is (topic is not Topic.NOW)


def test_r27_only_a_brief_about_direction_warns_against_pressing_for_certainty() -> None:
    """R-27: this includes the combined session."""
    for topic in Topic:
        mail = render_brief(session=replace(SESSION, topic=topic))
        about_direction = topic in (Topic.ALL, Topic.DIRECTION)
        assert mail.says("“I don’t know” is an answer: ask what draws them, and what puts them off.") is about_direction
        # the last begins with "End" or, with the minutes to keep for it, with "end"
        for words in ("Their view first", "Depth before direction", "Do not push", "nd with both lists"):
            assert mail.says(words), words


def test_r27_the_brief_has_two_lines_of_advice_for_each_trigger() -> None:
    """R-27: they differ by trigger and replace some of the usual questions."""
    usual_question_count, sections = render_brief().text.count("?"), set()
    for trigger in Trigger:
        mail = render_brief(trigger=f"{trigger}: It came up.")
        section = " ".join(mail.text.split("It came up.")[1].split("Longarc shows")[0].split())
        assert section.count("- ") == 2, section
        assert section not in sections
        sections.add(section)
        assert mail.text.count("?") < usual_question_count, "the two lines replaced no questions"
    assert render_brief(trigger="leaving").says("Make no counter-offer in this talk, not even a hint.")
    assert render_brief(trigger="leaving").says("Do not ask who it is, what they pay or how far it has gone.")


def test_r29_the_brief_lists_openings_and_calls_them_no_offer() -> None:
    mail = render_brief(openings=OPENINGS)
    assert mail.says("Lead of the billing migration")
    assert mail.says("Project in Engineering, until Wednesday, March 31, 2027. Six months for half the week.")
    assert mail.says("Role path, until Thursday, December 31")
    assert mail.says("https://wiki.example.com/billing")
    assert mail.says("it is no offer of yours")
    assert render_brief().omits("What there is here")


def test_r27_the_brief_has_at_most_450_words() -> None:
    """R-27: at about 240 words a minute it is read in two minutes. Contract and commitments are not counted."""
    for topic in Topic:
        words = re.findall(
            r"\w[\w’]*", render_brief(session=replace(SESSION, topic=topic), contract=None, commitments=()).text
        )
        assert len(words) <= 450, (topic, len(words))


def test_only_the_brief_contains_the_reason_for_an_ad_hoc_session() -> None:
    """R-6: only the manager may read it."""
    reason = "leaving: An offer from the harbour company."
    assert render_brief(trigger=reason).says("Because of another employer, or a thought of leaving.")
    assert render_brief(trigger=reason).says("An offer from the harbour company.")
    assert render_brief(trigger="Something else altogether.").says("Something else altogether.")
    for context in {context.name: context for context in SAMPLES if context.name != "brief"}.values():
        assert render(replace(context, trigger=reason)).omits("harbour")
