"""The command `longarc` and the list of its commands, which are defined in `worker.commands`."""

import click

from worker import __version__
from worker.commands.backup import backup, restore
from worker.commands.base import MainGroup
from worker.commands.connect import connect
from worker.commands.contracts import commitment, contract
from worker.commands.conversations import defer, mark_held, not_held, talk
from worker.commands.coverage import coverage
from worker.commands.example import example
from worker.commands.export import export
from worker.commands.forget import forget
from worker.commands.init import init
from worker.commands.learning import learning
from worker.commands.maintenance import check, key, retry, rotate
from worker.commands.manual import completion, man
from worker.commands.notes import note
from worker.commands.people import people
from worker.commands.plan import plan
from worker.commands.rollout import pause, resume, rollout
from worker.commands.run import run
from worker.commands.serve import revoke, serve
from worker.commands.simulate import simulate
from worker.commands.status import sessions, status, why
from worker.commands.undo import undo

#: The commands in the order of `longarc --help`, by the heading under which it lists them.
CHAPTERS: dict[str, list[click.Command]] = {
    "Set it up": [init, example, simulate],
    "Run it": [run, serve, check, plan, status, retry, backup, restore],
    "Conversations": [sessions, why, talk, defer, mark_held, not_held],
    "What was agreed": [contract, commitment, note, learning],
    "Who takes part": [rollout, pause, resume, undo],
    "A person's data": [export, forget],
    "The company": [people, coverage, key, rotate, connect, revoke],
    "Your shell": [completion, man],
}

main = MainGroup(
    "longarc",
    chapters=CHAPTERS,
    help="Books, protects and follows through on career conversations between a manager and each report.",
    epilog="Exit codes: 0 done, 1 failed, 2 misused. Every command has --help, and takes --config FILE.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
main = click.version_option(__version__, prog_name="longarc", message="%(prog)s %(version)s")(main)
