"""The manager's page: the people, each with a year as a picture, and what the manager owes them before all else.

People stand by name. Nothing counts them up against each other (R-24).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from flask import Blueprint, Response, abort, request, url_for

from worker.domain.model import Owner, Pair, PairId, PairState, Session, SessionKind, SessionState
from worker.domain.planning import deferrals
from worker.domain.planning.plan_builder import PlanBuilder
from worker.i18n.reasons import translate_sentences
from worker.mail.view import MailView
from worker.store.content import ContractRevision
from worker.store.queries import PairYear
from worker.web import ad_hoc, export
from worker.web.commitments import CommitmentLine, list_commitments
from worker.web.contract_form import parse_day
from worker.web.sessions import current_visit, leave
from worker.web.site import current_site, redirect_to
from worker.web.year_chart import YearChart, build_year_chart, chart_start


@dataclass(frozen=True, slots=True)
class PersonCard:
    """One of the manager's people, as things stand at `now`."""

    id: str
    pair: Pair
    reading: MailView
    picture: YearChart
    now: datetime
    sessions: Sequence[Session]  #: of the year
    owed_by_me: Sequence[CommitmentLine]
    count: int  #: how often the next career conversation was put off in its cycle
    agreed: ContractRevision | None

    @property
    def coming(self) -> Sequence[Session]:
        """The conversations that have a time and are not over."""
        return [s for s in self.sessions if _is_coming(s, self.now)]

    @property
    def next(self) -> Session | None:
        """The next career conversation that has a time."""
        return _next_career(self.sessions, self.now)

    @property
    def owed(self) -> Sequence[Session]:
        """The conversations that have no time."""
        return [s for s in self.sessions if s.owed]

    @property
    def to_write(self) -> Session | None:
        """The first conversation whose contract is still to be written."""
        return next((s for s in self.sessions if _lacks_contract(s, self.now)), None)


def make_blueprint() -> Blueprint:
    """The manager's pages."""
    pages = Blueprint("team", __name__)
    for rule, view, methods in (
        ("", show, ["GET"]),
        ("/data", data, ["GET"]),
        ("/leave", leave, ["POST"]),
        ("/person/<person>", person_page, ["GET"]),
        ("/person/<person>/talk", talk, ["POST"]),
        ("/person/<person>/trust", trust, ["POST"]),
        ("/person/<person>/transition", transition, ["POST"]),
        ("/person/<person>/session/<about>/<deed>", took_place, ["POST"]),
    ):
        pages.add_url_rule(rule, view_func=view, methods=methods)
    return pages


def make_person_id(pair_id: PairId) -> str:
    """A name for a pair in an address, which says nothing about the two."""
    return sha256(str(pair_id).encode()).hexdigest()[:16]


def _list_pairs() -> list[Pair]:
    return current_site().store.people.list_pairs_of_manager(current_visit().who)


def _find_pair(person: str) -> Pair:
    found = next((one for one in _list_pairs() if make_person_id(one.id) == person), None)
    if found is None:
        abort(404)
    return found


def _build_cards(pairs: Sequence[Pair]) -> list[PersonCard]:
    here = current_site()
    ids = [one.id for one in pairs]
    states = here.store.plans.load(ids, here.now()).states
    years = here.store.queries.load_years(ids, chart_start(here.now()))
    latest = here.store.content.get_latest_contracts(ids)
    cards = [_build_card(state, years[state.pair.id], latest.get(state.pair.id)) for state in states]
    return sorted(cards, key=lambda one: one.reading.full(_get_report(one)).casefold())


def _get_report(card: PersonCard) -> Any:
    return card.reading.letter.report


def _build_card(state: PairState, year: PairYear, agreed: ContractRevision | None) -> PersonCard:
    here, now = current_site(), current_site().now()
    reading = here.build_view(here.build_mail_context(current_visit().person, state))
    open_ = [kept for kept in reading.letter.commitments if kept.commitment.is_open]
    return PersonCard(
        id=make_person_id(state.pair.id),
        pair=state.pair,
        reading=reading,
        picture=build_year_chart(year, reading),
        now=now,
        sessions=year.sessions,
        owed_by_me=list_commitments(reading, open_, Owner.MANAGER),
        count=_count_deferrals(state, year.sessions, now),
        agreed=agreed,
    )


def _is_coming(session: Session, now: datetime) -> bool:
    return session.booked and session.span.end > now


def _lacks_contract(session: Session, now: datetime) -> bool:
    ended = session.kind is SessionKind.CAREER and session.end is not None and session.end <= now
    return ended and session.asks_contract and session.state in (SessionState.HELD, SessionState.UNFINISHED)


def _next_career(sessions: Sequence[Session], now: datetime) -> Session | None:
    return next((s for s in sessions if s.kind is SessionKind.CAREER and _is_coming(s, now)), None)


def _count_deferrals(state: PairState, sessions: Sequence[Session], now: datetime) -> int:
    """How often the next career conversation was put off in its cycle, whether it has a time again or not."""
    owed = (s for s in sessions if s.kind is SessionKind.CAREER and s.owed)
    session = _next_career(sessions, now) or next(owed, None)
    if session is None:
        return 0
    return deferrals.count_deferrals_in_cycle(PlanBuilder(now, state, None, current_site().settings.policy), session)


def show() -> Response:
    """Everybody, and what is owed to them."""
    here = current_site()
    cards = _build_cards(_list_pairs())
    words = here.choose_language(current_visit().person.locale)
    owed = sorted(((one, card) for card in cards for one in card.owed_by_me), key=lambda pair: pair[0].due)
    told = {"to": current_visit().person, "token": current_visit().token, "cards": cards, "owed_by_me": owed}
    return here.render_page("team", words, told)


def person_page(person: str) -> Response:
    """One of them."""
    return _render_person(_find_pair(person))


def _render_person(pair: Pair, status: int = 200, **values: Any) -> Response:
    here = current_site()
    (card,) = _build_cards([pair])
    kept = [one for one in card.reading.letter.commitments if one.commitment.is_open]
    told: Mapping[str, Any] = {
        **card.reading.names(),
        "token": current_visit().token,
        "card": card,
        "standing": {owner.value: list_commitments(card.reading, kept, owner) for owner in Owner},
        "session_of": {one.commitment.id: one.commitment.session for one in kept},
        "triggers": ad_hoc.list_triggers(card.reading.words),
        "sentences": lambda why: translate_sentences(
            why, card.reading.words, current_visit().person.zone, card.reading.today
        ),
        "unsaid": False,
        "wrong": "",
        **values,
    }
    return here.render_page("person", card.reading.words, told, status)


# --- what the manager says ---


def talk(person: str) -> Response:
    """A conversation soon."""
    pair = _find_pair(person)
    said = ad_hoc.request_conversation(pair, Owner.MANAGER)
    return (
        redirect_to(url_for(".person_page", person=person, said=said))
        if said
        else _render_person(pair, 422, unsaid=True)
    )


def trust(person: str) -> Response:
    """R-12: whether the hardest questions belong into the brief."""
    pair = _find_pair(person)
    current_site().worker.actions.set_trust(pair.id, there=request.form.get("trust") == "yes")
    return redirect_to(url_for(".person_page", person=person, said="trust"))


def transition(person: str) -> Response:
    """R-5: a tighter rhythm until a day; without a day, no longer."""
    pair, typed = _find_pair(person), request.form.get("until", "").strip()
    until = parse_day(typed)
    if typed and (until is None or until <= current_site().now().date()):
        return _render_person(pair, 422, wrong="until")
    current_site().worker.actions.set_transition(pair.id, until)
    return redirect_to(url_for(".person_page", person=person, said="transition"))


def took_place(person: str, about: str, deed: str) -> Response:
    """A conversation took place at another time, or did not take place at all."""
    pair, acts = _find_pair(person), current_site().worker.actions
    session = current_site().store.queries.get_session(about)
    if session is None or session.pair != pair.id or deed not in ("met", "not-met"):
        abort(404)
    if deed == "met":
        acts.record_held(session.id, current_site().now())
    elif not acts.record_not_held(session.id):
        deed = "not-met-before"
    return redirect_to(url_for(".person_page", person=person, said=deed))


def data() -> Response:
    """What is kept about the manager's conversations, as a file."""
    return export.build_export(current_visit().person, _list_pairs(), manages=True)
