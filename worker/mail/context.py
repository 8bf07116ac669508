"""The data of one mail, which the outbox reads from the database just before it sends."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum

from worker.domain.model import (
    AccessRecord,
    Address,
    Commitment,
    Contract,
    Deferral,
    HandoverLine,
    Interval,
    Offer,
    Opening,
    Owner,
    Pair,
    Person,
    Reasons,
    Session,
    SharedNote,
    Span,
    WrittenCommitment,
)

#: The keys of `MailContext.links`: `choose` opens the page about the session's time, `settings` the reader's own page,
#: `answer` the question to a third person, `yes` and `no` the anonymous question. Templates must also work when one or
#: all are missing.
LINK_NAMES = ("contract", "choose", "commitment", "settings", "answer", "yes", "no")


class Reader(StrEnum):
    """The role of the person a mail is for."""

    MANAGER = "manager"
    REPORT = "report"
    OPERATOR = "operator"
    THIRD = "third"  #: somebody whom the report asks a question (R-30)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadableCommitment:
    """A commitment with its decrypted text."""

    commitment: Commitment
    promise: WrittenCommitment  #: the text, also of a commitment of the report


@dataclass(frozen=True, slots=True, kw_only=True)
class NewsLine:
    """The data of one line of a mail about several pairs."""

    #: In a weekly mail a `NewsKind`, in an overflow mail the `MailName` of the mail that the line replaces, in an
    #: introduction the `MailName` of the introduction.
    kind: str
    other: Person  #: the person of the pair who is not the reader
    pair: Pair
    session: Session | None = None
    due: date | None = None  #: of a commitment
    commitment: ReadableCommitment | None = None  #: with its text; None in a mail without content
    deadline: datetime | None = None  #: of a contract
    link: str = ""  #: where the reader can do something about it; empty when the pages are off


@dataclass(frozen=True, slots=True, kw_only=True)
class MailContext:
    """The data that one mail or page can show. Comments name the mails that use a field.

    The names of the fields are an interface: the templates of companies use them.
    """

    name: str  #: a MailName, or `page`
    key: str  #: the outbox key, from which the Message-ID is derived
    to: Person  #: the reader; for `operator_alert`, see `Composer.build_operator`
    now: datetime
    manager: Person | None = None
    report: Person | None = None
    pair: Pair | None = None
    every: Interval | None = None  #: the pair's rhythm as of now: the tighter one in a transition (R-5)
    thread: str = ""  #: the outbox key of the mail that began the reader's thread about this pair, or empty
    session: Session | None = None
    contract: Contract | None = None  #: contract_summary: the new one; elsewhere: the one in force
    revision: int = 1
    changed_by: Owner | None = None  #: contract_summary: who changed one commitment; None when the whole was written
    change_reason: str = ""  #: contract_summary: why `changed_by` changed it, in that person's words
    previous: Contract | None = None  #: contract_summary: the revision before this one; None for a first contract
    #: brief: all that are open or recently closed; commitment_due: those due.
    commitments: tuple[ReadableCommitment, ...] = ()
    deferrals: tuple[Deferral, ...] = ()  #: of this session, oldest first
    #: deferral_notice to the manager: what the report said about them, by number (R-18)
    deferral_reasons: Mapping[int, str] = field(default_factory=dict)
    #: deferral_notice: the report said something about the last deferral, even if this mail may not show it
    has_deferral_reason: bool = False
    count: int = 0  #: deferrals in this cycle (T-12)
    options: tuple[Span, ...] = ()  #: the times reserved for the two to choose from, that are still to come (T-12)
    offer: Offer | None = None  #: what they are offered for, and until when; None when there is nothing to choose
    may_leave: bool = False  #: deferral_notice: the two can leave the session until the next quarter (T-11)
    why: Reasons = ()  #: unplaceable: why no time exists
    also: int = 0  #: unplaceable: how many more sessions of the pair have no time for the same cause
    reason: str = ""  #: operator_alert: the problem, without private content
    number: int = 0  #: invitation: how many mails about that session's time were sent before
    was: datetime | None = None  #: invitation_withdrawn: the withdrawn start
    deadline: datetime | None = None  #: of the contract (T-7)
    reminder: int = 0  #: contract_reminder: 1 and 2 before the deadline, 3 to 5 after it
    unfinished: tuple[datetime, ...] = ()  #: starts of earlier sessions without a contract
    learning: str = ""  #: reflection_prompt: what the manager says about their own learning (R-35)
    due: date | None = None  #: commitment_due
    expires_at: datetime | None = None  #: third_voice_request: until then the question can be answered
    #: brief: why one of the two asked to talk, `kind` or `kind: text` (R-6); reflection_prompt: `kind`
    trigger: str = ""
    #: brief and the report's page: open positions, projects and paths of the company (R-29)
    openings: tuple[Opening, ...] = ()
    asked_by_report: bool = False  #: brief and reflection_prompt: the report asked, not the manager
    commitment_text: str = ""  #: introduction: the content of commitment events, `text`, `link` or `none`
    notes: tuple[SharedNote, ...] = ()  #: brief: those after the last session with a contract, oldest first (R-28)
    has_notes: bool = False  #: brief: there are such notes, even if this mail may not show them
    #: reflection_prompt, brief: the session about which this mail invites to leave a note, and no other does (R-28)
    noted_session: Session | None = None
    #: reflection_prompt, brief, review_note, commitment_due: commitments that the other person has done, which no other
    #: mail tells the reader (R-32)
    kept_commitments: tuple[ReadableCommitment, ...] = ()
    has_kept_commitments: bool = False  #: there are some, even if this mail may not show them
    accesses: tuple[AccessRecord, ...] = ()  #: content_accessed: what commands showed or changed, oldest first
    former: Person | None = None  #: new_manager, brief: the report's manager before this one (R-36)
    former_left: bool = False  #: new_manager: that manager is no longer in the people file
    former_promises: int = 0  #: new_manager: how many of that manager's promises were open when the pair ended
    passed: tuple[HandoverLine, ...] = ()  #: brief: what the report passed on from the pair before this one
    variant: int = 0  #: reflection_prompt: its wording, counted from 0
    news: tuple[NewsLine, ...] = ()  #: introduction to the manager, weekly, overflow: the lines of the mail
    by_link: bool = False  #: contracts and commitments are left out of the mail, which links to them instead
    had_contract: bool = False  #: with `by_link`: there is a contract in force, which the mail leaves out
    sender: Address = ""  #: the mailbox that sends the mail; empty for the one in the settings
    links: Mapping[str, str] = field(default_factory=dict)  #: URLs by name, of LINK_NAMES


def remove_content(context: MailContext) -> MailContext:
    """Return the context without content, for companies whose mails link to the page that shows it instead."""
    return replace(
        context,
        by_link=True,
        had_contract=context.contract is not None,
        contract=None,
        previous=None,
        change_reason="",
        deferral_reasons={},
        commitments=(),
        passed=(),
        notes=(),
        kept_commitments=(),
        news=tuple(map(_remove_text, context.news)),
    )


def _remove_text(line: NewsLine) -> NewsLine:
    """Return the line without the text of its commitment."""
    readable = line.commitment
    return line if readable is None else replace(line, commitment=None, due=readable.commitment.due)
