"""The quarter as a picture: a column for each week, a row for each manager, and the days and hours that a row opens to.

Times are those of the manager; where the clocks of the two differ, the report's stand beside them.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from worker.domain.model import Person, SessionKind
from worker.domain.planning.weekly import find_monday
from worker.i18n.language import Language, to_single_line
from worker.ops.preview.quarter import ManagerQuarter, QuarterPreview, QuarterTalk

#: More managers than this are shown in parts, each of which opens by itself.
PART_SIZE = 40
#: The heights that a bar may have.
BAR_STEPS = 10
#: As `date.weekday` counts; what stands at a weekend is shown at the end of the week.
FRIDAY = 4
#: The place of what is expected in a week.
MIDWEEK = 3


@dataclass(frozen=True, slots=True)
class WeekColumn:
    """A week of the picture, with what it holds for the whole company."""

    day: str  #: of its Monday, without the month
    month: str  #: its name, where the week is the first of it that is shown
    title: str
    talks: int  #: conversations that have a time
    expected: int  #: reviews, and conversations without a time yet
    readers: int  #: people who get a mail; 0 after the weeks for which mails are listed
    height: int  #: of the bar, from 0 to BAR_STEPS


@dataclass(frozen=True, slots=True)
class TalkMark:
    """A mark in the picture: the class of its shape, and its place in the week, from 1 to 5."""

    shape: str
    day: int


@dataclass(frozen=True, slots=True)
class TalkLine:
    """A session of one manager."""

    day: str
    time: str
    with_whom: str
    notes: Sequence[str]
    shape: str


@dataclass(frozen=True, slots=True)
class ManagerRow:
    """A manager's row of the picture, and the sessions that it opens to."""

    name: str
    summary: str
    weeks: Sequence[Sequence[TalkMark]]
    lines: Sequence[TalkLine]


@dataclass(frozen=True, slots=True)
class ManagerPart:
    """Some of the rows; `title` is empty when these are all."""

    title: str
    rows: Sequence[ManagerRow]


class QuarterPicture:
    """The picture of a quarter in its reader's language."""

    def __init__(self, preview: QuarterPreview, language: Language) -> None:
        self._preview = preview
        self._language = language
        self.gettext = language.gettext
        self.ngettext = language.ngettext
        self._mondays = preview.mondays

    @property
    def has_reviews(self) -> bool:
        """Whether there is a review that has a time."""
        return any(talk.is_placed and not talk.is_career for talk in self._preview.talks)

    @property
    def weeks(self) -> list[WeekColumn]:
        """The weeks, with the talks and readers of the whole company."""
        talks = Counter(talk.monday for talk in self._preview.talks if talk.is_career and talk.is_placed)
        expected = Counter(talk.monday for talk in self._preview.talks if not (talk.is_career and talk.is_placed))
        readers = self._count_readers()
        most = max([*talks.values(), 1])
        months = ["", *(f"{monday:%Y-%m}" for monday in self._mondays)]
        return [
            WeekColumn(
                day=str(monday.day),
                month=self._language.format_short_month(monday) if months[n] != months[n + 1] else "",
                title=format_week(monday, self._language),
                talks=talks[monday],
                expected=expected[monday],
                readers=readers[monday],
                height=-(-talks[monday] * BAR_STEPS // most),
            )
            for n, monday in enumerate(self._mondays)
        ]

    def _count_readers(self) -> Counter[date]:
        """Return how many people get a mail in a week, by its Monday."""
        return Counter(monday for monday, _ in {(find_monday(mail.day), mail.to.email) for mail in self._preview.mails})

    @property
    def parts(self) -> list[ManagerPart]:
        """The managers' rows, in parts where they are many."""
        managers = self._preview.managers
        parts = [managers[n : n + PART_SIZE] for n in range(0, len(managers), PART_SIZE)]
        return [
            ManagerPart(self._name_part(part) if len(parts) > 1 else "", [self._make_row(one) for one in part])
            for part in parts
        ]

    def _name_part(self, part: Sequence[ManagerQuarter]) -> str:
        first, last = (to_single_line(part[n].manager.name) for n in (0, -1))
        return self.gettext("%(first)s to %(last)s", first=first, last=last)

    def _make_row(self, quarter: ManagerQuarter) -> ManagerRow:
        by_week = {monday: [talk for talk in quarter.talks if talk.monday == monday] for monday in self._mondays}
        busiest = max([quarter.count_talks(monday) for monday in self._mondays], default=0)
        conversations = sum(talk.is_career for talk in quarter.talks)
        summary = self.ngettext("one conversation", "%(count)s conversations", conversations)
        if busiest > 1:
            summary = self.gettext("%(conversations)s, at most %(count)s a week", conversations=summary, count=busiest)
        return ManagerRow(
            name=to_single_line(quarter.manager.name),
            summary=summary,
            weeks=[[_make_mark(talk) for talk in by_week[monday]] for monday in self._mondays],
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
        """Yield what is to be said of a session, first of all its time for the report, where the clocks differ."""
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
    """Return the name of the week of that Monday."""
    return language.gettext("Week of %(day)s", day=language.format_short_day(monday, has_weekday=False))


def _make_mark(talk: QuarterTalk) -> TalkMark:
    return TalkMark(_get_shape(talk), min(talk.day.weekday(), FRIDAY) + 1 if talk.is_placed else MIDWEEK)


def _get_shape(talk: QuarterTalk) -> str:
    """Return the class of the talk's mark: `t` a conversation, `r` a review; `e` after it where it is expected."""
    return ("t" if talk.is_career else "r") + ("" if talk.is_placed else "e")


def _get_offset(at: datetime, person: Person) -> timedelta | None:
    return at.astimezone(ZoneInfo(person.zone)).utcoffset()
