"""`longarc contract` and `longarc commitment`: record and open contracts, list and change commitments.

Content is printed only by `contract show` and `commitment list --words`, and only to standard output: errors name lines
and never quote them. Each command that shows or changes content is an access: it requires `--on-behalf-of` and
`--reason`, writes a line to the history, and tells both people by mail.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING, Any

import click

from worker.clock import utcnow
from worker.commands.arguments import (
    Day,
    TextLine,
    find_manager,
    find_pair,
    find_primary_address,
    find_session,
    get_display_name,
    json_option,
    read_text_file,
    session_argument,
)
from worker.commands.base import CommandFailed, CommandGroup
from worker.commands.context import open_worker, to_local_time
from worker.commands.terminal import (
    add_row,
    confirm,
    format_day,
    format_time,
    make_table,
    print_json,
    print_line,
    print_table,
)
from worker.domain.contract.languages import CONTRACT_LANGUAGES
from worker.domain.counts import format_count
from worker.errors import NotHeldYet, Overtaken, Problem, Problems, Refused, UnknownName

if TYPE_CHECKING:
    from worker.app import Worker
    from worker.domain.contract.check import ContractCheck, ContractFault
    from worker.domain.contract.lint import LintQuestion
    from worker.domain.model import Address, Commitment, ContentAccess, PairId, Person, Session, WrittenCommitment
    from worker.engine.contracts import OnBehalf
    from worker.store.store import Store


_BEHALF_HELP = "The address of the person who asked for this, one of the two. Both are told by mail."
_REASON_HELP = "Why you do this. Kept sealed, and told to both by mail."
behalf_option = click.option("--on-behalf-of", "person", metavar="PERSON", help=_BEHALF_HELP)
reason_option = click.option("--reason", type=TextLine(), metavar="TEXT", default="", help=_REASON_HELP)


#: What each command does with content, by the value of ContentAccess, as the beginning of the error text that asks for
#: the person and the reason.
_ACCESS_DESCRIPTIONS = {
    "contract show": "This shows what two people agreed on.",
    "contract record": "This records a contract for two people.",
    "commitment list": "This shows what two people promised.",
    "commitment done": "This says for two people that a commitment was kept.",
    "commitment change": "This changes what one of two people promised.",
    "commitment let-go": "This lets go of what one of two people promised.",
    "export": "This puts what two people wrote down into a file.",
    "note show": "This shows what two people noted for each other.",
    "note add": "This leaves a note for two people.",
    "learning": "This writes in a manager's name.",
    "defer": "This writes in a report's name.",
}


#: The problem and the remedy of each kind of contract fault, by the value of FaultKind. `{days}` stands for the days
#: that are allowed.
_FAULT_TEXTS = {
    "undated": ("This commitment has no date.", "End the line with the day, as in `by 2027-02-15`."),
    "far": ("This date is too long ago or too far ahead.", "Write one {days}."),
    "long": ("This is too long.", "Shorten it."),
    "many": ("A part has too many lines.", "Keep what was agreed."),
}


def require_on_behalf(
    store: "Store", pair_id: "PairId", access: "ContentAccess", person: str | None, reason: str
) -> "OnBehalf":
    """Return the person of the pair on whose behalf content is opened or changed, with the reason.

    Raises UsageError when the person or the reason is missing, UnknownName when the person is neither of the two.
    """
    from worker.engine.contracts import OnBehalf

    if not person or not reason.strip():
        raise click.UsageError(
            f"{_ACCESS_DESCRIPTIONS[access]} Say on behalf of which of them, and why: "
            '--on-behalf-of PERSON --reason "...". Both are told by mail.'
        )
    return OnBehalf(access, find_one_of_pair(store, pair_id, person), reason.strip())


def find_one_of_pair(store: "Store", pair_id: "PairId", person: str) -> "Address":
    """Return the primary address of one of the two people of the pair; aliases are accepted.

    Raises UnknownName for anybody else.
    """
    address = find_primary_address(store, person)
    if address not in pair_id.people:
        raise UnknownName(f"{address} is neither of the two. Give {' or '.join(pair_id.people)} to --on-behalf-of.")
    return address


@click.group("contract", cls=CommandGroup, short_help="Record what the two agreed on: template, record, show.")
def contract() -> None:
    """Record what the two people of a pair agreed on, and open it again."""


@contract.command("template", short_help="Print a contract file to fill in.")
@click.argument("session_id", metavar="[SESSION]", required=False)
@click.option(
    "--language",
    type=click.Choice(list(CONTRACT_LANGUAGES)),
    help="Default: the language of the manager, else English.",
)
def template(session_id: str | None, language: str | None) -> None:
    """Print a contract file to fill in, with the names of the two when SESSION is given.

    The file is in the language of the manager if that is English or German, else in English. `contract record` reads
    both.
    """
    from worker.domain.contract.markdown_writer import render_blank

    if session_id is None:
        click.echo(render_blank("Manager", "Report", utcnow().date(), language or "en"), nl=False)
        return
    with open_worker() as worker:
        session = find_session(worker.store, session_id)
        manager_name, report_name = _load_names(worker, session)
        manager = find_manager(worker.store, session.pair)
        today = to_local_time(utcnow(), manager.zone).date()
        click.echo(render_blank(manager_name, report_name, today, language or manager.locale), nl=False)


@contract.command("record", short_help="Record a filled contract; both get it by mail.")
@session_argument
@click.argument("file", metavar="FILE")
@click.option("--yes", is_flag=True, help="Record without asking for confirmation. Questions are still shown.")
@behalf_option
@reason_option
def record(session_id: str, file: str, yes: bool, person: str | None, reason: str) -> None:
    """Record the contract of SESSION from FILE (`-` for standard input), or a new revision of it.

    All problems of the file are reported at once. Longarc asks about each commitment that is vague or depends on
    others. Nothing is recorded before you confirm. Both people then get the summary by mail.
    """
    from worker.domain.contract.markdown import try_parse_contract
    from worker.domain.model import ContentAccess

    with open_worker(needs_encryption_key=True) as worker:
        session = find_session(worker.store, session_id)
        on_behalf = require_on_behalf(worker.store, session.pair, ContentAccess.RECORD_CONTRACT, person, reason)
        filled_contract, problems = try_parse_contract(read_text_file(file), get_display_name(file))
        contract_check = worker.contracts.check(session_id, filled_contract)
        _refuse_problems(problems, contract_check, get_display_name(file))
        _show_questions(contract_check.questions, get_display_name(file))
        if not (yes or _confirm_recording(file)):
            raise CommandFailed("Nothing was recorded. Change the file, or say --yes to record it as it is.")
        with _add_helpful_commands(session_id):
            result = worker.contracts.record(
                session_id, filled_contract, base_revision=contract_check.newest_revision, on_behalf=on_behalf
            )
        recorded_session, manager = find_session(worker.store, session_id), find_manager(worker.store, session.pair)
    if not result.is_new:
        print_line("This contract is recorded already. Nothing was changed, and nobody gets a mail.")
        return
    revision = "" if result.revision == 1 else f" as revision {result.revision}"
    commitment_count = len(filled_contract.manager) + len(filled_contract.report)
    print_line(f"Recorded{revision}: {format_count(commitment_count, 'commitment')}.", "green")
    print_line(
        "The summary leaves for both within five minutes, while `longarc run` is running. "
        f"{_describe_deadline(recorded_session, manager)}"
    )


def _refuse_problems(problems: Sequence[Problem], contract_check: "ContractCheck", file: str) -> None:
    """Raise Problems with every problem of the file and every fault of the contract, in the order of the lines."""
    from worker.domain.contract.markdown import get_problem_line

    all_problems = [*problems, *(_make_problem(fault, contract_check, file) for fault in contract_check.faults)]
    if all_problems:
        raise Problems(sorted(all_problems, key=get_problem_line))


def _make_problem(fault: "ContractFault", contract_check: "ContractCheck", file: str) -> Problem:
    """Return the problem report about one fault, with its line in the file."""
    what, remedy = _FAULT_TEXTS[fault.kind.value]
    return Problem(f"{file}:{fault.line}", what, remedy.format(days=contract_check.days))


@contextmanager
def _add_helpful_commands(session_id: str) -> Iterator[None]:
    """Add the command that helps to the text of each error that recording a contract can raise."""
    try:
        yield
    except NotHeldYet as error:
        raise NotHeldYet(f"{error} If it took place, record that first: longarc held {session_id}") from None
    except Overtaken as error:
        raise Overtaken(f"{error} Read it first: longarc contract show {session_id}") from None


def _show_questions(questions: "Sequence[LintQuestion]", file: str) -> None:
    """Print each question about the wording of a commitment, with its line and advice on better wording (R-16)."""
    if not questions:
        return
    print_line(f"{format_count(len(questions), 'question')} before the contract is sent:", "bold")
    for question in questions:
        # the text addresses the manager, in whose language contract files are written
        owner = "your own commitment" if question.owner == "manager" else "their commitment"
        print_line(f"  {file}:{question.line}, {owner}: {question.sentence}", "yellow")
        print_line(f"      {question.advice}")


def _confirm_recording(file: str) -> bool:
    """Ask whether to record the contract, and return the answer.

    Return False without asking when the file was read from standard input, from which no answer can come.
    """
    return file != "-" and confirm("Record it as it is?")


def _describe_deadline(session: "Session", manager: "Person") -> str:
    """Return a sentence that says when the contract is or was due (R-15); empty for a session not held yet."""
    from worker.domain.planning.contract_mails import find_contract_deadline

    if session.held_at is None:
        return ""
    deadline = find_contract_deadline(manager, session)
    verb = "is" if utcnow() <= deadline else "was"
    return f"The contract {verb} due by {format_time(deadline, manager.zone)}."


def _load_names(worker: "Worker", session: "Session") -> tuple[str, str]:
    """Return the names of the manager and the report of this session."""
    people = worker.store.people.load_all_people()
    return people[session.pair.manager].name, people[session.pair.report].name


@contract.command("show", short_help="Open and print the contract.")
@session_argument
@click.option("--revision", type=click.IntRange(min=1), metavar="N", help="Revision N. Default: the newest.")
@behalf_option
@reason_option
def show_contract(session_id: str, revision: int | None, person: str | None, reason: str) -> None:
    """Open the contract of SESSION and print it.

    Only the two people of the pair may read it, and both are told by mail. The output is a contract file: you can
    change it and record it as the next revision.
    """
    from worker.domain.contract.markdown_writer import render_contract, render_title
    from worker.domain.model import ContentAccess

    with open_worker(needs_encryption_key=True) as worker:
        session = find_session(worker.store, session_id)
        on_behalf = require_on_behalf(worker.store, session.pair, ContentAccess.SHOW_CONTRACT, person, reason)
        revisions = worker.store.content.list_revisions(session_id)
        if not revisions:
            raise UnknownName(
                f"Session {session_id} has no contract. Record one: longarc contract record {session_id} FILE"
            )
        number = revision or len(revisions)  # revisions are numbered from 1
        if number > len(revisions):
            raise UnknownName(
                f"Session {session_id} has {format_count(len(revisions), 'revision')}, but no revision {number}."
            )
        chosen_revision = revisions[number - 1]
        manager_name, report_name = _load_names(worker, session)
        manager = find_manager(worker.store, session.pair)
        day = to_local_time(chosen_revision.recorded_at, manager.zone).date()
        worker.contracts.record_access(session.pair, on_behalf)
    title = render_title(manager_name, report_name, day, number, manager.locale)
    click.echo(render_contract(chosen_revision.contract, title, manager.locale), nl=False)


# --- commitments ---


@click.group("commitment", cls=CommandGroup, short_help="Follow commitments: list, done, change, let-go.")
def commitment() -> None:
    """Follow commitments. Each change is a new revision of the contract, which both people get by mail."""


@commitment.command("list", short_help="List commitments by due date.")
@click.option("--pair", metavar="PAIR", help="Of this pair: `manager>report`, or the report alone.")
@click.option("--all", "include_closed", is_flag=True, help="Include closed commitments.")
@click.option("--words", "with_texts", is_flag=True, help="Open and print their text too. Needs --pair.")
@behalf_option
@reason_option
@json_option
def list_commitments(
    pair: str | None, include_closed: bool, with_texts: bool, as_json: bool, person: str | None, reason: str
) -> None:
    """List commitments by due date, with owner and status. With --words, both people are told by mail."""
    from worker.domain.model import ContentAccess

    if with_texts and not pair:
        raise click.UsageError("--words opens the content of a pair. Name the pair with --pair.")
    with open_worker(needs_encryption_key=with_texts) as worker:
        pair_id = find_pair(worker.store, pair).id if pair else None
        all_commitments = worker.store.queries.list_commitments(pair_id)
        commitments = [commitment for commitment in all_commitments if include_closed or commitment.is_open]
        texts: Mapping[str, WrittenCommitment] = {}
        if with_texts and pair_id is not None:
            on_behalf = require_on_behalf(worker.store, pair_id, ContentAccess.LIST_COMMITMENTS, person, reason)
            worker.contracts.record_access(pair_id, on_behalf)
            texts = worker.store.content.get_written_commitments([commitment.id for commitment in commitments])
    if as_json:
        print_json([_commitment_to_json(commitment, texts.get(commitment.id)) for commitment in commitments])
    else:
        _show_commitments(commitments, texts, with_texts=with_texts)


def _show_commitments(
    commitments: "Sequence[Commitment]", texts: "Mapping[str, WrittenCommitment]", *, with_texts: bool
) -> None:
    """Print a table of the commitments. `texts`: by the id of the commitment; empty unless they were opened."""
    if not commitments:
        print_line("There are no commitments.")
        return
    today = utcnow().date()
    table = make_table(
        "", [("Commitment", "unwrapped"), "Due", "Pair", "Owner", "Status", *(["What"] if with_texts else [])]
    )
    for commitment in commitments:
        cells: list[object] = [
            commitment.id,
            format_day(commitment.due),
            commitment.pair,
            commitment.owner.value,
            _describe_status(commitment, today),
        ]
        if with_texts:
            cells.append(texts[commitment.id].text if commitment.id in texts else "")
        add_row(table, *cells)
    print_table(table)


def _describe_status(commitment: "Commitment", today: date) -> str:
    if not commitment.is_open:
        return commitment.standing.value.replace("_", " ")
    days_late = (today - commitment.due).days
    return f"open, {format_count(days_late, 'day')} late" if days_late > 0 else "open"


def _commitment_to_json(commitment: "Commitment", content: "WrittenCommitment | None") -> dict[str, Any]:
    values: dict[str, Any] = {
        "commitment": commitment.id,
        "pair": str(commitment.pair),
        "session": commitment.session,
        "owner": commitment.owner.value,
        "due": commitment.due,
        "standing": commitment.standing.value,
        "closed_at": commitment.closed_at,
    }
    return values | ({"text": content.text} if content else {})


_id_argument = click.argument("commitment_id", metavar="ID")


@commitment.command("done", short_help="Record that a commitment was kept.")
@_id_argument
@behalf_option
@reason_option
def mark_done(commitment_id: str, person: str | None, reason: str) -> None:
    """Record that a commitment was kept. Its event is then removed from the manager's calendar."""
    from worker.domain.model import ContentAccess

    with open_worker(needs_encryption_key=True) as worker:
        pair_id = worker.contracts.get_pair_of_commitment(commitment_id)
        on_behalf = require_on_behalf(worker.store, pair_id, ContentAccess.MARK_DONE, person, reason)
        worker.contracts.mark_done(commitment_id, on_behalf=on_behalf)
    print_line(f"{commitment_id} is done.", "green")


@commitment.command("change", short_help="Change the text or the due date.")
@_id_argument
@click.option("--text", type=TextLine(), metavar="TEXT", help="The new text; `-` reads standard input.")
@click.option("--due", type=Day(), metavar="DAY", help="The new due date, as 2027-03-02.")
@behalf_option
@reason_option
def change(commitment_id: str, text: str | None, due: date | None, person: str | None, reason: str) -> None:
    """Change the text or the due date of a commitment. Both people get the new revision by mail."""
    from worker.domain.contract.check import UnfitContract
    from worker.domain.model import ContentAccess

    if text is None and due is None:
        raise click.UsageError("Give the new --text, the new --due day, or both.")
    if text == "":
        raise click.UsageError("--text is empty. Write what is promised now, or leave --text out.")
    with open_worker(needs_encryption_key=True) as worker:
        pair_id = worker.contracts.get_pair_of_commitment(commitment_id)
        on_behalf = require_on_behalf(worker.store, pair_id, ContentAccess.CHANGE_COMMITMENT, person, reason)
        try:
            # An empty text or a missing due date leaves that part of the commitment unchanged.
            has_changed = worker.contracts.change(
                commitment_id, text=text or "", due=due, reason=on_behalf.reason, on_behalf=on_behalf
            )
        except UnfitContract as error:
            raise Refused(f"{due} is too long ago or too far ahead. Give a day {error.days}.") from None
    if has_changed:
        print_line(f"{commitment_id} is changed; both get the new revision by mail.")
    else:
        print_line(
            f"{commitment_id} has this text and this due date already. Nothing was changed, and nobody gets a mail."
        )


@commitment.command("let-go", short_help="Release a commitment that no longer matters.")
@_id_argument
@behalf_option
@reason_option
def let_go(commitment_id: str, person: str | None, reason: str) -> None:
    """Release a commitment that no longer matters. Both people get the new revision by mail."""
    from worker.domain.model import ContentAccess

    with open_worker(needs_encryption_key=True) as worker:
        pair_id = worker.contracts.get_pair_of_commitment(commitment_id)
        on_behalf = require_on_behalf(worker.store, pair_id, ContentAccess.LET_GO, person, reason)
        worker.contracts.let_go(commitment_id, on_behalf.reason, on_behalf)
    print_line(f"{commitment_id} is let go; both get the new revision by mail.")
