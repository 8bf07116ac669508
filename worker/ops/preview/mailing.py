"""The mails of the quarter's first weeks, as the page about a quarter shows them: a list by day, and sample mails."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby

from worker.domain.planning.weekly import find_monday
from worker.i18n.language import Language, to_single_line
from worker.ops.preview.picture import format_week
from worker.ops.preview.quarter import QuarterMail, QuarterPreview
from worker.ops.preview.sample_mails import SampleMail
from worker.ops.preview.texts import MAIL_TEXTS

#: Heights in pixels, from which the height of a mail is estimated: of its margins, of a line, and of an empty line.
_MARGINS_HEIGHT, _LINE_HEIGHT, _BLANK_LINE_HEIGHT = 190, 26, 17


@dataclass(frozen=True, slots=True)
class MailLine:
    """The mails of one kind on one day."""

    title: str
    readers: Sequence[str]  #: the names of their readers
    is_certain: bool  #: whether they will be sent whatever people do


@dataclass(frozen=True, slots=True)
class MailsOfDay:
    """The mails of one day."""

    day: str
    lines: Sequence[MailLine]


@dataclass(frozen=True, slots=True)
class MailWeek:
    """The days of one week on which somebody gets a mail."""

    title: str
    days: Sequence[MailsOfDay]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownSample:
    """A sample mail with the texts that the page shows about it."""

    id: int  #: its number on the page, from 1
    title: str
    role: str  #: whether it is to the manager or to the report
    purpose: str
    heading: str  #: its reader, and when it would be sent
    is_made_up: bool  #: whether it contains an invented contract
    lang: str  #: the tag of its language
    subject: str
    html: str
    text: str
    height: int  #: the height in pixels of a frame that shows the whole mail on a wide screen


class QuarterMailing:
    """The mails of a quarter, described in the language of the page's reader. The template reads its properties."""

    def __init__(self, preview: QuarterPreview, language: Language, samples: Sequence[SampleMail]) -> None:
        self._preview = preview
        self._language = language
        self.gettext = language.gettext
        self._samples = samples

    @property
    def invitations(self) -> str:
        """A sentence on how many invitations the calendar services send at first; empty when they send none."""
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
        """The mails of the first weeks, by week and day."""
        mails = sorted(self._preview.mails, key=lambda mail: mail.day)
        return [
            MailWeek(
                format_week(monday, self._language),
                [self._make_day(day, list(mails_of_day)) for day, mails_of_day in groupby(week, key=lambda m: m.day)],
            )
            for monday, week in groupby(mails, key=lambda mail: find_monday(mail.day))
        ]

    def _make_day(self, day: date, mails: Sequence[QuarterMail]) -> MailsOfDay:
        mails_by_name = {name: [mail for mail in mails if mail.name == name] for name in MAIL_TEXTS}
        lines = [self._make_line(name, mails_of_name) for name, mails_of_name in mails_by_name.items() if mails_of_name]
        return MailsOfDay(self._language.format_short_day(day), lines)

    def _make_line(self, name: str, mails: Sequence[QuarterMail]) -> MailLine:
        names_by_address = {mail.to.email: to_single_line(mail.to.name) for mail in mails}
        readers = sorted(names_by_address.values(), key=str.casefold)
        title, _ = MAIL_TEXTS[name]
        return MailLine(self.gettext(title), readers, is_certain=all(mail.is_certain for mail in mails))

    @property
    def samples(self) -> list[ShownSample]:
        """The sample mails in the order of MAIL_TEXTS; of each kind, the mail to a manager comes first."""
        order = list(MAIL_TEXTS)
        ordered_samples = sorted(
            self._samples, key=lambda sample: (order.index(sample.name), not sample.is_for_manager)
        )
        return [self._make_sample(number, sample) for number, sample in enumerate(ordered_samples, 1)]

    def _make_sample(self, number: int, sample: SampleMail) -> ShownSample:
        title, purpose = MAIL_TEXTS[sample.name]
        send_time = (
            f"{self._language.format_short_day(sample.day)}, {self._language.format_time(sample.at, sample.to.zone)}"
        )
        return ShownSample(
            id=number,
            title=self.gettext(title),
            role=self.gettext("to the manager") if sample.is_for_manager else self.gettext("to the report"),
            purpose=self.gettext(purpose),
            heading=self.gettext("To %(name)s, on %(at)s.", name=to_single_line(sample.to.name), at=send_time),
            is_made_up=sample.is_made_up,
            lang=sample.language.tag,
            subject=sample.subject,
            html=sample.html,
            text=sample.text,
            height=_estimate_height(sample.text),
        )


def _estimate_height(text: str) -> int:
    """Return an estimate of a mail's height in a frame, in pixels, based on the number of lines in its plain text.

    Links, and the rows of dashes that underline headings, are ignored, because the HTML has no lines for them.
    """
    lines = [line.strip() for line in text.splitlines() if not line.strip().startswith(("http", "--"))]
    blank_count = lines.count("")
    return _MARGINS_HEIGHT + _LINE_HEIGHT * (len(lines) - blank_count) + _BLANK_LINE_HEIGHT * blank_count
