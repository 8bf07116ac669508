"""Third voices (R-30): the page on which a third person answers a report's question, and the list on the report's page.

Only the report receives the answer. The pages of other people don't show that there was a question.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from flask import Blueprint, Response, abort, request

from worker.domain.model import (
    MAX_VOICE_ANSWER,
    MAX_VOICE_QUESTION,
    Address,
    MailName,
    Person,
    ThirdVoice,
    VoiceFault,
)
from worker.domain.reason_texts import N_
from worker.engine.third_voices import UnfitVoice, VoiceParties
from worker.i18n.language import to_single_line
from worker.mail.context import MailContext
from worker.mail.names import guess_first_name
from worker.mail.view import MailView
from worker.web.logins import current_login
from worker.web.site import current_site, redirect_to

#: By fault of the form: the field that has the fault, and the advice that the page shows.
_FAULTS: Mapping[VoiceFault, tuple[str, str]] = {
    VoiceFault.ADDRESS: ("address", N_("Write one mail address, as name@example.com.")),
    VoiceFault.OUTSIDE: ("address", N_("This address is not one of your company’s. Ask somebody who works here.")),
    VoiceFault.EXCLUDED_PERSON: (
        "address",
        N_("A third voice is somebody other than you, your manager and whoever runs this."),
    ),
    VoiceFault.QUESTION: ("question", N_("Write one question, of a few sentences at most.")),
    VoiceFault.MANY: ("question", N_("Three questions are open already. Wait for an answer, or for one to end.")),
}


@dataclass(frozen=True, slots=True)
class VoiceForm:
    """The form in which a report asks a third person a question, with the texts as they were typed."""

    address: str = ""
    question: str = ""
    invalid_field: str = ""  #: the name of the field with a fault
    remedy: str = ""  #: what to change in that field
    max_characters: int = MAX_VOICE_QUESTION


@dataclass(frozen=True, slots=True)
class VoiceEntry:
    """A question as the report's page shows it."""

    id: str
    to: str  #: the name of the third person, or the address of somebody outside the roster
    question: str
    answer: tuple[str, ...]  #: the paragraphs of the answer
    asked_on: str
    open_until: str  #: empty when the question has been answered or is closed
    is_refused: bool  #: whether the mail to the third person could not be delivered


# --- the report's page ---


def make_empty_form() -> VoiceForm:
    """Return the form with empty fields."""
    return VoiceForm()


def ask_question(report: Person) -> VoiceForm | None:
    """Send the question in the submitted form. Returns None, or the form with its fault when it can't be sent."""
    site = current_site()
    address = to_single_line(request.form.get("address", ""))
    question = to_single_line(request.form.get("question", ""))
    try:
        site.worker.third_voices.ask(report, address, question)
    except UnfitVoice as error:
        field, remedy = _FAULTS[error.fault]
        # A question that is too long is shown again, up to twice the limit, so that it can be shortened.
        return VoiceForm(address, question[: 2 * MAX_VOICE_QUESTION], field, site.choose_language().gettext(remedy))
    return None


def list_entries(view: MailView, report: Address) -> list[VoiceEntry]:
    """Return the report's questions with their decrypted answers, newest first. Raises WrongKey."""
    site = current_site()
    voices = site.worker.third_voices.list_voices(report)
    refused = site.store.outbox.list_subjects_of_dead_mails(
        MailName.THIRD_VOICE_REQUEST.value, [voice.id for voice in voices]
    )
    return [_make_entry(view, voice, is_refused=voice.id in refused) for voice in voices]


def _make_entry(view: MailView, voice: ThirdVoice, *, is_refused: bool) -> VoiceEntry:
    is_open = voice.is_open(view.context.now)
    addressee = current_site().store.people.get_person(voice.to)
    return VoiceEntry(
        id=voice.id,
        to=view.full(addressee) if addressee else voice.to,
        question=voice.question,
        answer=tuple(line for line in voice.answer.splitlines() if line),
        asked_on=view.day(voice.asked_at),
        open_until=view.day(voice.expires_at) if is_open else "",
        is_refused=is_refused,
    )


# --- the third person's page ---


def make_blueprint() -> Blueprint:
    """Return the page of a question. Each question has its own link."""
    pages = Blueprint("voice", __name__)
    pages.add_url_rule("/<session_id>", view_func=show)
    pages.add_url_rule("/<session_id>", view_func=answer, methods=["POST"])
    return pages


def _require_parties(voice_id: str) -> VoiceParties:
    """Return the question, the report and the third person. Aborts with 404 when the question was erased."""
    parties = current_site().worker.third_voices.find_parties(voice_id)
    if parties is None:
        abort(404)
    return parties


def show(session_id: str) -> Response:
    """Return the page with the question and a field for the answer. Once it is answered, the page only says thanks.

    `session_id` is the id of the question: in every URL, the last part names what the link opens.
    """
    return _render_page(_require_parties(session_id))


def _render_page(parties: VoiceParties, status: int = 200, text: str = "", *, is_wrong: bool = False) -> Response:
    site, login = current_site(), current_login()
    context = MailContext(name="page", key="", to=login.person, now=site.now(), report=parties.report)
    view, voice = site.build_view(context), parties.voice
    if voice.answered_at is None and not voice.is_open(site.now()):
        return site.render_notice("voice-closed", 410)
    values = {
        "token": login.token,
        "question": voice.question if voice.answered_at is None else "",
        "asker": view.full(parties.report),
        "first_name": guess_first_name(parties.report),
        "until": view.day(voice.expires_at),
        "voice": voice.id,
        "text": text,
        "is_wrong": is_wrong,
        "max_characters": MAX_VOICE_ANSWER,
    }
    return site.render_page("voice", view.language, values, status)


def answer(session_id: str) -> Response:
    """Store the answer. A question can be answered once."""
    parties = _require_parties(session_id)
    text = "\n".join(map(to_single_line, request.form.get("answer", "").splitlines())).strip()
    if not 0 < len(text) <= MAX_VOICE_ANSWER:
        return _render_page(parties, 422, text[: 2 * MAX_VOICE_ANSWER], is_wrong=True)
    if not current_site().worker.third_voices.answer(session_id, text):
        return current_site().render_notice("voice-closed", 410)
    return redirect_to(request.path)
