"""Reads and writes mentions: what mails tell one of the two people of a pair only once.

For example, a mail mentions that the other person has kept a commitment. The subject of a mention is what it tells
about: a commitment, or the invitation to leave a note about a session.

A mail reserves its mentions before it is sent, and a mail that is never sent releases them. So nothing is told twice,
even when a process dies: when the mail is tried again, it finds the mentions that it had reserved.
"""

from collections.abc import Collection

from sqlalchemy import Connection, bindparam, delete, select

from worker.domain.model import Owner
from worker.store.database import Database
from worker.store.parameters import in_bound_list
from worker.store.statements import PreparedStatement
from worker.store.tables import mention

_RELEASE = PreparedStatement(delete(mention).where(mention.c.message == bindparam("mail_key")))


class MentionRows:
    """Reads and writes the table `mention`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def reserve(self, mail_key: str, reader: Owner, subjects: Collection[str]) -> frozenset[str]:
        """Reserve the mentions of these subjects for the mail with this key in the outbox.

        Return the subjects that are now reserved for this mail. A subject that another mail to the same reader has
        reserved is left out.
        """
        if not subjects:
            return frozenset()
        new_rows = [{"subject": subject, "reader": reader, "message": mail_key} for subject in sorted(subjects)]
        query = select(mention.c.subject).where(
            in_bound_list(mention.c.subject, "subjects"), mention.c.reader == reader, mention.c.message == mail_key
        )
        with self._database.write() as connection:
            self._database.insert_new(connection, mention, new_rows, ("subject", "reader"))
            return frozenset(connection.execute(query, {"subjects": list(subjects)}).scalars())

    def list_mentioned(self, reader: Owner, subjects: Collection[str]) -> set[str]:
        """Return the subjects among these that any mail to this reader has reserved."""
        if not subjects:
            return set()
        query = select(mention.c.subject).where(
            in_bound_list(mention.c.subject, "subjects"), mention.c.reader == reader
        )
        with self._database.read() as connection:
            return set(connection.execute(query, {"subjects": list(subjects)}).scalars())


def release_mentions(connection: Connection, mail_key: str) -> None:
    """Delete the mentions that a mail had reserved. The mail was not sent, so another mail may reserve them."""
    _RELEASE.execute(connection, mail_key=mail_key)
