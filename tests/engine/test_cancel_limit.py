"""More cancellations at once than a company ever means are a mistake until a person says otherwise."""

from dataclasses import replace

from tests.support.companies import DAY, HOUR, START, Office, company, settings, texts
from worker.domain.model import SessionState, ShowAs, Span


def away_for_everybody(office: Office) -> None:
    """A holiday of a whole company: every session booked for that month is in the way."""
    for who in office.persons:
        office.calendar.add(who, Span(START, START + 300 * DAY), show=ShowAs.AWAY, all_day=True)
    office.run(DAY)


def test_more_cancels_at_once_than_allowed_are_refused_and_told_once(database_url: str) -> None:
    known = settings(database_url, rules={"max_cancels": 5})
    office = Office(database_url, *company(8), known=known)
    office.tick()
    before = [office.events(f"m{n}@corp.example") for n in range(2)]
    away_for_everybody(office)
    assert [office.events(f"m{n}@corp.example") for n in range(2)] == before
    assert office.messages("event.cancel") == []
    assert {s.state for s in office.store.queries.list_sessions()} == {SessionState.BOOKED}, "nothing of it is written"
    alerts = office.mails("operator_alert")
    assert {"max_cancels" in texts([alert]) for alert in alerts} == {True}
    assert len(alerts) == len({str(alert["Date"])[:16] for alert in alerts}), "once a day"
    office.close()


def test_cancels_within_the_limit_are_carried_out(database_url: str) -> None:
    """So that the guard is not what keeps them from happening."""
    office = Office(database_url, *company(8), known=settings(database_url, rules={"max_cancels": 8}))
    office.tick()
    away_for_everybody(office)
    assert len(office.messages("event.cancel")) == 8
    assert not office.mails("operator_alert")
    assert len(office.messages("unplaceable")) == 16, "both of each pair are told why"
    office.close()


def test_a_refused_sweep_is_tried_again_and_carried_out_when_it_is_allowed(database_url: str) -> None:
    office = Office(database_url, *company(8), known=settings(database_url, rules={"max_cancels": 5}))
    office.tick()
    office.pairs = {pair_id: replace(one, paused=True) for pair_id, one in office.pairs.items()}
    office.apply()  # by the people file, whose mistakes the guard is for
    office.run(3 * HOUR)
    assert len(office.messages("event.cancel")) == 0
    office.settings = settings(database_url, rules={"max_cancels": 50})
    office.worker = office.add_worker("allowed")
    office.run(2 * HOUR)
    assert sum(len(office.events(f"m{n}@corp.example")) for n in range(2)) == 0
    office.close()


def test_what_the_operator_pauses_on_purpose_is_no_mistake(database_url: str) -> None:
    office = Office(database_url, *company(8), known=settings(database_url, rules={"max_cancels": 5}))
    office.tick()
    for pair_id in office.pairs:
        office.store.people.set_paused(pair_id, is_paused=True, now=office.clock())
    office.run(HOUR)
    assert len(office.messages("event.cancel")) == 8
    assert not office.mails("operator_alert")
    office.close()
