"""Tests that the mails and sessions of a forecast become real when people do what they are asked."""

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
    """Return an office where Dana leads four reports, and Lee leads Eve in New York.

    Kim meets Dana in series, and Noah begins in 30 days.
    """
    persons = {**people(DANA, SAM, KIM, ALEX, NOAH, LEE), EVE: person(EVE, zone="America/New_York", country="US")}
    listed = pairs(
        pair(DANA, SAM),
        pair(DANA, KIM, format=Format.SERIES),
        pair(DANA, ALEX),
        pair(DANA, NOAH, start=(START + 30 * DAY).date()),
        pair(LEE, EVE),
    )
    return Office(persons=persons, listed_pairs=listed, at=at)


def forecast_manager(office: Office, manager: str, length: timedelta = LENGTH) -> Forecast:
    """Return the forecast for all pairs of a manager."""
    previews = [preview for preview in office.worker.sweep.preview() if preview.state.pair.manager == manager]
    states_and_plans = [(preview.state, preview.plan) for preview in previews]
    now = office.clock()
    return forecast_pairs(states_and_plans, now, now + length, office.settings.policy)


def run_with_contracts(office: Office, end: datetime) -> None:
    """Let time pass until `end`, and record each contract as soon as its session has been held."""
    office.tick()
    while office.clock() < end:
        sessions = office.store.queries.list_sessions()
        ends = [s.span.end for s in sessions if s.booked and s.asks_contract and s.span.end > office.clock()]
        office.run_to(min([*ends, end]))
        for session in office.store.queries.list_sessions():
            if session.state is SessionState.HELD and session.asks_contract:
                # without commitments, about which a forecast can know nothing
                office.worker.contracts.record(session.id, replace(contract(office.clock()), manager=(), report=()))


def list_sent(office: Office, forecast: Forecast) -> list[tuple[str, str, str]]:
    """Return name, reader and time of the mails that were sent to the manager or about a pair of the forecast."""
    pair_ids = {str(state.pair.id) for state in forecast.states_now}
    manager = forecast.states_now[0].manager.email
    lines = [
        line for line in office.history("mail") if str(line["pair"]) in pair_ids or line["fields"]["to"] == manager
    ]
    return sorted((line["fields"]["message"], line["fields"]["to"], f"{line['at']:%m-%d %H:%M}") for line in lines)


def list_expected(forecast: Forecast) -> list[tuple[str, str, str]]:
    """Return name, reader and time of the mails in the forecast."""
    mails = [expected.mail for expected in forecast.mails]
    return sorted((mail.name, mail.to, f"{mail.due_at:%m-%d %H:%M}") for mail in mails)


def list_times(states: Iterable[PairState]) -> set[tuple[PairId, str, datetime]]:
    """Return pair, kind and start of each session that has a time."""
    return {
        (state.pair.id, f"{session.kind} {session.topic}", session.start)
        for state in states
        for session in state.sessions
        if session.start
    }


@pytest.mark.parametrize("manager", [DANA, LEE])
def test_forecast_from_the_start_equals_what_happens(manager: str) -> None:
    """Each mail, to the minute, and each session, also reviews. The calendars do not change meanwhile."""
    office = build_office()
    forecast = forecast_manager(office, manager)
    run_with_contracts(office, START + LENGTH)
    assert list_expected(forecast) == list_sent(office, forecast)
    states = office.store.plans.load([state.pair.id for state in forecast.states_later], office.clock()).states
    assert list_times(forecast.states_later) == list_times(states)
    assert list_times(forecast.states_now) < list_times(forecast.states_later)
    office.close()


def test_forecast_from_a_later_day_equals_what_happens() -> None:
    """It contains mails that wait for the morning, and not those that were sent before."""
    office = build_office()
    run_with_contracts(office, START + 3 * WEEK + DAY / 2)  # a Monday evening
    assert office.history("mail")
    forecast = forecast_manager(office, DANA, 4 * WEEK)
    sent_before = set(list_sent(office, forecast))
    run_with_contracts(office, office.clock() + 4 * WEEK)
    assert list_expected(forecast) == sorted(set(list_sent(office, forecast)) - sent_before)
    office.close()


def test_forecast_gives_no_time_to_an_unplaceable_pair() -> None:
    """Dana and Sam share no working day. The forecast assumes no free time, and repeats the mail every four weeks."""
    persons = people(DANA, SAM)
    persons[DANA] = replace(persons[DANA], hours=parse_hours("Mon-Tue 09:00-17:00"))
    persons[SAM] = replace(persons[SAM], hours=parse_hours("Wed-Fri 09:00-17:00"))
    office = Office(persons=persons)
    forecast = forecast_manager(office, DANA)
    assert not any(session.booked for session in forecast.states_later[0].sessions)
    assert {expected.mail.name for expected in forecast.mails} == {"unplaceable"}
    assert len(forecast.mails) == 8  # four mails to each of the two: at once, and every four weeks for a quarter
    office.close()


def test_forecast_is_empty_when_free_busy_is_unknown() -> None:
    office = Office()
    office.calendar.fail = Fails(lambda: Unavailable("It is down."), "free_busy")
    forecast = forecast_manager(office, DANA)
    assert forecast.mails == () and forecast.states_later == forecast.states_now
    office.close()
