"""For whom the calendar service was queried for habits (time zone and working hours), and who is left."""

from tests.support.companies import (
    DANA,
    KIM,
    MINUTE,
    SAM,
    SERVICE,
    START,
    Office,
    pair,
    pairs,
    people,
    person,
    settings,
)

LEE, MAX = "lee@corp.example", "max@corp.example"
#: Dana manages Sam, Kim manages Lee. Max is in no pair.
PEOPLE = (DANA, SAM, KIM, LEE, MAX)
PAIRS = pairs(pair(DANA, SAM), pair(KIM, LEE))


def make_office(url: str, **rollout: object) -> Office:
    office = Office(url, people(*PEOPLE), PAIRS, office_settings=settings(url, rollout=rollout))
    office.worker.participation.update(force=True)
    return office


def test_habits_of_everybody_are_queried_when_the_rollout_leaves_out_no_pair(database_url: str) -> None:
    office = make_office(database_url)
    people_store = office.store.people
    assert people_store.list_participants_with_unqueried_habits([SERVICE]) == {*PEOPLE}
    assert people_store.list_participants_with_unqueried_habits(["google"]) == set()
    people_store.mark_habits_queried([DANA, MAX], START)
    assert people_store.list_participants_with_unqueried_habits([SERVICE]) == {SAM, KIM, LEE}
    assert people_store.list_people_with_queried_habits([SERVICE], START + MINUTE) == {DANA, MAX}
    assert people_store.list_people_with_queried_habits([SERVICE], START) == set()  # none before START
    office.close()


def test_habits_of_the_people_of_a_later_rollout_are_queried(database_url: str) -> None:
    office = make_office(database_url, managers=[DANA], start="2027-03-01")
    people_store = office.store.people
    assert people_store.list_participants_with_unqueried_habits([SERVICE]) == {DANA, SAM}
    people_store.mark_habits_queried([DANA, SAM], START)
    assert people_store.list_participants_with_unqueried_habits([SERVICE]) == set()
    assert people_store.list_people_with_unqueried_habits([SERVICE]) == {KIM, LEE, MAX}
    office.close()


def test_ended_pair_does_not_limit_the_people_whose_habits_are_queried(database_url: str) -> None:
    office = make_office(database_url, managers=[DANA])
    office.store.people.apply_import(
        {email: person(email) for email in (DANA, SAM, KIM)}, pairs(pair(DANA, SAM)), START
    )
    assert office.store.people.list_participants_with_unqueried_habits([SERVICE]) == {DANA, SAM, KIM}
    office.close()
