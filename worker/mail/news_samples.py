"""Sample mails about several pairs: the introduction to a manager, the weekly mail and the overflow mail.

As in `samples`, each `iter_` function takes the basic sample of a mail and yields variants of it.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta

from worker.domain.model import MailName, SessionKind
from worker.domain.planning.weekly import NewsKind
from worker.i18n.domain_texts import NEWS_TEXTS
from worker.mail.context import MailContext, NewsLine
from worker.mail.samples import COMMITMENTS, DAY, HELD_SESSION, PAIR, SAM, SESSION, SESSION_WITHOUT_TIME, START


def iter_introductions(context: MailContext) -> Iterator[MailContext]:
    """Yield introductions with and without a session, and with several values of `commitment_text`.

    The introduction to a manager lists the reports with whom a first conversation is booked.
    """
    if context.to == context.manager:
        kim = replace(SAM, email="kim@example.com", name="Kim Ito", locale=context.to.locale)
        sam = replace(SAM, locale=context.to.locale)
        later = replace(SESSION, start=START + 7 * DAY, end=START + 7 * DAY + timedelta(minutes=75))
        news = (
            NewsLine(kind=MailName.INTRODUCTION, other=sam, pair=PAIR, session=SESSION),
            NewsLine(kind=MailName.INTRODUCTION, other=kim, pair=replace(PAIR, report=kim.email), session=later),
        )
        yield _make_personal(context, news)
        yield replace(_make_personal(context, news[:1]), commitment_text="text")
        yield replace(_make_personal(context, news), commitment_text="link")
        return
    yield context
    yield replace(context, session=None, commitment_text="text")
    yield replace(context, commitment_text="link")


def _make_news(context: MailContext) -> tuple[NewsLine, ...]:
    """Return at least one line of each kind that a weekly mail can have."""
    kim = replace(SAM, email="kim@example.com", name="Kim Ito", locale=context.to.locale)
    promises = [c for c in COMMITMENTS if c.commitment.is_open_promise_of_manager]
    pair, sam = replace(PAIR, report=kim.email), replace(SAM, locale=context.to.locale)
    # an hour and a half after the other session, since nobody has two at the same time
    review_start = START + timedelta(minutes=165)
    review = replace(SESSION, kind=SessionKind.REVIEW, start=review_start, end=review_start + timedelta(minutes=25))
    return (
        NewsLine(kind=NewsKind.SESSION, other=sam, pair=PAIR, session=SESSION),
        NewsLine(kind=NewsKind.SESSION, other=kim, pair=pair, session=review),
        *(NewsLine(kind=NewsKind.PROMISE, other=sam, pair=PAIR, commitment=promise) for promise in promises),
        # a promise whose text can't be shown, as in a mail without content
        NewsLine(kind=NewsKind.PROMISE, other=kim, pair=pair, due=date(2026, 11, 6)),
        NewsLine(kind=NewsKind.CONTRACT, other=kim, pair=pair, session=HELD_SESSION, deadline=START + 2 * DAY),
        NewsLine(kind=NewsKind.CHOICE, other=sam, pair=PAIR, session=SESSION),
        NewsLine(kind=NewsKind.UNTIMED, other=kim, pair=pair, session=SESSION_WITHOUT_TIME),
    )


def _make_personal(context: MailContext, news: tuple[NewsLine, ...]) -> MailContext:
    """Return the sample as a mail about several pairs, with these lines."""
    return replace(context, manager=None, report=None, pair=None, session=None, contract=None, news=news)


def iter_weeklies(context: MailContext) -> Iterator[MailContext]:
    """Yield a weekly mail with every kind of line, and one with a single line."""
    news = _make_news(context)
    yield _make_personal(context, news)
    promise = next(line for line in news if line.kind == NewsKind.PROMISE)
    yield _make_personal(context, (promise,))  # a weekly mail is never about a single session alone


def iter_overflows(context: MailContext) -> Iterator[MailContext]:
    """Yield an overflow mail with two lines for every mail that it can replace, and one with a single line."""
    is_manager = context.to == context.manager
    other = context.report if is_manager else context.manager
    # The introduction and the lines of weekly mails (NewsKind) are never in an overflow mail.
    names = [name for name in NEWS_TEXTS if isinstance(name, MailName) and name is not MailName.INTRODUCTION]
    names.append(MailName.UNFINISHED)  # stands for all mails that have no text of their own in NEWS_TEXTS
    lines = tuple(
        NewsLine(kind=name, other=other or SAM, pair=PAIR, session=session, due=date(2026, 11, 6))
        for name in names
        for session in (SESSION, SESSION_WITHOUT_TIME)
    )
    yield _make_personal(context, lines)
    yield _make_personal(context, lines[:1])
