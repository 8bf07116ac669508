"""For whom the calendar service was queried for habits (time zone and working hours), and who is left."""

from tests.support.companies import DANA, KIM, MINUTE, SAM, START, Office, pair, pairs, people, person, settings

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
    rows = office.store.people
    assert rows.list_participants_with_unqueried_habits(["memory"]) == {*PEOPLE}
    assert rows.list_participants_with_unqueried_habits(["google"]) == set()
    rows.mark_habits_queried([DANA, MAX], START)
    assert rows.list_participants_with_unqueried_habits(["memory"]) == {SAM, KIM, LEE}
    assert rows.list_people_with_queried_habits(["memory"], START + MINUTE) == {DANA, MAX}
    assert rows.list_people_with_queried_habits(["memory"], START) == set()
    office.close()


def test_habits_of_the_people_of_a_later_rollout_are_queried(database_url: str) -> None:
    office = make_office(database_url, managers=[DANA], start="2027-03-01")
    rows = office.store.people
    assert rows.list_participants_with_unqueried_habits(["memory"]) == {DANA, SAM}
    rows.mark_habits_queried([DANA, SAM], START)
    assert rows.list_participants_with_unqueried_habits(["memory"]) == set()
    assert rows.list_people_with_unqueried_habits(["memory"]) == {KIM, LEE, MAX}
    office.close()


def test_ended_pair_does_not_limit_the_people_whose_habits_are_queried(database_url: str) -> None:
    office = make_office(database_url, managers=[DANA])
    office.store.people.apply_import(
        {email: person(email) for email in (DANA, SAM, KIM)}, pairs(pair(DANA, SAM)), START
    )
    assert office.store.people.list_participants_with_unqueried_habits(["memory"]) == {DANA, SAM, KIM}
    office.close()
