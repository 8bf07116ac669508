"""The contract: written by the manager after the session, looked at before it is sent, and changed when things change.

What is typed is kept after each press and, with script, while typing. Nothing is recorded before the manager has seen
what both will receive.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from email.message import EmailMessage
from typing import Any

from flask import Blueprint, Response, abort, jsonify, request, url_for

from worker.domain.contract.check import ContractCheck, UnfitContract, check_contract
from worker.domain.model import Contract, MailName, Message, Owner, PairState, Session, State, What
from worker.domain.planning.notices import deadline
from worker.domain.reason_texts import N_
from worker.errors import NoContractSession, NotHeldYet, Overtaken, Refused
from worker.i18n.reasons import translate_question
from worker.mail.compose import Material
from worker.mail.view import MailView
from worker.store.content import Recorded
from worker.web import contract_form
from worker.web.commitments import handle_commitment_form, list_commitments
from worker.web.contract_form import ContractForm, Wrong
from worker.web.security import MAIL_POLICY
from worker.web.sessions import visit
from worker.web.site import go, site

CHANGED_ELSEWHERE = N_("This draft was changed in another window since.")
OVERTAKEN = N_("One of you changed the contract while you were writing. Look at what is different, then send it.")
#: What a manager reads when a contract is not recorded for that session.
REFUSALS: Mapping[type[Refused], str] = {
    NotHeldYet: N_("You have not met yet, so there is nothing to record. Your draft is kept."),
    NoContractSession: N_("No contract belongs to this conversation."),
}
#: A word of our own lists, as questions name it.
_QUOTED = re.compile(r"`([^`]+)`")
#: How many empty lines a new form offers in each list.
EMPTY = {"report": 1, "manager": 1, "reviews": 1, "progress": 0}


@dataclass(frozen=True, slots=True)
class Matter:
    """A session whose contract this is about, with all that is known of it."""

    session: Session
    state: PairState
    revisions: tuple[Recorded, ...]

    @property
    def over(self) -> bool:
        """Whether it took place, so that a contract can be written."""
        ended = self.session.booked and self.session.span.end <= site().now()
        return ended or self.session.state in (State.HELD, State.UNFINISHED, State.CONTRACTED)


def blueprint() -> Blueprint:
    """The pages about one session's contract; they are reached by a link of their own, and from the manager's page."""
    pages = Blueprint("contract", __name__)
    for rule, view, methods in (
        ("/<session>", show, ["GET"]),
        ("/<session>/write", write, ["GET"]),
        ("/<session>/write", keep, ["POST"]),
        ("/<session>/preview", preview, ["GET"]),
        ("/<session>/mail/<reader>", mail, ["GET"]),
        ("/<session>/send", send, ["POST"]),
        ("/<session>/not-met", not_met, ["POST"]),
        ("/<session>/commitment/<commitment>/<deed>", commitment_ends, ["POST"]),
    ):
        pages.add_url_rule(rule, view_func=view, methods=methods)
    return pages


def _matter(session_id: str) -> Matter:
    """That session, when it is one of this manager's; else there is no such thing."""
    here = site()
    session = here.store.register.session(session_id)
    pairs = here.store.people.managed_by(visit().who) if session else []
    pair = next((one for one in pairs if session and one.id == session.pair), None)
    if session is None or pair is None:
        abort(404)
    return Matter(session, here.state(pair), tuple(here.store.content.revisions(session_id)))


# --- looking at it ---


def show(session: str) -> Response:
    """The contract as it stands; when it is still to be written, the form."""
    matter = _matter(session)
    if not matter.revisions and matter.over:
        return go(url_for(".write", session=session, said=request.args.get("said")))
    return _page("contract", matter, {"asks": matter.session.asks_contract})


def _page(name: str, matter: Matter, values: Mapping[str, Any], status: int = 200) -> Response:
    here = site()
    letter = here.letter(visit().person, matter.state, matter.session)
    reading = here.reading(letter)
    mine = [one for one in letter.commitments if one.commitment.session == matter.session.id]
    known = {
        **reading.names(),
        "token": visit().token,
        "matter": matter,
        "current": matter.revisions[-1] if matter.revisions else None,
        "changes": _changes(reading, matter),
        "standing": {owner.value: list_commitments(reading, mine, owner) for owner in Owner},
        "wrong": request.args.get("wrong", ""),
        "deadline": deadline(matter.state.manager, matter.session) if matter.session.held_at else None,
    }
    return here.page(name, reading.words, {**known, **values}, status)


def _changes(reading: MailView, matter: Matter) -> list[str]:
    """What the newest revision changed, in sentences."""
    if len(matter.revisions) < 2:
        return []
    return reading.changes(matter.revisions[-2].contract, matter.revisions[-1].contract)


# --- writing it ---


def write(session: str) -> Response:
    """The form, with what was kept in it."""
    matter = _matter(session)
    if not matter.over:
        return go(url_for(".show", session=session))
    sketch = site().store.content.sketch(session)
    form = ContractForm.from_draft(sketch.fields) if sketch else _start_form(matter)
    return _form(matter, form, sketch.version if sketch else 0, saved_at=sketch.saved_at if sketch else None)


def _start_form(matter: Matter) -> ContractForm:
    if matter.revisions:
        return ContractForm.of(matter.revisions[-1].contract, len(matter.revisions))
    form = ContractForm()
    for name, count in EMPTY.items():
        for _ in range(count):
            form.change(f"add-{name}")
    return form


def _form(
    matter: Matter,
    form: ContractForm,
    version: int,
    *,
    wrong: list[Wrong] | None = None,
    notice: str = "",
    **values: Any,
) -> Response:
    asked = _find_questions(matter, form) if form.is_filled() else {}
    told = {"saved_at": None, **values, "form": form, "version": version, "asked": asked, "notice": notice}
    errors = {one.name: site().words(visit().person.locale).gettext(one.what) for one in wrong or ()}
    status = 422 if wrong else 409 if notice else 200
    return _page("write", matter, {**told, "errors": errors, **_beside(matter)}, status)


def _beside(matter: Matter) -> dict[str, Any]:
    """Last time's contract, to look at while this one is written."""
    here = site()
    latest = here.store.content.latest([matter.state.pair.id]).get(matter.state.pair.id)
    if latest is None or latest.session == matter.session.id:
        return {"last": None}
    letter = here.letter(visit().person, matter.state, matter.session)
    kept = [one for one in letter.commitments if one.commitment.session == latest.session]
    reading = here.reading(letter)
    standing = {owner.value: list_commitments(reading, kept, owner) for owner in Owner}
    return {"last": latest, "last_standing": standing}


def _contract(matter: Matter, form: ContractForm) -> tuple[Contract, list[Wrong]]:
    """What the form makes, and all that is wrong with it today."""
    contract, wrong = form.contract()
    return contract, form.with_faults(wrong, _check(matter, contract).faults)


def _check(matter: Matter, contract: Contract) -> ContractCheck:
    revisions = [one.contract for one in matter.revisions]
    return check_contract(contract, matter.state.manager, site().now(), revisions, contract_form.LIMITS)


def _find_questions(matter: Matter, form: ContractForm) -> dict[str, list[dict[str, str]]]:
    """R-16: what is asked of each promise, by the line of the form it stands in. An empty date is no question yet."""
    words = site().words(visit().person.locale)
    contract, _ = form.contract()
    found: dict[str, list[dict[str, str]]] = {}
    for one in _check(matter, contract).questions:
        what, better = translate_question(one, words)
        told = {"what": _QUOTED.sub("“\\1”", what), "better": better}
        found.setdefault(contract_form.place_of(one.line), []).append(told)
    return found


def keep(session: str) -> Response:
    """Keep what was typed; then do what the button says. A script that keeps it meanwhile gets a short answer."""
    matter, do = _matter(session), request.form.get("do", "keep")
    if not matter.over:
        abort(404)
    if do == "discard":
        return _discard(session)
    form = ContractForm.from_request(request.form)
    form.change(do)
    seen = contract_form.number_of(request.form.get("version", "")) or 0
    quietly = "application/json" in request.headers.get("Accept", "")
    try:
        version = site().store.content.keep_sketch(session, form.keep(), site().now(), over=seen)
    except Refused as error:
        return _changed_elsewhere(matter, form, str(error), quietly=quietly)
    if quietly:
        return jsonify(version=version, asked=_find_questions(matter, form), kept=_kept_at())
    return _next(matter, form, version, do)


def _kept_at() -> str:
    words, to = site().words(visit().person.locale), visit().person
    return words.gettext(N_("Draft kept, %(hour)s"), hour=words.hour(site().now(), to.zone))


def _next(matter: Matter, form: ContractForm, version: int, do: str) -> Response:
    if do == "preview":
        _, wrong = _contract(matter, form)
        if wrong:
            return _form(matter, form, version, wrong=wrong)
        return go(url_for(".preview", session=matter.session.id))
    said = "kept" if do == "keep" else None
    part = do.split("-")[1] if do.startswith(("add-", "drop-")) else None
    return go(url_for(".write", session=matter.session.id, said=said, _anchor=part))


def _changed_elsewhere(matter: Matter, form: ContractForm, what: str, *, quietly: bool) -> Response:
    """Somebody kept another draft since this one was opened: nothing is lost; the next press keeps this one."""
    words = site().words(visit().person.locale)
    if quietly:
        answer = jsonify(problem=words.gettext(what))
        answer.status_code = 409
        return answer
    sketch = site().store.content.sketch(matter.session.id)
    return _form(matter, form, sketch.version if sketch else 0, notice=words.gettext(what))


def _discard(session: str) -> Response:
    here = site()
    with here.store.database.write() as connection:
        here.store.content.drop_sketch(connection, session)
    return go(url_for(".show", session=session, said="dropped"))


# --- sending it ---


def preview(session: str) -> Response:
    """What both will receive, exactly, with the questions worth asking first."""
    matter = _matter(session)
    sketch = site().store.content.sketch(session)
    if sketch is None or not matter.over:
        return go(url_for(".write", session=session))
    form = ContractForm.from_draft(sketch.fields)
    contract, wrong = _contract(matter, form)
    if wrong:
        return _form(matter, form, sketch.version, wrong=wrong)
    reading = site().reading(site().letter(visit().person, matter.state, matter.session))
    asked = [(_text_at(form, place), questions) for place, questions in _find_questions(matter, form).items()]
    before = matter.revisions[-1].contract if matter.revisions else None
    told = {
        "asked": asked,
        "version": sketch.version,
        "differs": reading.changes(before, contract) if before else [],
        "subject": str(_mail(matter, contract, Owner.REPORT)["Subject"]),
    }
    return _page("preview", matter, told)


def _text_at(form: ContractForm, place: str) -> str:
    name, _, number = place.partition("-")
    return form.lists[name][int(number)]["text"]


def mail(session: str, reader: str) -> Response:
    """The mail that one of the two will receive, as it looks."""
    matter = _matter(session)
    sketch = site().store.content.sketch(session)
    if sketch is None or reader not in list(Owner):
        abort(404)
    contract, _ = ContractForm.from_draft(sketch.fields).contract()
    part = _mail(matter, contract, Owner(reader)).get_body(("html",))
    html = part.get_content() if isinstance(part, EmailMessage) else ""
    answer = Response(html, content_type="text/html; charset=utf-8")
    answer.headers["Content-Security-Policy"] = MAIL_POLICY
    return answer


def _mail(matter: Matter, contract: Contract, reader: Owner) -> EmailMessage:
    """The summary as the outbox will write it, but for the link: that is the reader's own."""
    here, state = site(), matter.state
    number, now = len(matter.revisions) + 1, here.now()
    to = state.manager.email if reader is Owner.MANAGER else state.report.email
    message = Message(
        key="preview",
        what=What.MAIL,
        pair=state.pair.id,
        subject=matter.session.id,
        due_at=now,
        snapshot_at=now,
        name=MailName.CONTRACT_SUMMARY.value,
        to=to,
        number=number,
    )
    all_ = [one.contract for one in matter.revisions] + [contract]
    material = Material(contracts={state.pair.id: contract}, revisions={matter.session.id: all_})
    letter = here.drafts.letter(message, _with(state, matter.session), material, now)
    return here.worker.emails.render(replace(letter, links={"contract": "#"}))


def _with(state: PairState, session: Session) -> PairState:
    """The state with that session among the others: one of long ago is not read with them."""
    others = tuple(one for one in state.sessions if one.id != session.id)
    return replace(state, sessions=(*others, session))


def send(session: str) -> Response:
    """Record what was previewed. Pressed twice, it is recorded once."""
    matter, here = _matter(session), site()
    sketch = here.store.content.sketch(session)
    if sketch is None:  # it was sent already, perhaps since `matter` was read
        recorded = matter.revisions or here.store.content.revisions(session)
        return go(url_for(".show", session=session, said="sent" if recorded else None))
    if request.form.get("version") != str(sketch.version):
        raise Refused(here.words(visit().person.locale).gettext(CHANGED_ELSEWHERE))
    form = ContractForm.from_draft(sketch.fields)
    contract, wrong = form.contract()
    if wrong:
        return _form(matter, form, sketch.version, wrong=wrong)
    try:
        result = here.worker.contracts.record(
            session, contract, after=form.after, limits=contract_form.LIMITS, drop_draft=True
        )
    except Overtaken:
        return _overtaken(session, form, sketch.version)
    except UnfitContract as error:
        return _form(matter, form, sketch.version, wrong=form.with_faults([], error.faults))
    except (NoContractSession, NotHeldYet) as error:
        raise Refused(here.words(visit().person.locale).gettext(REFUSALS[type(error)])) from error
    # Of two presses at once the second finds what the first recorded.
    return go(url_for(".show", session=session, said="sent" if result.revision > form.after else "same"))


def _overtaken(session: str, form: ContractForm, version: int) -> Response:
    """A newer revision came while this was written (the report changed a commitment, say): nothing typed is lost, and
    the next preview shows the difference to that one."""
    matter, here = _matter(session), site()
    form.after = len(matter.revisions)
    version = here.store.content.keep_sketch(matter.session.id, form.keep(), here.now(), over=version)
    told = here.words(visit().person.locale).gettext(OVERTAKEN)
    return _form(matter, form, version, notice=told)


# --- what became of it ---


def not_met(session: str) -> Response:
    """It did not take place: it is owed."""
    matter = _matter(session)
    is_new = site().worker.acts.not_held(matter.session.id)
    return go(url_for(".show", session=session, said="not-met" if is_new else "not-met-before"))


def commitment_ends(session: str, commitment: str, deed: str) -> Response:
    """A commitment of this contract is done, changed or let go."""
    matter = _matter(session)
    there = {one.id for one in site().store.register.commitments_of(matter.session.id)}
    if commitment not in there:
        abort(404)
    return handle_commitment_form(commitment, deed, ".show", session=session)
