"""Tests of identities: every process recognizes a person by each alias, also by forms that calendar services use."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from tests.support.companies import (
    DANA,
    DAY,
    HOUR,
    KIM,
    MINUTE,
    SAM,
    START,
    WEEK,
    Office,
    contract,
    pair,
    pairs,
    people,
    span,
)
from tests.support.effects import LEASE, die_after
from worker.clock import SteppedClock
from worker.domain.model import AliasSource, Answer, EffectProgress, PairId, PersonAlias, ReviewMode
from worker.engine.identities import StoredIdentities, build_identities
from worker.engine.people_import import IMPORT_VERSION_NAME
from worker.engine.services import PeopleCache
from worker.store import tables

ALIAS = "s.okafor@corp.example"
DIRECTORY_ID = "0f1e-77"  #: Sam's id in the directory
#: An address in the form in which Exchange may name a guest.
X500 = "/o=exchangelabs/ou=exchange administrative group/cn=recipients/cn=4f1-sam"


def make_alias(alias: str = ALIAS, person: str = SAM, source: AliasSource = AliasSource.PEOPLE_FILE) -> PersonAlias:
    return PersonAlias(alias, person, source)


def import_aliases(office: Office, *aliases: PersonAlias) -> None:
    """Import a roster with the people as they are and with these aliases."""
    office.store.people.apply_import(office.persons, office.pairs, office.clock(), aliases)


# --- stored aliases ---


def test_aliases_in_the_roster_resolve_to_the_primary_address(office: Office) -> None:
    import_aliases(office, make_alias(), make_alias(DIRECTORY_ID, source=AliasSource.DIRECTORY))
    identities = StoredIdentities(office.store, office.clock)
    for form in (SAM.upper(), f"mailto:{ALIAS}", DIRECTORY_ID.upper()):
        assert identities.find_primary(form) == SAM
    assert identities.find_primary("Nobody@Corp.example") == "nobody@corp.example"
    assert identities.list_aliases(SAM) == {SAM, ALIAS, DIRECTORY_ID} and identities.list_aliases(DANA) == {DANA}
    assert identities.find_directory_id(SAM) == DIRECTORY_ID and identities.find_directory_id(DANA) is None


def test_aliases_resolve_during_the_import_before_they_are_stored(office: Office) -> None:
    identities = StoredIdentities(office.store, office.clock)
    identities.expect_aliases([make_alias(), make_alias(DIRECTORY_ID, source=AliasSource.DIRECTORY)])
    assert identities.find_primary(ALIAS) == SAM and identities.find_directory_id(SAM) == DIRECTORY_ID
    assert identities.list_aliases(SAM) == {SAM, ALIAS, DIRECTORY_ID}
    import_aliases(office, make_alias(person=DANA))
    office.clock.move_to(office.clock() + HOUR)  # by then the stored aliases are read again
    assert identities.find_primary(ALIAS) == DANA


def test_alias_removed_from_the_people_file_has_no_owner(office: Office) -> None:
    import_aliases(office, make_alias())
    import_aliases(office)
    assert office.store.aliases.find_owner(ALIAS) is None


def test_learned_alias_survives_imports_and_restarts(office: Office) -> None:
    StoredIdentities(office.store, office.clock).learn(SAM, X500.upper())
    import_aliases(office, make_alias())
    identities_after_restart = StoredIdentities(office.store, office.clock)
    assert identities_after_restart.find_primary(X500) == identities_after_restart.find_primary(ALIAS) == SAM


def test_alias_of_another_person_or_of_a_stranger_is_not_learned(office: Office) -> None:
    import_aliases(office, make_alias())
    identities = StoredIdentities(office.store, office.clock)
    identities.learn(DANA, ALIAS)
    identities.learn(DANA, SAM)
    identities.learn("stranger@else.example", "other@else.example")
    assert identities.find_primary(ALIAS) == identities.find_primary(SAM) == SAM
    assert office.store.aliases.find_owner("other@else.example") is None


def test_people_file_overrides_learned_aliases(database_url: str) -> None:
    office = Office(database_url)
    identities = StoredIdentities(office.store, office.clock)
    identities.learn(DANA, ALIAS)
    identities.learn(DANA, KIM)
    office.persons |= people(KIM)
    import_aliases(office, make_alias())
    office.clock.move_to(office.clock() + timedelta(minutes=1))
    assert identities.find_primary(ALIAS) == SAM and identities.find_primary(KIM) == KIM
    office.close()


def test_learned_alias_reaches_other_processes_within_half_a_minute(office: Office) -> None:
    clock = SteppedClock(START)
    first, second = (StoredIdentities(office.store, clock) for _ in range(2))
    assert second.find_primary(X500) == X500
    first.learn(SAM, X500)
    assert first.find_primary(X500) == SAM
    clock.move_to(START + timedelta(seconds=30))
    assert second.find_primary(X500) == SAM


def test_people_and_aliases_are_read_again_after_the_clock_is_set_back(office: Office) -> None:
    now = START
    identities, people_cache = StoredIdentities(office.store, lambda: now), PeopleCache(office.store, lambda: now)
    assert identities.find_primary(ALIAS) == ALIAS and KIM not in people_cache()
    office.persons |= people(KIM)
    import_aliases(office, make_alias())
    office.store.people.set_stored_value(IMPORT_VERSION_NAME, "another import")
    now -= HOUR  # the lambdas read this variable, so their clocks are set back
    assert identities.find_primary(ALIAS) == SAM and KIM in people_cache()


@pytest.mark.databases("sqlite", "postgresql")
def test_concurrent_threads_learn_an_alias_for_one_person_only(database_url: str) -> None:
    office = Office(database_url, people(DANA, SAM, KIM), pairs(pair(), pair(DANA, KIM)))
    identities = StoredIdentities(office.store, lambda: START)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: identities.learn((SAM, KIM)[number % 2], X500), range(16)))
        owners = set(pool.map(lambda _: identities.find_primary(X500), range(16)))
    assert len(owners) == 1 and owners <= {SAM, KIM}
    office.close()


def test_identities_without_a_database_resolve_the_listed_aliases() -> None:
    identities = build_identities([DANA, SAM], [make_alias(), make_alias(DIRECTORY_ID, source=AliasSource.DIRECTORY)])
    assert (identities.find_primary(ALIAS), identities.find_directory_id(SAM)) == (SAM, DIRECTORY_ID)


# --- aliases in calendars ---


@pytest.mark.parametrize("form", [ALIAS, X500, "sam okafor"])
def test_decline_under_an_unlisted_alias_counts_as_the_reports_decline(office: Office, form: str) -> None:
    """R-8, T-10: from the creation of the event on, the service names the guest by a form that no roster lists."""
    office.calendar.aliases[SAM] = form
    office.tick()
    session = office.session()
    placed = office.placed_event(session.key)
    assert placed is not None and placed.answers == {SAM: Answer.NEEDS_ACTION}
    office.decline(session)
    office.tick()
    assert office.deferrals() == [("declined", SAM)]


@pytest.mark.parametrize("form", [X500, "sam.adeyemi@corp.example"])
def test_alias_that_a_service_uses_later_is_learned(office: Office, form: str) -> None:
    """Exchange resolves guests after it has answered. A form is learned if only the report can be meant."""
    office.tick()
    session = office.session()
    office.calendar.aliases[SAM] = form
    office.calendar.answer(DANA, session.key, SAM, Answer.ACCEPTED)
    office.tick()
    placed = office.placed_event(session.key)
    assert placed is not None and placed.answers == {SAM: Answer.ACCEPTED}
    assert office.store.aliases.find_owner(form) == SAM


def test_guest_in_place_of_the_report_is_not_learned_as_an_alias(office: Office) -> None:
    office.tick()
    session = office.session()
    office.calendar.aliases[SAM] = "pat@corp.example"
    office.calendar.answer(DANA, session.key, SAM, Answer.ACCEPTED)
    office.tick()
    assert office.store.aliases.find_owner("pat@corp.example") is None


def test_acceptance_counts_when_a_guest_is_listed_under_several_addresses(office: Office) -> None:
    """Exchange adds the address that answered, and keeps the one that was invited."""
    import_aliases(office, make_alias(), make_alias("sam.o@corp.example"))
    start = office.clock() + 3 * HOUR
    office.calendar.add(
        DANA,
        span(start, 30),
        series="weekly",
        attendees={ALIAS: Answer.NEEDS_ACTION, SAM: Answer.ACCEPTED, "sam.o@corp.example": Answer.NEEDS_ACTION},
    )
    office.tick()
    assert [meeting.span.start for meeting in office.store.calendars.list_meetings(PairId(DANA, SAM))] == [start]


def test_1on1s_are_recognized_by_aliases(database_url: str) -> None:
    """T-9: the alias may be the invited guest or the organizer."""
    office = Office(database_url, listed_pairs=pairs(pair(review=ReviewMode.IN_1ON1)))
    import_aliases(office, make_alias())
    first = office.clock() + 3 * HOUR
    for n in range(2):
        office.calendar.add(DANA, span(first + n * WEEK, 30), series="mine", attendees=(ALIAS,))
        office.calendar.add(DANA, span(first + DAY + n * WEEK, 30), series="theirs", organizer=ALIAS)
    office.tick()
    meetings = office.store.calendars.list_meetings(PairId(DANA, SAM))
    assert [meeting.span.start - first for meeting in meetings] == [0 * DAY, DAY, WEEK, WEEK + DAY]
    office.close()


# --- changed addresses ---


#: The columns that keep a former address on purpose: what the history says of the past; the key of a mail, by which the
#: mail service knows what it has sent (`test_mail_sent_before_a_new_address_is_not_sent_again`); and the forms by which
#: a person is recognized.
COLUMNS_WITH_FORMER_ADDRESSES = {"history.fields", "message.key", "person_form.form"}


def list_columns_with_address(office: Office, address: str) -> set[str]:
    """Return the columns that hold an address.

    Of the outbox fields, only the text of an alert may hold an address, and no test that calls this causes an alert.
    """
    with office.store.database.read() as connection:
        return {
            f"{table.name}.{column}"
            for table in tables.metadata.sorted_tables
            for row in connection.execute(select(table)).mappings()
            for column, value in row.items()
            if address in str(value)
        }


def change_address(office: Office, former: str) -> tuple[str, PairId]:
    """Let the office list Dana or Sam with a new address; return it, and the id that the pair of the two has then."""
    new = former.replace("@", ".moreau@")
    office.persons = {
        new if email == former else email: replace(person, email=new) if email == former else person
        for email, person in office.persons.items()
    }
    manager, report = (new if email == former else email for email in (DANA, SAM))
    office.pairs = pairs(pair(manager, report))
    return new, PairId(manager, report)


@pytest.mark.parametrize("former", [SAM, DANA])
def test_person_with_a_new_address_stays_in_the_same_pair(database_url: str, former: str) -> None:
    """The people file lists the former address as an alias. No event is cancelled, no introduction sent again."""
    office = Office(database_url)
    office.tick()
    held = office.hold()
    office.worker.contracts.record(held.id, contract(office.clock()))
    office.run(DAY)
    session_before = office.session()
    introduction_count, cancellations = len(office.effects("introduction")), office.effects("event.cancel")
    new, pair_id = change_address(office, former)
    preview = office.store.people.preview_import(office.persons, office.pairs, [make_alias(former, new)])
    assert (preview.added_people, preview.removed_people) == ((), ())
    assert (preview.added_pairs, preview.ended_pairs) == ((), ())
    import_aliases(office, make_alias(former, new))
    assert list(office.store.people.load_all_pairs()) == [pair_id]
    session = office.store.queries.get_session(session_before.id)
    assert session is not None
    assert (session.pair, session.start, session.key) == (pair_id, session_before.start, session_before.key)
    assert office.store.content.get_latest_contracts([pair_id])[pair_id].session == held.id
    assert StoredIdentities(office.store, office.clock).find_primary(former) == new
    assert set(office.store.people.load_all_people()) == set(office.persons)
    assert len(office.effects("introduction")) == introduction_count
    assert office.effects("event.cancel") == cancellations
    placed_event = office.placed_event(session_before.key)
    assert list_columns_with_address(office, former) == COLUMNS_WITH_FORMER_ADDRESSES
    assert placed_event is not None and placed_event.ref.calendar == pair_id.manager
    assert set(placed_event.answers) == {pair_id.report}
    office.close()


@pytest.mark.parametrize("former", [SAM, DANA])
def test_mail_sent_before_a_new_address_is_not_sent_again(database_url: str, former: str) -> None:
    """The process ends after the mail service took the mail, and the address changes before the next attempt.

    The mail service is asked for the mail by its key, so the key keeps the former address.
    """
    office = Office(database_url)
    die_after(office, "send")
    [(sent_key, _)] = office.mailer.sent
    assert former in sent_key
    new, pair_id = change_address(office, former)
    import_aliases(office, make_alias(former, new))
    office.clock.advance(LEASE)
    office.run(HOUR)
    assert len(office.mails("introduction")) == 2, "one mail to each"
    [effect] = [effect for effect in office.effects("introduction") if effect.key == sent_key]
    assert (effect.progress, effect.pair) == (EffectProgress.DONE, pair_id)
    office.close()


def test_new_person_is_not_merged_with_a_person_who_has_an_alias(office: Office) -> None:
    import_aliases(office, make_alias())
    office.persons |= people(KIM)
    import_aliases(office, make_alias())
    assert {SAM, KIM} <= set(office.store.people.load_current_people())
    assert list(office.store.people.load_all_pairs()) == [PairId(DANA, SAM)]


@pytest.mark.parametrize("is_still_listed", [False, True])
def test_new_person_with_the_alias_of_another_as_primary_address_owns_it(office: Office, is_still_listed: bool) -> None:
    """The other person keeps pairs and primary address. The alias is lost, even when the roster still lists it."""
    import_aliases(office, make_alias(KIM))
    identities = StoredIdentities(office.store, office.clock)
    assert identities.find_primary(KIM) == SAM
    office.persons |= people(KIM)
    for _ in range(2):
        import_aliases(office, *([make_alias(KIM)] if is_still_listed else []))
    office.clock.advance(MINUTE)
    assert identities.find_primary(KIM) == KIM and KIM not in identities.list_aliases(SAM)
    assert office.store.aliases.find_owner(KIM) == KIM and office.store.aliases.list_names(SAM) == {SAM}
    assert {DANA, SAM, KIM} == set(office.store.people.load_current_people())
    assert list(office.store.people.load_all_pairs()) == [PairId(DANA, SAM)]
