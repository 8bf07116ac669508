"""One run of the program, with a different rare word in each piece of content, and the search for these words."""

import base64
import logging
import quopri
import re
import subprocess
import sys
from dataclasses import dataclass
from datetime import date, timedelta
from email.message import EmailMessage
from pathlib import Path

import pytest

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
from worker.errors import Forbidden, Refused, UnknownName, WrongKey
from worker.logs import JsonLines
from worker.providers.memory import MemoryCalendar

LEE = "lee@corp.example"
PRIYA = "priya@corp.example"  #: the third voice whom Sam asks a question
#: The word that each piece of content holds. None of them is in a template or in the program.
WORDS = {
    "report": "zephyrine",
    "report.support": "quillwort",
    "report.success": "marrowfat",
    "manager": "hyacinthine",
    "manager.support": "wolfsbane",
    "manager.success": "tamarisk",
    "manager.let_go": "bergamotte",
    "review": "saxifrage",
    "question": "nightshade",
    "progress": "larkspurry",
    "manager.changed": "periwinkle",
    "reason.change": "candytufts",
    "reason.let_go": "toadflaxes",
    "report.let_go": "honeysuckle",
    "reason.report_change": "cornflowers",
    "reason.report_let_go": "buttercupped",
    "reason.talk": "monkshoods",
    "reason.access": "foxgloves",
    "reason.move": "stitchworts",
    "learning": "ladysmantle",
    "voice.question": "eglantine",
    "voice.answer": "snapdragons",
    "note.manager": "coltsfoots",
    "note.report": "speedwells",
}
#: No mail shows the question to a third voice and its answer: only a page does.
PAGE_WORDS = {WORDS[name] for name in ("voice.question", "voice.answer")}
#: No mail shows why the manager changed or ended a commitment.
UNMAILED_WORDS = {WORDS[name] for name in ("reason.change", "reason.let_go")} | PAGE_WORDS
#: The blocks on the manager's calendar show the texts of the manager's commitments.
BLOCK_WORDS = {WORDS[name] for name in ("manager", "manager.let_go", "manager.changed")}


def make_contract(day: date) -> Contract:
    """Return a contract, recorded on that day, with a rare word in each of its texts."""
    due = day + timedelta(days=40)
    return Contract(
        report=(
            WrittenCommitment(
                text=f"Draft the {WORDS['report']} page",
                due=due,
                support=WORDS["report.support"],
                success=WORDS["report.success"],
            ),
            WrittenCommitment(text=f"Read about {WORDS['report.let_go']}", due=due + timedelta(days=5)),
        ),
        manager=(
            WrittenCommitment(
                text=f"Introduce Sam to the {WORDS['manager']} group",
                due=due,
                support=WORDS["manager.support"],
                success=WORDS["manager.success"],
            ),
            WrittenCommitment(text=f"Ask about {WORDS['manager.let_go']}", due=due + timedelta(days=5)),
        ),
        reviews=(ReviewPoint(month=date(due.year, due.month, 1), text=f"how the {WORDS['review']} went"),),
        question=f"What about {WORDS['question']}?",
        progress=(f"The {WORDS['progress']} was named by two teams.",),
    )


class DraftRecorder(MemoryCalendar):
    """A calendar service that keeps each event draft that is written, with the calendar."""

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
class Traces:
    """What the program has written from the first career session to the next."""

    office: Office
    calendar: DraftRecorder
    folder: Path  #: with the database, the queue, the log and the error output
    log: str
    errors: str  #: the texts of errors raised by calls that had content as an argument


def record_traces(folder: Path) -> Traces:
    """Let the program work from one career session to the next, with its database, queue and log in the folder."""
    url = f"sqlite:///{folder / 'longarc.db'}"
    with (folder / "longarc.log").open("w") as stream:
        handler = logging.StreamHandler(stream)
        handler.setFormatter(JsonLines())
        root = logging.getLogger()
        level_before, library_names = root.level, ("sqlalchemy.engine", "huey", "alembic")
        root.addHandler(handler)
        root.setLevel("DEBUG")
        for name in library_names:
            logging.getLogger(name).setLevel("DEBUG")
        try:
            office, calendar, errors = run_cycle(url)
        finally:
            root.removeHandler(handler)
            root.setLevel(level_before)
            for name in library_names:
                logging.getLogger(name).setLevel("WARNING")
    fill_queue(folder)
    return Traces(office, calendar, folder, (folder / "longarc.log").read_text(), errors)


def run_cycle(url: str) -> tuple[Office, DraftRecorder, str]:
    """Let the program work for Dana and Sam from the first career session to the start of the next.

    Kim is another report of Dana's, who may read nothing of Sam's. The calendar and mail services fail for a while, so
    that the operator gets alerts. Return the office, its calendar, and the texts of errors.
    """
    migrate(url)
    office = Office(url, people(DANA, SAM, KIM), pairs(pair(), pair(DANA, KIM)), office_settings=settings(url))
    calendar = DraftRecorder()
    office.calendar = calendar
    office.worker.services.use(calendars={"memory": calendar})
    office.tick()
    actions, contracts, pair_id = office.worker.actions, office.worker.contracts, PairId(DANA, SAM)
    office.store.learnings.write([pair_id], f"I grew {WORDS['learning']} before I asked.", office.clock())
    held = hold_session(office, pair_id)
    contracts.record(held.id, make_contract(office.clock().date()))
    office.run(2 * HOUR)
    commitments = sorted(office.store.queries.list_commitments(pair_id), key=lambda commitment: commitment.due)
    to_change, to_let_go = (commitment for commitment in commitments if commitment.owner == "manager")
    _, of_report = (commitment for commitment in commitments if commitment.owner == "report")
    new_due = of_report.due + timedelta(days=1)
    contracts.change(of_report.id, due=new_due, reason=WORDS["reason.report_change"], by=Owner.REPORT)
    office.run(2 * HOUR)
    contracts.let_go(of_report.id, WORDS["reason.report_let_go"], by=Owner.REPORT)
    office.run(2 * HOUR)
    next_session = office.session(SessionKind.CAREER, pair_id)
    actions.request_another_time(next_session.id, by=SAM, reason=f"My {WORDS['reason.move']} are out")
    office.run(2 * HOUR)
    actions.request_ad_hoc_session(pair_id, Trigger.LEAVING, f"Somebody of {WORDS['reason.talk']} called")
    office.run(5 * DAY)
    new_text = f"Introduce Sam to the {WORDS['manager.changed']} group"
    contracts.change(to_change.id, text=new_text, reason=WORDS["reason.change"], by=Owner.MANAGER)
    office.run(DAY)  # so that the summary of each revision is sent
    contracts.let_go(to_let_go.id, f"Because of {WORDS['reason.let_go']}", by=Owner.MANAGER)
    office.run(DAY)
    on_behalf = OnBehalf(ContentAccess.SHOW_CONTRACT, DANA, f"Dana asked, about {WORDS['reason.access']}")
    contracts.record_access(pair_id, on_behalf)
    office.run(DAY)
    contracts.record_access(pair_id, on_behalf)  # the mails about this access are refused, by the next line
    office.mailer.fail = Fails(lambda: Forbidden("no mailbox of that name"), "send", times=2)
    office.calendar.fail = Fails(lambda: Forbidden("not here"), "create", "update", times=2)
    office.run(DAY)
    office.calendar.fail = office.mailer.fail = None
    question = office.worker.third_voices.ask(office.persons[SAM], PRIYA, f"Do I {WORDS['voice.question']} too much?")
    office.run(5 * DAY)
    assert office.worker.third_voices.answer(question.id, f"More {WORDS['voice.answer']}, I would say")
    office.run(5 * DAY)
    sessions = office.store.queries.list_sessions(pair_id)
    (unfinished,) = (session for session in sessions if session.state is SessionState.UNFINISHED)
    office.worker.notes.save(unfinished.id, Owner.MANAGER, [f"Ask about {WORDS['note.manager']}"])
    office.worker.notes.save(unfinished.id, Owner.REPORT, [f"Nobody saw the {WORDS['note.report']}"])
    office.run_to(office.session(SessionKind.CAREER, pair_id).span.start)
    return office, calendar, collect_error_texts(office, held, to_change.id)


def hold_session(office: Office, pair_id: PairId) -> Session:
    """Let time pass until the pair's next career session has ended; return the session as it is then."""
    session = office.session(SessionKind.CAREER, pair_id)
    office.run_to(session.span.end)
    office.tick()
    held = office.store.queries.get_session(session.id)
    assert held is not None
    return held


def collect_error_texts(office: Office, held: Session, commitment: str) -> str:
    """Return the texts of the errors that calls with content raise."""
    other_worker = office.add_worker("with another key")
    wrong_key = KEY[::-1].replace("=", "") + "="  # another key in the same form
    other_worker.store.content._seal = type(other_worker.store.content._seal)([wrong_key])
    undated = Contract(
        manager=(WrittenCommitment(text=f"Some {WORDS['manager']}", due=None),), question=WORDS["question"]
    )
    attempts = (
        (Refused, lambda: office.worker.contracts.record(held.id, undated)),
        (UnknownName, lambda: office.worker.contracts.record("nothing", make_contract(office.clock().date()))),
        (UnknownName, lambda: office.worker.contracts.change("nothing", text=WORDS["manager.changed"])),
        (WrongKey, lambda: other_worker.store.content.list_revisions(held.id)),
        (Refused, lambda: mark_done_twice(office, commitment)),
        (Refused, lambda: office.worker.actions.explain_deferral(held.id, f"Those {WORDS['reason.move']}")),
        (Refused, lambda: office.worker.notes.save(held.id, Owner.REPORT, [WORDS["note.report"]])),
    )
    error_texts = []
    for error, attempt in attempts:
        with pytest.raises(error) as error_info:
            attempt()
        error_texts.append(f"{error_info.value!s} {error_info.value!r}")
    return "\n".join(error_texts)


def mark_done_twice(office: Office, commitment: str) -> None:
    """Mark a commitment as done, and try to do so again. Raises Refused."""
    for _ in range(2):
        office.worker.contracts.mark_done(commitment, WORDS["reason.change"])


def fill_queue(folder: Path) -> None:
    """Put tasks into Huey's queue, in a process of its own: `worker.tasks` reads the settings when it is imported."""
    config = folder / "longarc.toml"
    config.write_text(f'database = "sqlite:///{folder / "longarc.db"}"\npeople = "none.csv"\noperator = "{OPERATOR}"\n')
    script = (
        "from worker import tasks\n"
        "tasks.sync(); tasks.sweep(); tasks.deliver(); tasks.tick.call_local()\n"
        "print(tasks.huey.pending_count())"
    )
    environment = {"LONGARC_CONFIG": str(config), "LONGARC_KEY": KEY, "PATH": ""}
    command = [sys.executable, "-c", script]
    process = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert int(process.stdout.split()[-1]) >= 3, "the queue lacks tasks that the script has called"
    (folder / "queue.err").write_text(process.stderr)  # to be searched, too


# --- the search for words ---


#: White space, and a line break as it is escaped in JSON and by `repr`.
SPACES = re.compile(rb"(?:\s|\\r|\\n)+")


def find_words(raw: bytes) -> set[str]:
    """Return the words of `WORDS` in some bytes, as plain text in any case, quoted-printable or base64.

    Base64 may be divided into lines, since mails and PEM files break it at any place.
    """
    plain_forms = (raw.lower(), quopri.decodestring(raw).lower())
    joined_lines = SPACES.sub(b"", raw)

    def is_in_raw(word: str) -> bool:
        is_readable = any(word.encode() in form for form in plain_forms)
        return is_readable or any(form in joined_lines for form in encode_base64(word))

    return {word for word in WORDS.values() if is_in_raw(word)}


def encode_base64(word: str) -> list[bytes]:
    """Return the word in base64 for each of the three offsets at which it can start in a group of three bytes.

    Only characters that do not depend on the bytes before and after the word are returned.
    """
    encoded_texts = [base64.b64encode(b"_" * offset + word.encode()) for offset in range(3)]
    return [
        encoded[-(-8 * offset // 6) : 8 * (offset + len(word)) // 6] for offset, encoded in enumerate(encoded_texts)
    ]


def find_words_in_mail(mail: EmailMessage) -> set[str]:
    return find_words((texts([mail]) + str(mail["Subject"])).encode())


def get_recipient(mail: EmailMessage) -> str:
    return str(mail["To"]).rpartition("<")[2].strip(">")
