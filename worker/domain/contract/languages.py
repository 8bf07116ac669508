"""The headings and keywords of a contract file, and the blank file to fill in, in each language.

The parser recognizes the words of all languages, so a file does not state its language. The writer uses the words of
one language. To add a language, add a `ContractLanguage` to `CONTRACT_LANGUAGES`, and word lists to
`worker.domain.contract.lint_rules`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class ContractPart(StrEnum):
    """The parts of a contract file, in the order of the file. The values are the English headings."""

    REPORT = "Their commitments"
    MANAGER = "Manager's commitments"
    REVIEWS = "What we will review"
    QUESTION = "The open question"
    PROGRESS = "Progress worth naming"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractLanguage:
    """The texts of a contract file in one language."""

    code: str  #: the ISO 639-1 code
    title: str  #: the title of a contract, for `str.format`
    revision: str  #: what is appended to the title of a revision, for `str.format`
    # headings
    report: str
    manager: str
    reviews: str
    question: str
    progress: str
    other_headings: Mapping[str, ContractPart] = field(default_factory=dict)  #: further accepted headings
    # keywords
    by: str  #: precedes the due date of a commitment
    none: str  #: says that the two agreed on nothing in a part
    support: str
    success: str
    months: str  #: the names of the months, January first, in lower case, separated by blanks
    placeholder: str  #: the word that represents a text in an example
    question_example: str
    blank_file: str  #: the file to fill in, for `str.format`

    @property
    def headings(self) -> Mapping[ContractPart, str]:
        """The heading of each part in this language."""
        return dict(
            zip(ContractPart, (self.report, self.manager, self.reviews, self.question, self.progress), strict=True)
        )

    def format_example(self, part: ContractPart) -> str:
        """Return an example of a line of that part, for the remedy of a problem."""
        return {
            ContractPart.REVIEWS: f"`- 2027-02: {self.placeholder}`",
            ContractPart.QUESTION: self.question_example,
            ContractPart.PROGRESS: f"`- {self.placeholder}`",
        }.get(part, f"`- {self.placeholder} {self.by} 2027-02-15`")


ENGLISH = ContractLanguage(
    code="en",
    title="{manager} and {report}, {day}",
    revision=", revision {number}",
    report=ContractPart.REPORT,
    manager=ContractPart.MANAGER,
    reviews=ContractPart.REVIEWS,
    question=ContractPart.QUESTION,
    progress=ContractPart.PROGRESS,
    other_headings={
        "Her commitments": ContractPart.REPORT,
        "His commitments": ContractPart.REPORT,
        "Report's commitments": ContractPart.REPORT,
        "The report's commitments": ContractPart.REPORT,
        "My commitments": ContractPart.MANAGER,
        "The manager's commitments": ContractPart.MANAGER,
    },
    by="by",
    none="none",
    support="support",
    success="success",
    months="january february march april may june july august september october november december",
    placeholder="what",
    question_example="the question",
    blank_file="""\
# {manager} and {report}, {day}

<!-- Lines between these arrows are notes to you and are not read. Keep it short and plain: both of you get it by mail.
     A commitment is a verb and a day. Where it helps, add under it who supports it and what success looks like:
     - Run the design review for the billing service by {soon}
       support: the platform team
       success: the team decides in one meeting
     Where you agreed on nothing, write `- none`. -->

## Their commitments

<!-- What {report} will do. “Her commitments” and “His commitments” are understood as well. -->
-

## Manager's commitments

<!-- What you will do, as far as it is yours to do: you can speak for a promotion, the outcome is not yours to promise.
     An introduction, a piece of work to lead, feedback on a named skill, a word with your own manager, a mentor.
     “My commitments” is understood as well. -->
-

## What we will review

<!-- What you will look at again, and in which month: - {month}: how the first design review went -->
-

## The open question

<!-- The one you are both still sitting with. It needs no answer yet. -->

## Progress worth naming

<!-- Optional. What moved since last time, however small. -->
""",
)

GERMAN = ContractLanguage(
    code="de",
    title="{manager} und {report}, {day}",
    revision=", Fassung {number}",
    report="Zusagen deines Gegenübers",
    manager="Zusagen der Führungskraft",
    reviews="Worauf wir zurückkommen",
    question="Die offene Frage",
    progress="Was sich bewegt hat",
    other_headings={
        "Ihre Zusagen": ContractPart.REPORT,
        "Seine Zusagen": ContractPart.REPORT,
        "Zusagen der Mitarbeiterin": ContractPart.REPORT,
        "Zusagen des Mitarbeiters": ContractPart.REPORT,
        "Meine Zusagen": ContractPart.MANAGER,
        "Was wir uns wieder ansehen": ContractPart.REVIEWS,
        "Offene Frage": ContractPart.QUESTION,
        "Fortschritte": ContractPart.PROGRESS,
    },
    by="bis",
    none="nichts",
    support="Unterstützung",
    success="Erfolg",
    months="januar februar märz april mai juni juli august september oktober november dezember",
    placeholder="was",
    question_example="die Frage",
    blank_file="""\
# {manager} und {report}, {day}

<!-- Was zwischen diesen Pfeilen steht, sind Hinweise für dich und wird nicht gelesen. Halte es kurz und schlicht: Ihr
     bekommt es beide per Mail. Eine Zusage ist ein Verb und ein Tag. Wo es hilft, schreib darunter, wer unterstützt
     und woran ihr merkt, dass es gelungen ist:
     - Das Design-Review für den Abrechnungsdienst leiten bis {soon}
       Unterstützung: das Plattform-Team
       Erfolg: Das Team entscheidet in einer Sitzung
     Das Datum steht am Ende, als {soon} oder {soon_dotted}. Wo ihr nichts vereinbart habt, schreib `- nichts`. -->

## Zusagen deines Gegenübers

<!-- Was {report} tun wird. Auch „Ihre Zusagen“ und „Seine Zusagen“ werden verstanden. -->
-

## Zusagen der Führungskraft

<!-- Was du tun wirst, soweit es bei dir liegt: Für eine Beförderung kannst du dich einsetzen, das Ergebnis kannst du
     nicht versprechen. Jemanden vorstellen, eine Aufgabe zum Leiten, Rückmeldung zu etwas Bestimmtem, ein Wort mit
     deiner eigenen Führungskraft, jemand fürs Mentoring. Auch „Meine Zusagen“ wird verstanden. -->
-

## Worauf wir zurückkommen

<!-- Was ihr euch wieder anseht, und in welchem Monat: - {month}: wie das erste Design-Review gelaufen ist -->
-

## Die offene Frage

<!-- Die, die euch beide noch beschäftigt. Sie braucht noch keine Antwort. -->

## Was sich bewegt hat

<!-- Muss nicht sein. Was seit dem letzten Mal vorangekommen ist, und sei es noch so klein. -->
""",
)

CONTRACT_LANGUAGES: Mapping[str, ContractLanguage] = {language.code: language for language in (ENGLISH, GERMAN)}


def find_contract_language(locale: str) -> ContractLanguage:
    """Return the contract language of a locale such as `de-AT`; English for a locale of any other language."""
    return CONTRACT_LANGUAGES.get(locale.replace("_", "-").partition("-")[0].lower(), ENGLISH)
