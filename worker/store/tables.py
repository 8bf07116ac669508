"""The schema of the database, the same for SQLite and PostgreSQL. Migrations create it: see `worker/store/migrations`.

Instants are whole seconds since 1970 in UTC: exact, ordered, and the same in both databases. Spans inside JSON are
pairs of such seconds. Columns named `sealed` and `sealed_plan` hold ciphertext only.
"""

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

#: A key that the database numbers itself. SQLite does so only for the type INTEGER.
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
    # the process that has leased this person for planning: a person is in one sweep at a time
    Column("holder", String, index=True),
    Column("held_until", Instant),
    # the grant was revoked: no request is sent for this person's calendar until then
    Column("suspended_until", Instant, index=True),
    Column("habits_at", Instant),  # when the calendar was first asked for time zone and working hours
    Column("away", SpansType, nullable=False, server_default="[]"),  # out of office, as last read from the calendar
)

#: The other names of people: aliases, the id in the company's directory, and those that calendar services use.
person_alias = Table(
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
    Column("chosen", JSON(none_as_null=True)),  # choices of the two on their pages; they override the roster
    Column("ended", EnumType(EndReason), nullable=False),
    Column("ended_at", Instant, index=True),
    Column("erased_at", Instant),  # when what the two wrote was erased
    Column("cycle", Integer, nullable=False, default=0),  # the newest cycle of which a session was held
    Column("looked_at", Instant),  # when planning last read free/busy
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
    # the events at that time when a person chose it, which are no conflicts; null until they were read
    Column("intended", IntendedTimesType),
    Column("urgent", Boolean, nullable=False),  # false for an ad hoc session, whose urgency is in `sealed_plan`
    Column("count", Integer, nullable=False),
    Column("deferred_at", Instant),
    Column("warned_at", Instant),
    Column("held_at", Instant),
    Column("noted_at", Instant),  # when it was recorded that it was held, if after its end
    Column("contracted_at", Instant),  # of the first revision of its contract
    Column("unplaceable", ReasonsType),
    Column("options", SpansType, nullable=False),  # the times of the offer
    Column("offered_until", Instant),  # the end of the offer
    Column("offered_for", EnumType(OfferPurpose)),
    Column("displaces", JSON(none_as_null=True)),  # for each time of the offer: of whom it displaces an event
    Column("sealed", LargeBinary),  # why an ad hoc conversation was asked for
    Column("sealed_plan", LargeBinary),  # how soon an ad hoc session has to be, and why no time for it exists
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
    Column("explained_at", Instant),  # when the report gave the reason
    Column("sealed", LargeBinary),  # the report's reason
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
    Column("version", Integer, nullable=False),  # grows with each save
    Column("saved_at", Instant, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
)

#: A manager's sentence about their own learning, for the next prompt to the report. Deleted when that was sent.
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
    Column("sealed", LargeBinary),  # its text, and why it ended
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

outbox = Table(
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
    Column("due_at", Instant),  # while it is leased, the end of the lease; null when it is settled for good
    Column("snapshot_at", Instant, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("holder", String),
    Column("problem", String),  # why the last attempt failed, without content
    Column("fields", JSON, nullable=False),  # of an alert: its text, which is never content
    Column("quiet", Boolean, nullable=False, server_default=false()),  # of a cancel: without notice to guests
    Column("counts", Boolean, nullable=False, server_default=false()),  # whether it is one of three mails a day
    Column("day", Date),  # the reader's day on which a mail that counts leaves or left
    Column("told_in", String, index=True),  # the key of the overflow mail that tells it in a line instead
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

#: Commands that showed or changed content on behalf of one of the two.
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

#: Notes that one of the two left for both after a conversation (R-28).
note = Table(
    "note",
    metadata,
    Column("session", String, ForeignKey("session.id"), primary_key=True),
    Column("author", EnumType(Owner), primary_key=True),
    Column("pair", PairIdType, nullable=False, index=True),
    Column("written_at", Instant, nullable=False),
    Column("sealed", LargeBinary, nullable=False),  # up to three lines
)

#: A report's question to a third person, and the answer (R-30). No unsealed column says who asked whom.
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

#: Mentions, and the outbox keys of their mails. The subject is the id of a commitment that the other one kept, or for
#: the invitation to leave a note, `note:` and the id of the session.
mention = Table(
    "mention",
    metadata,
    Column("subject", String, primary_key=True),
    Column("reader", EnumType(Owner), primary_key=True),
    Column("message", String, nullable=False, index=True),
)

#: Handovers from pairs that ended while the report stays: to which new pair, and what its manager receives.
handover = Table(
    "handover",
    metadata,
    Column("former", PairIdType, primary_key=True),  # the pair that ended
    Column("pair", PairIdType, nullable=False, index=True),  # the new pair; empty until there is a new manager
    Column("ended_at", Instant, nullable=False),
    Column("sealed", LargeBinary),  # what the report passes on, and what the old manager decided
)

#: The rounds of one anonymous question to the reports (R-37). An open round has no row for a person or an answer.
pulse_round = Table(
    "pulse_round",
    metadata,
    Column("round", String, primary_key=True),  # its month, as 2026-09
    Column("sealed", LargeBinary),  # open round: who may answer, who has, and counts; closed: the people of its cells
    Column("shown", JSON(none_as_null=True)),  # the cells that are shown; null while the round is open
)

calendar = Table(
    "calendar",
    metadata,
    Column("address", String, primary_key=True),
    Column("cursor", String),
    Column("due_at", Instant, index=True),
    Column("full_at", Instant),
    Column("changed_at", Instant),  # when a reading last found a change
    Column("size", Integer, nullable=False, default=0),  # number of events at the last full reading
    Column("failing_since", Instant),  # since when every attempt to read it has failed
    Column("failures", Integer, nullable=False, default=0, server_default="0"),  # number of these attempts
    Column("problem", String),  # why the last attempt failed, without content
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

#: Heartbeats: each working process stores its own every few seconds.
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

#: Records of copies of events in guests' calendars. A record is stored before its copy is written.
attendee_copy = Table(
    "attendee_copy",
    metadata,
    Column("calendar", String, primary_key=True),  # the organizer's
    Column("id", String, primary_key=True),  # of the event there, and of its copy
    Column("guest", String, primary_key=True),
    Column("placed", Boolean, nullable=False),  # whether the copy was written
)

#: Links and browser sessions that this person (`*`: anybody) got until then are void.
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

#: Name of the stored value with the services on which calendars have channels, and its value after people changed.
CHANNELS_NAME, UNKNOWN_CHANNELS = "channels", "?"
#: Name of the stored value that changes with the address of notifications and with the key that signs their tokens.
CHANNEL_ADDRESS_NAME = "channel address"
#: Stored values of this installation, such as the digest of the roster, or when the operator was last told something.
stored_value = Table(
    "fact", metadata, Column("name", String, primary_key=True), Column("value", String, nullable=False)
)

#: The calendars that are to have a channel, and the channel of each.
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
    Column("hinted_at", Instant),  # for when a notification last made the calendar due
    Column("looks", Integer, nullable=False, server_default="0"),  # for how many earlier times in a row it did so
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
