"""The chart of a pair's year: the time that it shows, and the marks of that time."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.companies import DANA, DAY, SAM, START, pair, person, span
from worker.domain.model import Session, SessionKind, SessionState
from worker.i18n.language import Languages
from worker.mail.context import MailContext
from worker.mail.view import MailView
from worker.store.queries import PairActivity
from worker.web.year_chart import FORMATS, MIN_TIME_BEFORE, NAME_WIDTH, build_year_charts


def make_view() -> MailView:
    context = MailContext(
        name="page", key="", to=person(DANA), now=START, manager=person(DANA), report=person(SAM), pair=pair()
    )
    return MailView(context, Languages([]).find_language("en"))


def make_session(days: int) -> Session:
    """Return a session that many days after the start. With negative days it is held, otherwise booked."""
    time = span(START + days * DAY)
    state = SessionState.HELD if days < 0 else SessionState.BOOKED
    held_at = time.end if days < 0 else None
    return Session(
        id=f"c{days}",
        pair=pair().id,
        kind=SessionKind.CAREER,
        cycle=1,
        minutes=60,
        state=state,
        earliest=time.start,
        target=time.start,
        latest=time.end,
        start=time.start,
        end=time.end,
        held_at=held_at,
    )


def count_past_months(days: int) -> list[int]:
    """Return how many months each of the two sizes of the chart, wide and narrow, names before now.

    The first session of the pair was that many days ago.
    """
    charts = build_year_charts(PairActivity(sessions=[make_session(-days), make_session(50)]), make_view())
    return [sum(x < chart.today for x, _ in chart.months) for chart in charts]


def test_the_chart_of_a_new_pair_has_few_months_before_today() -> None:
    """The wide chart begins 60 to 270 days before now."""
    wide_of_new_pair, _ = count_past_months(days=5)
    wide_of_old_pair, _ = count_past_months(days=260)
    assert wide_of_new_pair <= 2
    assert wide_of_old_pair >= 8


def test_a_chart_that_begins_at_the_end_of_january_names_february() -> None:
    now = datetime(2027, 10, 27, 12, tzinfo=UTC)  # 270 days after the end of January
    view = MailView(replace(make_view().context, now=now), Languages([]).find_language("en"))
    first_session = make_session((now - START).days - 260)
    wide_chart, _ = build_year_charts(PairActivity(sessions=[first_session]), view)
    assert [name for _, name in wide_chart.months][:2] == ["Feb", "Mar"]


@pytest.mark.parametrize("days", [1, 30, 90, 260])
def test_each_chart_contains_every_mark_of_its_time(days: int) -> None:
    for chart_format, chart in zip(
        FORMATS,
        build_year_charts(PairActivity(sessions=[make_session(-days), make_session(50)]), make_view()),
        strict=True,
    ):
        tones = [mark.tone for mark in chart.marks]
        assert "ahead" in tones
        assert ("held" in tones) == (timedelta(days=days) < chart_format.time_before)
        assert all(NAME_WIDTH <= mark.x <= chart_format.width for mark in chart.marks)
        shown_time = chart_format.time_before + chart_format.time_ahead
        assert chart.today >= MIN_TIME_BEFORE / shown_time * chart_format.width
