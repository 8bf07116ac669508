"""Runs the migrations on the connection that `worker.store.database.Database.migrate` hands over."""

from alembic import context

from worker.store.tables import metadata

connection = context.config.attributes["connection"]
# the caller's transaction spans all migrations, and SQLite changes a column only by making the table anew (a batch)
context.configure(connection=connection, target_metadata=metadata, transactional_ddl=False, render_as_batch=True)
context.run_migrations()
