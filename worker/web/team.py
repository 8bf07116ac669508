"""The manager's pages: the team page with all reports, and a page about each report.

The team page begins with the manager's own commitments. Then it shows each report, by name, with a chart of the year.
Nothing on these pages ranks or compares people (R-24).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import Any

from flask import Blueprint, Response, abort, request, url_for

from worker.domain.model import MAX_LEARNING_CHARS, Owner, Pair, PairId, PairState, Session, SessionKind, SessionState
from worker.domain.planning import deferrals, offers
from worker.domain.reason_texts import N_
from worker.domain.time.blockers import REMEDY_CODES, order_for_reader
from worker.i18n.domain_texts import translate_sentences
from worker.i18n.language import to_single_line
from worker.mail.lines import Line
from worker.mail.names import guess_first_name
from worker.mail.view import MailView
from worker.store.content import ContractRevision
from worker.store.queries import PairActivity
from worker.web import ad_hoc, export, notes
from worker.web.commitments import CommitmentLine, list_commitments
from worker.web.contract_form import parse_day
from worker.web.erasures import list_erased_contents
from worker.web.handover import build_passed_lines, decide_promise, list_former_reports
from worker.web.logins import current_login, end_logins
from worker.web.reasons import TalkRequest, find_talk_request, list_deferral_reasons
from worker.web.site import current_site, redirect_with_confirmation
from worker.web.year_chart import YearChart, build_year_charts, get_chart_start


@dataclass(frozen=True, slots=True)
class PersonCard:
    """What the pages show about one report, as of `now`. Templates read its fields."""

    url_id: str  #: the pair's id in URLs (`make_url_id`)
    pair: Pair
    view: MailView  #: the values about the pair in the manager's language
    charts: Sequence[YearChart]
    now: datetime
    sessions: Sequence[Session]  #: those of the period that the charts show, in order of time
    open_promises: Sequence[CommitmentLine]  #: the manager's open commitments to this report
    deferral_count: int  #: how often sessions of the current cycle were deferred
    contract: ContractRevision | None  #: the contract in force
    talk_request: TalkRequest | None = None  #: an ad hoc session that has not ended (R-6)
    newly_kept: Sequence[Line] = ()  #: the report's commitments that were kept and that no mail mentions yet (R-32)

    @property
    def coming(self) -> Sequence[Session]:
        """The booked sessions that have not ended."""
        return [s for s in self.sessions if _is_coming(s, self.now)]

    @property
    def next_talk(self) -> Session | None:
        """The next booked career session."""
        return _find_next_career_session(self.sessions, self.now)

    @property
    def owed(self) -> Sequence[Session]:
        """The sessions that are due and have no time yet."""
        return [s for s in self.sessions if s.owed]

    @property
    def talk_without_contract(self) -> Session | None:
        """The first session whose contract is still to be written; None when there is none.

        The contract of an unfinished session is no longer needed when a later session has a contract (R-17).
        """
        last_contracted_end = max(
            (s.span.end for s in self.sessions if s.state is SessionState.CONTRACTED), default=None
        )
        for session in self.sessions:
            if not _lacks_contract(session, self.now):
                continue
            is_superseded = last_contracted_end is not None and session.span.end <= last_contracted_end
            # The state UNFINISHED means that the contract was not written in time. Before that, the state is HELD.
            if session.state is SessionState.HELD or not is_superseded:
                return session
        return None


def make_blueprint() -> Blueprint:
    """Return the manager's pages."""
    pages = Blueprint("team", __name__)
    for rule, handler, methods in (
        ("", show, ["GET"]),
        ("/data", download_data, ["GET"]),
        ("/leave", end_logins, ["POST"]),
        ("/learning", write_learning, ["POST"]),
        ("/promise/<commitment_id>/<decision>", decide_promise, ["POST"]),
        ("/person/<url_id>", show_person, ["GET"]),
        ("/person/<url_id>/note/<session_id>", leave_note, ["POST"]),
        ("/person/<url_id>/talk", request_talk, ["POST"]),
        ("/person/<url_id>/trust", set_trust, ["POST"]),
        ("/person/<url_id>/transition", set_transition, ["POST"]),
        ("/person/<url_id>/session/<session_id>/<outcome>", record_outcome, ["POST"]),
    ):
        pages.add_url_rule(rule, view_func=handler, methods=methods)
    return pages


def make_url_id(pair_id: PairId) -> str:
    """Return the pair's id in URLs. It is a digest, so that no URL contains an address."""
    return sha256(str(pair_id).encode()).hexdigest()[:16]


def _list_pairs() -> list[Pair]:
    return current_site().store.people.list_pairs_of_manager(current_login().address)


def _find_pair(url_id: str) -> Pair:
    """Return the manager's pair with that id in URLs. Aborts with 404 when there is none."""
    pair = next((candidate for candidate in _list_pairs() if make_url_id(candidate.id) == url_id), None)
    if pair is None:
        abort(404)
    return pair


def _build_cards(pairs: Sequence[Pair]) -> list[PersonCard]:
    """Return the cards of these pairs' reports, by the report's name."""
    site = current_site()
    ids = [pair.id for pair in pairs]
    states = site.store.plans.load(ids, site.now()).states
    activities = site.store.queries.load_activities(ids, get_chart_start(site.now()))
    contracts = site.store.content.get_latest_contracts(ids)
    cards = [_build_card(state, activities[state.pair.id], contracts.get(state.pair.id)) for state in states]
    newly_kept = notes.list_kept_lines([card.view for card in cards], Owner.MANAGER, site.now())
    cards = [replace(card, newly_kept=lines) for card, lines in zip(cards, newly_kept, strict=True)]
    return sorted(cards, key=_get_report_name)


def _get_report_name(card: PersonCard) -> str:
    report = card.view.context.report
    return card.view.full(report).casefold() if report else ""


def _get_first_name(card: PersonCard) -> str:
    report = card.view.context.report
    return guess_first_name(report) if report else ""


def _build_card(state: PairState, activity: PairActivity, contract: ContractRevision | None) -> PersonCard:
    site, now = current_site(), current_site().now()
    view = site.build_view(site.build_page_context(current_login().person, state))
    open_commitments = [item for item in view.context.commitments if item.commitment.is_open]
    return PersonCard(
        url_id=make_url_id(state.pair.id),
        pair=state.pair,
        view=view,
        charts=build_year_charts(activity, view),
        now=now,
        sessions=activity.sessions,
        open_promises=list_commitments(view, open_commitments, Owner.MANAGER),
        deferral_count=_count_deferrals(state, activity.sessions, now),
        contract=contract,
        talk_request=find_talk_request(view, state),
    )


def _is_coming(session: Session, now: datetime) -> bool:
    return session.booked and session.span.end > now


def _lacks_contract(session: Session, now: datetime) -> bool:
    is_past_career_session = session.kind is SessionKind.CAREER and session.end is not None and session.end <= now
    return (
        is_past_career_session
        and session.asks_contract
        and session.state in (SessionState.HELD, SessionState.UNFINISHED)
    )


def _find_next_career_session(sessions: Sequence[Session], now: datetime) -> Session | None:
    return next((s for s in sessions if s.kind is SessionKind.CAREER and _is_coming(s, now)), None)


def _count_deferrals(state: PairState, sessions: Sequence[Session], now: datetime) -> int:
    """Return how often sessions were deferred in the cycle of the next career session, which is booked or owed."""
    owed_sessions = (s for s in sessions if s.kind is SessionKind.CAREER and s.owed)
    session = _find_next_career_session(sessions, now) or next(owed_sessions, None)
    if session is None:
        return 0
    return deferrals.count_deferrals_in_cycle(state.sessions, session)


@dataclass(frozen=True, slots=True)
class ToDo:
    """An action that waits for the manager."""

    what: str  #: a sentence that says what to do
    url: str  #: the page on which the manager does it
    note: str = ""  #: further sentences; may be empty


def _list_to_do(cards: Sequence[PersonCard]) -> Iterator[ToDo]:
    """Yield what waits for the manager: contracts to write, times to choose, and sessions without a time."""
    for card in cards:
        view, name = card.view, _get_first_name(card)
        gettext = view.gettext
        if (talk := card.talk_without_contract) and talk.start:
            what = gettext(
                N_("Write down what you and %(name)s agreed on %(day)s"), name=name, day=view.day(talk.start)
            )
            yield ToDo(what, url_for(".contract.show", session_id=talk.id))
        for session in card.sessions:
            offered_times = offers.list_open_times(session, card.now)
            if offered_times:
                what = gettext(N_("Choose a time with %(name)s"), name=name)
                note = view.ngettext(
                    "%(count)s time is held for the two of you.",
                    "%(count)s times are held for the two of you.",
                    len(offered_times),
                )
                yield ToDo(what, url_for(".time.show", session_id=session.id), note)
            elif session.owed and session.unplaceable and session.kind is SessionKind.CAREER:
                what = gettext(N_("Find a time with %(name)s"), name=name)
                remedies = tuple(reason for reason in session.unplaceable if reason.code in REMEDY_CODES)
                first_remedy = order_for_reader(remedies, current_login().person.name)[:1]
                zone = current_login().person.zone
                note = " ".join(translate_sentences(first_remedy, view.language, zone, view.today))
                yield ToDo(what, url_for(".time.show", session_id=session.id), note)


def show() -> Response:
    """Return the team page: the manager's open commitments by due date, and every report."""
    return _render_team()


def _render_team(status: int = 200, **values: Any) -> Response:
    """Return the team page. `values` override the template values that the page always has."""
    site = current_site()
    cards = _build_cards(_list_pairs())
    language = site.choose_language()
    open_promises = sorted(
        ((line, card) for card in cards for line in card.open_promises), key=lambda entry: entry[0].due
    )
    # By pair: the manager's sentence about their own learning, if no mail to that report has contained it yet. When
    # pairs have different sentences, the page shows the newest.
    learnings = site.store.learnings.load_waiting([card.pair.id for card in cards])
    page = {
        "to": current_login().person,
        "token": current_login().token,
        "cards": cards,
        "manager_promises": open_promises,
        "former_reports": list_former_reports(),
        "to_do": list(_list_to_do(cards)),
        "learning": max(learnings.values(), key=lambda entry: entry.written_at).text if learnings else "",
        "next_readers": [_get_first_name(card) for card in cards if card.pair.id in learnings],
        "learning_limit": MAX_LEARNING_CHARS,
        "rejected_learning": "",
        "erased": list_erased_contents(),
    }
    return site.render_page("team", language, {**page, **values}, status)


def show_person(url_id: str) -> Response:
    """Return the page about one report."""
    return _render_person(_find_pair(url_id))


def _render_person(pair: Pair, status: int = 200, **values: Any) -> Response:
    """Return the page about one report. `values` override the template values that the page always has."""
    site = current_site()
    (card,) = _build_cards([pair])
    view, login, state = card.view, current_login(), site.load_state(pair)
    open_commitments = [item for item in view.context.commitments if item.commitment.is_open]
    page: Mapping[str, Any] = {
        **view.collect_variables(),
        "token": login.token,
        "card": card,
        "commitment_lines": {owner.value: list_commitments(view, open_commitments, owner) for owner in Owner},
        "session_of": {item.commitment.id: item.commitment.session for item in open_commitments},
        "shared_notes": notes.load_shared_notes(view, pair, state, Owner.MANAGER),
        "reasons": list_deferral_reasons(view, state),
        "triggers": ad_hoc.list_triggers(view.language),
        "sentences": lambda reasons: translate_sentences(
            order_for_reader(reasons, login.person.name), view.language, login.person.zone, view.today
        ),
        "lacks_reason": False,
        "invalid_field": "",
        "passed_lines": [],  # the default without a handover
        **build_passed_lines(card.view, pair.id),
        **values,
    }
    return site.render_page("person", view.language, page, status)


# --- forms ---


def write_learning() -> Response:
    """Store the manager's sentence about their own learning for the next reflection prompt to each report (R-35).

    An empty sentence withdraws the stored sentence.
    """
    site = current_site()
    text = to_single_line(request.form.get("learning", ""))
    if len(text) > MAX_LEARNING_CHARS:
        return _render_team(422, rejected_learning=text)
    site.store.learnings.write([pair.id for pair in _list_pairs()], text, site.now())
    return redirect_with_confirmation(".show", "learning" if text else "no-learning")


def leave_note(url_id: str, session_id: str) -> Response:
    """Store the manager's note about a conversation, for both to read, or delete it (R-28)."""
    confirmation = notes.leave_note(_find_pair(url_id), session_id, Owner.MANAGER)
    return redirect_with_confirmation(".show_person", confirmation, url_id=url_id, _anchor="notes")


def request_talk(url_id: str) -> Response:
    """Request an ad hoc session (R-6)."""
    pair = _find_pair(url_id)
    confirmation = ad_hoc.request_conversation(pair, Owner.MANAGER)
    if not confirmation:
        return _render_person(pair, 422, lacks_reason=True)
    return redirect_with_confirmation(".show_person", confirmation, url_id=url_id)


def set_trust(url_id: str) -> Response:
    """Store whether the manager's briefs contain the hardest questions, which need trust between the two (R-12)."""
    pair = _find_pair(url_id)
    current_site().worker.actions.set_trust(pair.id, has_trust=request.form.get("trust") == "yes")
    return redirect_with_confirmation(".show_person", "trust", url_id=url_id)


def set_transition(url_id: str) -> Response:
    """Make sessions more frequent until the day in the form; without a day, return to the usual rhythm (R-5)."""
    pair = _find_pair(url_id)
    until_text = request.form.get("until", "").strip()
    until = parse_day(until_text)
    if until_text and (until is None or until <= current_site().now().date()):
        return _render_person(pair, 422, invalid_field="until")
    current_site().worker.actions.set_transition(pair.id, until)
    return redirect_with_confirmation(".show_person", "transition", url_id=url_id)


def record_outcome(url_id: str, session_id: str, outcome: str) -> Response:
    """Record that a session took place (`met`), or that it did not (`not-met`)."""
    pair, actions = _find_pair(url_id), current_site().worker.actions
    session = current_site().store.queries.get_session(session_id)
    if session is None or session.pair != pair.id or outcome not in ("met", "not-met"):
        abort(404)
    if outcome == "met":
        actions.record_held(session.id, end=current_site().now())
    elif not actions.record_not_held(session.id):
        outcome = "not-met-before"
    return redirect_with_confirmation(".show_person", outcome, url_id=url_id)


def download_data() -> Response:
    """Return everything that is stored about the manager and the manager's pairs, as a download."""
    return export.build_export(current_login().person, _list_pairs(), is_manager=True)
