"""The mails of a preview as their readers would see them, with the company's own names and in the readers' languages.

They hold no content: what the two would have written is made up, and their links lead nowhere.
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

#: The contract of the sample summary.
_OWN_STEP = N_("Draft one page on where the team should be in a year, and show it to two colleagues")
_PROMISE = N_("Introduce you to the head of the group that you asked about")
_REVIEW = N_("how the introduction went")
_QUESTION = N_("What would make this the right place in three years?")


@dataclass(frozen=True, slots=True)
class SampleMail:
    """A mail as its reader would see it."""

    name: str  #: a MailName
    to: Person
    is_for_manager: bool
    at: datetime
    language: Language
    subject: str
    html: str
    text: str
    is_made_up: bool  #: what it says of a conversation is

    @property
    def day(self) -> date:
        """The day where its reader is."""
        return get_local_date(self.to.zone, self.at)


def render_samples(samples: Sequence[ExpectedMail], settings: Settings, renderer: MailRenderer) -> list[SampleMail]:
    """Return these mails as their readers would see them, without those that have nothing to say."""
    signing = settings.model_copy(update={"keys": (SecretStr(generate_key()),)})  # so that links stand where they will
    composer = Composer(signing)
    rendered = (_render_sample(expected, composer, settings, renderer) for expected in samples)
    return [sample for sample in rendered if sample is not None]


def _render_sample(
    expected: ExpectedMail, composer: Composer, settings: Settings, renderer: MailRenderer
) -> SampleMail | None:
    mail, state = expected.mail, expected.states[0]
    to = state.get_person(mail.to)
    language = load_default_templates().languages.find_language(to.locale)
    context = _build_context(expected, to, composer, language)
    if mail.pair is None and not context.news:
        return None
    message = _render(_disarm_links(context, settings.base_url), renderer)
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
    """Render a mail as the outbox does: with our own template, where the company's can't be used."""
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


# --- the content ---


def _build_context(expected: ExpectedMail, to: Person, composer: Composer, language: Language) -> MailContext:
    mail, states = expected.mail, [_forget_history(state, expected.mail.subject) for state in expected.states]
    if mail.pair is None:
        return composer.build_personal_context(mail, to, states, (), OpenedContent(), mail.due_at)
    contract = _make_contract(language, mail.due_at)
    content = OpenedContent(revisions={mail.subject: [contract]})
    context = composer.build_mail_context(mail, states[0], content, mail.due_at)
    return replace(context, why=select_shown_reasons(context.why))


def _forget_history(state: PairState, subject: str) -> PairState:
    """Return the pair as if it had just begun, with the sessions to come and the one that the mail is about: what
    became of others is for the two alone."""
    coming = [s for s in state.sessions if (s.booked or s.owed) and not s.adhoc and s.kind is not SessionKind.CHECKIN]
    shown = {s.id: s for s in (*coming, *(s for s in state.sessions if s.id == subject))}
    sessions = tuple(replace(session, count=0, offer=None, warned_at=None) for session in shown.values())
    return replace(state, sessions=sessions, deferrals=(), commitments=(), incoming=None, outgoing=None)


def _make_contract(language: Language, now: datetime) -> Contract:
    """Return a contract that nobody made, in that language."""
    due = (now + timedelta(days=25)).date()
    own_step, promise = (WrittenCommitment(text=language.gettext(text), due=due) for text in (_OWN_STEP, _PROMISE))
    review = ReviewPoint(month=due.replace(day=1), text=language.gettext(_REVIEW))
    return Contract(report=(own_step,), manager=(promise,), reviews=(review,), question=language.gettext(_QUESTION))


def _disarm_links(context: MailContext, base_url: str) -> MailContext:
    """Return the context with links that lead nowhere: a real one would open the page of its reader."""
    nowhere = f"{base_url}/in/…"
    news = tuple(replace(line, link=nowhere if line.link else "") for line in context.news)
    return replace(context, links=dict.fromkeys(context.links, nowhere), news=news)
