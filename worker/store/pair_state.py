"""Reading all that planning some pairs needs, as of one moment.

It is the busiest code of the program: the statements are built once, and each asks for all pairs together.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, or_, select

from worker.domain.model import (
    REMEMBERED,
    Address,
    Commitment,
    Deferral,
    Kind,
    Meeting,
    Message,
    Pair,
    PairId,
    PairState,
    Person,
    Placed,
    Progress,
    Review,
    Session,
    Span,
    Standing,
    State,
    Taken,
    What,
)
from worker.errors import WrongKey
from worker.store import rows
from worker.store.statements import Prepared, Row
from worker.store.tables import (
    among,
    at,
    commitment,
    deferral,
    event,
    meeting,
    message,
    one_of,
    pair,
    person,
    session,
)

#: Mails about the pair as such (commitments that fall due) are read back this far.
PAIR_MAILS = timedelta(days=40)
#: A commitment that ended is still read for so long: its event may wait to be taken off.
LATELY = timedelta(days=2)
DAY = timedelta(days=1)


_PAIRS = Prepared(select(pair).where(one_of(pair.c.id, "pairs")))
_PEOPLE = Prepared(select(person).where(one_of(person.c.email, "people")))
#: What is not closed, and the last three cycles held and all after them: the cadence counts from them.
_SESSIONS = Prepared(
    select(session)
    .join(pair, pair.c.id == session.c.pair)
    .where(one_of(session.c.pair, "pairs"), or_(session.c.closed.is_(False), session.c.cycle >= pair.c.cycle - 2))
    .order_by(session.c.cycle, session.c.target, session.c.id)
)
_DEFERRALS = Prepared(
    select(deferral).where(one_of(deferral.c.session, "sessions")).order_by(deferral.c.session, deferral.c.number)
)
_COMMITMENTS = Prepared(
    select(commitment)
    .where(
        one_of(commitment.c.pair, "pairs"),
        or_(
            commitment.c.standing == Standing.OPEN.value,
            commitment.c.block_start.is_not(None),
            commitment.c.closed_at >= at("lately"),
        ),
    )
    .order_by(commitment.c.id)
)
_COUNTED = [What.MAIL.value, What.CANCEL.value]
_OVER = [Progress.DONE.value, Progress.DROPPED.value]
#: Mails and cancels, since they are counted; other changes of events while they are under way, or were refused.
_MESSAGES = Prepared(
    select(*rows.MESSAGE)
    .where(
        one_of(message.c.subject, "subjects"),
        or_(among(message.c.what, _COUNTED), ~among(message.c.progress, _OVER)),
        or_(
            message.c.subject != message.c.pair,
            message.c.snapshot_at >= at("since"),
            among(message.c.name, [name.value for name in REMEMBERED]),
        ),
    )
    .order_by(message.c.id)
)
_EVENTS = Prepared(
    select(event).where(
        or_(
            one_of(event.c.subject, "subjects"),
            and_(one_of(event.c.pair, "pairs"), event.c.gone.is_(False), event.c.end > at("now")),
        )
    )
)
_MEETINGS = Prepared(select(meeting).where(one_of(meeting.c.pair, "pairs"), meeting.c.end > at("now")))
_BOOKED = Prepared(
    select(
        session.c.id,
        session.c.pair,
        session.c.kind,
        session.c.start,
        session.c.end,
        session.c.options,
        pair.c.manager,
        pair.c.report,
    )
    .join(pair, pair.c.id == session.c.pair)
    .where(
        or_(one_of(pair.c.manager, "people"), one_of(pair.c.report, "others")),
        session.c.end > at("since"),
        or_(session.c.state == State.BOOKED.value, session.c.held_at.is_not(None)),
    )
)
_BLOCKS = Prepared(
    select(commitment.c.id, commitment.c.pair, commitment.c.block_start, commitment.c.block_end, pair.c.manager)
    .join(pair, pair.c.id == commitment.c.pair)
    .where(commitment.c.block_end > at("now"), commitment.c.all_day.is_(False), one_of(pair.c.manager, "people"))
)


@dataclass(frozen=True, slots=True)
class Loaded:
    """Pairs as they are, and how often each had been woken."""

    states: tuple[PairState, ...]
    wakes: Mapping[PairId, int]
    unread: Mapping[PairId, str] = field(default_factory=dict)  #: why some of them could not be read, by pair


def _lists() -> dict[PairId, list[Any]]:
    return defaultdict(list)


@dataclass(slots=True)
class _Batch:
    """What belongs to some pairs, gathered by pair."""

    people: dict[Address, Person] = field(default_factory=dict)
    sessions: Mapping[PairId, list[Session]] = field(default_factory=_lists)
    deferrals: Mapping[PairId, list[Deferral]] = field(default_factory=_lists)
    commitments: Mapping[PairId, list[Commitment]] = field(default_factory=_lists)
    messages: Mapping[PairId, list[Message]] = field(default_factory=_lists)
    placed: Mapping[PairId, dict[str, Placed]] = field(default_factory=lambda: defaultdict(dict))
    meetings: Mapping[PairId, list[Meeting]] = field(default_factory=_lists)
    unread: dict[PairId, str] = field(default_factory=dict)


#: Opens what is sealed of how soon a conversation has to be.
OpenPlan = Callable[[bytes], Mapping[str, Any]]


def load(connection: Connection, pairs: Sequence[PairId], now: datetime, open_plan: OpenPlan) -> Loaded:
    """All that planning these pairs needs; those that aren't known are left out, and those of which something sealed
    can't be opened are `unread`."""
    ids = list(pairs)
    found = {row["id"]: row for row in _PAIRS.rows(connection, pairs=ids)}
    people = sorted({row[who] for row in found.values() for who in ("manager", "report")})
    batch = _Batch()
    batch.people = {row["email"]: rows.person(row) for row in _PEOPLE.rows(connection, people=people)}
    subjects = _sessions_and_commitments(connection, batch, ids, now, open_plan)
    _effects(connection, batch, ids, subjects, now)
    inside = [row["id"] for row in found.values() if row["review"] == Review.IN_1ON1.value]
    for row in _MEETINGS.rows(connection, pairs=inside, now=now) if inside else ():
        batch.meetings[row["pair"]].append(Meeting(pair=row["pair"], span=Span(row["start"], row["end"])))
    ordered = [found[pair_id] for pair_id in ids if pair_id in found]
    states = tuple(_state(rows.pair(row), row["looked_at"], batch) for row in ordered if row["id"] not in batch.unread)
    return Loaded(states, {row["id"]: row["wakes"] for row in ordered}, batch.unread)


def _sessions_and_commitments(
    connection: Connection, batch: _Batch, pairs: list[PairId], now: datetime, open_plan: OpenPlan
) -> dict[str, PairId]:
    """Reads them into the batch; returns whose each of them is, and of each pair itself."""
    owner = {str(pair_id): pair_id for pair_id in pairs}
    counted: dict[str, PairId] = {}
    for row in _SESSIONS.rows(connection, pairs=pairs):
        try:
            batch.sessions[row["pair"]].append(rows.session(row, open_plan))
        except WrongKey as error:
            batch.unread[row["pair"]] = str(error)
        if not row["closed"]:
            owner[row["id"]] = row["pair"]
        if row["count"]:
            counted[row["id"]] = row["pair"]
    for row in _COMMITMENTS.rows(connection, pairs=pairs, lately=now - LATELY):
        batch.commitments[row["pair"]].append(rows.commitment(row))
        owner[row["id"]] = row["pair"]
    if counted:
        for row in _DEFERRALS.rows(connection, sessions=list(counted)):
            batch.deferrals[counted[row["session"]]].append(rows.deferral(row))
    return owner


def _effects(
    connection: Connection, batch: _Batch, pairs: list[PairId], owner: Mapping[str, PairId], now: datetime
) -> None:
    found = _EVENTS.rows(connection, subjects=list(owner), pairs=pairs, now=now)
    for row in found:
        batch.placed[row["pair"]][row["key"]] = rows.read_placed_event(row)
    owner = {row["subject"]: row["pair"] for row in found} | dict(owner)  # what still stands of something closed, too
    for row in _MESSAGES.rows(connection, subjects=list(owner), since=now - PAIR_MAILS):
        batch.messages[owner[row["subject"]]].append(rows.message(row))


def taken_of(connection: Connection, people: Sequence[Address], now: datetime) -> dict[Address, tuple[Taken, ...]]:
    """The time of these people that any pair has taken, from now on; and of conversations held within a day, since a
    manager has one a day at most (T-2)."""
    taken: dict[Address, list[Taken]] = defaultdict(list)
    who = list(people)
    for row in _BOOKED.rows(connection, people=who, others=who, since=now - DAY):
        for one in (*_span(row), *_options(row["options"])):
            mine = Taken(one, row["id"], Kind(row["kind"]), row["pair"])
            taken[row["manager"]].append(mine)
            taken[row["report"]].append(mine)
    for row in _BLOCKS.rows(connection, people=who, now=now):
        span = Span(row["block_start"], row["block_end"])
        taken[row["manager"]].append(Taken(span, row["id"], None, row["pair"]))
    return {one: tuple(sorted(all_, key=_by_time)) for one, all_ in taken.items()}


def _by_time(one: Taken) -> tuple[datetime, str]:
    return one.span.start, one.session


def _span(row: Row) -> Iterable[Span]:
    return (Span(row["start"], row["end"]),)


def _options(stored: Sequence[tuple[int, int]]) -> Iterable[Span]:
    return (Span(rows.instant(start), rows.instant(end)) for start, end in stored)


def _state(one: Pair, looked_at: datetime | None, batch: _Batch) -> PairState:
    pair_id = one.id
    return PairState(
        pair=one,
        manager=batch.people[one.manager],
        report=batch.people[one.report],
        sessions=tuple(batch.sessions.get(pair_id, ())),
        deferrals=tuple(batch.deferrals.get(pair_id, ())),
        commitments=tuple(batch.commitments.get(pair_id, ())),
        messages=tuple(batch.messages.get(pair_id, ())),
        placed=batch.placed.get(pair_id, {}),
        meetings=tuple(batch.meetings.get(pair_id, ())),
        looked_at=looked_at,
    )
