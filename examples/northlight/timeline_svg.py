"""The story as a picture: a lane for each pair, the weeks across. Only places and words; the template draws them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from examples.northlight import people
from examples.northlight.names import both_clocks, city, first, instant, names, talk
from examples.northlight.result import Result
from worker.domain.model import (
    Address,
    Cause,
    Commitment,
    Format,
    Kind,
    Owner,
    Pair,
    PairId,
    Review,
    Session,
    Standing,
    State,
)
from worker.domain.planning.deferrals import IN_WORDS
from worker.domain.reason_texts import date_text
from worker.domain.time.worktime import holiday
from worker.simulation.world import Line

WEEK = 32  #: so wide is a week
TALKS, MANAGERS, REPORTS = 42, 76, 92  #: how deep in a lane: conversations, the promises of each
LANE = 112
DAY = timedelta(days=1)
#: How high an arc rises over the conversations, and how much higher for each step it goes.
RISE, RISE_PER_STEP, HIGHEST = 14, 0.22, 34


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
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
    marks: Sequence[Mark]
    arcs: Sequence[Arc]
    stretches: Sequence[Stretch]


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Everything that is drawn."""

    width: float
    height: int
    end: float  #: where the demo ends
    months: Sequence[tuple[float, float, str]]
    weeks: Sequence[float]
    clocks: Sequence[tuple[float, str]]
    lanes: Sequence[Lane] = field(default_factory=tuple)


def picture(result: Result) -> Picture:
    """The picture of a run, from its first week to the last conversation on anybody's calendar."""
    sketch = _Sketch(result)
    lanes = [sketch.lane(n, pair) for n, pair in enumerate(result.pairs.values())]
    return Picture(
        width=sketch.x(sketch.last),
        height=LANE * len(lanes),
        end=sketch.x(result.end),
        months=list(sketch.months()),
        weeks=[float(n * WEEK) for n in range(int(sketch.x(sketch.last) // WEEK) + 1)],
        clocks=list(sketch.clocks()),
        lanes=lanes,
    )


class _Sketch:
    """Knows where an instant lies."""

    def __init__(self, result: Result) -> None:
        self._result = result
        self._soon = {line["session"] for line in result.ledger if line.get("act") == "talk"}
        self.first = datetime.combine(people.START.date(), time(), UTC)
        booked = [s.end for s in result.sessions if s.booked and s.end]
        self.last = max([*booked, result.end]) + timedelta(weeks=2)

    def x(self, when: datetime) -> float:
        return round((when - self.first) / timedelta(weeks=1) * WEEK, 1)

    def _day(self, day: date) -> float:
        return self.x(datetime.combine(day, time(), UTC))

    # --- the weeks --------------------------------------------------------------------------------------------------

    def months(self) -> Iterator[tuple[float, float, str]]:
        """Where each month begins, how wide it is, and its name."""
        start = self.first.date()
        while start < self.last.date():
            following = (start.replace(day=1) + 32 * DAY).replace(day=1)
            end = min(following, self.last.date())
            name = f"{start:%B %Y}" if start.month in (1, self.first.month) else f"{start:%B}"
            yield self._day(start), self._day(end) - self._day(start), name if (end - start).days > 12 else ""
            start = following

    def clocks(self) -> Iterator[tuple[float, str]]:
        """The days on which clocks change, and where."""
        zones = dict.fromkeys(people.ZONES.values())
        for number in range((self.last - self.first).days):
            before = self.first + number * DAY
            changed = [zone for zone in zones if _offset(zone, before) != _offset(zone, before + DAY)]
            if changed:
                yield self.x(before), " and ".join(city(zone) for zone in changed)

    # --- a lane -----------------------------------------------------------------------------------------------------

    def lane(self, number: int, pair: Pair) -> Lane:
        zones = dict.fromkeys(city(people.ZONES[who]) for who in (pair.manager, pair.report))
        sessions = [s for s in self._result.sessions if s.pair == pair.id]
        return Lane(
            y=number * LANE,
            names=names(pair.id),
            where=" and ".join(zones),
            how=_how(pair),
            marks=[*self._talks(sessions), *self._promises(pair.id), *self._without(pair.id)],
            arcs=list(self._arcs(pair.id)),
            stretches=[*self._before(pair), *self._away(pair.manager, 4), *self._away(pair.report, 10)],
        )

    def _talks(self, sessions: Iterable[Session]) -> Iterator[Mark]:
        lines = {line["session"]: line for line in self._result.ledger if line["what"] == "session"}
        for session in sessions:
            if session.start is None or session.state is State.CANCELLED:
                continue
            line = lines[session.id] | {"start": session.start.isoformat(), "kind": session.kind.value}
            tone = self._tone(session)
            yield Mark(
                x=self.x(session.start),
                y=TALKS,
                kind="soon" if session.id in self._soon else _shape(session, self._result.pairs[session.pair]),
                tone=tone,
                title=f"{_capital(talk(line, self._soon))}: {both_clocks(line)}. {_TONES[tone]}",
                text={"now": "1", "direction": "2", "gap": "3"}.get(session.topic.value, ""),
            )

    def _without(self, pair: PairId) -> Iterator[Mark]:
        """When no time was to be had, and a person was told so."""
        for line in self._result.ledger:
            if line["what"] == "unplaceable" and line["pair"] == str(pair):
                told = f"{first(pair.manager)} is told"
                title = f"No time for the {talk(line, self._soon)}; {told}. {line['reason']}"
                yield Mark(x=self.x(instant(line["at"])), y=TALKS, kind="none", tone="none", title=title)

    def _before(self, pair: Pair) -> Iterator[Stretch]:
        """The weeks before there was such a pair."""
        joined = self._day(pair.first_seen)
        if joined > WEEK:
            title = f"{first(pair.report)} joins on {date_text(pair.first_seen)}"
            yield Stretch(x=0, width=joined, y=1, kind="before", title=title, height=LANE - 2)

    def _tone(self, session: Session) -> str:
        if session.booked:
            return "ahead"
        if session.state is State.UNFINISHED:
            return "unfinished"
        if session.state is State.CONTRACTED:
            return "late" if session.id in self._result.late else "kept"
        return "held"

    def _promises(self, pair: PairId) -> Iterator[Mark]:
        for commitment in self._result.commitments:
            words = self._result.promises.get(commitment.id)
            if commitment.pair != pair or words is None:
                continue
            mine = commitment.owner is Owner.MANAGER
            who = first(pair.manager if mine else pair.report)
            tone, how = _standing(commitment, self._result.end)
            yield Mark(
                x=self._day(commitment.due) + WEEK / 14,
                y=MANAGERS if mine else REPORTS,
                kind="promise",
                tone=tone,
                title=f"{who}: {words.text}, by {date_text(commitment.due)}. {how}",
            )

    def _away(self, who: Address, y: float) -> Iterator[Stretch]:
        name = first(who)
        for entry in people.CALENDARS[who]:
            if entry.away and not isinstance(entry.start, datetime) and not isinstance(entry.end, datetime):
                x = self._day(entry.start)
                title = f"{name} is away: {entry.title}"
                yield Stretch(x=x, width=self._day(entry.end) - x, y=y, kind="away", title=title)
        country = self._result.persons[who].country
        for number in range((self.last - self.first).days):
            day = (self.first + number * DAY).date()
            if called := holiday(country, day):
                title = f"{date_text(day)}, {city(people.ZONES[who])}: {called}"
                yield Stretch(x=self._day(day), width=WEEK / 7, y=y, kind="holiday", title=title)

    def _arcs(self, pair: PairId) -> Iterator[Arc]:
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
                    yield self._arc(line, start, told or ("moved" if line.get("cause") == "moved" else "chosen"))
                was[line["session"]] = (line["start"], "")
            elif line["state"] == "owed" and start:
                was[line["session"]] = (start, "follows")

    def _arc(self, line: Line, start: str, cause: str) -> Arc:
        x, to = self.x(instant(start)), self.x(instant(line["start"]))
        top = TALKS - min(RISE + abs(to - x) * RISE_PER_STEP, HIGHEST)
        tone = cause if cause in _HANDS else "lost"
        why = _HANDS.get(cause) or IN_WORDS[Cause(cause)]
        told = f"{_capital(talk(line, self._soon))}, {why}: from {date_text(instant(start).date())}"
        return Arc(
            path=f"M{x} {TALKS} C{x} {top} {to} {top} {to} {TALKS - 8}",
            from_x=x,
            tone=tone,
            title=f"{told} to {both_clocks(line)}",
        )


_HANDS = {"moved": "moved by hand", "chosen": "chosen by hand", "follows": "follows the one before it"}
_TONES = {
    "ahead": "On both calendars already.",
    "held": "Held.",
    "kept": "Held; the contract came within 48 hours.",
    "late": "Held; the contract came late.",
    "unfinished": "Held; no contract came.",
}


def _how(pair: Pair) -> str:
    if pair.transition_until:
        return "every 6 weeks, in transition"
    form = "in three parts" if pair.format is Format.SERIES else ""
    return form or ("review in the 1:1" if pair.review is Review.IN_1ON1 else f"every {pair.every}")


def _shape(session: Session, pair: Pair) -> str:
    if session.kind is Kind.REVIEW:
        return "inside" if pair.review is Review.IN_1ON1 else "review"
    return session.kind.value


def _standing(commitment: Commitment, end: datetime) -> tuple[str, str]:
    if commitment.standing is Standing.DONE:
        return "kept", "Kept."
    if commitment.standing in (Standing.LET_GO, Standing.CHANGED):
        return "gone", "Let go, with a reason."
    return ("open", "Still open.") if commitment.due >= end.date() else ("overdue", "Not ticked off.")


def _offset(zone: str, when: datetime) -> timedelta | None:
    return when.astimezone(ZoneInfo(zone)).utcoffset()


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def lost(ledger: Iterable[Line]) -> Mapping[str, list[timedelta]]:
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
                found.setdefault(causes.pop(one), []).append(instant(line["start"]) - instant(starts[one]))
            starts[one] = line["start"]
    return found
