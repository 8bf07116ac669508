"""The timeline of the demo: a lane for each pair, weeks from left to right. Computes coordinates and texts for the SVG
in the template; all are in pixels."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from examples.northlight import people
from examples.northlight.names import (
    describe_session,
    format_both_times,
    format_pair,
    get_city,
    get_first_name,
    parse_instant,
)
from examples.northlight.result import DemoResult
from worker.domain.model import (
    Address,
    Commitment,
    CommitmentStanding,
    DeferralCause,
    Format,
    Owner,
    Pair,
    PairId,
    ReviewMode,
    Session,
    SessionKind,
    SessionState,
)
from worker.domain.planning.deferrals import CAUSE_NAMES
from worker.domain.reason_texts import format_short_date
from worker.domain.time.worktime import find_holiday
from worker.simulation.world import LedgerLine

WEEK_WIDTH = 32
LANE_HEIGHT = 112
#: Vertical positions within a lane: sessions, commitments of the manager, commitments of the report.
SESSIONS_Y = 42
MANAGER_Y = 76
REPORT_Y = 92
DAY = timedelta(days=1)
#: Height of an arc over the sessions: the least, the increase per pixel of its width, and the most.
MIN_RISE = 14
RISE_PER_PIXEL = 0.22
MAX_RISE = 34


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineMark:
    """A mark in a lane: `kind` is its shape, `tone` its colour (how it went), `title` its tooltip."""

    x: float
    y: float
    kind: str
    tone: str
    title: str
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arc:
    """An arc from the old time of a session to the new one."""

    path: str
    from_x: float
    tone: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A bar over several days: leave, a public holiday, or the time before the pair existed."""

    x: float
    width: float
    y: float
    kind: str
    title: str
    height: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """The lane of one pair."""

    y: int
    names: str
    where: str
    how: str
    marks: Sequence[TimelineMark]
    arcs: Sequence[Arc]
    stretches: Sequence[Stretch]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """The whole picture."""

    width: float
    height: int
    end: float  #: where the demo ends
    months: Sequence[tuple[float, float, str]]
    weeks: Sequence[float]
    clocks: Sequence[tuple[float, str]]
    lanes: Sequence[Lane] = field(default_factory=tuple)


def draw_timeline(result: DemoResult) -> Timeline:
    """Return the timeline from the first week to two weeks after the last booked session."""
    builder = _TimelineBuilder(result)
    lanes = [builder.make_lane(n, pair) for n, pair in enumerate(result.pairs.values())]
    return Timeline(
        width=builder.get_x(builder.last),
        height=LANE_HEIGHT * len(lanes),
        end=builder.get_x(result.end),
        months=list(builder.list_months()),
        weeks=[float(n * WEEK_WIDTH) for n in range(int(builder.get_x(builder.last) // WEEK_WIDTH) + 1)],
        clocks=list(builder.list_clock_changes()),
        lanes=lanes,
    )


class _TimelineBuilder:
    """Computes positions, and creates the parts of the timeline."""

    def __init__(self, result: DemoResult) -> None:
        self._result = result
        self._requested_ids = {line["session"] for line in result.ledger if line.get("act") == "talk"}
        self.first = datetime.combine(people.START.date(), time(), UTC)
        booked = [s.end for s in result.sessions if s.booked and s.end]
        self.last = max([*booked, result.end]) + timedelta(weeks=2)

    def get_x(self, at: datetime) -> float:
        """Return the horizontal position of an instant."""
        return round((at - self.first) / timedelta(weeks=1) * WEEK_WIDTH, 1)

    def _get_day_x(self, day: date) -> float:
        return self.get_x(datetime.combine(day, time(), UTC))

    # --- the weeks ----------------------------------------------------------------------------------------------------

    def list_months(self) -> Iterator[tuple[float, float, str]]:
        """Yield x, width and name of each month; the name is empty when there is no room for it."""
        start = self.first.date()
        while start < self.last.date():
            following = (start.replace(day=1) + 32 * DAY).replace(day=1)
            end = min(following, self.last.date())
            name = f"{start:%B %Y}" if start.month in (1, self.first.month) else f"{start:%B}"
            yield (
                self._get_day_x(start),
                self._get_day_x(end) - self._get_day_x(start),
                name if (end - start).days > 12 else "",
            )
            start = following

    def list_clock_changes(self) -> Iterator[tuple[float, str]]:
        """Yield x of each day on which clocks change, and the cities."""
        zones = dict.fromkeys(people.ZONES.values())
        for number in range((self.last - self.first).days):
            before = self.first + number * DAY
            changed = [zone for zone in zones if _get_utc_offset(zone, before) != _get_utc_offset(zone, before + DAY)]
            if changed:
                yield self.get_x(before), " and ".join(get_city(zone) for zone in changed)

    # --- a lane -------------------------------------------------------------------------------------------------------

    def make_lane(self, number: int, pair: Pair) -> Lane:
        """Return the lane of a pair; `number` counts from 0 at the top."""
        zones = dict.fromkeys(get_city(people.ZONES[who]) for who in (pair.manager, pair.report))
        sessions = [s for s in self._result.sessions if s.pair == pair.id]
        return Lane(
            y=number * LANE_HEIGHT,
            names=format_pair(pair.id),
            where=" and ".join(zones),
            how=_describe_rhythm(pair),
            marks=[
                *self._list_session_marks(sessions),
                *self._list_commitment_marks(pair.id),
                *self._list_unplaceable_marks(pair.id),
            ],
            arcs=list(self._list_arcs(pair.id)),
            stretches=[
                *self._list_joining_stretches(pair),
                *self._list_away_stretches(pair.manager, 4),
                *self._list_away_stretches(pair.report, 10),
            ],
        )

    def _list_session_marks(self, sessions: Iterable[Session]) -> Iterator[TimelineMark]:
        lines = {line["session"]: line for line in self._result.ledger if line["what"] == "session"}
        for session in sessions:
            if session.start is None or session.state is SessionState.CANCELLED:
                continue
            line = lines[session.id] | {"start": session.start.isoformat(), "kind": session.kind.value}
            tone = self._get_tone(session)
            name = _capitalize(describe_session(line, self._requested_ids))
            yield TimelineMark(
                x=self.get_x(session.start),
                y=SESSIONS_Y,
                kind="soon"
                if session.id in self._requested_ids
                else _choose_shape(session, self._result.pairs[session.pair]),
                tone=tone,
                title=f"{name}: {format_both_times(line)}. {_TONES[tone]}",
                text={"now": "1", "direction": "2", "gap": "3"}.get(session.topic.value, ""),
            )

    def _list_unplaceable_marks(self, pair: PairId) -> Iterator[TimelineMark]:
        """Yield a mark for each time at which no slot was found, and the manager was told."""
        for line in self._result.ledger:
            if line["what"] == "unplaceable" and line["pair"] == str(pair):
                consequence = f"{get_first_name(pair.manager)} is told"
                title = (
                    f"No time for the {describe_session(line, self._requested_ids)}; {consequence}. {line['reason']}"
                )
                yield TimelineMark(
                    x=self.get_x(parse_instant(line["at"])), y=SESSIONS_Y, kind="none", tone="none", title=title
                )

    def _list_joining_stretches(self, pair: Pair) -> Iterator[Stretch]:
        """Yield a bar over the weeks before the pair existed."""
        joined = self._get_day_x(pair.first_seen)
        if joined > WEEK_WIDTH:
            title = f"{get_first_name(pair.report)} joins on {format_short_date(pair.first_seen)}"
            yield Stretch(x=0, width=joined, y=1, kind="before", title=title, height=LANE_HEIGHT - 2)

    def _get_tone(self, session: Session) -> str:
        if session.booked:
            return "ahead"
        if session.state is SessionState.UNFINISHED:
            return "unfinished"
        if session.state is SessionState.CONTRACTED:
            return "late" if session.id in self._result.late_sessions else "kept"
        return "held"

    def _list_commitment_marks(self, pair: PairId) -> Iterator[TimelineMark]:
        for commitment in self._result.commitments:
            written = self._result.promises.get(commitment.id)
            if commitment.pair != pair or written is None:
                continue
            is_of_manager = commitment.owner is Owner.MANAGER
            who = get_first_name(pair.manager if is_of_manager else pair.report)
            tone, outcome = _describe_standing(commitment, self._result.end)
            yield TimelineMark(
                x=self._get_day_x(commitment.due) + WEEK_WIDTH / 14,
                y=MANAGER_Y if is_of_manager else REPORT_Y,
                kind="promise",
                tone=tone,
                title=f"{who}: {written.text}, by {format_short_date(commitment.due)}. {outcome}",
            )

    def _list_away_stretches(self, who: Address, y: float) -> Iterator[Stretch]:
        name = get_first_name(who)
        for entry in people.CALENDARS[who]:
            if entry.is_out_of_office and not isinstance(entry.start, datetime) and not isinstance(entry.end, datetime):
                x = self._get_day_x(entry.start)
                title = f"{name} is away: {entry.title}"
                yield Stretch(x=x, width=self._get_day_x(entry.end) - x, y=y, kind="away", title=title)
        country = self._result.persons[who].country
        for number in range((self.last - self.first).days):
            day = (self.first + number * DAY).date()
            if holiday := find_holiday(country, day):
                title = f"{format_short_date(day)}, {get_city(people.ZONES[who])}: {holiday}"
                yield Stretch(x=self._get_day_x(day), width=WEEK_WIDTH / 7, y=y, kind="holiday", title=title)

    def _list_arcs(self, pair: PairId) -> Iterator[Arc]:
        """Yield an arc for each session that got another time."""
        last_times: dict[str, tuple[str, str]] = {}  # by session: its last start, and why it lost that time
        for line in self._result.ledger:
            if line["what"] != "session" or line.get("pair") != str(pair):
                continue
            start, cause = last_times.get(line["session"], ("", ""))
            if line["state"] == "deferred":
                last_times[line["session"]] = (start, line["cause"])
            elif line["state"] == "booked":
                if start and start != line["start"]:
                    yield self._make_arc(line, start, cause or ("moved" if line.get("cause") == "moved" else "chosen"))
                last_times[line["session"]] = (line["start"], "")
            elif line["state"] == "owed" and start:
                last_times[line["session"]] = (start, "follows")

    def _make_arc(self, line: LedgerLine, start: str, cause: str) -> Arc:
        from_x = self.get_x(parse_instant(start))
        to_x = self.get_x(parse_instant(line["start"]))
        top = SESSIONS_Y - min(MIN_RISE + abs(to_x - from_x) * RISE_PER_PIXEL, MAX_RISE)
        tone = cause if cause in _MOVES_BY_HAND else "lost"
        why = _MOVES_BY_HAND.get(cause) or CAUSE_NAMES[DeferralCause(cause)]
        session = _capitalize(describe_session(line, self._requested_ids))
        origin = f"{session}, {why}: from {format_short_date(parse_instant(start).date())}"
        return Arc(
            path=f"M{from_x} {SESSIONS_Y} C{from_x} {top} {to_x} {top} {to_x} {SESSIONS_Y - 8}",
            from_x=from_x,
            tone=tone,
            title=f"{origin} to {format_both_times(line)}",
        )


_MOVES_BY_HAND = {"moved": "moved by hand", "chosen": "chosen by hand", "follows": "follows the one before it"}
_TONES = {
    "ahead": "On both calendars already.",
    "held": "Held.",
    "kept": "Held; the contract came within 48 hours.",
    "late": "Held; the contract came late.",
    "unfinished": "Held; no contract came.",
}


def _describe_rhythm(pair: Pair) -> str:
    if pair.transition_until:
        return "every 6 weeks, in transition"
    form = "in three parts" if pair.format is Format.SERIES else ""
    return form or ("review in the 1:1" if pair.review is ReviewMode.IN_1ON1 else f"every {pair.every}")


def _choose_shape(session: Session, pair: Pair) -> str:
    if session.kind is SessionKind.REVIEW:
        return "inside" if pair.review is ReviewMode.IN_1ON1 else "review"
    return session.kind.value


def _describe_standing(commitment: Commitment, end: datetime) -> tuple[str, str]:
    if commitment.standing is CommitmentStanding.DONE:
        return "kept", "Kept."
    if commitment.standing in (CommitmentStanding.LET_GO, CommitmentStanding.CHANGED):
        return "gone", "Let go, with a reason."
    return ("open", "Still open.") if commitment.due >= end.date() else ("overdue", "Not ticked off.")


def _get_utc_offset(zone: str, at: datetime) -> timedelta | None:
    return at.astimezone(ZoneInfo(zone)).utcoffset()


def _capitalize(text: str) -> str:
    return text[0].upper() + text[1:]


def measure_moves(ledger: Iterable[LedgerLine]) -> Mapping[str, list[timedelta]]:
    """Return by cause how far each deferral moved its session: from the lost time to the new time."""
    moves: dict[str, list[timedelta]] = {}
    starts: dict[str, str] = {}
    causes: dict[str, str] = {}
    for line in ledger:
        if line["what"] != "session":
            continue
        session_id = line["session"]
        if line["state"] == "deferred":
            causes[session_id] = line["cause"]
        elif line["state"] == "booked":
            if session_id in causes and session_id in starts:
                move = parse_instant(line["start"]) - parse_instant(starts[session_id])
                moves.setdefault(causes.pop(session_id), []).append(move)
            starts[session_id] = line["start"]
    return moves
