"""`longarc learning`: stores a learning for the reports of a manager.

A learning is one sentence in which a manager says what they are learning themselves. The next mail that asks a report
to prepare, the prompt, quotes it (R-35).
"""

import click

from worker.clock import utcnow
from worker.commands.arguments import TextLine, find_person
from worker.commands.base import Command
from worker.commands.context import open_worker
from worker.commands.contracts import reason_option
from worker.commands.terminal import print_line
from worker.domain.counts import format_count
from worker.errors import Refused


@click.command("learning", cls=Command, short_help="Write what a manager learned, for the next prompt of each report.")
@click.argument("manager")
@click.argument("text", type=TextLine(), default="-")
@reason_option
def learning(manager: str, text: str, reason: str) -> None:
    """Write one sentence of MANAGER about their own learning, from TEXT or standard input; an empty text withdraws it.

    The sentence goes into the next prompt of each report once, in the manager's name. So write only what the manager
    gave you. Managers who have pages write it there. The manager and each report are told by mail that a command wrote
    it.
    """
    from worker.domain.model import MAX_LEARNING_CHARS, ContentAccess
    from worker.engine.contracts import OnBehalf

    if not reason.strip():
        raise click.UsageError(
            'This writes in a manager\'s name. Say why: --reason "...". The manager and each report are told by mail.'
        )
    if len(text) > MAX_LEARNING_CHARS:
        raise Refused(f"This is longer than {MAX_LEARNING_CHARS} characters. Keep it to one sentence.")
    with open_worker(needs_encryption_key=True) as worker:
        address = find_person(worker.store, worker.store.people.load_current_people(), manager)
        pairs = [pair.id for pair in worker.store.people.list_pairs_of_manager(address)]
        if not pairs:
            raise Refused(f"{address} has no reports at present.")
        on_behalf = OnBehalf(ContentAccess.WRITE_LEARNING, address, reason.strip())
        # they record that a command wrote in the manager's name, and add the mails that tell both people of each pair
        access_writers = [worker.contracts.make_access_writer(pair_id, on_behalf) for pair_id in pairs]
        with worker.store.database.write() as connection:
            worker.store.learnings.save(connection, pairs, text, utcnow())
            for write_access in access_writers:
                write_access(connection)
    if text:
        print_line(f"The sentence goes into the next prompt of {format_count(len(pairs), 'report')}, once.", "green")
    else:
        print_line("The sentence was withdrawn.")
