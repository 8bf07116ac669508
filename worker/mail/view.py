"""A letter in its reader's language and zone.

Templates ask a `Reading` for dates, names, lists and how things stand, and do no arithmetic of their own. What a
person wrote leaves here as one line of text, so that it can't pass for a part of the mail.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from worker.domain.contract.languages import form_for
from worker.domain.contract.revisions import PartDiff, compare
from worker.domain.model import (
    AccessRecord,
    Address,
    Commitment,
    Contract,
    Deferral,
    Kind,
    Owner,
    Pair,
    Person,
    Promise,
    ReviewPoint,
    Span,
    Standing,
    Trigger,
)
from worker.domain.reason_texts import N_
from worker.i18n.language import Words, days_between, line
from worker.i18n.reasons import ACCESSES, CAUSES, TALKS, TRIGGERS, translate_reasons
from worker.mail.context import Letter

#: Languages that put the family name first: there the whole name is the polite one.
_FAMILY_FIRST = frozenset({"hu", "ja", "ko", "vi", "zh"})

#: A commitment due within these days is flagged (R-21).
_URGENT = 7


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
    name = line(person.name)
    if "," in name:  # "Okafor, Sam", as some HR systems write it
        name = name.partition(",")[2].strip() or name
    if person.locale.partition("-")[0].partition("_")[0] in _FAMILY_FIRST:
        return name
    return next((word for word in name.split() if not word.endswith(".")), name)


class MailView:
    """A letter in its reader's words: the names that templates may use, beside the letter's own fields."""

    def __init__(self, letter: Letter, words: Words) -> None:
        self.letter = letter
        self.words = words
        self.gettext = words.gettext
        self.ngettext = words.ngettext
        self._zone = ZoneInfo(letter.to.zone)
        self.today = self.local(letter.now)

    def names(self) -> dict[str, Any]:
        """Everything a template can speak of."""
        letter, words = self.letter, self.words
        return (
            {name: getattr(letter, name) for name in _FIELDS}
            | {name: getattr(self, name) for name in self.__class__.__dict__ if name in _GIVEN}
            | {
                "lang": words.tag,
                "direction": words.direction,
                "form": form_for(words.locale.language),
                "reads_manager": letter.manager is not None and letter.to.email == letter.manager.email,
                "today": self.today,
                "talk": self._talk(),
                "trigger": self._trigger(),
                "moves_at": self._warned_at() + timedelta(days=1),
                "learning": line(letter.learning),
                "reason": _paragraphs(letter.reason)
                or line(translate_reasons(letter.why, words, letter.to.zone, self.today)),
            }
        )

    # --- time ---

    def local(self, when: datetime) -> date:
        """The date at that instant where the reader is."""
        return when.astimezone(self._zone).date()

    def day(self, when: date) -> str:
        """A date, or the date of an instant, with its weekday; with the year when it isn't this one."""
        found = self.local(when) if isinstance(when, datetime) else when
        return self.words.day(found, found.year != self.today.year)

    def hour(self, when: datetime) -> str:
        """The time of day of an instant."""
        return self.words.hour(when, self.letter.to.zone)

    def hours(self, span: Span) -> str:
        """From when to when; with the zone's city when the two of the pair keep different clocks."""
        shown = self.words.hours(span.start, span.end, self.letter.to.zone)
        if not self._apart(span.start):
            return shown
        city = self.words.city(self.letter.to.zone)
        return self.gettext("%(hours)s (%(city)s time)", hours=shown, city=city)

    def month(self, first: date) -> str:
        return self.words.month(first)

    def _apart(self, when: datetime) -> bool:
        people = (self.letter.manager, self.letter.report)
        return len({when.astimezone(ZoneInfo(one.zone)).utcoffset() for one in people if one is not None}) > 1

    # --- people ---

    def first(self, person: Person) -> str:
        return first_name(person)

    def full(self, person: Person) -> str:
        return line(person.name)

    def _find_first_name(self, address: Address) -> str:
        """The first name of one of the two; empty for anybody else."""
        for person in (self.letter.manager, self.letter.report):
            if person is not None and address and person.email == address:
                return first_name(person)
        return ""

    # --- what commands did ---

    def access_lines(self) -> list[Line]:
        """What commands showed or changed, each with its time and the reason given."""
        return [self._access_line(one) for one in self.letter.accesses]

    def _access_line(self, one: AccessRecord) -> Line:
        for_reader, for_other = ACCESSES[one.access]
        if one.on_behalf_of == self.letter.to.email:
            what = self.gettext(for_reader)
        else:
            what = self.gettext(for_other, who=self._find_first_name(one.on_behalf_of) or one.on_behalf_of)
        when = f"{self.day(one.at)}, {self.hour(one.at)}"
        return Line(text=f"{when}: {what}", note=self.gettext(N_("Reason given: %(reason)s"), reason=line(one.reason)))

    # --- what was agreed ---

    def promised(self, promises: Sequence[Promise]) -> list[Line]:
        """Promises as written: by when, and whether that is within the week."""
        return [self._line(one, self._by(one.due), soon=self._within_week(one.due)) for one in promises]

    def kept(self, owner: str) -> list[Line]:
        """One side's commitments with how each stands and how late it is or was; the open ones first."""
        mine = [one for one in self.letter.commitments if one.commitment.owner == Owner(owner)]
        mine.sort(key=lambda one: (not one.commitment.open, one.commitment.due))
        return [self._line(one.promise, *self._standing(one.commitment)) for one in mine]

    def reviews(self, points: Sequence[ReviewPoint]) -> list[Line]:
        return [Line(text=line(one.text), note=self.month(one.month)) for one in points]

    def reviews_now(self, points: Sequence[ReviewPoint]) -> list[Line]:
        """What was to be looked at again this month."""
        month = self.today.replace(day=1)
        return self.reviews([one for one in points if one.month.replace(day=1) == month])

    def progress(self, contract: Contract) -> list[Line]:
        return [Line(text=line(text)) for text in contract.progress]

    def question(self, contract: Contract) -> str:
        return line(contract.question)

    def _line(self, promise: Promise, note: str, soon: bool = False) -> Line:
        return Line(
            text=line(promise.text), note=note, soon=soon, support=line(promise.support), success=line(promise.success)
        )

    def _by(self, due: date | None) -> str:
        if due is None:
            return self.gettext("no date yet")
        if self._within_week(due):
            return self.gettext("by %(day)s: within the week", day=self.day(due))
        return self.gettext("by %(day)s", day=self.day(due))

    def _within_week(self, due: date | None) -> bool:
        return due is not None and 0 <= days_between(self.today, due) <= _URGENT

    def _standing(self, commitment: Commitment) -> tuple[str, bool]:
        if commitment.open:
            return self._open(commitment.due)
        closed = self.local(commitment.closed_at or self.letter.now)
        shown = {"day": self.day(closed)}
        if commitment.standing is Standing.CHANGED:
            return self.gettext("changed on %(day)s", **shown), False
        if commitment.standing is Standing.LET_GO:
            return self.gettext("let go on %(day)s", **shown), False
        late = days_between(commitment.due, closed)
        if late <= 0:
            return self.gettext("done on %(day)s, in time", **shown), False
        done = self.ngettext(
            "done on %(day)s, %(count)s day late", "done on %(day)s, %(count)s days late", late, **shown
        )
        return done, False

    def _open(self, due: date) -> tuple[str, bool]:
        shown = {"day": self.day(due)}
        late = days_between(due, self.today)
        if self._within_week(due):
            return self.gettext("not done yet, due %(day)s: within the week", **shown), True
        if late <= 0:
            return self.gettext("not done yet, due %(day)s", **shown), False
        return self.ngettext(
            "not done, due %(day)s, %(count)s day late", "not done, due %(day)s, %(count)s days late", late, **shown
        ), True

    # --- what changed ---

    def changes(self, before: Contract, after: Contract) -> list[str]:
        """The difference between two revisions, a sentence each; dates that moved say from where to where."""
        found = compare(before, after)
        sentences = [*self._moves(self.letter.report, found.report), *self._moves(self.letter.manager, found.manager)]
        if found.reviews:
            sentences.append(self.gettext("What we will review has changed."))
        if found.question:
            sentences.append(self.gettext("The open question is another one."))
        return sentences

    def _moves(self, person: Person | None, found: PartDiff[Promise]) -> list[str]:
        gettext, name = self.gettext, first_name(person) if person else ""
        return [
            *(gettext("New for %(name)s: %(text)s", name=name, text=line(one.text)) for one in found.added),
            *(self._change(name, old, new) for old, new in found.changed),
            *(gettext("No longer for %(name)s: %(text)s", name=name, text=line(one.text)) for one in found.removed),
        ]

    def _change(self, name: str, old: Promise, new: Promise) -> str:
        if old.due != new.due:
            was, now = (self.day(one.due) if one.due else self.gettext("no date yet") for one in (old, new))
            return self.gettext("Moved from %(was)s to %(now)s: %(text)s", was=was, now=now, text=line(new.text))
        return self.gettext("Put differently for %(name)s: %(text)s", name=name, text=line(new.text))

    # --- the session ---

    def cause(self, deferral: Deferral) -> str:
        """Why a session lost its time, naming who acted when it was one of the two."""
        to_actor, to_other, unnamed = CAUSES[deferral.cause]
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

    def _talk(self) -> str:
        """What kind of conversation it is."""
        return self.gettext(TALKS[self.letter.session.kind if self.letter.session else Kind.CAREER])

    def _trigger(self) -> Line | None:
        """Why the manager asked for the conversation, and their own words about it."""
        if not self.letter.trigger or self.letter.by_link:
            return None
        kind, _, words = self.letter.trigger.partition(":")
        if kind not in set(Trigger):
            return Line(text="", note=line(self.letter.trigger))
        return Line(text=self.gettext(TRIGGERS[Trigger(kind)]), note=line(words))

    def _warned_at(self) -> datetime:
        session = self.letter.session
        return session.warned_at if session and session.warned_at else self.letter.now

    def length(self, minutes: int) -> str:
        return self.ngettext("%(count)s minute", "%(count)s minutes", minutes)

    def ahead(self, days: int) -> date:
        """The date so many days from today, for an example."""
        return self.today + timedelta(days=days)


def _paragraphs(text: str) -> str:
    """The text with each of its paragraphs on one line."""
    return "\n\n".join(line(part) for part in text.split("\n\n"))


_FIELDS = tuple(one.name for one in fields(Letter))
#: What of a `Reading` a template may call.
_GIVEN = tuple(name for name in vars(MailView) if not name.startswith("_") and name not in ("names", "local", "called"))
