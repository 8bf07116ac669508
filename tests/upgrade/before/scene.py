"""Simulate a month of a small company with the program of the commit that `build_fixture` names.

`build_fixture` runs this script on a checkout of that commit, so that all imports are from the earlier version.
    python scene.py SETTINGS DATABASE CALENDARS
"""

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from tests.worlds import DANA, DAY, HOUR, KEY, KIM, SAM, Fails, Office, contract

from tests import worlds
from worker import settings
from worker.domain.model import Kind, Session, State, Trigger
from worker.errors import Unavailable
from worker.roster import read_people

LEE, MAX, ANA = "lee@corp.example", "max@corp.example", "ana@corp.example"
START = datetime(2026, 9, 7, 6, tzinfo=UTC)


def open_office(settings_file: Path, database: Path) -> Office:
    """Return the program on a new database, with the people of the people file."""
    known_settings = settings.load(settings_file, {"LONGARC_KEY": KEY, "LONGARC_DATABASE_URL": f"sqlite:///{database}"})
    people = read_people(known_settings, START)
    worlds.new_store(known_settings.database).migrate()
    return Office(known_settings.database, people.persons, people.pairs, at=START, office_settings=known_settings)


def find_session(office: Office, report: str, kind: Kind = Kind.CAREER) -> Session:
    """Return the first booked session of the pair."""
    sessions = office.store.register.sessions(f"{DANA}>{report}")
    return min(
        (session for session in sessions if session.kind is kind and session.booked),
        key=lambda session: session.span.start,
    )


def find_held_session(office: Office, report: str) -> Session:
    """Return the held session of the pair that has no contract yet."""
    sessions = office.store.register.sessions(f"{DANA}>{report}")
    return next(
        session
        for session in sessions
        if session.kind is Kind.CAREER and session.state in (State.HELD, State.UNFINISHED)
    )


def simulate_month(office: Office) -> None:
    """Run from 7 September to 8 October: contracts, deferrals, an ad hoc session, a contract draft, mails that fail."""
    office.run_to(datetime(2026, 10, 5, 6, tzinfo=UTC))
    office.worker.acts.record(find_held_session(office, SAM).id, contract(office.clock()))
    office.worker.acts.record(
        find_held_session(office, LEE).id, contract(office.clock(), "Give Lee the next planning round")
    )
    office.run(DAY)
    for _ in range(2):  # Max's next session is deferred twice
        office.decline(find_session(office, MAX))
        office.run(HOUR)
    # held without a contract: after the upgrade there is nothing to review
    session_with_ana = find_held_session(office, ANA)
    office.store.content.keep_sketch(  # a contract draft, as the earlier version called it
        session_with_ana.id, {"theirs": [["Draft one page", "2026-11-01"]]}, office.clock()
    )
    office.run_to(datetime(2026, 10, 7, 12, tzinfo=UTC))
    office.worker.acts.talk(f"{DANA}>{LEE}", Trigger.MOTIVATION, "Something has come up.")
    office.decline(find_session(office, SAM, Kind.REVIEW))  # a review with a deferral of its own
    office.run_to(datetime(2026, 10, 8, 5, 30, tzinfo=UTC))
    office.mailer.fail = Fails(Unavailable, "send")  # these mails are tried again after the upgrade
    office.decline(find_session(office, KIM))
    office.run(4 * HOUR)


def dump_calendars(office: Office) -> dict[str, object]:
    """Return every event on the calendars, and the number of the last change."""
    calendar = office.calendar
    entries = [
        {
            "id": entry.id,
            "key": entry.key,
            "organizer": entry.organizer,
            "start": entry.span.start.isoformat(),
            "end": entry.span.end.isoformat(),
            "all_day": entry.all_day,
            "sequence": entry.sequence,
            "answers": {email: answer.value for email, answer in entry.answers.items()},
            "version": entry.version,
        }
        for entry in vars(calendar)["_entries"].values()
    ]
    sent = [key for key, _ in office.mailer.sent]
    return {"at": office.clock().isoformat(), "tick": vars(calendar)["_tick"], "entries": entries, "sent": sent}


def main() -> None:
    settings_file, database, calendars = map(Path, sys.argv[1:])
    os.chdir(settings_file.parent)
    office = open_office(settings_file, database)
    simulate_month(office)
    calendars.write_text(json.dumps(dump_calendars(office), indent=1) + "\n", encoding="utf-8")
    office.close()


if __name__ == "__main__":
    main()
