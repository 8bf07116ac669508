"""The sample mails of a preview: rendered for real people of the company, in their languages.

They contain nothing that people wrote: the contract in them is invented, and their links lead nowhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from email.message import EmailMessage

from pydantic import SecretStr

from worker.domain.model import (
    Contract,
    MailName,
    PairState,
    Person,
    ReviewPoint,
    SessionKind,
    WrittenCommitment,
)
from worker.domain.planning.forecast import ExpectedMail
from worker.domain.reason_texts import N_
from worker.domain.time.worktime import get_local_date
from worker.i18n.language import Language
from worker.mail.compose import Composer, OpenedContent
from worker.mail.context import MailContext
from worker.mail.render import MailRenderer
from worker.mail.templates import load_default_templates
from worker.ops.preview.concerns import select_shown_reasons
from worker.seal import generate_key
from worker.settings.load import Settings

#: The texts of the invented contract, of which the sample summary consists.
_OWN_STEP = N_("Draft one page on where the team should be in a year, and show it to two colleagues")
_PROMISE = N_("Introduce you to the head of the group that you asked about")
_REVIEW = N_("how the introduction went")
_QUESTION = N_("What would make this the right place in three years?")


@dataclass(frozen=True, slots=True)
class SampleMail:
    """A rendered mail as its reader would see it."""

    name: str  #: a value of MailName
    to: Person
    is_for_manager: bool
    at: datetime  #: when it would be sent
    language: Language
    subject: str
    html: str
    text: str
    is_made_up: bool  #: whether it contains the invented contract

    @property
    def day(self) -> date:
        """The day on which it would be sent, in the reader's time zone."""
        return get_local_date(self.to.zone, self.at)


def render_samples(samples: Sequence[ExpectedMail], settings: Settings, renderer: MailRenderer) -> list[SampleMail]:
    """Return these mails as their readers would see them. Weekly mails without news are left out."""
    # The composer needs a key to create links, which are replaced afterwards. Any key will do.
    settings_with_key = settings.model_copy(update={"keys": (SecretStr(generate_key()),)})
    composer = Composer(settings_with_key)
    rendered = (_render_sample(expected, composer, settings, renderer) for expected in samples)
    return [sample for sample in rendered if sample is not None]


def _render_sample(
    expected: ExpectedMail, composer: Composer, settings: Settings, renderer: MailRenderer
) -> SampleMail | None:
    """Return the rendered mail; None for a weekly mail without news."""
    mail, state = expected.mail, expected.states[0]
    to = state.get_person(mail.to)
    language = load_default_templates().languages.find_language(to.locale)
    context = _build_context(expected, to, composer, language)
    if mail.pair is None and not context.news:
        return None
    message = _render(_replace_links(context, settings.base_url), renderer)
    return SampleMail(
        name=mail.name,
        to=to,
        is_for_manager=to.email == state.manager.email,
        at=mail.due_at,
        language=language,
        subject=str(message["Subject"]),
        html=_get_part(message, "html"),
        text=_get_part(message, "plain"),
        is_made_up=mail.name == MailName.CONTRACT_SUMMARY and settings.mail.content != "link",
    )


def _render(context: MailContext, renderer: MailRenderer) -> EmailMessage:
    """Return the rendered mail. As in the outbox, the default template is used when the company's own one fails."""
    try:
        return renderer.render(context)
    except Exception:
        message = renderer.render_default(context)
        if message is None:
            raise
        return message


def _get_part(message: EmailMessage, subtype: str) -> str:
    part = message.get_body((subtype,))
    return str(part.get_content()) if part else ""


# --- the content of sample mails ---


def _build_context(expected: ExpectedMail, to: Person, composer: Composer, language: Language) -> MailContext:
    """Return the values from which a sample mail is rendered."""
    mail, states = expected.mail, [_remove_history(state, expected.mail.subject) for state in expected.states]
    if mail.pair is None:
        return composer.build_personal_context(mail, to, states, (), OpenedContent(), mail.due_at)
    contract = _make_contract(language, mail.due_at)
    content = OpenedContent(revisions={mail.subject: [contract]})
    context = composer.build_mail_context(mail, states[0], content, mail.due_at)
    return replace(context, why=select_shown_reasons(context.why))


def _remove_history(state: PairState, subject: str) -> PairState:
    """Return the pair's state without its history, which is for the two people only.

    It keeps the coming sessions, and the session that the mail is about, whose id is `subject`.
    """
    coming = [s for s in state.sessions if (s.booked or s.owed) and not s.adhoc and s.kind is not SessionKind.CHECKIN]
    session_of_mail = [s for s in state.sessions if s.id == subject]
    kept_sessions = {s.id: s for s in (*coming, *session_of_mail)}
    sessions = tuple(replace(session, count=0, offer=None, warned_at=None) for session in kept_sessions.values())
    return replace(
        state, sessions=sessions, deferrals=(), commitments=(), incoming_handover=None, outgoing_handover=None
    )


def _make_contract(language: Language, now: datetime) -> Contract:
    """Return the invented contract in that language."""
    due = (now + timedelta(days=25)).date()
    own_step, promise = (WrittenCommitment(text=language.gettext(text), due=due) for text in (_OWN_STEP, _PROMISE))
    review = ReviewPoint(month=due.replace(day=1), text=language.gettext(_REVIEW))
    return Contract(report=(own_step,), manager=(promise,), reviews=(review,), question=language.gettext(_QUESTION))


def _replace_links(context: MailContext, base_url: str) -> MailContext:
    """Return the context with links that lead nowhere, because a real link would open the page of its reader."""
    dead_link = f"{base_url}/in/…"
    news = tuple(replace(line, link=dead_link if line.link else "") for line in context.news)
    return replace(context, links=dict.fromkeys(context.links, dead_link), news=news)
