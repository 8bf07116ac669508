"""A process that works for a small company until it is killed: what
`tests/engine/test_crash.py` starts, kills and restarts.

    python -m tests.support.crash_child

reads one command a line, or a list of them to be done at once, and for each forks a process of its own that does the
work and dies: by itself, or by SIGKILL in the middle of it. So everything is imported once, and each death is a real
one. Nothing of the program knows of it: what is to be interrupted is wrapped here, from outside."""

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
from worker.errors import LeaseLost
from worker.logs import set_up_logging
from worker.providers import base
from worker.providers.caldav.client import DavClient
from worker.store.database import describe_database_outage

#: What stands between a decision and its effect, given the calendar in use: each is a boundary before it and one after.
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
#: On CalDAV an effect takes several steps: each is a boundary wherever it comes.
STEPS: dict[str, Callable[[Worker], tuple[object, str]]] = {
    "step.put": lambda _: (DavClient, "put"),
    "step.delete": lambda _: (DavClient, "delete"),
    "step.intend": lambda w: (w.store.attendee_copies, "intend_copy"),
    "step.confirm": lambda w: (w.store.attendee_copies, "confirm_copy"),
    "step.forget": lambda w: (w.store.attendee_copies, "forget_copies"),
}
#: What the clients of the services import when they are first used; of HTTP, more is imported with the first answer.
FIRST_USED = ("jwt", "worker.providers.google.calendar", "worker.providers.google.freebusy_reader")
#: The last line of a process that found its database out of reach, and could do nothing else than end.
OUT_OF_REACH = "database out of reach: "
#: How many things people do at one instant.
ACTS = 8


class Boundaries:
    """Tells of each boundary as it is passed. At one the process is killed, at one the database server is restarted."""

    def __init__(self, tell: Callable[[str], None], kill: int | None, restart: dict[str, Any] | None) -> None:
        self._tell = tell
        self._left = kill
        self._restart = restart

    def around(self, worker: Worker, calendar: str) -> None:
        places = {label: where(worker, calendar) for label, where in WRAPPED.items()}
        if calendar == "caldav":
            places |= {label: where(worker) for label, where in STEPS.items()}
        for label, (owner, name) in places.items():
            setattr(owner, name, self._wrapped(getattr(owner, name), label))

    def _wrapped(self, real: Callable[..., Any], label: str) -> Callable[..., Any]:
        def wrapped(*given: Any, **named: Any) -> Any:
            self._pass(f"{label} before")
            answer = real(*given, **named)
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
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                os.kill(os.getpid(), signal.SIGKILL)


class Life:
    """One process, from its start to its end."""

    def __init__(self, command: dict[str, Any], tell: Callable[[str], None]) -> None:
        self._command = command
        self._tell = tell
        self.clock = SteppedClock(datetime.fromisoformat(command["at"]))
        known = settings(
            command["database"],
            calendars={command["calendar"]: command["calendar_section"]},
            mailers={command["mailer"]: command["mailer_section"]},
            mail={"from": "longarc@corp.example", "operator_by": command["mailer"]},
        )
        self.worker = build(known, self.clock)
        Boundaries(tell, command.get("kill"), command.get("restart")).around(self.worker, command["calendar"])

    def live(self) -> None:
        for step, *given in self._command["steps"]:
            getattr(self, f"_{step}")(*given)
        self.worker.close()

    # --- steps ---

    def _people(self) -> None:
        persons, listed = {}, {}
        for manager, report in self._command["pairs"]:
            for email in (manager, report):
                persons[email] = replace(
                    person(email), calendar=self._command["calendar"], mail=self._command["mailer"]
                )
            listed.update(pairs(pair(manager, report, start=START.date())))
        self.worker.store.people.apply_import(persons, listed, self.clock())
        self.worker.store.people.set_stored_value("people", self._command["pairs"][0][0])

    def _tick(self) -> None:
        self.worker.tick()

    def _tick_through(self) -> None:
        """As `longarc run` does it: a database that goes in the middle is told as an outage, and waited for."""
        try:
            self.worker.tick()
        except Exception as error:
            if not (why := describe_database_outage(error)):
                raise
            Outages().record_failure(DATABASE, why, self.clock())
            self._tell("waited for the database")

    def _act(self, seed: int) -> None:
        """What people do by `longarc contract record` and `longarc defer`, as far as nobody plans just now."""
        dice = random.Random(seed)
        mine = [s for s in self.worker.store.queries.list_sessions() if s.kind is SessionKind.CAREER]
        held = [s for s in mine if s.state is SessionState.HELD]
        ahead = [s for s in mine if s.state is SessionState.BOOKED and s.count == 0 and s.span.start > self.clock()]
        doing = [(self._agree, s) for s in held] + [(self._ask, s) for s in ahead if dice.random() < 0.1]
        dice.shuffle(doing)
        for act, session in doing[:ACTS]:
            try:
                act(session)
            except LeaseLost:  # they are told to try again in a moment
                return
            self._tell(f"acted {act.__name__}")

    def _agree(self, session: Session) -> None:
        manager = session.pair.manager
        on_behalf = OnBehalf(ContentAccess.RECORD_CONTRACT, manager, "They agreed on it today.")
        self.worker.contracts.record(session.id, contract(self.clock()), on_behalf=on_behalf)

    def _ask(self, session: Session) -> None:
        self.worker.actions.defer_session(session.id)

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
        """Somebody asks for another time, unless that is written down already."""
        session = self._session(SessionState.BOOKED)
        if session is not None and session.count == 0:
            self.worker.actions.defer_session(session.id)

    def _rest(self) -> None:
        """The pair is paused."""
        for manager, report in self._command["pairs"]:
            self.worker.store.people.set_paused(PairId(manager, report), is_paused=True, now=self.clock())

    def _undo(self, *flags: str) -> None:
        """Everything is taken off the calendars; on these flags, the past too, or without notice."""
        state = self.worker.undo.begin(includes_past="past" in flags, is_quiet="quiet" in flags)
        result = self.worker.undo.run(state, self.worker.holder, lambda *_: None, self.clock.move_to)
        self._tell(f"undone {result.is_complete}")

    def _record(self) -> None:
        """The contract is recorded, unless it is there."""
        session = self._session(SessionState.HELD)
        if session is not None:
            self.worker.contracts.record(session.id, contract(self.clock()))

    def _to_the_end(self) -> None:
        """Stand ten minutes after the end of the session that is booked."""
        session = self._session(SessionState.BOOKED)
        if session is not None:
            self.clock.move_to(session.span.end + timedelta(minutes=10))
            self._tell(f"at {self.clock().isoformat()}")

    def _session(self, state: SessionState) -> Session | None:
        found = self.worker.store.queries.list_sessions()
        return next((s for s in found if s.kind is SessionKind.CAREER and s.state is state), None)


def live(command: dict[str, Any]) -> None:
    """Do what is asked, telling of it in a file: what was told outlives a kill."""
    told = os.open(command["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def tell(line: str) -> None:
        os.write(told, f"{line}\n".encode())

    Life(command, tell).live()


class SilentHandler(BaseHTTPRequestHandler):
    """Answers whatever is asked that it knows nothing of it."""

    def log_message(self, format: str, *values: object) -> None:
        pass


def warm_up() -> None:
    """Import, read and compile whatever that is done to on first use, so that not every process has to."""
    for name in (*base.CALENDAR_FACTORIES, *base.MAILER_FACTORIES):
        base.load_factory({**base.CALENDAR_FACTORIES, **base.MAILER_FACTORIES}, name)
    for module in FIRST_USED:
        import_module(module)
    with HTTPServer(("127.0.0.1", 0), SilentHandler) as server:
        answering = Thread(target=server.handle_request)
        answering.start()
        requests.get(f"http://127.0.0.1:{server.server_port}", timeout=30)
        answering.join()
    office = Office()
    office.tick()
    office.worker.actions.defer_session(office.session().id)
    office.tick()
    held = office.hold()
    office.tick()
    office.worker.contracts.record(held.id, contract(office.clock()))
    office.tick()
    office.close()


def start(command: dict[str, Any]) -> int:
    """Fork a process that does what is asked and dies; its number."""
    child = os.fork()
    if not child:
        code = 1
        try:
            if "errors" in command:
                os.dup2(os.open(command["errors"], os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
                set_up_logging()
            live(command)
            code = 0
        except Exception as error:
            if why := describe_database_outage(error):
                sys.stderr.write(f"{OUT_OF_REACH}{why}\n")
            else:
                traceback.print_exc()
        finally:
            os._exit(code)  # nothing of the process that forked it is to be cleaned up here
    return child


def main() -> None:
    gc.disable()
    warm_up()
    gc.freeze()  # shared by all that are forked: looking through it for garbage would copy it
    gc.enable()
    for line in sys.stdin:
        asked = json.loads(line)
        children = [start(command) for command in (asked if isinstance(asked, list) else [asked])]
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        sys.stdout.write(" ".join(map(str, codes)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
