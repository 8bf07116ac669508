"""The story as a picture: a lane for each pair, the weeks across. Only places and words; the template draws them."""

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

WEEK_WIDTH = 32  #: so wide is a week
TALKS, MANAGERS, REPORTS = 42, 76, 92  #: how deep in a lane: conversations, the promises of each
LANE_HEIGHT = 112
DAY = timedelta(days=1)
#: How high an arc rises over the conversations, and how much higher for each step it goes.
RISE, RISE_PER_STEP, HIGHEST = 14, 0.22, 34


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineMark:
    """Something at one place. `kind` is the shape, `tone` how it went."""

    x: float
    y: float
    kind: str
    tone: str
    title: str
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arc:
    """From the time that was to the time that came."""

    path: str
    from_x: float
    tone: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Some days: leave or a public holiday."""

    x: float
    width: float
    y: float
    kind: str
    title: str
    height: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """All of one pair."""

    y: int
    names: str
    where: str
    how: str
    marks: Sequence[TimelineMark]
    arcs: Sequence[Arc]
    stretches: Sequence[Stretch]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """Everything that is drawn."""

    width: float
    height: int
    end: float  #: where the demo ends
    months: Sequence[tuple[float, float, str]]
    weeks: Sequence[float]
    clocks: Sequence[tuple[float, str]]
    lanes: Sequence[Lane] = field(default_factory=tuple)


def draw_timeline(result: DemoResult) -> Timeline:
    """The picture of a run, from its first week to the last conversation on anybody's calendar."""
    sketch = _TimelineBuilder(result)
    lanes = [sketch.make_lane(n, pair) for n, pair in enumerate(result.pairs.values())]
    return Timeline(
        width=sketch.get_x(sketch.last),
        height=LANE_HEIGHT * len(lanes),
        end=sketch.get_x(result.end),
        months=list(sketch.list_months()),
        weeks=[float(n * WEEK_WIDTH) for n in range(int(sketch.get_x(sketch.last) // WEEK_WIDTH) + 1)],
        clocks=list(sketch.list_clock_changes()),
        lanes=lanes,
    )


class _TimelineBuilder:
    """Knows where an instant lies."""

    def __init__(self, result: DemoResult) -> None:
        self._result = result
        self._soon = {line["session"] for line in result.ledger if line.get("act") == "talk"}
        self.first = datetime.combine(people.START.date(), time(), UTC)
        booked = [s.end for s in result.sessions if s.booked and s.end]
        self.last = max([*booked, result.end]) + timedelta(weeks=2)

    def get_x(self, when: datetime) -> float:
        return round((when - self.first) / timedelta(weeks=1) * WEEK_WIDTH, 1)

    def _get_day_x(self, day: date) -> float:
        return self.get_x(datetime.combine(day, time(), UTC))

    # --- the weeks ---------------------------------------------------------------------------------------------------

    def list_months(self) -> Iterator[tuple[float, float, str]]:
        """Where each month begins, how wide it is, and its name."""
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
        """The days on which clocks change, and where."""
        zones = dict.fromkeys(people.ZONES.values())
        for number in range((self.last - self.first).days):
            before = self.first + number * DAY
            changed = [zone for zone in zones if _get_utc_offset(zone, before) != _get_utc_offset(zone, before + DAY)]
            if changed:
                yield self.get_x(before), " and ".join(get_city(zone) for zone in changed)

    # --- a lane ------------------------------------------------------------------------------------------------------

    def make_lane(self, number: int, pair: Pair) -> Lane:
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
            yield TimelineMark(
                x=self.get_x(session.start),
                y=TALKS,
                kind="soon" if session.id in self._soon else _choose_shape(session, self._result.pairs[session.pair]),
                tone=tone,
                title=f"{_capitalize(describe_session(line, self._soon))}: {format_both_times(line)}. {_TONES[tone]}",
                text={"now": "1", "direction": "2", "gap": "3"}.get(session.topic.value, ""),
            )

    def _list_unplaceable_marks(self, pair: PairId) -> Iterator[TimelineMark]:
        """When no time was to be had, and a person was told so."""
        for line in self._result.ledger:
            if line["what"] == "unplaceable" and line["pair"] == str(pair):
                told = f"{get_first_name(pair.manager)} is told"
                title = f"No time for the {describe_session(line, self._soon)}; {told}. {line['reason']}"
                yield TimelineMark(
                    x=self.get_x(parse_instant(line["at"])), y=TALKS, kind="none", tone="none", title=title
                )

    def _list_joining_stretches(self, pair: Pair) -> Iterator[Stretch]:
        """The weeks before there was such a pair."""
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
            words = self._result.promises.get(commitment.id)
            if commitment.pair != pair or words is None:
                continue
            mine = commitment.owner is Owner.MANAGER
            who = get_first_name(pair.manager if mine else pair.report)
            tone, how = _describe_standing(commitment, self._result.end)
            yield TimelineMark(
                x=self._get_day_x(commitment.due) + WEEK_WIDTH / 14,
                y=MANAGERS if mine else REPORTS,
                kind="promise",
                tone=tone,
                title=f"{who}: {words.text}, by {format_short_date(commitment.due)}. {how}",
            )

    def _list_away_stretches(self, who: Address, y: float) -> Iterator[Stretch]:
        name = get_first_name(who)
        for entry in people.CALENDARS[who]:
            if entry.away and not isinstance(entry.start, datetime) and not isinstance(entry.end, datetime):
                x = self._get_day_x(entry.start)
                title = f"{name} is away: {entry.title}"
                yield Stretch(x=x, width=self._get_day_x(entry.end) - x, y=y, kind="away", title=title)
        country = self._result.persons[who].country
        for number in range((self.last - self.first).days):
            day = (self.first + number * DAY).date()
            if called := find_holiday(country, day):
                title = f"{format_short_date(day)}, {get_city(people.ZONES[who])}: {called}"
                yield Stretch(x=self._get_day_x(day), width=WEEK_WIDTH / 7, y=y, kind="holiday", title=title)

    def _list_arcs(self, pair: PairId) -> Iterator[Arc]:
        """From each time that was lost or left to the one that took its place."""
        was: dict[str, tuple[str, str]] = {}  # the last time each session had, and why it was given up
        for line in self._result.ledger:
            if line["what"] != "session" or line.get("pair") != str(pair):
                continue
            start, told = was.get(line["session"], ("", ""))
            if line["state"] == "deferred":
                was[line["session"]] = (start, line["cause"])
            elif line["state"] == "booked":
                if start and start != line["start"]:
                    yield self._make_arc(line, start, told or ("moved" if line.get("cause") == "moved" else "chosen"))
                was[line["session"]] = (line["start"], "")
            elif line["state"] == "owed" and start:
                was[line["session"]] = (start, "follows")

    def _make_arc(self, line: LedgerLine, start: str, cause: str) -> Arc:
        x, to = self.get_x(parse_instant(start)), self.get_x(parse_instant(line["start"]))
        top = TALKS - min(RISE + abs(to - x) * RISE_PER_STEP, HIGHEST)
        tone = cause if cause in _MOVES_BY_HAND else "lost"
        why = _MOVES_BY_HAND.get(cause) or CAUSE_NAMES[DeferralCause(cause)]
        session = _capitalize(describe_session(line, self._soon))
        told = f"{session}, {why}: from {format_short_date(parse_instant(start).date())}"
        return Arc(
            path=f"M{x} {TALKS} C{x} {top} {to} {top} {to} {TALKS - 8}",
            from_x=x,
            tone=tone,
            title=f"{told} to {format_both_times(line)}",
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


def _get_utc_offset(zone: str, when: datetime) -> timedelta | None:
    return when.astimezone(ZoneInfo(zone)).utcoffset()


def _capitalize(text: str) -> str:
    return text[0].upper() + text[1:]


def measure_moves(ledger: Iterable[LedgerLine]) -> Mapping[str, list[timedelta]]:
    """By cause, how far each deferral moved its conversation: from the time it lost to the one it got."""
    found: dict[str, list[timedelta]] = {}
    starts: dict[str, str] = {}
    causes: dict[str, str] = {}
    for line in ledger:
        if line["what"] != "session":
            continue
        one = line["session"]
        if line["state"] == "deferred":
            causes[one] = line["cause"]
        elif line["state"] == "booked":
            if one in causes and one in starts:
                found.setdefault(causes.pop(one), []).append(parse_instant(line["start"]) - parse_instant(starts[one]))
            starts[one] = line["start"]
    return found
