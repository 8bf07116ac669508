"""A year of two people as a picture: what was held, what is to come, what lost its time, and what became of promises.

Only places and words; the template draws them. There is no measure in it, and nothing to compare by (R-24).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from worker.domain.model import Commitment, Kind, Owner, Session, Standing, State
from worker.domain.reason_texts import N_
from worker.i18n.reasons import TALKS
from worker.mail.view import MailView
from worker.store.queries import Year

WIDTH, HEIGHT = 720, 92
TALK_ROW, ROWS = 30, {Owner.MANAGER: 62, Owner.REPORT: 80}
BACK, AHEAD = timedelta(days=270), timedelta(days=110)

_TONES = {
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
class Mark:
    """Something at one place. `kind` is the shape, `tone` how it went."""

    x: float
    y: int
    kind: str
    tone: str
    title: str


@dataclass(frozen=True, slots=True)
class Picture:
    """What is drawn, and what it says to whoever can't see it."""

    marks: Sequence[Mark]
    months: Sequence[tuple[float, str]]
    today: float
    told: str
    width: int = WIDTH
    height: int = HEIGHT


def since(now: datetime) -> datetime:
    """Where the picture begins."""
    return now - BACK


def picture(year: Year, reading: MailView) -> Picture:
    """The picture of a pair, as its reader names days and people."""
    marks = [*_talks(year.sessions, reading), *_put_off(year, reading), *_promises(year.commitments, reading)]
    now = reading.letter.now
    inside = [mark for mark in marks if 0 <= mark.x <= WIDTH]
    return Picture(inside, list(_months(now, reading)), _x(now, now), _describe_year(year, reading))


def _x(when: datetime, now: datetime) -> float:
    return round((when - since(now)) / (BACK + AHEAD) * WIDTH, 1)


def _noon(day: date) -> datetime:
    return datetime.combine(day, time(12), UTC)


def _months(now: datetime, reading: MailView) -> Iterator[tuple[float, str]]:
    first = (since(now).date() + timedelta(days=31)).replace(day=1)
    while (x := _x(_noon(first), now)) < WIDTH - 24:
        yield x, reading.words.month_name(first)
        first = (first + timedelta(days=32)).replace(day=1)


def _talks(sessions: Sequence[Session], reading: MailView) -> Iterator[Mark]:
    gettext = reading.gettext
    for session in sessions:
        tone = _tone(session)
        if session.start and tone:
            what = f"{gettext(TALKS[session.kind])}, {reading.day(session.start)}: {gettext(_TONES[tone])}"
            kind = "talk" if session.kind is Kind.CAREER else "short"
            yield Mark(_x(session.start, reading.letter.now), TALK_ROW, kind, tone, what)


def _tone(session: Session) -> str:
    if session.booked:
        return "ahead"
    held = session.state in (State.HELD, State.CONTRACTED)
    return "held" if held else "unfinished" if session.state is State.UNFINISHED else ""


def _put_off(year: Year, reading: MailView) -> Iterator[Mark]:
    for deferral in year.deferrals:
        if deferral.was:
            why = reading.cause(deferral)
            title = f"{reading.day(deferral.was.start)}: {reading.gettext(_TONES['put-off'], why=why)}"
            yield Mark(_x(deferral.was.start, reading.letter.now), TALK_ROW, "lost", "put-off", title)


def _promises(commitments: Sequence[Commitment], reading: MailView) -> Iterator[Mark]:
    for one in commitments:
        tone = _standing(one, reading.today)
        person = reading.letter.manager if one.owner is Owner.MANAGER else reading.letter.report
        name = reading.first(person) if person else ""
        title = f"{name}, {reading.day(one.due)}: {reading.gettext(_TONES[tone])}"
        yield Mark(_x(_noon(one.due), reading.letter.now), ROWS[one.owner], "promise", tone, title)


def _standing(one: Commitment, today: date) -> str:
    if one.standing is Standing.DONE:
        return "kept"
    if not one.open:
        return "gone"
    return "open" if one.due >= today else "late"


def _describe_year(year: Year, reading: MailView) -> str:
    """The same in a sentence or two."""
    talks = [one for one in year.sessions if one.kind is Kind.CAREER]
    held = sum(_tone(one) in ("held", "unfinished") for one in talks)
    lost = len(year.deferrals)
    kept = sum(one.standing is Standing.DONE for one in year.commitments)
    due = sum(one.open for one in year.commitments)
    said = [
        reading.ngettext("%(count)s conversation held.", "%(count)s conversations held.", held),
        reading.ngettext("%(count)s time put off.", "%(count)s times put off.", lost) if lost else "",
        reading.ngettext("%(count)s commitment kept,", "%(count)s commitments kept,", kept),
        reading.ngettext("%(count)s open.", "%(count)s open.", due),
    ]
    return " ".join(part for part in said if part)
