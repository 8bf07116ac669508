"""Defines the tables of the database, the same for SQLite and PostgreSQL.

The migrations in `worker/store/migrations` create these tables in a real database; a test compares the two.

- Columns of the type `Instant` hold whole seconds since 1970 in UTC. A span of time inside JSON is a pair of such
  seconds.
- Columns whose names begin with `sealed` hold ciphertext only.
- A process that works on a row leases it: `holder` names the process, and is null for a row that is not leased. The
  lease ends at `held_until`. In a table without that column it ends at `due_at`, so that a row whose holder has died
  becomes due again.
- A column without a comment means the same as the field of that name in `worker.domain.model`.
- Some names in the database are older than those in the code: `fact` (`stored_value`), `message` (`outbox`),
  `person_form` (`person_alias`) and `sketch` (`contract_draft`).
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

#: The type of a primary key that the database numbers by itself. SQLite does that for the type INTEGER alone.
SerialInteger = BigInteger().with_variant(Integer, "sqlite")

person = Table(
    "person",
    metadata,
    Column("email", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("zone", String, nullable=False),
    Column("country", String, nullable=False),
    Column("hours", String, nullable=False),  # working hours, as `format_hours` writes them
    Column("locale", String, nullable=False),
    Column("calendar", String, nullable=False),  # name of the calendar service
    Column("mail", String, nullable=False),  # name of the mail service
    Column("group", String, nullable=False, server_default=""),
    Column("left_at", Instant),  # when the roster stopped naming the person; null while the roster names the person
    Column("holder", String, index=True),  # the lease of a sweep: only one sweep plans pairs of a person at a time
    Column("held_until", Instant),
    # null, or until when no request is sent for this person's calendar, because the service refused access to it
    Column("suspended_until", Instant, index=True),
    Column("habits_at", Instant),  # when the calendar service was first asked for the person's habits
    Column("away", SpansType, nullable=False, server_default="[]"),  # out of office, as last read from the calendar
)

#: The aliases of people: other addresses, ids in the company's directory, and names that calendar services use.
person_alias = Table(
    "person_form",
    metadata,
    Column("form", String, primary_key=True),  # the alias, normalized; each alias names one person
    Column("person", String, ForeignKey("person.email"), nullable=False, index=True),
    Column("source", String, nullable=False),  # an `AliasSource`
)

pair = Table(
    "pair",
    metadata,
    Column("id", PairIdType, primary_key=True),
    Column("manager", String, ForeignKey("person.email"), nullable=False, index=True),
    Column("report", String, ForeignKey("person.email"), nullable=False, index=True),
    Column("first_seen", Date, nullable=False),  # when the roster first named the pair
    Column("start", Date),  # the first session does not take place before this day
    Column("weeks", Integer, nullable=False),  # the rhythm, as a number of weeks or of months; the other one is 0
    Column("months", Integer, nullable=False),
    Column("minutes", Integer, nullable=False),  # the length of a career session
    Column("format", EnumType(Format), nullable=False),
    Column("review", EnumType(ReviewMode), nullable=False),
    Column("transition_until", Date),  # until this day, career sessions are more frequent
    Column("weekday", Integer),  # the preferred weekday and minute of the day; null without a preference
    Column("minute", Integer),
    Column("trust", Boolean, nullable=False),  # whether the brief may suggest the hardest questions
    Column("paused", Boolean, nullable=False),  # whether the roster pauses the pair
    Column("paused_until", Date, index=True),  # on this day the roster's pause ends by itself
    Column("rests", Boolean, nullable=False, default=False),  # whether `longarc pause` has paused the pair
    Column("participation", EnumType(Participation), nullable=False, server_default=""),  # empty: the pair takes part
    Column("chosen", JSON(none_as_null=True)),  # settings that the two chose on their pages, in place of the roster's
    Column("ended", EnumType(EndReason), nullable=False),  # why the pair has ended; empty while it has not
    Column("ended_at", Instant, index=True),
    Column("erased_at", Instant),  # when the content of the pair was erased
    Column("cycle", Integer, nullable=False, default=0),  # the newest cycle of which a session was held
    Column("looked_at", Instant),  # when planning last read free/busy; null when it has to read free/busy again
    Column("due_at", Instant, index=True),  # when the pair is planned next
    # how often the pair was woken, which means made due. If the pair was woken while it was being planned, it stays due
    Column("wakes", Integer, nullable=False, default=0),
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
    Column("closed", Boolean, nullable=False),  # whether nothing remains to be done: `Session.is_closed`
    Column("minutes", Integer, nullable=False),
    Column("earliest", Instant, nullable=False),  # the start of the window
    Column("target", Instant, nullable=False),
    Column("latest", Instant, nullable=False),  # the end of the window
    Column("start", Instant),
    Column("end", Instant),
    Column("generation", Integer, nullable=False),
    Column("sequence", Integer, nullable=False),  # grows each time planning decides to write the event
    # whether the window comes from the pair's turn or start, and not from the pair's last session
    Column("in_turn", Boolean, nullable=False, server_default=false()),
    Column("by_hand", Boolean, nullable=False),  # whether a person chose the session's time
    # the events that were at the session's time when a person chose this time, and so are no conflicts; null until the
    # calendars were read
    Column("intended", IntendedTimesType),
    Column("urgent", Boolean, nullable=False),  # false for an ad hoc session, whose urgency is in `sealed_plan`
    Column("count", Integer, nullable=False),  # how often the session was deferred
    Column("deferred_at", Instant),  # the last deferral; null when the two then left the session until the next quarter
    Column("warned_at", Instant),  # when the manager is warned of another event at the session's time
    Column("held_at", Instant),  # the end of the session, once it has taken place
    Column("noted_at", Instant),  # when `held_at` was recorded; null when that was at the end of the session
    Column("contracted_at", Instant),  # when the first revision of the session's contract was recorded
    Column("unplaceable", ReasonsType),  # why no time for the session exists
    Column("options", SpansType, nullable=False),  # the times of the offer; empty without an offer
    Column("offered_until", Instant),  # the end of the offer
    Column("offered_for", EnumType(OfferPurpose)),
    # for each time of the offer, which of the two has an event at that time
    Column("displaces", JSON(none_as_null=True)),
    Column("sealed", LargeBinary),  # who asked for an ad hoc session, and why
    Column("sealed_plan", LargeBinary),  # how soon an ad hoc session has to be, and why no time for it exists
    Index("ix_session_pair_closed", "pair", "closed", "cycle"),
)

deferral = Table(
    "deferral",
    metadata,
    Column("session", String, ForeignKey("session.id"), primary_key=True),
    Column("number", Integer, primary_key=True),  # 1, 2, … for deferrals; -1, -2, … for moves by hand
    Column("at", Instant, nullable=False),
    Column("cause", EnumType(DeferralCause), nullable=False),
    Column("who", String, nullable=False),  # the address of the person who caused the deferral; empty for nobody
    Column("was_start", Instant),  # the time that the session lost
    Column("was_end", Instant),
    Column("explained_at", Instant),  # when the report gave a reason
    Column("sealed", LargeBinary),  # the report's reason
)

contract = Table(
    "contract",
    metadata,
    Column("session", String, ForeignKey("session.id"), primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("pair", PairIdType, nullable=False, index=True),
    Column("recorded_at", Instant, nullable=False),
    Column("sealed", LargeBinary, nullable=False),  # the contract
)

#: Contracts while they are being written: the fields of the form as they were last saved, complete or not.
contract_draft = Table(
    "sketch",
    metadata,
    Column("session", String, ForeignKey("session.id"), primary_key=True),
    Column("version", Integer, nullable=False),  # grows with each save
    Column("saved_at", Instant, nullable=False),
    Column("sealed", LargeBinary, nullable=False),  # the fields of the form
)

#: Learnings: sentences of managers about what they themselves are learning. A sentence is shown to the report in the
#: next reflection prompt of the pair, and deleted when that mail was sent.
learning = Table(
    "learning",
    metadata,
    Column("pair", PairIdType, ForeignKey("pair.id"), primary_key=True),
    Column("written_at", Instant, nullable=False),
    Column("sealed", LargeBinary, nullable=False),  # the sentence
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
    Column("closed_at", Instant),  # when the commitment ended
    Column("block_start", Instant),
    Column("block_end", Instant),
    Column("all_day", Boolean, nullable=False),  # whether the block is an all-day event
    Column("by_hand", Boolean, nullable=False),  # whether the manager chose the time of the block
    Column("dismissed", Boolean, nullable=False),  # whether the manager removed the block from the calendar
    Column("generation", Integer, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("sealed", LargeBinary),  # the text of the commitment, and why it ended
    Index("ix_commitment_pair_standing", "pair", "standing"),
)

#: Our events, as they were last written to a calendar or read from it.
event = Table(
    "event",
    metadata,
    Column("key", String, primary_key=True),
    Column("subject", String, nullable=False, index=True),  # id of the session or commitment
    Column("pair", PairIdType, nullable=False),
    Column("calendar", String, nullable=False),  # the organizer's address
    Column("provider_id", String, nullable=False),  # the id that the calendar service gave the event
    Column("etag", String, nullable=False),
    Column("start", Instant, nullable=False),
    Column("end", Instant, nullable=False),
    # the time that we last wrote or accepted; if a person has moved the event since, `start` and `end` differ from it
    Column("written_start", Instant, nullable=False),
    Column("written_end", Instant, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("gone", Boolean, nullable=False),  # whether the event is off the calendar
    Column("answers", JSON, nullable=False),  # the guests' answers, by address
    Column("proposed", JSON, nullable=False, server_default="{}"),  # other times that guests proposed, by address
    Index("ix_event_calendar_end", "calendar", "end"),
    Index("ix_event_pair_end", "pair", "end"),
)

#: The outbox. Each row is an effect: a change of an event, or a mail.
outbox = Table(
    "message",
    metadata,
    Column("id", SerialInteger, primary_key=True, autoincrement=True),
    Column("key", String, nullable=False),
    Column("what", EnumType(EffectKind), nullable=False),  # the kind of effect
    Column("name", String, nullable=False),  # for a mail, its `MailName`
    Column("pair", PairIdType, nullable=False),
    Column("subject", String, nullable=False, index=True),
    Column("calendar", String, nullable=False),
    Column("event", String, nullable=False),  # key of the event
    # for a mail, the reader's address; for a mail about a third voice, a keyed digest of that address and the day
    Column("to", String, nullable=False),
    Column("number", Integer, nullable=False),  # distinguishes mails of one name and subject, such as by revision
    Column("start", Instant),  # the event's start before the effect; for a mail, a time that its `MailName` determines
    Column("progress", EnumType(EffectProgress), nullable=False),
    Column("due_at", Instant),  # while the effect is leased, the end of the lease; null when the progress is final
    Column("snapshot_at", Instant, nullable=False),  # when the state was read from which the effect was decided
    Column("attempts", Integer, nullable=False),
    Column("holder", String),
    Column("problem", String),  # why the last attempt failed, without content
    Column("fields", JSON, nullable=False),  # for an alert, its text, which is never content
    Column("quiet", Boolean, nullable=False, server_default=false()),  # for a cancel, whether guests get no notice
    Column("counts", Boolean, nullable=False, server_default=false()),  # whether the mail counts for the daily limit
    Column("day", Date),  # the day, in the reader's zone, on which a mail that counts was or will be sent
    # the key of the overflow mail that has a line about this mail, which is itself not sent
    Column("told_in", String, index=True),
    UniqueConstraint("key"),
    Index("ix_message_to_name", "to", "name"),
    Index("ix_message_to_day", "to", "day"),
    Index("ix_message_due_at", "due_at"),
    Index("ix_message_calendar_due_at", "calendar", "due_at"),
)

#: The append-only list of decisions and effects, without content.
history = Table(
    "history",
    metadata,
    Column("id", SerialInteger, primary_key=True, autoincrement=True),
    Column("at", Instant, nullable=False),
    Column("what", String, nullable=False),  # the kind of line
    Column("pair", PairIdType, nullable=False, index=True),
    Column("session", String, nullable=False, index=True),
    Column("reason", String, nullable=False),
    Column("fields", JSON, nullable=False),
)

#: Each use of a command with which an operator shows or changes content on behalf of one of the two.
access = Table(
    "access",
    metadata,
    Column("id", SerialInteger, primary_key=True, autoincrement=True),
    Column("at", Instant, nullable=False),
    Column("pair", PairIdType, nullable=False),
    Column("what", String, nullable=False),  # the command: a `ContentAccess`
    Column("on_behalf_of", String, nullable=False),
    Column("sealed", LargeBinary, nullable=False),  # the operator's reason
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

#: Questions of reports to a third person, with the answers (R-30). No unsealed column says who asked whom.
third_voice = Table(
    "third_voice",
    metadata,
    Column("id", String, primary_key=True),
    Column("tag", String, nullable=False, index=True),  # a keyed digest of the report's address
    Column("asked_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("answered_at", Instant),
    Column("sealed", LargeBinary, nullable=False),  # the addresses of the report and of the third person; the question
    Column("sealed_answer", LargeBinary),
)

#: Mentions: what a mail says only once to its reader. Each row reserves a mention for one mail.
mention = Table(
    "mention",
    metadata,
    # the id of a commitment that the other person kept; for the invitation to leave a note, `note:` and a session's id
    Column("subject", String, primary_key=True),
    Column("reader", EnumType(Owner), primary_key=True),
    Column("message", String, nullable=False, index=True),  # the mail's key in the outbox
)

#: Handovers: when a report gets another manager, the new manager receives what the report passes on (R-36).
handover = Table(
    "handover",
    metadata,
    Column("former", PairIdType, primary_key=True),  # the pair that ended
    Column("pair", PairIdType, nullable=False, index=True),  # the new pair; empty until there is a new manager
    Column("ended_at", Instant, nullable=False),
    Column("sealed", LargeBinary),  # what the report passes on, and what the former manager decided
)

#: Rounds of the pulse, an anonymous question to all reports (R-37). An open round has no row for a person or an answer.
pulse_round = Table(
    "pulse_round",
    metadata,
    Column("round", String, primary_key=True),  # the month of the round, as 2026-09
    # while the round is open: who may answer, who has answered, and the counts; afterwards: the people of each cell. A
    # cell is a group of reports whose answers are counted together
    Column("sealed", LargeBinary),
    Column("shown", JSON(none_as_null=True)),  # the cells that are shown; null while the round is open
)

#: The calendars of organizers.
calendar = Table(
    "calendar",
    metadata,
    Column("address", String, primary_key=True),
    Column("cursor", String),  # where the next reading of changes begins; null when the calendar has to be read in full
    Column("due_at", Instant, index=True),  # when the calendar is read next; null when it is not read any more
    Column("full_at", Instant),  # when the calendar was last read in full
    Column("changed_at", Instant),  # when a reading last found a change
    Column("size", Integer, nullable=False, default=0),  # number of events at the last full reading
    Column("failing_since", Instant),  # since when every attempt to read the calendar has failed
    Column("failures", Integer, nullable=False, default=0, server_default="0"),  # number of failed attempts in a row
    Column("problem", String),  # why the last attempt failed, without content
    Column("holder", String),
    Column("held_until", Instant),
)

#: Occurrences of the recurring 1:1s that were found on organizers' calendars.
meeting = Table(
    "meeting",
    metadata,
    Column("calendar", String, primary_key=True),  # the organizer's address
    Column("id", String, primary_key=True),  # the event's id at the calendar service
    Column("series", String, nullable=False),
    Column("pair", PairIdType, nullable=False, index=True),
    Column("start", Instant, nullable=False),
    Column("end", Instant, nullable=False),
)

#: Heartbeats: each worker process stores every few seconds that it is alive.
worker = Table(
    "worker",
    metadata,
    Column("holder", String, primary_key=True),  # the name with which the process leases rows
    Column("host", String, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),  # the time of the last heartbeat
    Column("version", String, nullable=False),
)

#: Copies of events that Longarc writes into guests' calendars. A row is stored before its copy is written.
attendee_copy = Table(
    "attendee_copy",
    metadata,
    Column("calendar", String, primary_key=True),  # the organizer's address
    Column("id", String, primary_key=True),  # the id of the event and of its copy
    Column("guest", String, primary_key=True),
    Column("placed", Boolean, nullable=False),  # whether the copy was written
)

#: Revocations: the links and browser sessions that a person received until `at` are void. With `*` as the person, those
#: of everybody are void.
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
    Column("user_name", String, nullable=False),  # SCIM's `userName`
    Column("user_name_key", String, nullable=False, unique=True),  # the user name, normalized for comparison
    Column("external_id", String, nullable=False, index=True),  # SCIM's `externalId`: the directory's own id
    Column("attributes", JSON, nullable=False),  # what the roster needs, by SCIM's names
    Column("created_at", Instant, nullable=False),
    Column("changed_at", Instant, nullable=False),
    Column("revision", Integer, nullable=False),  # grows with each change; SCIM's version of the resource
)

#: The name of the stored value that lists the calendar services whose calendars were last entered in the table
#: `channel`. The table is brought up to date when the list differs from the services that offer channels now.
CHANNEL_SERVICES_NAME = "channels"
#: The value of `CHANNEL_SERVICES_NAME` after people or pairs changed. It names no service, so that at the next tick the
#: table `channel` is brought up to date.
OUTDATED_CHANNELS = "?"
#: The name of the stored value that holds a fingerprint of the URL to which notifications are sent, and of the key that
#: signs their tokens. The value is empty without a URL.
NOTIFY_URL_FINGERPRINT_NAME = "channel address"
#: Single values of this installation, by name, such as the digest of the roster.
stored_value = Table(
    "fact", metadata, Column("name", String, primary_key=True), Column("value", String, nullable=False)
)

#: The calendars that are to have a channel, and the channel of each.
channel = Table(
    "channel",
    metadata,
    Column("calendar", String, primary_key=True),
    Column("service", String, nullable=False),
    Column("id", String, nullable=False, server_default="", index=True),  # our id; empty before a channel was opened
    Column("remote_id", String, nullable=False, server_default=""),  # the calendar service's id of the channel
    # the id of the channel that is being opened, stored before the request is sent
    Column("next_id", String, nullable=False, server_default="", index=True),
    Column("opened_at", Instant),
    Column("renew_at", Instant),
    Column("expires_at", Instant),
    Column("proven_at", Instant),  # since when the channel is known to work; null when it is not
    Column("notified_at", Instant),  # when the last notification came
    # whether a notification of a change has come since the last reading of the calendar began
    Column("has_told", Boolean, nullable=False, server_default=false()),
    Column("hinted_at", Instant),  # the time of the last poll that a notification scheduled, in the past or future
    # how many polls, each caused by a notification, came in quick succession before the poll at `hinted_at`
    Column("looks", Integer, nullable=False, server_default="0"),
    Column("awaiting_since", Instant),  # when we wrote the change whose notification has not come yet
    # how many channels in a row could not be opened or renewed, or were silent
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("problem", String, nullable=False, server_default=""),  # why the last channel failed
    # when the next step is due: to open, renew or replace the channel; while the row is leased, the end of the lease
    Column("due_at", Instant, nullable=False, index=True),
    Column("holder", String),
)

#: Channels that are to be closed at their calendar service.
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
