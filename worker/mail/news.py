"""Builds the lines of mails about several pairs: the weekly mail, the introduction to a manager and the overflow mail.

An overflow mail has a line for each mail above its reader's daily limit. These mails are folded into it, and not sent.
"""

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

#: Returns the URL of each link by the link's name, given the link's purpose and the id of its session.
SignLinks = Callable[[Mapping[str, tuple[Purpose, str]]], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class NewsEntry:
    """The subject of one line in a mail about several pairs. `build_news_line` turns it into a line with texts."""

    kind: str  #: a `NewsKind` in a weekly mail, else a `MailName`; see `NewsLine`
    state: PairState
    session: Session | None = None
    commitment: Commitment | None = None
    folded_mail: Effect | None = None  #: in an overflow mail: the mail that became this line


def list_news(
    mail: Effect, states: Sequence[PairState], folded_mails: Sequence[Effect], now: datetime
) -> list[NewsEntry]:
    """Return an entry for each line of the mail, in order. An empty list means that the mail is no longer needed.

    `folded_mails` are the mails that were folded into an overflow mail; it is empty for other mails.
    """
    if mail.name == MailName.WEEKLY:
        all_news = weekly.list_all_news(states, now)
        return [NewsEntry(news.kind, news.state, news.session, news.commitment) for news in all_news]
    if mail.name == MailName.INTRODUCTION:
        sessions = [(state, find_next_career_session(state, now)) for state in states if state.pair.is_active]
        booked = [(state, session) for state, session in sessions if session is not None]
        booked.sort(key=lambda entry: entry[1].span.start)
        return [NewsEntry(MailName.INTRODUCTION, state, session) for state, session in booked]
    states_by_pair = {state.pair.id: state for state in states}
    mails_and_states = [
        (folded, states_by_pair[folded.pair]) for folded in folded_mails if folded.pair in states_by_pair
    ]
    return [
        NewsEntry(folded.name, state, folded_mail=folded)
        for folded, state in mails_and_states
        if KINDS[folded.name].is_valid(folded, state, now)
    ]


def build_news_line(
    reader: Person, news: NewsEntry, texts: Mapping[str, WrittenCommitment], sign: SignLinks
) -> NewsLine:
    """Return the line for the reader.

    `texts` are the texts of commitments by id; it is empty for a mail without content. `sign` builds the link.
    """
    state, commitment, session = news.state, news.commitment, news.session
    is_manager = reader.email == state.manager.email
    if news.folded_mail is not None:
        session = state.find_session(news.folded_mail.subject)
    text = texts.get(commitment.id) if commitment else None
    page = _choose_page(news, is_manager=is_manager)
    links = sign({"line": page}) if state.pair.ended is EndReason.NO else {}
    deadline = None
    if news.kind == NewsKind.CONTRACT and session is not None:
        deadline = contract_mails.find_contract_deadline(state.manager, session)
    return NewsLine(
        kind=news.kind,
        other=state.report if is_manager else state.manager,
        pair=state.pair,
        session=session,
        due=commitment.due if commitment else _get_due_day(news.folded_mail),
        commitment=ReadableCommitment(commitment=commitment, promise=text) if commitment and text else None,
        deadline=deadline,
        link=links.get("line", ""),
    )


def _get_due_day(mail: Effect | None) -> date | None:
    """Return the due date of the commitments that a mail is about; None for a mail about something else."""
    if mail is None or mail.name != MailName.COMMITMENT_DUE or mail.start is None:
        return None
    return mail.start.date()


def _choose_page(news: NewsEntry, *, is_manager: bool) -> tuple[Purpose, str]:
    """Return the page that the line's link opens: the link's purpose, and the id of a session or an empty text."""
    if not is_manager:
        return Purpose.ME, ""
    if news.kind == NewsKind.CHOICE and news.session:
        return Purpose.TIME, news.session.id
    if news.kind == NewsKind.CONTRACT and news.session:
        return Purpose.CONTRACT, news.session.id
    if news.kind == NewsKind.PROMISE and news.commitment:
        return Purpose.CONTRACT, news.commitment.session
    return Purpose.TEAM, ""


def find_next_career_session(state: PairState, now: datetime) -> Session | None:
    """Return the next booked career session after `now`; None when there is none."""
    booked = [s for s in state.sessions if s.booked and s.kind is SessionKind.CAREER and s.span.start > now]
    return min(booked, key=lambda s: s.span.start, default=None)
