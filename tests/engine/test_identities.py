"""Who somebody is: one person by any of their addresses, in every process, whatever a calendar service calls them."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from tests.support.companies import DANA, DAY, HOUR, KIM, SAM, START, WEEK, Office, contract, pair, pairs, people, span
from worker.clock import SteppedClock
from worker.domain.model import AliasSource, Answer, PairId, PersonAlias, ReviewMode
from worker.engine.identities import StoredIdentities, build_identities
from worker.engine.people_import import IMPORT_VERSION_NAME
from worker.engine.services import PeopleCache
from worker.store import tables

ALIAS = "s.okafor@corp.example"
X500 = "/o=exchangelabs/ou=exchange administrative group/cn=recipients/cn=4f1-sam"


def listed(form: str = ALIAS, person: str = SAM, source: AliasSource = AliasSource.PEOPLE_FILE) -> PersonAlias:
    return PersonAlias(form, person, source)


def apply(office: Office, *forms: PersonAlias) -> None:
    office.store.people.apply_import(office.persons, office.pairs, office.clock(), forms)


def deferrals(office: Office) -> list[tuple[str, str]]:
    states = [line["fields"] for line in office.history("session")]
    return [(one["cause"], one.get("who", "")) for one in states if one["state"] == "deferred"]


# --- as they are kept ---


def test_listed_forms_lead_to_the_primary_address(office: Office) -> None:
    apply(office, listed(), listed("0f1e-77", source=AliasSource.DIRECTORY))
    known = StoredIdentities(office.store, office.clock)
    assert [known.find_primary(form) for form in (SAM.upper(), f"mailto:{ALIAS}", "0F1E-77")] == [SAM] * 3
    assert known.find_primary("Nobody@Corp.example") == "nobody@corp.example"
    assert known.list_aliases(SAM) == {SAM, ALIAS, "0f1e-77"} and known.list_aliases(DANA) == {DANA}
    assert known.find_directory_id(SAM) == "0f1e-77" and known.find_directory_id(DANA) is None


def test_forms_of_people_who_are_being_imported_are_known_before_the_database_has_them(office: Office) -> None:
    known = StoredIdentities(office.store, office.clock)
    known.expect_aliases([listed(), listed("0f1e-77", source=AliasSource.DIRECTORY)])
    assert known.find_primary(ALIAS) == SAM and known.find_directory_id(SAM) == "0f1e-77"
    assert known.list_aliases(SAM) == {SAM, ALIAS, "0f1e-77"}
    apply(office, listed(person=DANA))
    office.clock.move_to(office.clock() + HOUR)
    assert known.find_primary(ALIAS) == DANA


def test_a_form_that_is_taken_out_of_the_people_file_names_nobody(office: Office) -> None:
    apply(office, listed())
    apply(office)
    assert office.store.aliases.find_owner(ALIAS) is None


def test_learned_forms_outlive_the_people_file_and_the_process(office: Office) -> None:
    StoredIdentities(office.store, office.clock).learn(SAM, X500.upper())
    apply(office, listed())
    again = StoredIdentities(office.store, office.clock)
    assert again.find_primary(X500) == again.find_primary(ALIAS) == SAM


def test_nobody_learns_a_form_of_somebody_else(office: Office) -> None:
    apply(office, listed())
    known = StoredIdentities(office.store, office.clock)
    known.learn(DANA, ALIAS)
    known.learn(DANA, SAM)
    known.learn("stranger@else.example", "other@else.example")
    assert known.find_primary(ALIAS) == known.find_primary(SAM) == SAM
    assert office.store.aliases.find_owner("other@else.example") is None


def test_the_people_file_takes_back_what_was_learned_of_somebody_else(database_url: str) -> None:
    office = Office(database_url)
    known = StoredIdentities(office.store, office.clock)
    known.learn(DANA, ALIAS)
    known.learn(DANA, KIM)
    office.persons |= people(KIM)
    apply(office, listed())
    office.clock.move_to(office.clock() + timedelta(minutes=1))
    assert known.find_primary(ALIAS) == SAM and known.find_primary(KIM) == KIM
    office.close()


def test_what_one_process_learned_another_knows_within_half_a_minute(office: Office) -> None:
    clock = SteppedClock(START)
    first, second = (StoredIdentities(office.store, clock) for _ in range(2))
    assert second.find_primary(X500) == X500
    first.learn(SAM, X500)
    assert first.find_primary(X500) == SAM
    clock.move_to(START + timedelta(seconds=30))
    assert second.find_primary(X500) == SAM


def test_a_clock_that_is_put_back_keeps_no_outdated_people_and_aliases(office: Office) -> None:
    now = START
    known, people_cache = StoredIdentities(office.store, lambda: now), PeopleCache(office.store, lambda: now)
    assert known.find_primary(ALIAS) == ALIAS and KIM not in people_cache()
    office.persons |= people(KIM)
    apply(office, listed())
    office.store.people.set_stored_value(IMPORT_VERSION_NAME, "another import")
    now -= HOUR
    assert known.find_primary(ALIAS) == SAM and KIM in people_cache()


@pytest.mark.databases("sqlite", "postgresql")
def test_many_threads_learn_one_form_for_one_person(database_url: str) -> None:
    office = Office(database_url, people(DANA, SAM, KIM), pairs(pair(), pair(DANA, KIM)))
    known = StoredIdentities(office.store, lambda: START)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: known.learn((SAM, KIM)[number % 2], X500), range(16)))
        owners = set(pool.map(lambda _: known.find_primary(X500), range(16)))
    assert len(owners) == 1 and owners <= {SAM, KIM}
    office.close()


def test_the_people_file_alone_gives_the_same_answers() -> None:
    known = build_identities([DANA, SAM], [listed(), listed("0f1e-77", source=AliasSource.DIRECTORY)])
    assert (known.find_primary(ALIAS), known.find_directory_id(SAM)) == (SAM, "0f1e-77")


# --- as they are used ---


@pytest.mark.parametrize("form", [ALIAS, X500, "sam okafor"])
def test_a_decline_under_another_form_is_the_reports_decline(office: Office, form: str) -> None:
    """R-8, T-10: the service names the guest its own way from the first moment on, and nobody listed that form."""
    office.calendar.aliases[SAM] = form
    office.tick()
    session = office.session()
    placed = office.placed(session.key)
    assert placed is not None and placed.answers == {SAM: Answer.NEEDS_ACTION}
    office.decline(session)
    office.tick()
    assert deferrals(office) == [("declined", SAM)]


@pytest.mark.parametrize("form", [X500, "sam.adeyemi@corp.example"])
def test_a_form_that_a_service_comes_up_with_later_is_learned(office: Office, form: str) -> None:
    """Exchange looks guests up after it has answered. What can only be the report is kept."""
    office.tick()
    session = office.session()
    office.calendar.aliases[SAM] = form
    office.calendar.answer(DANA, session.key, SAM, Answer.ACCEPTED)
    office.tick()
    placed = office.placed(session.key)
    assert placed is not None and placed.answers == {SAM: Answer.ACCEPTED}
    assert office.store.aliases.find_owner(form) == SAM


def test_somebody_who_took_the_reports_place_is_not_taken_for_the_report(office: Office) -> None:
    office.tick()
    session = office.session()
    office.calendar.aliases[SAM] = "pat@corp.example"
    office.calendar.answer(DANA, session.key, SAM, Answer.ACCEPTED)
    office.tick()
    assert office.store.aliases.find_owner("pat@corp.example") is None


def test_an_answer_counts_when_one_guest_is_listed_twice(office: Office) -> None:
    """Exchange adds the address that answered beside the one that was invited."""
    apply(office, listed(), listed("sam.o@corp.example"))
    day = office.clock() + 3 * HOUR
    office.calendar.add(
        DANA,
        span(day, 30),
        series="weekly",
        attendees={ALIAS: Answer.NEEDS_ACTION, SAM: Answer.ACCEPTED, "sam.o@corp.example": Answer.NEEDS_ACTION},
    )
    office.tick()
    assert [one.span.start for one in office.store.calendars.list_meetings(PairId(DANA, SAM))] == [day]


def test_1on1s_are_known_by_any_address(database_url: str) -> None:
    """T-9: with the report invited by an alias, and where the report's alias is the organizer."""
    office = Office(database_url, listed=pairs(pair(review=ReviewMode.IN_1ON1)))
    apply(office, listed())
    day = office.clock() + 3 * HOUR
    for n in range(2):
        office.calendar.add(DANA, span(day + n * WEEK, 30), series="mine", attendees=(ALIAS,))
        office.calendar.add(DANA, span(day + DAY + n * WEEK, 30), series="theirs", organizer=ALIAS)
    office.tick()
    starts = [one.span.start - day for one in office.store.calendars.list_meetings(PairId(DANA, SAM))]
    assert starts == [0 * DAY, DAY, WEEK, WEEK + DAY]
    office.close()


# --- a change of name ---


def named_still(office: Office, address: str) -> set[str]:
    """The columns in which an address stands."""
    with office.store.database.read() as connection:
        return {
            f"{table.name}.{column}"
            for table in tables.metadata.sorted_tables
            for row in connection.execute(select(table)).mappings()
            for column, value in row.items()
            if address in str(value)
        } - {"history.fields", "message.key", "person_form.form", "message.fields"}


@pytest.mark.parametrize("who", [SAM, DANA])
def test_whoever_takes_another_name_is_the_same_person_in_the_same_pair(database_url: str, who: str) -> None:
    """The former primary address is listed as an alias; nothing is cancelled, booked or introduced anew."""
    office = Office(database_url)
    office.tick()
    held = office.hold()
    office.worker.contracts.record(held.id, contract(office.clock()))
    office.run(DAY)
    before, mails, events = office.session(), len(office.messages("introduction")), office.messages("event.cancel")
    new = who.replace("@", ".moreau@")
    office.persons = {replace(one, email=new).email if e == who else e: one for e, one in office.persons.items()}
    office.persons[new] = replace(office.persons[new], email=new)
    manager, report = (new if one == who else one for one in (DANA, SAM))
    pair_id = PairId(manager, report)
    office.pairs = pairs(pair(manager, report))
    difference = office.store.people.preview_import(office.persons, office.pairs, [listed(who, new)])
    assert (difference.added_people, difference.removed_people, difference.added_pairs, difference.ended_pairs) == (
        (),
        (),
        (),
        (),
    )
    apply(office, listed(who, new))
    assert [one.id for one in office.store.people.load_all_pairs().values()] == [pair_id]
    again = office.store.queries.get_session(before.id)
    assert again is not None and (again.pair, again.start, again.key) == (pair_id, before.start, before.key)
    assert office.store.content.get_latest_contracts([pair_id])[pair_id].session == held.id
    assert StoredIdentities(office.store, office.clock).find_primary(who) == new
    assert set(office.store.people.load_all_people()) == set(office.persons)
    assert len(office.messages("introduction")) == mails and office.messages("event.cancel") == events
    placed = office.placed(before.key)
    assert named_still(office, who) == set(), "only what is told of the past names the person as then"
    assert placed is not None and placed.ref.calendar == manager and set(placed.answers) <= {report}
    office.close()


def test_two_people_stay_two_people(office: Office) -> None:
    """Somebody new whose alias is another's primary address that is still in the file takes nobody's place."""
    apply(office, listed())
    office.persons |= people(KIM)
    apply(office, listed())
    assert {SAM, KIM} <= set(office.store.people.load_current_people())
    assert list(office.store.people.load_all_pairs()) == [PairId(DANA, SAM)]
