"""The outbox: effects that were decided, who performs each, and how it ended.

A message that is in somebody's hands carries the end of that lease in `due_at`; so "due" is one question to one
index, and a message whose holder died is due again by itself.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, bindparam, case, exists, func, or_, select, update

from worker.domain.model import LIVE, Message, PairId, Placed, Progress, Settlement, What
from worker.store import rows, tables
from worker.store.alerts import NAME, raise_alert
from worker.store.database import Database
from worker.store.history import record
from worker.store.plans import wake
from worker.store.statements import Prepared
from worker.store.tables import among, at, one_of

log = logging.getLogger(__name__)

#: Reading the calendar wakes the pair by itself when it tells anything; else it is planned again after so long.
AFTER_READING = timedelta(minutes=5)

message, event, pair, person = tables.message, tables.event, tables.pair, tables.person

_earlier = message.alias("earlier")
#: Of the changes of one event only the oldest is ever in somebody's hands.
_WAITS = exists().where(
    _earlier.c.subject == message.c.subject,
    _earlier.c.id < message.c.id,
    _earlier.c.what != What.MAIL.value,
    among(_earlier.c.progress, sorted(p.value for p in LIVE)),
)
_DUE = Prepared(
    select(message)
    .where(message.c.due_at <= at("now"), or_(message.c.what == What.MAIL.value, ~_WAITS))
    .order_by(message.c.due_at, message.c.id)
    .limit(bindparam("limit"))
    .with_for_update(skip_locked=True, of=message)
)
_CLAIM = Prepared(
    update(message)
    .where(one_of(message.c.id, "ids"))
    .values(
        holder=bindparam("me"),
        due_at=at("until"),
        progress=case((message.c.progress == Progress.WAITING.value, Progress.CLAIMED.value), else_=message.c.progress),
    )
)
_BEGIN = Prepared(
    update(message)
    .where(
        one_of(message.c.key, "keys"),
        message.c.holder == bindparam("me"),
        among(message.c.progress, [Progress.CLAIMED.value, Progress.SENDING.value]),
    )
    .values(
        progress=Progress.SENDING.value,
        attempts=message.c.attempts + 1,
        due_at=at("until"),
    )
    .returning(message.c.key)
)
_SETTLE = Prepared(
    update(message)
    .where(one_of(message.c.key, "keys"), message.c.holder == bindparam("me"))
    .values(
        progress=bindparam("to_progress"),
        due_at=at("to_due_at"),
        problem=bindparam("to_problem"),
        holder=None,
    )
    .returning(message.c.key)
)
_GONE = Prepared(update(event).where(event.c.key == bindparam("named")).values(gone=True))
_ONLY_OURS = Prepared(
    update(event)
    .where(event.c.key == bindparam("named"), or_(event.c.etag != bindparam("over"), event.c.gone))
    .values(
        written_start=at("begins"),
        written_end=at("ends"),
        sequence=bindparam("revision"),
    )
)
_MAILER: Any = func.coalesce(person.c.mail, bindparam("operator_by"))
_UNSENT = Prepared(
    select(_MAILER.label("mailer"), func.count(), func.max(message.c.attempts), func.min(message.c.problem))
    .select_from(
        message.outerjoin(pair, pair.c.id == message.c.pair).outerjoin(person, person.c.email == pair.c.manager)
    )
    .where(message.c.due_at.is_not(None), message.c.what == What.MAIL.value, message.c.problem.is_not(None))
    .group_by("mailer")
)


@dataclass(frozen=True, slots=True)
class Unsent:
    """Of one mail service: how many mails failed and are tried again, how often the worst was tried, and why."""

    mails: int
    attempts: int
    problem: str


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message in our hands. `lost` is true when another had begun it and never said how it ended."""

    message: Message
    lost: bool
    words: str = ""  #: of an operator's alert


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectResult:
    """All that is written when an attempt is over."""

    message: Message
    settlement: Settlement
    problem: str = ""
    placed: Placed | None = None  #: the event as it stands now
    over: str = ""  #: the etag of what stood there when it was written; empty when there was nothing
    gone: str = ""  #: key of an event that stands no more
    fields: Mapping[str, Any] | None = None  #: for the history, when it was done
    reread: bool = False  #: the calendar is not what we thought: planning waits until it was read again


class OutboxRows:
    """The table `message`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._logged: set[str] = set()  #: alerts that the log was told, where there is no operator

    def claim(self, now: datetime, holder: str, until: datetime, limit: int) -> list[Claimed]:
        """Take due messages into our hands. Of the changes of one event only the oldest: they go out in order."""
        with self._database.write() as connection:
            found = _DUE.rows(connection, now=now, limit=limit)
            if found:
                ids = [row["id"] for row in found]
                _CLAIM.run(connection, ids=ids, me=holder, until=until)
        return [
            Claimed(rows.message(row), row["progress"] == Progress.SENDING.value, row["fields"].get("words", ""))
            for row in found
        ]

    def begin(self, keys: Sequence[str], holder: str, until: datetime) -> set[str]:
        """Note that these are about to be performed, and hold them until then. Only those returned are still ours."""
        with self._database.write() as connection:
            return set(_BEGIN.column(connection, keys=list(keys), me=holder, until=until))

    def settle(self, endings: Sequence[EffectResult], holder: str, now: datetime) -> None:
        """Write how attempts ended, all of it. Of a message that is not ours any more nothing is written."""
        with self._database.write() as connection:
            ours = _settle_ours(connection, endings, holder)
            seen_since = self._events(connection, ours)
            done = [e for e in ours if e.settlement.progress is Progress.DONE]
            record(
                connection,
                [(now, e.message.what.value, e.message.pair, _session(e.message), "", e.fields or {}) for e in done],
            )
            replan = [e for e in ours if e.settlement.replan]
            again = _pairs(e for e in replan if not e.reread) | seen_since
            if again:
                wake(connection, sorted(again), now)
            if later := _pairs(e for e in replan if e.reread):
                wake(connection, sorted(later), now + AFTER_READING)

    def _events(self, connection: Connection, endings: Sequence[EffectResult]) -> set[PairId]:
        """Write down where events stand; the pairs of those of which more is known, which has to be planned with."""
        written: list[dict[str, Any]] = []
        seen_since: set[PairId] = set()
        for ending in endings:
            if ending.placed is not None and _seen_since(connection, ending, ending.placed):
                seen_since |= _pairs([ending])
            elif ending.placed is not None:
                written.append(_event_row(ending.message, ending.placed))
            if ending.gone:
                _GONE.run(connection, named=ending.gone)
        self._database.upsert(connection, event, written)
        return seen_since

    def alert(self, key: str, words: str, now: datetime, operator: str, cause: str = "") -> None:
        """Tell the operator something, once by that key; of one cause at most once an hour, with a count of the others.

        `cause` is what stands before the first colon of the key unless it is given. The words hold no content of a
        conversation. With no operator set, the log is told, and `longarc status` shows what is in trouble.
        """
        if not operator:
            if key not in self._logged:
                log.error("%s", words, extra={"action": NAME, "key": key})
            self._logged.add(key)
            return
        cause = cause or key.partition(":")[0]
        with self._database.write() as connection:
            raise_alert(self._database, connection, key=key, cause=cause, words=words, now=now, operator=operator)

    def add(self, one: Message, **fields: str) -> None:
        """Have a mail sent that no plan decided. Of one key there is one."""
        with self._database.write() as connection:
            row = {**rows.message_row(one), "fields": fields}
            self._database.insert_new(connection, message, [row], ["key"])

    def add_within(self, connection: Connection, some: Sequence[Message]) -> None:
        """The same for several, within a transaction that is under way."""
        self._database.insert_new(connection, message, [rows.message_row(one) for one in some], ["key"])

    def alerts(self, since: datetime) -> list[tuple[datetime, str]]:
        """What the operator was told since then, newest first. The words hold no content of a conversation."""
        told = and_(message.c.name == NAME, message.c.snapshot_at >= since)
        query = select(message.c.snapshot_at, message.c.fields).where(told).order_by(message.c.id.desc()).limit(100)
        with self._database.read() as connection:  # what only counts others is left out
            each = [(row[0], row[1]["words"]) for row in connection.execute(query) if "listed" not in row[1]]
        return each[:50]

    def counts(self) -> dict[str, int]:
        """How many messages stand where."""
        query = select(message.c.progress, func.count()).group_by(message.c.progress)
        with self._database.read() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def unsent(self, operator_by: str) -> dict[str, Unsent]:
        """The mails that failed and are tried again, by mail service; `operator_by` is the one of the operator."""
        with self._database.read() as connection:
            return {name: Unsent(*rest) for name, *rest in _UNSENT.tuples(connection, operator_by=operator_by)}

    def list_troubled(self) -> list[Mapping[str, Any]]:
        """Messages a human should know of: uncertain, refused, or tried again and again."""
        stuck = and_(message.c.progress == Progress.WAITING.value, message.c.attempts >= 3)
        ended = message.c.progress.in_([Progress.UNCERTAIN.value, Progress.DEAD.value])
        query = select(message).where(or_(ended, stuck)).order_by(message.c.id.desc()).limit(50)
        with self._database.read() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]


def _settle_ours(connection: Connection, endings: Sequence[EffectResult], holder: str) -> list[EffectResult]:
    """Write how they ended; those that were still ours. Many end alike, and are written together."""
    alike: dict[tuple[str, datetime | None, str | None], list[str]] = defaultdict(list)
    for ending in endings:
        settlement = ending.settlement
        alike[settlement.progress.value, settlement.due_at, ending.problem or None].append(ending.message.key)
    ours: set[str] = set()
    for (progress, due_at, problem), keys in alike.items():
        to = {"to_progress": progress, "to_due_at": due_at, "to_problem": problem}
        ours.update(_SETTLE.column(connection, keys=keys, me=holder, **to))
    return [ending for ending in endings if ending.message.key in ours]


def _pairs(endings: Iterable[EffectResult]) -> set[PairId]:
    """The pairs whose effects they end."""
    return {e.message.pair for e in endings if e.message.pair is not None}


def _event_row(one: Message, placed: Placed) -> dict[str, Any]:
    return {
        "key": placed.key,
        "subject": one.subject,
        "pair": one.pair,
        "calendar": placed.ref.calendar,
        "provider_id": placed.ref.id,
        "etag": placed.ref.etag,
        "start": placed.span.start,
        "end": placed.span.end,
        "written_start": placed.written.start,
        "written_end": placed.written.end,
        "sequence": placed.sequence,
        "gone": placed.gone,
        "answers": {who: answer.value for who, answer in placed.answers.items()},
        "proposed": rows.spans_by(placed.proposed),
    }


def _seen_since(connection: Connection, ending: EffectResult, placed: Placed) -> bool:
    """When a reading of the calendar has told more of the event than our own write knows, only what we wrote is noted.

    So what a human did to it in the moment between the two is not forgotten.
    """
    ours = {"begins": placed.written.start, "ends": placed.written.end, "revision": placed.sequence}
    newer = {"named": placed.key, "over": ending.over}
    return bool(_ONLY_OURS.run(connection, **newer, **ours))


def _session(one: Message) -> str:
    return one.subject if one.subject not in (str(one.pair), "operator") else ""
