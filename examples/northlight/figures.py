"""What the numbers of a run were."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import median

from examples.northlight.result import Result
from examples.northlight.timeline_svg import lost
from worker.domain.model import Cause, Kind, Owner, Standing, State
from worker.domain.planning.deferrals import IN_WORDS
from worker.domain.reason_texts import count_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A number and what it counts."""

    value: str
    what: str
    more: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What the numbers were."""

    tiles: Sequence[Figure]
    deferrals: Sequence[tuple[str, int, str]]
    mails: Sequence[tuple[str, int]]


def figures(result: Result) -> Figures:
    """What is counted."""
    mails = [letter.name for letter in result.letters]
    return Figures(
        tiles=[*_talks(result), *_contracts(result), *_promises(result), *_effects(result)],
        deferrals=[
            (_cause(cause), len(moves), _days(moves))
            for cause, moves in sorted(lost(result.ledger).items(), key=lambda one: -len(one[1]))
        ],
        mails=sorted(
            ((name.replace("_", " "), mails.count(name)) for name in set(mails)), key=lambda one: (-one[1], one[0])
        ),
    )


def _talks(result: Result) -> Iterable[Figure]:
    over = (State.HELD, State.CONTRACTED, State.UNFINISHED)
    held = [s for s in result.sessions if s.kind is Kind.CAREER and s.state in over]
    reviews = [s for s in result.sessions if s.kind is not Kind.CAREER and s.state in over]
    yield Figure(
        value=str(len(held)),
        what="career conversations held",
        more=f"and {len(reviews)} contract reviews and check-ins",
    )
    moves = [abs(move) for some in lost(result.ledger).values() for move in some]
    deferred = sum(line.get("state") == "deferred" for line in result.ledger)
    far = max((move.days for move in moves), default=0)
    owed = f"{deferred - len(moves)} owed still" if deferred > len(moves) else "each got another"
    yield Figure(value=str(deferred), what="lost their time", more=f"{owed}, {count_text(far, 'day')} away at most")


def _contracts(result: Result) -> Iterable[Figure]:
    asked = [s for s in result.sessions if s.state in (State.CONTRACTED, State.UNFINISHED)]
    there = [s for s in asked if s.state is State.CONTRACTED]
    late = [s for s in there if s.id in result.late]
    more = [f"{len(late)} late" if late else "", f"{len(asked) - len(there)} never" if len(asked) > len(there) else ""]
    value = f"{len(there) - len(late)} of {len(asked)}"
    yield Figure(value=value, what="contracts within 48 hours", more=", ".join(part for part in more if part))


def _promises(result: Result) -> Iterable[Figure]:
    """R-20: the manager's as hard as the report's."""
    due = [c for c in result.commitments if c.due < result.end.date() and c.standing in (Standing.OPEN, Standing.DONE)]
    kept = [c for c in due if c.standing is Standing.DONE]
    mine = [c for c in kept if c.owner is Owner.MANAGER]
    more = f"{len(mine)} of the managers, {len(kept) - len(mine)} of the reports"
    yield Figure(value=f"{len(kept)} of {len(due)}", what="promises kept of those due", more=more)


def _effects(result: Result) -> Iterable[Figure]:
    kinds = [line["what"] for line in result.ledger]
    made, moved, gone = (kinds.count(f"event.{what}") for what in ("create", "update", "cancel"))
    yield Figure(value=str(len(result.letters)), what="mails", more=f"to {len(result.persons)} people")
    yield Figure(
        value=str(made + moved + gone),
        what="changes on calendars",
        more=f"{made} made, {moved} moved, {gone} taken off",
    )


def _cause(cause: str) -> str:
    words = IN_WORDS[Cause(cause)]
    return words[0].upper() + words[1:]


def _days(moves: Sequence[timedelta]) -> str:
    """By how much, in the middle: `2 days later`."""
    days = round(median(move.total_seconds() for move in moves) / 86400)
    return f"{count_text(abs(days), 'day')} {'later' if days > 0 else 'earlier'}" if days else "the same day"
