"""Notes for both stand in the next brief (R-28); what one has done is told to the other once (R-32)."""

from collections.abc import Iterator
from email.message import EmailMessage

import pytest
from sqlalchemy import select

from tests.support.companies import (
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
    settings,
    texts,
)
from tests.support.companies import people as some_people
from worker.domain.model import AliasSource, Format, Owner, PairId, PersonAlias, Session, SessionState, Topic
from worker.domain.notes import make_note_mention
from worker.errors import Forbidden, Refused, Unavailable, UnknownName
from worker.store import tables

PAIR = PairId(DANA, SAM)
BASE = "https://longarc.corp.example"
KEPT, INVITES = "has done what was promised", "worth keeping for both of"
PROMISED = "Something that I promised you is done"


@pytest.fixture(name="series")
def office_with_series(database_url: str) -> Iterator[Office]:
    """Dana and Sam talk in three parts; the first is over."""
    office = Office(database_url, listed=pairs(pair(format=Format.SERIES)), known=settings(database_url, base_url=BASE))
    office.run_to(min(s.span.end for s in careers(office)) + HOUR)
    yield office
    office.close()


@pytest.fixture(name="agreed")
def office_with_contract(database_url: str) -> Iterator[Office]:
    """Dana and Sam have a contract, and pages."""
    office = Office(database_url, known=settings(database_url, base_url=BASE))
    office.tick()
    held = office.hold()
    office.worker.contracts.record(held.id, contract(office.clock(), days=90))
    office.run(DAY)
    yield office
    office.close()


def careers(office: Office) -> list[Session]:
    office.tick()
    return [s for s in office.store.queries.list_sessions(PAIR) if s.kind == "career"]


def part(office: Office, topic: Topic) -> Session:
    return next(s for s in careers(office) if s.topic is topic)


def readable(mails: list[EmailMessage]) -> str:
    return " ".join(texts(mails).split())


def saying(office: Office, words: str) -> list[str]:
    """The kinds of the mails that say it, in the order they went out."""
    return [key.partition(":")[0] for key, mail in office.mailer.sent if words in readable([mail])]


def do(office: Office, owner: Owner) -> None:
    """Somebody marks what they promised as done."""
    mine = next(c for c in office.store.queries.list_commitments(PAIR) if c.owner is owner and c.is_open)
    office.worker.contracts.mark_done(mine.id)


# --- notes ---


def test_r28_notes_after_a_part_stand_in_the_briefs_until_the_contract(series: Office) -> None:
    first = part(series, Topic.NOW)
    series.worker.notes.save(first.id, Owner.REPORT, ["Less on-call, more teaching"])
    series.worker.notes.save(first.id, Owner.MANAGER, ["Ask about Berlin", "in spring"])
    series.run_to(part(series, Topic.GAP).span.end)
    briefs = series.mails("brief")
    assert len(briefs) == 3
    assert "teaching" not in readable(briefs[:1])
    for brief in briefs[1:]:
        assert "Less on-call, more teaching" in readable([brief]) and "Ask about Berlin" in readable([brief])
        assert "Sam, after your conversation on" in readable([brief])
    others = [mail for mail in series.mails() if mail not in briefs]
    assert "teaching" not in texts(others)
    series.worker.contracts.record(part(series, Topic.GAP).id, contract(series.clock()))
    series.run(120 * DAY)
    later = [brief for brief in series.mails("brief") if brief not in briefs]
    assert later and "teaching" not in texts(later)


def test_r28_each_is_invited_once_in_a_mail_that_goes_anyway(series: Office) -> None:
    """No mail of its own, and not again when a prompt or a brief goes out a second time."""
    series.run_to(part(series, Topic.DIRECTION).span.start - HOUR)
    assert saying(series, INVITES) == ["reflection_prompt", "brief"]
    moved = part(series, Topic.DIRECTION)
    series.worker.actions.defer_session(moved.id)
    series.run_to(part(series, Topic.DIRECTION).span.start - HOUR)
    assert saying(series, INVITES) == ["reflection_prompt", "brief"]
    series.run_to(part(series, Topic.GAP).span.start - HOUR)
    assert saying(series, INVITES) == ["reflection_prompt", "brief"] * 2, "about the second part"


def test_r28_who_left_a_note_is_not_invited(series: Office) -> None:
    series.worker.notes.save(part(series, Topic.NOW).id, Owner.REPORT, ["Less on-call"])
    series.run_to(part(series, Topic.DIRECTION).span.start - HOUR)
    assert saying(series, INVITES) == ["brief"]


def test_r28_an_unfinished_conversation_has_notes_and_one_with_a_contract_has_none(office: Office) -> None:
    office.tick()
    held = office.hold()
    with pytest.raises(Refused, match="takes no notes"):
        office.worker.notes.save(held.id, Owner.MANAGER, ["too early"])
    office.run(8 * DAY)
    assert office.store.queries.get_session(held.id).state is SessionState.UNFINISHED  # type: ignore[union-attr]
    office.worker.notes.save(held.id, Owner.MANAGER, ["Begin with the move"])
    office.run(100 * DAY)
    assert "Begin with the move" in readable(office.mails("brief"))
    with pytest.raises(UnknownName):
        office.worker.notes.save("none", Owner.MANAGER, ["x"])


def test_r28_a_note_is_changed_erased_and_sealed(series: Office) -> None:
    first, notes = part(series, Topic.NOW), series.worker.notes
    notes.save(first.id, Owner.REPORT, ["zephyrine"])
    notes.save(first.id, Owner.REPORT, ["larkspur", "two"])
    (stored,) = series.store.notes.list_notes(PAIR)
    assert (stored.lines, stored.author, stored.held_at) == (("larkspur", "two"), Owner.REPORT, first.held_at)
    sealed = series.rows(select(tables.note))
    assert "larkspur" not in repr(sealed) and len(sealed) == 1
    notes.save(first.id, Owner.REPORT, [])
    assert series.store.notes.list_notes(PAIR) == []


def test_r28_notes_follow_a_person_whose_address_changes(series: Office) -> None:
    series.worker.notes.save(part(series, Topic.NOW).id, Owner.REPORT, ["Less on-call"])
    new = "sam.o@corp.example"
    series.store.people.apply_import(
        some_people(DANA, new), pairs(pair(DANA, new)), series.clock(), [PersonAlias(SAM, new, AliasSource.PEOPLE_FILE)]
    )
    assert [note.lines for note in series.store.notes.list_notes(PairId(DANA, new))] == [("Less on-call",)]


# --- what was kept ---


def test_r32_what_the_report_has_done_is_told_to_the_manager_once(agreed: Office) -> None:
    sent = len(agreed.mails())
    do(agreed, Owner.REPORT)
    agreed.tick()
    assert len(agreed.mails()) == sent, "no mail of its own"
    agreed.run(60 * DAY)
    assert saying(agreed, KEPT) == ["review_note"]
    (mail,) = [mail for mail in agreed.mails() if KEPT in readable([mail])]
    assert DANA in str(mail["To"]) and "Sam has done what was promised" in readable([mail])
    assert "Draft one page on direction" in readable([mail])
    agreed.run(60 * DAY)
    assert len(saying(agreed, KEPT)) == 1


def test_r32_what_the_manager_has_done_is_told_to_the_report_once(agreed: Office) -> None:
    agreed.run(40 * DAY)
    do(agreed, Owner.MANAGER)
    agreed.run(120 * DAY)
    assert saying(agreed, PROMISED) == ["reflection_prompt"]
    assert saying(agreed, KEPT) == []
    assert all(SAM in str(mail["To"]) for mail in agreed.mails() if PROMISED in readable([mail]))


def test_r32_a_mail_that_is_tried_again_says_it_once_all_the_same(agreed: Office) -> None:
    """Whenever a process dies or a mail server fails: the mail that reserved it says it, and no other."""
    agreed.run(40 * DAY)
    do(agreed, Owner.MANAGER)
    agreed.mailer.fail = Fails(lambda: Unavailable("busy"), "send", times=3)
    agreed.run(120 * DAY)
    assert agreed.mailer.fail.left == 0
    assert saying(agreed, PROMISED) == ["reflection_prompt"]


def test_r32_what_a_refused_mail_would_have_said_is_said_by_the_next(agreed: Office) -> None:
    agreed.run(40 * DAY)
    do(agreed, Owner.MANAGER)
    agreed.mailer.fail = lambda operation: _refuse_prompts(agreed, operation)
    agreed.run(70 * DAY)
    agreed.mailer.fail = None
    assert any(m.progress == "dead" for m in agreed.messages("reflection_prompt"))
    assert (saying(agreed, PROMISED), saying(agreed, KEPT)) == ([], ["commitment_due"])


def _refuse_prompts(office: Office, operation: str) -> None:
    if operation == "send" and any(m.progress == "sending" for m in office.messages("reflection_prompt")):
        raise Forbidden("no mailbox of that name")


def test_r32_two_mails_at_one_moment_do_not_both_say_it(office: Office) -> None:
    mentions = office.store.mentions
    assert mentions.reserve("brief:1", Owner.MANAGER, ["c1", "c2"]) == {"c1", "c2"}
    assert mentions.reserve("review_note:1", Owner.MANAGER, ["c1", "c3"]) == {"c3"}
    assert mentions.reserve("prompt:1", Owner.REPORT, ["c1"]) == {"c1"}, "the other one is another reader"
    assert mentions.reserve("brief:1", Owner.MANAGER, ["c1", "c2"]) == {"c1", "c2"}, "tried again"
    assert mentions.list_mentioned(Owner.MANAGER, ["c1", "c9"]) == {"c1"}
    assert mentions.reserve("brief:2", Owner.MANAGER, []) == frozenset()


def test_r32_nothing_is_said_of_what_was_let_go(agreed: Office) -> None:
    theirs = next(c for c in agreed.store.queries.list_commitments(PAIR) if c.owner is Owner.REPORT)
    agreed.worker.contracts.let_go(theirs.id, "other plans")
    agreed.run(100 * DAY)
    assert saying(agreed, KEPT) == [] and saying(agreed, PROMISED) == []


def test_the_name_of_an_invitation_holds_the_session(series: Office) -> None:
    assert make_note_mention(part(series, Topic.NOW)) == f"note:{part(series, Topic.NOW).id}"


def test_r28_nobody_else_reads_a_note(database_url: str) -> None:
    office = Office(
        database_url,
        some_people(DANA, SAM, KIM),
        pairs(pair(format=Format.SERIES), pair(DANA, KIM, format=Format.SERIES)),
        known=settings(database_url, base_url=BASE),
    )
    office.run_to(part(office, Topic.NOW).span.end + HOUR)
    office.worker.notes.save(part(office, Topic.NOW).id, Owner.REPORT, ["zephyrine"])
    office.run(90 * DAY)
    mails = [mail for mail in office.mails() if "zephyrine" in texts([mail])]
    assert mails and all(DANA in str(mail["To"]) and "Sam" in texts([mail]) for mail in mails)
    office.close()
