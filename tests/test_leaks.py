"""What two people said to each other is found nowhere but where it belongs (R-6, R-23).

Words that nobody else would write are planted in everything that is content, the whole loop is lived through, and
then every byte that was written is looked through: database and write-ahead log, the queue, the log at its finest,
the history, the ledger, the events, the mails. Only the mails between the two, and the manager's own private blocks,
may hold them; each word only there where its reader may read it.
"""

import base64
import logging
import quopri
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from email.message import EmailMessage
from pathlib import Path

import pytest
from sqlalchemy import select, text

from tests.conftest import migrate
from tests.support import ROOT
from tests.support.companies import (
    DANA,
    DAY,
    HOUR,
    KEY,
    KIM,
    OPERATOR,
    SAM,
    Fails,
    Office,
    pair,
    pairs,
    people,
    settings,
    texts,
)
from worker.domain.model import (
    ContentAccess,
    Contract,
    EventDraft,
    EventRef,
    HandoverLineKind,
    Owner,
    PairId,
    ReviewPoint,
    Session,
    SessionKind,
    SessionState,
    Trigger,
    WrittenCommitment,
)
from worker.domain.model import Event as CalendarEvent
from worker.engine.contracts import OnBehalf
from worker.engine.handovers import PromiseDecision
from worker.errors import Forbidden, Refused, UnknownName, WrongKey
from worker.logs import JsonLines
from worker.providers.memory import MemoryCalendar
from worker.simulation.world import make_ledger_line
from worker.store import tables

LEE = "lee@corp.example"
#: By where each is planted. No word of them is in any template or in the program.
WORDS = {
    "theirs": "zephyrine",
    "theirs.support": "quillwort",
    "theirs.success": "marrowfat",
    "mine": "hyacinthine",
    "mine.support": "wolfsbane",
    "mine.success": "tamarisk",
    "mine.let_go": "bergamotte",
    "review": "saxifrage",
    "question": "nightshade",
    "progress": "larkspurry",
    "changed": "periwinkle",
    "closing": "candytufts",
    "letting_go": "toadflaxes",
    "trigger": "monkshoods",
    "access": "foxgloves",
    "learning": "ladysmantle",
    "voice.question": "eglantine",
    "voice.answer": "snapdragons",
    "note.manager": "coltsfoots",
    "note.report": "speedwells",
    "move": "stitchworts",
}
SENTINELS = tuple(WORDS.values())
#: A question to a third person and its answer are on pages alone.
ON_PAGES = {WORDS[name] for name in ("voice.question", "voice.answer")}
PRIYA = "priya@corp.example"
#: The blocks on the manager's own calendar show the manager's own promises.
ON_BLOCKS = {WORDS[name] for name in ("mine", "mine.let_go", "changed")}


def planted(day: date) -> Contract:
    later = day + timedelta(days=40)
    return Contract(
        report=(
            WrittenCommitment(
                text=f"Draft the {WORDS['theirs']} page",
                due=later,
                support=WORDS["theirs.support"],
                success=WORDS["theirs.success"],
            ),
        ),
        manager=(
            WrittenCommitment(
                text=f"Introduce Sam to the {WORDS['mine']} group",
                due=later,
                support=WORDS["mine.support"],
                success=WORDS["mine.success"],
            ),
            WrittenCommitment(text=f"Ask about {WORDS['mine.let_go']}", due=later + timedelta(days=5)),
        ),
        reviews=(ReviewPoint(month=date(later.year, later.month, 1), text=f"how the {WORDS['review']} went"),),
        question=f"What about {WORDS['question']}?",
        progress=(f"The {WORDS['progress']} was named by two teams.",),
    )


class Watched(MemoryCalendar):
    """Keeps what is written on it, as whoever opens the event sees it."""

    def __init__(self) -> None:
        super().__init__()
        self.drafts: list[tuple[str, EventDraft]] = []

    def create(self, calendar: str, draft: EventDraft) -> CalendarEvent:
        self.drafts.append((calendar, draft))
        return super().create(calendar, draft)

    def update(self, ref: EventRef, draft: EventDraft) -> CalendarEvent:
        self.drafts.append((ref.calendar, draft))
        return super().update(ref, draft)


@dataclass(slots=True)
class Lived:
    """What is left of a loop that was lived through."""

    office: Office
    calendar: Watched
    folder: Path
    log: str
    errors: str


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    folder = tmp_path_factory.mktemp("leaks")
    url = f"sqlite:///{folder / 'longarc.db'}"
    with (folder / "longarc.log").open("w") as stream:
        logged = logging.StreamHandler(stream)
        logged.setFormatter(JsonLines())
        root = logging.getLogger()
        was, names = root.level, ("sqlalchemy.engine", "huey", "alembic")
        root.addHandler(logged)
        root.setLevel("DEBUG")
        for name in names:
            logging.getLogger(name).setLevel("DEBUG")
        try:
            office, calendar, errors = live(url)
        finally:
            root.removeHandler(logged)
            root.setLevel(was)
            for name in names:
                logging.getLogger(name).setLevel("WARNING")
    queue(folder)
    yield Lived(office, calendar, folder, (folder / "longarc.log").read_text(), errors)
    office.close()


def live(url: str) -> tuple[Office, Watched, str]:
    """Dana and Sam, from the first session to the next one's summary; Kim is another report of Dana's."""
    migrate(url)
    office = Office(url, people(DANA, SAM, KIM), pairs(pair(), pair(DANA, KIM)), known=settings(url))
    calendar = Watched()
    office.calendar = calendar
    office.worker.services.use(calendars={"memory": calendar})
    office.tick()
    acts, contracts, pair_id = office.worker.actions, office.worker.contracts, PairId(DANA, SAM)
    office.store.learnings.write([pair_id], f"I grew {WORDS['learning']} before I asked.", office.clock())
    held = hold(office, pair_id)
    contracts.record(held.id, planted(office.clock().date()))
    office.run(2 * HOUR)
    mine, let_go = sorted(
        (c for c in office.store.queries.list_commitments(pair_id) if c.owner == "manager"), key=lambda c: c.due
    )
    acts.defer_session(office.session(SessionKind.CAREER, pair_id).id, by=SAM, reason=f"My {WORDS['move']} are out")
    office.run(2 * HOUR)
    acts.request_talk(pair_id, Trigger.LEAVING, f"Somebody of {WORDS['trigger']} called")
    office.run(5 * DAY)
    contracts.change(mine.id, text=f"Introduce Sam to the {WORDS['changed']} group", reason=WORDS["closing"])
    contracts.let_go(let_go.id, f"Because of {WORDS['letting_go']}")
    contracts.record_access(
        pair_id, OnBehalf(ContentAccess.SHOW_CONTRACT, DANA, f"Dana asked, about {WORDS['access']}")
    )
    office.mailer.fail = Fails(lambda: Forbidden("no mailbox of that name"), "send", times=2)
    office.calendar.fail = Fails(lambda: Forbidden("not here"), "create", "update", times=2)
    office.run(DAY)
    office.calendar.fail = office.mailer.fail = None
    asked = office.worker.third_voices.ask(office.persons[SAM], PRIYA, f"Do I {WORDS['voice.question']} too much?")
    office.run(5 * DAY)
    assert office.worker.third_voices.answer(asked.id, f"More {WORDS['voice.answer']}, I would say")
    office.run(5 * DAY)
    (unfinished,) = (s for s in office.store.queries.list_sessions(pair_id) if s.state is SessionState.UNFINISHED)
    office.worker.notes.save(unfinished.id, Owner.MANAGER, [f"Ask about {WORDS['note.manager']}"])
    office.worker.notes.save(unfinished.id, Owner.REPORT, [f"Nobody saw the {WORDS['note.report']}"])
    office.run_to(office.session(SessionKind.CAREER, pair_id).span.start)
    return office, calendar, provoked(office, held, mine.id)


def hold(office: Office, pair_id: PairId) -> Session:
    session = office.session(SessionKind.CAREER, pair_id)
    office.run_to(session.span.end)
    office.tick()
    found = office.store.queries.get_session(session.id)
    assert found is not None
    return found


def provoked(office: Office, held: Session, commitment: str) -> str:
    """The texts of errors that content was near to."""
    stranger = office.add_worker("stranger")
    stranger.store.content._seal = type(stranger.store.content._seal)([KEY[::-1].replace("=", "") + "="])
    undated = Contract(manager=(WrittenCommitment(text=f"Some {WORDS['mine']}", due=None),), question=WORDS["question"])
    attempts = (
        (Refused, lambda: office.worker.contracts.record(held.id, undated)),
        (UnknownName, lambda: office.worker.contracts.record("nothing", planted(office.clock().date()))),
        (UnknownName, lambda: office.worker.contracts.change("nothing", text=WORDS["changed"])),
        (WrongKey, lambda: stranger.store.content.list_revisions(held.id)),
        (Refused, lambda: _twice(office, commitment)),
        (Refused, lambda: office.worker.actions.explain_deferral(held.id, f"Those {WORDS['move']}")),
        (Refused, lambda: office.worker.notes.save(held.id, Owner.REPORT, [WORDS["note.report"]])),
    )
    said = []
    for error, attempt in attempts:
        with pytest.raises(error) as caught:
            attempt()
        said.append(f"{caught.value!s} {caught.value!r}")
    return "\n".join(said)


def _twice(office: Office, commitment: str) -> None:
    for _ in range(2):
        office.worker.contracts.mark_done(commitment, WORDS["closing"])


def queue(folder: Path) -> None:
    """Have Huey's own tasks go through their queue, in a process of their own."""
    config = folder / "longarc.toml"
    config.write_text(f'database = "sqlite:///{folder / "longarc.db"}"\npeople = "none.csv"\noperator = "{OPERATOR}"\n')
    script = (
        "from worker import tasks\n"
        "tasks.sync(); tasks.sweep(); tasks.deliver(); tasks.tick.call_local()\n"
        "print(tasks.huey.pending_count())"
    )
    environment = {"LONGARC_CONFIG": str(config), "LONGARC_KEY": KEY, "PATH": ""}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert int(done.stdout.split()[-1]) >= 3, "they wait in the queue, where they can be read"
    (folder / "queue.err").write_text(done.stderr)


# --- looking ---


def hidden_in(raw: bytes) -> set[str]:
    """The planted words in some bytes, as they are or in what mail and databases make of them."""
    seen = raw.lower()
    forms = {word: (word.encode(), quopri.encodestring(word.encode()), *_base64(word)) for word in SENTINELS}
    return {
        word
        for word, all_ in forms.items()
        if any(form.lower() in seen for form in all_[:2]) or any(form in raw for form in all_[2:])
    }


def _base64(word: str) -> list[bytes]:
    """The middle of a word in base64, wherever it begins in a text."""
    whole = [base64.b64encode(b"_" * shift + word.encode()) for shift in range(3)]
    return [text[-(-8 * shift // 6) : 8 * (shift + len(word)) // 6] for shift, text in enumerate(whole)]


def readable(mail: EmailMessage) -> set[str]:
    return hidden_in((texts([mail]) + str(mail["Subject"])).encode())


def to(mail: EmailMessage) -> str:
    return str(mail["To"]).rpartition("<")[2].strip(">")


def test_the_search_finds_what_is_there() -> None:
    """So that finding nothing means something."""
    for word in SENTINELS:
        line = f"a {word} b".encode()
        for raw in (line, line.upper(), base64.b64encode(line), base64.b64encode(b"_" + line)):
            assert hidden_in(raw) == {word}, raw


def test_every_word_that_was_planted_reached_whom_it_was_for(lived: Lived) -> None:
    """The loop went through summary, brief, review, due, change and letting go, so there was enough to leak."""
    names = {key.partition(":")[0] for key, _ in lived.office.mailer.sent}
    assert {"contract_summary", "brief", "review_note", "commitment_due", "contract_request"} <= names
    mails = [mail for _, mail in lived.office.mailer.sent]
    assert (
        set().union(*(readable(mail) for mail in mails))
        >= set(SENTINELS) - {WORDS["closing"], WORDS["letting_go"]} - ON_PAGES
    )


def test_no_file_contains_readable_content(lived: Lived) -> None:
    """Database, write-ahead log, queue, and the log at DEBUG, statements and all."""
    files = [path for path in lived.folder.rglob("*") if path.is_file()]
    assert {"longarc.db", "longarc.db-wal", "longarc.queue.db", "longarc.log"} <= {path.name for path in files}
    assert {path.name: hidden_in(path.read_bytes()) for path in files} == {path.name: set() for path in files}


def test_the_log_did_tell_something(lived: Lived) -> None:
    for sign in ("contract_summary", "INSERT INTO contract", "sealed"):
        assert sign in lived.log, sign


def test_no_row_of_the_database_contains_readable_content(lived: Lived) -> None:
    """Read through the database itself, whatever its pages look like."""
    with lived.office.store.database.read() as connection:
        for name in tables.metadata.tables:
            for row in connection.execute(text(f'SELECT * FROM "{name}"')):
                assert hidden_in(repr(tuple(row)).encode()) == set(), name


def test_history_and_ledger_hold_no_word(lived: Lived) -> None:
    lines = lived.office.history()
    assert {"mail", "session", "commitment", "contract", "access", "event.create"} <= {line["what"] for line in lines}
    assert hidden_in(repr([(line, make_ledger_line(line)) for line in lines]).encode()) == set()


def test_no_error_says_a_word(lived: Lived) -> None:
    assert lived.errors
    assert hidden_in(lived.errors.encode()) == set()


def test_only_blocks_of_the_manager_contain_content(lived: Lived) -> None:
    """A block shows what the manager promised, has no guests, lies on the manager's calendar, and a neutral title."""
    shown: set[str] = set()
    for calendar, draft in lived.calendar.drafts:
        assert hidden_in(draft.subject.encode()) == set()
        found = hidden_in(draft.body.encode())
        if found:
            assert (calendar, draft.guests) == (DANA, ())
        shown |= found
    assert shown == ON_BLOCKS
    whole = [draft for _, draft in lived.calendar.drafts if draft.guests]
    assert {guest.email for draft in whole for guest in draft.guests} == {SAM, KIM}


def test_only_mails_to_the_pair_contain_its_content(lived: Lived) -> None:
    for key, mail in lived.office.mailer.sent:
        if to(mail) not in (DANA, SAM):
            assert readable(mail) == set(), key
        if KIM in str(mail) or f">{KIM}" in key:
            assert readable(mail) == set(), key
        assert hidden_in(str(mail["Subject"]).encode()) == set(), key
        assert to(mail) in (DANA, SAM, KIM, OPERATOR, PRIYA)


def test_only_the_manager_reads_the_reason_for_an_ad_hoc_session(lived: Lived) -> None:
    """R-6: neither the words nor the kind of reason reach anybody else, and no calendar shows that there was one."""
    readers = {to(mail) for _, mail in lived.office.mailer.sent if WORDS["trigger"] in readable(mail)}
    assert readers == {DANA}
    theirs = [mail for _, mail in lived.office.mailer.sent if to(mail) != DANA]
    for sign in ("leaving", "another employer", "thinking of"):
        assert sign not in texts(theirs).lower(), sign
    subjects = {
        draft.subject for calendar, draft in lived.calendar.drafts if draft.guests and draft.guests[0].email == SAM
    }
    assert len({subject for subject in subjects if subject.startswith("Career")}) == 1


def test_only_the_manager_reads_why_the_report_moved_a_session(lived: Lived) -> None:
    """R-18: in the mail about the new time, and in no other; in the clear is only that something was said."""
    found = [
        (key.partition(":")[0], to(mail)) for key, mail in lived.office.mailer.sent if WORDS["move"] in readable(mail)
    ]
    assert found == [("deferral_notice", DANA)]
    with lived.office.store.database.read() as connection:
        (lost,) = connection.execute(select(tables.deferral)).mappings().all()
    assert lost["who"] == SAM and lost["explained_at"] is not None and hidden_in(lost["sealed"]) == set()


def test_why_a_command_opened_content_is_read_by_the_two_alone(lived: Lived) -> None:
    readers = {to(mail) for _, mail in lived.office.mailer.sent if WORDS["access"] in readable(mail)}
    assert readers == {DANA, SAM}


def test_one_prompt_to_the_report_contains_the_managers_learning(lived: Lived) -> None:
    """R-35"""
    mails = [(key, to(mail)) for key, mail in lived.office.mailer.sent if WORDS["learning"] in readable(mail)]
    assert [(key.partition(":")[0], reader) for key, reader in mails] == [("reflection_prompt", SAM)]


def test_only_the_brief_contains_notes(lived: Lived) -> None:
    """R-28: the report reads them on the page; no mail to anybody else holds them."""
    for word in (WORDS["note.manager"], WORDS["note.report"]):
        found = [(key.partition(":")[0], to(mail)) for key, mail in lived.office.mailer.sent if word in readable(mail)]
        assert found == [("brief", DANA)]


def test_no_mail_contains_question_or_answer_of_a_third_voice(lived: Lived) -> None:
    """R-30: no mail holds question or answer; nothing but one mail each tells that there was one."""
    mails = [(key.partition(":")[0], to(mail), mail) for key, mail in lived.office.mailer.sent]
    assert all(ON_PAGES.isdisjoint(readable(mail)) for _, _, mail in mails)
    sent = [(name, reader) for name, reader, _ in mails if name.startswith("third_voice")]
    assert sent == [("third_voice_request", PRIYA), ("third_voice_answered", SAM)]
    others = texts([mail for name, _, mail in mails if not name.startswith("third_voice")])
    assert PRIYA not in others and "third voice" not in others.lower()
    assert "third_voice" not in repr(lived.office.history())
    with lived.office.store.database.read() as connection:
        rows = [
            tuple(value for value in row if not isinstance(value, bytes))
            for table in tables.metadata.sorted_tables
            for row in connection.execute(select(table))
        ]
        asked = connection.execute(select(tables.outbox).where(tables.outbox.c.name.like("third_voice%"))).all()
    assert PRIYA not in repr(rows) and PRIYA not in lived.log
    assert SAM not in repr(asked) and DANA not in repr(asked)


def test_nothing_in_the_clear_tells_why_or_how_soon_a_talk_was_asked_for(lived: Lived) -> None:
    """R-6: no row, history line or outbox row names a reason; all windows of asked-for talks are alike."""
    with lived.office.store.database.read() as connection:
        sessions = connection.execute(select(tables.session).where(tables.session.c.adhoc)).mappings().all()
        rows = [
            tuple(value for value in row if not isinstance(value, bytes))
            for name in ("session", "history", "message", "fact", "access")
            for row in connection.execute(select(tables.metadata.tables[name]))
        ]
    assert {(row["urgent"], row["latest"] - row["earliest"]) for row in sessions} == {(False, 7 * DAY)}
    clear = repr(rows).lower()
    for trigger in Trigger:
        assert trigger.value not in clear, trigger


def test_the_operator_hears_of_trouble_and_of_nothing_else(lived: Lived) -> None:
    alerts = [mail for _, mail in lived.office.mailer.sent if to(mail) == OPERATOR]
    assert alerts
    assert set().union(*(readable(mail) for mail in alerts)) == set()


# --- when the manager changes ---


def test_r36_only_the_new_manager_reads_the_lines_passed_on(tmp_path: Path) -> None:
    """R-36: two lines go on; the database holds no word of them, no mail to anybody else, and no history line."""
    url = f"sqlite:///{tmp_path / 'longarc.db'}"
    migrate(url)
    office = Office(url, people(DANA, SAM, KIM, LEE), pairs(pair(), pair(DANA, KIM)), known=settings(url))
    old, new = PairId(DANA, SAM), PairId(LEE, SAM)
    office.tick()
    held = hold(office, old)
    office.run_to(held.span.end + 9 * DAY)
    office.worker.notes.save(held.id, Owner.MANAGER, [f"Ask about {WORDS['note.manager']}"])
    office.worker.notes.save(held.id, Owner.REPORT, [f"Nobody saw the {WORDS['note.report']}"])
    office.worker.contracts.record(held.id, planted(office.clock().date()))
    office.run(2 * HOUR)
    office.pairs = pairs(pair(LEE, SAM), pair(DANA, KIM))
    office.apply()
    office.run(3 * DAY)
    before = len(office.mailer.sent)
    for commitment in office.store.queries.list_commitments(old):
        if commitment.owner == "manager":
            office.worker.handovers.decide_promise(commitment.id, PromiseDecision.SUGGEST)
    choice = office.worker.handovers.load_choice(new, is_open=True)
    assert choice is not None
    question = next(line for line in choice.lines if line.kind is HandoverLineKind.QUESTION)
    note = next(line for line in choice.lines if line.kind is HandoverLineKind.REPORT_NOTE)
    office.worker.handovers.pass_on(new, [question.id, note.id])
    office.run_to(office.session(SessionKind.CAREER, new).span.start)
    passed = {WORDS["question"], WORDS["note.report"]}
    shown = {to(mail): set[str]() for _, mail in office.mailer.sent[before:]}
    for _, mail in office.mailer.sent[before:]:
        shown[to(mail)] |= readable(mail)
    assert shown[LEE] == passed
    assert all(words == set() for reader, words in shown.items() if reader not in (LEE, SAM))
    told = [mail for key, mail in office.mailer.sent if key.startswith("new_manager")]
    assert told and all(readable(mail) == set() for mail in told)
    assert hidden_in(repr(office.history()).encode()) == set()
    office.close()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.name: hidden_in(path.read_bytes()) for path in files} == {path.name: set() for path in files}
