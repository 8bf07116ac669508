"""The names of the mails. What is known of each besides stands in one table, `worker/mail/kinds.py`."""

from enum import StrEnum


class MailName(StrEnum):
    """A mail: the name of its folder of templates, as the outbox, the history and the ledger hold it."""

    INTRODUCTION = "introduction"
    INVITATION = "invitation"
    INVITATION_WITHDRAWN = "invitation_withdrawn"
    REFLECTION_PROMPT = "reflection_prompt"
    BRIEF = "brief"
    CONTRACT_REQUEST = "contract_request"
    CONTRACT_REMINDER = "contract_reminder"
    CONTRACT_SUMMARY = "contract_summary"
    DEFERRAL_NOTICE = "deferral_notice"
    BOOKED_OVER_WARNING = "booked_over_warning"
    UNPLACEABLE = "unplaceable"
    SHORT_SESSION = "short_session"
    COMMITMENT_DUE = "commitment_due"
    REVIEW_NOTE = "review_note"
    PAIR_ENDED = "pair_ended"
    FRESH_LINK = "fresh_link"
    CONTENT_ACCESSED = "content_accessed"
    OPERATOR_ALERT = "operator_alert"


#: Mails about a pair itself that count however long ago they went out; others count for some weeks.
REMEMBERED = (MailName.INTRODUCTION, MailName.PAIR_ENDED)
