"""Texts for values of the domain (enums and reasons), and their translation into the reader's language.

`N_` marks a text for translation; the text is translated when a mail or page is rendered. Several tables have one text
for the person whom the value is about and one for the other person of the pair.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from worker.domain import reason_texts
from worker.domain.contract.lint import QUESTION_TEXTS, LintQuestion
from worker.domain.model import (
    ContentAccess,
    DeferralCause,
    HandoverLineKind,
    MailName,
    OpeningKind,
    Reasons,
    SessionKind,
    Trigger,
)
from worker.domain.planning.weekly import NewsKind
from worker.domain.reason_texts import N_
from worker.i18n.language import Language

MIDNIGHT = time()

#: Why a session lost its time, without blame (R-10): the text for the person who caused it, the text for the other
#: person, and the text that names nobody.
CAUSE_TEXTS: Mapping[DeferralCause, tuple[str, str, str]] = {
    DeferralCause.DECLINED: (
        N_("you declined"),
        N_("%(who)s declined"),
        N_("the invitation was declined"),
    ),
    DeferralCause.DELETED: (
        N_("you took it off the calendar"),
        N_("%(who)s took it off the calendar"),
        N_("it was taken off the calendar"),
    ),
    DeferralCause.MOVED_OUT: (
        N_("you moved it to a time that is too short or too late"),
        N_("%(who)s moved it to a time that is too short or too late"),
        N_("it was moved to a time that is too short or too late"),
    ),
    DeferralCause.BOOKED_OVER: (
        N_("something else was booked over it on your calendar"),
        N_("something else was booked over it on the calendar of %(who)s"),
        N_("something else was booked over it"),
    ),
    DeferralCause.OUT_OF_OFFICE: (
        N_("you are out of the office that day"),
        N_("that time is no longer free for %(who)s"),
        N_("one of you is out of the office that day"),
    ),
    DeferralCause.HOLIDAY: (
        N_("it is a holiday where you are"),
        N_("it is a holiday where %(who)s is"),
        N_("it is a public holiday"),
    ),
    DeferralCause.NOT_HELD: (N_("it did not take place"), N_("it did not take place"), N_("it did not take place")),
    DeferralCause.ASKED: (
        N_("you asked for another time"),
        N_("%(who)s asked for another time"),
        N_("another time was asked for"),
    ),
    DeferralCause.MOVED: (N_("you moved it"), N_("%(who)s moved it"), N_("it was moved by hand")),
}


#: The origin of a line that was passed on from the report's former pair (R-36): the text for the report, and the text
#: for the new manager.
ORIGIN_TEXTS: Mapping[HandoverLineKind, tuple[str, str]] = {
    HandoverLineKind.REPORT: (N_("your own plan, by %(day)s"), N_("%(report)s’s own plan, by %(day)s")),
    HandoverLineKind.MANAGER: (N_("promised by %(former)s, by %(day)s"), N_("promised by %(former)s, by %(day)s")),
    HandoverLineKind.REPORT_NOTE: (
        N_("your note, after the conversation on %(day)s"),
        N_("%(report)s’s note, after the conversation on %(day)s"),
    ),
    HandoverLineKind.MANAGER_NOTE: (
        N_("%(former)s’s note, after the conversation on %(day)s"),
        N_("%(former)s’s note, after the conversation on %(day)s"),
    ),
    HandoverLineKind.SUGGESTION: (
        N_("%(former)s suggests that %(manager)s takes this over; it was due %(day)s"),
        N_("%(former)s suggests that you take this over; it was due %(day)s"),
    ),
}


#: The lines of mails about several pairs: the text if the session has a time, and the text if it has none.
NEWS_TEXTS: Mapping[str, tuple[str, str]] = {
    MailName.INTRODUCTION: (N_("%(name)s: %(when)s"), N_("%(talk)s with %(name)s")),
    NewsKind.SESSION: (N_("%(when)s: %(talk)s with %(name)s"), N_("%(talk)s with %(name)s")),
    NewsKind.PROMISE: (
        N_("Something that you promised %(name)s, by %(day)s"),
        N_("Something that you promised %(name)s, by %(day)s"),
    ),
    NewsKind.CONTRACT: (
        N_("What you and %(name)s agreed on %(held)s"),
        N_("What you and %(name)s agreed on %(held)s"),
    ),
    NewsKind.CHOICE: (
        N_("Your %(talk)s with %(name)s: times are held for you to choose from"),
        N_("Your %(talk)s with %(name)s: times are held for you to choose from"),
    ),
    NewsKind.UNTIMED: (
        N_("Your %(talk)s with %(name)s: there is no time for it yet"),
        N_("Your %(talk)s with %(name)s: there is no time for it yet"),
    ),
    MailName.DEFERRAL_NOTICE: (
        N_("Your %(talk)s with %(name)s has a new time: %(when)s"),
        N_("Your %(talk)s with %(name)s can’t take place as planned, and gets another time"),
    ),
    MailName.BOOKED_OVER_WARNING: (
        N_("Your %(talk)s with %(name)s clashes with something else: %(when)s"),
        N_("Your %(talk)s with %(name)s clashes with something else"),
    ),
    MailName.SHORT_SESSION: (
        N_("Your %(talk)s with %(name)s was shortened: %(when)s"),
        N_("Your %(talk)s with %(name)s was shortened"),
    ),
    MailName.UNPLACEABLE: (
        N_("There is no time yet for your %(talk)s with %(name)s"),
        N_("There is no time yet for your %(talk)s with %(name)s"),
    ),
    MailName.COMMITMENT_DUE: (
        N_("Something that you promised %(name)s is to be done by %(day)s"),
        N_("Something that you promised %(name)s is to be done by %(day)s"),
    ),
    MailName.PAIR_ENDED: (
        N_("Your career conversations with %(name)s have come to an end"),
        N_("Your career conversations with %(name)s have come to an end"),
    ),
}
#: The texts for mails that `NEWS_TEXTS` does not list.
OTHER_NEWS_TEXTS = (
    N_("There is news about your %(talk)s with %(name)s: %(when)s"),
    N_("There is news about your career conversations with %(name)s"),
)


SESSION_NAMES: Mapping[SessionKind, str] = {
    SessionKind.CAREER: N_("career conversation"),
    SessionKind.REVIEW: N_("contract review"),
    SessionKind.CHECKIN: N_("check-in"),
}

#: The names of the kinds in a list of openings (R-29).
OPENING_KINDS: Mapping[OpeningKind, str] = {
    OpeningKind.OPENING: N_("Opening"),
    OpeningKind.PROJECT: N_("Project"),
    OpeningKind.PATH: N_("Role path"),
}

#: The reasons for an ad hoc session, as the form on the page lists them (R-6). The program never guesses one (R-24).
TRIGGER_TEXTS: Mapping[Trigger, str] = {
    Trigger.LEAVING: N_("another employer, or a thought of leaving"),
    Trigger.DOUBT: N_("a doubt whether this is the right place"),
    Trigger.MOTIVATION: N_("motivation that has dropped"),
    Trigger.STALLED: N_("a promotion that was talked about and stands still"),
    Trigger.CHANGE: N_("a new role or a new team"),
    Trigger.MILESTONE: N_("a milestone just passed"),
}


#: The use of a command that shows or writes content: the text for the person on whose behalf it was used, and the text
#: for the other person.
ACCESS_TEXTS: Mapping[ContentAccess, tuple[str, str]] = {
    ContentAccess.SHOW_CONTRACT: (N_("The contract was shown, for you."), N_("The contract was shown, for %(who)s.")),
    ContentAccess.RECORD_CONTRACT: (
        N_("The contract was written down, for you."),
        N_("The contract was written down, for %(who)s."),
    ),
    ContentAccess.LIST_COMMITMENTS: (
        N_("What the two of you promised was shown, for you."),
        N_("What the two of you promised was shown, for %(who)s."),
    ),
    ContentAccess.MARK_DONE: (
        N_("A promise was marked as done, for you."),
        N_("A promise was marked as done, for %(who)s."),
    ),
    ContentAccess.CHANGE_COMMITMENT: (
        N_("A promise was changed, for you."),
        N_("A promise was changed, for %(who)s."),
    ),
    ContentAccess.LET_GO: (N_("A promise was let go, for you."), N_("A promise was let go, for %(who)s.")),
    ContentAccess.SHOW_NOTES: (
        N_("The notes for both of you were shown, for you."),
        N_("The notes for both of you were shown, for %(who)s."),
    ),
    ContentAccess.WRITE_LEARNING: (
        N_("What you learned yourself was written down, for you."),
        N_("What %(who)s learned was written down, for %(who)s."),
    ),
    ContentAccess.EXPLAIN_DEFERRAL: (
        N_("Why you asked for another time was written down, for you."),
        N_("Why %(who)s asked for another time was written down, for %(who)s."),
    ),
    ContentAccess.EXPORT: (
        N_("What the two of you wrote down was put into a file, for you."),
        N_("What the two of you wrote down was put into a file, for %(who)s."),
    ),
    ContentAccess.LEAVE_NOTE: (
        N_("A note for both of you was left, for you."),
        N_("A note for both of you was left, for %(who)s."),
    ),
}


def translate_reasons(reasons: Reasons, language: Language, zone: str, today: date) -> str:
    """Return the reasons as one text in that language, with times in `zone`.

    Dates include the year unless it is that of `today`.
    """
    return reason_texts.format_reasons(reasons, _LanguageFormatter(language, zone, today))


def translate_sentences(reasons: Reasons, language: Language, zone: str, today: date) -> Iterator[str]:
    """Return the reasons as separate sentences. The arguments are those of `translate_reasons`."""
    return reason_texts.format_sentences(reasons, _LanguageFormatter(language, zone, today))


class _LanguageFormatter:
    """The `ReasonFormatter` for a reader's language and zone."""

    def __init__(self, language: Language, zone: str, today: date) -> None:
        self.gettext = language.gettext
        self.ngettext = language.ngettext
        self._language = language
        self._zone = zone
        self._today = today

    def format_date(self, day: date) -> str:
        return self._language.format_day(day, with_year=day.year != self._today.year)

    def get_weekday_name(self, index: int) -> str:
        return str(self._language.locale.days["format"]["wide"][index])

    def format_clock(self, minute: int) -> str:
        return self._language.format_time(
            datetime.combine(self._today, MIDNIGHT, UTC) + timedelta(minutes=minute), "UTC"
        )

    def format_time(self, instant: datetime, zone: str) -> str:
        return self._language.format_time(instant, zone)

    def format_span(self, start: datetime, end: datetime, zone: str) -> str:
        # `zone` is that of the person whom the reason is about; the reader reads the times of their own zone
        first_day, last_day = (instant.astimezone(ZoneInfo(self._zone)).date() for instant in (start, end))
        if first_day == last_day:
            return f"{self.format_date(first_day)}, {self._language.format_time_range(start, end, self._zone)}"
        return self.gettext(
            "%(first)s, %(hour)s to %(last)s, %(until)s",
            first=self.format_date(first_day),
            hour=self.format_time(start, self._zone),
            last=self.format_date(last_day),
            until=self.format_time(end, self._zone),
        )

    def format_detail(self, text: str) -> str:
        return ""  # a service's error text is for the operator, who finds it in the history


def translate_question(question: LintQuestion, language: Language) -> tuple[str, str]:
    """Return the question about a commitment (R-16) and the advice that goes with it, in that language."""
    sentence, advice = QUESTION_TEXTS[question.code]
    return language.gettext(sentence, word=question.word), language.gettext(advice)
