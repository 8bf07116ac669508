"""Loads everything that planning pairs needs, as of one moment.

This code runs more often than any other. Therefore each statement reads the rows of all requested pairs at once.
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
from worker.store.parameters import bind_instant, in_bound_list, in_fixed_values
from worker.store.statements import PreparedStatement, Row
from worker.store.tables import commitment, deferral, event, meeting, outbox, pair, person, session

#: How far back mails are loaded whose subject is the pair itself, such as those about commitments that are due.
PAIR_MAIL_WINDOW = timedelta(days=40)
#: How far back reflection prompts are loaded.
PROMPT_WINDOW = timedelta(days=400)
#: How far back weekly mails are loaded.
WEEKLY_WINDOW = timedelta(days=14)
#: How long a commitment is still loaded after it ended, even without a block, because the effect that cancels its block
#: on the calendar needs the commitment.
CLOSED_COMMITMENT_WINDOW = timedelta(days=2)
WEEK = timedelta(weeks=1)


#: The condition that a pair is active. The roster pauses a pair in `paused`, and `longarc pause` in `rests`.
_IS_ACTIVE = and_(
    pair.c.ended == EndReason.NO.value,
    pair.c.paused.is_(False),
    pair.c.rests.is_(False),
    pair.c.participation == Participation.YES.value,
)
_PAIRS = PreparedStatement(select(pair).where(in_bound_list(pair.c.id, "pairs")))
_PEOPLE = PreparedStatement(select(person).where(in_bound_list(person.c.email, "people")))
#: Selects the sessions that are not closed, and all sessions from two cycles before the newest cycle that was held.
#: Planning computes from them when the next session is due.
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
    .order_by(deferral.c.session, deferral.c.at, func.abs(deferral.c.number))  # moves by hand have negative numbers
)
_COMMITMENTS = PreparedStatement(
    select(commitment)
    .where(
        in_bound_list(commitment.c.pair, "pairs"),
        or_(
            commitment.c.standing == CommitmentStanding.OPEN.value,
            commitment.c.block_start.is_not(None),
            commitment.c.closed_at >= bind_instant("closed_since"),
        ),
    )
    .order_by(commitment.c.id)
)
_COUNTED_KINDS = [EffectKind.MAIL.value, EffectKind.CANCEL.value]
_DONE_OR_DROPPED = [EffectProgress.DONE.value, EffectProgress.DROPPED.value]
#: Selects effects by their subject. All mails and cancels are selected, because planning counts them. Other changes of
#: events are selected while they are not done or dropped. Of the effects whose subject is the pair itself, old ones are
#: left out, except for mails that a pair gets only once.
_EFFECTS = PreparedStatement(
    select(*rows.EFFECT_COLUMNS)
    .where(
        in_bound_list(outbox.c.subject, "subjects"),
        or_(in_fixed_values(outbox.c.what, _COUNTED_KINDS), ~in_fixed_values(outbox.c.progress, _DONE_OR_DROPPED)),
        or_(
            outbox.c.subject != outbox.c.pair,
            outbox.c.snapshot_at >= bind_instant("since"),
            in_fixed_values(outbox.c.name, [name.value for name in ONCE_PER_PAIR_MAILS]),
        ),
    )
    .order_by(outbox.c.id)
)
#: Selects mails to these people which `_EFFECTS` leaves out: mails to a manager that concern all pairs, and prompts of
#: closed sessions, on which the text of the next prompt depends.
_MAILS_TO_PEOPLE = PreparedStatement(
    select(*rows.EFFECT_COLUMNS)
    .where(
        in_bound_list(outbox.c.to, "people"),
        or_(
            outbox.c.name == MailName.INTRODUCTION.value,
            and_(outbox.c.name == MailName.WEEKLY.value, outbox.c.snapshot_at >= bind_instant("weekly_since")),
            and_(
                outbox.c.name == MailName.REFLECTION_PROMPT.value,
                outbox.c.snapshot_at >= bind_instant("prompts_since"),
            ),
        ),
    )
    .order_by(outbox.c.id)
)
_REPORT_COUNTS = PreparedStatement(
    select(pair.c.manager, func.count().label("reports"))
    .where(in_bound_list(pair.c.manager, "managers"), _IS_ACTIVE)
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
#: Selects the sessions from whose times and offers `load_taken_time` computes taken time.
_SESSIONS_WITH_TAKEN_TIME = PreparedStatement(
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
        or_(in_bound_list(pair.c.manager, "managers"), in_bound_list(pair.c.report, "reports")),
        or_(
            and_(
                session.c.end > bind_instant("since"),
                or_(session.c.state == SessionState.BOOKED.value, session.c.held_at.is_not(None)),
            ),
            session.c.offered_until > bind_instant("now"),
        ),
    )
)
_ACTIVE_PAIRS_OF_MANAGERS = PreparedStatement(select(pair).where(in_bound_list(pair.c.manager, "managers"), _IS_ACTIVE))
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
    """The states of pairs as of one moment."""

    states: tuple[PairState, ...]
    wake_counts: Mapping[PairId, int]  #: how often each pair was woken until it was loaded
    due_times: Mapping[PairId, datetime | None]  #: when each pair is due
    #: the problem of each pair that could not be loaded, because a sealed value could not be opened
    unreadable: Mapping[PairId, str] = field(default_factory=dict)


def _make_list_dict() -> dict[PairId, list[Any]]:
    return defaultdict(list)


@dataclass(slots=True)
class _Batch:
    """The rows that were read for several pairs, as domain objects, grouped by pair unless a comment says otherwise."""

    people: dict[Address, Person] = field(default_factory=dict)  #: by address
    sessions: Mapping[PairId, list[Session]] = field(default_factory=_make_list_dict)
    deferrals: Mapping[PairId, list[Deferral]] = field(default_factory=_make_list_dict)
    commitments: Mapping[PairId, list[Commitment]] = field(default_factory=_make_list_dict)
    effects: Mapping[PairId, list[Effect]] = field(default_factory=_make_list_dict)
    #: by pair and by key of the event
    placed: Mapping[PairId, dict[str, PlacedEvent]] = field(default_factory=lambda: defaultdict(dict))
    meetings: Mapping[PairId, list[Meeting]] = field(default_factory=_make_list_dict)
    waiting: dict[Address, list[WaitingPair]] = field(default_factory=lambda: defaultdict(list))  #: by manager
    mails_by_reader: dict[Address, list[Effect]] = field(default_factory=lambda: defaultdict(list))  #: by address
    report_counts: dict[Address, int] = field(default_factory=dict)  #: active pairs, by manager
    unreadable: dict[PairId, str] = field(default_factory=dict)  #: the problems, as in `LoadedPairs`
    incoming: Mapping[PairId, Handover] = field(default_factory=dict)  #: the handover to each pair
    outgoing: Mapping[PairId, Handover] = field(default_factory=dict)  #: the handover from each pair


#: A function that opens the column `session.sealed_plan`: see `Content.open_ad_hoc_fields`.
OpenAdHocFields = Callable[[bytes], Mapping[str, Any]]


def load_pairs(
    connection: Connection, pairs: Sequence[PairId], now: datetime, open_ad_hoc_fields: OpenAdHocFields
) -> LoadedPairs:
    """Return everything that planning these pairs needs.

    Unknown pairs are left out. Pairs with a sealed value that can't be opened are listed as `unreadable`.
    """
    ids = list(pairs)
    pair_rows = {row["id"]: row for row in _PAIRS.fetch_rows(connection, pairs=ids)}
    people = sorted({row[side] for row in pair_rows.values() for side in ("manager", "report")})
    batch = _Batch()
    batch.people = {row["email"]: rows.read_person(row) for row in _PEOPLE.fetch_rows(connection, people=people)}
    pair_by_subject = _read_sessions_and_commitments(connection, batch, ids, now, open_ad_hoc_fields)
    _read_events_and_effects(connection, batch, ids, pair_by_subject, now)
    _read_mails_to_people(connection, batch, pair_rows, now)
    pairs_with_meetings = [row["id"] for row in pair_rows.values() if row["review"] == ReviewMode.IN_1ON1.value]
    if pairs_with_meetings:
        for row in _MEETINGS.fetch_rows(connection, pairs=pairs_with_meetings, now=now):
            batch.meetings[row["pair"]].append(Meeting(pair=row["pair"], span=Span(row["start"], row["end"])))
    _read_waiting_pairs(connection, batch, pair_rows)
    batch.incoming, batch.outgoing = load_handovers(connection, ids)
    ordered_rows = [pair_rows[pair_id] for pair_id in ids if pair_id in pair_rows]
    states = tuple(
        _build_state(rows.read_pair(row), row["looked_at"], batch)
        for row in ordered_rows
        if row["id"] not in batch.unreadable
    )
    wake_counts, due_times = ({row["id"]: row[name] for row in ordered_rows} for name in ("wakes", "due_at"))
    return LoadedPairs(states, wake_counts, due_times, batch.unreadable)


def _read_mails_to_people(connection: Connection, batch: _Batch, pairs: Collection[PairId], now: datetime) -> None:
    """Read mails to the people of these pairs, and the number of active pairs of each manager, into the batch."""
    people = sorted({address for pair_id in pairs for address in pair_id.people})
    prompts_since, weekly_since = now - PROMPT_WINDOW, now - WEEKLY_WINDOW
    for row in _MAILS_TO_PEOPLE.fetch_rows(
        connection, people=people, prompts_since=prompts_since, weekly_since=weekly_since
    ):
        batch.mails_by_reader[row["to"]].append(rows.read_effect(row))
    managers = sorted({pair_id.manager for pair_id in pairs})
    batch.report_counts = {row[0]: row[1] for row in _REPORT_COUNTS.fetch_tuples(connection, managers=managers)}


def _list_effects(pair_id: PairId, batch: _Batch) -> tuple[Effect, ...]:
    """Return the effects that planning a pair needs.

    These are the effects of the pair, the mails to its manager about all pairs, and the reflection prompts that its
    report got from this manager and from earlier managers.
    """
    effects = {effect.key: effect for effect in batch.effects.get(pair_id, ())}
    for mail in batch.mails_by_reader.get(pair_id.manager, ()):
        # the manager may also be the report of another pair
        is_to_manager = mail.pair is None or mail.pair.manager == pair_id.manager
        if is_to_manager and mail.name != MailName.REFLECTION_PROMPT:
            effects.setdefault(mail.key, mail)
    for mail in batch.mails_by_reader.get(pair_id.report, ()):
        if mail.name == MailName.REFLECTION_PROMPT:
            effects.setdefault(mail.key, mail)
    return tuple(effects.values())


def _read_waiting_pairs(connection: Connection, batch: _Batch, pairs: Collection[PairId]) -> None:
    """Read the waiting pairs of the managers of those of these pairs that have no booked regular session.

    From the waiting pairs of a manager, planning computes the turn of a pair (T-3a).
    """

    def has_booked_regular_session(pair_id: PairId) -> bool:
        sessions = batch.sessions.get(pair_id, ())
        return any(
            session_.booked and session_.kind is SessionKind.CAREER and not session_.adhoc for session_ in sessions
        )

    managers = sorted({pair_id.manager for pair_id in pairs if not has_booked_regular_session(pair_id)})
    if managers:
        batch.waiting = load_waiting_pairs(connection, managers)


def load_waiting_pairs(connection: Connection, managers: Sequence[Address]) -> dict[Address, list[WaitingPair]]:
    """Return the active pairs of these managers, by manager, each with the times of its last conversations.

    From these times, planning computes the turn of each pair (T-3a).
    """
    pairs = [rows.read_pair(row) for row in _ACTIVE_PAIRS_OF_MANAGERS.fetch_rows(connection, managers=managers)]
    last_regular_by_pair: dict[PairId, datetime] = {}
    last_by_report: dict[Address, datetime] = {}
    reports = sorted({pair_.report for pair_ in pairs})
    for row in _LAST_CONVERSATIONS.fetch_rows(connection, reports=reports):
        last_by_report[row["report"]] = max(row["held_at"], last_by_report.get(row["report"], row["held_at"]))
        if not row["adhoc"]:
            last_regular_by_pair[row["pair"]] = row["held_at"]
    waiting_pairs: dict[Address, list[WaitingPair]] = defaultdict(list)
    for pair_ in pairs:
        waiting_pair = WaitingPair(pair_, last_regular_by_pair.get(pair_.id), last_by_report.get(pair_.report))
        waiting_pairs[pair_.manager].append(waiting_pair)
    return waiting_pairs


def _read_sessions_and_commitments(
    connection: Connection, batch: _Batch, pairs: list[PairId], now: datetime, open_ad_hoc_fields: OpenAdHocFields
) -> dict[str, PairId]:
    """Read sessions, deferrals and commitments into the batch. Return the pair of each subject of events and effects.

    A subject is the id of a session that is not closed, the id of a commitment, or the id of the pair itself.
    """
    pair_by_subject = {str(pair_id): pair_id for pair_id in pairs}
    pair_by_deferred_session: dict[str, PairId] = {}
    for row in _SESSIONS.fetch_rows(connection, pairs=pairs):
        try:
            batch.sessions[row["pair"]].append(rows.read_session(row, open_ad_hoc_fields))
        except WrongKey as error:
            batch.unreadable[row["pair"]] = str(error)
        if not row["closed"]:
            pair_by_subject[row["id"]] = row["pair"]
        if row["count"] or row["by_hand"]:  # a move by hand is stored as a deferral, but is not counted
            pair_by_deferred_session[row["id"]] = row["pair"]
    for row in _COMMITMENTS.fetch_rows(connection, pairs=pairs, closed_since=now - CLOSED_COMMITMENT_WINDOW):
        batch.commitments[row["pair"]].append(rows.read_commitment(row))
        pair_by_subject[row["id"]] = row["pair"]
    if pair_by_deferred_session:
        for row in _DEFERRALS.fetch_rows(connection, sessions=list(pair_by_deferred_session)):
            batch.deferrals[pair_by_deferred_session[row["session"]]].append(rows.read_deferral(row))
    return pair_by_subject


def _read_events_and_effects(
    connection: Connection, batch: _Batch, pairs: list[PairId], pair_by_subject: Mapping[str, PairId], now: datetime
) -> None:
    """Read the events and effects with these subjects into the batch, also effects on other events of these pairs."""
    event_rows = _EVENTS.fetch_rows(connection, subjects=list(pair_by_subject), pairs=pairs, now=now)
    for row in event_rows:
        batch.placed[row["pair"]][row["key"]] = rows.read_placed_event(row)
    # the events may have further subjects: an event can still be on the calendar though its session is closed
    pair_by_any_subject = {row["subject"]: row["pair"] for row in event_rows} | dict(pair_by_subject)
    for row in _EFFECTS.fetch_rows(connection, subjects=list(pair_by_any_subject), since=now - PAIR_MAIL_WINDOW):
        batch.effects[pair_by_any_subject[row["subject"]]].append(rows.read_effect(row))


def load_taken_time(
    connection: Connection, people: Sequence[Address], now: datetime
) -> dict[Address, tuple[TakenTime, ...]]:
    """Return the time of these people that any pair has taken, by person, sorted by start.

    Taken time is the time of booked sessions, offers and blocks from now on. The sessions of the last week are
    included, because a manager has at most one conversation a day (T-2), and only few first conversations a week
    (T-3a).
    """
    taken_times: dict[Address, list[TakenTime]] = defaultdict(list)
    addresses = list(people)
    for row in _SESSIONS_WITH_TAKEN_TIME.fetch_rows(
        connection, managers=addresses, reports=addresses, since=now - WEEK, now=now
    ):
        # the end is None without an offer, and for an offer of an older version, which stored no end
        has_offer_ended = row["offered_until"] is not None and row["offered_until"] <= now
        offered_spans = () if has_offer_ended else row["options"]
        for span in (*_list_session_spans(row), *offered_spans):
            taken_time = TakenTime(span, subject=row["id"], kind=row["kind"], pair=row["pair"], in_turn=row["in_turn"])
            taken_times[row["manager"]].append(taken_time)
            taken_times[row["report"]].append(taken_time)
    for row in _BLOCKS.fetch_rows(connection, people=addresses, now=now):
        span = Span(row["block_start"], row["block_end"])
        taken_times[row["manager"]].append(TakenTime(span, subject=row["id"], kind=None, pair=row["pair"]))
    return {address: tuple(sorted(times, key=_get_sort_key)) for address, times in taken_times.items()}


def _get_sort_key(taken_time: TakenTime) -> tuple[datetime, str]:
    return taken_time.span.start, taken_time.subject


def _list_session_spans(row: Row) -> Iterable[Span]:
    """Return the time of a session; nothing for a session without a time, which may still have an offer (T-14)."""
    return (Span(row["start"], row["end"]),) if row["start"] else ()


def _build_state(planned_pair: Pair, free_busy_used_at: datetime | None, batch: _Batch) -> PairState:
    pair_id = planned_pair.id
    return PairState(
        pair=planned_pair,
        manager=batch.people[planned_pair.manager],
        report=batch.people[planned_pair.report],
        sessions=tuple(batch.sessions.get(pair_id, ())),
        deferrals=tuple(batch.deferrals.get(pair_id, ())),
        commitments=tuple(batch.commitments.get(pair_id, ())),
        effects=_list_effects(pair_id, batch),
        placed_events=batch.placed.get(pair_id, {}),
        meetings=tuple(batch.meetings.get(pair_id, ())),
        waiting_pairs=tuple(batch.waiting.get(planned_pair.manager, ())),
        free_busy_used_at=free_busy_used_at,
        incoming_handover=batch.incoming.get(pair_id),
        outgoing_handover=batch.outgoing.get(pair_id),
        report_count=batch.report_counts.get(planned_pair.manager, 1),
    )
