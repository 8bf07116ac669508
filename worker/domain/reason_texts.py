"""Turns reasons into English sentences.

A reason explains a decision of planning, such as why a time was chosen or why none exists. It is stored as a code and
values; `SENTENCES` has the sentence of each code. A formatter decides the language, the clock and the format of dates.
`ENGLISH_FORMATTER` writes the history and the operator's texts; `worker.i18n.domain_texts` has the formatter for mails
and pages in the reader's language. Words that depend on a count are part of the sentence, so that each language can
inflect them.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from worker.domain.model import Reason, Reasons, ReasonValue
from worker.domain.time.worktime import SHORT_DAY_NAMES, WEEKDAY_NAMES, format_clock

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def N_(text: str) -> str:  # noqa: N802 -- gettext's tools look for this name
    """Return the text unchanged, and mark it for translation. It is translated later, when the reader is known."""
    return text


def NN_(singular: str, plural: str) -> tuple[str, str]:  # noqa: N802
    """Return both forms of a text that depends on a count, and mark them for translation, as `N_` does."""
    return singular, plural


#: The sentence of each code, or its singular and its plural. A placeholder such as `%(name)s` stands for a value of the
#: reason, formatted by `_VALUE_FORMATTERS` or `_CODE_FORMATTERS`.
SENTENCES: Mapping[str, str | tuple[str, str]] = {
    # why a slot was chosen
    "target_day": N_("%(day)s is the target day."),
    "after_target": NN_(
        "%(day)s is %(count)s day after the target, %(target)s.",
        "%(day)s is %(count)s days after the target, %(target)s.",
    ),
    "before_target": NN_(
        "%(day)s is %(count)s day before the target, %(target)s.",
        "%(day)s is %(count)s days before the target, %(target)s.",
    ),
    "preferred_weekday": N_("It is on %(weekday)s, the weekday the two prefer."),
    "other_weekday": N_("It is not on %(weekday)s, the weekday the two prefer."),
    "preferred_hour": N_("It is at %(clock)s, the hour the two prefer."),
    "other_hour": NN_(
        "It is %(count)s minute away from %(clock)s, the hour the two prefer.",
        "It is %(count)s minutes away from %(clock)s, the hour the two prefer.",
    ),
    "start": N_("It starts at %(hour)s for both."),
    "start_apart": N_("It starts at %(hour)s for %(name)s and %(other_hour)s for %(other)s."),
    "contract_day": N_("48 hours later it is %(weekday)s, a weekday on which %(name)s works."),
    "contract_margin": NN_(
        "48 hours later it is %(weekday)s, with %(count)s working day for %(name)s on the way.",
        "48 hours later it is %(weekday)s, with %(count)s working days for %(name)s on the way.",
    ),
    "contract_no_margin": N_("48 hours later it is %(weekday)s, with no working days for %(name)s on the way."),
    "only_that_week": N_("%(name)s has no other career sessions that week."),
    "others_that_week": NN_(
        "%(name)s has %(count)s other career session that week.",
        "%(name)s has %(count)s other career sessions that week.",
    ),
    "buffer": N_("At least %(minutes)s minutes before and after it are free."),
    "unreadable": N_("%(name)s's calendar can't be read; working hours count as free."),
    "shorter": N_("%(minutes)s minutes, because no %(needed)s fit."),
    "past_window": NN_(
        "It is %(count)s day after its window, because nothing fits inside it.",
        "It is %(count)s days after its window, because nothing fits inside it.",
    ),
    # why a time is proposed to somebody who moves a session
    "same_day": N_("It is the same day as now."),
    "later": NN_("It is %(count)s day later than now.", "It is %(count)s days later than now."),
    "earlier": NN_("It is %(count)s day earlier than now.", "It is %(count)s days earlier than now."),
    "rhythm_day": N_("It is the very day that your rhythm asks for."),
    "rhythm_near": NN_(
        "It is %(count)s day from the one that your rhythm asks for, %(target)s.",
        "It is %(count)s days from the one that your rhythm asks for, %(target)s.",
    ),
    "counts": N_("It is later than it should be, so moving it there counts as putting it off."),
    # why a time that a person picked does not fit
    "busy_then": N_("%(name)s's calendar is not free then."),
    "unread_now": N_("%(name)s's calendar can't be read just now."),
    "short_for_it": N_("It is shorter than %(minutes)s minutes."),
    "outside_hours": N_("It is outside the working hours of %(name)s."),
    "another_that_day": N_("%(name)s has another career session that day."),
    "no_buffer": N_("There are not %(minutes)s free minutes before and after it."),
    # why no time exists
    "room": NN_("There is room at %(count)s starting time.", "There is room at %(count)s starting times."),
    "window_over": N_("Its window is shorter than the session."),
    "window_short": N_("The window holds %(minutes)s minutes, under the %(needed)s needed."),
    "unknown": N_("%(name)s's calendar is unknown%(detail)s, and unknown time is never free."),
    "holidays": NN_(
        "Public holidays take %(count)s working day from %(name)s.",
        "Public holidays take %(count)s working days from %(name)s.",
    ),
    "longest": N_(
        "The longest time %(name)s and %(other)s are both at work is %(minutes)s minutes, under the %(needed)s needed."
    ),
    "never_together": N_(
        "%(name)s and %(other)s share no working hours in the window:"
        " %(name)s works %(days)s, %(other)s works %(other_days)s."
    ),
    "shared": N_("%(days)s the two share %(minutes)s minutes of working hours."),
    "room_by_calendar": N_(
        "%(days)s the two share %(minutes)s minutes of working hours; %(name)s's calendar leaves room %(left)s,"
        " %(other)s's calendar leaves room %(other_left)s, the two together %(both)s."
    ),
    "full_days": NN_(
        "%(name)s already has a career session on %(count)s day with room.",
        "%(name)s already has a career session on %(count)s days with room.",
    ),
    "full_weeks": NN_(
        "On %(count)s day with room, %(name)s already has %(most)s first or overdue conversations that week.",
        "On %(count)s days with room, %(name)s already has %(most)s first or overdue conversations that week.",
    ),
    "after_absence": NN_(
        "%(count)s day with room is too soon after a long absence of %(name)s.",
        "%(count)s days with room are too soon after a long absence of %(name)s.",
    ),
    "just_lost": N_("All that is left are times just lost, %(days)s."),
    # what would make room
    "calendar_first": N_("Nothing can be booked before that calendar can be read."),
    "shorter_has_room": N_("With %(minutes)s minutes there is room %(days)s."),
    "tighter_has_room": N_("Without the free 15 minutes on each side there is room %(days)s."),
    "both_have_room": N_(
        "With %(minutes)s minutes and without the free 15 minutes on each side there is room %(days)s."
    ),
    "moving": NN_(
        "Moving %(what)s of %(when)s frees %(count)s starting time.",
        "Moving %(what)s of %(when)s frees %(count)s starting times.",
    ),
    "started_earlier": NN_(
        "If %(name)s's working hours started %(count)s hour earlier, there would be room %(days)s.",
        "If %(name)s's working hours started %(count)s hours earlier, there would be room %(days)s.",
    ),
    "ended_later": NN_(
        "If %(name)s's working hours ended %(count)s hour later, there would be room %(days)s.",
        "If %(name)s's working hours ended %(count)s hours later, there would be room %(days)s.",
    ),
    "no_change": N_("No single change that was tried makes room."),
    # old versions stored reasons as text, without a code
    "verbatim": "%(words)s",
}
NO_DAYS = N_("on no days")
ON_DAYS = NN_("on %(count)s day", "on %(count)s days")
#: The name of each kind of blocker. A blocker is what occupies a time that a session could otherwise have.
BLOCKER_NAMES = {
    "career": N_("%(name)s's career session"),
    "time": N_("%(name)s's time"),
    "busy": N_("%(name)s's busy time"),
    "tentative": N_("%(name)s's tentative time"),
    "away": N_("%(name)s's time away"),
}
BLOCKER_OF_BOTH = N_("%(what)s and %(other)s's")


class ReasonFormatter(Protocol):
    """Formats texts and values for one reader."""

    def gettext(self, message: str, /, **values: object) -> str:
        """Return the sentence in the reader's language, with its `%(name)s` filled in."""

    def ngettext(self, singular: str, plural: str, count: int, /, **values: object) -> str:
        """Return the sentence in the form for `count`, with its values and `%(count)s` filled in."""

    def format_date(self, day: date) -> str:
        """Return a date with its weekday."""

    def get_weekday_name(self, index: int) -> str:
        """Return the name of a day of the week; 0 is Monday."""

    def format_clock(self, minute: int) -> str:
        """Return the time of day that many minutes after midnight."""

    def format_time(self, instant: datetime, zone: str) -> str:
        """Return the time of day at that instant in the zone."""

    def format_span(self, start: datetime, end: datetime, zone: str) -> str:
        """Return the text of a span of time. `zone` is the zone of the person whom the reason is about."""

    def format_detail(self, text: str) -> str:
        """Return the text that a service's error adds to a sentence; empty for readers who are not operators."""


class EnglishFormatter:
    """Formats the English sentences of this module for the history and for operators."""

    def gettext(self, message: str, /, **values: object) -> str:
        return message % values

    def ngettext(self, singular: str, plural: str, count: int, /, **values: object) -> str:
        return (singular if count == 1 else plural) % {"count": count, **values}

    def format_date(self, day: date) -> str:
        return format_short_date(day)

    def get_weekday_name(self, index: int) -> str:
        return WEEKDAY_NAMES[index]

    def format_clock(self, minute: int) -> str:
        return format_clock(minute)

    def format_time(self, instant: datetime, zone: str) -> str:
        return f"{instant.astimezone(ZoneInfo(zone)):%H:%M}"

    def format_span(self, start: datetime, end: datetime, zone: str) -> str:
        local_start, local_end = (instant.astimezone(ZoneInfo(zone)) for instant in (start, end))
        end_text = f"{local_end:%H:%M}"
        if local_start.date() != local_end.date():
            end_text = f"{format_short_date(local_end.date())} {end_text}"
        return f"{format_short_date(local_start.date())} {local_start:%H:%M} to {end_text} ({zone})"

    def format_detail(self, text: str) -> str:
        return f" ({text})" if text else ""


ENGLISH_FORMATTER = EnglishFormatter()


def format_reasons(reasons: Reasons, formatter: ReasonFormatter = ENGLISH_FORMATTER) -> str:
    """Return the sentences of all reasons as one text."""
    return " ".join(format_sentences(reasons, formatter))


def format_sentences(reasons: Reasons, formatter: ReasonFormatter = ENGLISH_FORMATTER) -> Iterator[str]:
    """Yield one sentence for each reason, with a capital first letter."""
    for reason in reasons:
        sentence = _format_sentence(reason, formatter)
        yield sentence[:1].upper() + sentence[1:]


def _format_sentence(reason: Reason, formatter: ReasonFormatter) -> str:
    sentence, values = SENTENCES[reason.code], reason.values
    formatted: dict[str, Any] = {
        name: _VALUE_FORMATTERS.get(name, _keep_value)(formatter, value) for name, value in values.items()
    }
    if reason.code in _CODE_FORMATTERS:
        formatted |= _CODE_FORMATTERS[reason.code](formatter, values)
    if isinstance(sentence, str):
        return formatter.gettext(sentence, **formatted)
    return formatter.ngettext(*sentence, formatted.pop("count"), **formatted)


def _keep_value(formatter: ReasonFormatter, value: ReasonValue) -> ReasonValue:
    return value


def _format_day_count(formatter: ReasonFormatter, days: int) -> str:
    return formatter.ngettext(*ON_DAYS, days) if days else formatter.gettext(NO_DAYS)


#: How to format a value, by the value's name. Values with other names are inserted unchanged.
_VALUE_FORMATTERS: Mapping[str, Callable[[ReasonFormatter, Any], Any]] = {
    "day": lambda formatter, day: formatter.format_date(day),
    "target": lambda formatter, day: formatter.format_date(day),
    "weekday": lambda formatter, index: formatter.get_weekday_name(index),
    "clock": lambda formatter, minute: formatter.format_clock(minute),
    "detail": lambda formatter, text: formatter.format_detail(text),
    **dict.fromkeys(("days", "other_days", "left", "other_left", "both"), _format_day_count),
}


def _format_start(formatter: ReasonFormatter, values: Mapping[str, Any]) -> dict[str, str]:
    """Return the start of a session on the clock of each of the two."""
    return {
        "hour": formatter.format_time(values["at"], values["zone"]),
        "other_hour": formatter.format_time(values["at"], values["other_zone"]),
    }


def _format_blocker(formatter: ReasonFormatter, values: Mapping[str, Any]) -> dict[str, str]:
    """Return the name of a blocker and its span."""
    # This is a local variable because pybabel would extract every string literal in a gettext call, including "what".
    text = BLOCKER_NAMES[values["what"]]
    blocker = formatter.gettext(text, name=values["name"])
    if values["other"]:
        blocker = formatter.gettext(BLOCKER_OF_BOTH, what=blocker, other=values["other"])
    return {"what": blocker, "when": formatter.format_span(values["start"], values["end"], values["zone"])}


#: How to format the values that are computed from several values of a reason, by the reason's code.
_CODE_FORMATTERS: Mapping[str, Callable[[ReasonFormatter, Mapping[str, Any]], Mapping[str, str]]] = {
    "start": _format_start,
    "start_apart": _format_start,
    "moving": _format_blocker,
}


def format_short_date(day: date) -> str:
    """Return the date in the form `Tue 6 Oct`."""
    return f"{SHORT_DAY_NAMES[day.weekday()]} {day.day} {MONTHS[day.month - 1]}"
