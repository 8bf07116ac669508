"""Describes in sentences what differs between two revisions of a contract."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date

from worker.domain.contract.revisions import PartDiff, compare_contracts
from worker.domain.model import Contract, Person, WrittenCommitment
from worker.i18n.language import Language, to_single_line
from worker.mail.names import guess_first_name


@dataclass(frozen=True, slots=True)
class ContractChanges:
    """Describes the changes of a contract in one reader's language. `format_day` formats dates for the reader."""

    language: Language
    format_day: Callable[[date], str]

    def describe(self, before: Contract, after: Contract, report: Person | None, manager: Person | None) -> list[str]:
        """Return a sentence for each difference between two revisions, except in the progress.

        A change of a date states both dates. `report` and `manager` are the people of the contract. A MailContext can
        lack them, but not that of a mail or page with a contract.
        """
        gettext, diff = self.language.gettext, compare_contracts(before, after)
        sentences = [*self._describe_part(report, diff.report), *self._describe_part(manager, diff.manager)]
        if diff.reviews:
            sentences.append(gettext("What we will review has changed."))
        if diff.question:
            sentences.append(gettext("The open question is another one."))
        return sentences

    def _describe_part(self, person: Person | None, diff: PartDiff[WrittenCommitment]) -> Iterator[str]:
        """Yield a sentence for each difference between one person's commitments."""
        gettext, name = self.language.gettext, guess_first_name(person) if person else ""
        for added in diff.added:
            yield gettext("New for %(name)s: %(text)s", name=name, text=to_single_line(added.text))
        for old, new in diff.changed:
            yield self._describe_change(name, old, new)
        for removed in diff.removed:
            yield gettext("No longer for %(name)s: %(text)s", name=name, text=to_single_line(removed.text))

    def _describe_change(self, name: str, old: WrittenCommitment, new: WrittenCommitment) -> str:
        gettext, text = self.language.gettext, to_single_line(new.text)
        if old.due == new.due:
            return gettext("Put differently for %(name)s: %(text)s", name=name, text=text)
        old_day, new_day = (self.format_day(due) if due else gettext("no date yet") for due in (old.due, new.due))
        return gettext("Moved from %(was)s to %(now)s: %(text)s", was=old_day, now=new_day, text=text)
