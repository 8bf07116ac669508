"""The database: the truth. All SQL of the program is in this folder; rows become domain objects here and nowhere else.

`tables` says what is kept, `rows` turns rows into values and back, and one module each holds what the parts of the
program ask for: `people`, `plans` (the sweep), `outbox`, `calendars` (the sync), `content` (what is sealed).
"""

from worker.store.store import Store

__all__ = ["Store"]
