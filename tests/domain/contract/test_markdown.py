"""How a contract file is parsed and written, in English and in German (R-14, R-23, R-26)."""

from collections.abc import Callable
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

#: The line numbers in tests are those of this file, from 1 on. Tests replace parts of it.
FULL_FILE = """\
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

CHARACTERS = st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp"))
#: Texts in the form in which they are read from a file: in one line, with single spaces, and without a comma, a
#: semicolon or a byte order mark at their ends.
PLAIN_TEXTS = (
    st.text(CHARACTERS, min_size=1, max_size=40)
    .map(lambda text: " ".join(text.split()).removeprefix("\ufeff").rstrip(" ,;"))
    .filter(bool)
)
#: Texts that look like the markup of a contract file.
MARKUP_TEXTS = st.sampled_from(
    ("none", "- none", "None.", "# x", "## Their commitments", "<!-- x", "-->", "---", "\\none", "\\", "support: y")
) | st.sampled_from(("- a by 2027-01-01", "a by 2027-01-01", "2027-01: x", "* b", "#", "by", "success:"))
MARKUP_TEXTS |= st.sampled_from(("a <!-- b --> c", "\\<!-- x", "x\\\\<!-- y", "<!", "a -->", "<!--", "<!---->"))
TEXTS = PLAIN_TEXTS | MARKUP_TEXTS
DAYS = st.dates()
COMMITMENTS = st.builds(
    WrittenCommitment, text=TEXTS, due=DAYS, support=st.just("") | TEXTS, success=st.just("") | TEXTS
)
REVIEWS = st.builds(ReviewPoint, month=DAYS.map(lambda day: day.replace(day=1)), text=TEXTS)
CONTRACTS = st.builds(
    Contract,
    report=st.lists(COMMITMENTS, max_size=4).map(tuple),
    manager=st.lists(COMMITMENTS, max_size=4).map(tuple),
    reviews=st.lists(REVIEWS, max_size=4).map(tuple),
    question=st.lists(TEXTS, max_size=3).map("\n".join),
    progress=st.lists(TEXTS, max_size=3).map(tuple),
)


def get_problems(text: str) -> list[str]:
    """Return the problems that parsing a text raises, in order."""
    with pytest.raises(Problems) as error_info:
        parse_contract(text, "c.md")
    return [str(problem) for problem in error_info.value.problems]


def get_only_problem(text: str) -> str:
    """Return the problem of a text that has exactly one."""
    problems = get_problems(text)
    assert len(problems) == 1, problems
    return problems[0]


def clear_line_numbers(contract: Contract) -> Contract:
    """Return the contract with all line numbers 0, as a contract has them that was not read from a file."""
    return replace(
        contract,
        report=tuple(replace(commitment, line=0) for commitment in contract.report),
        manager=tuple(replace(commitment, line=0) for commitment in contract.manager),
        reviews=tuple(replace(point, line=0) for point in contract.reviews),
    )


def test_r14_the_four_parts_of_a_contract_are_read() -> None:
    assert parse_contract(FULL_FILE, "c.md") == Contract(
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
        lambda text: "\ufeff" + text,  # a byte order mark
        lambda text: text.replace("'", "\u2019"),  # a typographic apostrophe
        lambda text: text.replace("Manager's", "MANAGERS"),
        lambda text: text.replace("\n", "   \t\n"),
        lambda text: text.replace("## ", "### ").replace("question\n", "question: ##\n"),
        lambda text: text.replace("## ", "##"),
        lambda text: text.replace("## Their commitments", "##\u00a0**Their\u00a0commitments:**"),  # no-break spaces
        lambda text: text.replace("- ", "•\u00a0"),
        lambda text: text.replace("by 2027-02-15", "(by 2027\u201102\u201115)."),  # no-break hyphens
        lambda text: text.replace("  - ", "\t"),
        lambda text: text.replace("  - s", "s"),
        lambda text: text.replace("\n- R", "\n - R"),
    ],
)
def test_r14_changes_that_editors_make_to_a_file_do_not_change_the_contract(change: Callable[[str], str]) -> None:
    assert parse_contract(change(FULL_FILE), "c.md") == parse_contract(FULL_FILE, "c.md")


def test_comments_and_rulers_are_not_part_of_the_contract() -> None:
    file_with_comments = FULL_FILE.replace(
        "## The open", "---\n<!-- a comment\n- over lines by\n-->\n## The open"
    ).replace("And", "<!-- x --> And")
    assert clear_line_numbers(parse_contract(file_with_comments, "c.md")) == clear_line_numbers(
        parse_contract(FULL_FILE, "c.md")
    )


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
def test_r23_comments_at_any_place_are_left_out(old: str, new: str) -> None:
    """ZEBRA stands for words that must not get into the contract."""
    assert old in FULL_FILE
    contract = parse_contract(FULL_FILE.replace(old, new, 1), "c.md")
    assert clear_line_numbers(contract) == clear_line_numbers(parse_contract(FULL_FILE, "c.md"))
    assert "ZEBRA" not in render_contract(contract)


def test_problem_after_a_comment_of_several_lines_names_the_right_line() -> None:
    text = FULL_FILE.replace("And when?", "And <!-- a\nb\nc --> when?").replace("- The outage was led calmly", "-")
    # the empty item was in line 21; the comment adds two lines
    assert get_only_problem(text).startswith("c.md:23: ")


def test_backslash_makes_a_comment_mark_part_of_the_text() -> None:
    contract = parse_contract(FULL_FILE.replace("And when?", r"Why \<!-- x"), "c.md")
    assert contract.question.endswith("Why <!-- x")
    assert r"Why \<!-- x" in render_contract(contract)


def test_r14_empty_part_needs_the_word_none() -> None:
    empty_file = "\n".join(f"## {part}\n- none" for part in ContractPart)
    assert parse_contract(empty_file, "c.md") == Contract()
    file_without_first_none = empty_file.replace("- none", "", 1)
    assert get_only_problem(file_without_first_none).startswith(
        "c.md:1: Nothing stands under `## Their commitments`. Write `- what by"
    )


@settings(max_examples=150)
@given(CONTRACTS)
def test_r14_a_rendered_contract_is_parsed_without_a_change(contract: Contract) -> None:
    assert clear_line_numbers(parse_contract(render_contract(contract, "Dana and Sam"), "c.md")) == contract


@settings(max_examples=200)
@given(st.text(max_size=200) | st.lists(TEXTS | st.sampled_from(FULL_FILE.splitlines()), max_size=30).map("\n".join))
def test_any_text_gives_a_contract_or_problems_with_line_numbers(text: str) -> None:
    """No other error is raised. A contract that was parsed is the same after it was written and parsed again."""
    try:
        contract = parse_contract(text, "c.md")
    except Problems as error:
        lines = [int(problem.where.removeprefix("c.md:")) for problem in error.problems]
        assert lines == sorted(lines)
        assert 1 <= lines[0] <= lines[-1] <= max(1, len(text.splitlines()) + text.count("\r") + 1)
    else:
        assert clear_line_numbers(parse_contract(render_contract(contract), "c.md")) == clear_line_numbers(contract)


@pytest.mark.parametrize(
    ("old", "new", "line_number", "passage"),
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
def test_each_problem_names_its_line_and_the_remedy(old: str, new: str, line_number: int, passage: str) -> None:
    assert old in FULL_FILE
    matching_problems = [line for line in get_problems(FULL_FILE.replace(old, new, 1)) if passage in line]
    assert matching_problems
    assert matching_problems[0].startswith(f"c.md:{line_number}: ")


@pytest.mark.parametrize(
    "ending",
    ["by 13.03.2027", "by 2027/3/13", "by 13/03/2027", "by 03/13/2027", "by 13 March 2027", "by March 13th, 2027.",
     "by 13. März 2027", "due 2027-03-13", "(by: 13 Mar 2027)", "2027-03-13"],
)  # fmt: skip
def test_problem_of_a_date_in_another_format_shows_the_right_format(ending: str) -> None:
    assert get_only_problem(FULL_FILE.replace("by 2027-01-29", ending)) == (
        "c.md:11: The day of this commitment is written in another way. End the line with `by 2027-03-13`."
    )


@pytest.mark.parametrize("ending", ["by 03/04/2027", "by 3-4-2027", "by 4.03/2027"])
def test_ambiguous_date_is_a_problem(ending: str) -> None:
    assert get_only_problem(FULL_FILE.replace("by 2027-01-29", ending)) == (
        "c.md:11: The day of this commitment can be read in two ways. End the line with the day, as in `by 2027-02-15`."
    )


@pytest.mark.parametrize(
    "ending", ["by 31/31/2027", "by 13 May", "by 1 Marble 2027", "by ² ³ 2027", "by 27-03-01", "2027"]
)
def test_text_that_is_no_date_counts_as_a_missing_date(ending: str) -> None:
    assert "This commitment has no date." in get_only_problem(FULL_FILE.replace("by 2027-01-29", ending))


def test_misspelt_heading_is_one_problem_and_not_also_a_missing_heading() -> None:
    assert "Did you mean" in get_only_problem(FULL_FILE.replace("we will review", "to review"))


@pytest.mark.parametrize(
    ("heading", "part"),
    [
        ("My commitments", "manager"),
        ("The manager's commitments", "manager"),
        ("Report's commitments", "report"),
        ("Her commitments", "report"),
        ("HIS COMMITMENTS", "report"),
    ],
)
def test_usual_headings_of_commitments_are_understood(heading: str, part: str) -> None:
    """They stand for the heading that they replace, and no commitment changes its owner."""
    usual = {"manager": "## Manager's commitments", "report": "## Their commitments"}[part]
    assert usual in FULL_FILE
    contract = parse_contract(FULL_FILE.replace(usual, f"## {heading}"), "c.md")
    assert contract == parse_contract(FULL_FILE, "c.md")


@pytest.mark.parametrize("name", ["Sam's", "Dana's", "Your", "Our", "The employee's", "Direct report's", "Leader's"])
def test_an_unknown_heading_of_commitments_is_never_taken_for_one_of_the_two(name: str) -> None:
    """To suggest the heading of the manager for that of the report would give both the promises of the other."""
    for usual in ("## Manager's commitments", "## Their commitments"):
        assert get_only_problem(FULL_FILE.replace(usual, f"## {name} commitments")).endswith(
            "Did you mean `## Their commitments`? Did you mean `## Manager's commitments`?"
        )


def test_a_german_heading_between_two_owners_is_taken_for_neither() -> None:
    problem = get_only_problem(GERMAN_FILE.replace("## Meine Zusagen", "## Deine Zusagen"))
    assert problem.endswith("Did you mean `## Zusagen deines Gegenübers`? Did you mean `## Zusagen der Führungskraft`?")


def test_a_slip_in_a_heading_of_commitments_is_suggested_for_its_part_alone() -> None:
    for usual, misspelt in (("Manager's", "Mangers"), ("Their", "Thier")):
        problem = get_only_problem(FULL_FILE.replace(f"## {usual} commitments", f"## {misspelt} commitments"))
        assert problem.endswith(f"This heading is not known. Did you mean `## {usual} commitments`?")


def test_problem_of_a_repeated_heading_names_the_line_of_the_first() -> None:
    file_with_repeated_heading = FULL_FILE + "## The open question\nor this?\n"
    assert (
        get_only_problem(file_with_repeated_heading)
        == "c.md:22: The heading `## The open question` stands here again. Keep it once; it is in line 16 already."
    )


def test_all_problems_are_raised_together_in_the_order_of_lines() -> None:
    text = FULL_FILE.replace(" by 2027-02-15", "").replace("2027-03-01", "2027-02-30").replace("2027-02:", "soon")
    assert [line.split(" ")[0] for line in get_problems(text)] == ["c.md:4:", "c.md:7:", "c.md:14:"]


@pytest.mark.parametrize(
    "text", ["word\n" * 10_000, "\x00" * 1000, "\x00\n" * 150, "x" * 1_000_000, "y" * 3000 + "\n" + "z" * 3000]
)
def test_file_that_is_no_contract_has_one_problem(text: str) -> None:
    get_only_problem(text)


def test_r23_problems_do_not_repeat_the_text_of_the_file() -> None:
    secret = "ZEBRA"
    text = FULL_FILE
    for word in ("Dana", "Run", "one", "Introduce", "2027-02:", "And", "calmly", "question"):
        text = text.replace(word, secret)
    problems = get_problems(f"{secret}\n{text}\n## {secret}\n{secret}\n")
    assert len(problems) > 3
    assert not any(secret in line for line in problems)


def test_unfilled_template_has_a_problem_for_each_empty_part() -> None:
    """The names contain comment marks, which must not open or close a comment."""
    text = render_blank("Dana <!-- Oyelaran", "Sam --> Weiß", date(2027, 1, 15))
    assert "by 2027-02-12" in text  # the example of a date is four weeks ahead
    problems = get_problems(text)
    assert [text.splitlines()[int(line.split(":")[1]) - 1] for line in problems] == [
        "-",
        "-",
        "-",
        "## The open question",
    ]
    assert all("Nothing" in line for line in problems)


def test_filled_template_is_a_contract() -> None:
    text = render_blank("Dana", "Sam", date(2027, 1, 15))
    for line in ("- Write it by 2027-02-15", "- Ask Ana by 2027-02-15", "- 2027-02: both"):
        text = text.replace("\n-\n", f"\n{line}\n", 1)
    contract = parse_contract(text.replace("no answer yet. -->", "no answer yet. -->\nWhere to?"), "c.md")
    assert (contract.question, contract.report[0].text, contract.progress) == ("Where to?", "Write it", ())


# --- in German ---

GERMAN_FILE = """\
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


def test_german_file_is_parsed() -> None:
    contract = parse_contract(GERMAN_FILE, "c.md")
    first, second = contract.report
    assert (first.text, first.due) == ("Das Abrechnungs-Review leiten", date(2027, 2, 15))
    assert (first.support, first.success) == ("das Plattform-Team", "eine Sitzung reicht")
    assert (second.text, second.due) == (
        "Die Erkenntnisse aus der Rufbereitschaft für die Gilde aufschreiben",
        date(2027, 3, 1),
    )
    assert [(commitment.text, commitment.due) for commitment in contract.manager] == [
        ("Ich stelle Sam der Plattformleitung vor", date(2027, 1, 29))
    ]
    assert contract.question == ""


@pytest.mark.parametrize(
    ("old", "new", "passage"),
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
def test_problem_in_a_german_file_quotes_german_words(old: str, new: str, passage: str) -> None:
    assert any(passage in line for line in get_problems(GERMAN_FILE.replace(old, new, 1)))


@settings(max_examples=100)
@given(CONTRACTS)
def test_german_contract_is_the_same_after_it_was_written_and_parsed(contract: Contract) -> None:
    text = render_contract(contract, "Dana und Sam", "de-AT")
    assert "## Zusagen der Führungskraft" in text
    assert clear_line_numbers(parse_contract(text, "c.md")) == clear_line_numbers(contract)


def test_german_template_shows_date_formats_and_has_problems_until_it_is_filled() -> None:
    blank_file = render_blank("Dana --> Berg", "Sam", date(2027, 1, 15), "de")
    assert "# Dana Berg und Sam, 2027-01-15" in blank_file.replace("  ", " ")
    assert "2027-02-12 oder 12.02.2027" in blank_file
    assert [line.partition(": ")[2] for line in get_problems(blank_file)] == [
        *["Nothing is written here. Fill the line, or delete it; an empty part says `- nichts`."] * 3,
        "Nothing stands under `## Die offene Frage`. Write die Frage, or `- nichts` if that is what you agreed.",
    ]


def test_r23_comments_in_a_german_file_are_left_out() -> None:
    file_with_comments = GERMAN_FILE.replace("leiten bis", "leiten <!-- ob er\n  das kann? --> bis").replace(
        "reicht", "reicht <!-- ZEBRA -->"
    )
    file_with_comments = file_with_comments.replace("bis 29.01.2027", "bis 29.01.2027 <!-- ZEBRA -->")
    assert clear_line_numbers(parse_contract(file_with_comments, "c.md")) == clear_line_numbers(
        parse_contract(GERMAN_FILE, "c.md")
    )


def test_each_heading_of_each_language_belongs_to_one_part() -> None:
    """Each template has the headings of its language and names the first two alternatives."""
    names = [
        name.casefold()
        for language in CONTRACT_LANGUAGES.values()
        for name in (*language.headings.values(), *language.other_headings)
    ]
    assert len(names) == len(set(names))
    for language in CONTRACT_LANGUAGES.values():
        assert [line[3:] for line in language.blank_file.splitlines() if line.startswith("## ")] == list(
            language.headings.values()
        )
        quotes = {"de": "„{}“", "en": "“{}”"}[language.code]
        assert all(quotes.format(name) in language.blank_file for name in list(language.other_headings)[:2])
