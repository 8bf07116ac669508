"""A person's contents are erased for both, and who has left is forgotten: no row names or quotes them any more."""

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

SAMS = PairId(DANA, SAM)
#: What was written, and stands nowhere else.
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
#: An alias, an id in the directory, and the name: Sam's, and in no other word.
ALIAS, ID, NAME = "s.okafor@corp.example", "a1b2c3d4", "Sam Okafor"


def make_office(url: str) -> Office:
    """Dana with Sam and Kim, and Kim with somebody whose address ends as Sam's does."""
    persons = people(DANA, KIM, "adsam@corp.example") | {SAM: person(SAM, name=NAME, group="Sales")}
    listed = pairs(pair(DANA, SAM), pair(DANA, KIM), pair(KIM, "adsam@corp.example"))
    office = Office(url, persons, listed, known=settings(url, base_url="https://longarc.corp.example"))
    aliases = [PersonAlias(ALIAS, SAM, AliasSource.PEOPLE_FILE), PersonAlias(ID, SAM, AliasSource.DIRECTORY)]
    office.store.people.apply_import(office.persons, office.pairs, office.clock(), aliases)
    office.run(HOUR)
    return office


def write_everything(office: Office) -> None:
    """Have the program keep of Sam whatever it can keep, and have Sam's calendar full from now on."""
    worker, store = office.worker, office.store
    session = office.session(pair_id=SAMS)
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
    store.learnings.write([SAMS], WORDS["learning"], office.clock())
    talk = worker.actions.request_talk(SAMS, Trigger.DOUBT, WORDS["reason"])
    store.content.save_contract_draft(talk, {"question": WORDS["draft"]}, office.clock())
    for asker, asked in ((SAM, KIM), ("adsam@corp.example", ALIAS)):
        voice = worker.third_voices.ask(office.persons[asker], asked, WORDS["question"])
        assert worker.third_voices.answer(voice.id, WORDS["answer"])
    worker.contracts.record_access(SAMS, OnBehalf(ContentAccess.SHOW_CONTRACT, SAM, WORDS["access"]))
    store.people.revoke_links(SAM, office.clock())
    store.outbox.alert("test", f"The calendar of {SAM} can't be read.", office.clock(), OPERATOR)
    office.run(8 * DAY)


def leave(office: Office) -> None:
    """Sam is no longer in the roster, and what stood on calendars is off."""
    del office.persons[SAM]
    del office.pairs[SAMS]
    office.apply()
    office.run(2 * DAY)


def find_everywhere(office: Office, *needles: str) -> set[str]:
    """The columns in which these texts stand, with sealed ones opened: whole addresses and names, not parts of them."""
    seal = Seal([KEY])
    pattern = re.compile("|".join(rf"(?<![\w.+-]){re.escape(needle)}(?![\w-])" for needle in needles), re.IGNORECASE)
    found = set()
    with office.store.database.read() as connection:
        for table in tables.metadata.sorted_tables:
            for row in connection.execute(select(table)).mappings():
                for name, value in row.items():
                    text = seal.unseal(value) if isinstance(value, bytes) else str(value)
                    if pattern.search(text):
                        found.add(f"{table.name}.{name}")
    return found


@pytest.fixture(name="office")
def office_in_memory() -> Iterator[Office]:
    made = make_office("sqlite://")
    write_everything(made)
    yield made
    made.close()


@pytest.fixture(name="stored")
def office_on_either_database(database_url: str) -> Iterator[Office]:
    made = make_office(database_url)
    write_everything(made)
    yield made
    made.close()


def test_everything_is_there_before(office: Office) -> None:
    """Otherwise it would be easy not to find it afterwards."""
    sealed = {f"{column.table.name}.{column.name}" for column in SEALED_COLUMNS} - {"pulse_round.sealed"}
    assert sealed - find_everywhere(office, *WORDS.values(), SAM, NAME) <= {"session.sealed_plan", "handover.sealed"}
    named = find_everywhere(office, SAM, ALIAS, ID, NAME)
    assert {"person.email", "person.name", "person_form.form", "pair.id", "deferral.who", "revocation.person"} <= named
    assert {"message.key", "message.to", "message.fields", "history.fields", "history.reason", "event.answers"} <= named
    assert "session.unplaceable" in named


def test_who_has_left_is_forgotten_in_every_row(stored: Office) -> None:
    leave(stored)
    others = stored.store.queries.list_sessions(PairId(KIM, "adsam@corp.example"))
    erased = stored.worker.erasure.forget(SAM)
    assert erased.pseudonym is not None
    assert find_everywhere(stored, SAM, ALIAS, ID, NAME, *WORDS.values()) == set()
    (left,) = [one for one in stored.store.people.load_all_pairs().values() if one.manager == DANA and one.ended]
    assert left.id == PairId(DANA, erased.pseudonym.email), "that there was somebody, and when, stays"
    assert left.erased_at == stored.clock()
    assert {s.held_at is not None for s in stored.store.queries.list_sessions(left.id)} == {True, False}
    assert stored.store.queries.list_sessions(PairId(KIM, "adsam@corp.example")) == others
    assert find_everywhere(stored, "adsam@corp.example") >= {"person.email", "pair.id", "message.to", "history.pair"}
    stored.run(10 * DAY)
    assert not stored.mails("operator_alert")[1:], "the rest goes on"


@pytest.mark.databases("sqlite", "postgresql")  # which compare letter case in their own ways
def test_people_whose_addresses_contain_the_forgotten_one_stay_as_they_are(database_url: str) -> None:
    """And the forgotten address goes in any letter case, within quotation marks and at the end of a sentence."""
    others = [f"{SAM}.uk", f"o'{SAM}", f"ad-{SAM}", f"ad.{SAM}"]
    office = Office(database_url, people(DANA, SAM, *others), pairs(pair(), *(pair(DANA, other) for other in others)))
    office.run(HOUR)
    text = f"'{SAM}' and {SAM.upper()} were refused; so was {SAM}."
    office.store.outbox.alert("test", text, office.clock(), OPERATOR)
    office.store.outbox.alert(
        "again", f"{SAM.upper()} was refused once more: tokens/{SAM}.sealed", office.clock(), OPERATOR
    )
    leave(office)
    pseudonym = office.worker.erasure.forget(SAM).pseudonym
    assert pseudonym is not None
    assert set(others) < set(office.store.people.load_all_people())
    assert {pair_id.report for pair_id in office.store.people.load_all_pairs()} == {*others, pseudonym.email}
    name = pseudonym.email
    told = " ".join(str(row["fields"]) for row in office.rows(select(tables.outbox)))
    assert f"'{name}' and {name} were refused; so was {name}." in told
    assert f"{name} was refused once more: tokens/{name}.sealed" in told
    office.close()


def test_who_is_still_listed_is_not_forgotten(office: Office) -> None:
    """The next reading of the roster would bring them back."""
    with pytest.raises(Refused, match="still in the roster"):
        office.worker.erasure.forget(SAM)
    assert find_everywhere(office, WORDS["contract"])


def test_contents_of_somebody_who_stays_are_erased_for_both_and_the_pair_goes_on(stored: Office) -> None:
    words = {event.key for event in stored.events() if event.key and event.key.startswith("p")}
    assert words, "a private event holds the words of the commitment"
    stored.worker.erasure.erase_contents(SAM)
    assert find_everywhere(stored, *WORDS.values()) == set()
    assert not words & {event.key for event in stored.events()}
    assert {c.standing for c in stored.store.queries.list_commitments(SAMS)} == {CommitmentStanding.LET_GO}
    assert stored.store.people.load_all_pairs()[SAMS].is_active
    sent = len(stored.mailer.sent)
    stored.run(20 * DAY)
    assert not [mail for mail in stored.mails("operator_alert") if "failed" in texts([mail])]
    later = [mail for key, mail in stored.mailer.sent[sent:]]
    assert later, "mails go on"
    assert not any(word in texts(later) for word in WORDS.values())


@pytest.mark.parametrize(
    ("has_written", "said"),
    [
        (False, f"1 event is still on {DANA}"),
        (True, f"private events with the texts of commitments are still on the calendar of {DANA}"),
    ],
)
def test_nobody_is_forgotten_while_events_stand_that_nothing_could_take_off_then(has_written: bool, said: str) -> None:
    office = make_office("sqlite://")
    if has_written:
        write_everything(office)
    office.calendar.fail = Fails(lambda: Unavailable("Out of order."), "cancel")
    leave(office)
    with pytest.raises(Refused, match=said):
        office.worker.erasure.forget(SAM)
    assert find_everywhere(office, SAM)
    office.worker.erasure.forget(SAM, leaves_events=True)
    assert find_everywhere(office, SAM, NAME) == set()
    office.close()


def test_a_manager_is_forgotten_with_all_that_the_reports_wrote_with_them(office: Office) -> None:
    leave(office)
    del office.persons[DANA]
    office.pairs = pairs(pair(KIM, "adsam@corp.example"))
    office.apply()
    office.run(2 * DAY)
    preview = office.worker.erasure.preview(DANA)
    assert preview.other_people == (KIM, SAM)
    assert preview.value_counts["contract"] >= 1
    office.worker.erasure.forget(DANA)
    assert find_everywhere(office, DANA, WORDS["contract"], WORDS["note"]) == set()


def test_no_byte_of_the_file_names_or_quotes_them(tmp_path: Path) -> None:
    """Deleted rows would stay in free pages, and in the journal."""
    url = f"sqlite:///{tmp_path / 'longarc.db'}"
    store = new_store(url)
    store.migrate()
    store.close()
    office = make_office(url)
    write_everything(office)
    leave(office)
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert NAME.encode() in written
    assert office.worker.erasure.forget(SAM).is_compacted
    office.close()
    left = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    for name in (NAME, ALIAS, ID, f">{SAM}"):
        assert name.encode() not in left


def test_a_file_that_somebody_reads_just_now_is_not_called_compacted(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'longarc.db'}"
    store, other = new_store(url), new_store(url)
    store.migrate()
    with other.database.read() as connection:
        connection.execute(select(tables.person)).all()
        assert not store.database.compact()
    assert store.database.compact()
    store.close()
    other.close()


def test_every_sealed_column_is_erased_or_belongs_to_nobody() -> None:
    """A column that is added has to be thought of."""
    names = {f"{column.table.name}.{column.name}" for column in CONTENT_COLUMNS}
    assert names == {
        "contract.sealed", "sketch.sealed", "commitment.sealed", "session.sealed", "deferral.sealed", "learning.sealed",
        "note.sealed", "access.sealed", "handover.sealed",
    }  # fmt: skip


# --- retention ---


def keep_for(length: str) -> RetentionSettings:
    return RetentionSettings.model_validate({"contents_after": length})


@pytest.mark.parametrize(("days", "is_erased"), [(725, False), (735, True)])
def test_contents_of_ended_pairs_are_erased_after_their_time(days: int, is_erased: bool) -> None:
    office = make_office("sqlite://")
    office.settings = office.settings.model_copy(update={"retention": keep_for("8 quarters")})
    office.worker = office.add_worker("again")
    write_everything(office)
    leave(office)
    ended = office.clock()
    office.clock.move_to(ended + days * DAY)
    office.worker.erasure.run()
    found = find_everywhere(office, WORDS["contract"], WORDS["reason"], WORDS["note"], WORDS["deferral"])
    assert (found == set()) is is_erased
    assert (office.store.people.load_all_pairs()[SAMS].erased_at is not None) is is_erased
    assert find_everywhere(office, SAM), "names stay until somebody is forgotten"
    office.close()


def test_by_default_nothing_is_erased_and_pairs_that_go_on_never_are() -> None:
    office = make_office("sqlite://")
    write_everything(office)
    leave(office)
    office.clock.advance(4000 * DAY)
    office.worker.erasure.run()
    assert find_everywhere(office, WORDS["contract"])
    office.settings = office.settings.model_copy(update={"retention": keep_for("2 quarters")})
    office.worker = office.add_worker("again")
    office.persons[SAM], office.pairs[SAMS] = person(SAM, name=NAME), pair()
    office.apply()
    office.clock.advance(4000 * DAY)
    office.worker.erasure.run()
    assert find_everywhere(office, WORDS["contract"]), "Sam came back"
    office.close()
