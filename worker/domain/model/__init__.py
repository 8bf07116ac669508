"""The nouns of the program, as frozen values.

All instants are aware datetimes in UTC; a wall-clock rule is computed in a person's zone and comes back as an
instant. Nothing in here holds a word that was spoken in a conversation, except `Contract` and its parts, which
are only ever stored sealed.
"""

from worker.domain.model.calendars import Answer, Busy, Changes, Event, EventDraft, EventRef, FreeBusy, Guest, Show
from worker.domain.model.people import (
    NO_CALENDAR,
    Ended,
    Format,
    FormSource,
    KnownForm,
    Pair,
    Person,
    Preference,
    Review,
)
from worker.domain.model.plans import (
    LIVE,
    Decision,
    Meeting,
    Message,
    Need,
    Outcome,
    PairState,
    Placed,
    Plan,
    Policy,
    Progress,
    Seen,
    Settlement,
    Taken,
    What,
)
from worker.domain.model.promises import Commitment, Contract, Owner, Promise, ReviewPoint, Standing
from worker.domain.model.reasons import Reason, Value, Why
from worker.domain.model.sessions import Cause, Deferral, Kind, Session, State, Topic, Trigger
from worker.domain.model.time import QUARTER, Address, Cursor, Every, Span, Spells, WorkingHours

__all__ = [
    "LIVE",
    "NO_CALENDAR",
    "QUARTER",
    "Address",
    "Answer",
    "Busy",
    "Cause",
    "Changes",
    "Commitment",
    "Contract",
    "Cursor",
    "Decision",
    "Deferral",
    "Ended",
    "Event",
    "EventDraft",
    "EventRef",
    "Every",
    "FormSource",
    "Format",
    "FreeBusy",
    "Guest",
    "Kind",
    "KnownForm",
    "Meeting",
    "Message",
    "Need",
    "Outcome",
    "Owner",
    "Pair",
    "PairState",
    "Person",
    "Placed",
    "Plan",
    "Policy",
    "Preference",
    "Progress",
    "Promise",
    "Reason",
    "Review",
    "ReviewPoint",
    "Seen",
    "Session",
    "Settlement",
    "Show",
    "Span",
    "Spells",
    "Standing",
    "State",
    "Taken",
    "Topic",
    "Trigger",
    "Value",
    "What",
    "Why",
    "WorkingHours",
]
