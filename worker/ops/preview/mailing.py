"""The mails of the first weeks, by day, and one of each as its readers would see it, in the reader's language."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby

from worker.domain.planning.weekly import find_monday
from worker.i18n.language import Language, to_single_line
from worker.ops.preview.letters import SampleMail
from worker.ops.preview.picture import format_week
from worker.ops.preview.quarter import QuarterMail, QuarterPreview
from worker.ops.preview.texts import MAIL_TEXTS


@dataclass(frozen=True, slots=True)
class MailLine:
    """The mails of one name on a day."""

    title: str
    readers: Sequence[str]
    is_certain: bool


@dataclass(frozen=True, slots=True)
class MailsOfDay:
    """The mails of a day."""

    day: str
    lines: Sequence[MailLine]


@dataclass(frozen=True, slots=True)
class MailWeek:
    """The days of a week on which somebody gets a mail."""

    title: str
    days: Sequence[MailsOfDay]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownSample:
    """A mail as its reader would see it, and what is said about it."""

    id: int
    title: str
    role: str
    purpose: str
    heading: str
    is_made_up: bool
    lang: str
    subject: str
    html: str
    text: str
    height: int  #: of a frame that shows all of it on a wide screen, in pixels


class QuarterMailing:
    """The mails of a quarter in the language of the page's reader."""

    def __init__(self, preview: QuarterPreview, language: Language, samples: Sequence[SampleMail]) -> None:
        self._preview = preview
        self._language = language
        self.gettext = language.gettext
        self._samples = samples

    @property
    def invitations(self) -> str:
        """Say how many invitations the calendars send at once; empty when they send none."""
        count = self._preview.invitation_count
        if not count:
            return ""
        return self._language.ngettext(
            "Within minutes the calendars send an invitation for one conversation. It comes beside these mails.",
            "Within minutes the calendars send invitations for %(count)s conversations. They come beside these mails.",
            count,
        )

    @property
    def weeks(self) -> list[MailWeek]:
        """The mails of the first weeks."""
        mails = sorted(self._preview.mails, key=lambda mail: mail.day)
        return [
            MailWeek(
                format_week(monday, self._language),
                [self._make_day(day, list(listed)) for day, listed in groupby(week, key=lambda mail: mail.day)],
            )
            for monday, week in groupby(mails, key=lambda mail: find_monday(mail.day))
        ]

    def _make_day(self, day: date, mails: Sequence[QuarterMail]) -> MailsOfDay:
        by_name = {name: [mail for mail in mails if mail.name == name] for name in MAIL_TEXTS}
        lines = [self._make_line(name, listed) for name, listed in by_name.items() if listed]
        return MailsOfDay(self._language.format_short_day(day), lines)

    def _make_line(self, name: str, mails: Sequence[QuarterMail]) -> MailLine:
        people = {mail.to.email: to_single_line(mail.to.name) for mail in mails}
        is_certain = all(mail.is_certain for mail in mails)
        return MailLine(self.gettext(MAIL_TEXTS[name][0]), sorted(people.values(), key=str.casefold), is_certain)

    @property
    def samples(self) -> list[ShownSample]:
        """The mails to be looked at, in the order of MAIL_TEXTS, those to managers first."""
        order = list(MAIL_TEXTS)
        listed = sorted(self._samples, key=lambda one: (order.index(one.name), not one.is_for_manager))
        return [self._make_sample(number, sample) for number, sample in enumerate(listed, 1)]

    def _make_sample(self, number: int, sample: SampleMail) -> ShownSample:
        title, purpose = MAIL_TEXTS[sample.name]
        at = f"{self._language.format_short_day(sample.day)}, {self._language.format_time(sample.at, sample.to.zone)}"
        return ShownSample(
            id=number,
            title=self.gettext(title),
            role=self.gettext("to the manager") if sample.is_for_manager else self.gettext("to the report"),
            purpose=self.gettext(purpose),
            heading=self.gettext("To %(name)s, on %(at)s.", name=to_single_line(sample.to.name), at=at),
            is_made_up=sample.is_made_up,
            lang=sample.language.tag,
            subject=sample.subject,
            html=sample.html,
            text=sample.text,
            height=_estimate_height(sample.text),
        )


def _estimate_height(text: str) -> int:
    """Return how high a mail is in a frame, in pixels, judged by its plain text, whose links and lines below headings
    have no line of their own in the frame."""
    lines = [line.strip() for line in text.splitlines() if not line.strip().startswith(("http", "--"))]
    blank = lines.count("")
    return 190 + 26 * (len(lines) - blank) + 17 * blank
