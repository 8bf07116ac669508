"""The timeline of the demo, with a lane for each pair. Weeks run to the right, or downwards for narrow screens.

This module computes the coordinates, in pixels, and the texts for the SVG in the template.
"""

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

DAY = timedelta(days=1)
#: Height of an arc over the sessions: the least, and the increase per pixel of its width.
MIN_RISE = 14
RISE_PER_PIXEL = 0.22


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineLayout:
    """The sizes of a timeline: along the weeks, and across the lanes."""

    is_upright: bool = False  #: weeks run downwards, lanes lie side by side
    week: float  #: length of a week
    lane: float  #: breadth of a lane
    #: Positions across a lane: sessions, promises of the manager and of the report, absences of either.
    sessions: float
    manager: float
    report: float
    manager_away: float
    report_away: float
    away: float  #: thickness of the bars of absences
    max_rise: float  #: the most that an arc rises over the sessions


WIDE = TimelineLayout(
    week=32, lane=112, sessions=42, manager=76, report=92, manager_away=4, report_away=10, away=5, max_rise=34
)
TALL = TimelineLayout(
    is_upright=True,
    week=36,
    lane=45,
    sessions=19,
    manager=33,
    report=40,
    manager_away=1,
    report_away=5,
    away=3,
    max_rise=20,
)


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
    x: float  #: where it begins
    y: float
    tone: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A bar over several days: leave, a public holiday, or the time before or after the pair existed."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """The lane of one pair."""

    x: float
    y: float
    names: str
    manager: str
    report: str
    cities: str
    rhythm: str
    marks: Sequence[TimelineMark]
    arcs: Sequence[Arc]
    bars: Sequence[Bar]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """The whole picture. `end`, and the positions in `months`, `weeks` and `clock_changes`, are along the weeks."""

    layout: TimelineLayout
    length: float  #: along the weeks
    breadth: float  #: across the lanes
    end: float  #: where the demo ends
    months: Sequence[tuple[float, float, str]]  #: position, length and name
    weeks: Sequence[float]
    clock_changes: Sequence[tuple[float, str]]  #: position, and the cities
    lanes: Sequence[Lane] = field(default_factory=tuple)


def draw_timeline(result: DemoResult, layout: TimelineLayout) -> Timeline:
    """Return the timeline from the first week to two weeks after the last booked session."""
    builder = _TimelineBuilder(result, layout)
    lanes = [builder.make_lane(n, pair) for n, pair in enumerate(result.pairs.values())]
    length = builder.measure(builder.last)
    return Timeline(
        layout=layout,
        length=length,
        breadth=layout.lane * len(lanes),
        end=builder.measure(result.end),
        months=list(builder.list_months()),
        weeks=[n * layout.week for n in range(int(length // layout.week) + 1)],
        clock_changes=list(builder.list_clock_changes()),
        lanes=lanes,
    )


class _TimelineBuilder:
    """Computes positions, and creates the parts of the timeline."""

    def __init__(self, result: DemoResult, layout: TimelineLayout) -> None:
        self._result = result
        self._layout = layout
        self._requested_ids = {line["session"] for line in result.ledger if line.get("act") == "talk"}
        self.first = datetime.combine(people.START.date(), time(), UTC)
        booked = [s.end for s in result.sessions if s.booked and s.end]
        self.last = max([*booked, result.end]) + timedelta(weeks=2)

    def measure(self, at: datetime) -> float:
        """Return the position of an instant along the weeks."""
        return round((at - self.first) / timedelta(weeks=1) * self._layout.week, 1)

    def _measure_day(self, day: date) -> float:
        return self.measure(datetime.combine(day, time(), UTC))

    def _to_x_and_y(self, along: float, across: float) -> tuple[float, float]:
        """Return x and y of a position along the weeks and across a lane."""
        return (across, along) if self._layout.is_upright else (along, across)

    def _make_bar(self, along: tuple[float, float], across: float, breadth: float, **texts: str) -> Bar:
        """Return the bar between two positions along the weeks."""
        x, y = self._to_x_and_y(along[0], across)
        width, height = self._to_x_and_y(round(along[1] - along[0], 1), breadth)
        return Bar(x=x, y=y, width=width, height=height, **texts)

    # --- the weeks ----------------------------------------------------------------------------------------------------

    def list_months(self) -> Iterator[tuple[float, float, str]]:
        """Yield position, length and name of each month; the name is empty when there is no room for it."""
        start = self.first.date()
        while start < self.last.date():
            following = (start.replace(day=1) + 32 * DAY).replace(day=1)
            end = min(following, self.last.date())
            pattern = "%b" if self._layout.is_upright else "%B"
            has_year = start.month in (1, self.first.month) and not self._layout.is_upright
            name = f"{start:{pattern}}{f' {start:%Y}' if has_year else ''}"
            yield (
                self._measure_day(start),
                self._measure_day(end) - self._measure_day(start),
                name if (end - start).days > 12 else "",
            )
            start = following

    def list_clock_changes(self) -> Iterator[tuple[float, str]]:
        """Yield the position of each day on which clocks change, and the cities."""
        zones = dict.fromkeys(people.ZONES.values())
        for number in range((self.last - self.first).days):
            before = self.first + number * DAY
            changed = [zone for zone in zones if _get_utc_offset(zone, before) != _get_utc_offset(zone, before + DAY)]
            if changed:
                yield self.measure(before), " and ".join(get_city(zone) for zone in changed)

    # --- a lane -------------------------------------------------------------------------------------------------------

    def make_lane(self, number: int, pair: Pair) -> Lane:
        """Return the lane of a pair; `number` counts from 0 at the top."""
        zones = dict.fromkeys(get_city(people.ZONES[who]) for who in (pair.manager, pair.report))
        sessions = [s for s in self._result.sessions if s.pair == pair.id]
        x, y = self._to_x_and_y(0, number * self._layout.lane)
        return Lane(
            x=x,
            y=y,
            names=format_pair(pair.id),
            manager=get_first_name(pair.manager),
            report=get_first_name(pair.report),
            cities=" and ".join(zones),
            rhythm=self._describe_rhythm(pair),
            marks=[
                *self._list_session_marks(sessions),
                *self._list_commitment_marks(pair.id),
                *self._list_unplaceable_marks(pair.id),
            ],
            arcs=list(self._list_arcs(pair.id)),
            bars=[
                *self._list_outside_bars(pair),
                *self._list_absence_bars(pair.manager, self._layout.manager_away),
                *self._list_absence_bars(pair.report, self._layout.report_away),
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
            x, y = self._to_x_and_y(self.measure(session.start), self._layout.sessions)
            yield TimelineMark(
                x=x,
                y=y,
                kind="career" if session.kind is SessionKind.CAREER else "review",
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
                x, y = self._to_x_and_y(self.measure(parse_instant(line["at"])), self._layout.sessions)
                yield TimelineMark(x=x, y=y, kind="none", tone="none", title=title)

    def _list_outside_bars(self, pair: Pair) -> Iterator[Bar]:
        """Yield bars over the weeks before and after the time in which the pair exists."""
        name = get_first_name(pair.report)
        gap = 1  # pixels that stay free at each side of the lane
        breadth = self._layout.lane - 2 * gap
        joined = self._measure_day(pair.first_seen)
        if joined > self._layout.week:  # pairs of the first week are there from the beginning
            others = [other for other in self._find_other_pairs(pair) if other.first_seen < pair.first_seen]
            what = f"reports to {get_first_name(pair.manager)} from" if others else "joins on"
            title = f"{name} {what} {format_short_date(pair.first_seen)}"
            yield self._make_bar((0, joined), gap, breadth, kind="before", title=title)
        for other in self._find_other_pairs(pair):
            if other.first_seen > pair.first_seen:
                title = f"{name} reports to {get_first_name(other.manager)} now"
                ends = (self._measure_day(other.first_seen), self.measure(self.last))
                yield self._make_bar(ends, gap, breadth, kind="after", title=title)

    def _find_other_pairs(self, pair: Pair) -> list[Pair]:
        """Return the pairs of the same report with other managers."""
        return [other for other in self._result.pairs.values() if other.report == pair.report and other != pair]

    def _describe_rhythm(self, pair: Pair) -> str:
        if successors := [other for other in self._find_other_pairs(pair) if other.first_seen > pair.first_seen]:
            return f"until {format_short_date(successors[0].first_seen)}"
        if pair.transition_until:
            return "every 6 weeks, in transition"
        if pair.format is Format.SERIES:
            return "in three parts"
        return "review in the 1:1" if pair.review is ReviewMode.IN_1ON1 else f"every {pair.every}"

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
            x, y = self._to_x_and_y(
                round(self._measure_day(commitment.due) + self._layout.week / 14, 1),  # at noon: half a day later
                self._layout.manager if is_of_manager else self._layout.report,
            )
            yield TimelineMark(
                x=x,
                y=y,
                kind="promise",
                tone=tone,
                title=f"{who}: {written.text}, by {format_short_date(commitment.due)}. {outcome}",
            )

    def _list_absence_bars(self, who: Address, across: float) -> Iterator[Bar]:
        name, breadth = get_first_name(who), self._layout.away
        for entry in people.CALENDARS[who]:
            if entry.is_out_of_office and not isinstance(entry.start, datetime) and not isinstance(entry.end, datetime):
                ends = (self._measure_day(entry.start), self._measure_day(entry.end))
                yield self._make_bar(ends, across, breadth, kind="away", title=f"{name} is away: {entry.title}")
        country = self._result.persons[who].country
        for number in range((self.last - self.first).days):
            day = (self.first + number * DAY).date()
            if holiday := find_holiday(country, day):
                title = f"{format_short_date(day)}, {get_city(people.ZONES[who])}: {holiday}"
                ends = (self._measure_day(day), self._measure_day(day + DAY))
                yield self._make_bar(ends, across, breadth, kind="holiday", title=title)

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
        sessions = self._layout.sessions
        begin, end = self.measure(parse_instant(start)), self.measure(parse_instant(line["start"]))
        top = round(sessions - min(MIN_RISE + abs(end - begin) * RISE_PER_PIXEL, self._layout.max_rise), 1)
        # a Bézier curve: its begin, two control points, and its end, 8 pixels above the mark of the session
        points = ((begin, sessions), (begin, top), (end, top), (end, sessions - 8))
        first, *others = (f"{x} {y}" for x, y in (self._to_x_and_y(*point) for point in points))
        x, y = self._to_x_and_y(begin, sessions)
        tone = cause if cause in _OTHER_MOVES else "lost"
        why = _OTHER_MOVES.get(cause) or CAUSE_NAMES[DeferralCause(cause)]
        session = _capitalize(describe_session(line, self._requested_ids))
        origin = f"{session}, {why}: from {format_short_date(parse_instant(start).date())}"
        return Arc(
            path=f"M{first} C{' '.join(others)}",
            x=x,
            y=y,
            tone=tone,
            title=f"{origin} to {format_both_times(line)}",
        )


#: Why a session moved without a deferral.
_OTHER_MOVES = {"moved": "moved by hand", "chosen": "chosen by hand", "follows": "follows the one before it"}
_TONES = {
    "ahead": "On both calendars already.",
    "held": "Held.",
    "kept": "Held; the contract came within 48 hours.",
    "late": "Held; the contract came late.",
    "unfinished": "Held; no contract came.",
}


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
