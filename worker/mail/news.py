"""What the lines of a mail about several pairs tell: of the week, of first talks, of the rest of a day."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from worker.domain.model import (
    Commitment,
    Effect,
    EndReason,
    MailName,
    PairState,
    Person,
    Session,
    SessionKind,
    WrittenCommitment,
)
from worker.domain.planning import contract_mails, weekly
from worker.domain.planning.weekly import NewsKind
from worker.links import Purpose
from worker.mail.context import NewsLine, ReadableCommitment
from worker.mail.kinds import KINDS

#: Returns the URL of each link, by its name, given the page it opens and the session it is about.
SignLinks = Callable[[Mapping[str, tuple[Purpose, str]]], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class ToldNews:
    """What one line of a mail about several pairs tells."""

    kind: str
    state: PairState
    session: Session | None = None
    commitment: Commitment | None = None
    told: Effect | None = None  #: the mail that the line stands for


def list_news(message: Effect, states: Sequence[PairState], told: Sequence[Effect], now: datetime) -> list[ToldNews]:
    """Return what the mail has to tell, a line each, in order; empty when there is nothing, or nothing any more."""
    if message.name == MailName.WEEKLY:
        news = weekly.list_all_news(states, now)
        return [ToldNews(one.kind, one.state, one.session, one.commitment) for one in news]
    if message.name == MailName.INTRODUCTION:
        firsts = [(state, find_next_session(state, now)) for state in states if state.pair.is_active]
        stand = [(state, session) for state, session in firsts if session is not None]
        stand.sort(key=lambda first: first[1].span.start)
        return [ToldNews(MailName.INTRODUCTION, state, session) for state, session in stand]
    by_pair = {state.pair.id: state for state in states}
    pairs = [(mail, by_pair[mail.pair]) for mail in told if mail.pair in by_pair]
    return [ToldNews(mail.name, state, told=mail) for mail, state in pairs if KINDS[mail.name].holds(mail, state, now)]


def build_line(person: Person, news: ToldNews, promises: Mapping[str, WrittenCommitment], sign: SignLinks) -> NewsLine:
    """Return the line for that reader. `promises` are the texts of commitments, by id; empty where none is shown."""
    state, commitment, session = news.state, news.commitment, news.session
    is_manager = person.email == state.manager.email
    if news.told is not None:
        session = state.find_session(news.told.subject)
    promise = promises.get(commitment.id) if commitment else None
    purpose = _choose_purpose(news, is_manager=is_manager)
    links = sign({"line": purpose}) if state.pair.ended is EndReason.NO else {}
    lacks_contract = news.kind == NewsKind.CONTRACT and session is not None
    return NewsLine(
        kind=news.kind,
        other=state.report if is_manager else state.manager,
        pair=state.pair,
        session=session,
        due=commitment.due if commitment else _get_due_day(news.told),
        commitment=ReadableCommitment(commitment=commitment, promise=promise) if commitment and promise else None,
        deadline=contract_mails.find_contract_deadline(state.manager, session) if lacks_contract and session else None,
        link=links.get("line", ""),
    )


def _get_due_day(mail: Effect | None) -> date | None:
    """Return the day on which the commitments of a mail are due; None for other mails."""
    is_about_commitments = mail is not None and mail.name == MailName.COMMITMENT_DUE
    return mail.start.date() if is_about_commitments and mail and mail.start else None


def _choose_purpose(news: ToldNews, *, is_manager: bool) -> tuple[Purpose, str]:
    """Return the page that a line leads to, and the session it is about."""
    if not is_manager:
        return Purpose.ME, ""
    if news.kind == NewsKind.CHOICE and news.session:
        return Purpose.TIME, news.session.id
    if news.kind == NewsKind.CONTRACT and news.session:
        return Purpose.CONTRACT, news.session.id
    if news.kind == NewsKind.PROMISE and news.commitment:
        return Purpose.CONTRACT, news.commitment.session
    return Purpose.TEAM, ""


def find_next_session(state: PairState, now: datetime) -> Session | None:
    """Return the next booked career session; None when there is none."""
    booked = [s for s in state.sessions if s.booked and s.kind is SessionKind.CAREER and s.span.start > now]
    return min(booked, key=lambda s: s.span.start, default=None)
