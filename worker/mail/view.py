"""A letter in its reader's language and zone.

Templates ask a `Reading` for dates, names, lists and how things stand, and do no arithmetic of their own. What a
person wrote leaves here as one line of text, so that it can't pass for a part of the mail.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from worker.domain.contract.languages import find_contract_language
from worker.domain.contract.revisions import PartDiff, compare_contracts
from worker.domain.model import (
    AccessRecord,
    Address,
    Commitment,
    CommitmentStanding,
    Contract,
    Deferral,
    Owner,
    Pair,
    Person,
    ReviewPoint,
    SessionKind,
    Span,
    Trigger,
    WrittenCommitment,
)
from worker.domain.reason_texts import N_
from worker.i18n.language import Language, count_days_between, to_single_line
from worker.i18n.reasons import ACCESS_TEXTS, CAUSE_TEXTS, SESSION_NAMES, TRIGGER_TEXTS, translate_reasons
from worker.mail.context import MailContext

#: Languages that put the family name first: there the whole name is the polite one.
_FAMILY_FIRST = frozenset({"hu", "ja", "ko", "vi", "zh"})

#: A commitment due within these days is flagged (R-21).
_URGENT_DAYS = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One commitment or review as a mail shows it."""

    text: str
    note: str = ""
    soon: bool = False  #: due within the week (R-21), or overdue
    support: str = ""
    success: str = ""


def first_name(person: Person) -> str:
    """What to call somebody in a greeting, as far as a name can tell."""
    name = to_single_line(person.name)
    if "," in name:  # "Okafor, Sam", as some HR systems write it
        name = name.partition(",")[2].strip() or name
    if person.locale.partition("-")[0].partition("_")[0] in _FAMILY_FIRST:
        return name
    return next((word for word in name.split() if not word.endswith(".")), name)


class MailView:
    """A letter in its reader's words: the names that templates may use, beside the letter's own fields."""

    def __init__(self, letter: MailContext, words: Language) -> None:
        self.letter = letter
        self.words = words
        self.gettext = words.gettext
        self.ngettext = words.ngettext
        self._zone = ZoneInfo(letter.to.zone)
        self.today = self._to_local_date(letter.now)

    def names(self) -> dict[str, Any]:
        """Everything a template can speak of."""
        letter, words = self.letter, self.words
        return (
            {name: getattr(letter, name) for name in _CONTEXT_FIELDS}
            | {name: getattr(self, name) for name in self.__class__.__dict__ if name in _TEMPLATE_METHODS}
            | {
                "lang": words.tag,
                "direction": words.direction,
                "form": find_contract_language(words.locale.language),
                "reads_manager": letter.manager is not None and letter.to.email == letter.manager.email,
                "today": self.today,
                "talk": self._describe_session_kind(),
                "trigger": self._describe_trigger(),
                "moves_at": self._find_warning_time() + timedelta(days=1),
                "learning": to_single_line(letter.learning),
                "reason": _clean_paragraphs(letter.reason)
                or to_single_line(translate_reasons(letter.why, words, letter.to.zone, self.today)),
            }
        )

    # --- time ---

    def _to_local_date(self, when: datetime) -> date:
        """The date at that instant where the reader is."""
        return when.astimezone(self._zone).date()

    def day(self, when: date) -> str:
        """A date, or the date of an instant, with its weekday; with the year when it isn't this one."""
        found = self._to_local_date(when) if isinstance(when, datetime) else when
        return self.words.day(found, found.year != self.today.year)

    def hour(self, when: datetime) -> str:
        """The time of day of an instant."""
        return self.words.hour(when, self.letter.to.zone)

    def hours(self, span: Span) -> str:
        """From when to when; with the zone's city when the two of the pair keep different clocks."""
        shown = self.words.hours(span.start, span.end, self.letter.to.zone)
        if not self._has_two_clocks(span.start):
            return shown
        city = self.words.city(self.letter.to.zone)
        return self.gettext("%(hours)s (%(city)s time)", hours=shown, city=city)

    def month(self, first: date) -> str:
        return self.words.month(first)

    def _has_two_clocks(self, when: datetime) -> bool:
        people = (self.letter.manager, self.letter.report)
        return len({when.astimezone(ZoneInfo(one.zone)).utcoffset() for one in people if one is not None}) > 1

    # --- people ---

    def first(self, person: Person) -> str:
        return first_name(person)

    def full(self, person: Person) -> str:
        return to_single_line(person.name)

    def _find_first_name(self, address: Address) -> str:
        """The first name of one of the two; empty for anybody else."""
        for person in (self.letter.manager, self.letter.report):
            if person is not None and address and person.email == address:
                return first_name(person)
        return ""

    # --- what commands did ---

    def access_lines(self) -> list[Line]:
        """What commands showed or changed, each with its time and the reason given."""
        return [self._make_access_line(one) for one in self.letter.accesses]

    def _make_access_line(self, one: AccessRecord) -> Line:
        for_reader, for_other = ACCESS_TEXTS[one.access]
        if one.on_behalf_of == self.letter.to.email:
            what = self.gettext(for_reader)
        else:
            what = self.gettext(for_other, who=self._find_first_name(one.on_behalf_of) or one.on_behalf_of)
        when = f"{self.day(one.at)}, {self.hour(one.at)}"
        return Line(
            text=f"{when}: {what}", note=self.gettext(N_("Reason given: %(reason)s"), reason=to_single_line(one.reason))
        )

    # --- what was agreed ---

    def promised(self, promises: Sequence[WrittenCommitment]) -> list[Line]:
        """Promises as written: by when, and whether that is within the week."""
        return [
            self._make_line(one, self._describe_due(one.due), soon=self._is_within_week(one.due)) for one in promises
        ]

    def kept(self, owner: str) -> list[Line]:
        """One side's commitments with how each stands and how late it is or was; the open ones first."""
        mine = [one for one in self.letter.commitments if one.commitment.owner == Owner(owner)]
        mine.sort(key=lambda one: (not one.commitment.is_open, one.commitment.due))
        return [self._make_line(one.promise, *self._describe_standing(one.commitment)) for one in mine]

    def reviews(self, points: Sequence[ReviewPoint]) -> list[Line]:
        return [Line(text=to_single_line(one.text), note=self.month(one.month)) for one in points]

    def reviews_now(self, points: Sequence[ReviewPoint]) -> list[Line]:
        """What was to be looked at again this month."""
        month = self.today.replace(day=1)
        return self.reviews([one for one in points if one.month.replace(day=1) == month])

    def progress(self, contract: Contract) -> list[Line]:
        return [Line(text=to_single_line(text)) for text in contract.progress]

    def question(self, contract: Contract) -> str:
        return to_single_line(contract.question)

    def _make_line(self, promise: WrittenCommitment, note: str, soon: bool = False) -> Line:
        return Line(
            text=to_single_line(promise.text),
            note=note,
            soon=soon,
            support=to_single_line(promise.support),
            success=to_single_line(promise.success),
        )

    def _describe_due(self, due: date | None) -> str:
        if due is None:
            return self.gettext("no date yet")
        if self._is_within_week(due):
            return self.gettext("by %(day)s: within the week", day=self.day(due))
        return self.gettext("by %(day)s", day=self.day(due))

    def _is_within_week(self, due: date | None) -> bool:
        return due is not None and 0 <= count_days_between(self.today, due) <= _URGENT_DAYS

    def _describe_standing(self, commitment: Commitment) -> tuple[str, bool]:
        if commitment.is_open:
            return self._describe_open(commitment.due)
        closed = self._to_local_date(commitment.closed_at or self.letter.now)
        shown = {"day": self.day(closed)}
        if commitment.standing is CommitmentStanding.CHANGED:
            return self.gettext("changed on %(day)s", **shown), False
        if commitment.standing is CommitmentStanding.LET_GO:
            return self.gettext("let go on %(day)s", **shown), False
        late = count_days_between(commitment.due, closed)
        if late <= 0:
            return self.gettext("done on %(day)s, in time", **shown), False
        done = self.ngettext(
            "done on %(day)s, %(count)s day late", "done on %(day)s, %(count)s days late", late, **shown
        )
        return done, False

    def _describe_open(self, due: date) -> tuple[str, bool]:
        shown = {"day": self.day(due)}
        late = count_days_between(due, self.today)
        if self._is_within_week(due):
            return self.gettext("not done yet, due %(day)s: within the week", **shown), True
        if late <= 0:
            return self.gettext("not done yet, due %(day)s", **shown), False
        return self.ngettext(
            "not done, due %(day)s, %(count)s day late", "not done, due %(day)s, %(count)s days late", late, **shown
        ), True

    # --- what changed ---

    def changes(self, before: Contract, after: Contract) -> list[str]:
        """The difference between two revisions, a sentence each; dates that moved say from where to where."""
        found = compare_contracts(before, after)
        sentences = [
            *self._describe_changes(self.letter.report, found.report),
            *self._describe_changes(self.letter.manager, found.manager),
        ]
        if found.reviews:
            sentences.append(self.gettext("What we will review has changed."))
        if found.question:
            sentences.append(self.gettext("The open question is another one."))
        return sentences

    def _describe_changes(self, person: Person | None, found: PartDiff[WrittenCommitment]) -> list[str]:
        gettext, name = self.gettext, first_name(person) if person else ""
        return [
            *(gettext("New for %(name)s: %(text)s", name=name, text=to_single_line(one.text)) for one in found.added),
            *(self._describe_change(name, old, new) for old, new in found.changed),
            *(
                gettext("No longer for %(name)s: %(text)s", name=name, text=to_single_line(one.text))
                for one in found.removed
            ),
        ]

    def _describe_change(self, name: str, old: WrittenCommitment, new: WrittenCommitment) -> str:
        if old.due != new.due:
            was, now = (self.day(one.due) if one.due else self.gettext("no date yet") for one in (old, new))
            return self.gettext(
                "Moved from %(was)s to %(now)s: %(text)s", was=was, now=now, text=to_single_line(new.text)
            )
        return self.gettext("Put differently for %(name)s: %(text)s", name=name, text=to_single_line(new.text))

    # --- the session ---

    def cause(self, deferral: Deferral) -> str:
        """Why a session lost its time, naming who acted when it was one of the two."""
        to_actor, to_other, unnamed = CAUSE_TEXTS[deferral.cause]
        if deferral.who == self.letter.to.email:
            return self.gettext(to_actor)
        who = self._find_first_name(deferral.who)
        return self.gettext(to_other, who=who) if who else self.gettext(unnamed)

    def rhythm(self, pair: Pair) -> str:
        """How often the two talk."""
        every = pair.every
        if every.weeks == 13 or every.months == 3:
            return self.gettext("once a quarter")
        if every.weeks:
            return self.ngettext("every week", "every %(count)s weeks", every.weeks)
        return self.ngettext("every month", "every %(count)s months", every.months)

    def _describe_session_kind(self) -> str:
        """What kind of conversation it is."""
        return self.gettext(SESSION_NAMES[self.letter.session.kind if self.letter.session else SessionKind.CAREER])

    def _describe_trigger(self) -> Line | None:
        """Why the manager asked for the conversation, and their own words about it."""
        if not self.letter.trigger or self.letter.by_link:
            return None
        kind, _, words = self.letter.trigger.partition(":")
        if kind not in set(Trigger):
            return Line(text="", note=to_single_line(self.letter.trigger))
        return Line(text=self.gettext(TRIGGER_TEXTS[Trigger(kind)]), note=to_single_line(words))

    def _find_warning_time(self) -> datetime:
        session = self.letter.session
        return session.warned_at if session and session.warned_at else self.letter.now

    def length(self, minutes: int) -> str:
        return self.ngettext("%(count)s minute", "%(count)s minutes", minutes)

    def ahead(self, days: int) -> date:
        """The date so many days from today, for an example."""
        return self.today + timedelta(days=days)


def _clean_paragraphs(text: str) -> str:
    """The text with each of its paragraphs on one line."""
    return "\n\n".join(to_single_line(part) for part in text.split("\n\n"))


_CONTEXT_FIELDS = tuple(one.name for one in fields(MailContext))
#: What of a `Reading` a template may call.
_TEMPLATE_METHODS = tuple(name for name in vars(MailView) if not name.startswith("_") and name != "names")
