"""The view model of mails and pages, which presents a `MailContext` in its reader's language and zone.

Templates compute nothing themselves: they call the methods of a `MailView` for dates, names, lists and the status of
commitments. The names of these methods are an interface, because templates of companies call them. A text that a person
wrote is turned into a single line, so that it can't imitate other parts of the mail.
"""

from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from worker.domain.contract.languages import find_contract_language
from worker.domain.model import (
    AccessRecord,
    Address,
    Commitment,
    CommitmentStanding,
    Contract,
    Deferral,
    HandoverLine,
    HandoverLineKind,
    MailName,
    Opening,
    Owner,
    Pair,
    Person,
    Reasons,
    ReviewPoint,
    SessionKind,
    SharedNote,
    Span,
    Trigger,
    WrittenCommitment,
)
from worker.domain.planning.weekly import NewsKind
from worker.domain.reason_texts import N_
from worker.domain.time.blockers import REMEDY_CODES
from worker.i18n.domain_texts import (
    ACCESS_TEXTS,
    CAUSE_TEXTS,
    NEWS_TEXTS,
    OPENING_KINDS,
    ORIGIN_TEXTS,
    OTHER_NEWS_TEXTS,
    SESSION_NAMES,
    TRIGGER_TEXTS,
    translate_reasons,
    translate_sentences,
)
from worker.i18n.language import Language, count_days_between, to_single_line
from worker.mail.context import MailContext, NewsLine
from worker.mail.contract_changes import ContractChanges
from worker.mail.lines import Line
from worker.mail.names import guess_first_name

#: A commitment that is due within this many days is highlighted (R-21).
_URGENT_DAYS = 7


class MailView:
    """A mail context in its reader's language. Templates can call all public methods but `collect_variables`."""

    def __init__(self, context: MailContext, language: Language) -> None:
        self.context = context
        self.language = language
        self.gettext = language.gettext
        self.ngettext = language.ngettext
        self._zone = ZoneInfo(context.to.zone)
        self.today = self._to_local_date(context.now)

    def collect_variables(self) -> dict[str, Any]:
        """Return all variables of a template: the context's fields, this view's methods, and some computed values."""
        context, language = self.context, self.language
        # `why` has the coded reasons why no time exists, and `reason` the text of an alert to the operator.
        remedies = tuple(reason for reason in context.why if reason.code in REMEDY_CODES)
        causes = tuple(reason for reason in context.why if reason.code not in REMEDY_CODES)
        return (
            {name: getattr(context, name) for name in _CONTEXT_FIELDS}
            | {name: getattr(self, name) for name in self.__class__.__dict__ if name in _TEMPLATE_METHODS}
            | {
                "lang": language.tag,
                "direction": language.direction,
                "form": find_contract_language(language.locale.language),  # the headings of a contract's file
                "reads_manager": context.manager is not None and context.to.email == context.manager.email,
                "today": self.today,
                "talk": self._describe_session_kind(),  # the name of a session of any kind
                "trigger": self._describe_trigger(),
                "trigger_kind": self._find_trigger_kind(),
                # a day after the warning, the session gives way to the event that was booked over it
                "moves_at": self._find_warning_time() + timedelta(days=1),
                "remedies": self._list_sentences(remedies),
                "causes": self._list_sentences(causes),
                "hours_apart": any(reason.code == "never_together" for reason in causes),
                "learning": to_single_line(context.learning),
                "reason": _clean_paragraphs(context.reason)
                or to_single_line(translate_reasons(context.why, language, context.to.zone, self.today)),
            }
        )

    def _list_sentences(self, reasons: Reasons) -> list[str]:
        """Return a sentence for each reason, with times in the reader's zone."""
        sentences = translate_sentences(reasons, self.language, self.context.to.zone, self.today)
        return [to_single_line(sentence) for sentence in sentences]

    # --- time ---

    def _to_local_date(self, when: datetime) -> date:
        """Return the date at that instant in the reader's zone."""
        return when.astimezone(self._zone).date()

    def day(self, when: date) -> str:
        """Return a date, or the local date of an instant, with its weekday, and the year unless it is this year."""
        local_date = self._to_local_date(when) if isinstance(when, datetime) else when
        return self.language.format_day(local_date, with_year=local_date.year != self.today.year)

    def hour(self, when: datetime) -> str:
        """Return the time of day at an instant in the reader's zone."""
        return self.language.format_time(when, self.context.to.zone)

    def hours(self, span: Span) -> str:
        """Return the start and end of a span, with the reader's city if the two people have different local times."""
        hours = self.language.format_time_range(span.start, span.end, self.context.to.zone)
        if not self._do_clocks_differ(span.start):
            return hours
        city = self.language.get_city_name(self.context.to.zone)
        return self.gettext("%(hours)s (%(city)s time)", hours=hours, city=city)

    def month(self, when: date) -> str:
        """Return the month and the year of a date."""
        return self.language.format_month(when)

    def _do_clocks_differ(self, when: datetime) -> bool:
        """Return whether the manager and the report have different local times at that instant."""
        people = (self.context.manager, self.context.report)
        return len({when.astimezone(ZoneInfo(person.zone)).utcoffset() for person in people if person is not None}) > 1

    # --- people ---

    def first(self, person: Person) -> str:
        """Return a person's first name."""
        return guess_first_name(person)

    def full(self, person: Person) -> str:
        """Return a person's full name."""
        return to_single_line(person.name)

    def _find_first_name(self, address: Address) -> str:
        """Return the first name of the manager or report who has that address; empty for any other address."""
        for person in (self.context.manager, self.context.report):
            if person is not None and address and person.email == address:
                return guess_first_name(person)
        return ""

    # --- accesses to content ---

    def access_lines(self) -> list[Line]:
        """Return operators' accesses to content by commands, each with its time and reason."""
        return [self._make_access_line(access) for access in self.context.accesses]

    def _make_access_line(self, access: AccessRecord) -> Line:
        for_reader, for_other = ACCESS_TEXTS[access.access]  # if an operator acted for the reader, or not
        if access.on_behalf_of == self.context.to.email:
            sentence = self.gettext(for_reader)
        else:
            sentence = self.gettext(for_other, who=self._find_first_name(access.on_behalf_of) or access.on_behalf_of)
        when = f"{self.day(access.at)}, {self.hour(access.at)}"
        return Line(
            text=f"{when}: {sentence}",
            note=self.gettext(N_("Reason given: %(reason)s"), reason=to_single_line(access.reason)),
        )

    # --- several pairs ---

    def news_lines(self, *kinds: str) -> list[Line]:
        """Return the lines of these kinds in a mail about several pairs; without kinds, all lines."""
        return [self._make_news_line(news) for news in self.context.news if not kinds or news.kind in kinds]

    def _make_news_line(self, news: NewsLine) -> Line:
        """Return the line of one piece of news. Its kind is a `NewsKind`, or the name of the mail that it replaces."""
        name, session = guess_first_name(news.other), news.session
        values = {"name": name, "talk": self.gettext(SESSION_NAMES[session.kind if session else SessionKind.CAREER])}
        if session is not None and session.start is not None:
            values["when"] = f"{self.day(session.start)}, {self.hours(session.span)}"
        values["day"] = self.day(news.due) if news.due else ""
        if news.commitment is not None:
            standing = self._describe_standing(news.commitment.commitment)
            promise = self._make_line(news.commitment.promise, *standing)
            return replace(promise, text=f"{name}: {promise.text}", link=news.link)
        is_review = news.kind == NewsKind.SESSION and session is not None and session.kind is SessionKind.REVIEW
        note = self.gettext("Ask whether the direction still feels right; it may change.") if is_review else ""
        if news.deadline is not None and session is not None:
            values["held"] = self.day(session.held_at or session.span.start)
            note = self._describe_deadline(news.deadline)
        if news.kind == MailName.INTRODUCTION:
            note = f"{self.rhythm(news.pair)}, {self.length(news.pair.minutes)}"
        # the text with the time of the session (`when`), and the text without
        timed, untimed = NEWS_TEXTS.get(news.kind, OTHER_NEWS_TEXTS)
        text = timed if "when" in values else untimed
        return Line(text=self.gettext(text, **values), note=note, link=news.link)

    def _describe_deadline(self, deadline: datetime) -> str:
        """Return a text about a contract's deadline, or that the contract is late and still welcome (R-15)."""
        values = {"day": self.day(deadline), "hour": self.hour(deadline)}
        if self.context.now < deadline:
            return self.gettext("Please by %(day)s, %(hour)s", **values)
        return self.gettext("Still worth writing down; it was due on %(day)s, %(hour)s", **values)

    # --- contracts and commitments ---

    def promised(self, promises: Sequence[WrittenCommitment]) -> list[Line]:
        """Return the commitments of a contract, each with its due date. Those due within a week are highlighted."""
        return [
            self._make_line(promise, self._describe_due(promise.due), soon=self._is_within_week(promise.due))
            for promise in promises
        ]

    def kept(self, owner: str) -> list[Line]:
        """Return one person's commitments, kept or not, each with its status and how late it is; open ones first."""
        commitments = [entry for entry in self.context.commitments if entry.commitment.owner == Owner(owner)]
        commitments.sort(key=lambda entry: (not entry.commitment.is_open, entry.commitment.due))
        return [self._make_line(entry.promise, *self._describe_standing(entry.commitment)) for entry in commitments]

    def due_lines(self, owner: str) -> list[Line]:
        """Return one person's commitments without dates, for a mail whose commitments are all due on the same day."""
        return [replace(line, note="", soon=False) for line in self.kept(owner)]

    def reviews(self, points: Sequence[ReviewPoint]) -> list[Line]:
        """Return review points, each with its month."""
        return [Line(text=to_single_line(review.text), note=self.month(review.month)) for review in points]

    def reviews_now(self, points: Sequence[ReviewPoint]) -> list[Line]:
        """Return the review points of the present month."""
        month = self.today.replace(day=1)
        return self.reviews([review for review in points if review.month.replace(day=1) == month])

    def progress(self, contract: Contract) -> list[Line]:
        """Return the progress that a contract records, one line for each entry."""
        return [Line(text=to_single_line(text)) for text in contract.progress]

    def question(self, contract: Contract) -> str:
        """Return the contract's open question as a single line."""
        return to_single_line(contract.question)

    def describe_passed_lines(self, lines: Sequence[HandoverLine]) -> list[Line]:
        """Return the lines that the report passed on from the former pair, each with its origin (R-36)."""
        return [Line(text=to_single_line(line.text), note=self._describe_origin(line)) for line in lines]

    handed_lines = describe_passed_lines  # the name in templates

    def _describe_origin(self, line: HandoverLine) -> str:
        due = line.due
        former = guess_first_name(self.context.former) if self.context.former else ""
        report = guess_first_name(self.context.report) if self.context.report else ""
        manager = guess_first_name(self.context.manager) if self.context.manager else ""
        is_report = self.context.report is not None and self.context.to.email == self.context.report.email
        values = {"former": former, "report": report, "manager": manager, "day": self.day(due) if due else ""}
        if line.kind is HandoverLineKind.QUESTION:
            return self.gettext("the open question")
        if line.kind is HandoverLineKind.REVIEW:
            return self.gettext("to be reviewed in %(month)s", month=self.month(due)) if due else ""
        for_report, for_manager = ORIGIN_TEXTS[line.kind]
        return self.gettext(for_report if is_report else for_manager, **values)

    def _make_line(self, promise: WrittenCommitment, note: str, soon: bool = False) -> Line:
        """Return the line of a commitment. `note` and `soon`: see `Line`."""
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
        """Return the status of a commitment, and whether the commitment is highlighted (R-21)."""
        if commitment.is_open:
            return self._describe_open(commitment.due)
        closed_on = self._to_local_date(commitment.closed_at or self.context.now)
        values = {"day": self.day(closed_on)}
        if commitment.standing is CommitmentStanding.CHANGED:
            return self.gettext("changed on %(day)s", **values), False
        if commitment.standing is CommitmentStanding.LET_GO:
            return self.gettext("let go on %(day)s", **values), False
        return self.gettext("done on %(day)s", **values), False

    def _describe_open(self, due: date) -> tuple[str, bool]:
        """Return what `_describe_standing` returns, for an open commitment."""
        values = {"day": self.day(due)}
        days_late = count_days_between(due, self.today)
        if days_late == 0:
            return self.gettext("not done yet, due today"), True
        if self._is_within_week(due):
            return self.gettext("not done yet, due %(day)s: within the week", **values), True
        if days_late < 0:
            return self.gettext("not done yet, due %(day)s", **values), False
        return self.ngettext(
            "not done, due %(day)s, %(count)s day late",
            "not done, due %(day)s, %(count)s days late",
            days_late,
            **values,
        ), True

    # --- changes of a contract ---

    def changes(self, before: Contract, after: Contract) -> list[str]:
        """Return a sentence for each difference between two revisions. A change of a date states both dates."""
        changes = ContractChanges(self.language, self.day)
        return changes.describe(before, after, self.context.report, self.context.manager)

    # --- notes and kept commitments ---

    def note_lines(self) -> list[Line]:
        """Return the lines of the pair's notes, each with its author and the day of its conversation."""
        return [
            Line(text=to_single_line(text), note=self.describe_author(note))
            for note in self.context.notes
            for text in note.lines
        ]

    def describe_author(self, note: SharedNote) -> str:
        """Return the note's author and the day of its conversation."""
        author = note.author.select(self.context.manager, self.context.report)
        day = self.day(note.held_at)
        if author is None or author.email == self.context.to.email:
            return self.gettext("you, after your conversation on %(day)s", day=day)
        return self.gettext("%(name)s, after your conversation on %(day)s", name=guess_first_name(author), day=day)

    def kept_lines(self) -> list[Line]:
        """Return a line for each mentioned commitment that the other person has done (R-32)."""
        return [Line(text=to_single_line(entry.promise.text)) for entry in self.context.kept_commitments]

    # --- openings ---

    def opening_lines(self) -> list[Line]:
        """Return the openings (R-29), each with its kind, its group and its last day."""
        return [self._make_opening_line(opening) for opening in self.context.openings]

    def _make_opening_line(self, opening: Opening) -> Line:
        values = {"kind": self.gettext(OPENING_KINDS[opening.kind]), "day": self.day(opening.until)}
        if opening.group:
            details = self.gettext(
                "%(kind)s in %(group)s, until %(day)s", group=to_single_line(opening.group), **values
            )
        else:
            details = self.gettext("%(kind)s, until %(day)s", **values)
        note = to_single_line(opening.note)
        return Line(
            text=to_single_line(opening.title),
            note=f"{details}. {note}" if note else details,
            link=opening.link,
            contact=opening.contact,
        )

    # --- the session ---

    def cause(self, deferral: Deferral) -> str:
        """Return why a session lost its time, with the name of the person who caused that, if it was one of the two.

        Return an empty text to the report if the manager caused it, because that is the manager's own affair (R-38).
        """
        to_actor, to_other, unnamed = CAUSE_TEXTS[deferral.cause]
        if deferral.who == self.context.to.email:
            return self.gettext(to_actor)
        manager = self.context.manager
        if manager is not None and deferral.who == manager.email:
            return ""
        who = self._find_first_name(deferral.who)
        return self.gettext(to_other, who=who) if who else self.gettext(unnamed)

    def deferral_reason(self, deferral: Deferral) -> str:
        """Return a sentence with the report's reason for a deferral (R-18); empty if the report gave no reason.

        Only the two may read the reason: it is in no mail to anybody else, and not in the history.
        """
        written, report = self.context.deferral_reasons.get(deferral.number, ""), self.context.report
        if not written or report is None:
            return ""
        reason = to_single_line(written)
        if self.context.to.email == report.email:
            return self.gettext("You said about the move: “%(reason)s”", reason=reason)
        return self.gettext("%(name)s says about the move: “%(reason)s”", name=guess_first_name(report), reason=reason)

    def describe_change_author(self, by: Owner | None, reason: str) -> str:
        """Return a sentence with the report's reason for a change of the contract, if the report made it (R-18).

        Return an empty text for a change by the manager, because its reason is the manager's own affair.
        """
        report = self.context.report
        if by is not Owner.REPORT or report is None:
            return ""
        values = {"name": guess_first_name(report), "reason": to_single_line(reason)}
        is_for_report = self.context.to.email == report.email
        if not values["reason"]:
            return self.gettext("You changed it.") if is_for_report else self.gettext("%(name)s changed it.", **values)
        if is_for_report:
            return self.gettext("You changed it and said: “%(reason)s”", **values)
        return self.gettext("%(name)s changed it and says: “%(reason)s”", **values)

    # --- times to choose from ---

    def offered(self) -> list[Line]:
        """Return the times that the two may choose from.

        The note of a line says that the session has that time now, or whose calendar has something else at that time.
        """
        return [Line(text=self.moment(option), note=self._describe_option(option)) for option in self.context.options]

    def others_offered(self) -> list[Line]:
        """Return the lines of `offered` without the session's present time, sorted by start."""
        session = self.context.session
        current = session.span if session is not None and session.booked else None
        options = sorted(option for option in self.context.options if option != current)
        return [Line(text=self.moment(option), note=self._describe_option(option)) for option in options]

    def moment(self, span: Span) -> str:
        """Return the day, the start and the end of a span."""
        return f"{self.day(span.start)}, {self.hours(span)}"

    def displaced(self, option: Span) -> str:
        """Return a text that says whose calendar has something else at an offered time (T-14); empty if none has."""
        offer, context = self.context.offer, self.context
        owners = offer.list_displaced_owners(option) if offer else ()
        if context.manager is None or context.report is None or not owners:
            return ""
        if len(owners) > 1:
            return self.gettext("takes the place of something on both calendars")
        owner = owners[0].select(context.manager, context.report)
        if owner.email == context.to.email:
            return self.gettext("takes the place of something on your calendar")
        return self.gettext("takes the place of something on the calendar of %(who)s", who=guess_first_name(owner))

    def _describe_option(self, option: Span) -> str:
        session = self.context.session
        if session is not None and session.booked and session.span == option:
            return self.gettext("on both calendars now")
        return self.displaced(option)

    def rhythm(self, pair: Pair) -> str:
        """Return the text for the pair's present rhythm."""
        every = self.context.every or pair.every  # `context.every` is shorter in a transition
        if every.weeks == 13 or every.months == 3:  # both ways of writing a quarter
            return self.gettext("once a quarter")
        if every.weeks:
            return self.ngettext("every week", "every %(count)s weeks", every.weeks)
        return self.ngettext("every month", "every %(count)s months", every.months)

    def _describe_session_kind(self) -> str:
        """Return the name of the session's kind; without a session, that of a career conversation."""
        return self.gettext(SESSION_NAMES[self.context.session.kind if self.context.session else SessionKind.CAREER])

    def _describe_trigger(self) -> Line | None:
        """Return the trigger of an ad hoc session (R-6), with the text entered with it; None if none may be shown."""
        if not self.context.trigger or self.context.by_link:
            return None
        kind, _, explanation = self.context.trigger.partition(":")
        if kind not in set(Trigger):  # a text without the kind of occasion
            return Line(text="", note=to_single_line(self.context.trigger))
        return Line(text=self.gettext(TRIGGER_TEXTS[Trigger(kind)]), note=to_single_line(explanation))

    def _find_trigger_kind(self) -> str:
        """Return the value of the `Trigger` of an ad hoc session; empty without one, and in a mail without content."""
        kind = self.context.trigger.partition(":")[0]
        return kind if kind in set(Trigger) and not self.context.by_link else ""

    def _find_warning_time(self) -> datetime:
        """Return when the two were warned that something was booked over the session; without a warning, `now`."""
        session = self.context.session
        return session.warned_at if session and session.warned_at else self.context.now

    def length(self, minutes: int) -> str:
        """Return a number of minutes with its unit."""
        return self.ngettext("%(count)s minute", "%(count)s minutes", minutes)

    def ahead(self, days: int) -> date:
        """Return the date that many days after today, for use in an example."""
        return self.today + timedelta(days=days)


def _clean_paragraphs(text: str) -> str:
    """Return the text with each paragraph on a single line."""
    return "\n\n".join(to_single_line(part) for part in text.split("\n\n"))


_CONTEXT_FIELDS = tuple(field.name for field in fields(MailContext))
#: The methods that a template can call.
_TEMPLATE_METHODS = tuple(name for name in vars(MailView) if not name.startswith("_") and name != "collect_variables")
