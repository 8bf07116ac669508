"""The chart of a pair's year: sessions held and to come, deferrals, and commitments with their status.

This module computes the positions and texts that the template draws. The chart shows no score, so that nobody can be
compared by it (R-24).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta

from worker.domain.model import Commitment, CommitmentStanding, Owner, Session, SessionKind, SessionState
from worker.domain.reason_texts import N_
from worker.i18n.domain_texts import SESSION_NAMES
from worker.mail.names import guess_first_name
from worker.mail.view import MailView
from worker.store.queries import PairActivity

#: The height of the chart, in pixels.
HEIGHT = 92
#: The y coordinate of sessions.
SESSION_ROW = 30
#: The y coordinate of each person's commitments.
COMMITMENT_ROWS = {Owner.MANAGER: 62, Owner.REPORT: 80}
#: The chart begins at most this long before now.
MAX_TIME_BEFORE = timedelta(days=270)
#: The chart begins at least this long before now.
MIN_TIME_BEFORE = timedelta(days=60)
#: The chart of a new pair begins this long before its first mark.
TIME_BEFORE_FIRST = timedelta(days=20)
#: The width of the two people's names at the left edge, in pixels. No mark is drawn there.
NAME_WIDTH = 68
#: The width of a month's name, in pixels. A month that begins nearer to the right edge gets no name.
_LABEL_WIDTH = 24

#: The text of each tone of a mark. A tone is the CSS class of the colour, and stands for a status of what is marked.
#: `put-off` is the tone of deferrals.
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
#: The text of a deferral whose cause the reader may not know.
_PUT_OFF_WITHOUT_CAUSE = N_("put off")


@dataclass(frozen=True, slots=True)
class ChartFormat:
    """One of the two sizes of the chart."""

    name: str  #: the CSS class of the drawing
    width: int  #: in pixels
    time_before: timedelta  #: the longest period before now that the chart shows
    time_ahead: timedelta  #: the period after now that the chart shows


#: The size for wide screens, and that for phones, which shows a shorter period so that the marks stay apart.
FORMATS = (
    ChartFormat("wide", 720, MAX_TIME_BEFORE, timedelta(days=110)),
    ChartFormat("narrow", 340, timedelta(days=100), timedelta(days=100)),
)


@dataclass(frozen=True, slots=True)
class ChartMark:
    """A mark for one session, deferral or commitment."""

    x: float
    y: int
    #: The CSS class of the shape: `talk` for a career session, `short` for another session, `lost` for the time that a
    #: deferred session lost, `promise` for a commitment.
    kind: str
    tone: str  #: the CSS class of the colour, a key of _TONE_TEXTS
    title: str  #: the text that a browser shows for the mark


@dataclass(frozen=True, slots=True)
class YearChart:
    """A chart as the template draws it."""

    format: ChartFormat
    marks: Sequence[ChartMark]
    months: Sequence[tuple[float, str]]  #: x coordinate and name
    today: float  #: x coordinate
    description: str  #: for screen readers
    left: int = NAME_WIDTH  #: the x coordinate of the chart's start
    height: int = HEIGHT


@dataclass(frozen=True, slots=True)
class _Scale:
    """The horizontal scale of a chart, from instants to x coordinates."""

    start: datetime  #: the instant at x coordinate NAME_WIDTH, the right end of the two people's names
    end: datetime  #: the instant at the right edge
    width: int  #: of the whole chart

    def compute_x(self, instant: datetime) -> float:
        """Return the x coordinate of an instant."""
        share = (instant - self.start) / (self.end - self.start)
        return round(NAME_WIDTH + share * (self.width - NAME_WIDTH), 1)


def get_chart_start(now: datetime) -> datetime:
    """Return the earliest instant that any chart shows."""
    return now - MAX_TIME_BEFORE


def build_year_charts(activity: PairActivity, view: MailView) -> list[YearChart]:
    """Return one chart of a pair's year for each format. `view` gives the reader, the language and the time zone."""
    return [_build_chart(activity, view, chart_format) for chart_format in FORMATS]


def _build_chart(activity: PairActivity, view: MailView, chart_format: ChartFormat) -> YearChart:
    now = view.context.now
    # A session that somebody moved by hand does not count as deferred (T-11).
    activity = replace(activity, deferrals=[deferral for deferral in activity.deferrals if deferral.is_counted])
    # The chart begins before its first mark, but neither earlier than the format allows nor later than the minimum.
    start = now - max(min(chart_format.time_before, _measure_history(activity, now)), MIN_TIME_BEFORE)
    scale = _Scale(start, now + chart_format.time_ahead, chart_format.width)
    marks = [
        *_mark_sessions(activity.sessions, view, scale),
        *_mark_deferrals(activity, view, scale),
        *_mark_commitments(activity.commitments, view, scale),
    ]
    return YearChart(
        format=chart_format,
        marks=[mark for mark in marks if NAME_WIDTH <= mark.x <= scale.width],
        months=list(_iterate_months(scale, view)),
        today=scale.compute_x(now),
        description=_describe_year(activity, view),
    )


def _measure_history(activity: PairActivity, now: datetime) -> timedelta:
    """Return how long before now the chart must begin to show the first mark; negative when all marks lie ahead."""
    instants = [session.start for session in activity.sessions if session.start and _choose_session_tone(session)]
    instants += [deferral.was.start for deferral in activity.deferrals if deferral.was]
    instants += [_get_noon(commitment.due) for commitment in activity.commitments]
    return now - min(instants, default=now) + TIME_BEFORE_FIRST


def _get_noon(day: date) -> datetime:
    """Return noon UTC of the day. Commitments and months have a day but no time, and are drawn at noon."""
    return datetime.combine(day, time(12), UTC)


def _iterate_months(scale: _Scale, view: MailView) -> Iterator[tuple[float, str]]:
    """Yield the x coordinate and the name of each month that begins on the chart, with room for its name."""
    first_day = _find_next_month(scale.start.date())
    while (x := scale.compute_x(_get_noon(first_day))) < scale.width - _LABEL_WIDTH:
        yield x, view.language.format_short_month(first_day)
        first_day = _find_next_month(first_day)


def _find_next_month(day: date) -> date:
    """Return the first day of the month after that of `day`."""
    # 32 days after the first day of a month, it is the next month, whatever the length of the two.
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def _mark_sessions(sessions: Sequence[Session], view: MailView, scale: _Scale) -> Iterator[ChartMark]:
    gettext = view.gettext
    for session in sessions:
        tone = _choose_session_tone(session)
        if session.start and tone:
            title = f"{gettext(SESSION_NAMES[session.kind])}, {view.day(session.start)}: {gettext(_TONE_TEXTS[tone])}"
            kind = "talk" if session.kind is SessionKind.CAREER else "short"
            yield ChartMark(scale.compute_x(session.start), SESSION_ROW, kind, tone, title)


def _choose_session_tone(session: Session) -> str:
    """Return the tone of a session's mark; empty when the chart leaves the session out."""
    if session.booked:
        return "ahead"
    if session.state in (SessionState.HELD, SessionState.CONTRACTED):
        return "held"
    return "unfinished" if session.state is SessionState.UNFINISHED else ""


def _mark_deferrals(activity: PairActivity, view: MailView, scale: _Scale) -> Iterator[ChartMark]:
    for deferral in activity.deferrals:
        if deferral.was:
            cause = view.cause(deferral)
            message = _TONE_TEXTS["put-off"] if cause else _PUT_OFF_WITHOUT_CAUSE
            text = view.gettext(message, why=cause)
            title = f"{view.day(deferral.was.start)}: {text}"
            yield ChartMark(scale.compute_x(deferral.was.start), SESSION_ROW, "lost", "put-off", title)


def _mark_commitments(commitments: Sequence[Commitment], view: MailView, scale: _Scale) -> Iterator[ChartMark]:
    for commitment in commitments:
        tone = _choose_commitment_tone(commitment, view.today)
        person = commitment.owner.select(view.context.manager, view.context.report)
        name = guess_first_name(person) if person else ""
        title = f"{name}, {view.day(commitment.due)}: {view.gettext(_TONE_TEXTS[tone])}"
        yield ChartMark(
            scale.compute_x(_get_noon(commitment.due)),
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


def _describe_year(activity: PairActivity, view: MailView) -> str:
    """Return a description of the chart in a sentence or two."""
    conversations = [session for session in activity.sessions if session.kind is SessionKind.CAREER]
    held_count = sum(_choose_session_tone(session) in ("held", "unfinished") for session in conversations)
    deferral_count = len(activity.deferrals)
    kept_count = sum(commitment.standing is CommitmentStanding.DONE for commitment in activity.commitments)
    open_count = sum(commitment.is_open for commitment in activity.commitments)
    deferred = view.ngettext("%(count)s time put off.", "%(count)s times put off.", deferral_count)
    parts = [
        view.ngettext("%(count)s conversation held.", "%(count)s conversations held.", held_count),
        deferred if deferral_count else "",
        view.ngettext("%(count)s commitment kept,", "%(count)s commitments kept,", kept_count),
        view.ngettext("%(count)s open.", "%(count)s open.", open_count),
    ]
    return " ".join(part for part in parts if part)
