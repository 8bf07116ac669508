"""The database. All SQL of the program is in this package, and only this package converts rows to domain objects.

- `tables` defines the schema, `types` the column types, and `rows` converts rows to domain objects and back.
- `database` opens connections and transactions; `statements` and `parameters` make prepared statements.
- Each other module has the queries of one part of the program. The largest are `people` (the roster), `plans` (the
  sweep), `outbox` (effects), `calendars` (the sync), `channels` and `content` (the sealed columns).
"""

from worker.store.store import Store

__all__ = ["Store"]
