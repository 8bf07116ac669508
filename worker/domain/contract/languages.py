"""The words of a contract file in each language it may be written in: headings, small words, and an empty one to fill.

Reading knows all languages at once, so that nobody has to say which; writing takes one. Another language is another
`Form` in `FORMS`, and lists for it in `worker.domain.contract.lint_rules`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class ContractPart(StrEnum):
    """The parts, by their English headings, in the order in which they are written."""

    REPORT = "Their commitments"
    MANAGER = "Manager's commitments"
    REVIEWS = "What we will review"
    QUESTION = "The open question"
    PROGRESS = "Progress worth naming"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractLanguage:
    """A contract file in one language."""

    language: str
    title: str
    revision: str  #: follows the title
    # the headings
    report: str
    manager: str
    reviews: str
    question: str
    progress: str
    also: Mapping[str, ContractPart] = field(default_factory=dict)  #: headings that people write instead
    # the small words
    by: str
    none: str
    support: str
    success: str
    months: str
    what: str  #: stands for a text in an example
    question_example: str
    blank: str  #: the file to fill in

    @property
    def headings(self) -> Mapping[ContractPart, str]:
        return dict(
            zip(ContractPart, (self.report, self.manager, self.reviews, self.question, self.progress), strict=True)
        )

    def example(self, part: ContractPart) -> str:
        """What a filled line of that part looks like; problems show it."""
        return {
            ContractPart.REVIEWS: f"`- 2027-02: {self.what}`",
            ContractPart.QUESTION: self.question_example,
            ContractPart.PROGRESS: f"`- {self.what}`",
        }.get(part, f"`- {self.what} {self.by} 2027-02-15`")


ENGLISH = ContractLanguage(
    language="en",
    title="{manager} and {report}, {day}",
    revision=", revision {number}",
    report=ContractPart.REPORT,
    manager=ContractPart.MANAGER,
    reviews=ContractPart.REVIEWS,
    question=ContractPart.QUESTION,
    progress=ContractPart.PROGRESS,
    by="by",
    none="none",
    support="support",
    success="success",
    months="january february march april may june july august september october november december",
    what="what",
    question_example="the question",
    blank="""\
# {manager} and {report}, {day}

<!-- Lines between these arrows are notes to you and are not read. Keep it short and plain: both of you get it by mail.
     A commitment is a verb and a day. Where it helps, add under it who supports it and what success looks like:
     - Run the design review for the billing service by {soon}
       support: the platform team
       success: the team decides in one meeting
     Where you agreed on nothing, write `- none`. -->

## Their commitments

<!-- What {report} will do. -->
-

## Manager's commitments

<!-- What you will do, as far as it is yours to do: you can speak for a promotion, the outcome is not yours to promise.
     An introduction, a piece of work to lead, feedback on a named skill, a word with your own manager, a mentor. -->
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
    language="de",
    title="{manager} und {report}, {day}",
    revision=", Fassung {number}",
    report="Zusagen deines Gegenübers",
    manager="Zusagen der Führungskraft",
    reviews="Worauf wir zurückkommen",
    question="Die offene Frage",
    progress="Was sich bewegt hat",
    also={
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
    what="was",
    question_example="die Frage",
    blank="""\
# {manager} und {report}, {day}

<!-- Was zwischen diesen Pfeilen steht, sind Hinweise für dich und wird nicht gelesen. Halte es kurz und schlicht: Ihr
     bekommt es beide per Mail. Eine Zusage ist ein Verb und ein Tag. Wo es hilft, schreib darunter, wer unterstützt
     und woran ihr merkt, dass es gelungen ist:
     - Das Design-Review für den Abrechnungsdienst leiten bis {soon}
       Unterstützung: das Plattform-Team
       Erfolg: Das Team entscheidet in einer Sitzung
     Das Datum steht am Ende, als {soon} oder {soon_here}. Wo ihr nichts vereinbart habt, schreib `- nichts`. -->

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

CONTRACT_LANGUAGES: Mapping[str, ContractLanguage] = {form.language: form for form in (ENGLISH, GERMAN)}


def find_contract_language(locale: str) -> ContractLanguage:
    """The form in the language of a locale such as `de-AT`; the English one when there is none."""
    return CONTRACT_LANGUAGES.get(locale.replace("_", "-").partition("-")[0].lower(), ENGLISH)
