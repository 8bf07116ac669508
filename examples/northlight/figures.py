"""What the numbers of a run were."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import median

from examples.northlight.result import DemoResult
from examples.northlight.timeline_svg import measure_moves
from worker.domain.model import CommitmentStanding, DeferralCause, Owner, SessionKind, SessionState
from worker.domain.planning.deferrals import CAUSE_NAMES
from worker.domain.reason_texts import format_count


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A number and what it counts."""

    value: str
    what: str
    more: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoStatistics:
    """What the numbers were."""

    tiles: Sequence[Figure]
    deferrals: Sequence[tuple[str, int, str]]
    mails: Sequence[tuple[str, int]]


def compute_statistics(result: DemoResult) -> DemoStatistics:
    """What is counted."""
    mails = [letter.name for letter in result.mails]
    return DemoStatistics(
        tiles=[
            *_count_sessions(result),
            *_count_contracts(result),
            *_count_commitments(result),
            *_count_effects(result),
        ],
        deferrals=[
            (_name_cause(cause), len(moves), _format_median_move(moves))
            for cause, moves in sorted(measure_moves(result.ledger).items(), key=lambda one: -len(one[1]))
        ],
        mails=sorted(
            ((name.replace("_", " "), mails.count(name)) for name in set(mails)), key=lambda one: (-one[1], one[0])
        ),
    )


def _count_sessions(result: DemoResult) -> Iterable[Figure]:
    over = (SessionState.HELD, SessionState.CONTRACTED, SessionState.UNFINISHED)
    held = [s for s in result.sessions if s.kind is SessionKind.CAREER and s.state in over]
    reviews = [s for s in result.sessions if s.kind is not SessionKind.CAREER and s.state in over]
    yield Figure(
        value=str(len(held)),
        what="career conversations held",
        more=f"and {len(reviews)} contract reviews and check-ins",
    )
    moves = [abs(move) for some in measure_moves(result.ledger).values() for move in some]
    deferred = sum(line.get("state") == "deferred" for line in result.ledger)
    far = max((move.days for move in moves), default=0)
    owed = f"{deferred - len(moves)} owed still" if deferred > len(moves) else "each got another"
    yield Figure(value=str(deferred), what="lost their time", more=f"{owed}, {format_count(far, 'day')} away at most")


def _count_contracts(result: DemoResult) -> Iterable[Figure]:
    asked = [s for s in result.sessions if s.state in (SessionState.CONTRACTED, SessionState.UNFINISHED)]
    there = [s for s in asked if s.state is SessionState.CONTRACTED]
    late = [s for s in there if s.id in result.late_sessions]
    more = [f"{len(late)} late" if late else "", f"{len(asked) - len(there)} never" if len(asked) > len(there) else ""]
    value = f"{len(there) - len(late)} of {len(asked)}"
    yield Figure(value=value, what="contracts within 48 hours", more=", ".join(part for part in more if part))


def _count_commitments(result: DemoResult) -> Iterable[Figure]:
    """R-20: the manager's as hard as the report's."""
    due = [
        c
        for c in result.commitments
        if c.due < result.end.date() and c.standing in (CommitmentStanding.OPEN, CommitmentStanding.DONE)
    ]
    kept = [c for c in due if c.standing is CommitmentStanding.DONE]
    mine = [c for c in kept if c.owner is Owner.MANAGER]
    more = f"{len(mine)} of the managers, {len(kept) - len(mine)} of the reports"
    yield Figure(value=f"{len(kept)} of {len(due)}", what="promises kept of those due", more=more)


def _count_effects(result: DemoResult) -> Iterable[Figure]:
    kinds = [line["what"] for line in result.ledger]
    made, moved, gone = (kinds.count(f"event.{what}") for what in ("create", "update", "cancel"))
    yield Figure(value=str(len(result.mails)), what="mails", more=f"to {len(result.persons)} people")
    yield Figure(
        value=str(made + moved + gone),
        what="changes on calendars",
        more=f"{made} made, {moved} moved, {gone} taken off",
    )


def _name_cause(cause: str) -> str:
    words = CAUSE_NAMES[DeferralCause(cause)]
    return words[0].upper() + words[1:]


def _format_median_move(moves: Sequence[timedelta]) -> str:
    """By how much, in the middle: `2 days later`."""
    days = round(median(move.total_seconds() for move in moves) / 86400)
    return f"{format_count(abs(days), 'day')} {'later' if days > 0 else 'earlier'}" if days else "the same day"
