"""A year of two people as a picture: what was held, what is to come, what lost its time, and what became of promises.

Only places and words; the template draws them. There is no measure in it, and nothing to compare by (R-24).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from worker.domain.model import Commitment, CommitmentStanding, Owner, Session, SessionKind, SessionState
from worker.domain.reason_texts import N_
from worker.i18n.reasons import SESSION_NAMES
from worker.mail.view import MailView
from worker.store.queries import PairYear

WIDTH, HEIGHT = 720, 92
TALK_ROW, COMMITMENT_ROWS = 30, {Owner.MANAGER: 62, Owner.REPORT: 80}
TIME_BEFORE, TIME_AHEAD = timedelta(days=270), timedelta(days=110)

_TONE_TEXTS = {
    "held": N_("held"),
    "ahead": N_("to come"),
    "unfinished": N_("held, without a contract"),
    "put-off": N_("put off: %(why)s"),
    "kept": N_("kept"),
    "open": N_("open"),
    "late": N_("open, past its day"),
    "gone": N_("changed or let go"),
}


@dataclass(frozen=True, slots=True)
class ChartMark:
    """Something at one place. `kind` is the shape, `tone` how it went."""

    x: float
    y: int
    kind: str
    tone: str
    title: str


@dataclass(frozen=True, slots=True)
class YearChart:
    """What is drawn, and what it says to whoever can't see it."""

    marks: Sequence[ChartMark]
    months: Sequence[tuple[float, str]]
    today: float
    told: str
    width: int = WIDTH
    height: int = HEIGHT


def chart_start(now: datetime) -> datetime:
    """Where the picture begins."""
    return now - TIME_BEFORE


def build_year_chart(year: PairYear, reading: MailView) -> YearChart:
    """The picture of a pair, as its reader names days and people."""
    marks = [
        *_mark_sessions(year.sessions, reading),
        *_mark_deferrals(year, reading),
        *_mark_commitments(year.commitments, reading),
    ]
    now = reading.letter.now
    inside = [mark for mark in marks if 0 <= mark.x <= WIDTH]
    return YearChart(inside, list(_iter_months(now, reading)), _compute_x(now, now), _describe_year(year, reading))


def _compute_x(when: datetime, now: datetime) -> float:
    return round((when - chart_start(now)) / (TIME_BEFORE + TIME_AHEAD) * WIDTH, 1)


def _noon_of(day: date) -> datetime:
    return datetime.combine(day, time(12), UTC)


def _iter_months(now: datetime, reading: MailView) -> Iterator[tuple[float, str]]:
    first = (chart_start(now).date() + timedelta(days=31)).replace(day=1)
    while (x := _compute_x(_noon_of(first), now)) < WIDTH - 24:
        yield x, reading.words.format_short_month(first)
        first = (first + timedelta(days=32)).replace(day=1)


def _mark_sessions(sessions: Sequence[Session], reading: MailView) -> Iterator[ChartMark]:
    gettext = reading.gettext
    for session in sessions:
        tone = _choose_session_tone(session)
        if session.start and tone:
            what = f"{gettext(SESSION_NAMES[session.kind])}, {reading.day(session.start)}: {gettext(_TONE_TEXTS[tone])}"
            kind = "talk" if session.kind is SessionKind.CAREER else "short"
            yield ChartMark(_compute_x(session.start, reading.letter.now), TALK_ROW, kind, tone, what)


def _choose_session_tone(session: Session) -> str:
    if session.booked:
        return "ahead"
    held = session.state in (SessionState.HELD, SessionState.CONTRACTED)
    return "held" if held else "unfinished" if session.state is SessionState.UNFINISHED else ""


def _mark_deferrals(year: PairYear, reading: MailView) -> Iterator[ChartMark]:
    for deferral in year.deferrals:
        if deferral.was:
            why = reading.cause(deferral)
            title = f"{reading.day(deferral.was.start)}: {reading.gettext(_TONE_TEXTS['put-off'], why=why)}"
            yield ChartMark(_compute_x(deferral.was.start, reading.letter.now), TALK_ROW, "lost", "put-off", title)


def _mark_commitments(commitments: Sequence[Commitment], reading: MailView) -> Iterator[ChartMark]:
    for one in commitments:
        tone = _choose_commitment_tone(one, reading.today)
        person = reading.letter.manager if one.owner is Owner.MANAGER else reading.letter.report
        name = reading.first(person) if person else ""
        title = f"{name}, {reading.day(one.due)}: {reading.gettext(_TONE_TEXTS[tone])}"
        yield ChartMark(
            _compute_x(_noon_of(one.due), reading.letter.now), COMMITMENT_ROWS[one.owner], "promise", tone, title
        )


def _choose_commitment_tone(one: Commitment, today: date) -> str:
    if one.standing is CommitmentStanding.DONE:
        return "kept"
    if not one.is_open:
        return "gone"
    return "open" if one.due >= today else "late"


def _describe_year(year: PairYear, reading: MailView) -> str:
    """The same in a sentence or two."""
    talks = [one for one in year.sessions if one.kind is SessionKind.CAREER]
    held = sum(_choose_session_tone(one) in ("held", "unfinished") for one in talks)
    lost = len(year.deferrals)
    kept = sum(one.standing is CommitmentStanding.DONE for one in year.commitments)
    due = sum(one.is_open for one in year.commitments)
    said = [
        reading.ngettext("%(count)s conversation held.", "%(count)s conversations held.", held),
        reading.ngettext("%(count)s time put off.", "%(count)s times put off.", lost) if lost else "",
        reading.ngettext("%(count)s commitment kept,", "%(count)s commitments kept,", kept),
        reading.ngettext("%(count)s open.", "%(count)s open.", due),
    ]
    return " ".join(part for part in said if part)
