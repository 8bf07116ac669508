"""Opens the database without the key of sealed content, for checks that read nothing sealed."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import make_url

from worker.seal import Seal, generate_key
from worker.settings.load import Settings
from worker.store.inspection import get_schema_versions
from worker.store.store import Store


@contextmanager
def open_store_without_key(settings: Settings) -> Iterator[Store | None]:
    """Open the database with a new key, which unseals nothing in it, for checks of the roster and of channels.

    Yields None when there is no database yet, or when its schema is of another version than this program.
    """
    url = make_url(settings.database)
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists():
        yield None
        return
    with closing(Store(settings.database, Seal([generate_key()]))) as store:
        version, program_version = get_schema_versions(store.database)
        yield store if version == program_version else None
