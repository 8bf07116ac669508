"""The figures on the page of the demo: sessions, contracts, commitments, mails."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import median

from examples.northlight.result import DemoResult
from examples.northlight.timeline_svg import measure_moves
from worker.domain.counts import format_count
from worker.domain.model import CommitmentStanding, DeferralCause, Owner, SessionKind, SessionState
from worker.domain.planning.deferrals import CAUSE_NAMES


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A number (`value`), what it counts (`what`), and a remark (`more`)."""

    value: str
    what: str
    more: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoStatistics:
    """The figures of a run: tiles, (cause, number of deferrals, median move), and (mail template, number)."""

    tiles: Sequence[Figure]
    deferrals: Sequence[tuple[str, int, str]]
    mails: Sequence[tuple[str, int]]


def compute_statistics(result: DemoResult) -> DemoStatistics:
    """Return the figures of a run."""
    mail_names = [mail.name for mail in result.mails]
    return DemoStatistics(
        tiles=[
            *_count_sessions(result),
            *_count_contracts(result),
            *_count_commitments(result),
            *_count_effects(result),
        ],
        deferrals=[
            (_name_cause(cause), len(moves), _format_median_move(moves))
            for cause, moves in sorted(measure_moves(result.ledger).items(), key=lambda item: -len(item[1]))
        ],
        mails=sorted(
            ((name.replace("_", " "), mail_names.count(name)) for name in set(mail_names)),
            key=lambda item: (-item[1], item[0]),
        ),
    )


def _count_sessions(result: DemoResult) -> Iterable[Figure]:
    took_place = (SessionState.HELD, SessionState.CONTRACTED, SessionState.UNFINISHED)
    held = [s for s in result.sessions if s.kind is SessionKind.CAREER and s.state in took_place]
    other_held = [s for s in result.sessions if s.kind is not SessionKind.CAREER and s.state in took_place]
    yield Figure(
        value=str(len(held)),
        what="career conversations held",
        more=f"and {len(other_held)} contract reviews and check-ins",
    )
    moves = [abs(move) for moves in measure_moves(result.ledger).values() for move in moves]
    deferred = sum(line.get("state") == "deferred" for line in result.ledger)
    max_days = max((move.days for move in moves), default=0)
    outcome = f"{deferred - len(moves)} owed still" if deferred > len(moves) else "each got another"
    yield Figure(
        value=str(deferred), what="lost their time", more=f"{outcome}, {format_count(max_days, 'day')} away at most"
    )


def _count_contracts(result: DemoResult) -> Iterable[Figure]:
    closed = [s for s in result.sessions if s.state in (SessionState.CONTRACTED, SessionState.UNFINISHED)]
    contracted = [s for s in closed if s.state is SessionState.CONTRACTED]
    late = [s for s in contracted if s.id in result.late_sessions]
    more = [
        f"{len(late)} late" if late else "",
        f"{len(closed) - len(contracted)} never" if len(closed) > len(contracted) else "",
    ]
    value = f"{len(contracted) - len(late)} of {len(closed)}"
    yield Figure(value=value, what="contracts within 48 hours", more=", ".join(part for part in more if part))


def _count_commitments(result: DemoResult) -> Iterable[Figure]:
    """Count the commitments of managers and reports in the same way (R-20)."""
    due = [
        c
        for c in result.commitments
        if c.due < result.end.date() and c.standing in (CommitmentStanding.OPEN, CommitmentStanding.DONE)
    ]
    kept = [c for c in due if c.standing is CommitmentStanding.DONE]
    manager_kept = [c for c in kept if c.owner is Owner.MANAGER]
    more = f"{len(manager_kept)} of the managers, {len(kept) - len(manager_kept)} of the reports"
    yield Figure(value=f"{len(kept)} of {len(due)}", what="promises kept of those due", more=more)


def _count_effects(result: DemoResult) -> Iterable[Figure]:
    kinds = [line["what"] for line in result.ledger]
    created, moved, cancelled = (kinds.count(f"event.{what}") for what in ("create", "update", "cancel"))
    to_operator = sum(mail.to not in result.persons for mail in result.mails)
    more = f"to {len(result.persons)} people" + (f", and {to_operator} to the operator" if to_operator else "")
    yield Figure(value=str(len(result.mails) - to_operator), what="mails", more=more)
    yield Figure(
        value=str(created + moved + cancelled),
        what="changes on calendars",
        more=f"{created} made, {moved} moved, {cancelled} taken off",
    )


def _name_cause(cause: str) -> str:
    name = CAUSE_NAMES[DeferralCause(cause)]
    return name[0].upper() + name[1:]


def _format_median_move(moves: Sequence[timedelta]) -> str:
    """Return the median of the moves: `2 days later`."""
    days = round(median(move.total_seconds() for move in moves) / 86400)
    return f"{format_count(abs(days), 'day')} {'later' if days > 0 else 'earlier'}" if days else "the same day"
