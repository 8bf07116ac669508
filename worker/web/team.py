"""The manager's page: the people, each with a year as a picture, and what the manager owes them before all else.

People stand by name. Nothing counts them up against each other (R-24).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from flask import Blueprint, Response, abort, request, url_for

from worker.domain.model import Kind, Owner, Pair, PairId, PairState, Session, State
from worker.domain.planning import deferrals
from worker.domain.planning.plan_builder import Planning
from worker.i18n.reasons import sentences
from worker.mail.view import MailView
from worker.store.content import Recorded
from worker.store.queries import Year
from worker.web import ad_hoc, export
from worker.web.commitments import Shown, list_commitments
from worker.web.contract_form import day_of
from worker.web.sessions import leave, visit
from worker.web.site import go, site
from worker.web.year_chart import Picture, picture, since


@dataclass(frozen=True, slots=True)
class Card:
    """One of the manager's people, as things stand at `now`."""

    id: str
    pair: Pair
    reading: MailView
    picture: Picture
    now: datetime
    sessions: Sequence[Session]  #: of the year
    owed_by_me: Sequence[Shown]
    count: int  #: how often the next career conversation was put off in its cycle
    agreed: Recorded | None

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


def blueprint() -> Blueprint:
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


def person_id(pair_id: PairId) -> str:
    """A name for a pair in an address, which says nothing about the two."""
    return sha256(str(pair_id).encode()).hexdigest()[:16]


def _pairs() -> list[Pair]:
    return site().store.people.managed_by(visit().who)


def _pair(person: str) -> Pair:
    found = next((one for one in _pairs() if person_id(one.id) == person), None)
    if found is None:
        abort(404)
    return found


def _cards(pairs: Sequence[Pair]) -> list[Card]:
    here = site()
    ids = [one.id for one in pairs]
    states = here.store.plans.load(ids, here.now()).states
    years = here.store.register.year(ids, since(here.now()))
    latest = here.store.content.latest(ids)
    cards = [_card(state, years[state.pair.id], latest.get(state.pair.id)) for state in states]
    return sorted(cards, key=lambda one: one.reading.full(_report(one)).casefold())


def _report(card: Card) -> Any:
    return card.reading.letter.report


def _card(state: PairState, year: Year, agreed: Recorded | None) -> Card:
    here, now = site(), site().now()
    reading = here.reading(here.letter(visit().person, state))
    open_ = [kept for kept in reading.letter.commitments if kept.commitment.open]
    return Card(
        id=person_id(state.pair.id),
        pair=state.pair,
        reading=reading,
        picture=picture(year, reading),
        now=now,
        sessions=year.sessions,
        owed_by_me=list_commitments(reading, open_, Owner.MANAGER),
        count=_count_deferrals(state, year.sessions, now),
        agreed=agreed,
    )


def _is_coming(session: Session, now: datetime) -> bool:
    return session.booked and session.span.end > now


def _lacks_contract(session: Session, now: datetime) -> bool:
    ended = session.kind is Kind.CAREER and session.end is not None and session.end <= now
    return ended and session.asks_contract and session.state in (State.HELD, State.UNFINISHED)


def _next_career(sessions: Sequence[Session], now: datetime) -> Session | None:
    return next((s for s in sessions if s.kind is Kind.CAREER and _is_coming(s, now)), None)


def _count_deferrals(state: PairState, sessions: Sequence[Session], now: datetime) -> int:
    """How often the next career conversation was put off in its cycle, whether it has a time again or not."""
    owed = (s for s in sessions if s.kind is Kind.CAREER and s.owed)
    session = _next_career(sessions, now) or next(owed, None)
    if session is None:
        return 0
    return deferrals.count_in_cycle(Planning(now, state, None, site().settings.policy), session)


def show() -> Response:
    """Everybody, and what is owed to them."""
    here = site()
    cards = _cards(_pairs())
    words = here.words(visit().person.locale)
    owed = sorted(((one, card) for card in cards for one in card.owed_by_me), key=lambda pair: pair[0].due)
    told = {"to": visit().person, "token": visit().token, "cards": cards, "owed_by_me": owed}
    return here.page("team", words, told)


def person_page(person: str) -> Response:
    """One of them."""
    return _person(_pair(person))


def _person(pair: Pair, status: int = 200, **values: Any) -> Response:
    here = site()
    (card,) = _cards([pair])
    kept = [one for one in card.reading.letter.commitments if one.commitment.open]
    told: Mapping[str, Any] = {
        **card.reading.names(),
        "token": visit().token,
        "card": card,
        "standing": {owner.value: list_commitments(card.reading, kept, owner) for owner in Owner},
        "session_of": {one.commitment.id: one.commitment.session for one in kept},
        "triggers": ad_hoc.reasons(card.reading.words),
        "sentences": lambda why: sentences(why, card.reading.words, visit().person.zone, card.reading.today),
        "unsaid": False,
        "wrong": "",
        **values,
    }
    return here.page("person", card.reading.words, told, status)


# --- what the manager says ---


def talk(person: str) -> Response:
    """A conversation soon."""
    pair = _pair(person)
    said = ad_hoc.ask(pair, Owner.MANAGER)
    return go(url_for(".person_page", person=person, said=said)) if said else _person(pair, 422, unsaid=True)


def trust(person: str) -> Response:
    """R-12: whether the hardest questions belong into the brief."""
    pair = _pair(person)
    site().worker.acts.set_trust(pair.id, there=request.form.get("trust") == "yes")
    return go(url_for(".person_page", person=person, said="trust"))


def transition(person: str) -> Response:
    """R-5: a tighter rhythm until a day; without a day, no longer."""
    pair, typed = _pair(person), request.form.get("until", "").strip()
    until = day_of(typed)
    if typed and (until is None or until <= site().now().date()):
        return _person(pair, 422, wrong="until")
    site().worker.acts.set_transition(pair.id, until)
    return go(url_for(".person_page", person=person, said="transition"))


def took_place(person: str, about: str, deed: str) -> Response:
    """A conversation took place at another time, or did not take place at all."""
    pair, acts = _pair(person), site().worker.acts
    session = site().store.register.session(about)
    if session is None or session.pair != pair.id or deed not in ("met", "not-met"):
        abort(404)
    if deed == "met":
        acts.record_held(session.id, site().now())
    elif not acts.not_held(session.id):
        deed = "not-met-before"
    return go(url_for(".person_page", person=person, said=deed))


def data() -> Response:
    """What is kept about the manager's conversations, as a file."""
    return export.file(visit().person, _pairs(), manages=True)
