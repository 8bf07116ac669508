"""Whose calendar was asked for time zone and working hours: the database knows, and tells it at once."""

from tests.support.companies import DANA, KIM, MINUTE, SAM, START, Office, pair, pairs, people, person, settings

LEE, MAX = "lee@corp.example", "max@corp.example"
#: Dana manages Sam, Kim manages Lee. Max is in no pair.
PEOPLE = (DANA, SAM, KIM, LEE, MAX)
PAIRS = pairs(pair(DANA, SAM), pair(KIM, LEE))


def make_office(url: str, **rollout: object) -> Office:
    office = Office(url, people(*PEOPLE), PAIRS, known=settings(url, rollout=rollout))
    office.worker.participation.update(force=True)
    return office


def test_everybody_takes_part_where_the_rollout_leaves_out_no_pair(database_url: str) -> None:
    office = make_office(database_url)
    rows = office.store.people
    assert rows.list_participants_with_unqueried_habits(["memory"]) == {*PEOPLE}
    assert rows.list_participants_with_unqueried_habits(["google"]) == set()
    rows.mark_habits_queried([DANA, MAX], START)
    assert rows.list_participants_with_unqueried_habits(["memory"]) == {SAM, KIM, LEE}
    assert rows.list_people_with_queried_habits(["memory"], START + MINUTE) == {DANA, MAX}
    assert rows.list_people_with_queried_habits(["memory"], START) == set()
    office.close()


def test_of_a_rollout_those_in_its_pairs_take_part_though_it_begins_later(database_url: str) -> None:
    office = make_office(database_url, managers=[DANA], start="2027-03-01")
    rows = office.store.people
    assert rows.list_participants_with_unqueried_habits(["memory"]) == {DANA, SAM}
    rows.mark_habits_queried([DANA, SAM], START)
    assert rows.list_participants_with_unqueried_habits(["memory"]) == set()
    assert rows.list_people_with_unqueried_habits(["memory"]) == {KIM, LEE, MAX}
    office.close()


def test_who_left_is_not_asked_and_an_ended_pair_leaves_nobody_out(database_url: str) -> None:
    office = make_office(database_url, managers=[DANA])
    office.store.people.apply_import({who: person(who) for who in (DANA, SAM, KIM)}, pairs(pair(DANA, SAM)), START)
    assert office.store.people.list_participants_with_unqueried_habits(["memory"]) == {DANA, SAM, KIM}
    office.close()
