"""The database. All SQL of the program is in this package, and only this package converts rows to domain objects.

`tables` defines the schema, and `rows` converts rows. Each other module has the queries of one part of the program:
`people`, `plans` (for the sweep), `outbox`, `calendars` (for the sync), `content` (sealed columns).
"""

from worker.store.store import Store

__all__ = ["Store"]
