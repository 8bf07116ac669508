"""A pair's year as a chart: sessions held and to come, deferrals, and commitments with their status.

Computes positions and texts; the template draws them. The chart has no score, so that nobody is compared by it (R-24).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from worker.domain.model import Commitment, CommitmentStanding, Owner, Session, SessionKind, SessionState
from worker.domain.reason_texts import N_
from worker.i18n.reasons import SESSION_NAMES
from worker.mail.view import MailView
from worker.store.queries import PairYear

#: The size of the chart, in pixels.
WIDTH = 720
HEIGHT = 92
#: The y coordinate of sessions.
SESSION_ROW = 30
#: The y coordinate of each person's commitments.
COMMITMENT_ROWS = {Owner.MANAGER: 62, Owner.REPORT: 80}
#: The chart begins this long before now.
TIME_BEFORE = timedelta(days=270)
#: The chart ends this long after now.
TIME_AHEAD = timedelta(days=110)
#: No month is labelled in the last pixels, where its name would be cut off.
_LABEL_WIDTH = 24

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
    """A mark for one session, deferral or commitment. `kind` chooses its shape, `tone` its colour."""

    x: float
    y: int
    kind: str
    tone: str
    title: str


@dataclass(frozen=True, slots=True)
class YearChart:
    """A chart as the template draws it."""

    marks: Sequence[ChartMark]
    months: Sequence[tuple[float, str]]  #: x coordinate and name
    today: float  #: x coordinate
    told: str  #: a description of the chart for screen readers
    width: int = WIDTH
    height: int = HEIGHT


def get_chart_start(now: datetime) -> datetime:
    """Return the time at the left edge of the chart."""
    return now - TIME_BEFORE


def build_year_chart(year: PairYear, view: MailView) -> YearChart:
    """Return the chart of a pair's year; `view` has the reader, the language and the zone."""
    marks = [
        *_mark_sessions(year.sessions, view),
        *_mark_deferrals(year, view),
        *_mark_commitments(year.commitments, view),
    ]
    now = view.context.now
    visible_marks = [mark for mark in marks if 0 <= mark.x <= WIDTH]
    return YearChart(visible_marks, list(_iterate_months(now, view)), _compute_x(now, now), _describe_year(year, view))


def _compute_x(when: datetime, now: datetime) -> float:
    return round((when - get_chart_start(now)) / (TIME_BEFORE + TIME_AHEAD) * WIDTH, 1)


def _get_noon(day: date) -> datetime:
    return datetime.combine(day, time(12), UTC)


def _iterate_months(now: datetime, view: MailView) -> Iterator[tuple[float, str]]:
    first_day = (get_chart_start(now).date() + timedelta(days=31)).replace(day=1)
    while (x := _compute_x(_get_noon(first_day), now)) < WIDTH - _LABEL_WIDTH:
        yield x, view.language.format_short_month(first_day)
        first_day = (first_day + timedelta(days=32)).replace(day=1)


def _mark_sessions(sessions: Sequence[Session], view: MailView) -> Iterator[ChartMark]:
    gettext = view.gettext
    for session in sessions:
        tone = _choose_session_tone(session)
        if session.start and tone:
            title = f"{gettext(SESSION_NAMES[session.kind])}, {view.day(session.start)}: {gettext(_TONE_TEXTS[tone])}"
            kind = "talk" if session.kind is SessionKind.CAREER else "short"
            yield ChartMark(_compute_x(session.start, view.context.now), SESSION_ROW, kind, tone, title)


def _choose_session_tone(session: Session) -> str:
    """Return the tone of a session; empty when the chart leaves it out."""
    if session.booked:
        return "ahead"
    held = session.state in (SessionState.HELD, SessionState.CONTRACTED)
    return "held" if held else "unfinished" if session.state is SessionState.UNFINISHED else ""


def _mark_deferrals(year: PairYear, view: MailView) -> Iterator[ChartMark]:
    for deferral in year.deferrals:
        if deferral.was:
            cause = view.cause(deferral)
            title = f"{view.day(deferral.was.start)}: {view.gettext(_TONE_TEXTS['put-off'], why=cause)}"
            yield ChartMark(_compute_x(deferral.was.start, view.context.now), SESSION_ROW, "lost", "put-off", title)


def _mark_commitments(commitments: Sequence[Commitment], view: MailView) -> Iterator[ChartMark]:
    for commitment in commitments:
        tone = _choose_commitment_tone(commitment, view.today)
        person = view.context.manager if commitment.owner is Owner.MANAGER else view.context.report
        name = view.first(person) if person else ""
        title = f"{name}, {view.day(commitment.due)}: {view.gettext(_TONE_TEXTS[tone])}"
        yield ChartMark(
            _compute_x(_get_noon(commitment.due), view.context.now),
            COMMITMENT_ROWS[commitment.owner],
            "promise",
            tone,
            title,
        )


def _choose_commitment_tone(commitment: Commitment, today: date) -> str:
    if commitment.standing is CommitmentStanding.DONE:
        return "kept"
    if not commitment.is_open:
        return "gone"
    return "open" if commitment.due >= today else "late"


def _describe_year(year: PairYear, view: MailView) -> str:
    """Return a description of the chart in a sentence or two."""
    conversations = [item for item in year.sessions if item.kind is SessionKind.CAREER]
    held = sum(_choose_session_tone(item) in ("held", "unfinished") for item in conversations)
    lost = len(year.deferrals)
    kept = sum(item.standing is CommitmentStanding.DONE for item in year.commitments)
    due = sum(item.is_open for item in year.commitments)
    parts = [
        view.ngettext("%(count)s conversation held.", "%(count)s conversations held.", held),
        view.ngettext("%(count)s time put off.", "%(count)s times put off.", lost) if lost else "",
        view.ngettext("%(count)s commitment kept,", "%(count)s commitments kept,", kept),
        view.ngettext("%(count)s open.", "%(count)s open.", due),
    ]
    return " ".join(part for part in parts if part)
