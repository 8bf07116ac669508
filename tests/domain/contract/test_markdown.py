"""R-14, R-23, R-26: the contract file is read kindly and whole, and written so that it reads back the same."""

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.domain.contract.languages import CONTRACT_LANGUAGES, ContractPart
from worker.domain.contract.markdown import parse_contract
from worker.domain.contract.markdown_writer import render_blank, render_contract
from worker.domain.model import Contract, ReviewPoint, WrittenCommitment
from worker.errors import Problems

FULL = """\
# Dana and Sam

## Their commitments
- Run the billing design review by 2027-02-15
  - support: the platform team
  - success: one meeting is enough
- Write up the on-call findings
  for the guild by 2027-03-01

## Manager's commitments
* Introduce Sam to the head of platform by 2027-01-29

## What we will review
- 2027-02: how the review went

## The open question
Is the staff path the right one?
And when?

## Progress worth naming
- The outage was led calmly
"""

SIGNS = st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp"))
WORDS = (
    st.text(SIGNS, min_size=1, max_size=40)
    .map(lambda text: " ".join(text.split()).removeprefix("\ufeff").rstrip(" ,;"))
    .filter(bool)
)
#: Words that look like the grammar itself.
TRICKY = st.sampled_from(
    ("none", "- none", "None.", "# x", "## Their commitments", "<!-- x", "-->", "---", "\\none", "\\", "support: y")
) | st.sampled_from(("- a by 2027-01-01", "a by 2027-01-01", "2027-01: x", "* b", "#", "by", "success:"))
TRICKY |= st.sampled_from(("a <!-- b --> c", "\\<!-- x", "x\\\\<!-- y", "<!", "a -->", "<!--", "<!---->"))
TEXT = WORDS | TRICKY
DAYS = st.dates()
PROMISES = st.builds(WrittenCommitment, text=TEXT, due=DAYS, support=st.just("") | TEXT, success=st.just("") | TEXT)
REVIEWS = st.builds(ReviewPoint, month=DAYS.map(lambda day: day.replace(day=1)), text=TEXT)
CONTRACTS = st.builds(
    Contract,
    report=st.lists(PROMISES, max_size=4).map(tuple),
    manager=st.lists(PROMISES, max_size=4).map(tuple),
    reviews=st.lists(REVIEWS, max_size=4).map(tuple),
    question=st.lists(TEXT, max_size=3).map("\n".join),
    progress=st.lists(TEXT, max_size=3).map(tuple),
)


def problems(text: str) -> list[str]:
    with pytest.raises(Problems) as raised:
        parse_contract(text, "c.md")
    return [str(problem) for problem in raised.value.problems]


def only(text: str) -> str:
    found = problems(text)
    assert len(found) == 1, found
    return found[0]


def without_lines(contract: Contract) -> Contract:
    return replace(
        contract,
        report=tuple(replace(promise, line=0) for promise in contract.report),
        manager=tuple(replace(promise, line=0) for promise in contract.manager),
        reviews=tuple(replace(point, line=0) for point in contract.reviews),
    )


def test_r14_the_four_parts_are_read() -> None:
    assert parse_contract(FULL, "c.md") == Contract(
        report=(
            WrittenCommitment(
                text="Run the billing design review",
                due=date(2027, 2, 15),
                support="the platform team",
                success="one meeting is enough",
                line=4,
            ),
            WrittenCommitment(text="Write up the on-call findings for the guild", due=date(2027, 3, 1), line=7),
        ),
        manager=(WrittenCommitment(text="Introduce Sam to the head of platform", due=date(2027, 1, 29), line=11),),
        reviews=(ReviewPoint(month=date(2027, 2, 1), text="how the review went", line=14),),
        question="Is the staff path the right one?\nAnd when?",
        progress=("The outage was led calmly",),
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\r"),
        lambda text: "\ufeff" + text,
        lambda text: text.replace("'", "\u2019"),
        lambda text: text.replace("Manager's", "MANAGERS"),
        lambda text: text.replace("\n", "   \t\n"),
        lambda text: text.replace("## ", "### ").replace("question\n", "question: ##\n"),
        lambda text: text.replace("## ", "##"),
        lambda text: text.replace("## Their commitments", "##\u00a0**Their\u00a0commitments:**"),
        lambda text: text.replace("- ", "•\u00a0"),
        lambda text: text.replace("by 2027-02-15", "(by 2027\u201102\u201115)."),
        lambda text: text.replace("  - ", "\t"),
        lambda text: text.replace("  - s", "s"),
        lambda text: text.replace("\n- R", "\n- R".replace("- ", " - ")),
    ],
)
def test_r14_what_editors_do_to_a_text_is_tolerated(change: object) -> None:
    assert callable(change)
    assert parse_contract(change(FULL), "c.md") == parse_contract(FULL, "c.md")


def test_notes_and_rulers_are_not_read() -> None:
    noted = FULL.replace("## The open", "---\n<!-- a note\n- over lines by\n-->\n## The open").replace(
        "And", "<!-- x --> And"
    )
    assert without_lines(parse_contract(noted, "c.md")) == without_lines(parse_contract(FULL, "c.md"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("And when?", "And when? <!-- to myself: ZEBRA -->"),
        ("And when?", "And <!-- ZEBRA --> when?<!-- ZEBRA again -->"),
        ("And when?", "And when? <!-- ZEBRA\nand ## ZEBRA\n- ZEBRA --> <!-- and\nZEBRA -->"),
        ("design review by", "design <!-- ZEBRA --> review by"),
        ("2027-02-15\n", "2027-02-15 <!-- ZEBRA -->\n"),
        ("2027-02-15\n", "<!-- ZEBRA\nby 2027-01-01\n--> 2027-02-15\n"),
        ("the platform team", "<!-- ZEBRA, or --> the platform team"),
        ("## The open question", "<!-- ## ZEBRA\n## ZEBRA --> ## The open question <!-- ZEBRA -->"),
        ("how the review", "how <!-- `<!-- ZEBRA` --> the review"),
        ("led calmly", "led <!-- ZEBRA\n\n--> calmly"),
    ],
)
def test_r23_a_note_is_not_read_wherever_it_stands(old: str, new: str) -> None:
    assert old in FULL
    noted = parse_contract(FULL.replace(old, new, 1), "c.md")
    assert without_lines(noted) == without_lines(parse_contract(FULL, "c.md"))
    assert "ZEBRA" not in render_contract(noted)


def test_what_follows_notes_of_several_lines_keeps_its_line_number() -> None:
    text = FULL.replace("And when?", "And <!-- a\nb\nc --> when?").replace("- The outage was led calmly", "-")
    assert only(text).startswith("c.md:23: ")


def test_a_note_can_be_shown_as_words() -> None:
    contract = parse_contract(FULL.replace("And when?", r"Why \<!-- x"), "c.md")
    assert contract.question.endswith("Why <!-- x")
    assert r"Why \<!-- x" in render_contract(contract)


def test_r14_a_part_is_empty_only_when_it_says_so() -> None:
    empty = "\n".join(f"## {part}\n- none" for part in ContractPart)
    assert parse_contract(empty, "c.md") == Contract()
    silent = empty.replace("- none", "", 1)
    assert only(silent).startswith("c.md:1: Nothing stands under `## Their commitments`. Write `- what by")


@settings(max_examples=150)
@given(CONTRACTS)
def test_r14_what_is_written_reads_back_the_same(contract: Contract) -> None:
    assert without_lines(parse_contract(render_contract(contract, "Dana and Sam"), "c.md")) == contract


@settings(max_examples=200)
@given(st.text(max_size=200) | st.lists(TEXT | st.sampled_from(FULL.splitlines()), max_size=30).map("\n".join))
def test_whatever_is_given_only_problems_are_raised(text: str) -> None:
    try:
        contract = parse_contract(text, "c.md")
    except Problems as raised:
        places = [int(problem.where.removeprefix("c.md:")) for problem in raised.problems]
        assert places == sorted(places)
        assert 1 <= places[0] <= places[-1] <= max(1, len(text.splitlines()) + text.count("\r") + 1)
    else:
        assert without_lines(parse_contract(render_contract(contract), "c.md")) == without_lines(contract)


@pytest.mark.parametrize(
    ("old", "new", "where", "says"),
    [
        ("## The open question\n", "", 20, "is missing"),
        ("## The open question", "## Their commitments", 17, "is not a list item"),
        ("## The open question", "## The open qestion", 16, "Did you mean `## The open question`?"),
        (" by 2027-01-29", "", 11, "This commitment has no date."),
        ("2027-01-29", "2027-02-30", 11, "There is no such day."),
        ("* Introduce Sam to the head of platform by", "* by", 11, "says when, but not what"),
        ("* Introduce", "Introduce", 11, "not a list item. Begin it with `- `"),
        ("* Introduce", "- none\n* Introduce", 11, "`none` stands beside other lines"),
        ("# Dana and Sam", "Dana and Sam\nspoke", 1, "before the first heading"),
        ("2027-02: how", "2027-13: how", 14, "There is no such month."),
        ("2027-02: how the review went", "2027-02:", 14, "says when, but not what"),
        ("2027-02: how", "in February: how", 14, "does not begin with a month"),
        ("- The outage was led calmly", "-", 21, "Nothing is written here."),
        ("  - success: one", "  - support: one", 6, "`support:` stands here again"),
        ("  - success: one", "  - one", 6, "a list inside a list"),
        ("And when?", "<!-- And when?", 18, "never closed"),
        ("And when?", "And when? <!-- not yet", 18, "never closed"),
        ("team\n", "team <!-- not yet\n", 5, "never closed"),
        ("And when?", "And\x07 when?", 18, "a control character"),
        ("And when?", "And\u2028 when?", 18, "a control character"),
        ("And when?", "x" * 2001, 18, "longer than 2,000 characters"),
    ],
)
def test_each_problem_says_where_and_what_to_write(old: str, new: str, where: int, says: str) -> None:
    assert old in FULL
    found = [line for line in problems(FULL.replace(old, new, 1)) if says in line]
    assert found
    assert found[0].startswith(f"c.md:{where}: ")


@pytest.mark.parametrize(
    "written",
    ["by 13.03.2027", "by 2027/3/13", "by 13/03/2027", "by 03/13/2027", "by 13 March 2027", "by March 13th, 2027.",
     "by 13. März 2027", "due 2027-03-13", "(by: 13 Mar 2027)", "2027-03-13"],
)  # fmt: skip
def test_a_day_written_in_another_way_is_told_as_it_should_be(written: str) -> None:
    assert only(FULL.replace("by 2027-01-29", written)) == (
        "c.md:11: The day of this commitment is written in another way. End the line with `by 2027-03-13`."
    )


@pytest.mark.parametrize("written", ["by 03/04/2027", "by 3-4-2027", "by 4.03/2027"])
def test_a_day_that_can_be_read_in_two_ways_is_not_guessed(written: str) -> None:
    assert only(FULL.replace("by 2027-01-29", written)) == (
        "c.md:11: The day of this commitment can be read in two ways. End the line with the day, as in `by 2027-02-15`."
    )


@pytest.mark.parametrize(
    "written", ["by 31/31/2027", "by 13 May", "by 1 Marble 2027", "by ² ³ 2027", "by 27-03-01", "2027"]
)
def test_what_is_no_day_is_not_taken_for_one(written: str) -> None:
    assert "This commitment has no date." in only(FULL.replace("by 2027-01-29", written))


def test_a_heading_meant_is_not_reported_missing_as_well() -> None:
    assert "Did you mean" in only(FULL.replace("we will review", "to review"))


def test_a_repeated_heading_names_the_first() -> None:
    twice = FULL + "## The open question\nor this?\n"
    assert (
        only(twice)
        == "c.md:22: The heading `## The open question` stands here again. Keep it once; it is in line 16 already."
    )


def test_all_problems_come_at_once_in_order() -> None:
    text = FULL.replace(" by 2027-02-15", "").replace("2027-03-01", "2027-02-30").replace("2027-02:", "soon")
    assert [line.split(" ")[0] for line in problems(text)] == ["c.md:4:", "c.md:7:", "c.md:14:"]


@pytest.mark.parametrize(
    "text", ["word\n" * 10_000, "\x00" * 1000, "\x00\n" * 150, "x" * 1_000_000, "y" * 3000 + "\n" + "z" * 3000]
)
def test_what_is_no_contract_is_one_problem(text: str) -> None:
    only(text)


def test_r23_no_problem_repeats_what_was_written() -> None:
    secret = "ZEBRA"
    text = FULL
    for word in ("Dana", "Run", "one", "Introduce", "2027-02:", "And", "calmly", "question"):
        text = text.replace(word, secret)
    found = problems(f"{secret}\n{text}\n## {secret}\n{secret}\n")
    assert len(found) > 3
    assert not any(secret in line for line in found)


def test_an_unfilled_template_says_what_is_still_to_be_written() -> None:
    text = render_blank("Dana <!-- Oyelaran", "Sam --> Weiß", date(2027, 1, 15))
    assert "by 2027-02-12" in text
    found = problems(text)
    assert [text.splitlines()[int(line.split(":")[1]) - 1] for line in found] == ["-", "-", "-", "## The open question"]
    assert all("Nothing" in line for line in found)


def test_a_filled_template_is_read() -> None:
    text = render_blank("Dana", "Sam", date(2027, 1, 15))
    for line in ("- Write it by 2027-02-15", "- Ask Ana by 2027-02-15", "- 2027-02: both"):
        text = text.replace("\n-\n", f"\n{line}\n", 1)
    contract = parse_contract(text.replace("no answer yet. -->", "no answer yet. -->\nWhere to?"), "c.md")
    assert (contract.question, contract.report[0].text, contract.progress) == ("Where to?", "Write it", ())


# --- in German ---

GERMAN = """\
# Dana und Sam

## Zusagen deines Gegenübers
- Das Abrechnungs-Review leiten bis 2027-02-15
  - Unterstützung: das Plattform-Team
  - Erfolg: eine Sitzung reicht
- Die Erkenntnisse aus der Rufbereitschaft
  für die Gilde aufschreiben bis zum 1.3.2027

## Meine Zusagen
* Ich stelle Sam der Plattformleitung vor bis 29.01.2027

## Worauf wir zurückkommen
- 2027-02: wie das Review gelaufen ist

## Die offene Frage
nichts
"""


def test_a_german_file_says_the_same() -> None:
    found = parse_contract(GERMAN, "c.md")
    first, second = found.report
    assert (first.text, first.due) == ("Das Abrechnungs-Review leiten", date(2027, 2, 15))
    assert (first.support, first.success) == ("das Plattform-Team", "eine Sitzung reicht")
    assert (second.text, second.due) == (
        "Die Erkenntnisse aus der Rufbereitschaft für die Gilde aufschreiben",
        date(2027, 3, 1),
    )
    assert [(one.text, one.due) for one in found.manager] == [
        ("Ich stelle Sam der Plattformleitung vor", date(2027, 1, 29))
    ]
    assert found.question == ""


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("## Die offene Frage\nnichts\n", "", "The heading `## Die offene Frage` is missing. Add it; write `- nichts`"),
        ("## Die offene Frage", "## Die offenen Fragen", "Did you mean `## Die offene Frage`?"),
        ("## Meine Zusagen", "## Geschenke", "`## Zusagen deines Gegenübers`, `## Zusagen der Führungskraft`"),
        (" bis 29.01.2027", " bis 31.02.2027", "There is no such day."),
        (" bis 29.01.2027", " demnächst", "This commitment has no date. End the line with the day, as in `bis 2027-"),
        (" bis 29.01.2027", " am 29.01.2027", "written in another way. End the line with `bis 2027-01-29`."),
        (" bis 29.01.2027", " bis 3. März 2027", "written in another way. End the line with `bis 2027-03-03`."),
        ("* Ich stelle Sam der Plattformleitung vor bis", "* bis", "Write what will be done before `bis`."),
        ("  - Erfolg:", "  - Und:", "Only `Unterstützung:` and `Erfolg:` go under a commitment."),
        ("- 2027-02: wie", "- im Februar: wie", "Write `- 2027-02: was`."),
        ("  - Erfolg:", "  - Unterstützung:", "`unterstützung:` stands here again."),
        ("\nnichts\n", "\n", "Write die Frage, or `- nichts` if that is what you agreed."),
    ],
)
def test_a_problem_in_a_german_file_shows_german_words(old: str, new: str, says: str) -> None:
    assert any(says in line for line in problems(GERMAN.replace(old, new, 1)))


@settings(max_examples=100)
@given(CONTRACTS)
def test_what_is_written_in_german_reads_back_the_same(contract: Contract) -> None:
    text = render_contract(contract, "Dana und Sam", "de-AT")
    assert "## Zusagen der Führungskraft" in text
    assert without_lines(parse_contract(text, "c.md")) == without_lines(contract)


def test_a_german_form_names_what_it_takes_and_says_what_is_missing() -> None:
    empty = render_blank("Dana --> Berg", "Sam", date(2027, 1, 15), "de")
    assert "# Dana Berg und Sam, 2027-01-15" in empty.replace("  ", " ")
    assert "2027-02-12 oder 12.02.2027" in empty
    assert [line.partition(": ")[2] for line in problems(empty)] == [
        *["Nothing is written here. Fill the line, or delete it; an empty part says `- nichts`."] * 3,
        "Nothing stands under `## Die offene Frage`. Write die Frage, or `- nichts` if that is what you agreed.",
    ]


def test_r23_a_note_in_a_german_file_is_not_read_wherever_it_stands() -> None:
    noted = GERMAN.replace("leiten bis", "leiten <!-- ob er\n  das kann? --> bis").replace(
        "reicht", "reicht <!-- ZEBRA -->"
    )
    noted = noted.replace("bis 29.01.2027", "bis 29.01.2027 <!-- ZEBRA -->")
    assert without_lines(parse_contract(noted, "c.md")) == without_lines(parse_contract(GERMAN, "c.md"))


def test_every_heading_of_every_language_opens_one_part() -> None:
    names = [
        name.casefold()
        for form in CONTRACT_LANGUAGES.values()
        for name in (*form.headings.values(), *form.other_headings)
    ]
    assert len(names) == len(set(names))
    for form in CONTRACT_LANGUAGES.values():
        assert [line[3:] for line in form.blank_file.splitlines() if line.startswith("## ")] == list(
            form.headings.values()
        )
        assert all(f"„{name}“" in form.blank_file for name in list(form.other_headings)[:2])
