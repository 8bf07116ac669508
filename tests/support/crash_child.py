"""Processes that work for a small company until they end or are killed, for `tests/engine/test_crash.py` and others.

    python -m tests.support.crash_child

This reads commands as JSON, one on each line, or a list of commands to carry out at once. For each it forks a process,
which does the work and ends, or is killed by SIGKILL in the middle of the work. So everything is imported only once,
and each kill is a real one. The program does not know of it: the functions to interrupt are wrapped here, from outside.
"""

import gc
import json
import os
import random
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import import_module
from threading import Thread
from typing import Any

import requests

from tests.support.companies import START, Office, contract, pair, pairs, person, settings
from worker.app import Worker, build
from worker.clock import SteppedClock
from worker.domain.model import ContentAccess, PairId, Session, SessionKind, SessionState
from worker.engine.contracts import OnBehalf
from worker.engine.outages import DATABASE, Outages
from worker.engine.people_import import IMPORT_VERSION_NAME
from worker.errors import LeaseLost
from worker.logs import set_up_logging
from worker.providers import base
from worker.providers.caldav.client import DavClient
from worker.store.database import describe_database_outage

#: Functions between a decision and its effect: how to find each, by the worker and the name of the calendar service.
#: There is a boundary before each call and one after it.
WRAPPED: dict[str, Callable[[Worker, str], tuple[object, str]]] = {
    "sync.save": lambda w, _: (w.store.calendars, "save"),
    "sweep.claim": lambda w, _: (w.store.plans, "claim"),
    "sweep.commit": lambda w, _: (w.store.plans, "commit"),
    "outbox.claim": lambda w, _: (w.store.outbox, "claim"),
    "outbox.begin": lambda w, _: (w.store.outbox, "begin"),
    "outbox.settle": lambda w, _: (w.store.outbox, "settle"),
    "create": lambda w, calendar: (w.services.get_calendar(calendar), "create"),
    "update": lambda w, calendar: (w.services.get_calendar(calendar), "update"),
    "cancel": lambda w, calendar: (w.services.get_calendar(calendar), "cancel"),
    "send": lambda w, _: (w.services.get_mailer(w.settings.mail.operator_by), "send"),
}
#: The same for CalDAV, where an effect takes several steps.
CALDAV_STEPS: dict[str, Callable[[Worker], tuple[object, str]]] = {
    "step.put": lambda _: (DavClient, "put"),
    "step.delete": lambda _: (DavClient, "delete"),
    "step.intend": lambda w: (w.store.attendee_copies, "intend_copy"),
    "step.confirm": lambda w: (w.store.attendee_copies, "confirm_copy"),
    "step.forget": lambda w: (w.store.attendee_copies, "forget_copies"),
}
#: Modules that the clients of the services import only when they are first used.
LAZY_IMPORTS = ("jwt", "worker.providers.google.calendar", "worker.providers.google.freebusy_reader")
#: The beginning of the last line that a process writes before it ends because its database is out of reach.
OUT_OF_REACH = "database out of reach: "
#: How many actions people take at one instant at most.
MAX_ACTIONS = 8


class Boundaries:
    """Logs each boundary when it is passed, and kills the process or restarts the database server at one of them.

    `kill` is the number of boundaries to pass before the kill; None: it is not killed. `restart` has the command that
    restarts the server, the `user` who runs it, and as `after` the number of boundaries to pass before; None: it is not
    restarted.
    """

    def __init__(self, tell: Callable[[str], None], kill: int | None, restart: dict[str, Any] | None) -> None:
        self._tell = tell
        self._left_until_kill = kill
        self._restart = restart

    def wrap(self, worker: Worker, calendar: str) -> None:
        """Wrap the functions of that worker, whose calendars are of that service."""
        functions = {label: find(worker, calendar) for label, find in WRAPPED.items()}
        if calendar == "caldav":
            functions |= {label: find(worker) for label, find in CALDAV_STEPS.items()}
        for label, (owner, name) in functions.items():
            setattr(owner, name, self._wrapped(getattr(owner, name), label))

    def _wrapped(self, real: Callable[..., Any], label: str) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **keywords: Any) -> Any:
            self._pass(f"{label} before")
            answer = real(*arguments, **keywords)
            self._pass(f"{label} after")
            return answer

        return wrapped

    def _pass(self, boundary: str) -> None:
        self._tell(f"boundary {boundary}")
        if self._restart is not None:
            self._restart["after"] -= 1
            if self._restart["after"] < 0:
                restart, self._restart = self._restart, None
                subprocess.run(restart["command"], user=restart["user"], stdout=subprocess.DEVNULL, check=True)
                self._tell("restarted")
        if self._left_until_kill is not None:
            self._left_until_kill -= 1
            if self._left_until_kill < 0:
                os.kill(os.getpid(), signal.SIGKILL)


class WorkerProcess:
    """The work of one process: a worker that does the steps of a command.

    A step is the name of a method without its underscore, and its arguments.
    """

    def __init__(self, command: dict[str, Any], tell: Callable[[str], None]) -> None:
        self._command = command
        self._tell = tell
        self.clock = SteppedClock(datetime.fromisoformat(command["at"]))
        process_settings = settings(
            command["database"],
            calendars={command["calendar"]: command["calendar_section"]},
            mailers={command["mailer"]: command["mailer_section"]},
            mail={"from": "longarc@corp.example", "operator_by": command["mailer"]},
        )
        self.worker = build(process_settings, self.clock)
        Boundaries(tell, command.get("kill"), command.get("restart")).wrap(self.worker, command["calendar"])

    def run_steps(self) -> None:
        for step, *arguments in self._command["steps"]:
            getattr(self, f"_{step}")(*arguments)
        self.worker.close()

    # --- steps ---

    def _people(self) -> None:
        """Import the pairs of the command and their people."""
        persons, listed = {}, {}
        for manager, report in self._command["pairs"]:
            for email in (manager, report):
                persons[email] = replace(
                    person(email), calendar=self._command["calendar"], mail=self._command["mailer"]
                )
            listed.update(pairs(pair(manager, report, start=START.date())))
        self.worker.store.people.apply_import(persons, listed, self.clock())
        # a text that differs between imports: the services load the people again when it changes
        self.worker.store.people.set_stored_value(IMPORT_VERSION_NAME, self._command["pairs"][0][0])

    def _tick(self) -> None:
        self.worker.tick()

    def _tick_despite_outage(self) -> None:
        """Do one tick as `longarc run` does: when the database goes out of reach, record the outage and go on."""
        try:
            self.worker.tick()
        except Exception as error:
            if not (why := describe_database_outage(error)):
                raise
            Outages().record_failure(DATABASE, why, self.clock())
            self._tell("waited for the database")

    def _act(self, seed: int) -> None:
        """Act as people do with `longarc contract record` and `longarc defer`, until another process plans the pair."""
        dice = random.Random(seed)
        careers = [s for s in self.worker.store.queries.list_sessions() if s.kind is SessionKind.CAREER]
        held = [s for s in careers if s.state is SessionState.HELD]
        # with a `count` of 0: sessions that were never deferred
        ahead = [s for s in careers if s.state is SessionState.BOOKED and s.count == 0 and s.span.start > self.clock()]
        possible = [(self._record_contract, s) for s in held] + [
            (self._ask_for_another_time, s) for s in ahead if dice.random() < 0.1
        ]
        dice.shuffle(possible)
        for act, session in possible[:MAX_ACTIONS]:
            try:
                act(session)
            except LeaseLost:  # people get the answer to try again in a moment
                return
            self._tell(f"acted {act.__name__}")

    def _record_contract(self, session: Session) -> None:
        manager = session.pair.manager
        on_behalf = OnBehalf(ContentAccess.RECORD_CONTRACT, manager, "They agreed on it today.")
        self.worker.contracts.record(session.id, contract(self.clock()), on_behalf=on_behalf)

    def _ask_for_another_time(self, session: Session) -> None:
        self.worker.actions.request_another_time(session.id)

    def _run(self, until: str) -> None:
        """Let time pass, from one due instant to the next."""
        end = datetime.fromisoformat(until)
        while True:
            self._tell(f"at {self.clock().isoformat()}")
            self.worker.tick()
            coming = [at for at in self.worker.store.load_next_due() if at is not None]
            following = max(min(coming, default=end), self.clock() + timedelta(seconds=1))
            if following > end:
                return
            self.clock.move_to(following)

    def _defer(self) -> None:
        """Ask for another time, unless an earlier process has done so."""
        session = self._session(SessionState.BOOKED)
        if session is not None and session.count == 0:
            self.worker.actions.request_another_time(session.id)

    def _pause(self) -> None:
        """Pause the pairs of the command."""
        for manager, report in self._command["pairs"]:
            self.worker.store.people.set_paused(PairId(manager, report), is_paused=True, now=self.clock())

    def _undo(self, *flags: str) -> None:
        """Take every event off the calendars: with `past`, also past ones; with `quiet`, without notice to guests."""
        state = self.worker.undo.begin(includes_past="past" in flags, is_quiet="quiet" in flags)
        result = self.worker.undo.run(state, self.worker.holder, lambda *_: None, self.clock.move_to)
        self._tell(f"undone {result.is_complete}")

    def _record(self) -> None:
        """Record the contract, unless an earlier process has done so."""
        session = self._session(SessionState.HELD)
        if session is not None:
            self.worker.contracts.record(session.id, contract(self.clock()))

    def _move_past_end(self) -> None:
        """Move the clock to ten minutes after the end of the booked session."""
        session = self._session(SessionState.BOOKED)
        if session is not None:
            self.clock.move_to(session.span.end + timedelta(minutes=10))
            self._tell(f"at {self.clock().isoformat()}")

    def _session(self, state: SessionState) -> Session | None:
        found = self.worker.store.queries.list_sessions()
        return next((s for s in found if s.kind is SessionKind.CAREER and s.state is state), None)


def run_command(command: dict[str, Any]) -> None:
    """Do the steps of a command, and log them in its file: lines in a file outlive a kill."""
    log = os.open(command["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def tell(line: str) -> None:
        os.write(log, f"{line}\n".encode())

    WorkerProcess(command, tell).run_steps()


class SilentHandler(BaseHTTPRequestHandler):
    """Refuses each request, and logs nothing."""

    def log_message(self, format: str, *values: object) -> None:
        pass


def warm_up() -> None:
    """Import, read and compile what is otherwise done at first use, so that the forked processes need not."""
    for name in (*base.CALENDAR_FACTORIES, *base.MAILER_FACTORIES):
        base.load_factory({**base.CALENDAR_FACTORIES, **base.MAILER_FACTORIES}, name)
    for module in LAZY_IMPORTS:
        import_module(module)
    with HTTPServer(("127.0.0.1", 0), SilentHandler) as server:
        answering = Thread(target=server.handle_request)
        answering.start()
        # the first answer makes the HTTP client import more
        requests.get(f"http://127.0.0.1:{server.server_port}", timeout=30)
        answering.join()
    office = Office()
    office.tick()
    office.worker.actions.request_another_time(office.session().id)
    office.tick()
    held = office.hold()
    office.tick()
    office.worker.contracts.record(held.id, contract(office.clock()))
    office.tick()
    office.close()


def start(command: dict[str, Any]) -> int:
    """Fork a process that carries out a command; return its process id."""
    child = os.fork()
    if not child:
        code = 1
        try:
            if "errors" in command:
                os.dup2(os.open(command["errors"], os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
                set_up_logging()
            run_command(command)
            code = 0
        except Exception as error:
            if why := describe_database_outage(error):
                sys.stderr.write(f"{OUT_OF_REACH}{why}\n")
            else:
                traceback.print_exc()
        finally:
            os._exit(code)  # without the clean-up of the process that it was forked from
    return child


def main() -> None:
    gc.disable()
    warm_up()
    gc.freeze()  # the memory is shared with the forked processes, and each garbage collection there would copy it
    gc.enable()
    for line in sys.stdin:
        parsed = json.loads(line)
        commands = parsed if isinstance(parsed, list) else [parsed]
        children = [start(command) for command in commands]
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        sys.stdout.write(" ".join(map(str, codes)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
