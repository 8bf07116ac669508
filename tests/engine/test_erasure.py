"""Tests of erasure: contents of a person are erased, and a person who has left is forgotten.

After that, no row of the database holds the person's addresses, name or words.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from tests.support.companies import (
    DANA,
    DAY,
    HOUR,
    KEY,
    KIM,
    OPERATOR,
    SAM,
    START,
    Fails,
    Office,
    contract,
    new_store,
    pair,
    pairs,
    people,
    person,
    settings,
    texts,
)
from worker.domain.model import (
    AliasSource,
    CommitmentStanding,
    ContentAccess,
    Owner,
    PairId,
    PersonAlias,
    Span,
    Trigger,
)
from worker.engine.contracts import OnBehalf
from worker.errors import Refused, Unavailable
from worker.seal import Seal
from worker.settings.rollout_sections import RetentionSettings
from worker.store import tables
from worker.store.content import SEALED_COLUMNS
from worker.store.erasure import CONTENT_COLUMNS

#: An address that ends with Sam's address. It must stay when Sam is forgotten.
ADSAM = "adsam@corp.example"
SAM_PAIR = PairId(DANA, SAM)
#: A text for each place where people write content. No other row holds these words.
WORDS = {
    "contract": "Introduce Sam to the Zanzibar office",
    "note": "He wants to lead the Reykjavik project",
    "reason": "He spoke of the Ouagadougou offer",
    "learning": "I learn to keep Tierra del Fuego promises",
    "question": "What do people in Vladivostok see in me?",
    "answer": "You would be good in Antananarivo",
    "draft": "A draft about Kilimanjaro",
    "deferral": "I have to be in Quetzaltenango",
    "access": "Sam telephoned from Addis Ababa",
}
#: Sam's alias, directory id and name. None of them is a part of another word in the database.
ALIAS, DIRECTORY_ID, NAME = "s.okafor@corp.example", "a1b2c3d4", "Sam Okafor"


def make_office(url: str) -> Office:
    """Return an office where Dana leads Sam and Kim, and Kim leads ADSAM."""
    persons = people(DANA, KIM, ADSAM) | {SAM: person(SAM, name=NAME, group="Sales")}
    listed = pairs(pair(DANA, SAM), pair(DANA, KIM), pair(KIM, ADSAM))
    office = Office(url, persons, listed, office_settings=settings(url, base_url="https://longarc.corp.example"))
    aliases = [PersonAlias(ALIAS, SAM, AliasSource.PEOPLE_FILE), PersonAlias(DIRECTORY_ID, SAM, AliasSource.DIRECTORY)]
    office.store.people.apply_import(office.persons, office.pairs, office.clock(), aliases)
    office.run(HOUR)
    return office


def write_all_contents(office: Office) -> None:
    """Let the program store every kind of content about Sam. From then on, Sam's calendar is full."""
    worker, store = office.worker, office.store
    session = office.session(pair_id=SAM_PAIR)
    office.decline(session)
    office.run(DAY)
    worker.actions.explain_deferral(session.id, WORDS["deferral"])
    office.calendar.add(SAM, Span(office.clock(), START + 400 * DAY))
    worker.actions.record_held(session.id, office.clock() - HOUR)
    worker.contracts.record(session.id, contract(office.clock(), WORDS["contract"]))
    held = store.queries.get_session(session.id)
    assert held is not None
    with store.database.write() as connection:
        store.notes.save(connection, held, Owner.MANAGER, [WORDS["note"]], office.clock())
    store.learnings.write([SAM_PAIR], WORDS["learning"], office.clock())
    talk = worker.actions.request_ad_hoc_session(SAM_PAIR, Trigger.DOUBT, WORDS["reason"])
    store.content.save_contract_draft(talk, {"question": WORDS["draft"]}, office.clock())
    for asker, recipient in ((SAM, KIM), (ADSAM, ALIAS)):
        voice = worker.third_voices.ask(office.persons[asker], recipient, WORDS["question"])
        assert worker.third_voices.answer(voice.id, WORDS["answer"])
    worker.contracts.record_access(SAM_PAIR, OnBehalf(ContentAccess.SHOW_CONTRACT, SAM, WORDS["access"]))
    store.people.revoke_links(SAM, office.clock())
    store.outbox.alert("test", f"The calendar of {SAM} can't be read.", office.clock(), OPERATOR)
    office.run(8 * DAY)


def remove_sam_from_roster(office: Office) -> None:
    """Import a roster without Sam, and let two days pass in which the events are taken off calendars."""
    del office.persons[SAM]
    del office.pairs[SAM_PAIR]
    office.apply()
    office.run(2 * DAY)


def find_columns_with(office: Office, *needles: str) -> set[str]:
    """Return the columns that hold one of these texts, also in sealed values.

    A needle counts only as a whole address or name, not as a part of a longer one.
    """
    seal = Seal([KEY])
    pattern = re.compile("|".join(rf"(?<![\w.+-]){re.escape(needle)}(?![\w-])" for needle in needles), re.IGNORECASE)
    columns = set()
    with office.store.database.read() as connection:
        for table in tables.metadata.sorted_tables:
            for row in connection.execute(select(table)).mappings():
                for name, value in row.items():
                    text = seal.unseal(value) if isinstance(value, bytes) else str(value)
                    if pattern.search(text):
                        columns.add(f"{table.name}.{name}")
    return columns


@pytest.fixture(name="office")
def create_office_in_memory() -> Iterator[Office]:
    office = make_office("sqlite://")
    write_all_contents(office)
    yield office
    office.close()


@pytest.fixture(name="stored_office")
def create_stored_office(database_url: str) -> Iterator[Office]:
    office = make_office(database_url)
    write_all_contents(office)
    yield office
    office.close()


def test_database_holds_all_texts_and_names_before_erasure(office: Office) -> None:
    """Without this, the tests of erasure could pass because a text was never stored."""
    # a round of the pulse is not written here, and the last two columns need not hold any of these texts
    sealed = {f"{column.table.name}.{column.name}" for column in SEALED_COLUMNS} - {"pulse_round.sealed"}
    assert sealed - find_columns_with(office, *WORDS.values(), SAM, NAME) <= {"session.sealed_plan", "handover.sealed"}
    columns = find_columns_with(office, SAM, ALIAS, DIRECTORY_ID, NAME)
    assert {"person.email", "person.name", "person_form.form", "pair.id", "deferral.who"} <= columns
    assert {"message.key", "message.to", "message.fields", "history.fields", "history.reason"} <= columns
    assert {"revocation.person", "event.answers", "session.unplaceable"} <= columns


def test_forgetting_removes_a_departed_person_from_every_row(stored_office: Office) -> None:
    remove_sam_from_roster(stored_office)
    sessions_of_others = stored_office.store.queries.list_sessions(PairId(KIM, ADSAM))
    result = stored_office.worker.erasure.forget(SAM)
    assert result.pseudonym is not None
    assert find_columns_with(stored_office, SAM, ALIAS, DIRECTORY_ID, NAME, *WORDS.values()) == set()
    all_pairs = stored_office.store.people.load_all_pairs().values()
    (ended_pair,) = [pair for pair in all_pairs if pair.manager == DANA and pair.ended]
    assert ended_pair.id == PairId(DANA, result.pseudonym.email)  # the pair and its dates stay, under a pseudonym
    assert ended_pair.erased_at == stored_office.clock()
    assert {s.held_at is not None for s in stored_office.store.queries.list_sessions(ended_pair.id)} == {True, False}
    assert stored_office.store.queries.list_sessions(PairId(KIM, ADSAM)) == sessions_of_others
    assert find_columns_with(stored_office, ADSAM) >= {
        "person.email",
        "pair.id",
        "message.to",
        "history.pair",
    }
    stored_office.run(10 * DAY)
    assert not stored_office.mails("operator_alert")[1:], "erasure caused an alert after the one of the fixture"


@pytest.mark.databases("sqlite", "postgresql")  # the two databases compare letter case differently
def test_forgetting_keeps_people_whose_addresses_contain_the_forgotten_one(database_url: str) -> None:
    """The forgotten address is replaced in any letter case, within quotation marks and at the end of a sentence."""
    others = [f"{SAM}.uk", f"o'{SAM}", f"ad-{SAM}", f"ad.{SAM}"]
    office = Office(database_url, people(DANA, SAM, *others), pairs(pair(), *(pair(DANA, other) for other in others)))
    office.run(HOUR)
    text = f"'{SAM}' and {SAM.upper()} were refused; so was {SAM}."
    office.store.outbox.alert("test", text, office.clock(), OPERATOR)
    office.store.outbox.alert(
        "again", f"{SAM.upper()} was refused once more: tokens/{SAM}.sealed", office.clock(), OPERATOR
    )
    remove_sam_from_roster(office)
    pseudonym = office.worker.erasure.forget(SAM).pseudonym
    assert pseudonym is not None
    assert set(others) < set(office.store.people.load_all_people())
    assert {pair_id.report for pair_id in office.store.people.load_all_pairs()} == {*others, pseudonym.email}
    name = pseudonym.email
    outbox_text = " ".join(str(row["fields"]) for row in office.rows(select(tables.outbox)))
    assert f"'{name}' and {name} were refused; so was {name}." in outbox_text
    assert f"{name} was refused once more: tokens/{name}.sealed" in outbox_text
    office.close()


def test_person_still_in_the_roster_is_not_forgotten(office: Office) -> None:
    """The next reading of the roster would add the person again."""
    with pytest.raises(Refused, match="still in the roster"):
        office.worker.erasure.forget(SAM)
    assert find_columns_with(office, WORDS["contract"])


def test_contents_of_a_current_person_are_erased_and_the_pair_continues(stored_office: Office) -> None:
    # the keys of blocks begin with "p"
    block_keys = {event.key for event in stored_office.events() if event.key and event.key.startswith("p")}
    assert block_keys, "no private event holds the text of the commitment"
    stored_office.worker.erasure.erase_contents(SAM)
    assert find_columns_with(stored_office, *WORDS.values()) == set()
    assert not block_keys & {event.key for event in stored_office.events()}
    assert {c.standing for c in stored_office.store.queries.list_commitments(SAM_PAIR)} == {CommitmentStanding.LET_GO}
    assert stored_office.store.people.load_all_pairs()[SAM_PAIR].is_active
    sent_count = len(stored_office.mailer.sent)
    stored_office.run(20 * DAY)
    assert not [mail for mail in stored_office.mails("operator_alert") if "failed" in texts([mail])]
    later_mails = [mail for key, mail in stored_office.mailer.sent[sent_count:]]
    assert later_mails, "the pair gets no mails any more"
    assert not any(words in texts(later_mails) for words in WORDS.values())


@pytest.mark.parametrize(
    ("has_contents", "problem"),
    [
        (False, f"1 event is still on {DANA}"),
        (True, f"private events with the texts of commitments are still on the calendar of {DANA}"),
    ],
)
def test_forgetting_is_refused_while_events_remain_on_calendars(has_contents: bool, problem: str) -> None:
    """After the person is forgotten, nothing could take these events off."""
    office = make_office("sqlite://")
    if has_contents:
        write_all_contents(office)
    office.calendar.fail = Fails(lambda: Unavailable("Out of order."), "cancel")
    remove_sam_from_roster(office)
    with pytest.raises(Refused, match=problem):
        office.worker.erasure.forget(SAM)
    assert find_columns_with(office, SAM)
    office.worker.erasure.forget(SAM, leaves_events=True)
    assert find_columns_with(office, SAM, ALIAS, DIRECTORY_ID, NAME, *WORDS.values()) == set()
    office.close()


def test_forgetting_that_leaves_events_erases_all_contents(office: Office) -> None:
    """No earlier attempt was refused, which would have erased the contents already."""
    office.calendar.fail = Fails(lambda: Unavailable("Out of order."), "cancel")
    remove_sam_from_roster(office)
    assert find_columns_with(office, *WORDS.values())
    office.worker.erasure.forget(SAM, leaves_events=True)
    assert find_columns_with(office, SAM, ALIAS, DIRECTORY_ID, NAME, *WORDS.values()) == set()


def test_forgetting_a_manager_erases_the_contents_of_all_their_pairs(office: Office) -> None:
    remove_sam_from_roster(office)
    del office.persons[DANA]
    office.pairs = pairs(pair(KIM, ADSAM))
    office.apply()
    office.run(2 * DAY)
    preview = office.worker.erasure.preview(DANA)
    assert preview.other_people == (KIM, SAM)
    assert preview.value_counts["contract"] >= 1
    office.worker.erasure.forget(DANA)
    assert find_columns_with(office, DANA, WORDS["contract"], WORDS["note"]) == set()


def test_database_files_hold_no_name_of_a_forgotten_person(tmp_path: Path) -> None:
    """Without compaction, deleted rows stay in free pages of the SQLite file and in its journal."""
    url = f"sqlite:///{tmp_path / 'longarc.db'}"
    store = new_store(url)
    store.migrate()
    store.close()
    office = make_office(url)
    write_all_contents(office)
    remove_sam_from_roster(office)
    bytes_before = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert NAME.encode() in bytes_before
    assert office.worker.erasure.forget(SAM).is_compacted
    office.close()
    bytes_after = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    for name in (NAME, ALIAS, DIRECTORY_ID, f">{SAM}"):
        assert name.encode() not in bytes_after


def test_compaction_reports_failure_while_another_connection_reads(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'longarc.db'}"
    store, reading_store = new_store(url), new_store(url)
    store.migrate()
    with reading_store.database.read() as connection:
        connection.execute(select(tables.person)).all()
        assert not store.database.compact()
    assert store.database.compact()
    store.close()
    reading_store.close()


def test_erasure_covers_exactly_the_sealed_columns_of_pairs() -> None:
    """A new sealed column counts as content until the product excepts it, so this list fails until somebody decides."""
    names = {f"{column.table.name}.{column.name}" for column in CONTENT_COLUMNS}
    assert names == {
        "contract.sealed", "sketch.sealed", "commitment.sealed", "session.sealed", "deferral.sealed", "learning.sealed",
        "note.sealed", "access.sealed", "handover.sealed",
    }  # fmt: skip


# --- retention ---


def make_retention_settings(length: str) -> RetentionSettings:
    return RetentionSettings.model_validate({"contents_after": length})


# 8 quarters are about 730 days
@pytest.mark.parametrize(("days", "is_erased"), [(725, False), (735, True)])
def test_contents_of_ended_pairs_are_erased_after_the_retention(days: int, is_erased: bool) -> None:
    office = make_office("sqlite://")
    office.settings = office.settings.model_copy(update={"retention": make_retention_settings("8 quarters")})
    office.worker = office.add_worker("again")
    write_all_contents(office)
    remove_sam_from_roster(office)
    ended_at = office.clock()
    office.clock.move_to(ended_at + days * DAY)
    office.worker.erasure.run()
    columns = find_columns_with(office, WORDS["contract"], WORDS["reason"], WORDS["note"], WORDS["deferral"])
    assert (columns == set()) is is_erased
    assert (office.store.people.load_all_pairs()[SAM_PAIR].erased_at is not None) is is_erased
    assert find_columns_with(office, SAM), "the address is gone before the person is forgotten"
    office.close()


def test_contents_stay_by_default_and_while_the_pair_continues() -> None:
    """Without a configured retention nothing is erased. With one, contents of a pair that continues are not erased."""
    office = make_office("sqlite://")
    write_all_contents(office)
    remove_sam_from_roster(office)
    office.clock.advance(4000 * DAY)
    office.worker.erasure.run()
    assert find_columns_with(office, WORDS["contract"])
    office.settings = office.settings.model_copy(update={"retention": make_retention_settings("2 quarters")})
    office.worker = office.add_worker("again")
    office.persons[SAM], office.pairs[SAM_PAIR] = person(SAM, name=NAME), pair()
    office.apply()
    office.clock.advance(4000 * DAY)
    office.worker.erasure.run()
    assert find_columns_with(office, WORDS["contract"])  # the pair continues, since Sam has returned
    office.close()
