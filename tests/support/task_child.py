"""A process of its own, since the tasks belong to the settings that they were imported with.

`LONGARC_CONFIG=FILE python -m tests.support.task_child SECONDS`: books a conversation, has it declined, and runs
`sync`, where each task has a time budget of so many seconds. Prints which tasks ran, how often the conversation was
deferred, whether it was moved on the calendar, and to whom mails went out.
"""

import json
import sys
from datetime import timedelta
from typing import Any

from tests.support.companies import DANA, MINUTE, SAM, Office
from worker import tasks
from worker.domain.model import Answer


def run(budget: timedelta) -> dict[str, Any]:
    """Run the task, and return what is printed."""
    tasks.TASK_BUDGET = budget
    office, ran = Office(), list[str]()
    office.tick()
    office.clock.advance(MINUTE)
    session, sent = office.session(), len(office.mails())
    office.calendar.answer(DANA, session.key, SAM, Answer.DECLINED)
    office.store.calendars.make_due([DANA], office.clock())
    queue: Any = tasks.huey  # Huey has no types
    queue.signal("complete")(lambda signal, task: ran.append(task.name))
    with tasks.run_tasks_immediately(office.worker):
        tasks.sync()
    moved, event = office.session(), office.event(office.session())
    mails = sorted(str(mail["To"]) for mail in office.mails()[sent:])
    office.close()
    return {"ran": ran, "count": moved.count, "is_moved": event.span == moved.span != session.span, "mails": mails}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(run(timedelta(seconds=float(sys.argv[1])))))
