"""Tests of the limit of cancellations in a sweep: more are taken for a mistake, until the operator allows them."""

from dataclasses import replace

from tests.support.companies import DAY, HOUR, START, Office, company, settings, texts
from worker.domain.model import SessionState, ShowAs, Span

#: The managers of a company of eight pairs.
MANAGERS = ("m0@corp.example", "m1@corp.example")


def add_absence_of_everybody(office: Office) -> None:
    """Make all people absent for 300 days, so that every booked session has to be cancelled, and let a day pass."""
    for email in office.persons:
        office.calendar.add(email, Span(START, START + 300 * DAY), show=ShowAs.AWAY, all_day=True)
    office.run(DAY)


def test_cancellations_above_the_limit_are_refused_with_one_alert_a_day(database_url: str) -> None:
    office = Office(database_url, *company(8), office_settings=settings(database_url, rules={"max_cancels": 5}))
    office.tick()
    events_before = [office.events(manager) for manager in MANAGERS]
    add_absence_of_everybody(office)
    assert [office.events(manager) for manager in MANAGERS] == events_before
    assert office.effects("event.cancel") == []
    assert {s.state for s in office.store.queries.list_sessions()} == {SessionState.BOOKED}, (
        "a plan of the sweep was written"
    )
    alerts = office.mails("operator_alert")
    assert {"max_cancels" in texts([alert]) for alert in alerts} == {True}
    assert len(alerts) == len({alert["Date"].datetime.date() for alert in alerts}), "two alerts are of one day"
    office.close()


def test_cancellations_within_the_limit_are_carried_out(database_url: str) -> None:
    """This shows that in the test above, the limit is what prevents the cancellations."""
    office = Office(database_url, *company(8), office_settings=settings(database_url, rules={"max_cancels": 8}))
    office.tick()
    add_absence_of_everybody(office)
    assert len(office.effects("event.cancel")) == 8
    assert not office.mails("operator_alert")
    assert len(office.effects("unplaceable")) == 16  # both people of each pair get the reason
    office.close()


def test_refused_sweep_is_repeated_and_carried_out_under_a_higher_limit(database_url: str) -> None:
    office = Office(database_url, *company(8), office_settings=settings(database_url, rules={"max_cancels": 5}))
    office.tick()
    office.pairs = {pair_id: replace(pair, paused=True) for pair_id, pair in office.pairs.items()}
    office.apply()  # as an import, since the limit guards against mistakes in the people file
    office.run(3 * HOUR)
    assert len(office.effects("event.cancel")) == 0
    office.settings = settings(database_url, rules={"max_cancels": 50})
    office.worker = office.add_worker("allowed")
    office.run(2 * HOUR)
    assert [office.events(manager) for manager in MANAGERS] == [[], []]
    office.close()


def test_limit_does_not_apply_to_pairs_that_the_operator_pauses(database_url: str) -> None:
    office = Office(database_url, *company(8), office_settings=settings(database_url, rules={"max_cancels": 5}))
    office.tick()
    for pair_id in office.pairs:
        office.store.people.set_paused(pair_id, is_paused=True, now=office.clock())
    office.run(HOUR)
    assert len(office.effects("event.cancel")) == 8
    assert not office.mails("operator_alert")
    office.close()
