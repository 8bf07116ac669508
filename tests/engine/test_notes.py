"""Tests of notes, which both people read in the next brief (R-28), and of mentions of kept commitments (R-32).

A mention is in one mail to the other person, and that mail would be sent without it too.
"""

from collections.abc import Iterator
from email.message import EmailMessage

import pytest
from sqlalchemy import select

from tests.support.companies import (
    BASE_URL,
    DANA,
    DAY,
    HOUR,
    KIM,
    SAM,
    Fails,
    Office,
    contract,
    pair,
    pairs,
    people,
    settings,
    texts,
)
from worker.domain.model import AliasSource, Format, Owner, PairId, PersonAlias, Session, SessionState, Topic
from worker.domain.notes import make_note_mention
from worker.errors import Forbidden, Refused, Unavailable, UnknownName
from worker.store import tables

PAIR = PairId(DANA, SAM)
#: Words of a mention in mails that Longarc writes in its own name, about the manager or the report.
KEPT = "has done what was promised"
#: Words of a mention in the reflection prompt, which is written in the name of the manager.
KEPT_FIRST_PERSON = "Something that I promised you is done"
#: Words of the invitation to leave a note.
INVITATION = "worth keeping for both of"


@pytest.fixture(name="series_office")
def create_series_office(database_url: str) -> Iterator[Office]:
    """Dana and Sam meet in a series of three parts, of which the first has ended."""
    office = Office(
        database_url,
        listed_pairs=pairs(pair(format=Format.SERIES)),
        office_settings=settings(database_url, base_url=BASE_URL),
    )
    office.run_to(min(s.span.end for s in list_career_sessions(office)) + HOUR)
    yield office
    office.close()


@pytest.fixture(name="contract_office")
def create_contract_office(database_url: str) -> Iterator[Office]:
    """Dana and Sam recorded a contract yesterday. Their installation has pages."""
    office = Office(database_url, office_settings=settings(database_url, base_url=BASE_URL))
    office.tick()
    held = office.hold()
    office.worker.contracts.record(held.id, contract(office.clock(), days=90))
    office.run(DAY)
    yield office
    office.close()


def list_career_sessions(office: Office) -> list[Session]:
    """Let the program do what is due, and return the career sessions of Dana and Sam."""
    office.tick()
    return [s for s in office.store.queries.list_sessions(PAIR) if s.kind == "career"]


def get_part(office: Office, topic: Topic) -> Session:
    """Return the part of the series with that topic; the first is about now, the others about direction and gap."""
    return next(s for s in list_career_sessions(office) if s.topic is topic)


def join_texts(mails: list[EmailMessage]) -> str:
    """Return the texts of these mails without line breaks."""
    return " ".join(texts(mails).split())


def list_mails_with(office: Office, words: str) -> list[str]:
    """Return the names of the mails that contain these words, in the order in which they were sent."""
    return [key.partition(":")[0] for key, mail in office.mailer.sent if words in join_texts([mail])]


def mark_commitment_done(office: Office, owner: Owner) -> None:
    """Mark the open commitment of the owner as done."""
    commitment = next(c for c in office.store.queries.list_commitments(PAIR) if c.owner is owner and c.is_open)
    office.worker.contracts.mark_done(commitment.id)


# --- notes ---


def test_r28_briefs_contain_the_notes_of_a_part_until_the_contract(series_office: Office) -> None:
    first = get_part(series_office, Topic.NOW)
    series_office.worker.notes.save(first.id, Owner.REPORT, ["Less on-call, more teaching"])
    series_office.worker.notes.save(first.id, Owner.MANAGER, ["Ask about Berlin", "in spring"])
    series_office.run_to(get_part(series_office, Topic.GAP).span.end)
    briefs = series_office.mails("brief")
    assert len(briefs) == 3  # one before each part
    assert "teaching" not in join_texts(briefs[:1])
    for brief in briefs[1:]:
        assert "Less on-call, more teaching" in join_texts([brief]) and "Ask about Berlin" in join_texts([brief])
        assert "Sam, after your conversation on" in join_texts([brief])
    other_mails = [mail for mail in series_office.mails() if mail not in briefs]
    assert "teaching" not in texts(other_mails)
    series_office.worker.contracts.record(get_part(series_office, Topic.GAP).id, contract(series_office.clock()))
    series_office.run(120 * DAY)
    later_briefs = [brief for brief in series_office.mails("brief") if brief not in briefs]
    assert later_briefs and "teaching" not in texts(later_briefs)


def test_r28_prompt_and_brief_invite_to_notes_once_for_each_part(series_office: Office) -> None:
    """The reflection prompt invites the report and the brief the manager; when they are sent again, neither invites."""
    series_office.run_to(get_part(series_office, Topic.DIRECTION).span.start - HOUR)
    assert list_mails_with(series_office, INVITATION) == ["reflection_prompt", "brief"]
    series_office.worker.actions.request_another_time(get_part(series_office, Topic.DIRECTION).id)
    series_office.run_to(get_part(series_office, Topic.DIRECTION).span.start - HOUR)
    assert list_mails_with(series_office, INVITATION) == ["reflection_prompt", "brief"]
    series_office.run_to(get_part(series_office, Topic.GAP).span.start - HOUR)
    assert list_mails_with(series_office, INVITATION) == ["reflection_prompt", "brief"] * 2, (
        "after the second part, the two were not both invited again"
    )


def test_r28_person_with_a_note_is_not_invited(series_office: Office) -> None:
    series_office.worker.notes.save(get_part(series_office, Topic.NOW).id, Owner.REPORT, ["Less on-call"])
    series_office.run_to(get_part(series_office, Topic.DIRECTION).span.start - HOUR)
    assert list_mails_with(series_office, INVITATION) == ["brief"]


def test_r28_only_an_unfinished_conversation_takes_notes(office: Office) -> None:
    """While the contract may still come, notes are refused."""
    office.tick()
    held = office.hold()
    with pytest.raises(Refused, match="takes no notes"):
        office.worker.notes.save(held.id, Owner.MANAGER, ["too early"])
    office.run(8 * DAY)  # the contract has not come
    assert office.store.queries.get_session(held.id).state is SessionState.UNFINISHED  # type: ignore[union-attr]
    office.worker.notes.save(held.id, Owner.MANAGER, ["Begin with the move"])
    office.run(100 * DAY)
    assert "Begin with the move" in join_texts(office.mails("brief"))
    with pytest.raises(UnknownName):
        office.worker.notes.save("none", Owner.MANAGER, ["x"])


def test_r28_note_can_be_changed_and_erased_and_is_sealed(series_office: Office) -> None:
    first, notes = get_part(series_office, Topic.NOW), series_office.worker.notes
    notes.save(first.id, Owner.REPORT, ["zephyrine"])
    notes.save(first.id, Owner.REPORT, ["larkspur", "two"])
    (stored_note,) = series_office.store.notes.list_notes(PAIR)
    assert stored_note.lines == ("larkspur", "two")
    assert (stored_note.author, stored_note.held_at) == (Owner.REPORT, first.held_at)
    rows = series_office.rows(select(tables.note))
    assert "larkspur" not in repr(rows) and len(rows) == 1
    notes.save(first.id, Owner.REPORT, [])
    assert series_office.store.notes.list_notes(PAIR) == []


def test_r28_notes_stay_with_a_person_whose_address_changes(series_office: Office) -> None:
    series_office.worker.notes.save(get_part(series_office, Topic.NOW).id, Owner.REPORT, ["Less on-call"])
    new = "sam.o@corp.example"
    series_office.store.people.apply_import(
        people(DANA, new),
        pairs(pair(DANA, new)),
        series_office.clock(),
        [PersonAlias(SAM, new, AliasSource.PEOPLE_FILE)],
    )
    assert [note.lines for note in series_office.store.notes.list_notes(PairId(DANA, new))] == [("Less on-call",)]


# --- mentions of kept commitments ---


def test_r32_one_mail_mentions_the_reports_kept_commitment_to_the_manager(contract_office: Office) -> None:
    mail_count = len(contract_office.mails())
    mark_commitment_done(contract_office, Owner.REPORT)
    contract_office.tick()
    assert len(contract_office.mails()) == mail_count, "a mail was sent for the mention alone"
    contract_office.run(60 * DAY)
    assert list_mails_with(contract_office, KEPT) == ["review_note"]
    (mail,) = [mail for mail in contract_office.mails() if KEPT in join_texts([mail])]
    assert DANA in str(mail["To"]) and "Sam has done what was promised" in join_texts([mail])
    assert "Draft one page on direction" in join_texts([mail])
    contract_office.run(60 * DAY)
    assert len(list_mails_with(contract_office, KEPT)) == 1


def test_r32_one_mail_mentions_the_managers_kept_commitment_to_the_report(contract_office: Office) -> None:
    contract_office.run(40 * DAY)
    mark_commitment_done(contract_office, Owner.MANAGER)
    contract_office.run(120 * DAY)
    assert list_mails_with(contract_office, KEPT_FIRST_PERSON) == ["reflection_prompt"]
    assert list_mails_with(contract_office, KEPT) == []
    assert all(SAM in str(mail["To"]) for mail in contract_office.mails() if KEPT_FIRST_PERSON in join_texts([mail]))


def test_r32_a_mail_tried_again_keeps_its_mention(contract_office: Office) -> None:
    """The mail that reserved the mention contains it when it is tried again, and no other mail does."""
    contract_office.run(40 * DAY)
    mark_commitment_done(contract_office, Owner.MANAGER)
    contract_office.mailer.fail = Fails(lambda: Unavailable("busy"), "send", times=3)
    contract_office.run(120 * DAY)
    assert contract_office.mailer.fail.left == 0
    assert list_mails_with(contract_office, KEPT_FIRST_PERSON) == ["reflection_prompt"]


def test_r32_next_mail_contains_the_mention_of_a_refused_mail(contract_office: Office) -> None:
    contract_office.run(40 * DAY)
    mark_commitment_done(contract_office, Owner.MANAGER)
    contract_office.mailer.fail = lambda operation: refuse_prompts(contract_office, operation)
    contract_office.run(70 * DAY)
    contract_office.mailer.fail = None
    assert any(effect.progress == "dead" for effect in contract_office.effects("reflection_prompt"))
    assert (list_mails_with(contract_office, KEPT_FIRST_PERSON), list_mails_with(contract_office, KEPT)) == (
        [],
        ["commitment_due"],
    )


def refuse_prompts(office: Office, operation: str) -> None:
    """Refuse reflection prompts for good, and no other mail."""
    if operation == "send" and any(effect.progress == "sending" for effect in office.effects("reflection_prompt")):
        raise Forbidden("no mailbox of that name")


def test_r32_only_one_of_two_mails_reserves_a_mention(office: Office) -> None:
    mentions = office.store.mentions
    assert mentions.reserve("brief:1", Owner.MANAGER, ["c1", "c2"]) == {"c1", "c2"}
    assert mentions.reserve("review_note:1", Owner.MANAGER, ["c1", "c3"]) == {"c3"}
    assert mentions.reserve("prompt:1", Owner.REPORT, ["c1"]) == {"c1"}  # the report is another reader than the manager
    assert mentions.reserve("brief:1", Owner.MANAGER, ["c1", "c2"]) == {"c1", "c2"}, (
        "the mail that is tried again lost its mentions"
    )
    assert mentions.list_mentioned(Owner.MANAGER, ["c1", "c9"]) == {"c1"}  # no mail has reserved c9
    assert mentions.reserve("brief:2", Owner.MANAGER, []) == frozenset()


def test_r32_no_mail_mentions_a_commitment_that_was_let_go(contract_office: Office) -> None:
    commitment = next(c for c in contract_office.store.queries.list_commitments(PAIR) if c.owner is Owner.REPORT)
    contract_office.worker.contracts.let_go(commitment.id, "other plans")
    contract_office.run(100 * DAY)
    assert list_mails_with(contract_office, KEPT) == [] and list_mails_with(contract_office, KEPT_FIRST_PERSON) == []


def test_mention_of_an_invitation_contains_the_session_id(series_office: Office) -> None:
    first = get_part(series_office, Topic.NOW)
    assert make_note_mention(first) == f"note:{first.id}"


def test_r28_only_mails_to_the_manager_about_the_pair_contain_its_note(database_url: str) -> None:
    """A report's note appears in mails to Dana about Sam, and not in those about her other report Kim."""
    office = Office(
        database_url,
        people(DANA, SAM, KIM),
        pairs(pair(format=Format.SERIES), pair(DANA, KIM, format=Format.SERIES)),
        office_settings=settings(database_url, base_url=BASE_URL),
    )
    office.run_to(get_part(office, Topic.NOW).span.end + HOUR)
    office.worker.notes.save(get_part(office, Topic.NOW).id, Owner.REPORT, ["zephyrine"])
    office.run(90 * DAY)
    mails = [mail for mail in office.mails() if "zephyrine" in texts([mail])]
    assert mails and all(DANA in str(mail["To"]) and "Sam" in texts([mail]) for mail in mails)
    office.close()
