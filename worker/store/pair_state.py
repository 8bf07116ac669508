"""Reading all that planning some pairs needs, as of one moment.

It is the busiest code of the program: the statements are built once, and each asks for all pairs together.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, func, or_, select

from worker.domain.model import (
    ONCE_PER_PAIR_MAILS,
    Address,
    Commitment,
    CommitmentStanding,
    Deferral,
    Effect,
    EffectKind,
    EffectProgress,
    EndReason,
    Handover,
    MailName,
    Meeting,
    Pair,
    PairId,
    PairState,
    Participation,
    Person,
    PlacedEvent,
    ReviewMode,
    Session,
    SessionKind,
    SessionState,
    Span,
    TakenTime,
    WaitingPair,
)
from worker.errors import WrongKey
from worker.store import rows
from worker.store.handovers import load_handovers
from worker.store.parameters import bind_instant, in_bound_list, in_literals
from worker.store.statements import PreparedStatement, Row
from worker.store.tables import commitment, deferral, event, meeting, message, pair, person, session

#: Mails about the pair as such (commitments that fall due) are read back this far.
PAIR_MAIL_WINDOW = timedelta(days=40)
#: Prompts are read back this far, and weekly mails.
PROMPT_WINDOW, WEEKLY_WINDOW = timedelta(days=400), timedelta(days=14)
#: How long a commitment that ended is still read: its event may wait to be taken off.
CLOSED_COMMITMENT_WINDOW = timedelta(days=2)
WEEK = timedelta(weeks=1)


_PAIRS = PreparedStatement(select(pair).where(in_bound_list(pair.c.id, "pairs")))
_PEOPLE = PreparedStatement(select(person).where(in_bound_list(person.c.email, "people")))
#: What is not closed, and the last three cycles held and all after them: the cadence counts from them.
_SESSIONS = PreparedStatement(
    select(session)
    .join(pair, pair.c.id == session.c.pair)
    .where(
        in_bound_list(session.c.pair, "pairs"), or_(session.c.closed.is_(False), session.c.cycle >= pair.c.cycle - 2)
    )
    .order_by(session.c.cycle, session.c.target, session.c.id)
)
_DEFERRALS = PreparedStatement(
    select(deferral)
    .where(in_bound_list(deferral.c.session, "sessions"))
    .order_by(deferral.c.session, deferral.c.at, func.abs(deferral.c.number))
)
_COMMITMENTS = PreparedStatement(
    select(commitment)
    .where(
        in_bound_list(commitment.c.pair, "pairs"),
        or_(
            commitment.c.standing == CommitmentStanding.OPEN.value,
            commitment.c.block_start.is_not(None),
            commitment.c.closed_at >= bind_instant("lately"),
        ),
    )
    .order_by(commitment.c.id)
)
_COUNTED_KINDS = [EffectKind.MAIL.value, EffectKind.CANCEL.value]
_FINAL_PROGRESS = [EffectProgress.DONE.value, EffectProgress.DROPPED.value]
#: Mails and cancels, since they are counted; other changes of events while they are under way, or were refused.
_MESSAGES = PreparedStatement(
    select(*rows.MESSAGE)
    .where(
        in_bound_list(message.c.subject, "subjects"),
        or_(in_literals(message.c.what, _COUNTED_KINDS), ~in_literals(message.c.progress, _FINAL_PROGRESS)),
        or_(
            message.c.subject != message.c.pair,
            message.c.snapshot_at >= bind_instant("since"),
            in_literals(message.c.name, [name.value for name in ONCE_PER_PAIR_MAILS]),
        ),
    )
    .order_by(message.c.id)
)
#: Mails to a manager about all pairs, and prompts of sessions that are closed by now: the next one reads differently.
_MAILS_TO_PEOPLE = PreparedStatement(
    select(*rows.MESSAGE)
    .where(
        in_bound_list(message.c.to, "people"),
        or_(
            message.c.name == MailName.INTRODUCTION.value,
            and_(message.c.name == MailName.WEEKLY.value, message.c.snapshot_at >= bind_instant("lately")),
            and_(message.c.name == MailName.REFLECTION_PROMPT.value, message.c.snapshot_at >= bind_instant("since")),
        ),
    )
    .order_by(message.c.id)
)
_REPORT_COUNTS = PreparedStatement(
    select(pair.c.manager, func.count().label("reports"))
    .where(
        in_bound_list(pair.c.manager, "managers"),
        pair.c.ended == EndReason.NO.value,
        pair.c.paused.is_(False),
        pair.c.rests.is_(False),
        pair.c.participation == Participation.YES.value,
    )
    .group_by(pair.c.manager)
)
_EVENTS = PreparedStatement(
    select(event).where(
        or_(
            in_bound_list(event.c.subject, "subjects"),
            and_(in_bound_list(event.c.pair, "pairs"), event.c.gone.is_(False), event.c.end > bind_instant("now")),
        )
    )
)
_MEETINGS = PreparedStatement(
    select(meeting).where(in_bound_list(meeting.c.pair, "pairs"), meeting.c.end > bind_instant("now"))
)
_BOOKED_SESSIONS = PreparedStatement(
    select(
        session.c.id,
        session.c.pair,
        session.c.kind,
        session.c.start,
        session.c.end,
        session.c.options,
        session.c.offered_until,
        session.c.in_turn,
        pair.c.manager,
        pair.c.report,
    )
    .join(pair, pair.c.id == session.c.pair)
    .where(
        or_(in_bound_list(pair.c.manager, "people"), in_bound_list(pair.c.report, "others")),
        or_(
            and_(
                session.c.end > bind_instant("since"),
                or_(session.c.state == SessionState.BOOKED.value, session.c.held_at.is_not(None)),
            ),
            session.c.offered_until > bind_instant("now"),
        ),
    )
)
_PAIRS_OF_MANAGERS = PreparedStatement(
    select(pair).where(
        in_bound_list(pair.c.manager, "managers"),
        pair.c.ended == EndReason.NO.value,
        pair.c.paused.is_(False),
        pair.c.rests.is_(False),
        pair.c.participation == Participation.YES.value,
    )
)
_LAST_CONVERSATIONS = PreparedStatement(
    select(session.c.pair, session.c.adhoc, pair.c.report, func.max(session.c.held_at).label("held_at"))
    .join(pair, pair.c.id == session.c.pair)
    .where(
        in_bound_list(pair.c.report, "reports"),
        session.c.kind == SessionKind.CAREER.value,
        session.c.held_at.is_not(None),
    )
    .group_by(session.c.pair, session.c.adhoc, pair.c.report)
)
_BLOCKS = PreparedStatement(
    select(commitment.c.id, commitment.c.pair, commitment.c.block_start, commitment.c.block_end, pair.c.manager)
    .join(pair, pair.c.id == commitment.c.pair)
    .where(
        commitment.c.block_end > bind_instant("now"),
        commitment.c.all_day.is_(False),
        in_bound_list(pair.c.manager, "people"),
    )
)


@dataclass(frozen=True, slots=True)
class LoadedPairs:
    """Pairs as they are, and how often each had been woken."""

    states: tuple[PairState, ...]
    wakes: Mapping[PairId, int]
    due: Mapping[PairId, datetime | None]  #: since when each is to be planned
    unreadable: Mapping[PairId, str] = field(default_factory=dict)  #: why some of them could not be read, by pair


def _make_lists() -> dict[PairId, list[Any]]:
    return defaultdict(list)


@dataclass(slots=True)
class _Batch:
    """What belongs to some pairs, gathered by pair."""

    people: dict[Address, Person] = field(default_factory=dict)
    sessions: Mapping[PairId, list[Session]] = field(default_factory=_make_lists)
    deferrals: Mapping[PairId, list[Deferral]] = field(default_factory=_make_lists)
    commitments: Mapping[PairId, list[Commitment]] = field(default_factory=_make_lists)
    messages: Mapping[PairId, list[Effect]] = field(default_factory=_make_lists)
    placed: Mapping[PairId, dict[str, PlacedEvent]] = field(default_factory=lambda: defaultdict(dict))
    meetings: Mapping[PairId, list[Meeting]] = field(default_factory=_make_lists)
    waiting: dict[Address, list[WaitingPair]] = field(default_factory=lambda: defaultdict(list))  #: by manager
    mails_by_reader: dict[Address, list[Effect]] = field(default_factory=lambda: defaultdict(list))
    report_counts: dict[Address, int] = field(default_factory=dict)  #: by manager
    unreadable: dict[PairId, str] = field(default_factory=dict)
    incoming: Mapping[PairId, Handover] = field(default_factory=dict)
    outgoing: Mapping[PairId, Handover] = field(default_factory=dict)


#: Opens what is sealed of how soon a conversation has to be.
OpenPlan = Callable[[bytes], Mapping[str, Any]]


def load_pairs(connection: Connection, pairs: Sequence[PairId], now: datetime, open_plan: OpenPlan) -> LoadedPairs:
    """All that planning these pairs needs; those that aren't known are left out, and those of which something sealed
    can't be opened are `unread`."""
    ids = list(pairs)
    found = {row["id"]: row for row in _PAIRS.fetch_rows(connection, pairs=ids)}
    people = sorted({row[who] for row in found.values() for who in ("manager", "report")})
    batch = _Batch()
    batch.people = {row["email"]: rows.person(row) for row in _PEOPLE.fetch_rows(connection, people=people)}
    subjects = _read_sessions_and_commitments(connection, batch, ids, now, open_plan)
    _read_events_and_effects(connection, batch, ids, subjects, now)
    _read_mails_to_people(connection, batch, found, now)
    inside = [row["id"] for row in found.values() if row["review"] == ReviewMode.IN_1ON1.value]
    for row in _MEETINGS.fetch_rows(connection, pairs=inside, now=now) if inside else ():
        batch.meetings[row["pair"]].append(Meeting(pair=row["pair"], span=Span(row["start"], row["end"])))
    _read_waiting_pairs(connection, batch, found)
    batch.incoming, batch.outgoing = load_handovers(connection, ids)
    ordered = [found[pair_id] for pair_id in ids if pair_id in found]
    states = tuple(
        _build_state(rows.pair(row), row["looked_at"], batch) for row in ordered if row["id"] not in batch.unreadable
    )
    wakes, due = ({row["id"]: row[name] for row in ordered} for name in ("wakes", "due_at"))
    return LoadedPairs(states, wakes, due, batch.unreadable)


def _read_mails_to_people(connection: Connection, batch: _Batch, pairs: Collection[PairId], now: datetime) -> None:
    people = sorted({who for pair_id in pairs for who in pair_id.people})
    since, lately = now - PROMPT_WINDOW, now - WEEKLY_WINDOW
    for row in _MAILS_TO_PEOPLE.fetch_rows(connection, people=people, since=since, lately=lately):
        batch.mails_by_reader[row["to"]].append(rows.message(row))
    managers = sorted({pair_id.manager for pair_id in pairs})
    batch.report_counts = {row[0]: row[1] for row in _REPORT_COUNTS.fetch_tuples(connection, managers=managers)}


def _list_messages(pair_id: PairId, batch: _Batch) -> tuple[Effect, ...]:
    """Return the effects of a pair, the mails to its manager about all pairs, and the prompts that its report got from
    this manager and earlier ones."""
    effects = {effect.key: effect for effect in batch.messages.get(pair_id, ())}
    for mail in batch.mails_by_reader.get(pair_id.manager, ()):
        of_manager = mail.pair is None or mail.pair.manager == pair_id.manager
        if of_manager and mail.name != MailName.REFLECTION_PROMPT:
            effects.setdefault(mail.key, mail)
    for mail in batch.mails_by_reader.get(pair_id.report, ()):
        if mail.name == MailName.REFLECTION_PROMPT:
            effects.setdefault(mail.key, mail)
    return tuple(effects.values())


def _read_waiting_pairs(connection: Connection, batch: _Batch, pairs: Collection[PairId]) -> None:
    """Reads all pairs of the managers of those that have no conversation on the calendar (T-3a)."""
    managers = sorted(
        {
            one.manager
            for one in pairs
            if not any(s.booked and s.kind is SessionKind.CAREER and not s.adhoc for s in batch.sessions.get(one, ()))
        }
    )
    if not managers:
        return
    batch.waiting = load_waiting_pairs(connection, managers)


def load_waiting_pairs(connection: Connection, managers: Sequence[Address]) -> dict[Address, list[WaitingPair]]:
    """Return all pairs of these managers, by manager, each with how long it has waited (T-3a)."""
    listed = [rows.pair(row) for row in _PAIRS_OF_MANAGERS.fetch_rows(connection, managers=managers)]
    held: dict[PairId, datetime] = {}
    talked: dict[Address, datetime] = {}
    reports = sorted({one.report for one in listed})
    for row in _LAST_CONVERSATIONS.fetch_rows(connection, reports=reports):
        talked[row["report"]] = max(row["held_at"], talked.get(row["report"], row["held_at"]))
        if not row["adhoc"]:
            held[row["pair"]] = row["held_at"]
    waiting: dict[Address, list[WaitingPair]] = defaultdict(list)
    for one in listed:
        waiting[one.manager].append(WaitingPair(one, held.get(one.id), talked.get(one.report)))
    return waiting


def _read_sessions_and_commitments(
    connection: Connection, batch: _Batch, pairs: list[PairId], now: datetime, open_plan: OpenPlan
) -> dict[str, PairId]:
    """Reads them into the batch; returns whose each of them is, and of each pair itself."""
    owner = {str(pair_id): pair_id for pair_id in pairs}
    counted: dict[str, PairId] = {}
    for row in _SESSIONS.fetch_rows(connection, pairs=pairs):
        try:
            batch.sessions[row["pair"]].append(rows.session(row, open_plan))
        except WrongKey as error:
            batch.unreadable[row["pair"]] = str(error)
        if not row["closed"]:
            owner[row["id"]] = row["pair"]
        if row["count"] or row["by_hand"]:
            counted[row["id"]] = row["pair"]
    for row in _COMMITMENTS.fetch_rows(connection, pairs=pairs, lately=now - CLOSED_COMMITMENT_WINDOW):
        batch.commitments[row["pair"]].append(rows.commitment(row))
        owner[row["id"]] = row["pair"]
    if counted:
        for row in _DEFERRALS.fetch_rows(connection, sessions=list(counted)):
            batch.deferrals[counted[row["session"]]].append(rows.deferral(row))
    return owner


def _read_events_and_effects(
    connection: Connection, batch: _Batch, pairs: list[PairId], owner: Mapping[str, PairId], now: datetime
) -> None:
    found = _EVENTS.fetch_rows(connection, subjects=list(owner), pairs=pairs, now=now)
    for row in found:
        batch.placed[row["pair"]][row["key"]] = rows.read_placed_event(row)
    owner = {row["subject"]: row["pair"] for row in found} | dict(owner)  # what still stands of something closed, too
    for row in _MESSAGES.fetch_rows(connection, subjects=list(owner), since=now - PAIR_MAIL_WINDOW):
        batch.messages[owner[row["subject"]]].append(rows.message(row))


def load_taken_time(
    connection: Connection, people: Sequence[Address], now: datetime
) -> dict[Address, tuple[TakenTime, ...]]:
    """The time of these people that any pair has taken, from now on; and of conversations of the week before, since a
    manager has one a day at most (T-2), and few first ones a week (T-3a)."""
    taken: dict[Address, list[TakenTime]] = defaultdict(list)
    who = list(people)
    for row in _BOOKED_SESSIONS.fetch_rows(connection, people=who, others=who, since=now - WEEK, now=now):
        is_offered = row["offered_until"] is None or row["offered_until"] > now
        for one in (*_parse_span(row), *(row["options"] if is_offered else ())):
            mine = TakenTime(one, row["id"], row["kind"], row["pair"], row["in_turn"])
            taken[row["manager"]].append(mine)
            taken[row["report"]].append(mine)
    for row in _BLOCKS.fetch_rows(connection, people=who, now=now):
        span = Span(row["block_start"], row["block_end"])
        taken[row["manager"]].append(TakenTime(span, row["id"], None, row["pair"]))
    return {one: tuple(sorted(all_, key=_get_sort_key)) for one, all_ in taken.items()}


def _get_sort_key(one: TakenTime) -> tuple[datetime, str]:
    return one.span.start, one.session


def _parse_span(row: Row) -> Iterable[Span]:
    """Its time; nothing for a session without one, of which only the offered times are taken (T-14)."""
    return (Span(row["start"], row["end"]),) if row["start"] else ()


def _build_state(one: Pair, looked_at: datetime | None, batch: _Batch) -> PairState:
    pair_id = one.id
    return PairState(
        pair=one,
        manager=batch.people[one.manager],
        report=batch.people[one.report],
        sessions=tuple(batch.sessions.get(pair_id, ())),
        deferrals=tuple(batch.deferrals.get(pair_id, ())),
        commitments=tuple(batch.commitments.get(pair_id, ())),
        effects=_list_messages(pair_id, batch),
        placed_events=batch.placed.get(pair_id, {}),
        meetings=tuple(batch.meetings.get(pair_id, ())),
        waiting=tuple(batch.waiting.get(one.manager, ())),
        looked_at=looked_at,
        incoming=batch.incoming.get(pair_id),
        outgoing=batch.outgoing.get(pair_id),
        report_count=batch.report_counts.get(one.manager, 1),
    )
