"""What a mail may speak of: everything the outbox read from the database when it was about to send."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from worker.domain.model import (
    AccessRecord,
    Address,
    Commitment,
    Contract,
    Deferral,
    Pair,
    Person,
    Reasons,
    Session,
    Span,
    WrittenCommitment,
)

#: What a page may be for; every mail reads well without.
LINK_NAMES = ("contract", "choose", "commitment", "settings")


class Reader(StrEnum):
    """Who reads a mail."""

    MANAGER = "manager"
    REPORT = "report"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadableCommitment:
    """A commitment with its words."""

    commitment: Commitment
    promise: WrittenCommitment


@dataclass(frozen=True, slots=True, kw_only=True)
class MailContext:
    """Everything one mail may speak of, read at send time."""

    name: str  #: a MailName, or `page`
    key: str  #: the outbox key: names the mail for ever; the Message-ID derives from it
    to: Person  #: the reader; for `operator_alert` a Person made up for the operator
    now: datetime
    manager: Person | None = None
    report: Person | None = None
    pair: Pair | None = None
    thread: str = ""  #: the outbox key of the mail that began the reader's thread about this pair; empty when none went
    session: Session | None = None
    contract: Contract | None = None  #: summary: the new one; elsewhere: the one in force
    revision: int = 1
    previous: Contract | None = None  #: summary of a later revision: what it was before
    commitments: tuple[
        ReadableCommitment, ...
    ] = ()  #: brief: all open or recently closed ones; commitment_due: those due
    deferrals: tuple[Deferral, ...] = ()  #: of this session, oldest first
    count: int = 0  #: deferrals in this cycle (T-12)
    options: tuple[Span, ...] = ()  #: the times held for the manager to choose from (T-12)
    why: Reasons = ()  #: unplaceable: why there is no time
    also: int = 0  #: unplaceable: how many more conversations of the two it speaks for
    reason: str = ""  #: operator_alert: what is wrong, in words without content
    number: int = 0  #: invitation: how often something was said of that conversation's time before
    was: datetime | None = None  #: invitation_withdrawn: when it was to begin
    deadline: datetime | None = None  #: of the contract (T-7)
    reminder: int = 0  #: contract_reminder: 1 and 2 before the deadline, 3 to 5 after it
    unfinished: tuple[datetime, ...] = ()  #: starts of earlier sessions without a contract
    learning: str = ""  #: reflection_prompt: the leader's own line (R-25)
    due: date | None = None  #: commitment_due
    trigger: str = ""  #: brief: why one of the two asked to talk, `kind` or `kind: words` (R-6)
    asked_by_report: bool = False  #: brief: the report asked, not the manager
    commitment_text: str = ""  #: introduction: what the events of promises hold: `text`, `link` or `none`
    accesses: tuple[AccessRecord, ...] = ()  #: content_accessed: what commands showed or changed, oldest first
    by_link: bool = False  #: the mail says nothing of what the two said to each other: that stands where `links` lead
    sender: Address = ""  #: whose mailbox it is sent from; empty for that of the settings
    links: Mapping[str, str] = field(default_factory=dict)  #: purpose (one of LINKS) -> URL
