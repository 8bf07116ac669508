"""The texts of the page about the next 13 weeks in its reader's language, so that the template computes nothing.

People have the names of the roster, with line breaks replaced by spaces.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby

from worker.domain.rollout import Rollout
from worker.domain.time.worktime import format_hours, get_local_date
from worker.i18n.domain_texts import translate_reasons
from worker.i18n.language import Language, to_single_line
from worker.ops.preview.concerns import ConcernKind, PairConcern
from worker.ops.preview.mailing import QuarterMailing
from worker.ops.preview.picture import QuarterPicture
from worker.ops.preview.quarter import WEEK, QuarterPreview
from worker.ops.preview.sample_mails import SampleMail
from worker.ops.preview.texts import CONCERN_TITLES, PERSON_CONCERNS, REMEDIES

#: The most concerns of one kind that are shown; the page unfolds further ones.
SHOWN_CONCERNS = 6
#: The most names of a rollout that are shown; the page says when there are more.
SHOWN_NAMES = 8


@dataclass(frozen=True, slots=True)
class ConcernGroup:
    """The concerns of one kind."""

    title: str
    lines: Sequence[str]  #: a line for each concern
    remedy: str  #: what can be done about them

    @property
    def shown(self) -> Sequence[str]:
        """The lines that are always shown."""
        return self.lines[:SHOWN_CONCERNS]

    @property
    def more(self) -> Sequence[str]:
        """The lines that the page unfolds."""
        return self.lines[SHOWN_CONCERNS:]


class QuarterView:
    """The texts about a quarter in its reader's language. The template reads its properties."""

    def __init__(
        self,
        preview: QuarterPreview,
        language: Language,
        samples: Sequence[SampleMail] = (),
        *,
        rollout: Rollout | None = None,
        made_at: datetime | None = None,
        is_booked: bool = False,
    ) -> None:
        """`made_at`: when the calendars were read, by default `preview.now`.

        When the rollout is still to begin, `preview.now` is its beginning, and is later than `made_at`.

        `is_booked`: whether the page shows only what is booked, and not what would be booked now.
        """
        self.preview = preview
        self.is_booked = is_booked
        self.picture = QuarterPicture(preview, language)  #: the chart with a column for each week
        self.mailing = QuarterMailing(preview, language, samples)  #: who gets which mails, with a sample of each
        self._rollout = rollout or Rollout()
        self._made_at = made_at or preview.now
        self._language = language
        self.gettext = language.gettext
        self.ngettext = language.ngettext

    # --- the summary ---

    @property
    def sentences(self) -> list[str]:
        """The summary of the quarter, in sentences."""
        preview, first_talk = self.preview, self.preview.first_talk
        if not preview.pair_count:
            return [self.gettext("There is no pair to be shown.")]
        sentences = [
            self.gettext(
                "%(pairs)s with %(managers)s.",
                pairs=self.ngettext("One pair", "%(count)s pairs", preview.pair_count),
                managers=self.ngettext("one manager", "%(count)s managers", len(preview.managers)),
            )
        ]
        if preview.timed_count == preview.pair_count:
            sentences.append(
                self.ngettext(
                    "It has a time within the next 13 weeks.",
                    "All of them have a time within the next 13 weeks.",
                    preview.pair_count,
                )
            )
        else:
            sentences.append(
                self.ngettext(
                    "One of them has a time within the next 13 weeks.",
                    "%(count)s of them have a time within the next 13 weeks.",
                    preview.timed_count,
                )
            )
        sentences += self._list_exceptions()
        if first_talk is not None:
            sentences.append(
                self.gettext("The first conversation is on %(day)s.", day=self._format_long_day(first_talk.day))
            )
        sentences.append(self._describe_readers(self.preview.count_readers(WEEK)))
        return sentences

    def _describe_readers(self, count: int) -> str:
        """Return a sentence on how many people get a mail within a week."""
        if self.is_booked:
            if not count:
                return self.gettext("Within a week, nobody gets a mail.")
            return self.ngettext(
                "Within a week, one person gets a mail.", "Within a week, %(count)s people get a mail.", count
            )
        if not count:
            return self.gettext("In the first week, nobody gets a mail.")
        return self.ngettext(
            "In the first week, one person gets a mail.", "In the first week, %(count)s people get a mail.", count
        )

    def _list_exceptions(self) -> Iterator[str]:
        """Yield sentences on the pairs that have no time within the quarter."""
        preview = self.preview
        untimed_count = preview.pair_count - preview.timed_count - preview.later_count - preview.not_begun_count
        if preview.later_count:
            yield self.ngettext("One has a later time.", "%(count)s have a later time.", preview.later_count)
        if preview.not_begun_count:
            yield self.ngettext(
                "One begins later, at its start.", "%(count)s begin later, at their start.", preview.not_begun_count
            )
        if untimed_count:
            yield self.ngettext("One has no time.", "%(count)s have no time.", untimed_count)

    @property
    def scope(self) -> list[str]:
        """Sentences on which part of the company is shown, and from which day; empty for everybody as of now."""
        sentences, count = [], self.preview.absent_count
        if self.preview.now.date() > self._made_at.date():
            day = get_local_date(self.preview.zone, self.preview.now)
            sentences.append(self.gettext("This is how it begins on %(day)s.", day=self._format_long_day(day)))
        rollout = self._rollout
        named = [*(rollout.groups or ()), *(rollout.managers or ()), *(rollout.addresses or ())]
        if named:
            names = ", ".join(map(to_single_line, named[:SHOWN_NAMES])) + (", …" if len(named) > SHOWN_NAMES else "")
            sentences.append(self.gettext("These take part: %(names)s.", names=names))
        if count:
            sentences.append(
                self.ngettext(
                    "One more pair does not take part, or is paused, and is not shown.",
                    "%(count)s more pairs do not take part, or are paused, and are not shown.",
                    count,
                )
            )
        return sentences

    @property
    def made_at(self) -> str:
        """The time at which the calendars were read, as text."""
        zone = self.preview.zone
        day = self._language.format_day(get_local_date(zone, self._made_at), with_year=True)
        return f"{day}, {self._language.format_time(self._made_at, zone)} ({self._language.get_city_name(zone)})"

    @property
    def certainty(self) -> str:
        """A sentence on how certain the times are."""
        if self.is_booked:
            return self.gettext("A conversation with a day and an hour stands on both calendars.")
        return self.gettext(
            "A conversation with a day and an hour would be booked then, or is already: the two are free in the"
            " calendars as they are now."
        )

    @property
    def placed_label(self) -> str:
        """The legend of the mark of a career session with a time."""
        return self.gettext("conversation, booked") if self.is_booked else self.gettext("conversation, with its time")

    @property
    def mails_title(self) -> str:
        """The heading above the mails."""
        if self.is_booked:
            return self.gettext("Who gets which mail in the next four weeks")
        return self.gettext("Who gets which mail in the first four weeks")

    # --- the concerns ---

    @property
    def concerns(self) -> list[ConcernGroup]:
        """The concerns, grouped by kind."""
        groups = groupby(self.preview.concerns, key=lambda concern: concern.kind)
        return [
            ConcernGroup(
                self.gettext(CONCERN_TITLES[kind]),
                [self._describe_concern(concern) for concern in concerns_of_kind],
                self.gettext(REMEDIES[kind]),
            )
            for kind, concerns_of_kind in groups
        ]

    def _describe_concern(self, concern: PairConcern) -> str:
        """Return the line of a concern: its people, and the reasons, hours or number of pairs that it is about."""
        person, report, count = concern.person, concern.report, concern.count
        name = to_single_line(person.name)
        if report is None:
            texts = PERSON_CONCERNS.get(concern.kind)
            return self.ngettext(*texts, count, name=name) if texts else name
        other = to_single_line(report.name)
        if concern.kind is not ConcernKind.HOURS_APART:
            reasons = translate_reasons(concern.reasons, self._language, person.zone, self.preview.now.date())
            both = self.gettext("%(name)s and %(other)s", name=name, other=other)
            return f"{both}. {to_single_line(reasons)}" if reasons else both
        return self.gettext(
            "%(name)s (%(hours)s in %(city)s) and %(other)s (%(other_hours)s in %(other_city)s)",
            name=name,
            hours=format_hours(person.hours),
            city=self._language.get_city_name(person.zone),
            other=other,
            other_hours=format_hours(report.hours),
            other_city=self._language.get_city_name(report.zone),
        )

    # --- the people ---

    @property
    def places(self) -> list[tuple[str, int]]:
        """The city of each time zone and the number of people there, the largest number first."""
        counts = Counter(person.zone for person in self.preview.people)
        return [(self._language.get_city_name(zone), count) for zone, count in counts.most_common()]

    def _format_long_day(self, day: date) -> str:
        return self._language.format_day(day, with_year=day.year != self.preview.now.year)
