"""The one table of mails: all that is known of each, but for its words and the hour when it is due.

To add a mail: name it in `worker/domain/model/mails.py`, enter it here, put its templates into
`templates/emails/<name>`, and decide in `worker/domain/planning/notices.py` when it is due. Every mail is written in
its reader's language, and leads to its reader's own pages.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from worker.domain.model import Effect, MailName
from worker.domain.planning import invitations, notices
from worker.mail import samples
from worker.mail.context import LINK_NAMES, MailContext, Reader


class Voice(StrEnum):
    """Under whose name a mail is written."""

    PRODUCT = "product"
    MANAGER = "manager"  #: what the manager says to the report; the manager's own copy comes from the product


class Sealed(StrEnum):
    """What has to be opened for a mail, beside the contract in force: that is opened for every mail about a pair."""

    COMMITMENTS = "commitments"  #: the words of the pair's commitments
    REVISIONS = "revisions"  #: every revision of the session's contract
    TRIGGER = "trigger"  #: why one of the two asked for an ad hoc session
    ACCESSES = "accesses"  #: what commands showed or changed


class ContractLink(StrEnum):
    """Which session's contract the manager's link leads to."""

    IN_FORCE = "in_force"  #: that of the contract in force
    OF_SESSION = "of_session"  #: the one that the mail is about


@dataclass(frozen=True, slots=True, kw_only=True)
class MailKind:
    """What is known of a mail."""

    name: MailName
    readers: tuple[Reader, ...]  #: whom its templates can address; the rule behind it decides who gets it
    holds: notices.Holds  #: whether what was decided is still true when it leaves; else it is dropped
    samples: Callable[
        [MailContext], Iterator[MailContext]
    ]  #: letters to show it with, from one to the reader with nothing else
    voice: Voice = Voice.PRODUCT
    has_content: bool = False  #: shows what the two said to each other; with `content = "link"` a link stands instead
    reader_only: bool = False  #: an answer to it does not go to the other of the two
    resend: bool = False  #: better twice than never: sent once more when nobody knows whether it went out
    begins_thread: bool = False  #: the reader's later mails about the pair answer it
    opens: frozenset[Sealed] = frozenset()
    contract_link: ContractLink = ContractLink.IN_FORCE
    calendar_method: str = ""  #: what its calendar part asks of the reader's program (RFC 5546); empty without one
    fields: Callable[[Effect], dict[str, Any]] = field(default=lambda _: {})  #: what the effect itself says of it

    @property
    def may_leave_from_manager(self) -> bool:
        """With `send_as = "manager"` it leaves from the manager's mailbox: then every copy lies with one of the two."""
        return self.has_content or self.voice is Voice.MANAGER


_BOTH = (Reader.MANAGER, Reader.REPORT)
_MANAGER, _REPORT, _OPERATOR = (Reader.MANAGER,), (Reader.REPORT,), (Reader.OPERATOR,)

KINDS: Mapping[str, MailKind] = {
    kind.name: kind
    for kind in (
        MailKind(
            name=MailName.INTRODUCTION,
            readers=_BOTH,
            holds=notices.holds_while_active,
            samples=samples.write_introductions,
            begins_thread=True,
        ),
        MailKind(
            name=MailName.INVITATION,
            readers=_REPORT,
            holds=invitations.is_current,
            samples=samples.write_invitations,
            calendar_method="REQUEST",
            fields=lambda mail: {"number": mail.number},
        ),
        MailKind(
            name=MailName.INVITATION_WITHDRAWN,
            readers=_REPORT,
            holds=notices.holds_always,
            samples=samples.write_withdrawn_invitations,
            calendar_method="CANCEL",
            fields=lambda mail: {"number": mail.number, "was": mail.start},
        ),
        MailKind(
            name=MailName.REFLECTION_PROMPT,
            readers=_REPORT,
            holds=notices.holds_before_session,
            samples=samples.write_prompts,
            voice=Voice.MANAGER,
        ),
        MailKind(
            name=MailName.BRIEF,
            readers=_MANAGER,
            holds=notices.holds_before_session,
            samples=samples.write_briefs,
            has_content=True,
            reader_only=True,
            opens=frozenset({Sealed.COMMITMENTS, Sealed.TRIGGER}),
        ),
        MailKind(
            name=MailName.CONTRACT_REQUEST,
            readers=_MANAGER,
            holds=notices.holds_until_contract,
            samples=samples.write_contract_requests,
            opens=frozenset({Sealed.COMMITMENTS}),
            contract_link=ContractLink.OF_SESSION,
        ),
        MailKind(
            name=MailName.CONTRACT_REMINDER,
            readers=_MANAGER,
            holds=notices.holds_until_contract,
            samples=samples.write_contract_reminders,
            contract_link=ContractLink.OF_SESSION,
            fields=lambda mail: {"reminder": mail.number},
        ),
        MailKind(
            name=MailName.CONTRACT_SUMMARY,
            readers=_BOTH,
            holds=notices.holds_always,  # a contract once recorded is never withdrawn, whoever left since
            samples=samples.write_contract_summaries,
            voice=Voice.MANAGER,
            has_content=True,
            resend=True,
            opens=frozenset({Sealed.REVISIONS}),
            contract_link=ContractLink.OF_SESSION,
        ),
        MailKind(
            name=MailName.DEFERRAL_NOTICE,
            readers=_BOTH,
            holds=notices.holds_after_deferral,
            samples=samples.write_deferral_notices,
        ),
        MailKind(
            name=MailName.BOOKED_OVER_WARNING,
            readers=_BOTH,
            holds=notices.holds_while_warned,
            samples=samples.write_one,
        ),
        MailKind(
            name=MailName.UNPLACEABLE,
            readers=_BOTH,
            holds=notices.holds_without_time,
            samples=samples.write_unplaceable,
        ),
        MailKind(
            name=MailName.SHORT_SESSION,
            readers=_BOTH,
            holds=notices.holds_at_that_time,
            samples=samples.write_short_sessions,
        ),
        MailKind(
            name=MailName.COMMITMENT_DUE,
            readers=_BOTH,
            holds=notices.holds_while_due,
            samples=samples.write_due_commitments,
            has_content=True,
            opens=frozenset({Sealed.COMMITMENTS}),
            fields=lambda mail: {"due": mail.start.date() if mail.start else None},
        ),
        MailKind(
            name=MailName.REVIEW_NOTE,
            readers=_MANAGER,
            holds=notices.holds_before_session,
            samples=samples.write_review_notes,
            has_content=True,
            opens=frozenset({Sealed.COMMITMENTS}),
        ),
        MailKind(
            name=MailName.PAIR_ENDED,
            readers=_BOTH,
            holds=notices.holds_when_ended,
            samples=samples.write_endings,
        ),
        MailKind(
            name=MailName.FRESH_LINK,
            readers=_BOTH,
            holds=notices.holds_always,
            samples=samples.write_fresh_links,
            reader_only=True,
        ),
        MailKind(
            name=MailName.CONTENT_ACCESSED,
            readers=_BOTH,
            holds=notices.holds_always,
            samples=samples.write_accesses,
            opens=frozenset({Sealed.ACCESSES}),
        ),
        MailKind(
            name=MailName.OPERATOR_ALERT,
            readers=_OPERATOR,
            holds=notices.holds_always,
            samples=samples.write_alerts,
            reader_only=True,
            resend=True,  # the operator has no other way to hear of it
        ),
    )
}


def list_samples(locale: str = "en") -> Iterator[MailContext]:
    """Sample letters to readers of that language: every mail, to each of its readers, with what it may have and
    without."""
    made = (
        letter
        for kind in KINDS.values()
        for reader in kind.readers
        for letter in kind.samples(samples.address(kind.name, reader, locale))
    )
    for number, letter in enumerate(made):
        named = replace(letter, key=f"sample-{number}-{letter.name}")
        yield named
        links = {purpose: f"https://longarc.example/{purpose}" for purpose in LINK_NAMES}
        linked = replace(named, key=f"{named.key}-linked", links=links)
        yield linked
        if KINDS[named.name].has_content:
            key = f"{named.key}-by-link"
            yield replace(linked, key=key, by_link=True, contract=None, previous=None, commitments=())
