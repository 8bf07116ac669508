"""The picture of a quarter: a column for each week and a row for each manager, which unfolds to a list of sessions.

Times are in the manager's time zone. When the report's clock differs, the time in the report's zone is added.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from worker.domain.model import Person, SessionKind
from worker.domain.planning.weekly import find_monday
from worker.i18n.language import Language, to_single_line
from worker.ops.preview.quarter import ManagerQuarter, QuarterPreview, QuarterTalk

#: More managers than this are shown in parts of this size, which are unfolded one by one.
PART_SIZE = 40
#: The height of the tallest bar above the weeks; the style sheet has a class for each height up to this.
BAR_STEPS = 10
#: The number of Friday as in `date.weekday`. Sessions at a weekend are shown on Friday.
FRIDAY = 4
#: The place in the week, from 1 to 5, of a session that is only expected.
MIDWEEK = 3


@dataclass(frozen=True, slots=True)
class WeekColumn:
    """A week of the picture, with the counts of the whole company."""

    day: str  #: the day of the month of its Monday
    month: str  #: the name of the month, when this is the month's first week in the picture; else empty
    title: str
    talks: int  #: the number of career sessions that have a time
    expected: int  #: the number of reviews, and of career sessions without a time yet
    readers: int  #: the number of people who get a mail; 0 after the weeks for which mails are listed
    height: int  #: the height of the bar, from 0 to BAR_STEPS


@dataclass(frozen=True, slots=True)
class TalkMark:
    """The mark of a session in the picture."""

    shape: str  #: the CSS class of its shape (`_get_shape`)
    day: int  #: its place in the week, from 1 to 5


@dataclass(frozen=True, slots=True)
class TalkLine:
    """A line in the list of a manager's sessions."""

    day: str
    time: str
    with_whom: str
    notes: Sequence[str]
    shape: str


@dataclass(frozen=True, slots=True)
class ManagerRow:
    """A manager's row of the picture, and the list of sessions to which it unfolds."""

    name: str
    summary: str
    weeks: Sequence[Sequence[TalkMark]]  #: the marks of each week
    lines: Sequence[TalkLine]


@dataclass(frozen=True, slots=True)
class ManagerPart:
    """A part of the rows, or all of them."""

    title: str  #: the names of the first and the last manager; empty when the part has all rows
    rows: Sequence[ManagerRow]


class QuarterPicture:
    """The picture of a quarter in its reader's language. The template reads its properties."""

    def __init__(self, preview: QuarterPreview, language: Language) -> None:
        self._preview = preview
        self._language = language
        self.gettext = language.gettext
        self.ngettext = language.ngettext
        self._mondays = preview.mondays

    @property
    def has_reviews(self) -> bool:
        """Whether any review has a time."""
        return any(talk.is_placed and not talk.is_career for talk in self._preview.talks)

    @property
    def weeks(self) -> list[WeekColumn]:
        """The weeks, with the counts of the whole company."""
        talks = Counter(talk.monday for talk in self._preview.talks if talk.is_career and talk.is_placed)
        expected = Counter(talk.monday for talk in self._preview.talks if not (talk.is_career and talk.is_placed))
        readers = self._count_readers()
        largest_count = max([*talks.values(), 1])
        previous_mondays = [None, *self._mondays]
        return [
            WeekColumn(
                day=str(monday.day),
                month="" if _are_in_one_month(previous, monday) else self._language.format_short_month(monday),
                title=format_week(monday, self._language),
                talks=talks[monday],
                expected=expected[monday],
                readers=readers[monday],
                height=math.ceil(talks[monday] * BAR_STEPS / largest_count),
            )
            for previous, monday in zip(previous_mondays, self._mondays, strict=False)
        ]

    def _count_readers(self) -> Counter[date]:
        """Return the number of people who get a mail in a week, by the Monday of the week."""
        weeks_of_readers = {(find_monday(mail.day), mail.to.email) for mail in self._preview.mails}
        return Counter(monday for monday, _ in weeks_of_readers)

    @property
    def parts(self) -> list[ManagerPart]:
        """The rows of all managers, in several parts when there are more than PART_SIZE."""
        managers = self._preview.managers
        parts = [managers[first : first + PART_SIZE] for first in range(0, len(managers), PART_SIZE)]
        return [
            ManagerPart(
                self._make_part_title(part) if len(parts) > 1 else "", [self._make_row(quarter) for quarter in part]
            )
            for part in parts
        ]

    def _make_part_title(self, part: Sequence[ManagerQuarter]) -> str:
        first, last = to_single_line(part[0].manager.name), to_single_line(part[-1].manager.name)
        return self.gettext("%(first)s to %(last)s", first=first, last=last)

    def _make_row(self, quarter: ManagerQuarter) -> ManagerRow:
        talks_by_week = {monday: [talk for talk in quarter.talks if talk.monday == monday] for monday in self._mondays}
        most_in_week = max([quarter.count_talks(monday) for monday in self._mondays], default=0)
        career_count = sum(talk.is_career for talk in quarter.talks)
        summary = self.ngettext("one conversation", "%(count)s conversations", career_count)
        if most_in_week > 1:
            summary = self.gettext(
                "%(conversations)s, at most %(count)s a week", conversations=summary, count=most_in_week
            )
        return ManagerRow(
            name=to_single_line(quarter.manager.name),
            summary=summary,
            weeks=[[_make_mark(talk) for talk in talks_by_week[monday]] for monday in self._mondays],
            lines=[self._make_line(talk) for talk in quarter.talks],
        )

    def _make_line(self, talk: QuarterTalk) -> TalkLine:
        if talk.is_placed:
            day = self._language.format_short_day(talk.day)
            time = self._language.format_time_range(talk.span.start, talk.span.end, talk.manager.zone)
        else:
            day, time = format_week(talk.monday, self._language), self.gettext("expected")
        return TalkLine(day, time, to_single_line(talk.report.name), list(self._list_notes(talk)), _get_shape(talk))

    def _list_notes(self, talk: QuarterTalk) -> Iterator[str]:
        """Yield the notes on a session: its time in the report's zone when that differs, its kind, and its length."""
        start, zone = talk.span.start, talk.report.zone
        if talk.is_placed and _get_offset(start, talk.manager) != _get_offset(start, talk.report):
            hours = self._language.format_time_range(start, talk.span.end, zone)
            city = self._language.get_city_name(zone)
            yield self.gettext("%(hours)s in %(city)s", hours=hours, city=city)
        if talk.kind is SessionKind.REVIEW:
            yield self.gettext("inside their 1:1") if talk.is_inside_1on1 else self.gettext("review")
        if talk.part:
            yield self.gettext("part %(number)s of 3", number=talk.part)
        if talk.is_career and talk.is_placed and talk.span.minutes < talk.wanted_minutes:
            minutes, wanted = talk.span.minutes, talk.wanted_minutes
            yield self.gettext("%(minutes)s minutes in place of %(wanted)s", minutes=minutes, wanted=wanted)
        if talk.is_placed and talk.weeks_late:
            yield self.ngettext("a week later than wished", "%(count)s weeks later than wished", talk.weeks_late)


def format_week(monday: date, language: Language) -> str:
    """Return the name of the week that begins on that Monday."""
    return language.gettext("Week of %(day)s", day=language.format_short_day(monday, has_weekday=False))


def _are_in_one_month(previous: date | None, monday: date) -> bool:
    return previous is not None and (previous.year, previous.month) == (monday.year, monday.month)


def _make_mark(talk: QuarterTalk) -> TalkMark:
    place = min(talk.day.weekday(), FRIDAY) + 1 if talk.is_placed else MIDWEEK
    return TalkMark(_get_shape(talk), place)


def _get_shape(talk: QuarterTalk) -> str:
    """Return the CSS class of the mark: `t` for a career session, `r` for a review, `te` and `re` for expected ones."""
    return ("t" if talk.is_career else "r") + ("" if talk.is_placed else "e")


def _get_offset(instant: datetime, person: Person) -> timedelta | None:
    return instant.astimezone(ZoneInfo(person.zone)).utcoffset()
