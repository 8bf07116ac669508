"""Runs the task `sync` in a process of its own, since `worker.tasks` reads the settings when it is imported.

`LONGARC_CONFIG=FILE python -m tests.support.task_child SECONDS` lets a session be booked and declined, and runs `sync`
with a time budget of so many seconds for each task. It prints which tasks ran, how often the session was deferred,
whether it was moved on the calendar, and to whom mails were sent.
"""

import json
import sys
from datetime import timedelta
from typing import Any

from tests.support.companies import DANA, MINUTE, SAM, Office
from worker import tasks
from worker.domain.model import Answer


def run(budget: timedelta) -> dict[str, Any]:
    """Run the task with this time budget, and return the values to print."""
    tasks.TASK_BUDGET = budget
    office, ran = Office(), list[str]()
    office.tick()
    office.clock.advance(MINUTE)
    session, mail_count = office.session(), len(office.mails())
    office.calendar.answer(DANA, session.key, SAM, Answer.DECLINED)
    office.store.calendars.make_due([DANA], office.clock())
    queue: Any = tasks.huey  # Huey has no types
    queue.signal("complete")(lambda signal, task: ran.append(task.name))
    with tasks.run_tasks_immediately(office.worker):
        tasks.sync()
    session_after, event = office.session(), office.event(office.session())
    is_moved = event.span == session_after.span and session_after.span != session.span
    mails = sorted(str(mail["To"]) for mail in office.mails()[mail_count:])
    office.close()
    return {"ran": ran, "count": session_after.count, "is_moved": is_moved, "mails": mails}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(run(timedelta(seconds=float(sys.argv[1])))))
