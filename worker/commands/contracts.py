"""`longarc contract` and `longarc commitment`: what two people agreed on, written down and followed.

What they agreed on is printed by `contract show` and `commitment list --words` alone, to standard output, and nowhere
else: errors name lines, never words. Every command that shows or changes it asks for whom and why, leaves a line in the
history, and has both people told by mail.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING, Any

import click

from worker.clock import utcnow
from worker.commands.arguments import (
    Day,
    TextLine,
    display_name,
    find_manager,
    find_pair,
    find_primary_address,
    find_session,
    json_option,
    read_text_file,
    session_argument,
)
from worker.commands.base import CommandFailed, CommandGroup
from worker.commands.context import open_worker, to_local_time
from worker.commands.terminal import (
    add_row,
    format_count,
    format_day,
    format_time,
    make_table,
    print_json,
    print_line,
    print_table,
)
from worker.domain.contract.languages import CONTRACT_LANGUAGES
from worker.errors import NotHeldYet, Overtaken, Problem, Problems, Refused, UnknownName

if TYPE_CHECKING:
    from worker.app import Worker
    from worker.domain.contract.check import ContractCheck, ContractFault
    from worker.domain.contract.lint import LintQuestion
    from worker.domain.model import Commitment, ContentAccess, PairId, Person, Session, WrittenCommitment
    from worker.engine.contracts import OnBehalf
    from worker.store.store import Store


_BEHALF_HELP = "For which of the two: their address. Both are told by mail."
_REASON_HELP = "Why; kept sealed, and told to both by mail."
_behalf_option = click.option("--on-behalf-of", "person", metavar="PERSON", help=_BEHALF_HELP)
_reason_option = click.option("--reason", type=TextLine(), metavar="TEXT", default="", help=_REASON_HELP)


#: What a command does with what two people wrote down, by its name.
_DOES = {
    "contract show": "This shows what two people agreed on.",
    "contract record": "This records a contract for two people.",
    "commitment list": "This shows what two people promised.",
    "commitment done": "This says for two people that a commitment was kept.",
    "commitment change": "This changes what one of two people promised.",
    "commitment let-go": "This lets go of what one of two people promised.",
}


#: What a line of a file says that can't be recorded, and what to write instead, by the kind of fault.
_FAULTS = {
    "undated": ("This commitment has no date.", "End the line with the day, as in `by 2027-02-15`."),
    "far": ("This date is too long ago or too far ahead.", "Write one {days}."),
    "long": ("This is too long.", "Shorten it."),
    "many": ("A part has too many lines.", "Keep what was agreed."),
}


def _on_behalf(
    store: "Store", pair_id: "PairId", access: "ContentAccess", person: str | None, reason: str
) -> "OnBehalf":
    """For which of the two a command shows or changes what they wrote down, and why. Raises UsageError when either is
    not said, UnknownName when it is neither of them."""
    from worker.engine.contracts import OnBehalf

    if not person or not reason.strip():
        raise click.UsageError(
            f"{_DOES[access]} Say for which of them, and why: "
            '--on-behalf-of PERSON --reason "...". Both are told by mail.'
        )
    address = find_primary_address(store, person)
    if address not in pair_id.people:
        raise UnknownName(f"{address} is neither of the two. Give {' or '.join(pair_id.people)} to --on-behalf-of.")
    return OnBehalf(access, address, reason.strip())


@click.group("contract", cls=CommandGroup, short_help="Write down what the two agreed on: template, record, show.")
def contract() -> None:
    """Write down what the two agreed on, and look at it again."""


@contract.command("template", short_help="A contract file to fill in.")
@click.argument("session", metavar="[SESSION]", required=False)
@click.option("--language", type=click.Choice(list(CONTRACT_LANGUAGES)), help="Else the manager's, else English.")
def template(session: str | None, language: str | None) -> None:
    """Print a contract file to fill in, with the names of the two when SESSION is given.

    It is in the manager's language where Longarc has it (English, German). A file may be written in any of them.
    """
    from worker.domain.contract.markdown_writer import render_blank as blank

    if session is None:
        click.echo(blank("Manager", "Report", utcnow().date(), language or "en"), nl=False)
        return
    with open_worker() as worker:
        found = find_session(worker.store, session)
        manager, report = _load_names(worker, found)
        leader = find_manager(worker.store, found.pair)
        there = to_local_time(utcnow(), leader.zone).date()
        click.echo(blank(manager, report, there, language or leader.locale), nl=False)


@contract.command("record", short_help="Record a filled contract; both get it by mail.")
@session_argument
@click.argument("file", metavar="FILE")
@click.option("--yes", is_flag=True, help="Record it without asking; the questions are shown all the same.")
@_behalf_option
@_reason_option
def record(session: str, file: str, yes: bool, person: str | None, reason: str) -> None:
    """Record the contract of SESSION from FILE (`-` for standard input), or a new revision of it.

    Everything wrong with the file is told at once. Each commitment that is vague, or promises what others decide, is
    asked about. Nothing is recorded before you say so. The summary then leaves for both.
    """
    from worker.domain.contract.markdown import read
    from worker.domain.model import ContentAccess

    with open_worker(seals=True) as worker:
        found = find_session(worker.store, session)
        on_behalf = _on_behalf(worker.store, found.pair, ContentAccess.RECORD_CONTRACT, person, reason)
        agreed, problems = read(read_text_file(file), display_name(file))
        checked = worker.contracts.check(session, agreed)
        _refuse_problems(problems, checked, display_name(file))
        _show_questions(checked.questions, display_name(file))
        if not (yes or _confirm_recording(file)):
            raise CommandFailed("Nothing was recorded. Change the file, or say --yes to record it as it is.")
        with _translate_refusals(session):
            result = worker.contracts.record(session, agreed, after=checked.after, on_behalf=on_behalf)
        again, leader = find_session(worker.store, session), find_manager(worker.store, found.pair)
    if not result.is_new:
        print_line("This contract is recorded already, just so. Nothing was changed, and nobody gets a mail.")
        return
    revision = "" if result.revision == 1 else f" as revision {result.revision}"
    print_line(f"Recorded{revision}: {format_count(len(agreed.manager) + len(agreed.report), 'commitment')}.", "green")
    print_line(
        "The summary leaves for both within five minutes, while `longarc run` is running. "
        f"{_describe_deadline(again, leader)}"
    )


def _refuse_problems(problems: Sequence[Problem], checked: "ContractCheck", file: str) -> None:
    """Raises Problems with all that can't be read and all that can't be recorded, in the order of the lines."""
    from worker.domain.contract.markdown import line_of

    every = [*problems, *(_problem(one, checked, file) for one in checked.faults)]
    if every:
        raise Problems(sorted(every, key=line_of))


def _problem(fault: "ContractFault", checked: "ContractCheck", file: str) -> Problem:
    what, remedy = _FAULTS[fault.kind.value]
    return Problem(f"{file}:{fault.line}", what, remedy.format(days=checked.days))


@contextmanager
def _translate_refusals(session: str) -> Iterator[None]:
    """What keeps a contract from being recorded, with the command that helps."""
    try:
        yield
    except NotHeldYet as error:
        raise NotHeldYet(f"{error} If it did, say so first: longarc held {session}") from None
    except Overtaken as error:
        raise Overtaken(f"{error} Look at it first: longarc contract show {session}") from None


def _show_questions(questions: "Sequence[LintQuestion]", file: str) -> None:
    """R-16: what each promise leaves open, by its line, with a better wording of the kind."""
    if not questions:
        return
    print_line(f"{format_count(len(questions), 'question')} before it is sent:", "bold")
    for one in questions:
        whose = "your own commitment" if one.owner == "manager" else "their commitment"
        print_line(f"  {file}:{one.line}, {whose}: {one.what}", "yellow")
        print_line(f"      {one.better}")


def _confirm_recording(file: str) -> bool:
    if file == "-" or sys.stdin is None:
        return False  # standard input has been read to its end, or is closed: nobody is there to answer
    try:
        return click.confirm("Record it as it is?", default=False)
    except click.Abort:
        click.echo(err=True)
        return False


def _describe_deadline(session: "Session", manager: "Person") -> str:
    """R-15: whether that is before the deadline."""
    from worker.domain.planning.notices import find_contract_deadline

    if session.held_at is None:
        return ""
    by = find_contract_deadline(manager, session)
    return f"The time for it {'ends' if utcnow() <= by else 'ended'} {format_time(by, manager.zone)}."


def _load_names(worker: "Worker", session: "Session") -> tuple[str, str]:
    from worker.store.statistics import Statistics

    people = Statistics(worker.store.database).load_all_people()
    return people[session.pair.manager].name, people[session.pair.report].name


@contract.command("show", short_help="The contract, opened: for the two it belongs to.")
@session_argument
@click.option("--revision", type=click.IntRange(min=1), metavar="N", help="An earlier revision; else the newest.")
@_behalf_option
@_reason_option
def show_(session: str, revision: int | None, person: str | None, reason: str) -> None:
    """Open the contract of SESSION and print it.

    It is for the two people it belongs to, and nobody else: both are told by mail. The output is a contract file:
    changed, it can be recorded as the next revision.
    """
    from worker.domain.contract.markdown_writer import render_contract, render_title
    from worker.domain.model import ContentAccess

    with open_worker(seals=True) as worker:
        found = find_session(worker.store, session)
        on_behalf = _on_behalf(worker.store, found.pair, ContentAccess.SHOW_CONTRACT, person, reason)
        recorded = worker.store.content.list_revisions(session)
        if not recorded:
            raise UnknownName(f"Session {session} has no contract. Record one: longarc contract record {session} FILE")
        number = revision or len(recorded)
        if number > len(recorded):
            raise UnknownName(
                f"Session {session} has {format_count(len(recorded), 'revision')}, none of number {number}."
            )
        chosen = recorded[number - 1]
        manager, report = _load_names(worker, found)
        leader = find_manager(worker.store, found.pair)
        there = to_local_time(chosen.recorded_at, leader.zone).date()
        worker.contracts.tell_access(found.pair, on_behalf)
    head = render_title(manager, report, there, number, leader.locale)
    click.echo(render_contract(chosen.contract, head, leader.locale), nl=False)


# --- commitments ---


@click.group("commitment", cls=CommandGroup, short_help="Follow what was promised: list, done, change, let-go.")
def commitment() -> None:
    """Follow what was promised. Changes reach both people in a new revision of the contract."""


@commitment.command("list", short_help="Commitments by due date, without their words.")
@click.option("--pair", metavar="PAIR", help="Of this pair: `manager>report`, or the report alone.")
@click.option("--all", "everything", is_flag=True, help="Also those that have ended.")
@click.option("--words", is_flag=True, help="Open their words too: for the two of the pair. Needs --pair.")
@_behalf_option
@_reason_option
@json_option
def list_(pair: str | None, everything: bool, words: bool, as_json: bool, person: str | None, reason: str) -> None:
    """List commitments by due date: who owes, by when, how it stands. With --words, both are told by mail."""
    from worker.domain.model import ContentAccess

    if words and not pair:
        raise click.UsageError("--words opens what two people said: name them with --pair.")
    with open_worker(seals=words) as worker:
        pair_id = find_pair(worker.store, pair).id if pair else None
        found = [c for c in worker.store.queries.list_commitments(pair_id) if everything or c.is_open]
        told: Mapping[str, WrittenCommitment] = {}
        if words and pair_id is not None:
            on_behalf = _on_behalf(worker.store, pair_id, ContentAccess.LIST_COMMITMENTS, person, reason)
            worker.contracts.tell_access(pair_id, on_behalf)
            told = worker.store.content.get_written_commitments([c.id for c in found])
    if as_json:
        print_json([_commitment_to_json(one, told.get(one.id)) for one in found])
    else:
        _show_commitments(found, told, words=words)


def _show_commitments(found: "Sequence[Commitment]", told: "Mapping[str, WrittenCommitment]", *, words: bool) -> None:
    if not found:
        print_line("There are none.")
        return
    today = utcnow().date()
    shown = make_table(
        "", [("Commitment", "id"), "Due", "Pair", "Whose", "How it stands", *(["What"] if words else [])]
    )
    for one in found:
        cells = [one.id, format_day(one.due), one.pair, one.owner.value, _describe_standing(one, today)]
        add_row(shown, *cells, *([told[one.id].text if one.id in told else ""] if words else []))
    print_table(shown)


def _describe_standing(one: "Commitment", today: date) -> str:
    if not one.is_open:
        return one.standing.value.replace("_", " ")
    late = (today - one.due).days
    return f"open, {format_count(late, 'day')} late" if late > 0 else "open"


def _commitment_to_json(one: "Commitment", promise: "WrittenCommitment | None") -> dict[str, Any]:
    told: dict[str, Any] = {
        "commitment": one.id,
        "pair": str(one.pair),
        "session": one.session,
        "owner": one.owner.value,
        "due": one.due,
        "standing": one.standing.value,
        "closed_at": one.closed_at,
    }
    return told | ({"text": promise.text} if promise else {})


_id_argument = click.argument("commitment_id", metavar="ID")


@commitment.command("done", short_help="It was kept.")
@_id_argument
@_behalf_option
@_reason_option
def mark_done(commitment_id: str, person: str | None, reason: str) -> None:
    """Say that a commitment was kept; its time on the calendar goes."""
    from worker.domain.model import ContentAccess

    with open_worker(seals=True) as worker:
        pair_id = worker.contracts.pair_of_commitment(commitment_id)
        on_behalf = _on_behalf(worker.store, pair_id, ContentAccess.MARK_DONE, person, reason)
        worker.contracts.mark_done(commitment_id, on_behalf=on_behalf)
    print_line(f"{commitment_id} is done.", "green")


@commitment.command("change", short_help="Other words, or another date; both hear of it.")
@_id_argument
@click.option("--text", type=TextLine(), metavar="TEXT", help="What is promised now; `-` reads it from standard input.")
@click.option("--due", type=Day(), metavar="DAY", help="By when, as 2027-03-02.")
@_behalf_option
@_reason_option
def change(commitment_id: str, text: str | None, due: date | None, person: str | None, reason: str) -> None:
    """Change what is promised, or by when. Goals change, and nobody is to blame for it."""
    from worker.domain.contract.check import UnfitContract
    from worker.domain.model import ContentAccess

    if text is None and due is None:
        raise click.UsageError("Say what changes: --text, --due or both.")
    if text == "":
        raise click.UsageError("--text is empty. Say what is promised now, or leave it out.")
    with open_worker(seals=True) as worker:
        pair_id = worker.contracts.pair_of_commitment(commitment_id)
        on_behalf = _on_behalf(worker.store, pair_id, ContentAccess.CHANGE_COMMITMENT, person, reason)
        try:
            is_new = worker.contracts.change(
                commitment_id, text=text or "", due=due, reason=on_behalf.reason, on_behalf=on_behalf
            )
        except UnfitContract as error:
            raise Refused(f"{due} is too long ago or too far ahead. Give one {error.days}.") from None
    if is_new:
        print_line(f"{commitment_id} is changed; both get the new revision by mail.")
    else:
        print_line(f"{commitment_id} is promised just so already. Nothing was changed, and nobody gets a mail.")


@commitment.command("let-go", short_help="It is no longer promised; both hear of it.")
@_id_argument
@_behalf_option
@_reason_option
def let_go(commitment_id: str, person: str | None, reason: str) -> None:
    """Let a commitment go: what mattered then may not matter now."""
    from worker.domain.model import ContentAccess

    with open_worker(seals=True) as worker:
        pair_id = worker.contracts.pair_of_commitment(commitment_id)
        on_behalf = _on_behalf(worker.store, pair_id, ContentAccess.LET_GO, person, reason)
        worker.contracts.let_go(commitment_id, on_behalf.reason, on_behalf)
    print_line(f"{commitment_id} is let go; both get the new revision by mail.")
