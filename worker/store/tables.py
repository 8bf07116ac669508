"""What is kept. One schema for SQLite and PostgreSQL; the migrations in `worker/store/migrations` lead up to it.

Instants are whole seconds since 1970 in UTC: exact, ordered, and the same in both databases. Spans inside JSON are
pairs of such seconds. Columns named `sealed` and `sealed_plan` hold ciphertext only.
"""

from datetime import date
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    false,
)

from worker.domain.model import (
    CommitmentStanding,
    DeferralCause,
    EffectKind,
    EffectProgress,
    EndReason,
    Format,
    OfferPurpose,
    Owner,
    Participation,
    ReviewMode,
    SessionKind,
    SessionState,
    Topic,
)
from worker.store.types import EnumType, Instant, IntendedTimesType, PairIdType, ReasonsType, SpansType

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

#: SQLite counts by itself only on a plain INTEGER key.
SerialInteger = BigInteger().with_variant(Integer, "sqlite")

person = Table(
    "person",
    metadata,
    Column("email", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("zone", String, nullable=False),
    Column("country", String, nullable=False),
    Column("hours", String, nullable=False),
    Column("locale", String, nullable=False),
    Column("calendar", String, nullable=False),
    Column("mail", String, nullable=False),
    Column("group", String, nullable=False, server_default=""),
    Column("left_at", Instant),
    # who plans this person's time just now (a person is in one sweep at a time)
    Column("holder", String, index=True),
    Column("held_until", Instant),
    # a revoked grant: nothing is asked of this person's calendar until then
    Column("suspended_until", Instant, index=True),
    Column("habits_at", Instant),  # when the calendar was first asked for time zone and working hours
    Column("away", SpansType, nullable=False, server_default="[]"),  # out of office, as calendars last told
)

#: What else a person is called: aliases, the id in the company's directory, and what calendar services say.
person_form = Table(
    "person_form",
    metadata,
    Column("form", String, primary_key=True),  # normalized; names one person
    Column("person", String, ForeignKey("person.email"), nullable=False, index=True),
    Column("source", String, nullable=False),
)

pair = Table(
    "pair",
    metadata,
    Column("id", PairIdType, primary_key=True),
    Column("manager", String, ForeignKey("person.email"), nullable=False, index=True),
    Column("report", String, ForeignKey("person.email"), nullable=False, index=True),
    Column("first_seen", Date, nullable=False),
    Column("start", Date),
    Column("weeks", Integer, nullable=False),
    Column("months", Integer, nullable=False),
    Column("minutes", Integer, nullable=False),
    Column("format", EnumType(Format), nullable=False),
    Column("review", EnumType(ReviewMode), nullable=False),
    Column("transition_until", Date),
    Column("weekday", Integer),
    Column("minute", Integer),
    Column("trust", Boolean, nullable=False),
    Column("paused", Boolean, nullable=False),
    Column("paused_until", Date, index=True),  # on this day the pause ends by itself
    Column("rests", Boolean, nullable=False, default=False),  # paused by `longarc pause`
    Column("participation", EnumType(Participation), nullable=False, server_default=""),
    Column("chosen", JSON(none_as_null=True)),  # what the two chose on their pages; goes before the roster
    Column("ended", EnumType(EndReason), nullable=False),
    Column("ended_at", Instant, index=True),
    Column("erased_at", Instant),  # when what the two wrote was erased
    Column("cycle", Integer, nullable=False, default=0),  # the newest of which something was held
    Column("looked_at", Instant),
    Column("due_at", Instant, index=True),
    Column("wakes", Integer, nullable=False, default=0),  # grows when somebody wakes the pair
)

session = Table(
    "session",
    metadata,
    Column("id", String, primary_key=True),
    Column("pair", PairIdType, ForeignKey("pair.id"), nullable=False),
    Column("kind", EnumType(SessionKind), nullable=False),
    Column("topic", EnumType(Topic), nullable=False),
    Column("cycle", Integer, nullable=False),
    Column("adhoc", Boolean, nullable=False),
    Column("state", EnumType(SessionState), nullable=False),
    Column("closed", Boolean, nullable=False),
    Column("minutes", Integer, nullable=False),
    Column("earliest", Instant, nullable=False),
    Column("target", Instant, nullable=False),
    Column("latest", Instant, nullable=False),
    Column("start", Instant),
    Column("end", Instant),
    Column("generation", Integer, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("in_turn", Boolean, nullable=False, server_default=false()),
    Column("by_hand", Boolean, nullable=False),
    Column("intended", IntendedTimesType),  # what stood at that time when a person chose it; null until it was read
    Column("urgent", Boolean, nullable=False),  # always false: how soon an ad hoc conversation has to be is sealed
    Column("count", Integer, nullable=False),
    Column("deferred_at", Instant),
    Column("warned_at", Instant),
    Column("held_at", Instant),
    Column("noted_at", Instant),  # when it was recorded as held, where that was not at its end
    Column("contracted_at", Instant),  # of the first revision of its contract
    Column("unplaceable", ReasonsType),
    Column("options", SpansType, nullable=False),  # times reserved for the two to choose from…
    Column("offered_until", Instant),  # … until then
    Column("offered_for", EnumType(OfferPurpose)),
    Column("displaces", JSON(none_as_null=True)),  # for each of these times: whose hour it takes
    Column("sealed", LargeBinary),  # why an ad hoc conversation was asked for
    Column("sealed_plan", LargeBinary),  # of an ad hoc one: how soon it has to be, and why there is no time for it
    Index("ix_session_pair_closed", "pair", "closed", "cycle"),
)

deferral = Table(
    "deferral",
    metadata,
    Column("session", String, ForeignKey("session.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("cause", EnumType(DeferralCause), nullable=False),
    Column("who", String, nullable=False),
    Column("was_start", Instant),
    Column("was_end", Instant),
    Column("explained_at", Instant),  # when the report said why…
    Column("sealed", LargeBinary),  # … and what
)

contract = Table(
    "contract",
    metadata,
    Column("session", String, ForeignKey("session.id"), primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("pair", PairIdType, nullable=False, index=True),
    Column("recorded_at", Instant, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
)

#: A contract that is being written: the fields of its form as they were last saved, complete or not.
contract_draft = Table(
    "sketch",
    metadata,
    Column("session", String, ForeignKey("session.id"), primary_key=True),
    Column("version", Integer, nullable=False),  # grows with each time it is saved
    Column("saved_at", Instant, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
)

#: A manager's sentence about their own learning, for the next prompt of this pair's report; gone once that went out.
learning = Table(
    "learning",
    metadata,
    Column("pair", PairIdType, ForeignKey("pair.id"), primary_key=True),
    Column("written_at", Instant, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
)

commitment = Table(
    "commitment",
    metadata,
    Column("id", String, primary_key=True),
    Column("pair", PairIdType, ForeignKey("pair.id"), nullable=False),
    Column("session", String, ForeignKey("session.id"), nullable=False, index=True),
    Column("owner", EnumType(Owner), nullable=False),
    Column("due", Date, nullable=False),
    Column("recorded_at", Instant, nullable=False),
    Column("standing", EnumType(CommitmentStanding), nullable=False),
    Column("closed_at", Instant),
    Column("block_start", Instant),
    Column("block_end", Instant),
    Column("all_day", Boolean, nullable=False),
    Column("by_hand", Boolean, nullable=False),
    Column("dismissed", Boolean, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("sealed", LargeBinary),  # the promise, and why it ended
    Index("ix_commitment_pair_standing", "pair", "standing"),
)

event = Table(
    "event",
    metadata,
    Column("key", String, primary_key=True),
    Column("subject", String, nullable=False, index=True),
    Column("pair", PairIdType, nullable=False),
    Column("calendar", String, nullable=False),
    Column("provider_id", String, nullable=False),
    Column("etag", String, nullable=False),
    Column("start", Instant, nullable=False),
    Column("end", Instant, nullable=False),
    Column("written_start", Instant, nullable=False),
    Column("written_end", Instant, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("gone", Boolean, nullable=False),
    Column("answers", JSON, nullable=False),
    Column("proposed", JSON, nullable=False, server_default="{}"),  # other times that guests proposed
    Index("ix_event_calendar_end", "calendar", "end"),
    Index("ix_event_pair_end", "pair", "end"),
)

message = Table(
    "message",
    metadata,
    Column("id", SerialInteger, primary_key=True, autoincrement=True),
    Column("key", String, nullable=False),
    Column("what", EnumType(EffectKind), nullable=False),
    Column("name", String, nullable=False),
    Column("pair", PairIdType, nullable=False),
    Column("subject", String, nullable=False, index=True),
    Column("calendar", String, nullable=False),
    Column("event", String, nullable=False),
    Column("to", String, nullable=False),  # a keyed digest of reader and day where the row must not name the reader
    Column("number", Integer, nullable=False),
    Column("start", Instant),
    Column("progress", EnumType(EffectProgress), nullable=False),
    Column("due_at", Instant),  # of one that is in somebody's hands: when its lease ends; none once settled for good
    Column("snapshot_at", Instant, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("holder", String),
    Column("problem", String),  # why the last attempt failed, without content
    Column("fields", JSON, nullable=False),  # for alerts: their words, which are never content
    Column("quiet", Boolean, nullable=False, server_default=false()),  # of a cancel: without notice to guests
    Column("counts", Boolean, nullable=False, server_default=false()),  # one of the three mails a day of its reader
    Column("day", Date),  # the reader's day on which such a mail leaves or left
    Column("told_in", String, index=True),  # the key of the mail that says it in a line, in place of this one
    UniqueConstraint("key"),
    Index("ix_message_to_name", "to", "name"),
    Index("ix_message_to_day", "to", "day"),
    Index("ix_message_due_at", "due_at"),
    Index("ix_message_calendar_due_at", "calendar", "due_at"),
)

history = Table(
    "history",
    metadata,
    Column("id", SerialInteger, primary_key=True, autoincrement=True),
    Column("at", Instant, nullable=False),
    Column("what", String, nullable=False),
    Column("pair", PairIdType, nullable=False, index=True),
    Column("session", String, nullable=False, index=True),
    Column("reason", String, nullable=False),
    Column("fields", JSON, nullable=False),
)

#: Commands that showed or changed what two people wrote down, on behalf of one of them.
access = Table(
    "access",
    metadata,
    Column("id", SerialInteger, primary_key=True, autoincrement=True),
    Column("at", Instant, nullable=False),
    Column("pair", PairIdType, nullable=False),
    Column("what", String, nullable=False),
    Column("on_behalf_of", String, nullable=False),
    Column("sealed", LargeBinary, nullable=False),  # the reason given
    Index("ix_access_pair_at", "pair", "at"),
)

#: What either of the two left for both after a conversation (R-28).
note = Table(
    "note",
    metadata,
    Column("session", String, ForeignKey("session.id"), primary_key=True),
    Column("author", EnumType(Owner), primary_key=True),
    Column("pair", PairIdType, nullable=False, index=True),
    Column("written_at", Instant, nullable=False),
    Column("sealed", LargeBinary, nullable=False),  # up to three lines
)

#: A report's question to a third person, and its answer (R-30). Nothing in the clear says who asked whom.
third_voice = Table(
    "third_voice",
    metadata,
    Column("id", String, primary_key=True),
    Column("tag", String, nullable=False, index=True),  # a keyed digest of the report's address
    Column("asked_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("answered_at", Instant),
    Column("sealed", LargeBinary, nullable=False),  # who asks whom, and what
    Column("sealed_answer", LargeBinary),
)

#: What a mail says once to one of the two, and the outbox key of that mail: a commitment that the other one kept
#: (its id), or the invitation to leave a note (`note:` and the session's id).
mention = Table(
    "mention",
    metadata,
    Column("subject", String, primary_key=True),
    Column("reader", EnumType(Owner), primary_key=True),
    Column("message", String, nullable=False, index=True),
)

#: Pairs that ended while the report stays: who the new manager is, and what goes on to them.
handover = Table(
    "handover",
    metadata,
    Column("former", PairIdType, primary_key=True),  # the pair that ended
    Column("pair", PairIdType, nullable=False, index=True),  # the new pair; empty while there is no new manager
    Column("ended_at", Instant, nullable=False),
    Column("sealed", LargeBinary),  # what the report passed on, and what the old manager decided
)

#: The rounds of one anonymous question to the reports (R-37). An open round has no row for a person or an answer.
pulse_round = Table(
    "pulse_round",
    metadata,
    Column("round", String, primary_key=True),  # its month, as 2026-09
    Column("sealed", LargeBinary),  # open: who may answer, who has, and counts; closed: who is in what is shown
    Column("shown", JSON(none_as_null=True)),  # the counts that are shown; none while the round is open
)

calendar = Table(
    "calendar",
    metadata,
    Column("address", String, primary_key=True),
    Column("cursor", String),
    Column("due_at", Instant, index=True),
    Column("full_at", Instant),
    Column("changed_at", Instant),  # when a reading last found a change
    Column("size", Integer, nullable=False, default=0),  # events the last full pass saw
    Column("failing_since", Instant),  # since then no attempt to read it succeeded
    Column("failures", Integer, nullable=False, default=0, server_default="0"),  # so many attempts
    Column("problem", String),  # why the last one failed, without content
    Column("holder", String),
    Column("held_until", Instant),
)

meeting = Table(
    "meeting",
    metadata,
    Column("calendar", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("series", String, nullable=False),
    Column("pair", PairIdType, nullable=False, index=True),
    Column("start", Instant, nullable=False),
    Column("end", Instant, nullable=False),
)

#: The processes that work: each says every few seconds that it lives.
worker = Table(
    "worker",
    metadata,
    Column("holder", String, primary_key=True),
    Column("host", String, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
    Column("version", String, nullable=False),
)

#: The guests in whose calendars we put a copy of an organizer's event, or were about to.
attendee_copy = Table(
    "attendee_copy",
    metadata,
    Column("calendar", String, primary_key=True),  # the organizer's
    Column("id", String, primary_key=True),  # of the event there, and of its copy
    Column("guest", String, primary_key=True),
    Column("placed", Boolean, nullable=False),
)

#: Links and visits of this person (`*`: of everybody) that were given out until then are void.
revocation = Table(
    "revocation",
    metadata,
    Column("person", String, primary_key=True),
    Column("at", Instant, nullable=False),
)

#: People as a directory pushed them by SCIM. The roster is read from these rows.
pushed_person = Table(
    "pushed_person",
    metadata,
    Column("id", String, primary_key=True),
    Column("user_name", String, nullable=False),
    Column("user_name_key", String, nullable=False, unique=True),  # as it is compared
    Column("external_id", String, nullable=False, index=True),
    Column("attributes", JSON, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("changed_at", Instant, nullable=False),
    Column("revision", Integer, nullable=False),
)

#: Name of the stored value with the services on which calendars have channels, and that value since people changed.
CHANNELS_NAME, UNKNOWN_CHANNELS = "channels", "?"
#: Name of the stored value that changes with the address of notifications and with the key that signs their tokens.
CHANNEL_ADDRESS_NAME = "channel address"
#: Single facts about this installation: the digest of the roster, when a thing was last told to the operator.
fact = Table("fact", metadata, Column("name", String, primary_key=True), Column("value", String, nullable=False))

#: The calendars that are to have a channel, through which their service tells of changes, and the channel of each.
channel = Table(
    "channel",
    metadata,
    Column("calendar", String, primary_key=True),
    Column("service", String, nullable=False),
    Column("id", String, nullable=False, server_default="", index=True),  # of the open channel; empty before the first
    Column("remote_id", String, nullable=False, server_default=""),
    Column("next_id", String, nullable=False, server_default="", index=True),  # stored before the service is asked
    Column("opened_at", Instant),
    Column("renew_at", Instant),
    Column("expires_at", Instant),
    Column("proven_at", Instant),
    Column("notified_at", Instant),
    Column("has_told", Boolean, nullable=False, server_default=false()),  # of a change since the last reading began
    Column("hinted_at", Instant),  # for when the last look was asked for: what comes soon after is folded into it
    Column("looks", Integer, nullable=False, server_default="0"),  # that were asked for in a row before it
    Column("awaiting_since", Instant),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("problem", String, nullable=False, server_default=""),
    # while it is leased, the end of the lease
    Column("due_at", Instant, nullable=False, index=True),
    Column("holder", String),
)

#: Channels that are to be closed.
retired_channel = Table(
    "retired_channel",
    metadata,
    Column("id", String, primary_key=True),
    Column("calendar", String, nullable=False),
    Column("service", String, nullable=False),
    Column("remote_id", String, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("due_at", Instant, nullable=False, index=True),
    Column("holder", String),
)


def parse_day(value: Any) -> date:
    """A DATE column's value as a date, whatever the driver gave."""
    return value if isinstance(value, date) else date.fromisoformat(value)
