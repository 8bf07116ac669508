"""What the forecast says is what then happens, when everybody does what is asked."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from tests.support.companies import (
    DANA,
    DAY,
    KIM,
    SAM,
    START,
    WEEK,
    Fails,
    Office,
    contract,
    pair,
    pairs,
    people,
    person,
)
from worker.domain.model import Format, PairId, PairState, SessionState
from worker.domain.planning.forecast import Forecast, forecast_pairs
from worker.domain.time.worktime import parse_hours
from worker.errors import Unavailable

LEE, ALEX, NOAH, EVE = (f"{name}@corp.example" for name in ("lee", "alex", "noah", "eve"))
LENGTH = 13 * WEEK


def build_office(at: datetime = START) -> Office:
    """Dana leads four, one of them in series and one who begins in a month; Lee leads one, elsewhere."""
    persons = {**people(DANA, SAM, KIM, ALEX, NOAH, LEE), EVE: person(EVE, zone="America/New_York", country="US")}
    listed = pairs(
        pair(DANA, SAM),
        pair(DANA, KIM, format=Format.SERIES),
        pair(DANA, ALEX),
        pair(DANA, NOAH, start=(START + 30 * DAY).date()),
        pair(LEE, EVE),
    )
    return Office(persons=persons, listed=listed, at=at)


def forecast(office: Office, manager: str, length: timedelta = LENGTH) -> Forecast:
    planned = [one for one in office.worker.sweep.preview() if one.state.pair.manager == manager]
    now = office.clock()
    return forecast_pairs([(one.state, one.plan) for one in planned], now, now + length, office.settings.policy)


def do_what_is_asked(office: Office, end: datetime) -> None:
    """Let time pass; each contract is written down when it is asked for."""
    office.tick()
    while office.clock() < end:
        sessions = office.store.queries.list_sessions()
        ends = [s.span.end for s in sessions if s.booked and s.asks_contract and s.span.end > office.clock()]
        office.run_to(min([*ends, end]))
        for session in office.store.queries.list_sessions():
            if session.state is SessionState.HELD and session.asks_contract:
                office.worker.contracts.record(session.id, replace(contract(office.clock()), manager=(), report=()))


def list_sent(office: Office, forecast: Forecast) -> list[tuple[str, str, str]]:
    """The mails that went out to the manager or about a pair of the forecast: which, to whom and when."""
    mine = {str(state.pair.id) for state in forecast.states_now}
    manager = forecast.states_now[0].manager.email
    lines = [line for line in office.history("mail") if str(line["pair"]) in mine or line["fields"]["to"] == manager]
    return sorted((line["fields"]["message"], line["fields"]["to"], f"{line['at']:%m-%d %H:%M}") for line in lines)


def list_expected(forecast: Forecast) -> list[tuple[str, str, str]]:
    mails = [expected.mail for expected in forecast.mails]
    return sorted((mail.name, mail.to, f"{mail.due_at:%m-%d %H:%M}") for mail in mails)


def list_times(states: Iterable[PairState]) -> set[tuple[PairId, str, datetime]]:
    return {
        (state.pair.id, f"{session.kind} {session.topic}", session.start)
        for state in states
        for session in state.sessions
        if session.start
    }


@pytest.mark.parametrize("manager", [DANA, LEE])
def test_it_says_what_then_happens(manager: str) -> None:
    """Each mail to the minute, and each session, reviews included, where calendars stay as they are."""
    office = build_office()
    said = forecast(office, manager)
    do_what_is_asked(office, START + LENGTH)
    assert list_expected(said) == list_sent(office, said)
    states = office.store.plans.load([state.pair.id for state in said.states_later], office.clock()).states
    assert list_times(said.states_later) == list_times(states)
    assert list_times(said.states_now) < list_times(said.states_later)
    office.close()


def test_it_says_so_too_in_the_middle_of_things() -> None:
    """From any day on: what was sent is not sent again, and what waits for the morning is."""
    office = build_office()
    do_what_is_asked(office, START + 3 * WEEK + DAY / 2)
    before = len(office.history("mail"))
    assert before
    said = forecast(office, DANA, 4 * WEEK)
    known = set(list_sent(office, said))
    do_what_is_asked(office, office.clock() + 4 * WEEK)
    assert list_expected(said) == sorted(set(list_sent(office, said)) - known)
    office.close()


def test_a_pair_without_a_time_gets_none_in_the_forecast() -> None:
    """Calendars are taken for free only where a time was found in them; both hear of it once more after four weeks."""
    persons = people(DANA, SAM)
    persons[DANA] = replace(persons[DANA], hours=parse_hours("Mon-Tue 09:00-17:00"))
    persons[SAM] = replace(persons[SAM], hours=parse_hours("Wed-Fri 09:00-17:00"))
    office = Office(persons=persons)
    said = forecast(office, DANA)
    assert not any(session.booked for session in said.states_later[0].sessions)
    assert {one.mail.name for one in said.mails} == {"unplaceable"}
    assert len(said.mails) == 8, "both, at once and every four weeks for a quarter"
    office.close()


def test_nothing_is_said_of_a_pair_whose_calendars_could_not_be_asked() -> None:
    office = Office()
    office.calendar.fail = Fails(lambda: Unavailable("It is down."), "free_busy")
    said = forecast(office, DANA)
    assert said.mails == () and said.states_later == said.states_now
    office.close()
